"""Have the users of the old key moved? Twilio keeps no time of last use, so somebody must say.

Processes say it by their heartbeats, time says it (a program looks for its key every so often), or
the operator does.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from safetwilio.heartbeat import read_heartbeats
from safetwilio.redaction.fingerprints import fingerprint
from safetwilio.refresh_policy import AGE, RefreshPolicy
from safetwilio.runbook.keeping import Clock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from safetwilio.heartbeat import Heartbeat, Heartbeats

_ASK_EVERY = 1.0  # seconds
_SAY_EVERY = 15.0


class Answer(NamedTuple):
    """Whether the old key may go, and *why*, or what is waited for."""

    why: str
    is_over: bool = False


class Change(NamedTuple):
    """What is waited for, as a plan says it: what *goes*, or *stays*, once the new one is *kept*.

    *options* say when; *late* is what becomes of who does not have the new one by then.
    """

    goes: str
    stays: str
    kept: str
    options: str
    late: str


OF_A_KEY = Change(
    "the old key goes",
    "the old key stays",
    "the new one is in its place",
    "--overlap, --heartbeats or --moved",
    "theirs is refused then, until they find the new one",
)
OF_A_TOKEN = Change(
    "a standby that this run makes is promoted",
    "a standby that this run makes is not promoted",
    "it is in its places",
    "--overlap or --moved",
    "what verifies webhooks refuses those that are signed with it meanwhile",
)


class Waiting(NamedTuple):
    """What a run waits for before the old secret of *target* may go."""

    target: str
    why: str


class Watcher:
    """What this process has seen, by a clock that nobody can put forward.

    Clocks on the wall jump, and those of two hosts differ. What was before this process began can
    be told by them alone.
    """

    def __init__(self) -> None:
        """Begin to watch."""
        self._clock = Clock()
        self._began = datetime.now(UTC)
        self._asked: dict[tuple[str, str], tuple[float, float]] = {}
        self._files: dict[str, tuple[float, float]] = {}

    def since(self, new: str, kept_at: str) -> float:
        """Return how many seconds the key *new* is in its place for certain, since *kept_at*.

        From the first time that this is asked, the seconds count that both clocks show. Those
        before count by the clock on the wall, and only if the key was there before this process.
        """
        kept, now = datetime.fromisoformat(kept_at), self._clock.now()
        passed = (datetime.now(UTC) - kept).total_seconds()
        before = passed if kept < self._began else 0.0
        before, first = self._asked.setdefault((new, kept_at), (before, now))
        return min(passed, before + now - first)

    def see(self, found: Heartbeats) -> None:
        """Remember since when the files of the heartbeats *found* are as they are."""
        now = self._clock.now()
        for each in found:
            if self._files.get(each.file, (None,))[0] != each.told_at:
                self._files[each.file] = each.told_at, now

    def silence_left(self, seen: Heartbeat) -> float | None:
        """Return for how long the process *seen* has to be silent still, until it is idle.

        Zero if it is, ``None`` if it does not look it. What another host says of the time is not
        believed: the file has to stay as it is while this process watches.
        """
        if seen.idle_after is None or not seen.is_idle():
            return None
        if seen.by_our_clock:
            return 0.0
        watched = self._clock.now() - self._files[seen.file][1]
        return max(seen.idle_after - watched, 0.0)


@dataclass(frozen=True)
class Overlap:
    """How it is known: *seconds* since the new key was kept, the *heartbeats*, *said* so.

    All that is given has to be; what somebody said is enough. It remembers what it saw, so one run
    makes it once.
    """

    seconds: float | None = None
    heartbeats: Path | None = None
    said: bool = False
    _watcher: Watcher = field(default_factory=Watcher, init=False, repr=False, compare=False)

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
            *(
                [_by_time(self.seconds, self._watcher.since(new, kept_at))]
                if self.seconds is not None
                else []
            ),
            *(
                [_by_heartbeats(self.heartbeats, old, new, self._watcher)]
                if self.heartbeats
                else []
            ),
        ]
        waiting = [answer.why for answer in answers if not answer.is_over]
        if waiting:
            return Answer("; ".join(waiting))
        return Answer("; ".join(answer.why for answer in answers), is_over=True)


def announced(overlap: Overlap, change: Change) -> Iterator[str]:
    """Yield as lines of a plan when the *change* comes by *overlap*, and a warning if too soon."""
    ways = []
    if overlap.heartbeats:
        ways.append(f"once all processes that write to {overlap.heartbeats} have the new one")
    if overlap.seconds is not None:
        ways.append(f"{_in_words(overlap.seconds)} after {change.kept}")
    if overlap.said:
        yield f"  note: {change.goes} as soon as {change.kept} (--moved)"
    elif ways:
        yield f"  note: {change.goes} {', and at the earliest '.join(ways)}"
    else:
        yield f"  note: {change.stays} until somebody says when: {change.options}"
    if overlap.said or overlap.heartbeats or overlap.seconds is None:
        return
    usual = RefreshPolicy().age
    if overlap.seconds < usual:
        yield (
            f"  warning: programs with safetwilio look every {_in_words(usual)} ({AGE}), and may "
            f"not have the new one by then: {change.late}"
        )


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


def _in_words(seconds: float) -> str:
    """Return *seconds* in the largest unit of which they are a whole number."""
    units = {"day": 86400, "hour": 3600, "minute": 60}
    whole = (each for each in units.items() if seconds and seconds % each[1] == 0)
    name, length = next(whole, ("second", 1))
    count = f"{seconds / length:g}"
    return f"{count} {name}{'' if count == '1' else 's'}"


def _by_time(seconds: float, passed: float) -> Answer:
    if passed < seconds:
        return Answer(f"{seconds - passed:.0f} more seconds")
    return Answer(f"{seconds:.0f} seconds have passed", is_over=True)


def _by_heartbeats(directory: Path, old: str, new: str, watcher: Watcher) -> Answer:
    found = read_heartbeats(directory)
    watcher.see(found)
    if found.skipped:  # behind each there may be a process with the old key
        names = ", ".join(f"{each.name} ({each.why})" for each in found.skipped)
        return Answer(f"{len(found.skipped)} files in {directory} to be readable: {names}")
    silence = {each: watcher.silence_left(each) for each in found.using(fingerprint(old))}
    behind = [each for each, left in silence.items() if left != 0]
    if behind:
        names = ", ".join(
            f"{each.service} on {each.host} (process {each.pid}{_silent(silence[each])})"
            for each in behind
        )
        return Answer(f"{len(behind)} with the old key: {names}")
    moved = found.using(fingerprint(new))
    if not moved:  # the wrong directory is empty, too
        return Answer(f"a first heartbeat with the new key in {directory}")
    return Answer(f"{len(moved)} processes use the new key, none the old one", is_over=True)


def _silent(left: float | None) -> str:
    return "" if left is None else f"; silent; waiting {math.ceil(left)} more seconds to be sure"
