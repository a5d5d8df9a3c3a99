"""What is rotated in the crash matrix: places, identities and emulators, and what has to hold."""

from __future__ import annotations

import base64
import contextlib
import itertools
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from safetwilio.errors import JournalError
from safetwilio.runbook.journal import read
from safetwilio.testing import Emulator
from safetwilio.testing.assumptions import Assumption, Choice

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from aws_server import AwsServer
    from vault_server import Bao

    from safetwilio.testing.records import Key
    from safetwilio.testing.state import Account

SETTLED = 120.0  # seconds after which every change of the emulator counts
_LETTERS = 16  # so many characters of a secret in a row are a leak


class Consulted(dict[Assumption, Choice]):
    """The emulator's choices, and the names of those that were *asked* for."""

    def __init__(self, choices: Mapping[Assumption, Choice], asked: set[str]) -> None:
        """Note in *asked* who looks into *choices*."""
        super().__init__(choices)
        self._asked = asked

    def __getitem__(self, assumption: Assumption) -> Choice:
        self._asked.add(assumption.name)
        return super().__getitem__(assumption)


class Remembered(dict[str, "tuple[Account, Key]"]):
    """The keys that count, and the *secrets* of all that ever did."""

    def __init__(self, keys: Mapping[str, tuple[Account, Key]], secrets: set[str]) -> None:
        """Begin with *keys*."""
        super().__init__(keys)
        self._secrets = secrets

    def __setitem__(self, sid: str, owned: tuple[Account, Key]) -> None:
        self._secrets.add(owned[1].secret)
        super().__setitem__(sid, owned)


class World:
    """One attempt's own: an *emulator*, a *folder* that commands run in, their *environment*."""

    def __init__(
        self, folder: Path, assumptions: Mapping[str, Choice], services: Services | None = None
    ) -> None:
        """Make the emulator; *services* are the other servers there are."""
        self.folder = folder
        self.services = services or Services()
        self.state = folder / "state"
        self.output = folder / "output"
        self.environment = {
            "HOME": str(folder),
            "PATH": os.defpath,
            "XDG_STATE_HOME": str(self.state),
            "SAFETWILIO_ADMIN_BACKEND": "dotenv:admin.env",
        }
        self.asked: set[str] = set()
        self.secrets: set[str] = set()
        self.emulator = Emulator(assumptions=assumptions)

    def begin(self) -> None:
        """Let all that was prepared count, and look from now on at what the emulator does."""
        self.emulator.advance(SETTLED)
        within = self.emulator._world
        within.in_force.settle(everything=True)
        within.in_force.keys = Remembered(within.in_force.keys, self.secrets)
        within.assumptions = Consulted(within.assumptions, self.asked)
        self.secrets |= self.emulator.secrets()

    def write(self, name: str, *, account: str = "", **values: str) -> Path:
        """Write a ``.env`` file with the variables of *account*."""
        infix = f"TWILIO_{account}_" if account else "TWILIO_"
        path = self.folder / name
        lines = [f"{infix}{key.upper()}={value}\n" for key, value in values.items()]
        path.write_text("".join(lines) + "OTHER=stays\n", encoding="utf-8")
        path.chmod(0o600)
        return path

    def write_key(self, name: str, key: Key, *, account: str = "") -> Path:
        """Write a ``.env`` file with *key*."""
        return self.write(
            name,
            account=account,
            account_sid=key.account_sid,
            api_key=key.sid,
            api_secret=key.secret,
        )

    def leaks(self) -> Iterator[str]:
        """Yield where a secret stands that must not: in journals, and in what was printed."""
        forms = {
            form for secret in self.secrets | self.emulator.secrets() for form in _forms(secret)
        }
        for path in [self.output, *self.state.rglob("*")]:
            text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
            if any(form in text for form in forms):
                yield f"a secret stands in {path.relative_to(self.folder)}"
            if "Traceback" in text:
                yield f"a traceback stands in {path.relative_to(self.folder)}"

    def journals(self) -> Iterator[str]:
        """Yield which journals are broken or unfinished; one without any line began nothing."""
        for path in self.state.rglob("*.jsonl"):
            try:
                entries = read(path)
            except JournalError as error:
                yield f"a journal cannot be read: {error.code}"
                continue
            if entries and entries[-1].event != "finished":
                yield f"a journal ends with {entries[-1].event}"
            if not entries and b"\n" in path.read_bytes():
                yield "a journal is empty"


class Services:
    """The servers beside the emulator; a place of its own for each attempt."""

    def __init__(self, bao: Bao | None = None, aws: AwsServer | None = None) -> None:
        """Take those that run."""
        self.bao = bao
        self.aws = aws
        self._numbers = itertools.count()  # several threads ask

    def name(self) -> str:
        """Return a name that nobody had before."""
        return f"place-{next(self._numbers)}"


