"""An account at an emulated Twilio and an identity that may change it, for rotations in a cloud."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import threading
from datetime import timedelta
from typing import TYPE_CHECKING

from safetwilio.backends import deadline
from safetwilio.cli.main import main
from safetwilio.runbook.keeping import Clock
from safetwilio.testing import Emulator, EmulatorServer
from support import leaks, write

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import pytest

    from safetwilio.testing.assumptions import Choice
    from safetwilio.testing.records import Key

HOURS = 7200.0
"""So long after a handover nobody uses the key before any more."""


class Twilio:
    """The emulated Twilio; every key and secret that ever was is known."""

    def __init__(self, emulator: Emulator, log: pytest.LogCaptureFixture) -> None:
        """Begin with the keys that *emulator* has."""
        self.emulator = emulator
        self._log = log
        self.secrets = set(emulator.secrets())

    @property
    def keys(self) -> dict[str, Key]:
        """The keys that there are, but for the seeded ones."""
        seeded = {self.emulator.standard_key.sid, self.emulator.main_key.sid}
        found = {key.sid: key for _, key in self.emulator.account.keys.newest_first()}
        self.secrets |= {key.secret for key in found.values()}
        return {sid: key for sid, key in found.items() if sid not in seeded}

    def make_key(self, kind: str = "standard", *, age: float = 86400.0, **how: object) -> Key:
        """Make a key that was made *age* seconds ago."""
        account = self.emulator.account
        made = account.create_key(kind, **how)  # type: ignore[arg-type]
        older = made.created - timedelta(seconds=age)
        key = dataclasses.replace(made, created=older, updated=older)
        account.keys.put(key.sid, key)
        return key

    def grow_older(self, seconds: float = HOURS) -> None:
        """Let every key be made so many *seconds* earlier."""
        keys = self.emulator.account.keys
        for _, key in [*keys.newest_first()]:
            created = key.created - timedelta(seconds=seconds)
            keys.put(key.sid, dataclasses.replace(key, created=created, updated=created))

    def works(self, sid: str, secret: str) -> bool:
        """Return whether Twilio accepts this pair."""
        key = self.emulator.account.keys.get(sid)
        return key is not None and key.secret == secret

    def require_silence(self, *more: str) -> None:
        """Check that no secret was logged, nor stands in one of *more*."""
        assert self.keys is not None  # their secrets are known now
        texts = [record.getMessage() for record in self._log.records]
        assert leaks("\n".join([*texts, self._log.text, *more]), self.secrets) == []


@contextlib.contextmanager
def twilio(
    monkeypatch: pytest.MonkeyPatch,
    log: pytest.LogCaptureFixture,
    folder: Path,
    **assumptions: Choice,
) -> Iterator[Twilio]:
    """Yield Twilio, with its Main key in a file; nobody waits, the emulator's clock goes on."""
    log.set_level(logging.INFO, "safetwilio")
    with EmulatorServer(Emulator(assumptions=assumptions)) as server:
        emulator = server.emulator
        _hurry(monkeypatch, emulator)
        main_key = emulator.main_key
        lines = {
            "TWILIO_ACCOUNT_SID": main_key.account_sid,
            "TWILIO_API_KEY": main_key.sid,
            "TWILIO_API_SECRET": main_key.secret,
        }
        path = write(folder / "admin.env", "".join(f"{k}={v}\n" for k, v in lines.items()))
        monkeypatch.setenv("SAFETWILIO_EMULATOR", server.url)
        monkeypatch.setenv("SAFETWILIO_ADMIN_BACKEND", f"dotenv:{path}")
        monkeypatch.setattr(deadline, "SECONDS", deadline.BOOT_SECONDS)
        yield Twilio(emulator, log)


def _hurry(monkeypatch: pytest.MonkeyPatch, emulator: Emulator) -> None:
    ahead = 0.0
    now = Clock.now

    def wait(_: Clock, seconds: float) -> None:
        nonlocal ahead
        ahead += seconds
        emulator.advance(seconds)
        threading.Event().wait(0.005)  # others have work to do meanwhile

    monkeypatch.setattr(Clock, "wait", wait)
    monkeypatch.setattr(Clock, "now", lambda clock: now(clock) + ahead)


def at_once(*calls: Callable[[], object]) -> list[BaseException]:
    """Do *calls* in threads that begin together, and return what they raised."""
    barrier = threading.Barrier(len(calls))
    raised: list[BaseException] = []

    def run(call: Callable[[], object]) -> None:
        barrier.wait()
        try:
            call()
        except BaseException as error:  # noqa: BLE001 - it is looked at
            raised.append(error)

    threads = [threading.Thread(target=run, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return raised


def rotate_key(*more: str) -> int:
    """Run the command line."""
    return main(["rotate", "key", "--yes", *more])
