"""One call that serves all who ask meanwhile, in threads and event loops alike.

A caller gets the outcome of a call that began after it asked: what it knows of may have happened
after an earlier one looked.
"""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future, wait
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Outcome = TypeVar("Outcome")


class _InterruptedError(Exception):
    """Who made the call was interrupted: another has to make it."""


class _Flight(Generic[Outcome]):
    """One call, the *number*-th, and who waits for it."""

    __slots__ = ("landing", "number", "thread")

    def __init__(self, number: int) -> None:
        self.number = number
        self.thread: int | None = None
        self.landing: Future[Outcome] = Future()
        self.landing.set_running_or_notify_cancel()  # from now on nobody who waits can cancel it


class SingleFlight(Generic[Outcome]):
    """Calls *call*, which does not raise, once for all who ask at the same time; then *after*."""

    __slots__ = ("_after", "_call", "_flight", "_lock", "_number")

    def __init__(self, call: Callable[[], Outcome], after: Callable[[], object]) -> None:
        """Take what is to be called; *after* may itself ask, for the call is over then."""
        self._call = call
        self._after = after
        self._number = 0
        self.forget_threads()

    def forget_threads(self) -> None:
        """Start anew in a forked child: the thread that was calling is not here."""
        self._lock = threading.Lock()
        self._flight: _Flight[Outcome] | None = None

    @property
    def is_made_here(self) -> bool:
        """Whether this thread is making the call, and would wait for itself."""
        flight = self._flight
        return flight is not None and flight.thread == threading.get_ident()

    def outcome(self) -> Outcome:
        """Return the outcome of a call that began after this one, made here or elsewhere."""
        seen = self._number
        while True:
            flight, is_ours = self._join(seen)
            if is_ours:
                self._fly(flight)
            try:
                outcome = flight.landing.result()
            except _InterruptedError:
                continue
            if flight.number > seen:
                return outcome

    async def outcome_async(self) -> Outcome:
        """Return the same; the call is made in a thread of its own, and the loop goes on."""
        seen = self._number
        while True:
            flight, is_ours = self._join(seen)
            if is_ours:
                self._send_off(flight)
            try:
                outcome = await asyncio.wrap_future(flight.landing)
            except _InterruptedError:
                continue
            if flight.number > seen:
                return outcome

    def landed(self) -> None:
        """Wait for the call that is under way, if there is one."""
        flight = self._flight
        if flight is not None and flight.thread != threading.get_ident():
            wait([flight.landing])

    async def landed_async(self) -> None:
        """Do the same without keeping the event loop."""
        flight = self._flight
        if flight is not None:
            await asyncio.wait([asyncio.wrap_future(flight.landing)])

    def unless_under_way(self) -> None:
        """Make the call here, unless somebody is making it."""
        flight, is_ours = self._join()
        if is_ours:
            self._fly(flight)

    def in_background(self) -> None:
        """Make the call in a thread of its own, unless somebody is making it."""
        flight, is_ours = self._join()
        if is_ours:
            self._send_off(flight)

    def _join(self, seen: int | None = None) -> tuple[_Flight[Outcome], bool]:
        """Return the call that is under way, or a new one, which is the caller's to make.

        One that is over does, too, if it is of those after the first *seen*.
        """
        with self._lock:
            flight = self._flight
            if flight is not None:
                if not flight.landing.done():
                    return flight, False
                is_good = flight.landing.exception() is None
                if is_good and seen is not None and flight.number > seen:
                    return flight, False
            self._number += 1
            self._flight = flight = _Flight(self._number)
            return flight, True

    def _fly(self, flight: _Flight[Outcome]) -> None:
        flight.thread = threading.get_ident()
        try:
            outcome = self._call()
        except BaseException:
            flight.thread = None
            flight.landing.set_exception(_InterruptedError())
            raise
        flight.thread = None
        flight.landing.set_result(outcome)
        self._after()

    def _send_off(self, flight: _Flight[Outcome]) -> None:
        thread = threading.Thread(
            target=self._fly, args=(flight,), name="safetwilio-refresh", daemon=True
        )
        try:
            thread.start()
        except BaseException:  # there are too many threads, or the process ends
            flight.landing.set_exception(_InterruptedError())
            raise
