"""``safetwilio.refresh()``: a client in use sends the new key with its next request."""

from __future__ import annotations

import logging
import pickle
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import safetwilio
from safetwilio import TwilioSettings
from safetwilio.errors import InvalidCredentials, MissingCredentials
from safetwilio.testing import Emulator, EmulatorServer
from support import Key, assert_silent, caught, codes, key_secret, key_sid, leaks, refused, write

if TYPE_CHECKING:
    from collections.abc import Iterator

MESSAGE = {"to": "+15551230001", "from_": "+15551230000", "body": "hi"}


@pytest.fixture
def here() -> Path:
    """Return the current directory, an empty one."""
    return Path.cwd()


@pytest.fixture
def emulator(monkeypatch: pytest.MonkeyPatch, here: Path) -> Iterator[Emulator]:
    """Give an emulator whose Standard key is in the ``.env`` of the current directory."""
    with EmulatorServer() as server:
        monkeypatch.setenv("SAFETWILIO_EMULATOR", server.url)
        keep(here, server.emulator, server.emulator.standard_key)
        yield server.emulator


def keep(directory: Path, emulator: Emulator, key: object, name: str | None = None) -> None:
    made = Key(emulator.account.sid, key.sid, key.secret)  # type: ignore[attr-defined]
    write(directory / ".env", made.dotenv(name))


def senders(emulator: Emulator) -> list[str | None]:
    return [message.key_sid for message in emulator.messages]


def test_the_next_request_has_the_new_key(
    emulator: Emulator, here: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    client = safetwilio.get_client()
    client.messages.create(**MESSAGE)
    new = emulator.account.create_key()
    keep(here, emulator, new)

    assert safetwilio.refresh() is True

    emulator.account.delete_key(emulator.standard_key.sid)
    client.messages.create(**MESSAGE)
    assert senders(emulator) == [emulator.standard_key.sid, new.sid]
    assert "Twilio credentials replaced: key [TWILIO:key:" in caplog.text
    assert leaks(caplog.text, [new.secret, new.sid]) == []


def test_the_same_key_is_no_change(emulator: Emulator) -> None:
    before = safetwilio.boot().accounts[0]
    assert safetwilio.refresh() is False
    after = safetwilio.health().accounts[0]
    assert (after.key, after.version) == (before.key, before.version)
    assert emulator.requests == ()


def test_a_refresh_boots_if_nobody_has(emulator: Emulator) -> None:
    assert not safetwilio.health().booted
    assert safetwilio.refresh() is False
    assert safetwilio.health().booted
    assert emulator.requests == ()


def test_a_refresh_that_fails_says_what_a_boot_says_and_keeps_the_key(
    emulator: Emulator, here: Path
) -> None:
    client = safetwilio.get_client()
    safetwilio.boot()
    write(here / ".env", "")

    error = refused(safetwilio.refresh)

    assert isinstance(error, MissingCredentials)
    assert codes(error)[0] == "ST104"
    assert_silent(error, [emulator.standard_key.secret])
    assert str(error).startswith("safetwilio keeps the key it has: ")
    assert str(pickle.loads(pickle.dumps(error))) == str(error)  # noqa: S301
    (account,) = safetwilio.health().accounts
    assert [problem.code for problem in account.not_refreshed] == codes(error)
    assert safetwilio.health().as_dict()["accounts"][0]["not_refreshed"][0]["code"] == "ST104"
    assert safetwilio.health().booted, "and the program goes on"
    client.messages.create(**MESSAGE)
    assert senders(emulator) == [emulator.standard_key.sid]

    keep(here, emulator, emulator.standard_key)
    safetwilio.refresh()
    assert safetwilio.health().accounts[0].not_refreshed == ()


def test_a_verification_asks_with_the_key_it_is_about(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It neither waits for another key nor goes on with one."""
    monkeypatch.setenv("SAFETWILIO_REFRESH_WAIT", "3600")
    emulator.account.delete_key(emulator.standard_key.sid)
    assert codes(refused(lambda: safetwilio.boot(verify=True))) == ["ST320"]
    assert len(emulator.requests) == 1


def test_another_account_s_key_is_refused(emulator: Emulator, here: Path) -> None:
    safetwilio.boot()
    other = emulator.create_account()
    made = other.create_key()
    write(here / ".env", Key(other.sid, made.sid, made.secret).dotenv())

    error = refused(safetwilio.refresh)

    assert isinstance(error, InvalidCredentials)
    assert codes(error) == ["ST224"]
    assert_silent(error, [made.secret])
    assert safetwilio.get_client().account_sid == emulator.account.sid


def test_a_named_account_is_refreshed_alone(emulator: Emulator, here: Path) -> None:
    keep(here, emulator, emulator.standard_key, "marketing")
    client = safetwilio.get_client("marketing")
    client.messages.create(**MESSAGE)
    new = emulator.account.create_key()
    keep(here, emulator, new, "marketing")

    assert safetwilio.refresh("marketing") is True
    client.messages.create(**MESSAGE)
    assert senders(emulator) == [emulator.standard_key.sid, new.sid]
    write(here / ".env", "")
    error = refused(lambda: safetwilio.refresh("marketing"))
    assert error.account == "marketing"
    assert "--account marketing" in str(error)


def test_settings_that_were_given_by_hand(emulator: Emulator, here: Path) -> None:
    """A key given as arguments stays; an account SID given so is taken with each load."""
    key = emulator.standard_key
    whole = TwilioSettings(account_sid=emulator.account.sid, api_key=key.sid, api_secret=key.secret)
    assert not whole.can_reload
    assert whole.reload().is_same_as(whole.credentials())
    safetwilio.configure(whole)
    write(here / ".env", "")
    assert safetwilio.refresh() is False
    safetwilio.reset()
    new = emulator.account.create_key()
    write(here / ".env", f"TWILIO_API_KEY={key.sid}\nTWILIO_API_SECRET={key.secret}\n")
    safetwilio.configure(TwilioSettings(account_sid=emulator.account.sid))
    safetwilio.boot()
    write(here / ".env", f"TWILIO_API_KEY={new.sid}\nTWILIO_API_SECRET={new.secret}\n")
    assert safetwilio.refresh() is True
    safetwilio.get_client().messages.create(**MESSAGE)
    assert senders(emulator) == [new.sid]


def test_a_rotation_under_load_is_noticed_by_nobody(emulator: Emulator, here: Path) -> None:
    """Threads send while the key is replaced ten times; each old one is deleted after a refresh."""
    client = safetwilio.get_client()
    done, errors = threading.Event(), []

    def send() -> None:
        while not done.is_set():
            error = caught(lambda: client.messages.create(**MESSAGE))
            if error is not None:
                errors.append(error)

    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(10):
        new = emulator.account.create_key()
        keep(here, emulator, new)
        assert safetwilio.refresh() is True
        seen = len(emulator.messages)
        while len(emulator.messages) < seen + 8:  # what was under way has arrived
            assert not errors, errors[0]
    done.set()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(set(senders(emulator))) >= 10


def test_no_half_written_document_is_taken(emulator: Emulator, here: Path) -> None:
    safetwilio.boot()
    for text in (f"TWILIO_API_KEY={key_sid()}\n", f"TWILIO_API_SECRET={key_secret()}\n"):
        write(here / ".env", f"TWILIO_ACCOUNT_SID={emulator.account.sid}\n{text}")
        assert codes(refused(safetwilio.refresh))[0] in {"ST101", "ST102"}
    safetwilio.get_client().messages.create(**MESSAGE)
