"""``vault:`` against a real OpenBao: what is found, what is absent, and what each failure says."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
from vault_server import (
    PATH,
    READ_POLICY,
    REFERENCE,
    Bao,
    Loopback,
    as_document,
    clean,
)

import safetwilio
from safetwilio.backends.interface import Absent, Found, WritableBackend
from safetwilio.backends.locate import open_backend, parse
from safetwilio.backends.vault import VaultBackend
from safetwilio.errors import BackendDenied, BackendError
from safetwilio.redaction import redact
from safetwilio.testing import EmulatorServer
from support import Key, assert_silent, codes, new_key, refused, run_python

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from safetwilio.backends.interface import Record


@pytest.fixture(scope="module")
def bao(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bao]:
    with Bao(tmp_path_factory.mktemp("bao")) as server:
        server.call("POST", "sys/mounts/old", {"type": "kv"})
        server.call("POST", "sys/mounts/teams/kv", {"type": "kv", "options": {"version": "2"}})
        server.policy("reader")
        yield server


@pytest.fixture(autouse=True)
def _surroundings(bao: Bao, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    clean(monkeypatch, tmp_path)
    monkeypatch.setenv("VAULT_ADDR", bao.url)
    monkeypatch.setenv("VAULT_TOKEN", bao.root)
    yield
    bao.exchange("DELETE", "secret/metadata/app/twilio")
    bao.exchange("DELETE", "old/app/twilio")


def backend(text: str = REFERENCE) -> VaultBackend:
    (reference,) = parse(text, place="the test")
    opened = open_backend(reference)
    assert isinstance(opened, VaultBackend)
    return opened


def load(text: str = REFERENCE, account: str | None = None) -> Record:
    answer = backend(text).load(account)
    assert isinstance(answer, Found), answer
    return answer.record


def absent(text: str = REFERENCE) -> str:
    answer = backend(text).load(None)
    assert isinstance(answer, Absent), answer
    return " ".join(f"{a.place} {a.name} {a.outcome}" for a in answer.attempts)


def revealed(record: Record) -> tuple[str, str, str]:
    fields = record.fields
    return (
        fields["account_sid"].reveal(),
        fields["key_sid"].reveal(),
        fields["secret"].reveal(),
    )


def test_a_message_is_sent_with_what_the_vault_holds(
    bao: Bao, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole street: boot from the Vault, then a message through the emulator."""
    with EmulatorServer() as server:
        account, key = server.emulator.account, server.emulator.standard_key
        bao.put(as_document(Key(account.sid, key.sid, key.secret)))
        monkeypatch.setenv("SAFETWILIO_BACKEND", REFERENCE)
        monkeypatch.setenv("SAFETWILIO_EMULATOR", server.url)
        safetwilio.boot()
        message = safetwilio.client.messages.create(
            to="+15005550010", from_="+15005550006", body="hello"
        )
        assert message.sid.startswith("SM")
        assert message.account_sid == account.sid


def test_kv2_with_its_version(bao: Bao, key: Key) -> None:
    bao.put({"other": "x"})
    bao.put(as_document(key))
    record = load()
    assert revealed(record) == key
    assert record.version == "2"
    assert record.source == REFERENCE
    assert key.secret not in redact(f"it is {key.secret}")


def test_an_older_version_by_its_number(bao: Bao, key: Key) -> None:
    bao.put(as_document(key))
    bao.put(as_document(new_key()))
    record = load(f"{REFERENCE}?version=1")
    assert (revealed(record), record.version) == (key, "1")


def test_kv1_has_a_digest_for_a_version(bao: Bao, key: Key) -> None:
    bao.call("POST", "old/app/twilio", as_document(key))
    first = load("vault://old/app/twilio")
    bao.call("POST", "old/app/twilio", {**as_document(key), "note": "x"})
    second = load("vault://old/app/twilio")
    assert revealed(first) == revealed(second) == key
    assert first.version is not None
    assert first.version != second.version


def test_a_mount_of_several_steps_is_found(bao: Bao, key: Key) -> None:
    bao.put(as_document(key), "teams/kv/data/app")
    assert revealed(load("vault://teams/kv/app")) == key
    assert revealed(load("vault://teams/kv/app?kv=2&mount=teams/kv")) == key


def test_a_field_that_holds_the_record(bao: Bao, key: Key) -> None:
    bao.put({"twilio": as_document(key), "other": {"api_key": "x"}})
    assert revealed(load(f"{REFERENCE}#twilio")) == key


def test_names_of_the_environment_for_a_named_account(bao: Bao, key: Key) -> None:
    bao.put(key.environment("billing"))
    assert revealed(load(account="billing")) == key


