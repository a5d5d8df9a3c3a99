"""A value that was loaded, and is loaded anew when it is old: one snapshot, replaced whole.

Nothing runs in the background: a process that was frozen looks at the clock when it goes on. The
clock is the wall's, for the others stand still meanwhile.
"""

from __future__ import annotations

import asyncio
import math
import os
import random
import threading
import time
import weakref
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Generic, Literal, NoReturn, TypeVar

from safetwilio.credentials import refuse_pickle
from safetwilio.errors import BackendUnavailable, ConfigurationError
from safetwilio.interrupts import is_of_signal_handler
from safetwilio.problems import Problem
from safetwilio.refresh_policy import FOREVER, RefreshPolicy, too_old
from safetwilio.single_flight import SingleFlight

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

LOOK = 0.5
"""Seconds between two looks where requests wait for their outcome."""
_OLD = 2.0  # times the age: then all wait for the new value, where before one looks for it
_EARLY = 0.2  # of a time, at most: not all processes of a fleet look at the same moment
_PAUSE = 30.0  # seconds after which at most a place that could not be read is asked again
_wall, _clock = time.time, time.monotonic

Value = TypeVar("Value")
Event = Literal["replaced", "not refreshed", "refreshed again"]


class Refreshed(Generic[Value]):
    """Holds a value, which was loaded now, and loads it anew.

    *reload* does that, ``None`` if it cannot be; *policy* says how old the value may be. *tell* is
    told when there is another value, when one could not be looked for, and when it can be again.
    *seen* is called after each look, whatever it found, and when a forked child uses its value for
    the first time.
    """

    __slots__ = (
        "__weakref__",
        "_due",
        "_events",
        "_is_doubted",
        "_is_expired",
        "_is_seen",
        "_looked",
        "_looking",
        "_outcome",
        "_reload",
        "_seen",
        "_snapshot",
        "_tell",
        "_untold",
        "policy",
    )

    def __init__(
        self,
        value: Value,
        reload: Callable[[], Value] | None = None,
        *,
        policy: RefreshPolicy = FOREVER,
        tell: Callable[[Event, Value, ConfigurationError | None], object] | None = None,
        seen: Callable[[], object] | None = None,
    ) -> None:
        """Start with *value*."""
        self.policy = policy if reload else FOREVER
        self._reload = reload
        self._tell = tell
        self._seen, self._is_seen = seen, False
        self._events: deque[tuple[Event, Value, ConfigurationError | None]] = deque()
        now = _wall()
        self._snapshot = (value, now, now)  # when it was loaded, and when it was last looked for
        self._due = now + _spread(self.policy.age)
        self._is_expired = False
        self._untold: deque[float] = deque()  # when it is due, if its next use is to be seen
        self._outcome: bool | ConfigurationError = False
        self._looked = -math.inf  # when the last look began, on the clock that cannot be set
        self._is_doubted = False  # then all wait for the look that is under way
        self._looking = SingleFlight(self._look, after=self._say, instead=self._not_looked)
        if reload is not None:
            _all.add(weakref.ref(self, _all.discard))

    def current(self) -> Value:
        """Return the value that was loaded last."""
        return self._snapshot[0]

    @property
    def loaded_at(self) -> float:
        """When the current value was loaded, in seconds since the epoch (wall clock)."""
        return self._snapshot[1]

    @property
    def not_refreshed(self) -> tuple[Problem, ...]:
        """Why the last refresh failed, empty if it did not."""
        outcome = self._outcome
        return outcome.problems if isinstance(outcome, ConfigurationError) else ()

    @property
    def is_stale(self) -> bool:
        """Whether looking for the value has failed for longer than the policy allows."""
        _, loaded, looked = self._snapshot
        return bool(self.not_refreshed) and looked - loaded >= self.policy.stale

    def fresh(self) -> Value:
        """Return the value to use now, loaded anew if it is old; asked at each use.

        One caller loads it while the others go on with the one that is there; one of twice the age
        is waited for. Raises :class:`safetwilio.errors.BackendUnavailable` (ST341) if it could not
        be looked for longer than the policy allows.
        """
        value, _, looked = self._snapshot
        if looked <= _wall() < self._due or self._is_young_once_seen(self._say):
            return value
        if self._is_doubted or self._must_wait():
            self._looking.landed(self.policy.wait if self._is_doubted else None)
            if self._must_look() and not self._looking.is_made_here:
                self._looking.outcome()
        elif self._is_time_to_look():
            self._looking.unless_under_way()
        return self._usable()

    async def fresh_async(self) -> Value:
        """Return the same without keeping the event loop: the value is loaded in a thread."""
        value, _, looked = self._snapshot
        if looked <= _wall() < self._due or self._is_young_once_seen(self._say_aside):
            return value
        if self._is_doubted or self._must_wait():
            await self._looking.landed_async(self.policy.wait if self._is_doubted else None)
            if self._must_look():
                await self._looking.outcome_async()
        elif self._is_time_to_look():
            self._looking.in_background()
        return self._usable()

    def meanwhile(self) -> Value:
        """Return the value that is there; an old one is loaded anew meanwhile.

        For those who must not wait, or have waited (:meth:`catch_up`). Raises the same.
        """
        value, _, looked = self._snapshot
        if looked <= _wall() < self._due or self._is_young_once_seen(self._say_aside):
            return value
        if self._is_time_to_look():
            self._looking.in_background()
        return self._usable()

    def catch_up(self) -> None:
        """Wait for a look if nobody has looked for twice the age, some seconds at most.

        In the thread of an event loop nobody waits.
        """
        if self._must_wait() and not _has_event_loop():
            self._looking.in_background()
            self._looking.landed(self.policy.wait)

    async def catch_up_async(self) -> None:
        """Do the same without keeping the event loop."""
        if self._must_wait():
            self._looking.in_background()
            await self._looking.landed_async(self.policy.wait)

    def refresh(self) -> bool:
        """Load the value anew, and return whether it is another one now.

        Callers that come while a refresh is under way share the next one: what they know of may
        have happened after the present one looked. Raises what loading raises
        (:class:`safetwilio.errors.ConfigurationError`); the old value then stays in use.
        """
        if self._reload is None or self._looking.is_made_here:
            return False
        return _result(self._looking.outcome())

    async def refresh_async(self) -> bool:
        """Do the same without keeping the event loop."""
        return self._reload is not None and _result(await self._looking.outcome_async())

    def expire(self) -> None:
        """Let the next use load the value anew; a signal handler may call it."""
        if self._reload is not None:
            self._is_expired = True  # also if a look is under way: it may have looked before
            self._due = -math.inf

    def show_next_use(self) -> None:
        """Let the next use be seen, in a forked child; nothing is looked for because of that.

        It takes the way of one whose value is old, so that all others cost what they did.
        """
        if self._seen is not None and not self._untold:
            self._untold.append(self._due)
            self._due = -math.inf

    def doubt(self) -> None:
        """Let those who ask for the value wait for the look that is under way, until :meth:`trust`.

        Without a look they go on with the value that is there.
        """
        self._is_doubted = True
        self._due = -math.inf

    def trust(self) -> None:
        """Let them go on."""
        self._is_doubted = False

    def forget_threads(self) -> None:
        """Take new locks in a forked child: the threads that hold the old ones are not here."""
        self._is_doubted = False
        self._looking.forget_threads()

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, object]) -> Self:
        return self

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        refuse_pickle(type(self).__name__)

    def _is_young_once_seen(self, say: Callable[[], object]) -> bool:
        """Show the use that is to be seen, and return whether the value is young after all."""
        if self._untold:
            with suppress(IndexError):  # of several threads one shows it
                self._wait_until(self._untold[0])  # first: those who come meanwhile must not look
                self._untold.popleft()
                self._is_seen = True
            say()
        return self._snapshot[2] <= _wall() < self._due

    def _checked(self, before: Value, after: Value) -> Value | ConfigurationError:  # noqa: ARG002
        """Return *after*, or why it cannot take the place of the one *before*."""
        return after

    def _is_same(self, before: Value, after: Value) -> bool:
        return before == after

    def _is_time_to_look(self) -> bool:
        return _clock() - self._looked >= LOOK

    def _must_wait(self) -> bool:
        """Return whether nobody has even looked for so long that the value is not used before."""
        return self._is_long_ago(self._snapshot[2])

    def _is_long_ago(self, moment: float) -> bool:
        return _wall() - moment >= _OLD * self.policy.age

    def _must_look(self) -> bool:
        return self._must_wait() and _wall() >= self._due and self._is_time_to_look()

    def _usable(self) -> Value:
        if self.is_stale:
            raise too_old(self.loaded_at, self.not_refreshed)
        return self._snapshot[0]

    def _look(self) -> bool | ConfigurationError:
        """Load the value, and let what is to be told be told when all can go on."""
        self._looked = _clock()
        self._is_expired = False
        return self._keep(self._loaded(self._snapshot[0]))

    def _not_looked(self) -> bool | ConfigurationError:
        """Take note that nobody looked: no thread can be started, or the one that did ended."""
        self._looked = _clock()
        return self._keep(_unexpected(RuntimeError))

    def _keep(self, outcome: Value | ConfigurationError) -> bool | ConfigurationError:
        """Keep what a look came to, and return whether it is another value."""
        before, loaded, _ = self._snapshot
        self._is_seen = True
        now = _wall()
        if isinstance(outcome, ConfigurationError):
            # A stale one is not used: each use comes here, and looks when it is time.
            self._snapshot = (before, min(loaded, now), now)
            pause = _spread(min(_PAUSE, self.policy.age))
            self._wait_until(min(now + pause, loaded + self.policy.stale))
            if not self.not_refreshed:
                self._events.append(("not refreshed", before, outcome))
            self._outcome = outcome
            return outcome
        self._snapshot = (outcome, now, now)
        self._wait_until(now + _spread(self.policy.age))
        if self.not_refreshed:
            self._events.append(("refreshed again", outcome, None))
        self._outcome = not self._is_same(before, outcome)
        if self._outcome:
            self._events.append(("replaced", outcome, None))
        return self._outcome

    def _wait_until(self, due: float) -> None:
        """Let the next look be *due* then, or now if that was demanded during this one."""
        self._due = due
        if self._is_expired:
            self._due = -math.inf

    def _loaded(self, before: Value) -> Value | ConfigurationError:
        try:
            return self._checked(before, self._reload() if self._reload else before)
        except ConfigurationError as error:
            return error.with_traceback(None)
        except Exception as error:
            if is_of_signal_handler(error):  # it is for the request that it interrupted
                raise
            return _unexpected(type(error))

    def _say(self) -> None:
        while self._tell:
            try:
                event = self._events.popleft()
            except IndexError:
                break
            self._tell(*event)
        if self._is_seen and self._seen:
            self._is_seen = False
            self._seen()

    def _say_aside(self) -> None:
        """Do the same in a thread, for who must not wait for a disk."""
        with suppress(RuntimeError):  # where no thread can be started, the next look shows it
            threading.Thread(target=self._say, name="safetwilio-refresh", daemon=True).start()


