"""The example of the documentation: its own tests, and the project under its servers."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import pytest

from integrations.raw_requests import FORM
from integrations.served import ended, served
from safetwilio.testing import EmulatorServer
from safetwilio.testing.webhooks import sign_request
from support import leaks, run_python

if TYPE_CHECKING:
    from collections.abc import Iterator

EXAMPLE = Path(__file__).parents[3] / "examples" / "django_webhooks"
SERVERS = {
    "gunicorn": ("gunicorn", "mysite.wsgi", "--bind", "127.0.0.1:{port}"),
    "uvicorn": ("uvicorn", "mysite.asgi:application", "--port", "{port}"),
}
servers = pytest.mark.parametrize("server", SERVERS)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a copy of the example."""
    ignore = shutil.ignore_patterns("__pycache__")
    return Path(shutil.copytree(EXAMPLE, tmp_path / "project", ignore=ignore))


@pytest.fixture
def twilio() -> Iterator[EmulatorServer]:
    with EmulatorServer() as running:
        yield running


def environment(twilio: EmulatorServer) -> dict[str, str]:
    key = twilio.emulator.standard_key
    return {
        "SAFETWILIO_EMULATOR": twilio.url,
        "TWILIO_ACCOUNT_SID": twilio.emulator.account.sid,
        "TWILIO_API_KEY": key.sid,
        "TWILIO_API_SECRET": key.secret,
        "TWILIO_WEBHOOK_AUTH_TOKEN": twilio.emulator.account.auth_token,
    }


def test_its_own_tests_need_no_credentials(project: Path) -> None:
    done = run_python("manage.py", "test", cwd=project, environment={})
    assert done.returncode == 0, done.stderr
    assert "Ran 3 tests" in done.stderr


def test_its_command_sends(project: Path, twilio: EmulatorServer) -> None:
    env = environment(twilio)
    done = run_python("manage.py", "remind", "+15551230001", cwd=project, environment=env)
    assert (done.returncode, done.stdout) == (0, "It is queued.\n"), done.stderr
    assert [message.to for message in twilio.emulator.messages] == ["+15551230001"]


@servers
def test_it_answers_twilio(server: str, project: Path, twilio: EmulatorServer) -> None:
    env = environment(twilio)
    argv = (sys.executable, "-m", *SERVERS[server])
    form = {"From": "+15551230001", "Body": "Grüße", "NumMedia": "0"}
    token = env["TWILIO_WEBHOOK_AUTH_TOKEN"]
    signed = sign_request("https://example.com/sms", params=form, auth_token=token)
    with served(argv, "/health", env=env, cwd=project) as running:
        request = Request(  # noqa: S310 - loopback
            f"{running.url}/sms",
            urlencode(form).encode(),
            {**signed.headers, "Content-Type": FORM},
        )
        with urlopen(request, timeout=60) as answer:  # noqa: S310 - loopback
            assert "You said: Grüße" in answer.read().decode()
        assert leaks(running.output(), [token, env["TWILIO_API_SECRET"]]) == []


@servers
def test_without_the_signing_secret_it_does_not_start(
    server: str, project: Path, twilio: EmulatorServer
) -> None:
    env = environment(twilio)
    del env["TWILIO_WEBHOOK_AUTH_TOKEN"]
    done = ended((sys.executable, "-m", *SERVERS[server]), env=env, cwd=project)
    assert done.code != 0
    assert "[ST410]" in done.output