@pytest.mark.parametrize("mount", ["secret", "old"])
def test_nothing_there_is_absent_and_says_where(mount: str) -> None:
    kind = 2 if mount == "secret" else 1
    assert absent(f"vault://{mount}/nobody") == (
        f"vault {mount}/nobody no such secret (KV {kind} mounted at {mount}/)"
    )


def test_the_path_of_the_api_is_recognised(bao: Bao, key: Key) -> None:
    bao.put(as_document(key))
    assert "its path has no data/ here" in absent("vault://secret/data/app/twilio")


def test_a_document_without_a_key_is_absent(bao: Bao) -> None:
    bao.put({"password": "x"})
    assert "not in the secret" in absent()


@pytest.mark.parametrize("kind", [1, 2])
def test_who_may_not_ask_how_it_is_mounted_reads_all_the_same(
    bao: Bao, key: Key, monkeypatch: pytest.MonkeyPatch, kind: int
) -> None:
    """A policy may shut sys/internal; then both forms of the path are tried."""
    path = {1: "old/app/twilio", 2: PATH}[kind]
    bao.call("POST", path, as_document(key) if kind == 1 else {"data": as_document(key)})
    shut = 'path "sys/internal/ui/mounts/*" { capabilities = ["deny"] }\n'
    bao.policy(f"shut{kind}", f'{shut}path "{path}" {{ capabilities = ["read"] }}')
    monkeypatch.setenv("VAULT_TOKEN", bao.token(f"shut{kind}"))
    mount = path.partition("/")[0]
    assert revealed(load(f"vault://{mount}/app/twilio")) == key
    assert revealed(load(f"vault://{mount}/app/twilio?kv={kind}")) == key


