"""Have the users of the old key moved? Twilio keeps no time of last use, so somebody must say.

Processes say it by their heartbeats, time says it (a program looks for its key every so often), or
the operator does.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from safetwilio.heartbeat import read_heartbeats
from safetwilio.redaction.fingerprints import fingerprint

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from safetwilio.runbook.keeping import Clock

_ASK_EVERY = 1.0  # seconds
_SAY_EVERY = 15.0


class Answer(NamedTuple):
    """Whether the old key may go, and *why*, or what is waited for."""

    why: str
    is_over: bool = False


class Waiting(NamedTuple):
    """What a run waits for before the old secret of *target* may go."""

    target: str
    why: str


class Overlap(NamedTuple):
    """How it is known: *seconds* since the new key was kept, the *heartbeats*, *said* so.

    All that is given has to be; what somebody said is enough.
    """

    seconds: float | None = None
    heartbeats: Path | None = None
    said: bool = False

    @property
    def can_end(self) -> bool:
        """Whether it is worth waiting."""
        return self.said or self.seconds is not None or self.heartbeats is not None

    def ask(self, old: str, new: str, kept_at: str) -> Answer:
        """Return whether all who used the key *old* use *new*, in its place since *kept_at*."""
        if self.said:
            return Answer("the operator said that everything has moved", is_over=True)
        if not self.can_end:
            return Answer("somebody to say that everything has moved: --moved")
        answers = [
            *([_by_time(self.seconds, kept_at)] if self.seconds is not None else []),
            *([_by_heartbeats(self.heartbeats, old, new)] if self.heartbeats else []),
        ]
        waiting = [answer.why for answer in answers if not answer.is_over]
        if waiting:
            return Answer("; ".join(waiting))
        return Answer("; ".join(answer.why for answer in answers), is_over=True)


def wait(
    ask: Callable[[], tuple[Waiting, ...]],
    *,
    seconds: float,
    say: Callable[[str], None],
    clock: Clock,
) -> tuple[Waiting, ...]:
    """*ask* what is waited for until it is nothing, for *seconds* at most; return what is left."""
    end = clock.now() + seconds
    said, again = "", 0.0
    while (waiting := ask()) and clock.now() < end:
        names = ", ".join(each.target for each in waiting)
        if names != said or clock.now() >= again:
            said, again = names, clock.now() + _SAY_EVERY
            for each in waiting:
                say(f"{each.target}: waiting for {each.why}")
        clock.wait(_ASK_EVERY)
    return waiting


def _by_time(seconds: float, kept_at: str) -> Answer:
    passed = (datetime.now(UTC) - datetime.fromisoformat(kept_at)).total_seconds()
    if passed < seconds:
        return Answer(f"{seconds - passed:.0f} more seconds")
    return Answer(f"{seconds:.0f} seconds have passed", is_over=True)


def _by_heartbeats(directory: Path, old: str, new: str) -> Answer:
    found = read_heartbeats(directory)
    if found.skipped:  # behind each there may be a process with the old key
        names = ", ".join(f"{each.name} ({each.why})" for each in found.skipped)
        return Answer(f"{len(found.skipped)} files in {directory} to be readable: {names}")
    behind = [each for each in found.using(fingerprint(old)) if not each.is_idle()]
    if behind:
        names = ", ".join(
            f"{each.service} on {each.process.host} (process {each.process.pid})" for each in behind
        )
        return Answer(f"{len(behind)} with the old key: {names}")
    moved = found.using(fingerprint(new))
    if not moved:  # the wrong directory is empty, too
        return Answer(f"a first heartbeat with the new key in {directory}")
    return Answer(f"{len(moved)} processes use the new key, none the old one", is_over=True)
