"""What surrounds a fleet: the place of the key with its limits, Twilio, and what happens when."""

from __future__ import annotations

import math
import threading
from array import array
from bisect import bisect_left
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple
from unittest import mock

from safetwilio import refreshed, single_flight, store
from safetwilio.credentials import ApiKey
from safetwilio.errors import BackendUnavailable
from safetwilio.problems import Problem
from safetwilio.refresh_policy import RefreshPolicy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

EPOCH = 1_800_000_000.0
NEVER = math.inf


def _key(digit: str) -> ApiKey:
    return ApiKey("AC" + "0" * 32, "SK" + digit * 32, "not a secret", source="the bench")


OLD, NEW = _key("1"), _key("2")
NO_ANSWER = BackendUnavailable([Problem(code="ST332", summary="It did not answer.", fix="Wait.")])


class Limits(NamedTuple):
    """How a place holds back: *quota* reads in each *window* of seconds, the others throttled.

    *served* is how many it can answer in a second: those that come meanwhile wait in a queue, and
    cost nothing if they have left it when it would be their turn.
    """

    name: str
    quota: float = math.inf
    window: float = 1.0
    served: float = math.inf


FREE = Limits("no limit")


class Plan(NamedTuple):
    """A fleet and what happens to it, at seconds from the start.

    Each of the *processes* makes *rate* requests a second, at random. The new key is *put* into
    the place, the old one *deleted* at Twilio, all are *pushed* to look (by a signal, if
    *by_signal*, and else by ``refresh()``), and the place is *down*: it refuses connections, or
    *answers_503*. Processes started together if *is_deploy*, and at any time before if not. It is
    over at *until*, or when all have the new key, if it *ends_with_all*.
    """

    processes: int
    until: float
    rate: float = 1.0
    limits: Limits = FREE
    policy: RefreshPolicy = RefreshPolicy()
    has_jitter: bool = True
    is_deploy: bool = False
    is_cold: bool = False
    put: float = 0.0
    deleted: float = NEVER
    pushed: float = NEVER
    by_signal: bool = False
    down: tuple[float, float] = (NEVER, NEVER)
    answers_503: bool = False
    ends_with_all: bool = False
    seed: int = 7

    def accepts(self, key: ApiKey, now: float) -> bool:
        """Return whether Twilio accepts *key*."""
        return key is NEW or now < self.deleted

    def change_after(self, now: float) -> float:
        """Return when something happens that a process notices at its next request."""
        return min((at for at in (self.deleted, self.pushed) if at > now), default=NEVER)


class Result(NamedTuple):
    """What came of it: when the place was read, and when each process *got* the new key."""

    reads: Sequence[float]
    throttled: int
    got: Sequence[float]
    refused: int
    failed: int

    def peak(self, window: float = 1.0, since: float = -NEVER) -> int:
        """Return how many reads there were in the busiest *window* of seconds."""
        times = sorted(self.reads)
        times = times[bisect_left(times, since) :]
        most = first = 0
        for last, at in enumerate(times):
            while at - times[first] >= window:
                first += 1
            most = max(most, last - first + 1)
        return most

    def count(self, since: float, until: float = NEVER) -> int:
        """Return how many reads there were between these moments."""
        return sum(since <= at < until for at in self.reads)

    def until_got(self, share: float) -> float:
        """Return when this *share* of the processes had the new key."""
        found = sorted(self.got)
        return found[max(0, math.ceil(share * len(found)) - 1)]


class Place:
    """Where the key is: answers each read with a key or not, and remembers it."""

    def __init__(self, plan: Plan) -> None:
        """Take what it is from *plan*."""
        self.reads = array("d")
        self.throttled = 0
        self._plan, self._limits = plan, plan.limits
        self._window, self._in_window = -1, 0
        self._free = 0.0

    def ask(self, now: float, end: float = NEVER) -> tuple[ApiKey | str, float]:
        """Return the answer to a read, a key or what is wrong, and when it comes.

        Who asks goes away at the *end*.
        """
        self.reads.append(now)
        if self._plan.down[0] <= now < self._plan.down[1]:
            return ("503" if self._plan.answers_503 else "closed"), now
        limits = self._limits
        if limits.quota < math.inf:
            window = int(now // limits.window)
            if window != self._window:
                self._window, self._in_window = window, 0
            self._in_window += 1
            if self._in_window > limits.quota:
                self.throttled += 1
                return "throttled", now
        at = max(self._free, now) + 1 / limits.served
        if at >= end:
            return "late", end
        self._free = at
        return (NEW if now >= self._plan.put else OLD), self._free


class Clock:
    """The one clock of all processes."""

    def __init__(self) -> None:
        """Start at the start."""
        self.now = 0.0

    def steady(self) -> float:
        """Return what the monotonic clock says."""
        return self.now

    def wall(self) -> float:
        """Return the seconds since the epoch."""
        return EPOCH + self.now


@contextmanager
def in_time_of(clock: Clock, plan: Plan, thread: Callable[..., Any], **more: Any) -> Iterator[None]:
    """Let the library live by *clock* and start its threads with *thread* during the block."""
    patches: list[tuple[Any, str, Any]] = [
        (refreshed, "_wall", clock.wall),
        (refreshed, "_clock", clock.steady),
        (store, "_clock", clock.steady),
        (single_flight, "threading", _Threads(thread)),
        *((store if name == "time" else single_flight, name, what) for name, what in more.items()),
    ]
    if not plan.has_jitter:
        patches.append((refreshed, "_EARLY", 0.0))
    with ExitStack() as stack:
        for module, name, what in patches:
            stack.enter_context(mock.patch.object(module, name, what))
        yield


class _Threads:
    """The module threading, with other threads."""

    def __init__(self, thread: Callable[..., Any]) -> None:
        self.Thread = thread

    def __getattr__(self, name: str) -> Any:
        return getattr(threading, name)
