"""An emulated account, ``.env`` files with its keys, and runs over them with their own clock."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from dotenv import dotenv_values

from safetwilio.admin.identity import find_identity
from safetwilio.backends.locate import parse
from safetwilio.rotation.overlap import Overlap
from safetwilio.rotation.places import Target
from safetwilio.rotation.service_keys import VERB, KeysRun, look, subject_of
from safetwilio.runbook.keeping import Clock, Sealed
from safetwilio.runbook.runs import start
from safetwilio.services import Service
from support import leaks, write

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    import pytest

    from safetwilio.admin.identity import Identity
    from safetwilio.rotation.service_keys import Seen
    from safetwilio.runbook.runs import Run
    from safetwilio.testing import Emulator, EmulatorServer
    from safetwilio.testing.records import Key
    from safetwilio.testing.state import Account

RUN = "20261122T000000Z-ab12"
MOVED = Overlap(said=True)


class Asked(NamedTuple):
    """One request, as a test compares it: who asked for what."""

    who: str
    what: str


class WorldClock(Clock):
    """A clock that goes on only while somebody waits, and takes *emulator*'s along."""

    def __init__(self, emulator: Emulator | None) -> None:
        """Begin at a time that means nothing."""
        self.time = 1000.0
        self._emulator = emulator

    @property
    def passed(self) -> float:
        """Seconds since the start."""
        return self.time - 1000.0

    def now(self) -> float:
        """Return the time."""
        return self.time

    def wait(self, seconds: float) -> None:
        """Let *seconds* pass, here and there."""
        self.time += seconds
        if self._emulator:
            self._emulator.advance(seconds)


class World:
    """One account of *server*, and a directory with everything that a service has."""

    def __init__(self, server: EmulatorServer, tmp_path: Path, patch: pytest.MonkeyPatch) -> None:
        """Let a Main key be who changes the account."""
        self.emulator = server.emulator
        self.account = server.emulator.account
        self.main = server.emulator.main_key
        self.directory = tmp_path
        self.journals = tmp_path / "runs"
        self.clock = WorldClock(self.emulator)
        self.said: list[str] = []
        self._seeded = {key.sid for key in self.all_keys()}
        self.admin = self.put("admin.env", self.main)
        patch.setenv("SAFETWILIO_EMULATOR", server.url)
        patch.setenv("SAFETWILIO_ADMIN_BACKEND", f"dotenv:{self.admin}")

    def put(self, name: str, key: Key, account: Account | None = None) -> Path:
        """Write *key* into the file *name*."""
        sid = (account or self.account).sid
        content = f"OTHER=1\nTWILIO_ACCOUNT_SID={sid}\nTWILIO_API_KEY={key.sid}\n"
        return write(self.directory / name, f"{content}TWILIO_API_SECRET={key.secret}\n")

    def old(self, name: str = ".env") -> Key:
        """Return a new Standard key, in the file *name*."""
        key = self.account.create_key("standard", friendly_name="old")
        self._seeded.add(key.sid)
        self.put(name, key)
        return key

    def all_keys(self) -> list[Key]:
        """Return all keys of the account, the oldest first."""
        return [key for _, key in self.account.keys.newest_first()][::-1]

    @property
    def made(self) -> list[Key]:
        """The keys that were made by somebody else than the test."""
        return [key for key in self.all_keys() if key.sid not in self._seeded]

    def held(self, name: str = ".env") -> tuple[str | None, str | None]:
        """Return the key and its secret that the file *name* holds."""
        found = dotenv_values(self.directory / name)
        assert found["OTHER"] == "1"
        return found["TWILIO_API_KEY"], found["TWILIO_API_SECRET"]

    def target(
        self, service: str = "app", name: str = ".env", policy: tuple[str, ...] | None = None
    ) -> Target:
        """Return what a service with its key in the file *name* is to the rotation."""
        places = parse(f"dotenv:{self.directory / name}", place="a test")
        return Target(Service(service, places, service, policy), None)

    def identity(self, account: str | None, _: str) -> Identity:
        """Return what the environment names."""
        found = find_identity(account)
        assert found is not None
        return found

    def look(self, *targets: Target) -> list[Seen]:
        """Return what is in the places of *targets*, that of ``.env`` without any."""
        return [look(target, self.identity) for target in targets or [self.target()]]

    def start(self, seen: Sequence[Seen], run: str = RUN) -> Run:
        """Begin a run over what was *seen*."""
        subjects = [subject_of(one, run)._asdict() for one in seen]
        return start(self.journals, run, verb=VERB, subjects=subjects)

    def keys_run(
        self,
        run: Run,
        seen: Sequence[Seen],
        overlap: Overlap = MOVED,
        *,
        known: Callable[[], Iterable[Target]] = tuple,
        sealed: Sealed | None = None,
    ) -> KeysRun:
        """Return *run*, to be carried out over what was *seen*."""
        return KeysRun(
            run,
            seen,
            overlap,
            say=self.said.append,
            known=known,
            clock=self.clock,
            sealed=lambda _: sealed or Sealed(),
        )

    def asked(self) -> list[Asked]:
        """Return the requests so far, without what is the same in all."""
        names = {self.account.sid: "token", self.main.sid: "main"}
        return [
            Asked(
                names.get(entry.username or "", entry.username or ""),
                f"{entry.method} {entry.path.rpartition(f'{self.account.sid}/')[2]}",
            )
            for entry in self.emulator.requests
        ]

    def count(self, what: str) -> int:
        """Return how many requests were *what*."""
        return sum(asked.what == what for asked in self.asked())

    def require_no_secret(self) -> None:
        """Fail if a secret was said, or is in a journal."""
        text = "\n".join([*self.said, *(path.read_text() for path in self.journals.glob("*"))])
        assert leaks(text, self.emulator.secrets()) == []
