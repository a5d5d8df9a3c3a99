"""The examples of docs/fastapi.md and docs/flask.md under a real server, with the emulator."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
import requests

from integrations.served import served
from safetwilio.testing import EmulatorServer
from safetwilio.testing.webhooks import sign_request
from support import auth_token, leaks

ORIGIN = "https://example.com"
EXAMPLES = Path(__file__).parents[2] / "examples"
UVICORN = (sys.executable, "-m", "uvicorn", "--port", "{port}", "app:app")
GUNICORN = (sys.executable, "-m", "gunicorn", "--bind", "127.0.0.1:{port}", "app:create_app()")


def post(
    url: str, path: str, token: str, form: dict[str, str] | None = None, body: bytes | None = None
) -> requests.Response:
    """Post to the server at *url* as Twilio does, which knows *token*."""
    signed = sign_request(ORIGIN + path, params=form, body=body, auth_token=token)
    kind = {} if body is None else {"Content-Type": "application/json"}
    target = signed.url.replace(ORIGIN, url)
    return requests.post(target, data=form or body, headers={**signed.headers, **kind}, timeout=60)


@pytest.mark.parametrize(
    ("example", "command"),
    [
        ("fastapi_webhooks", UVICORN),
        pytest.param(
            "flask_webhooks",
            GUNICORN,
            marks=pytest.mark.skipif(not hasattr(os, "fork"), reason="gunicorn needs fork"),
        ),
    ],
)
def test_it_answers_sends_and_keeps(example: str, command: tuple[str, ...]) -> None:
    token = auth_token()
    with EmulatorServer() as twilio:
        account, key = twilio.emulator.account, twilio.emulator.standard_key
        env = {
            "SAFETWILIO_EMULATOR": twilio.url,
            "TWILIO_ACCOUNT_SID": account.sid,
            "TWILIO_API_KEY": key.sid,
            "TWILIO_API_SECRET": key.secret,
            "TWILIO_WEBHOOK_AUTH_TOKEN": token,
            "TWILIO_WEBHOOK_PUBLIC_URL": ORIGIN,
        }
        with served(command, "/ready", env, EXAMPLES / example) as server:
            form = {"From": "+15005550010", "Body": "hello", "NumMedia": "0"}
            answer = post(server.url, "/sms", token, form)
            called = post(server.url, "/call-me", token, {"From": "+15005550010"})
            kept = post(server.url, "/events", token, body=b'{"type": "delivered"}')
            stranger = post(server.url, "/call-me", auth_token(), {"From": "+15005550010"})
            ready = requests.get(f"{server.url}/ready", timeout=60)
            output = server.wait_for_output("wrong-signature")

    assert answer.status_code == 200
    assert "<Message>+15005550010 said: hello</Message>" in answer.text
    assert (called.status_code, kept.status_code) == (204, 204)
    assert (stranger.status_code, stranger.content) == (403, b"")
    assert ready.json()["ok"]
    assert [message.body for message in twilio.emulator.messages] == ["We will call you."]
    assert leaks(output, [key.secret, token]) == []
