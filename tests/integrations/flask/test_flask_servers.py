"""Flask under a real gunicorn: what is Twilio's gets in, and nothing else."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from integrations.hostile import genuine, hostile, refusals, send
from integrations.served import ended, served
from support import auth_token, key_secret, leaks, new_key

if TYPE_CHECKING:
    from collections.abc import Iterator

    from integrations.served import Served

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="gunicorn needs fork")

HERE = Path(__file__).parent
EXAMPLE = HERE.parents[2] / "examples" / "flask_webhooks"
ORIGIN = "https://example.com"
SHARED_KEY = ("webhooks_sharedkey_01", key_secret(40))
TOKEN, OTHER = auth_token(), auth_token()
GUNICORN = (sys.executable, "-m", "gunicorn", "--bind", "127.0.0.1:{port}")
SITE = (*GUNICORN, "--workers", "2", "flask_site:create_app()")
APP = (*GUNICORN, "app:create_app()")


@pytest.fixture(scope="module")
def site() -> Iterator[Served]:
    env = {
        "TWILIO_WEBHOOK_AUTH_TOKEN": TOKEN,
        "TWILIO_WEBHOOK_SHARED_KEYS": "=".join(SHARED_KEY),
        "TWILIO_WEBHOOK_PUBLIC_URL": ORIGIN,
    }
    with served(SITE, "/ready", env, HERE) as server:
        yield server
        output = server.output()
    assert "Traceback" not in output
    assert leaks(output, [TOKEN, OTHER, SHARED_KEY[1]]) == []


@pytest.mark.parametrize("path", ["/sync", "/async"])
def test_genuine_requests_are_accepted_and_hostile_ones_refused(site: Served, path: str) -> None:
    url = ORIGIN + path
    for raw in genuine(url, TOKEN, SHARED_KEY):
        assert send(site.address, raw.request) == (200, b"ok"), raw.name
    for raw in hostile(url, TOKEN, OTHER, SHARED_KEY):
        answer = send(site.address, raw.request)
        assert answer.status in refusals(raw.name), (raw.name, answer)
        assert answer.body == b"" or answer.status != 403, (raw.name, answer)


def test_without_a_secret_or_a_key_the_server_stops_and_says_both() -> None:
    done = ended(APP, cwd=EXAMPLE)

    assert done.code == 3, done.output
    assert "[ST410] There is no secret to check webhook signatures with." in done.output
    assert "[ST104] There is no Twilio API key." in done.output


def test_without_a_secret_alone_it_stops_too() -> None:
    key = new_key()

    done = ended((*APP, "--preload"), key.environment(), EXAMPLE)

    assert done.code == 1, done.output
    assert "[ST410]" in done.output
    assert "[ST104]" not in done.output
    assert leaks(done.output, [key.secret]) == []


def test_an_image_build_may_make_the_application_without_anything() -> None:
    code = "from app import create_app; print(len(create_app().view_functions))"

    done = ended((sys.executable, "-c", code), {"SAFETWILIO_BOOT": "off"}, EXAMPLE)

    assert (done.code, done.output.splitlines()[-1]) == (0, "5"), done.output
    assert "SAFETWILIO_BOOT=off: nothing was loaded" in done.output
