"""AWS and Google logins by their own wire: OpenBao does not know these methods."""

from __future__ import annotations

import base64
import json
import logging
import re
import secrets
import time
from typing import TYPE_CHECKING, Any

import jwt as pyjwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from vault_server import (
    REFERENCE,
    Loopback,
    as_document,
    clean,
)

from safetwilio.backends.interface import Found
from safetwilio.backends.locate import parse
from safetwilio.backends.vault import VaultBackend
from support import Key, assert_silent, codes, leaks, new_key, refused, run_python, write

if TYPE_CHECKING:
    from pathlib import Path

    from safetwilio.errors import ConfigurationError


@pytest.fixture
def key() -> Key:
    return new_key()


@pytest.fixture(autouse=True)
def _surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    clean(monkeypatch, tmp_path)
    monkeypatch.setenv("VAULT_ADDR", "http://127.0.0.1:9")


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


def signed(private: rsa.RSAPrivateKey, **claims: object) -> str:
    return pyjwt.encode(claims, private, algorithm="RS256")


def login_server(key: Key, kind: str) -> Loopback:
    token = f"hvs.{secrets.token_hex(16)}"

    def reply(_: str, path: str, headers: dict[str, str], __: Any) -> tuple[int, object]:
        if path == f"/v1/auth/{kind}/login":
            return 200, {"auth": {"client_token": token, "lease_duration": 60, "renewable": True}}
        if headers.get("X-Vault-Token") != token:
            return 403, {"errors": ["permission denied"]}
        return 200, {"data": {"data": as_document(key), "metadata": {"version": 3}}}

    return Loopback(reply)


def decoded(text: str) -> str:
    return base64.b64decode(text).decode()


@pytest.mark.parametrize(
    "place",
    [
        ("", "us-east-1", "sts.amazonaws.com"),
        ("&region=eu-west-1", "eu-west-1", "sts.eu-west-1.amazonaws.com"),
        ("&region=cn-north-1", "cn-north-1", "sts.cn-north-1.amazonaws.com.cn"),
    ],
)
def test_aws(
    key: Key,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    place: tuple[str, str, str],
) -> None:
    """The request to STS is signed with the credentials found, and not sent by us."""
    options, region, host = place
    access, private, session = (
        "AKIA" + secrets.token_hex(8).upper(),
        secrets.token_hex(20),
        "t" * 40,
    )
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", access)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", private)
    monkeypatch.setenv("AWS_SESSION_TOKEN", session)
    caplog.set_level(logging.DEBUG)
    with login_server(key, "aws") as server:
        monkeypatch.setenv("VAULT_ADDR", server.url)
        assert secret(f"auth=aws&role=app&kv=2&server_id=vault.example.com{options}") == key.secret
        data = server.asked[0][3]
    headers = json.loads(decoded(data["iam_request_headers"]))
    assert (data["role"], data["iam_http_request_method"]) == ("app", "POST")
    assert decoded(data["iam_request_url"]) == f"https://{host}/"
    assert decoded(data["iam_request_body"]) == "Action=GetCallerIdentity&Version=2011-06-15"
    assert headers["X-Vault-AWS-IAM-Server-ID"] == ["vault.example.com"]
    assert headers["X-Amz-Security-Token"] == [session]
    (authorization,) = headers["Authorization"]
    assert f"Credential={access}/{headers['X-Amz-Date'][0][:8]}/{region}/sts/" in authorization
    assert "x-vault-aws-iam-server-id" in authorization
    assert authorization.endswith(f"Signature={signature(headers, host, region, private)}")
    assert leaks(caplog.text, [private, session, authorization[-64:], key.secret]) == []


