"""One call that serves all who ask meanwhile, in threads and event loops alike.

A caller gets the outcome of a call that began after it asked: what it knows of may have happened
after an earlier one looked.
"""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future, InvalidStateError, wait
from contextlib import suppress
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Outcome = TypeVar("Outcome")


class _InterruptedError(Exception):
    """Who made the call was interrupted: another has to make it."""


class _Flight(Generic[Outcome]):
    """One call, the *number*-th once it is known to others, and who waits for it."""

    __slots__ = ("landing", "number", "thread")

    def __init__(self) -> None:
        self.number = 0
        self.thread: int | None = None
        self.landing: Future[Outcome] = Future()
        self.landing.set_running_or_notify_cancel()  # from now on nobody who waits can cancel it

    def abandon(self) -> None:
        """Let nobody wait for it any longer, unless it has landed."""
        self.thread = None
        with suppress(InvalidStateError):
            self.landing.set_exception(_InterruptedError())


class SingleFlight(Generic[Outcome]):
    """Calls *call* once for all who ask at the same time; then *after*.

    What *call* raises is for the thread that it was called in; the others call again.
    """

    __slots__ = ("_after", "_call", "_flight", "_instead", "_lock", "_number")

    def __init__(
        self,
        call: Callable[[], Outcome],
        after: Callable[[], object],
        instead: Callable[[], Outcome],
    ) -> None:
        """Take what is to be called; *after* may itself ask, for the call is over then.

        *instead* returns the outcome where no thread can be started for it, or where it was cut off
        in one.
        """
        self._call = call
        self._after = after
        self._instead = instead
        self._number = 0
        self.forget_threads()

    def forget_threads(self) -> None:
        """Start anew in a forked child: the thread that was calling is not here."""
        self._lock = threading.RLock()  # a signal handler of the same thread may ask, too
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
            flight = self._made_here(seen)
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
            flight, is_ours = self._sent_off(seen)
            try:
                outcome = await asyncio.wrap_future(flight.landing)
            except _InterruptedError:
                if is_ours:
                    return self._instead()
                continue
            if flight.number > seen:
                return outcome

    def landed(self, seconds: float | None = None) -> None:
        """Wait for the call that is under way, if there is one, for so many *seconds* at most."""
        flight = self._flight
        if flight is not None and flight.thread != threading.get_ident():
            wait([flight.landing], seconds)

    async def landed_async(self, seconds: float | None = None) -> None:
        """Do the same without keeping the event loop."""
        flight = self._flight
        if flight is not None:
            landing = asyncio.wrap_future(flight.landing)
            landing.add_done_callback(lambda done: done.cancelled() or done.exception())
            await asyncio.wait([landing], timeout=seconds)

    def unless_under_way(self) -> None:
        """Make the call here, unless somebody is making it."""
        self._made_here(None)

    def in_background(self) -> None:
        """Make the call in a thread of its own, unless somebody is making it."""
        self._sent_off(None)

    def _made_here(self, seen: int | None) -> _Flight[Outcome]:
        """Return a call to wait for, made here if nobody makes one."""
        mine: _Flight[Outcome] = _Flight()
        mine.thread = threading.get_ident()
        try:
            flight = self._join(seen, mine)
            if flight is mine:
                self._fly(mine)
        finally:  # whatever interrupts this thread, and wherever
            mine.abandon()
        return flight

    def _sent_off(self, seen: int | None) -> tuple[_Flight[Outcome], bool]:
        """Return a call to wait for, and whether it is ours, made in a thread of its own."""
        mine: _Flight[Outcome] = _Flight()
        is_flying = False
        try:
            flight = self._join(seen, mine)
            if flight is mine:
                try:
                    threading.Thread(
                        target=self._fly_aside, args=(mine,), name="safetwilio-refresh", daemon=True
                    ).start()
                except RuntimeError:  # the system has no more
                    mine.landing.set_result(self._instead())
                is_flying = True
        finally:
            if not is_flying:
                mine.abandon()
        return flight, is_flying

    def _join(self, seen: int | None, new: _Flight[Outcome]) -> _Flight[Outcome]:
        """Return the call that is under way, or else the *new* one, which others see from now on.

        One that is over does, too, if it is of those after the first *seen*.
        """
        with self._lock:
            flight = self._flight
            if flight is not None:
                if not flight.landing.done():
                    return flight
                is_good = flight.landing.exception() is None
                if is_good and seen is not None and flight.number > seen:
                    return flight
            self._number += 1
            new.number = self._number
            self._flight = new
            return new

    def _fly_aside(self, flight: _Flight[Outcome]) -> None:
        with suppress(BaseException):  # or the thread would print what it says
            self._fly(flight)

    def _fly(self, flight: _Flight[Outcome]) -> None:
        if flight.landing.done():  # who started this was interrupted, and another flies
            return
        flight.thread = threading.get_ident()
        try:
            outcome = self._call()
            flight.thread = None
            flight.landing.set_result(outcome)
        finally:
            flight.abandon()
        self._after()
