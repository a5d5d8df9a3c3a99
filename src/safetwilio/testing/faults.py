"""Trouble on request: latency, error statuses, connections that break.

emulator.faults.add(status(429, retry_after=1), match="POST */Messages.json", times=2)
"""

from __future__ import annotations

import http
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from safetwilio.testing.answers import Refused
from safetwilio.testing.exchange import Delivery, EmulatedRequest

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

Match = str | Callable[[EmulatedRequest], bool]

# 20429 and 20500: error dictionary; the other statuses carry their own number as code, as the
# SDK makes of an answer without a Twilio body.
_CODES = {429: (20429, "Too Many Requests"), 500: (20500, "Internal Server Error")}


@dataclass(frozen=True)
class Fault:
    """One kind of trouble, made by the functions of this module.

    With *applied* the request takes effect before its answer is lost.
    """

    applied: bool = True
    delay: float = 0.0
    delivery: Delivery = Delivery.WHOLE
    refusal: Refused | None = None
    retry_after: float | None = None


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


@dataclass
class _Planned:
    fault: Fault
    match: Match
    left: int

    def matches(self, request: EmulatedRequest) -> bool:
        if callable(self.match):
            return self.match(request)
        return fnmatchcase(f"{request.method} {request.host}{request.path}", self.match)


class Faults:
    """The faults still to happen."""

    def __init__(self, lock: AbstractContextManager[object]) -> None:
        """Start without faults; *lock* guards them."""
        self._lock = lock
        self._planned: list[_Planned] = []

    def __repr__(self) -> str:
        return f"<Faults: {[(planned.fault, planned.left) for planned in list(self._planned)]}>"

    def add(self, fault: Fault, *, match: Match = "*", times: int = 1) -> None:
        """Let *fault* happen to the next *times* requests that *match*.

        *match* is a shell pattern over ``METHOD host/path`` (``POST */Messages.json``) or a
        function of the request. One fault happens to a request: the first added that matches.
        """
        if times < 1:
            raise ValueError(f"a fault happens at least once, not {times} times")
        with self._lock:
            self._planned.append(_Planned(fault, match, times))

    def clear(self) -> None:
        """Forget all faults that have not happened yet."""
        with self._lock:
            self._planned.clear()

    def take(self, request: EmulatedRequest) -> Fault | None:
        """Return the fault that happens to *request*, and count it as happened."""
        with self._lock:
            for planned in self._planned:
                if planned.matches(request):
                    planned.left -= 1
                    if not planned.left:
                        self._planned.remove(planned)
                    return planned.fault
            return None
