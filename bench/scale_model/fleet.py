"""A fleet as a discrete-event simulation of the library's own stores.

Each process is a real :class:`safetwilio.store.CredentialStore`, whose own code says when it looks,
what it keeps and how long a refused request waits. Three things are simulated: the clock; a look in
a thread, which ends when the place has answered; and the repeated tries within one load, whose
numbers are those of :mod:`safetwilio.backends.deadline`. ``threads.py`` has none of the last two,
and must come to the same figures. Requests at which nothing can happen are left out.
"""

# ruff: noqa: SLF001 - the waiting of a request is driven from outside

from __future__ import annotations

import heapq
import random
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from safetwilio.backends import deadline
from safetwilio.store import CredentialStore
from scale_model.world import (
    EPOCH,
    NEVER,
    NEW,
    NO_ANSWER,
    OLD,
    Clock,
    Place,
    Plan,
    Result,
    in_time_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from safetwilio.credentials import ApiKey


class Process:
    """One process: its store, the look that is under way, and who waits for that."""

    __slots__ = ("began", "got", "is_looking", "store", "waiting")

    def __init__(self) -> None:
        """Start without a key."""
        self.store: CredentialStore
        self.got = NEVER
        self.began = 0.0
        self.is_looking = False
        self.waiting: list[Callable[[], None]] = []


class Fleet:
    """All processes of a plan, one event after the other."""

    def __init__(self, plan: Plan) -> None:
        """Prepare; nothing happens yet."""
        self._plan, self._place, self._clock = plan, Place(plan), Clock()
        self._random = random.Random(plan.seed)  # noqa: S311 - a simulation
        self._events: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._number = self._refused = self._failed = 0
        self._processes = [Process() for _ in range(plan.processes)]
        self._without = plan.processes
        self._current = self._processes[0]
        self._loaded: tuple[ApiKey | None, float] = (None, 0.0)

    def run(self) -> Result:
        """Let it all happen."""
        random.seed(self._plan.seed)  # the library's own jitter
        with in_time_of(self._clock, self._plan, self._thread):
            for each in self._processes:
                self._start(each)
            if self._plan.pushed < NEVER:
                self._at(self._plan.pushed, self._push)
            while self._events and self._events[0][0] <= self._plan.until:
                if not self._without and self._plan.ends_with_all:
                    break
                self._clock.now, _, do, arguments = heapq.heappop(self._events)
                do(*arguments)
        place = self._place
        got = [each.got for each in self._processes]
        return Result(place.reads, place.throttled, got, self._refused, self._failed)

    def _at(self, when: float, do: Callable[..., None], *arguments: Any) -> None:
        self._number += 1
        heapq.heappush(self._events, (when, self._number, do, arguments))

    # A process

    def _start(self, process: Process) -> None:
        if self._plan.is_cold:
            self._try(deadline.SECONDS, deadline._FIRST_PAUSE, partial(self._booted, process))
            return
        policy = self._plan.policy
        ages = 0.0 if self._plan.is_deploy else 0.8 * min(policy.age, 1e6)
        self._clock.now = -self._random.uniform(0, ages)
        self._holds(process, OLD)
        self._clock.now = 0.0
        self._next(process)

    def _booted(self, process: Process, key: ApiKey | None) -> None:
        if key is None:
            self._failed += 1
            return
        self._has_it(process)
        self._holds(process, key)
        self._next(process)

    def _holds(self, process: Process, key: ApiKey) -> None:
        process.store = CredentialStore(key, self._reload, policy=self._plan.policy)

    def _push(self) -> None:
        for process in self._processes:
            if self._plan.by_signal:
                process.store.expire()
            elif not process.is_looking:
                self._current = process
                process.store._looking.in_background()

    # A request

    def _next(self, process: Process) -> None:
        """Let the next request come; those at which nothing can happen are passed over."""
        now = self._clock.now
        quiet = now
        if not process.is_looking and self._plan.accepts(process.store.current(), now):
            due = process.store._due - EPOCH
            quiet = max(now, min(due, self._plan.change_after(now)))
        if quiet <= self._plan.until:
            wait = self._random.expovariate(self._plan.rate)
            self._at(quiet + wait, self._request, process)

    def _request(self, process: Process) -> None:
        if process.store._is_doubted and process.is_looking:
            process.waiting.append(partial(self._send, process))
        else:
            self._send(process)
        self._next(process)

    def _send(self, process: Process) -> None:
        self._current = process
        key = process.store.meanwhile()
        if self._plan.accepts(key, self._clock.now):
            process.store.accepted(self._clock.now)
            return
        self._refused += 1
        self._search(process, key, process.store._search(key, may_wait=True))

    def _search(self, process: Process, key: ApiKey, search: Iterator[tuple[bool, float]]) -> None:
        """Do what :meth:`CredentialStore.instead_of` does, until it has to wait."""
        self._current = process
        go_on = partial(self._search, process, key, search)
        for is_pause, seconds in search:
            if is_pause:
                self._at(self._clock.now + seconds, go_on)
                return
            if process.is_looking:
                once = _Once(go_on)
                process.waiting.append(once)
                self._at(self._clock.now + seconds, once)
                return
        found = process.store._found(key, may_wait=True).key
        self._failed += found is None or not self._plan.accepts(found, self._clock.now)

    # A look

    def _thread(self, *, target: Callable[..., None], args: tuple[Any, ...], **_: Any) -> Any:
        fly = partial(target, *args)
        return SimpleNamespace(start=partial(self._begin, self._current, fly))

    def _begin(self, process: Process, fly: Callable[[], None]) -> None:
        """Start the thread: whoever started it goes on first."""
        process.is_looking, process.began = True, self._clock.now
        self._at(self._clock.now, self._look, process, fly)

    def _look(self, process: Process, fly: Callable[[], None]) -> None:
        end = self._clock.now + deadline.SECONDS
        self._try(end, deadline._FIRST_PAUSE, partial(self._land, process, fly))

    def _land(self, process: Process, fly: Callable[[], None], key: ApiKey | None) -> None:
        """Let the library make its look, which began a while ago and ends now."""
        now = self._clock.now
        self._loaded = key, now
        self._clock.now = process.began
        fly()
        self._clock.now = now
        process.is_looking = False
        if process.got == NEVER and process.store.current() is NEW:
            self._has_it(process)
        waiting, process.waiting = process.waiting, []
        for go_on in waiting:
            go_on()

    def _has_it(self, process: Process) -> None:
        process.got = self._clock.now
        self._without -= 1

    def _reload(self) -> ApiKey:
        key, self._clock.now = self._loaded
        if key is None:
            raise NO_ANSWER
        return key

    # A load, as the deadline of a backend makes it

    def _try(self, end: float, pause: float, then: Callable[[ApiKey | None], None]) -> None:
        now = self._clock.now
        answer, at = self._place.ask(now, end)
        if answer == "late":
            self._at(at, then, None)
        elif answer == "closed":
            then(None)
        elif isinstance(answer, str):
            wait = pause * (1 + self._random.random())
            if now + wait >= end:
                then(None)
            else:
                self._at(now + wait, self._try, end, 2 * pause, then)
        elif at > now:
            self._at(at, then, answer)
        else:
            then(answer)


class _Once:
    """Something that is done at the first of several moments."""

    def __init__(self, do: Callable[[], None]) -> None:
        self._do: Callable[[], None] | None = do

    def __call__(self) -> None:
        do, self._do = self._do, None
        if do:
            do()
