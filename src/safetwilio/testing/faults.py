"""Trouble on request: latency, error statuses, lost and late answers, too many requests.

emulator.faults.add(status(429, retry_after=1), match="POST */Messages.json", times=2)
"""

from __future__ import annotations

import http
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from safetwilio.testing.answers import Refused
from safetwilio.testing.exchange import Delivery, EmulatedRequest

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from datetime import datetime

Match = str | Callable[[EmulatedRequest], bool]

# 20429 and 20500: error dictionary; the other statuses carry their own number as code, as the
# SDK makes of an answer without a Twilio body.
_CODES = {429: (20429, "Too Many Requests"), 500: (20500, "Internal Server Error")}


@dataclass(frozen=True)
class Fault:
    """One kind of trouble, made by the functions of this module.

    With *applied* the request takes effect before its answer is lost, with *twice* two times; the
    answer waits until a request that *until* matches is answered.
    """

    applied: bool = True
    twice: bool = False
    delay: float = 0.0
    delivery: Delivery = Delivery.WHOLE
    refusal: Refused | None = None
    retry_after: float | None = None
    until: Match | None = None


def nothing() -> Fault:
    """Answer as ever: lets requests pass before the fault that is added next."""
    return Fault()


def latency(seconds: float) -> Fault:
    """Answer as ever, *seconds* later."""
    return Fault(delay=seconds)


def status(code: int, *, retry_after: float | None = None, applied: bool = False) -> Fault:
    """Answer with the HTTP status *code*, and ``Retry-After: retry_after`` (seconds) if given.

    A 429 is never processed (facts: twilio.md, section 5), so it cannot be *applied*.
    """
    if code == http.HTTPStatus.TOO_MANY_REQUESTS and applied:
        raise ValueError("Twilio never processes a request that it answers with 429")
    error, message = _CODES.get(code, (code, http.HTTPStatus(code).phrase))
    return Fault(applied=applied, refusal=Refused(code, error, message), retry_after=retry_after)


def drop(*, applied: bool) -> Fault:
    """Close the connection without an answer, after the request was *applied* or before."""
    return Fault(applied=applied, delivery=Delivery.DROPPED)


def reset(*, applied: bool) -> Fault:
    """Reset the connection without an answer, after the request was *applied* or before."""
    return Fault(applied=applied, delivery=Delivery.RESET)


def slow_body(seconds: float) -> Fault:
    """Send half of the answer's body, and the rest *seconds* later."""
    return Fault(delay=seconds, delivery=Delivery.SLOW)


def duplicate() -> Fault:
    """Apply the request twice and answer the second time, as when a proxy on the way retries."""
    return Fault(twice=True)


def hold(*, until: Match = "*") -> Fault:
    """Apply the request, and answer it only after the answer to a later one that *until* matches.

    It takes another connection to send the later one, such as a client's retry. Without one the
    answer waits until ``faults.clear()`` or the end of the server.
    """
    return Fault(until=until)


def matches(match: Match, request: EmulatedRequest) -> bool:
    """Return whether *request* is one of those that *match* means."""
    if callable(match):
        return match(request)
    return fnmatchcase(f"{request.method} {request.host}{request.path}", match)


@dataclass
class _Planned:
    fault: Fault
    match: Match
    left: int | None
    seconds: float | None
    ends: datetime | None = None


@dataclass
class _Limit:
    match: Match
    per_second: int | None
    concurrency: int | None
    fault: Fault
    admitted: deque[datetime] = field(default_factory=deque)

    def exceeded(self, under_way: int, now: datetime) -> bool:
        if self.concurrency is not None and under_way > self.concurrency:
            return True
        while self.admitted and now - self.admitted[0] >= timedelta(seconds=1):
            self.admitted.popleft()
        return self.per_second is not None and len(self.admitted) >= self.per_second


