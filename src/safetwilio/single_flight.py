"""One call that serves all who ask meanwhile, in threads and event loops alike.

A caller gets the outcome of a call that began after it asked: what it knows of may have happened
after an earlier one looked. The call has a thread of its own: what the handler of a signal raises
ends the wait of the thread that it interrupts, and is never taken for an outcome.
"""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future, wait
from contextlib import suppress
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Outcome = TypeVar("Outcome")


class NotMadeError(Exception):
    """The call could not be begun, or was cut off."""


class _Flight(Generic[Outcome]):
    """One call, the *number*-th once it is known to others, and who waits for it.

    Until its own *thread* has begun, it is in the hands of its *starter*.
    """

    __slots__ = ("landing", "number", "starter", "thread")

    def __init__(self) -> None:
        self.number = 0
        self.thread: int | None = None
        self.starter: int | None = threading.get_ident()
        self.landing: Future[Outcome] = Future()
        self.landing.set_running_or_notify_cancel()  # from now on nobody who waits can cancel it

    @property
    def is_made_here(self) -> bool:
        """Whether this thread makes it or is about to start it, and would wait for itself."""
        return threading.get_ident() in {self.thread, self.starter}

    def abandon(self) -> None:
        """Let nobody wait for it any longer, unless it has landed."""
        self.thread = self.starter = None
        if not self.landing.done():
            self.landing.set_exception(NotMadeError())


class SingleFlight(Generic[Outcome]):
    """Calls *call* once for all who ask at the same time; then *after*. Neither raises."""

    __slots__ = ("_after", "_call", "_flight", "_lock", "_number")

    def __init__(self, call: Callable[[], Outcome], after: Callable[[], object]) -> None:
        """Take what is to be called; *after* may itself ask, for the call is over then."""
        self._call = call
        self._after = after
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
        return flight is not None and flight.is_made_here

    def outcome(self) -> Outcome:
        """Return the outcome of a call that began after this one, and what comes after is done.

        Raises :class:`NotMadeError` if no thread can be started for it.
        """
        seen = self._number
        while True:
            flight, thread = self._sent_off(seen)
            if thread is not None:
                thread.join()
            try:
                outcome = flight.landing.result()
            except NotMadeError:
                if thread is not None:
                    raise
                continue
            if flight.number > seen:
                return outcome

    async def outcome_async(self) -> Outcome:
        """Return the same, while the loop goes on."""
        seen = self._number
        while True:
            flight, thread = self._sent_off(seen)
            try:
                outcome = await asyncio.wrap_future(flight.landing)
            except NotMadeError:
                if thread is not None:
                    raise
                continue
            if flight.number > seen:
                return outcome

    def landed(self, seconds: float | None = None) -> None:
        """Wait for the call that is under way, if there is one, for so many *seconds* at most."""
        flight = self._flight
        if flight is not None and not flight.is_made_here:
            wait([flight.landing], seconds)

    async def landed_async(self, seconds: float | None = None) -> None:
        """Do the same without keeping the event loop."""
        flight = self._flight
        if flight is not None:
            landing = asyncio.wrap_future(flight.landing)
            landing.add_done_callback(lambda done: done.cancelled() or done.exception())
            await asyncio.wait([landing], timeout=seconds)

    def unless_under_way(self) -> None:
        """Wait for a call that is begun now, unless one is under way.

        Where no thread can be started it is not made.
        """
        with suppress(NotMadeError):
            _, thread = self._sent_off(None)
            if thread is not None:
                thread.join()

    def in_background(self) -> None:
        """Begin a call, unless one is under way; where no thread can be started it is not made."""
        with suppress(NotMadeError):
            self._sent_off(None)

    def _sent_off(self, seen: int | None) -> tuple[_Flight[Outcome], threading.Thread | None]:
        """Return a call to wait for, and its thread if it was begun here."""
        mine: _Flight[Outcome] = _Flight()
        thread: threading.Thread | None = None
        try:
            flight = self._join(seen, mine)
            if flight is mine:
                thread = self._started(mine)
        finally:  # whatever interrupts this thread, and wherever
            if thread is None and mine.starter is not None:
                mine.abandon()
        return flight, thread

    def _started(self, flight: _Flight[Outcome]) -> threading.Thread:
        """Return the thread that makes the call, or raise :class:`NotMadeError`."""
        thread = threading.Thread(
            target=self._fly, args=(flight,), name="safetwilio-refresh", daemon=True
        )
        with suppress(RuntimeError):  # the system has no more
            thread.start()
            return thread
        raise NotMadeError

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

    def _fly(self, flight: _Flight[Outcome]) -> None:
        flight.thread = threading.get_ident()
        flight.starter = None
        try:
            outcome = self._call()
            flight.thread = None
            flight.landing.set_result(outcome)
        except BaseException:  # noqa: BLE001 - or the thread would print what it says
            flight.abandon()
        self._after()