def expire_all() -> None:
    """Let everything that was loaded be loaded anew at its next use; for signal handlers."""
    for each in _refreshed():
        each.expire()


def _spread(seconds: float) -> float:
    return seconds * random.uniform(1 - _EARLY, 1)  # noqa: S311


def _has_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _result(outcome: bool | ConfigurationError) -> bool:  # noqa: FBT001
    if isinstance(outcome, ConfigurationError):
        # each caller gets an error of its own: threads would write into one another's frames
        raise type(outcome)(outcome.problems, account=outcome.account)
    return outcome


def _unexpected(kind: type[Exception]) -> BackendUnavailable:
    """Return that looking failed with an error of *kind*, whose text may hold anything."""
    return BackendUnavailable(
        [
            Problem(
                code="ST343",
                summary="Looking for a replaced key failed in a way that nobody expected.",
                found_in=(kind.__name__,),
                fix="What was loaded stays in use. If it happens again: safetwilio doctor",
            )
        ]
    )


# No WeakSet: to read that while another thread adds to it may fail.
_all: set[weakref.ref[Refreshed[Any]]] = set()


def _refreshed() -> list[Refreshed[Any]]:
    return [each for reference in tuple(_all) if (each := reference()) is not None]


def _after_fork() -> None:
    for each in _refreshed():
        each.forget_threads()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