@contextlib.contextmanager
def started(needs: set[str], folder: Path) -> Iterator[Services]:
    """Start those servers that are in *needs*."""
    sys.path[:0] = [str(Path(__file__).parents[1] / name) for name in ("", "backends")]
    with contextlib.ExitStack() as stack:
        services = Services()
        if "vault" in needs:
            from vault_server import Bao

            services.bao = stack.enter_context(Bao(folder))
        if "aws" in needs:
            from aws_server import AwsServer

            services.aws = stack.enter_context(AwsServer())
        yield services


class Pair(NamedTuple):
    """What a place holds."""

    account_sid: str | None
    sid: str | None
    secret: str | None


class Expected(Protocol):
    """What has to hold, as complaints: *between* a crash and the next run, and *after* all."""

    def between(self) -> Iterator[str]:
        """Yield what must not be at any moment."""

    def after(self) -> Iterator[str]:
        """Yield what must not be at the end."""


class Kept(NamedTuple):
    """A key that is rotated: *old*, what its place holds now by *look*, and all of that file."""

    account: Account
    old: Key
    look: Callable[[], Pair]


class KeysReplaced:
    """Each of *kept* has a key of its own that is new, alive and the only one; the old are gone."""

    def __init__(self, world: World, *kept: Kept) -> None:
        """Remember which keys there are now."""
        self._world = world
        self._kept = kept
        self._before = {key.sid for each in kept for _, key in each.account.keys.newest_first()}

    def between(self) -> Iterator[str]:
        """Whatever was killed, a program that starts now gets in."""
        within = self._world.emulator._world.in_force
        within.settle()
        for number, each in enumerate(self._kept):
            account_sid, sid, secret = each.look()
            found = within.keys.get(sid or "")
            if found is None or (found[0].sid, found[1].secret) != (account_sid, secret):
                yield f"place {number} holds a pair that Twilio refuses"

    def after(self) -> Iterator[str]:
        """Complain about the end, when every change counts."""
        self._world.emulator.advance(SETTLED)
        yield from self.between()
        pairs = [each.look() for each in self._kept]
        for number, (each, pair) in enumerate(zip(self._kept, pairs, strict=True)):
            new = each.account.keys.get(pair.sid or "")
            if new is None or new.sid in self._before:
                yield f"place {number} holds no new key"
            elif (new.kind, new.allow) != (each.old.kind, each.old.allow):
                yield f"the key of place {number} became a {new.kind} one"
            if each.account.keys.get(each.old.sid) is not None:
                yield f"the old key of place {number} is there still"
            if each.old.sid in self._world.emulator._world.in_force.keys:
                yield f"the old key of place {number} works still"
        yield from self._orphans({pair.sid for pair in pairs})
        yield from self._left_behind()

    def _orphans(self, kept: set[str | None]) -> Iterator[str]:
        if len(kept) != len(self._kept):
            yield "two places share a key"
        accounts = {each.account.sid: each.account for each in self._kept}
        for account in accounts.values():
            for sid, key in account.keys.newest_first():
                named = key.friendly_name.startswith("safetwilio/")
                if sid not in kept and (named or sid not in self._before):
                    yield "there is a key that nobody holds"

    def _left_behind(self) -> Iterator[str]:
        """Look at what was left beside a file: it may hold a secret, but not that of a new key."""
        new = [each.look().secret or "" for each in self._kept]
        for path in self._world.folder.glob("*.safetwilio-*"):
            if any(secret in path.read_text(encoding="utf-8") for secret in new):
                yield f"a secret that works was left in {path.name}"


class Scenario(NamedTuple):
    """A rotation: *prepare* a world for the command *arguments*, and say what has to hold.

    *assumptions* are its own, *needs* the server that it takes beside the emulator. Ended with 4,
    the command is run again with *then*.
    """

    name: str
    prepare: Callable[[World], Expected]
    arguments: tuple[str, ...]
    then: tuple[str, ...] = ("--moved",)
    assumptions: Mapping[str, Choice] = {}
    needs: str = ""


def _forms(secret: str) -> Iterator[str]:
    raw = secret.encode()
    yield from (secret[:_LETTERS], secret[-_LETTERS:])
    for shift in range(3):
        yield base64.b64encode(b"x" * shift + raw).decode()[4:-4]


def look_into(path: Path, account: str = "") -> Callable[[], Pair]:
    """Return how to read a key from the ``.env`` file at *path*, without safetwilio's help."""
    infix = f"TWILIO_{account}_" if account else "TWILIO_"

    def look() -> Pair:
        lines = path.read_text(encoding="utf-8").splitlines()
        found = dict(line.split("=", 1) for line in lines)
        assert found["OTHER"] == "stays"
        names = ("ACCOUNT_SID", "API_KEY", "API_SECRET")
        return Pair(*(found.get(f"{infix}{name}") for name in names))

    return look


def in_document(read_it: Callable[[], Mapping[str, Any]], *names: str) -> Callable[[], Pair]:
    """Return how to read a key from the fields *names* of a document."""
    return lambda: Pair(*(read_it().get(name) for name in names))
