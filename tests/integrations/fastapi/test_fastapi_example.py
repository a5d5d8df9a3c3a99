"""The example of docs/fastapi.md under a real uvicorn, sending through the emulator."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import requests

from integrations.served import served
from safetwilio.testing import EmulatorServer
from safetwilio.testing.webhooks import sign_request
from support import auth_token, leaks

if TYPE_CHECKING:
    from collections.abc import Callable

EXAMPLE = Path(__file__).parents[3] / "examples" / "fastapi_webhooks"
UVICORN = (sys.executable, "-m", "uvicorn", "--port", "{port}", "--app-dir", str(EXAMPLE))
ORIGIN = "https://example.com"


def sender(url: str, token: str) -> Callable[..., requests.Response]:
    """Return what posts to the server at *url* as Twilio does."""

    def post(path: str, form: dict[str, str] | None = None, body: bytes | None = None) -> object:
        signed = sign_request(ORIGIN + path, params=form, body=body, auth_token=token)
        kind = {} if body is None else {"Content-Type": "application/json"}
        target = signed.url.replace(ORIGIN, url)
        return requests.post(
            target, data=form or body, headers={**signed.headers, **kind}, timeout=60
        )

    return post  # type: ignore[return-value]


def test_the_example_answers_sends_and_keeps() -> None:
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
        with served((*UVICORN, "app:app"), "/ready", env) as server:
            post = sender(server.url, token)
            answer = post("/sms", {"From": "+15005550010", "Body": "hello", "NumMedia": "0"})
            called = post("/call-me", {"From": "+15005550010"})
            kept = post("/events", body=b'{"type": "delivered"}')
            stranger = sender(server.url, auth_token())("/call-me", {"From": "+15005550010"})
            ready = requests.get(f"{server.url}/ready", timeout=60)
            output = server.wait_for_output("wrong-signature")

    assert answer.status_code == 200
    assert "<Message>+15005550010 said: hello</Message>" in answer.text
    assert (called.status_code, kept.status_code) == (204, 204)
    assert (stranger.status_code, stranger.content) == (403, b"")
    assert ready.json()["ok"]
    assert [message.body for message in twilio.emulator.messages] == ["We will call you."]
    assert leaks(output, [key.secret, token]) == []
