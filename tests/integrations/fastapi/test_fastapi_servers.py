"""FastAPI and Starlette under a real uvicorn: what is Twilio's gets in, and nothing else."""

from __future__ import annotations

import sys
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from integrations.hostile import genuine, hostile, refusals, send
from integrations.served import ended, served
from support import auth_token, key_secret, leaks, new_key

if TYPE_CHECKING:
    from collections.abc import Iterator

    from integrations.served import Served

HERE = Path(__file__).parent
EXAMPLE = HERE.parents[2] / "examples" / "fastapi_webhooks"
ORIGIN = "https://example.com"
SHARED_KEY = ("webhooks_sharedkey_01", key_secret(40))
TOKEN, OTHER = auth_token(), auth_token()
UVICORN = (sys.executable, "-m", "uvicorn", "--port", "{port}")
SITE = (*UVICORN, "--app-dir", str(HERE), "fastapi_site:app")
APP = (*UVICORN, "--app-dir", str(EXAMPLE), "app:app")


@pytest.fixture(scope="module")
def site() -> Iterator[Served]:
    env = {
        "TWILIO_WEBHOOK_AUTH_TOKEN": TOKEN,
        "TWILIO_WEBHOOK_SHARED_KEYS": "=".join(SHARED_KEY),
        "TWILIO_WEBHOOK_PUBLIC_URL": ORIGIN,
    }
    with served((*SITE, "--workers", "2"), "/ready", env) as server:
        yield server
        output = server.output()
    assert "Traceback" not in output
    assert leaks(output, [TOKEN, OTHER, SHARED_KEY[1]]) == []


def cannot_tell(name: str) -> bool:
    """Return whether a request is one that Twilio signed, for all that FastAPI sees of it.

    Before 0.0.30 python-multipart takes ";" for "&", so these are the very parameters.
    """
    version = tuple(map(int, metadata.version("python-multipart").split(".")))
    return name == "semicolons between parameters" and version < (0, 0, 30)


@pytest.mark.parametrize("path", ["/router", "/depends", "/starlette/plain"])
def test_genuine_requests_are_accepted_and_hostile_ones_refused(site: Served, path: str) -> None:
    url = ORIGIN + path
    for raw in genuine(url, TOKEN, SHARED_KEY):
        assert send(site.address, raw.request) == (200, b"ok"), raw.name
    for raw in hostile(url, TOKEN, OTHER, SHARED_KEY):
        if cannot_tell(raw.name):
            continue
        answer = send(site.address, raw.request)
        assert answer.status in refusals(raw.name), (raw.name, answer)
        assert answer.body == b"" or answer.status != 403, (raw.name, answer)


def test_a_form_gets_to_its_parameters(site: Served) -> None:
    raws = {raw.name: raw.request for raw in genuine(f"{ORIGIN}/form", TOKEN)}

    answer = send(site.address, raws["form"])

    expected = b'["Your code is 123 456",["https://a.example/1","https://a.example/2"]]'
    assert answer == (200, expected)


def test_hostile_requests_are_not_told_what_the_form_has(site: Served) -> None:
    """Without the route class FastAPI parses first, and says 400 or 422 of what it cannot."""
    for raw in hostile(f"{ORIGIN}/form", TOKEN, OTHER, SHARED_KEY):
        allowed = {*refusals(raw.name), 404}  # there is nothing below its path
        allowed |= {405} if raw.request.startswith(b"GET") else set()
        answer = send(site.address, raw.request)
        assert answer.status in allowed or cannot_tell(raw.name), (raw.name, answer)


def test_without_a_secret_or_a_key_the_server_stops_and_says_both() -> None:
    done = ended(APP)

    assert done.code == 3, done.output
    assert "[ST410] There is no secret to check webhook signatures with." in done.output
    assert "[ST104] There is no Twilio API key." in done.output
    assert "Application startup failed. Exiting." in done.output


def test_workers_that_cannot_start_stop_their_parent() -> None:
    """With which exit code is for uvicorn to say; as of 0.54 it is 0."""
    key = new_key()
    done = ended((*APP, "--workers", "2"), key.environment())

    assert "[ST410]" in done.output
    assert leaks(done.output, [key.secret]) == []


def test_an_image_build_may_start_it_without_anything() -> None:
    with served(APP, "/ready", {"SAFETWILIO_BOOT": "off"}) as server:
        [form, *_] = genuine(f"{ORIGIN}/sms", TOKEN)

        assert "SAFETWILIO_BOOT=off: nothing was loaded" in server.output()
        assert send(server.address, form.request).status == 500  # it does not let it in
        server.wait_for_output("[ST904]")
