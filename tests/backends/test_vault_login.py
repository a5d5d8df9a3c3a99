"""A login of a real OpenBao: found, kept, renewed, done anew, wrapped and refused."""

from __future__ import annotations

import os
import secrets
from typing import TYPE_CHECKING

import pytest
from vault_server import (
    READ_POLICY,
    REFERENCE,
    Bao,
    as_document,
    clean,
    until,
)

from safetwilio.backends import vault_login
from safetwilio.backends.interface import Found
from safetwilio.backends.locate import parse
from safetwilio.backends.vault import VaultBackend
from safetwilio.redaction import redact
from support import Key, assert_silent, codes, leaks, new_key, refused, write

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from safetwilio.errors import ConfigurationError


@pytest.fixture(scope="module")
def bao(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bao]:
    with Bao(tmp_path_factory.mktemp("bao")) as server:
        server.policy("reader")
        yield server


@pytest.fixture
def key(bao: Bao) -> Key:
    key = new_key()
    bao.put(as_document(key))
    return key


@pytest.fixture(autouse=True)
def _surroundings(bao: Bao, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    clean(monkeypatch, tmp_path)
    monkeypatch.setenv("VAULT_ADDR", bao.url)


def backend(options: str = "") -> VaultBackend:
    (reference,) = parse(f"{REFERENCE}?{options}" if options else REFERENCE, place="the test")
    return VaultBackend(reference)


def secret(options: str = "") -> str:
    answer = backend(options).load(None)
    assert isinstance(answer, Found), answer
    return answer.record.fields["secret"].reveal()


def failed(options: str, *values: str) -> ConfigurationError:
    error = refused(lambda: backend(options).load(None))
    assert_silent(error, values)
    return error


# --- a token


def test_a_token_of_the_environment(bao: Bao, key: Key, monkeypatch: pytest.MonkeyPatch) -> None:
    token = bao.token("reader")
    monkeypatch.setenv("VAULT_TOKEN", f" {token}\n")
    assert secret() == key.secret
    assert leaks(redact(f"the token {token}"), [token]) == []


def test_a_token_of_the_command_and_of_a_file(bao: Bao, key: Key, tmp_path: Path) -> None:
    write(tmp_path / ".vault-token", bao.token("reader"))
    assert secret() == key.secret
    file = write(tmp_path / "sink", bao.token("reader"))
    assert secret(f"file={file}") == key.secret


@pytest.mark.usefixtures("key")
def test_a_file_that_others_may_read_is_a_warning(bao: Bao, tmp_path: Path) -> None:
    file = write(tmp_path / "sink", bao.token("reader"), mode=0o644)
    answer = backend(f"file={file}").load(None)
    assert isinstance(answer, Found)
    assert [p.code for p in answer.record.problems] == (["ST306"] if os.name == "posix" else [])


def test_a_token_that_is_replaced_in_its_file_is_noticed(
    bao: Bao, key: Key, tmp_path: Path
) -> None:
    """An agent's sink: the old token dies, the new one is in the same place."""
    first, second = bao.token("reader"), bao.token("reader")
    file = write(tmp_path / "sink", first)
    assert secret(f"file={file}") == key.secret
    bao.call("POST", "auth/token/revoke", {"token": first})
    write(file, second)
    assert secret(f"file={file}") == key.secret


@pytest.mark.parametrize("text", ["two words", "", "\x00", "sécret"])
def test_a_text_that_is_no_token_is_never_sent(tmp_path: Path, text: str) -> None:
    file = write(tmp_path / "sink", text)
    assert codes(failed(f"file={file}")) == ["ST308" if text == "\x00" else "ST302"]


def test_a_token_near_its_end_is_renewed_when_it_is_used(
    bao: Bao, key: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = bao.token("reader", ttl="7s", explicit_max_ttl="1h")
    own = {"token": token}
    until(lambda: bao.call("POST", "auth/token/lookup", own)["data"]["ttl"] <= 1)
    monkeypatch.setenv("VAULT_TOKEN", token)
    assert secret() == key.secret
    assert bao.call("POST", "auth/token/lookup", own)["data"]["ttl"] >= 5


# --- AppRole, and what all logins share


def test_approle(bao: Bao, key: Key, monkeypatch: pytest.MonkeyPatch) -> None:
    path, role_id, role = bao.approle()
    secret_id = bao.secret_id(role)
    monkeypatch.setenv("VAULT_SECRET_ID", secret_id)
    assert secret(f"auth=approle&role={role_id}&auth_path={path}") == key.secret
    assert leaks(redact(secret_id), [secret_id]) == []


def test_approle_with_everything_outside_the_reference(
    bao: Bao, key: Key, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path, role_id, role = bao.approle()
    monkeypatch.setenv("VAULT_ROLE_ID", role_id)
    file = write(tmp_path / "secret-id", bao.secret_id(role))
    assert secret(f"auth=approle&auth_path={path}&file={file}") == key.secret


def test_approle_that_is_refused(bao: Bao, monkeypatch: pytest.MonkeyPatch) -> None:
    path, role_id, _ = bao.approle()
    wrong = secrets.token_hex(16)
    monkeypatch.setenv("VAULT_SECRET_ID", wrong)
    error = failed(f"auth=approle&role={role_id}&auth_path={path}", wrong)
    assert codes(error) == ["ST331"]
    assert "the AppRole of the secret ID in env VAULT_SECRET_ID" in str(error)
    assert f"auth/{path}/login answered 400" in str(error)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ("auth=approle", "VAULT_ROLE_ID"),
        ("auth=approle&role=x", "VAULT_SECRET_ID"),
        ("auth=jwt", "VAULT_JWT"),
        ("auth=kubernetes&role=x", "/var/run/secrets/kubernetes.io/serviceaccount/token"),
        ("auth=wrapped", "VAULT_WRAPPED_TOKEN"),
        ("auth=wrapped&file=/nowhere/at/all", "/nowhere/at/all"),
    ],
)
def test_nothing_to_log_in_with(options: str, named: str) -> None:
    error = failed(options)
    assert codes(error) == ["ST331"]
    assert named in str(error)


def test_one_login_serves_the_process(bao: Bao, key: Key, monkeypatch: pytest.MonkeyPatch) -> None:
    """A secret ID for one use: a second login would be refused."""
    path, role_id, role = bao.approle(secret_id_num_uses=1)
    monkeypatch.setenv("VAULT_SECRET_ID", bao.secret_id(role))
    options = f"auth=approle&role={role_id}&auth_path={path}"
    assert [secret(options) for _ in range(3)] == [key.secret] * 3
    assert len(bao.logins(f"auth/{path}/login")) == 1


def test_a_login_that_was_revoked_is_done_anew_once(
    bao: Bao, key: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, role_id, role = bao.approle()
    monkeypatch.setenv("VAULT_SECRET_ID", bao.secret_id(role))
    options = f"auth=approle&role={role_id}&auth_path={path}"
    secret(options)
    (accessor,) = bao.logins(f"auth/{path}/login")
    bao.call("POST", "auth/token/revoke-accessor", {"accessor": accessor})
    assert secret(options) == key.secret
    assert len(bao.logins(f"auth/{path}/login")) == 1


def test_denied_after_one_new_login_is_denied(
    bao: Bao, key: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The policy is taken away: one login anew, then the report names role and policy."""
    path, role_id, role = bao.approle()
    name = bao.policy(f"own-{path}")
    bao.call("POST", role, {"token_policies": name})
    monkeypatch.setenv("VAULT_SECRET_ID", bao.secret_id(role))
    options = f"auth=approle&role={role_id}&auth_path={path}"
    secret(options)
    bao.policy(name, 'path "secret/data/elsewhere" { capabilities = ["read"] }')
    error = failed(options, key.secret)
    assert codes(error) == ["ST330"]
    assert len(bao.logins(f"auth/{path}/login")) == 2
    assert 'role "app"' in str(error)
    assert f"policies default, {name}" in str(error)
    assert READ_POLICY in str(error)


def ttl(bao: Bao, accessor: str) -> int:
    status, answer = bao.exchange("POST", "auth/token/lookup-accessor", {"accessor": accessor})
    return int(answer["data"]["ttl"]) if status == 200 else 0


def test_a_login_near_its_end_is_renewed_when_it_is_used(
    bao: Bao, key: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, role_id, role = bao.approle(token_ttl="6s", token_max_ttl="1h")
    monkeypatch.setenv("VAULT_SECRET_ID", bao.secret_id(role))
    options = f"auth=approle&role={role_id}&auth_path={path}"
    secret(options)
    (first,) = bao.logins(f"auth/{path}/login")
    (kept,) = vault_login._kept.values()
    until(lambda: kept.left() < 1 / 3)
    assert secret(options) == key.secret
    assert ttl(bao, first) >= 3
    assert bao.logins(f"auth/{path}/login") == [first]


def test_a_login_at_its_longest_is_done_anew_before_it_ends(
    bao: Bao, key: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, role_id, role = bao.approle(token_ttl="6s", token_max_ttl="6s")
    monkeypatch.setenv("VAULT_SECRET_ID", bao.secret_id(role))
    options = f"auth=approle&role={role_id}&auth_path={path}"
    secret(options)
    (first,) = bao.logins(f"auth/{path}/login")
    (kept,) = vault_login._kept.values()
    until(lambda: kept.left() < 1 / 3)
    assert secret(options) == key.secret
    assert {*bao.logins(f"auth/{path}/login")} - {first}


# --- wrapped


def test_a_wrapped_secret_id(bao: Bao, key: Key, monkeypatch: pytest.MonkeyPatch) -> None:
    path, role_id, role = bao.approle()
    wrapping = bao.secret_id(role, wrap="60s")
    monkeypatch.setenv("VAULT_SECRET_ID", wrapping)
    options = f"auth=approle&role={role_id}&auth_path={path}&wrapped=yes"
    assert [secret(options), secret(options)] == [key.secret] * 2
    vault_login.forget()  # as another process
    error = failed(options, wrapping)
    assert codes(error) == ["ST337"]
    assert "the wrapping token in env VAULT_SECRET_ID is spent or expired" in str(error)


def test_a_wrapped_login(bao: Bao, key: Key, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAULT_WRAPPED_TOKEN", bao.token("reader", wrap="60s"))
    assert [secret("auth=wrapped"), secret("auth=wrapped")] == [key.secret] * 2


def test_a_wrapped_login_that_ended_is_no_interception(
    bao: Bao, key: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VAULT_WRAPPED_TOKEN", bao.token("reader", wrap="60s"))
    secret("auth=wrapped")
    granted = next(k.granted for k in vault_login._kept.values())
    assert granted is not None
    assert granted.token is not None
    bao.call("POST", "auth/token/revoke", {"token": granted.token.get_secret_value()})
    error = failed("auth=wrapped")
    assert codes(error) == ["ST331"]
    assert "new wrapping token" in str(error)
    monkeypatch.setenv("VAULT_WRAPPED_TOKEN", bao.token("reader", wrap="60s"))
    assert secret("auth=wrapped") == key.secret


def test_a_token_opened_on_the_way_is_reported(bao: Bao, monkeypatch: pytest.MonkeyPatch) -> None:
    wrapping = bao.token("reader", wrap="60s")
    bao.call("POST", "sys/wrapping/unwrap", {}, token=wrapping)
    monkeypatch.setenv("VAULT_WRAPPED_TOKEN", wrapping)
    assert codes(failed("auth=wrapped", wrapping)) == ["ST337"]


def test_what_was_opened_and_wrapped_anew_is_reported_and_not_opened(
    bao: Bao, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The creation path gives it away; it is looked at before the token is spent."""
    answer = bao.call("POST", "sys/wrapping/wrap", {"token": "x"}, wrap="60s")
    wrapping = answer["wrap_info"]["token"]
    monkeypatch.setenv("VAULT_WRAPPED_TOKEN", wrapping)
    error = failed("auth=wrapped", wrapping)
    assert codes(error) == ["ST337"]
    assert "(sys/wrapping/wrap)" in str(error)
    assert bao.status("POST", "sys/wrapping/lookup", data={"token": wrapping}) == 200


def test_another_kind_of_secret_id_is_not_taken(bao: Bao, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrapping token of another mount's role."""
    path, role_id, _ = bao.approle()
    _, _, other = bao.approle()
    monkeypatch.setenv("VAULT_SECRET_ID", bao.secret_id(other, wrap="60s"))
    options = f"auth=approle&role={role_id}&auth_path={path}&wrapped=yes"
    assert codes(failed(options)) == ["ST337"]