def test_a_token_for_one_use_is_enough_if_the_kind_is_named(
    bao: Bao, key: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    bao.put(as_document(key))
    monkeypatch.setenv("VAULT_TOKEN", bao.token("reader", num_uses=1))
    assert revealed(load(f"{REFERENCE}?kv=2")) == key


def failed(text: str, *values: str) -> BackendError:
    error = refused(lambda: backend(text).load(None))
    assert isinstance(error, BackendError)
    assert_silent(error, values)
    return error


def test_denied_names_the_policy_to_write(
    bao: Bao, key: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    bao.put(as_document(key))
    bao.policy("other", 'path "secret/data/other" { capabilities = ["read"] }')
    token = bao.token("other")
    monkeypatch.setenv("VAULT_TOKEN", token)
    error = failed(REFERENCE, token, key.secret)
    assert codes(error) == ["ST330"]
    assert isinstance(error, BackendDenied)
    assert "policies default, other" in str(error)
    assert "the token in env VAULT_TOKEN (accessor " in str(error)
    assert READ_POLICY in str(error)


def test_denied_to_a_token_that_may_not_even_look_at_itself(
    bao: Bao, key: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    bao.put(as_document(key))
    bao.policy("other", 'path "secret/data/other" { capabilities = ["read"] }')
    monkeypatch.setenv("VAULT_TOKEN", bao.token("other", no_default_policy=True))
    assert codes(failed(REFERENCE)) == ["ST330"]


def test_a_token_that_is_revoked_is_not_denied_but_refused(
    bao: Bao, key: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    bao.put(as_document(key))
    token = bao.token("reader")
    monkeypatch.setenv("VAULT_TOKEN", token)
    load()
    bao.call("POST", "auth/token/revoke", {"token": token})
    error = failed(REFERENCE, token)
    assert codes(error) == ["ST331"]
    assert "expired, revoked" in str(error)
    assert "the token in env VAULT_TOKEN" in str(error)


def test_no_token_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VAULT_TOKEN")
    error = failed(REFERENCE)
    assert codes(error) == ["ST331"]
    assert "env VAULT_TOKEN or the file ~/.vault-token" in str(error)


def test_a_deleted_version_is_switched_off(bao: Bao, key: Key) -> None:
    bao.put(as_document(key))
    bao.call("DELETE", PATH)
    error = failed(REFERENCE, key.secret)
    assert codes(error) == ["ST335"]
    assert "vault kv undelete -mount=secret -versions=1 app/twilio" in str(error)


def test_a_destroyed_version_is_gone(bao: Bao, key: Key) -> None:
    bao.put(as_document(key))
    bao.call("PUT", "secret/destroy/app/twilio", {"versions": [1]})
    error = failed(REFERENCE)
    assert codes(error) == ["ST335"]
    assert "destroyed" in str(error)


def test_a_version_that_is_not_there(bao: Bao, key: Key) -> None:
    assert "no such secret" in absent(f"{REFERENCE}?version=7")
    bao.put(as_document(key))
    error = failed(f"{REFERENCE}?version=7", key.secret)
    assert codes(error) == ["ST336"]
    assert "version 7 of secret/app/twilio" in str(error)


def test_kv1_has_no_version_to_name(bao: Bao, key: Key) -> None:
    bao.call("POST", "old/app/twilio", as_document(key))
    assert codes(failed("vault://old/app/twilio?version=1", key.secret)) == ["ST336"]


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        ({"api_key": 42}, "api_key is a int"),
        ({"api_key": ["x"]}, "api_key is a list"),
        ({"twilio": ["x"]}, "not an object"),
    ],
)
def test_malformed(bao: Bao, fields: dict[str, object], what: str) -> None:
    bao.put(fields)
    text = f"{REFERENCE}#twilio" if "twilio" in fields else REFERENCE
    error = failed(text)
    assert codes(error) == ["ST333"]
    assert what in str(error)


def test_half_a_pair_stops_the_boot(bao: Bao, key: Key, monkeypatch: pytest.MonkeyPatch) -> None:
    bao.put({"account_sid": key.account, "api_key": key.sid})
    monkeypatch.setenv("SAFETWILIO_BACKEND", f"{REFERENCE},env")
    error = refused(safetwilio.boot)
    assert_silent(error, [key.sid])
    assert f"not asked: {REFERENCE} holds half a key" in str(error)


def test_what_is_mounted_there_is_no_kv(bao: Bao) -> None:
    bao.call("POST", "sys/mounts/cipher", {"type": "transit"})
    error = failed("vault://cipher/app")
    assert codes(error) == ["ST302"]
    assert "no KV engine" in str(error)


def test_a_record_is_never_mixed(bao: Bao) -> None:
    """1,000 loads while another thread rotates: account, key and secret are of one version."""
    keys = {key.sid: key for key in (new_key() for _ in range(8))}
    bao.put(as_document(next(iter(keys.values()))))
    done = threading.Event()

    def rotate() -> None:
        while not done.is_set():
            for key in keys.values():
                bao.put(as_document(key))

    rotator = threading.Thread(target=rotate)
    rotator.start()
    seen = set()
    try:
        for _ in range(1000):
            record = load(f"{REFERENCE}?kv=2")
            account, sid, secret = revealed(record)
            assert keys[sid] == (account, sid, secret)
            seen.add(record.version)
    finally:
        done.set()
        rotator.join()
    assert len(seen) > 10


def test_one_read_of_the_secret_for_one_load(monkeypatch: pytest.MonkeyPatch, key: Key) -> None:
    """Besides: one question how it is mounted, and one how long the token is good."""

    def reply(_: str, path: str, *__: object) -> tuple[int, object]:
        if "mounts" in path:
            return 200, {"data": {"type": "kv", "path": "secret/", "options": {"version": "2"}}}
        return 200, {"data": {"data": as_document(key), "metadata": {"version": 1}}}

    with Loopback(reply) as server:
        monkeypatch.setenv("VAULT_ADDR", server.url)
        load()
        first = [path for _, path, _, _ in server.asked]
        load()
    assert first == [
        "/v1/sys/internal/ui/mounts/secret/app/twilio",
        f"/v1/{PATH}",
        "/v1/auth/token/lookup-self",
    ]
    assert [path for _, path, _, _ in server.asked][3:] == first[:2]


def test_odd_names_are_quoted(bao: Bao, key: Key) -> None:
    bao.put(as_document(key), "secret/data/a%20b/c%3Fd%25")
    assert revealed(load("vault://secret/a b/c%3Fd%25")) == key


def test_nothing_of_it_is_imported_before_it_is_used(tmp_path: Path) -> None:
    done = run_python(
        "-c",
        "import sys\nfrom safetwilio.backends.locate import open_backend, parse\n"
        f"[r] = parse({REFERENCE!r}, place='x')\nopen_backend(r)\n"
        "print([n for n in ('hvac', 'requests', 'botocore', 'google.auth') if n in sys.modules])",
        cwd=tmp_path,
        environment={},
    )
    assert (done.stdout.strip(), done.returncode) == ("[]", 0), done.stderr


def test_without_hvac_the_pip_command_is_named(tmp_path: Path) -> None:
    done = run_python(
        "-c",
        "import sys\nsys.modules['hvac'] = None\nfrom safetwilio import boot\nboot()",
        cwd=tmp_path,
        environment={
            "SAFETWILIO_BACKEND": REFERENCE,
            "VAULT_ADDR": "http://127.0.0.1:9",
            "VAULT_TOKEN": "x",
        },
    )
    assert "ST901" in done.stderr
    assert 'pip install "safetwilio[vault]"' in done.stderr


def test_it_is_writable() -> None:
    assert isinstance(backend(), WritableBackend)
