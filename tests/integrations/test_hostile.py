"""The catalogue of hostile requests, sent to real servers: refused all, and none is a 500."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from integrations.hostile import genuine, hostile, refusals, send
from integrations.served import ended, served
from support import auth_token, key_secret, leaks

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="gunicorn needs fork")

HERE = Path(__file__).parent
URL = "https://example.com/hook"
KEY_ID = "webhooks_sharedkey_01"
PYTHON = (sys.executable, "-m")
GUNICORN = (*PYTHON, "gunicorn", "small_apps:make_wsgi()", "--bind", "127.0.0.1:{port}")
OPEN = (*PYTHON, "gunicorn", "small_apps:make_open()", "--bind", "127.0.0.1:{port}")
UVICORN = (*PYTHON, "uvicorn", "small_apps:asgi", "--port", "{port}")

servers = pytest.mark.parametrize("argv", [GUNICORN, UVICORN], ids=["gunicorn", "uvicorn"])


def test_there_are_many_and_each_has_a_name_of_its_own() -> None:
    raws = hostile(URL, auth_token(), auth_token())
    assert len({raw.name for raw in raws}) == len(raws) > 150
    assert len({raw.request for raw in raws}) == len(raws)
    everything = {*raws, *genuine(URL, auth_token())}
    assert all(raw.request.count(b"\r\n\r\n") for raw in everything)


@servers
def test_genuine_requests_are_accepted_and_hostile_ones_refused(argv: tuple[str, ...]) -> None:
    token, other, shared = auth_token(), auth_token(), (KEY_ID, key_secret(40))
    env = {
        "TWILIO_WEBHOOK_AUTH_TOKEN": token,
        "TWILIO_WEBHOOK_SHARED_KEYS": "=".join(shared),
        "TWILIO_WEBHOOK_PUBLIC_URL": "https://example.com",
    }
    with served(argv, env=env, cwd=HERE) as server:
        for raw in genuine(URL, token, shared):
            assert send(server.address, raw.request) == (200, b"ok"), raw.name
        for raw in hostile(URL, token, other, shared):
            answer = send(server.address, raw.request)
            assert answer.status in refusals(raw.name), (raw.name, answer)
            assert answer.body == b"" or answer.status != 403, (raw.name, answer)
        for raw in hostile(URL, token, other):  # also where no SharedKey is known
            assert send(server.address, raw.request).status in refusals(raw.name), raw.name
        output = server.output()
    assert "Traceback" not in output
    assert leaks(output, [token, other, shared[1]]) == []


def test_without_the_check_they_would_get_in() -> None:
    """Each is refused for what is wrong with it, not because it reaches nothing."""
    early = set()
    with served(OPEN, cwd=HERE) as server:
        for raw in hostile(URL, auth_token(), auth_token()):
            answer = send(server.address, raw.request)
            if answer.status != 200:
                assert answer.status in refusals(raw.name), (raw.name, answer)
                early.add(raw.name)
    assert len(early) < 12, early


@servers
def test_without_a_secret_the_server_stops_with_the_boot_report(argv: tuple[str, ...]) -> None:
    done = ended(argv, cwd=HERE)
    assert done.code == 3, done.output
    assert "[ST410] There is no secret to check webhook signatures with." in done.output
    assert "TWILIO_WEBHOOK_AUTH_TOKEN" in done.output


@servers
def test_with_a_bad_secret_it_stops_and_does_not_show_it(argv: tuple[str, ...]) -> None:
    bad = key_secret()  # an API key's secret, which signs nothing
    done = ended(argv, {"TWILIO_WEBHOOK_AUTH_TOKEN": bad}, HERE)
    assert done.code == 3, done.output
    assert "[ST411]" in done.output
    assert leaks(done.output, [bad]) == []
