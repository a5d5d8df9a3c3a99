"""A captured webhook: what Twilio signed, what was seen, and the setting that lies between."""

from __future__ import annotations

import io
import json
import os
import sys
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest

from safetwilio import WebhookSettings
from safetwilio.cli.main import main
from safetwilio.testing.webhooks import sign_request
from safetwilio.webhook_check import check
from safetwilio.webhooks.captured import Captured
from support import auth_token, key_secret, leaks, write

if TYPE_CHECKING:
    from pathlib import Path

FORM = {"From": "+15005550006", "Body": "Hello there", "NumMedia": "0"}
SIGNED = "https://example.com/twilio/sms?x=1"
KEY_ID = "webhooks_sharedkey_01"


@pytest.fixture
def token(monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the Auth Token that the application has in its environment."""
    token = auth_token()
    monkeypatch.setenv("TWILIO_WEBHOOK_AUTH_TOKEN", token)
    return token


def capture(first: str, headers: dict[str, str], body: str, newline: str = "\n") -> str:
    """Return a request as an inspector shows it."""
    lines = [f"{first} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    return newline.join([*lines, "", body])


def signed_form(token: str, **headers: str) -> str:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    given = {"Host": "10.0.0.7:8000", "Content-Type": "application/x-www-form-urlencoded"}
    signed = sign_request(SIGNED, params=FORM, auth_token=token)
    return capture("POST /sms?x=1", given | signed.headers | named, urlencode(FORM))


def checked(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, Any]]:
    """Return the exit code of ``webhook check --json`` and what it printed."""
    code = main(["webhook", "check", *words, "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_a_proxy_that_changed_scheme_host_and_path(
    token: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = signed_form(token, X_Forwarded_Host="example.com", X_Forwarded_Prefix="/twilio")
    file = str(write(tmp_path / "request.txt", text))

    code, found = checked(capsys, file)
    assert code == 10
    assert [each["what"] for each in found["findings"]] == ["scheme", "host", "prefix"]
    assert found["url"] == "http://10.0.0.7:8000/sms?x=1"
    assert found["signed_url"] == SIGNED
    assert found["settings"] == ["TWILIO_WEBHOOK_PUBLIC_URL=https://example.com/twilio"]

    assert main(["webhook", "check", file]) == 10
    shown = capsys.readouterr().err
    assert "TWILIO_WEBHOOK_PUBLIC_URL=https://example.com/twilio" in shown
    assert leaks(shown, [token]) == []


def test_the_setting_it_names_is_the_one_that_helps(
    token: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = signed_form(token, X_Forwarded_Host="example.com", X_Forwarded_Prefix="/twilio")
    file = str(write(tmp_path / "request.txt", text))
    name, _, value = checked(capsys, file)[1]["settings"][0].partition("=")

    monkeypatch.setenv(name, value)
    assert checked(capsys, file) == (
        0,
        {"ok": True, "url": SIGNED, "signed_url": SIGNED, "findings": [], "settings": []},
    )


def test_another_secret_is_said_to_be_one(
    token: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = str(write(tmp_path / "request.txt", signed_form(auth_token())))
    code, found = checked(capsys, file)
    assert (code, found["signed_url"]) == (10, None)
    assert [each["what"] for each in found["findings"]] == ["nothing-matches"]
    assert leaks(json.dumps(found), [token]) == []


def test_the_secondary_token_signed(
    token: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    other = auth_token()
    monkeypatch.setenv("TWILIO_WEBHOOK_SECONDARY_AUTH_TOKEN", other)
    file = str(write(tmp_path / "request.txt", signed_form(other)))
    code, found = checked(capsys, file, "--public-url", "https://example.com/twilio")
    assert code == 10
    assert [each["what"] for each in found["findings"]] == ["secondary"]
    assert "TWILIO_WEBHOOK_SECONDARY_AUTH_TOKEN" in found["settings"][0]
    assert leaks(json.dumps(found), [token, other]) == []


def test_json_and_its_body_hash(
    token: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    body = b'{"a": 1}'
    signed = sign_request("https://example.com/events", body=body, auth_token=token)
    target = signed.url.removeprefix("https://example.com")
    headers = {"Host": "example.com", "Content-Type": "application/json", **signed.headers}
    for sent, expected in ((body.decode(), []), ('{"a": 2}', ["wrong-body"])):
        text = capture(f"POST {target}", headers, sent, "\r\n")
        file = str(write(tmp_path / "request.txt", text))
        _, found = checked(capsys, file, "--public-url", "https://example.com")
        assert [each["what"] for each in found["findings"]] == expected


def test_a_shared_key_and_one_that_is_not_configured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    secret = key_secret(40)
    monkeypatch.setenv("TWILIO_WEBHOOK_SHARED_KEYS", f"{KEY_ID}={secret}")
    for name, expected in ((KEY_ID, []), ("webhooks_sharedkey_02", ["unknown-key"])):
        signed = sign_request("https://example.com/sms", shared_key=(name, secret))
        text = capture("GET /sms", {"Host": "example.com", **signed.headers}, "")
        file = str(write(tmp_path / "request.txt", text))
        _, found = checked(capsys, file, "--public-url", "https://example.com")
        assert [each["what"] for each in found["findings"]] == expected
        assert leaks(json.dumps(found), [secret]) == []


def test_an_auth_token_where_only_shared_keys_count() -> None:
    """The token is not kept then, so that nothing else would tell why."""
    secret, token = key_secret(40), auth_token()
    settings = WebhookSettings(
        auth_token=token, shared_keys={KEY_ID: secret}, shared_keys_only=True
    )
    url = "https://example.com/sms"
    for proof, expected in (
        ({"auth_token": token}, ["auth-token"]),
        ({"shared_key": (KEY_ID, secret)}, []),
    ):
        headers = tuple(sign_request(url, **proof).headers.items())
        found = check(Captured("GET", "/sms", headers, b""), settings, url=url)
        assert [each.what for each in found.findings] == expected
        assert [setting.startswith("Sign with a SharedKey") for setting in found.settings] == [
            True for _ in expected
        ]


def test_from_a_pipe_and_from_options(
    token: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    piped = io.TextIOWrapper(io.BytesIO(signed_form(token).encode()))
    monkeypatch.setattr(sys, "stdin", piped)
    assert checked(capsys, "-", "--public-url", "https://example.com/twilio")[0] == 0

    headers = sign_request(SIGNED, params=FORM, auth_token=token).headers
    words = [f"{name}: {value}" for name, value in headers.items()]
    options = ["--url", SIGNED, "--data", urlencode(FORM), "--header", *words]
    assert checked(capsys, *options)[0] == 0


def test_a_token_from_a_pipe_in_place_of_the_application_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    other = auth_token()
    file = str(write(tmp_path / "request.txt", signed_form(other)))
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{other}\n"))
    code, found = checked(
        capsys, file, "--token-stdin", "--public-url", "https://example.com/twilio"
    )
    assert (code, found["findings"]) == (0, [])


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--url", "https://example.com/"],
        ["-", "--token-stdin"],
        ["no-such-file.txt"],
        ["nonsense.txt"],
        ["headless.txt"],
        ["huge.txt"],
    ],
)
def test_what_is_no_request_is_wrong_usage(
    words: list[str], token: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    os.chdir(tmp_path)
    write(tmp_path / "nonsense.txt", f"{token}\nnothing\n")
    write(tmp_path / "headless.txt", "GET /sms HTTP/1.1\nX-Twilio-Signature: x\n\n")
    write(tmp_path / "huge.txt", "POST / HTTP/1.1\n\n" + "x" * (1 << 20))
    assert main(["webhook", "check", *words]) == 2
    shown = capsys.readouterr().err
    assert shown.startswith("[ST911] ")
    assert leaks(shown, [token]) == []


def test_without_secrets_it_says_where_they_were_looked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = str(write(tmp_path / "request.txt", signed_form(auth_token())))
    assert main(["webhook", "check", file]) == 1
    assert "[ST410]" in capsys.readouterr().err


def test_the_doctor_looks_at_the_webhooks_instead(
    token: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["doctor", "--webhooks", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["webhooks"] == {"auth_tokens": 1, "shared_keys": 0, "public_url": None}
    assert found["key"] is None
    assert leaks(json.dumps(found), [token]) == []

    monkeypatch.setenv("TWILIO_WEBHOOK_PUBLIC_URL", "example.com")
    assert main(["doctor", "--webhooks"]) == 1
    assert "[ST412]" in capsys.readouterr().err
    assert main(["doctor", "--webhooks", "--verify"]) == 2


def test_webhook_alone_shows_its_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["webhook"]) == 2
    assert "check" in capsys.readouterr().err


def test_a_capture_stands_alone(
    token: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = str(write(tmp_path / "request.txt", signed_form(token)))
    assert main(["webhook", "check", file, "--data", "a=b"]) == 2
    assert main(["webhook", "check", file, "--header", "X-Twilio-Signature: x"]) == 2
    assert "[ST911]" in capsys.readouterr().err


def test_a_password_in_the_public_url_is_not_shown(
    token: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    password = key_secret()
    file = str(write(tmp_path / "request.txt", signed_form(token)))
    monkeypatch.setenv("TWILIO_WEBHOOK_PUBLIC_URL", f"https://hook:{password}@example.com")
    assert main(["doctor", "--webhooks"]) == 0
    assert main(["doctor", "--webhooks", "--json"]) == 0
    assert main(["webhook", "check", file]) == 10
    assert main(["webhook", "check", file, "--json"]) == 10
    said = capsys.readouterr()
    assert leaks(said.out + said.err + repr(WebhookSettings()), [password]) == []
    assert "https://example.com" in said.err


def test_no_setting_is_named_for_what_nothing_proves(
    token: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    signed = sign_request("https://example.com/events", body=b"{}", auth_token=token)
    target = signed.url.removeprefix("https://example.com")
    text = capture(f"POST {target}", {"Host": "example.com", **signed.headers}, '{"a": 1}')
    code, found = checked(capsys, str(write(tmp_path / "request.txt", text)))
    assert code == 10
    assert [each["what"] for each in found["findings"]] == ["scheme", "wrong-body"]
    assert found["settings"] == []
