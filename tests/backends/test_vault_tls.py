"""A real OpenBao behind TLS: whose certificate is trusted, ours, its seal, and Kubernetes."""

from __future__ import annotations

import ssl
import time
from typing import TYPE_CHECKING, Any

import jwt as pyjwt
import pytest
import trustme
from cryptography.hazmat.primitives.asymmetric import rsa
from vault_server import REFERENCE, Bao, Loopback, as_document, black_hole, clean

from safetwilio.backends import vault_login
from safetwilio.backends.interface import Found
from safetwilio.backends.locate import parse
from safetwilio.backends.vault import VaultBackend
from support import Key, assert_silent, codes, new_key, refused, write

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from safetwilio.errors import ConfigurationError


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def files(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the certificates of server and client, and that of the authority."""
    folder = tmp_path_factory.mktemp("tls")
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    trustme.CA().cert_pem.write_to_path(str(folder / "other.pem"))
    for name, host in (("server", "127.0.0.1"), ("client", "app.example.com")):
        issued = authority.issue_cert(host, common_name=name)
        issued.cert_chain_pems[0].write_to_path(str(folder / f"{name}.pem"))
        issued.private_key_pem.write_to_path(str(folder / f"{name}.key"))
    return folder


@pytest.fixture(scope="module")
def bao(authority: trustme.CA, files: Path) -> Iterator[Bao]:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    lines = f'tls_cert_file = "{files}/server.pem"\ntls_key_file = "{files}/server.key"'
    with Bao(files, tls=(context, lines)) as server:
        server.policy("reader")
        yield server


@pytest.fixture
def key(bao: Bao) -> Key:
    key = new_key()
    bao.put(as_document(key))
    return key


@pytest.fixture(autouse=True)
def _surroundings(bao: Bao, files: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    clean(monkeypatch, tmp_path)
    monkeypatch.setenv("VAULT_ADDR", bao.url)
    monkeypatch.setenv("VAULT_TOKEN", bao.root)
    monkeypatch.setenv("VAULT_CACERT", str(files / "ca.pem"))


def secret(options: str = "") -> str:
    (reference,) = parse(f"{REFERENCE}?{options}", place="the test")
    answer = VaultBackend(reference).load(None)
    assert isinstance(answer, Found), answer
    return answer.record.fields["secret"].reveal()


def failed(options: str = "", *values: str) -> ConfigurationError:
    (reference,) = parse(f"{REFERENCE}?{options}", place="the test")
    backend = VaultBackend(reference)
    error = refused(lambda: backend.load(None))
    assert_silent(error, values)
    return error


def test_the_authority_of_vault_cacert_is_trusted(key: Key) -> None:
    assert secret() == key.secret


@pytest.mark.parametrize("name", [None, "other.pem"])
def test_any_other_is_not(files: Path, monkeypatch: pytest.MonkeyPatch, name: str | None) -> None:
    if name is None:
        monkeypatch.delenv("VAULT_CACERT")
    else:
        monkeypatch.setenv("VAULT_CACERT", str(files / name))
    error = failed()
    assert codes(error) == ["ST332"]
    assert "its certificate is not one we trust" in str(error)


def test_a_directory_of_authorities(
    key: Key, files: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As OpenSSL reads one: by the hash of the name, which stands in the file's name."""
    from cryptography import x509

    monkeypatch.delenv("VAULT_CACERT")
    monkeypatch.setenv("VAULT_CAPATH", str(tmp_path))
    pem = (files / "ca.pem").read_bytes()
    (tmp_path / "ca.pem").write_bytes(pem)
    error = failed()
    assert codes(error) == ["ST302"]
    assert "openssl rehash" in str(error)
    x509.load_pem_x509_certificate(pem)
    (tmp_path / f"{subject_hash(pem):08x}.0").write_bytes(pem)
    assert secret() == key.secret


def subject_hash(pem: bytes) -> int:
    """Return OpenSSL's X509_NAME_hash: SHA-1 of the name in its canonical encoding."""
    import hashlib

    from cryptography import x509

    name = x509.load_pem_x509_certificate(pem).subject
    parts = []
    for attribute in name:
        oid = x509.Name([attribute]).public_bytes()
        start = oid.index(b"\x06")
        identifier = oid[start : start + 2 + oid[start + 1]]
        text = " ".join(str(attribute.value).lower().split()).encode()
        value = bytes([0x0C, len(text)]) + text
        pair = identifier + value
        sequence = bytes([0x30, len(pair)]) + pair
        parts.append(bytes([0x31, len(sequence)]) + sequence)
    return int.from_bytes(hashlib.sha1(b"".join(parts)).digest()[:4], "little")  # noqa: S324


def test_checking_is_never_switched_off(bao: Bao, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAULT_SKIP_VERIFY", "true")
    error = failed()
    assert codes(error) == ["ST302"]
    assert "env VAULT_SKIP_VERIFY" in str(error)
    monkeypatch.setenv("VAULT_SKIP_VERIFY", "0")
    bao.put({})
    with pytest.raises(AssertionError, match="Absent"):
        secret()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("VAULT_CACERT", "/nowhere/ca.pem"),
        ("VAULT_CLIENT_CERT", "/nowhere/client.pem"),
        ("VAULT_CLIENT_KEY", "/nowhere/client.key"),
        ("VAULT_ADDR", ""),
        ("VAULT_ADDR", "vault.example.com"),
        ("VAULT_ADDR", "https://user:pw@vault.example.com"),
        ("VAULT_ADDR", "https://vault.example.com:99999"),
        ("VAULT_ADDR", "https://vault.example.com/?a=b"),
        ("VAULT_ADDR", "unix:///run/vault.sock"),
    ],
)
def test_settings_that_cannot_be_used(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    error = failed()
    assert codes(error) == ["ST302"]
    assert "env VAULT_" in str(error)
    assert "user:pw" not in str(error)


@pytest.mark.parametrize("host", ["localhost", "vault.internal", "198.51.100.7"])
def test_plain_http_to_another_machine(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    monkeypatch.setenv("VAULT_ADDR", f"http://{host}:8200")
    assert codes(failed()) == ["ST339"]


def test_plain_http_of_this_machine_goes_past_a_proxy(
    key: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The proxy of the environment would read the token."""
    reply = {"data": {"data": as_document(key), "metadata": {"version": 1}}}
    with Loopback(lambda *_: (200, reply)) as server, black_hole() as proxy:
        monkeypatch.setenv("VAULT_ADDR", server.url)
        for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy}")
        assert secret("kv=2") == key.secret


def test_the_certificate_of_a_client_logs_in(
    bao: Bao, key: Key, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = bao.method("cert")
    trusted = {"certificate": (files / "ca.pem").read_text(), "token_policies": "reader"}
    bao.call("POST", f"auth/{path}/certs/app", trusted)
    options = f"auth=cert&role=app&auth_path={path}"
    assert codes(failed(options)) == ["ST302"]
    monkeypatch.setenv("VAULT_CLIENT_CERT", str(files / "client.pem"))
    monkeypatch.setenv("VAULT_CLIENT_KEY", str(files / "client.key"))
    assert secret(options) == key.secret
    error = failed(f"auth=cert&role=nobody&auth_path={path}")
    assert codes(error) == ["ST331"]
    assert 'the certificate in env VAULT_CLIENT_CERT, role "nobody"' in str(error)


def test_a_sealed_vault_says_so_and_works_again_when_it_is_opened(bao: Bao, key: Key) -> None:
    bao.seal()
    try:
        error = failed()
    finally:
        bao.unseal()
    assert codes(error) == ["ST335"]
    assert f"{bao.url}: it is sealed" in str(error)
    assert secret() == key.secret


def test_kubernetes(bao: Bao, key: Key, authority: trustme.CA, tmp_path: Path) -> None:
    """OpenBao asks the cluster's TokenReview whose the token is; the cluster is played here."""
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    account = {"namespace": "shop", "serviceaccount": {"name": "app", "uid": "u1"}}
    now = int(time.time())
    claims = {
        "sub": "system:serviceaccount:shop:app",
        "aud": ["vault"],
        "exp": now + 600,
        "nbf": now - 60,
        "iat": now - 60,
        "kubernetes.io": account,
    }
    token = pyjwt.encode(claims, private, algorithm="RS256")
    user = {"username": "system:serviceaccount:shop:app", "uid": "u1", "groups": []}

    def review(_: str, path: str, __: dict[str, str], data: Any) -> tuple[int, object]:
        good = path.endswith("/tokenreviews") and data["spec"]["token"] == token
        status = {"authenticated": good, "user": user if good else {}, "audiences": ["vault"]}
        return 201, {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview",
                     "status": status}  # fmt: skip

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    path = bao.method("kubernetes")
    with Loopback(review, context) as cluster:
        config = {
            "kubernetes_host": cluster.url,
            "kubernetes_ca_cert": authority.cert_pem.bytes().decode(),
            "token_reviewer_jwt": token,
            "disable_local_ca_jwt": True,
        }
        bao.call("POST", f"auth/{path}/config", config)
        role = {
            "bound_service_account_names": "app",
            "bound_service_account_namespaces": "shop",
            "token_policies": "reader",
        }
        bao.call("POST", f"auth/{path}/role/app", role)
        file = write(tmp_path / "token", token)
        options = f"auth=kubernetes&role=app&auth_path={path}&file={file}"
        assert secret(options) == key.secret
        vault_login.forget()
        write(file, pyjwt.encode(claims | {"jti": "2"}, private, algorithm="RS256"))
        error = failed(options, token)
        assert codes(error) == ["ST331"]
        assert f'Kubernetes role "app" with the token in the file {file}' in str(error)
