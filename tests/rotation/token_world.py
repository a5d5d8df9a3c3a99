"""An account at an emulated Twilio, the places of its Auth Token, and runs over them."""

from __future__ import annotations

import contextlib
from itertools import count
from typing import TYPE_CHECKING, Any

from safetwilio import redaction
from safetwilio.admin.identity import find_identity
from safetwilio.policy import break_glass
from safetwilio.redaction import registry as registry_module
from safetwilio.rotation.overlap import Overlap
from safetwilio.rotation.token_places import TokenPlace
from safetwilio.rotation.token_run import VERB, SeenToken, TokenRun, look
from safetwilio.runbook.journal import read
from safetwilio.runbook.keeping import Clock, Sealed
from safetwilio.runbook.runs import resume, start
from safetwilio.testing import Emulator, EmulatorServer
from support import auth_token, leaks, write

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    import pytest
    from pydantic import SecretStr

    from safetwilio.backends.interface import WritableBackend
    from safetwilio.rotation.overlap import Waiting
    from safetwilio.testing.assumptions import Choice
    from safetwilio.testing.state import Account

MOVED = Overlap(said=True)
CREATE, DELETE, PROMOTE = (
    f"{method} */v1/AuthTokens/{what}"
    for method, what in (("POST", "Secondary"), ("DELETE", "Secondary"), ("POST", "Promote"))
)
_IDS = count(1)


class Ahead(Clock):
    """Nobody waits: the emulator's clock goes forward, and *then* is what happens meanwhile."""

    def __init__(self, emulator: Emulator) -> None:
        """Begin at 0."""
        self._emulator = emulator
        self.passed = 0.0
        self.pace = 1  # more, and a minute is asked about less often

    def now(self) -> float:
        """Return how many seconds have passed."""
        return self.passed

    def wait(self, seconds: float) -> None:
        """Let them have passed."""
        self.passed += seconds * self.pace
        self._emulator.advance(seconds * self.pace)


class Tokens(dict[str, "tuple[str, ...]"]):
    """The Auth Tokens that count, and *all* that ever did."""

    def __init__(self, now: Mapping[str, tuple[str, ...]]) -> None:
        """Begin with those of *now*."""
        super().__init__(now)
        self.all = {token for each in now.values() for token in each}

    def __setitem__(self, sid: str, tokens: tuple[str, ...]) -> None:
        self.all |= set(tokens)
        super().__setitem__(sid, tokens)


class Locker(Sealed):
    """Keeps what is sealed where a test can look."""

    def __init__(self) -> None:
        """Begin empty."""
        self.fields: Mapping[str, SecretStr] | None = None
        self.calls: list[str] = []

    def seal(self, fields: Mapping[str, SecretStr]) -> None:
        """Keep *fields*."""
        self.calls.append("seal")
        self.fields = dict(fields)

    def unseal(self) -> Mapping[str, SecretStr] | None:
        """Return them."""
        self.calls.append("unseal")
        return self.fields

    def forget(self) -> None:
        """Throw them away."""
        self.calls.append("forget")
        self.fields = None


class TokenWorld:
    """One test's own: an *emulator*, a *folder* with places and journals, a *clock*."""

    def __init__(self, server: EmulatorServer, folder: Path) -> None:
        """Begin without places."""
        self.emulator = server.emulator
        self.url = server.url
        self.account: Account = server.emulator.account
        self.folder = folder
        self.clock = Ahead(self.emulator)
        self.locker = Locker()
        self.said: list[str] = []
        within = self.emulator._world.in_force
        within.tokens = self.known = Tokens(within.tokens)

    def put(self, name: str = ".env", *, account: str = "", **values: str) -> Path:
        """Write a ``.env`` file with the SID and the variables *values* of *account*."""
        infix = f"TWILIO_{account}_" if account else "TWILIO_"
        named = {"ACCOUNT_SID": self.account.sid, **values}
        lines = [f"{infix}{key}={value}\n" for key, value in named.items()]
        return write(self.folder / name, "# ours\n" + "".join(lines) + "OTHER=stays\n")

    def holds(self, name: str = ".env") -> dict[str, str]:
        """Return what the ``.env`` file *name* says, without safetwilio's help."""
        text = (self.folder / name).read_text(encoding="utf-8")
        assert text.startswith("# ours\n")
        found = dict(line.split("=", 1) for line in text.splitlines()[1:])
        assert found.pop("OTHER") == "stays"
        return found

    def make_standby(self) -> str:
        """Return a secondary token that somebody has made before."""
        self.account.secondary_auth_token = made = auth_token()
        return made

    def look(self, named: str | None = None, account: str | None = None) -> SeenToken:
        """Return where the token is."""
        return look(account, named, find_identity(account))

    def begin(self, seen: SeenToken, *, standby: bool = False, subaccounts: bool = False) -> Path:
        """Return the journal of a new run over what was *seen*."""
        subject = seen.subject(None, standby=standby, subaccounts=subaccounts)
        run = start(
            self.folder / "runs", f"run-{next(_IDS)}", verb=VERB, subjects=[subject._asdict()]
        )
        run.close()
        return run.path

    @contextlib.contextmanager
    def opened(
        self, journal: Path, seen: SeenToken, overlap: Overlap = MOVED
    ) -> Iterator[TokenRun]:
        """Go on with the run of *journal*, as a new process would."""
        run = resume(journal)
        try:
            yield TokenRun(
                run,
                seen,
                overlap,
                say=self.said.append,
                clock=self.clock,
                sealed=self.locker,
            )
        finally:
            run.close()

    def carry_out(
        self, journal: Path, seen: SeenToken | None = None, overlap: Overlap = MOVED
    ) -> tuple[Waiting, ...]:
        """Do what is left of the run of *journal*."""
        with self.opened(journal, seen or self.look(), overlap) as run:
            return run.carry_out(0.0)

    def rotate(self, **wanted: bool) -> Path:
        """Rotate whatever the environment names, from the beginning to the end."""
        seen = self.look()
        journal = self.begin(seen, **wanted)
        assert self.carry_out(journal, seen) == ()
        assert events(journal)[-1] == "finished"
        return journal

    def is_alive(self, token: str, account: Account | None = None) -> bool:
        """Return whether Twilio accepts *token* now."""
        within = self.emulator._world.in_force
        within.settle()
        return token in within.tokens[(account or self.account).sid]

    def alive(self, account: Account | None = None) -> set[str]:
        """Return all tokens that Twilio accepts when everything counts."""
        self.emulator.advance(300)
        within = self.emulator._world.in_force
        within.settle()
        return set(within.tokens[(account or self.account).sid])

    def asked(self, what: str = "AuthTokens") -> list[tuple[str, int]]:
        """Return methods and statuses of the requests with *what* in their path."""
        return [
            (f"{each.method} {each.path.rpartition('/')[2]}", each.status)
            for each in self.emulator.requests
            if what in each.path
        ]

    def require_silence(self) -> None:
        """Fail if a journal or anything that was said holds a secret."""
        secrets = self.known.all | self.emulator.secrets()
        assert leaks("\n".join(self.said), secrets) == []
        for path in (self.folder / "runs").glob("*"):
            assert leaks(path.read_text(encoding="utf-8"), secrets) == []


