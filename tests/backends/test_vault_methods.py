"""JWT, namespaces and agents of a real OpenBao; children of a fork, and what is logged."""

from __future__ import annotations

import logging
import os
import secrets
import time
from typing import TYPE_CHECKING

import jwt as pyjwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from vault_server import (
    PATH,
    REFERENCE,
    Bao,
    Process,
    as_document,
    binary,
    clean,
    free_port,
    until,
)

from safetwilio.backends import vault_login
from safetwilio.backends.interface import Found
from safetwilio.backends.locate import parse
from safetwilio.backends.vault import VaultBackend
from support import Key, assert_silent, codes, leaks, new_key, refused, run_python, write

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


# --- namespaces


def test_a_namespace_from_the_environment_and_from_the_reference(
    bao: Bao, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hvac by itself takes no notice of VAULT_NAMESPACE."""
    space = f"team-{secrets.token_hex(4)}"
    bao.call("POST", f"sys/namespaces/{space}", {})
    bao.call("POST", "sys/mounts/secret", {"type": "kv", "options": {"version": "2"}},
             namespace=space)  # fmt: skip
    key = new_key()
    until(lambda: bao.status("GET", "secret/config", namespace=space) == 200)
    bao.put(as_document(key), namespace=space)
    monkeypatch.setenv("VAULT_TOKEN", bao.root)
    assert secret(f"namespace={space}") == key.secret
    monkeypatch.setenv("VAULT_NAMESPACE", f"{space}/")
    assert secret() == key.secret
    monkeypatch.setenv("VAULT_NAMESPACE", "nobody")
    error = failed("")
    assert codes(error) == ["ST302"]
    assert "the namespace nobody" in str(error)


def test_a_wrapped_secret_id_of_a_namespace(bao: Bao, monkeypatch: pytest.MonkeyPatch) -> None:
    space = f"team-{secrets.token_hex(4)}"
    bao.call("POST", f"sys/namespaces/{space}", {})
    more = {"namespace": space}
    bao.call("POST", "sys/mounts/secret", {"type": "kv", "options": {"version": "2"}}, **more)
    until(lambda: bao.status("GET", "secret/config", namespace=space) == 200)
    key = new_key()
    bao.put(as_document(key), **more)
    bao.policy("reader", **more)
    bao.call("POST", "sys/auth/approle", {"type": "approle"}, **more)
    bao.call("POST", "auth/approle/role/app", {"token_policies": "reader"}, **more)
    role_id = bao.call("GET", "auth/approle/role/app/role-id", **more)["data"]["role_id"]
    answer = bao.call("POST", "auth/approle/role/app/secret-id", {}, wrap="60s", **more)
    monkeypatch.setenv("VAULT_SECRET_ID", answer["wrap_info"]["token"])
    assert secret(f"namespace={space}&auth=approle&wrapped=yes&role={role_id}") == key.secret


# --- JWT


def signed(private: rsa.RSAPrivateKey, **claims: object) -> str:
    return pyjwt.encode(claims, private, algorithm="RS256")


@pytest.fixture(scope="module")
def issuer(bao: Bao) -> tuple[str, rsa.RSAPrivateKey]:
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    path = bao.method("jwt")
    bao.call("POST", f"auth/{path}/config", {"jwt_validation_pubkeys": [public.decode()]})
    role = {
        "role_type": "jwt",
        "bound_audiences": ["vault"],
        "user_claim": "sub",
        "token_policies": "reader",
    }
    bao.call("POST", f"auth/{path}/role/app", role)
    return path, private


def test_jwt(
    key: Key,
    issuer: tuple[str, rsa.RSAPrivateKey],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    path, private = issuer
    token = signed(private, sub="ci", aud="vault", exp=int(time.time()) + 60)
    monkeypatch.setenv("VAULT_JWT", token)
    assert secret(f"auth=jwt&role=app&auth_path={path}") == key.secret
    vault_login.forget()
    monkeypatch.delenv("VAULT_JWT")
    file = write(tmp_path / "jwt", token)
    assert secret(f"auth=jwt&role=app&auth_path={path}&file={file}") == key.secret


def test_a_jwt_that_expired(
    issuer: tuple[str, rsa.RSAPrivateKey], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, private = issuer
    token = signed(private, sub="ci", aud="vault", exp=int(time.time()) - 3600)
    monkeypatch.setenv("VAULT_JWT", token)
    error = failed(f"auth=jwt&role=app&auth_path={path}", token)
    assert codes(error) == ["ST331"]
    assert 'JWT role "app" with the token in env VAULT_JWT' in str(error)


# --- an agent


def test_through_a_proxy_without_a_token_of_ours(
    bao: Bao, key: Key, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path, role_id, role = bao.approle()
    port = free_port()
    config = write(
        tmp_path / "proxy.hcl",
        f"""
vault {{ address = "{bao.url}" }}
auto_auth {{
  method "approle" {{
    mount_path = "auth/{path}"
    config = {{
      role_id_file_path = "{write(tmp_path / "role", role_id)}"
      secret_id_file_path = "{write(tmp_path / "secret", bao.secret_id(role))}"
    }}
  }}
}}
api_proxy {{ use_auto_auth_token = "force" }}
listener "tcp" {{
  address = "127.0.0.1:{port}"
  tls_disable = true
  require_request_header = true
}}
""",
    )
    proxy = Process(binary(), "proxy", f"-config={config}", log=tmp_path / "proxy.log")
    # Only now: the proxy reads these names as well.
    monkeypatch.setenv("VAULT_ADDR", "http://127.0.0.1:9")
    monkeypatch.setenv("VAULT_AGENT_ADDR", f"http://127.0.0.1:{port}")
    try:
        log = tmp_path / "proxy.log"
        proxy.wait_for(lambda: b"authentication successful" in log.read_bytes())
        assert secret("auth=agent") == key.secret
        assert len(bao.logins(f"auth/{path}/login")) == 1
        bao.policy("reader", 'path "secret/data/elsewhere" { capabilities = ["read"] }')
        error = failed("auth=agent", key.secret)
        assert codes(error) == ["ST330"]
        assert "the agent or proxy, which logs in by itself (policies default, reader)" in str(
            error
        )
    finally:
        bao.policy("reader")
        proxy.stop()


def test_the_agent_takes_no_token_of_the_environment(
    bao: Bao, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is picked because it happens to be there."""
    monkeypatch.setenv("VAULT_TOKEN", bao.root)
    error = failed("auth=agent", bao.root)
    assert codes(error) == ["ST331"]
    assert "agent" in str(error)


# --- a process and its children

FORKED = """
import os, sys
from safetwilio.backends.locate import parse
from safetwilio.backends.vault import VaultBackend
[reference] = parse(sys.argv[1], place="the test")
wanted = VaultBackend(reference).load(None).record.fields["secret"].reveal()
children = []
for _ in range(4):
    child = os.fork()
    if child == 0:
        good = [VaultBackend(reference).load(None).record.fields["secret"].reveal() == wanted
                for _ in range(50)]
        os._exit(0 if all(good) else 1)
    children.append(child)
print([os.waitpid(child, 0)[1] for child in children])
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.usefixtures("key")
def test_children_go_on_with_the_login_of_their_parent(bao: Bao, tmp_path: Path) -> None:
    """A secret ID for one use, opened before the fork: 200 reads in four children, one login."""
    path, role_id, role = bao.approle(secret_id_num_uses=1)
    text = f"{REFERENCE}?auth=approle&wrapped=yes&role={role_id}&auth_path={path}"
    done = run_python(
        "-c",
        FORKED,
        text,
        cwd=tmp_path,
        environment={"VAULT_ADDR": bao.url, "VAULT_SECRET_ID": bao.secret_id(role, wrap="60s")},
    )
    assert (done.stdout.strip(), done.returncode) == ("[0, 0, 0, 0]", 0), done.stderr
    assert len(bao.logins(f"auth/{path}/login")) == 1


def test_nothing_is_logged_that_is_secret(
    bao: Bao, key: Key, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path, role_id, role = bao.approle()
    secret_id = bao.secret_id(role)
    monkeypatch.setenv("VAULT_SECRET_ID", secret_id)
    caplog.set_level(logging.DEBUG)
    secret(f"auth=approle&role={role_id}&auth_path={path}")
    assert leaks(caplog.text, [key.secret, secret_id]) == []
    assert PATH not in caplog.text  # the libraries were not heard at all
    logging.getLogger("urllib3.connectionpool").warning("afterwards they are")
    assert "afterwards they are" in caplog.text
