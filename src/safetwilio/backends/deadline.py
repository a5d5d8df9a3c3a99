"""Deadlines that bind: what a library promises about its timeouts is not enough.

A name server that never answers, a retry policy of a minute, a proxy that drips: each has kept a
vendor's call far beyond the timeout it was given. So a call runs in a thread of its own, and when
its time is up it is left behind. Of those that have not ended a few are borne, and then no new one
is begun before one ends. What a call logs below WARNING goes nowhere.
"""

from __future__ import annotations

import math
import os
import random
import threading
import time
from collections import deque
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from safetwilio.backends.budget import BOOT_SECONDS, boot_end
from safetwilio.backends.locate import unreadable
from safetwilio.redaction.hush import hushed

if TYPE_CHECKING:
    from collections.abc import Callable

    from safetwilio.backends.locate import Reference

SECONDS = 5.0
OPTION = "timeout"
_SHORTEST = 0.1
_FIRST_PAUSE = 0.1
_GOING = 1.0  # seconds in which a thread that has ended is gone for the system, too
_ended: deque[tuple[int, float]] = deque(maxlen=64)
MOST_LEFT = 8  # calls left behind and alive, of each kind of place
_left: dict[str, list[threading.Thread]] = {}
_lock = threading.RLock()  # the handler of a signal may look, too

Answer = TypeVar("Answer")
Note = TypeVar("Note")


class Deadline:
    """The moment by which everything asked of one backend must be answered.

    It is set by the first question: a machine with little CPU may take seconds to import a
    vendor's library, and that is no sign that the vendor does not answer.
    """

    __slots__ = ("_end", "_latest", "place", "seconds")

    def __init__(self, seconds: float, latest: float = math.inf, place: str = "") -> None:
        """End *seconds* after the first question, at *latest* on the monotonic clock.

        Calls to the same kind of *place* share the number of those that may be left behind.
        """
        self.seconds = seconds
        self.place = place
        self._latest = latest
        self._end: float | None = None

    def remaining(self) -> float:
        """Return the seconds left, 0.0 when it has passed; asking this first starts the clock."""
        now = time.monotonic()
        if self._end is None:
            self._end = min(now + self.seconds, self._latest)
        return max(0.0, self._end - now)


class Outcome(NamedTuple, Generic[Answer]):
    """How a call ended: with its *answer*, or with the *error* that it raised.

    The error is handed over, not raised: its frames hold what the vendor's library held.
    """

    answer: Answer | None
    error: Exception | None


def deadline_of(reference: Reference) -> Deadline:
    """Return when *reference* must have answered: its ``timeout=`` in seconds, else 5.

    Never later than the boot's own end, 15 seconds from its start.
    Raises :class:`safetwilio.errors.BackendError` (ST302) for a timeout that is none.
    """
    text = reference.options.get(OPTION)
    seconds = SECONDS if text is None else _seconds(text)
    if not _SHORTEST <= seconds <= BOOT_SECONDS:
        raise unreadable(
            reference,
            f"Its option {OPTION} is a number of seconds from {_SHORTEST} to {BOOT_SECONDS:g}.",
        )
    end = boot_end()
    if end is None:
        return Deadline(seconds, place=reference.scheme)
    left = round(max(0.0, end - time.monotonic()), 1)  # it is told
    return Deadline(min(seconds, left), latest=end, place=reference.scheme)


def run(
    deadline: Deadline,
    call: Callable[[], Answer],
    *,
    again: Callable[[Exception], bool] = lambda _: False,
) -> Outcome[Answer]:
    """Return how *call* ended, at the *deadline* at the latest: then its error is TimeoutError.

    An error that *again* accepts is tried anew, after a pause with jitter, while there is time. Of
    a try that is cut short, the error before it is what is told. While :data:`MOST_LEFT` calls of
    the kind are left behind and alive, the call is not begun: that is told as a time-out at once.
    """
    return run_noting(deadline, lambda: None, lambda _: call(), again=again)[0]


def run_noting(
    deadline: Deadline,
    new: Callable[[], Note],
    call: Callable[[Note], Answer],
    *,
    again: Callable[[Exception], bool],
) -> tuple[Outcome[Answer], Note]:
    """Do what :func:`run` does, and return also what *call* noted in the try that is told.

    Each try has a note of its own, made by *new*: one that is left behind goes on writing.
    """
    pause = _FIRST_PAUSE
    before: tuple[Outcome[Answer], Note] | None = None
    while True:
        note = new()
        outcome = _once(deadline, partial(call, note))
        if before is not None and isinstance(outcome.error, TimeoutError):
            return before
        if outcome.error is None or not again(outcome.error) or _is_crowded(deadline.place):
            return outcome, note
        before = outcome, note
        wait = pause * (1 + random.random())  # noqa: S311 - jitter, not a secret
        if wait >= deadline.remaining():
            return before
        time.sleep(wait)
        pause *= 2


def _once(deadline: Deadline, call: Callable[[], Answer]) -> Outcome[Answer]:
    done: list[Outcome[Answer]] = []

    def work() -> None:
        try:
            with hushed():
                done.append(Outcome(call(), None))
        except Exception as error:  # noqa: BLE001 - handed over
            done.append(Outcome(None, error))
        except BaseException as error:  # noqa: BLE001 - or the thread would print what it says
            name = type(error).__name__
            done.append(Outcome(None, type(name, (RuntimeError,), {})()))

    # A daemon: a call that never returns must not keep the process from ending.
    thread = threading.Thread(target=work, name="safetwilio-backend", daemon=True)
    late: Outcome[Answer] = Outcome(None, TimeoutError())
    if not deadline.remaining() or _is_crowded(deadline.place):
        return late
    thread.start()
    thread.join(deadline.remaining())
    if thread.is_alive():
        with _lock:
            _left.setdefault(deadline.place, []).append(thread)
    elif thread.native_id is not None:
        _ended.append((thread.native_id, time.monotonic()))
    return done[0] if done else late


def _is_crowded(place: str) -> bool:
    """Return whether as many calls to *place* as may be are left behind, and alive."""
    with _lock:
        alive = [thread for thread in _left.get(place, ()) if thread.is_alive()]
        _left[place] = alive
    return len(alive) >= MOST_LEFT


def _before_fork() -> None:
    """Wait for the threads that have ended, but are still there for the system.

    Before Python 3.13 join() returns a moment earlier. In that moment a thread takes a lock of
    OpenSSL's to clean up, and a child that is forked then could never make a TLS context.
    """
    for native_id, since in tuple(_ended):
        while time.monotonic() < since + _GOING and Path(f"/proc/self/task/{native_id}").exists():
            time.sleep(0.0005)
    _ended.clear()


def _after_fork() -> None:
    """Give the child a lock of its own, and none of the threads that are not here."""
    global _lock  # noqa: PLW0603
    _lock = threading.RLock()
    _left.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_child=_after_fork)


def _seconds(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