class Faults:
    """The faults still to happen, and the limits that hold until ``clear()``."""

    def __init__(self, lock: AbstractContextManager[object], now: Callable[[], datetime]) -> None:
        """Start without faults; *lock* guards them, *now* is the emulator's clock."""
        self._lock = lock
        self._now = now
        self._planned: list[_Planned] = []
        self._limits: list[_Limit] = []
        self._held: list[tuple[Match, threading.Event]] = []

    def __repr__(self) -> str:
        return f"<Faults: {[(planned.fault, planned.left) for planned in list(self._planned)]}>"

    def __len__(self) -> int:
        return len(self._planned)

    def add(
        self,
        fault: Fault,
        *,
        match: Match = "*",
        times: int | None = None,
        for_seconds: float | None = None,
    ) -> None:
        """Let *fault* happen to the next *times* requests that *match*.

        *match* is a shell pattern over ``METHOD host/path`` (``POST */Messages.json``) or a
        function of the request. With *for_seconds* it happens from the first such request on, for
        so long by the emulator's clock, to as many as *times* (default: all). Otherwise *times*
        is 1 by default. One fault happens to a request: the first added that matches.
        """
        if times is not None and times < 1:
            raise ValueError(f"a fault happens at least once, not {times} times")
        if for_seconds is not None and for_seconds <= 0:
            raise ValueError(f"a fault lasts longer than {for_seconds} seconds")
        left = 1 if times is None and for_seconds is None else times
        with self._lock:
            self._planned.append(_Planned(fault, match, left, for_seconds))

    def limit(
        self,
        *,
        per_second: int | None = None,
        concurrency: int | None = None,
        retry_after: float | None = None,
        match: Match = "*",
    ) -> None:
        """Refuse requests that *match* with 429/20429 when there are too many, until ``clear()``.

        Too many are more than *per_second* in any second of the emulator's clock, or more than
        *concurrency* under way, this one included, as ``Twilio-Concurrent-Requests`` counts them.
        Twilio's own limits are per account and not published; here all accounts count together.
        """
        for number in (per_second, concurrency):
            if number is not None and number < 1:
                raise ValueError(f"a limit lets at least one request pass, not {number}")
        if per_second is None and concurrency is None:
            raise ValueError("a limit needs per_second, concurrency or both")
        fault = status(http.HTTPStatus.TOO_MANY_REQUESTS, retry_after=retry_after)
        with self._lock:
            self._limits.append(_Limit(match, per_second, concurrency, fault))

    def clear(self) -> None:
        """Forget all faults that have not happened yet and all limits; give out held answers."""
        with self._lock:
            self._planned.clear()
            self._limits.clear()
            for _, answered in self._held:
                answered.set()
            self._held.clear()

    def take(self, request: EmulatedRequest, under_way: int = 1) -> Fault | None:
        """Return the fault that happens to *request*, and count it as happened.

        *under_way* is how many requests are, this one included.
        """
        with self._lock:
            return self._next_planned(request) or self._exceeded_limit(request, under_way)

    def held(self, until: Match) -> threading.Event:
        """Return the sign that a request which *until* matches was answered."""
        answered = threading.Event()
        with self._lock:
            self._held.append((until, answered))
        return answered

    def waiting_for(self, request: EmulatedRequest) -> tuple[threading.Event, ...]:
        """Return the signs to give when *request* has been answered."""
        if not self._held:
            return ()
        with self._lock:
            found = [held for held in self._held if matches(held[0], request)]
            self._held = [held for held in self._held if held not in found]
        return tuple(answered for _, answered in found)

    def _next_planned(self, request: EmulatedRequest) -> Fault | None:
        for planned in list(self._planned):
            if planned.ends is not None and self._now() >= planned.ends:
                self._planned.remove(planned)
                continue
            if not matches(planned.match, request):
                continue
            if planned.seconds is not None and planned.ends is None:
                planned.ends = self._now() + timedelta(seconds=planned.seconds)
            if planned.left is not None:
                planned.left -= 1
                if not planned.left:
                    self._planned.remove(planned)
            return planned.fault
        return None

    def _exceeded_limit(self, request: EmulatedRequest, under_way: int) -> Fault | None:
        if not self._limits:
            return None
        now = self._now()
        touched = [limit for limit in self._limits if matches(limit.match, request)]
        for limit in touched:
            if limit.exceeded(under_way, now):
                return limit.fault
        for limit in touched:
            limit.admitted.append(now)
        return None