def signature(headers: dict[str, list[str]], host: str, region: str, private: str) -> str:
    """Sign the request as AWS does, by its documentation (Signature Version 4)."""
    import hashlib
    import hmac

    values = {name.lower(): value[0] for name, value in headers.items()} | {"host": host}
    found = re.search("SignedHeaders=([^,]+)", values["authorization"])
    assert found is not None
    names = found[1].split(";")
    body = hashlib.sha256(b"Action=GetCallerIdentity&Version=2011-06-15").hexdigest()
    canonical = ["POST", "/", "", *(f"{n}:{values[n]}" for n in names), "", found[1], body]
    date = values["x-amz-date"]
    scope = f"{date[:8]}/{region}/sts/aws4_request"
    digest = hashlib.sha256("\n".join(canonical).encode()).hexdigest()
    signing = f"AWS4{private}".encode()
    for part in scope.split("/"):
        signing = hmac.digest(signing, part.encode(), "sha256")
    text = f"AWS4-HMAC-SHA256\n{date}\n{scope}\n{digest}"
    return hmac.new(signing, text.encode(), "sha256").hexdigest()


def test_aws_without_credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    error = failed("auth=aws&role=app")
    assert codes(error) == ["ST331"]
    assert "found no credentials" in str(error)


LOAD = """
import sys
from safetwilio.backends.locate import parse
from safetwilio.backends.vault import VaultBackend
[reference] = parse(sys.argv[1], place="the test")
print(VaultBackend(reference).load(None).record.fields["key_sid"].reveal())
"""


def test_google_machine(key: Key, tmp_path: Path) -> None:
    """The metadata server's identity token for this role, in full, is what logs in."""
    token = signed(
        rsa.generate_private_key(public_exponent=65537, key_size=2048), exp=int(time.time()) + 60
    )

    def metadata(_: str, path: str, headers: dict[str, str], __: Any) -> tuple[int, object]:
        assert {name.lower(): value for name, value in headers.items()}["metadata-flavor"]
        more = {"Metadata-Flavor": "Google", "Content-Type": "application/json"}
        if "/identity?" not in path:
            return 200, {"email": "app@project.iam.gserviceaccount.com", "__headers__": more}
        return 200, {
            "__body__": token.encode(),
            "__headers__": more | {"Content-Type": "text/html"},
        }

    # In a process of its own: the library reads the address when it is imported.
    with Loopback(metadata) as google, login_server(key, "gcp") as server:
        done = run_python(
            "-c",
            LOAD,
            f"{REFERENCE}?auth=gcp-gce&role=app&kv=2",
            cwd=tmp_path,
            environment={
                "GCE_METADATA_HOST": f"127.0.0.1:{google.port}",
                "VAULT_ADDR": server.url,
                "NO_PROXY": "127.0.0.1",
            },
        )
        assert done.stdout.strip() == key.sid, done.stderr
        assert server.asked[0][3] == {"jwt": token, "role": "app"}
        (path,) = [path for _, path, _, _ in google.asked if "/identity?" in path]
    assert "audience=https%3A%2F%2Fvault%2Fapp" in path
    assert "format=full" in path


def test_google_key(key: Key, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A JWT of our own, signed with the service account's key."""
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()
    account = {
        "type": "service_account",
        "private_key": pem,
        "private_key_id": "k1",
        "client_email": "app@project.iam.gserviceaccount.com",
        "token_uri": "https://oauth2.googleapis.com/token",
    }
    file = write(tmp_path / "account.json", json.dumps(account))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))
    with login_server(key, "gcp") as server:
        monkeypatch.setenv("VAULT_ADDR", server.url)
        assert secret("auth=gcp-iam&role=app&kv=2") == key.secret
        token = server.asked[0][3]["jwt"]
    claims = pyjwt.decode(token, private.public_key(), ["RS256"], audience="vault/app")
    assert claims["sub"] == account["client_email"]
    assert 0 < claims["exp"] - time.time() <= 900
    assert pyjwt.get_unverified_header(token)["kid"] == "k1"


@pytest.mark.parametrize("content", ["", "{}", "{secret-text-of-the-file"])
def test_google_key_that_is_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: str
) -> None:
    file = write(tmp_path / "account.json", content)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))
    error = failed("auth=gcp-iam&role=app", "secret-text-of-the-file")
    assert codes(error) == ["ST331"]
    assert "GOOGLE_APPLICATION_CREDENTIALS" in str(error)