def events(journal: Path) -> list[str]:
    """Return what happened in a run, in order."""
    return [entry.event for entry in read(journal)]


def done(journal: Path) -> list[str]:
    """Return the steps that are done, in order."""
    return [entry.facts["step"] for entry in read(journal) if entry.event == "done"]


def with_backend(place: TokenPlace, backend: WritableBackend) -> TokenPlace:
    """Return *place*, written to by *backend*."""
    return TokenPlace(place.reference, backend, place.account)


class Killed(BaseException):
    """The process ends here."""


class Killer:
    """Ends a run at its moment numbered *stop*: before it writes to its journal, or waits."""

    def __init__(self, run: TokenRun, stop: int) -> None:
        """Lie in wait for *run*."""
        self.moments: list[str] = []
        self._stop = stop
        journal, clock = run._run._journal, run._clock
        append, wait = journal.append, clock.wait

        def appended(event: str, **facts: Any) -> None:
            self._pass_by(f"{event} {facts.get('step', '')}".strip())
            append(event, **facts)

        def waited(seconds: float) -> None:
            if self.moments[-1:] != ["wait"]:  # one pause is as good as the next
                self._pass_by("wait")
            wait(seconds)

        journal.append = appended  # type: ignore[method-assign]
        clock.wait = waited  # type: ignore[method-assign]
        self._clock, self._wait = clock, wait

    def _pass_by(self, moment: str) -> None:
        self.moments.append(moment)
        if len(self.moments) == self._stop:
            raise Killed

    def go(self, do: Callable[[], object]) -> bool:
        """Return whether *do* came to its end."""
        try:
            do()
        except Killed:
            return False
        finally:
            self._clock.wait = self._wait  # type: ignore[method-assign]
        return True


class Unwilling:
    """A writable backend in front of another, which fails *times* with *error*.

    With *after* it fails when the other has written.
    """

    def __init__(
        self, place: TokenPlace, error: Exception, *, times: int = 1, after: bool = False
    ) -> None:
        """Stand in front of the backend of *place*."""
        self._inner: Any = place._backend
        self._error = error
        self.left = times
        self._after = after

    def require_writable(self) -> None:
        """Say yes."""

    def save(self, fields: Mapping[str, SecretStr], **more: Any) -> str:
        """Write *fields*, or fail."""
        if self.left <= 0:
            return str(self._inner.save(fields, **more))
        self.left -= 1
        if self._after:
            self._inner.save(fields, **more)
        raise self._error


@contextlib.contextmanager
def token_world(
    folder: Path, patch: pytest.MonkeyPatch, **assumptions: Choice
) -> Iterator[TokenWorld]:
    """Start an emulator with *assumptions*, break the glass, and look for secrets at the end."""
    with EmulatorServer(Emulator(assumptions=assumptions)) as server:
        patch.setenv("SAFETWILIO_EMULATOR", server.url)
        patch.chdir(folder)
        world = TokenWorld(server, folder)
        with break_glass(reason="test"):
            yield world
        world.require_silence()
    for value in tuple(registry_module.registry._known):
        redaction.retire(value)
