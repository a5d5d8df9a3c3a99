"""What Django shows of a view that failed inside a call of Twilio: the page, the mail, the log."""

from __future__ import annotations

import email
from email import policy
from typing import TYPE_CHECKING, NamedTuple

import pytest

from integrations.django import django_sites
from integrations.django.django_sites import RUNSERVER, Running, site
from integrations.served import served, until
from safetwilio.testing import EmulatorServer
from support import auth_token, key_secret, leaks

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

END = "-" * 79  # what Django writes behind each mail
SERVERS = {**django_sites.SERVERS, "runserver": RUNSERVER}


class Secrets(NamedTuple):
    """What no page may show, and the environment that holds it."""

    values: tuple[str, ...]
    env: dict[str, str]


@pytest.fixture
def secrets() -> Iterator[Secrets]:
    """Return credentials whose secret Twilio does not know, so that every call fails."""
    with EmulatorServer() as twilio:
        account, key = twilio.emulator.account, twilio.emulator.standard_key
        secret, token = key_secret(), auth_token()
        env = {
            "SAFETWILIO_EMULATOR": twilio.url,
            "TWILIO_ACCOUNT_SID": account.sid,
            "TWILIO_API_KEY": key.sid,
            "TWILIO_API_SECRET": secret,
            "TWILIO_WEBHOOK_AUTH_TOKEN": token,
        }
        yield Secrets((account.sid, key.sid, secret, token), env)


def written(mails: Path) -> str:
    """Return the one mail in the folder *mails*, as far as it is there."""
    return "".join(each.read_text() for each in mails.glob("*")).rstrip("\n")


def shown(text: str, values: tuple[str, ...]) -> list[str]:
    """Return what *text* shows of *values*; the emulator's range is public, so SIDs count whole."""
    return [v for v in values[:2] if v in text] + leaks(text, values[2:])


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("path", ["/call", "/async-call"])
def test_the_debug_page_of_a_failed_call_shows_no_secret(
    server: str, path: str, secrets: Secrets, tmp_path: Path
) -> None:
    """That of runserver has the whole environment, too."""
    env = site(SITE_DEBUG="1", **secrets.env)
    with served(SERVERS[server], "/health", env=env, cwd=tmp_path) as running:
        status, page = Running(running, "").get(path)
        output = running.wait_for_output(f"Internal Server Error: {path}")

    assert status == 500
    assert "Traceback" in page
    assert "[TWILIO:account:" in page
    if server == "runserver":
        assert "TWILIO_ACCOUNT_SID" in page
    assert shown(page, secrets.values) == []
    assert shown(output, secrets.values) == []


@pytest.mark.parametrize("server", ["gunicorn", "uvicorn"])
def test_the_mail_to_the_admins_shows_no_secret(
    server: str, secrets: Secrets, tmp_path: Path
) -> None:
    with served(SERVERS[server], "/health", env=site(**secrets.env), cwd=tmp_path) as running:
        status, page = Running(running, "").get("/call")
        mails = tmp_path / "mails"
        until(lambda: written(mails).endswith(END))
    assert status == 500
    assert "Traceback" not in page

    raw = written(mails)
    message = email.message_from_string(raw.removesuffix(END), policy=policy.default)
    parts = [part.get_content() for part in message.walk() if not part.is_multipart()]
    assert len(parts) == 2  # plain and HTML
    for part in parts:
        assert "Traceback" in part
        assert "[TWILIO:" in part
        assert shown(part, secrets.values) == []
    assert shown(raw, secrets.values) == []
