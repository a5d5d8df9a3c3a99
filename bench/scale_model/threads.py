"""The same fleet with real threads: every request calls ``fresh()`` and ``instead_of()``.

Nothing of the library is driven from outside: its threads, its waiting and the tries of its
deadlines are its own. Only time is not: one thread runs at a time, and when all wait the clock goes
to the next of them. A few hundred processes are what that can carry.
"""

# ruff: noqa: SLF001 - what the deadlines remember is forgotten after it

from __future__ import annotations

import heapq
import random
import threading
from contextlib import suppress
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from unittest import mock

from safetwilio.backends import deadline
from safetwilio.errors import ConfigurationError
from safetwilio.store import CredentialStore
from scale_model.world import NEVER, NEW, NO_ANSWER, OLD, Clock, Place, Plan, Result, in_time_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Future

    from safetwilio.credentials import ApiKey


class _PassingError(Exception):
    """Asking again may help."""


class Kernel(Clock):
    """Runs threads one at a time, each at its moment."""

    def __init__(self) -> None:
        """Start without any."""
        super().__init__()
        self._events: list[tuple[float, int, Any]] = []
        self._number = 0
        self._back = threading.Semaphore(0)
        self._idle: list[_Worker] = []
        self._own = threading.local()

    def at(self, when: float, do: Callable[[], object]) -> None:
        """Let a thread *do* this then."""
        self._push(when, do)

    def run(self, until: float) -> None:
        """Go on until then, and leave what is not finished."""
        while self._events and self._events[0][0] <= until:
            self.now, _, what = heapq.heappop(self._events)
            worker = what.taken() if isinstance(what, _Wake) else self._with(what)
            if worker:
                worker.go.release()
                self._back.acquire()

    def _with(self, job: Callable[[], object]) -> _Worker:
        worker = self._idle.pop() if self._idle else _Worker(self._work)
        worker.job = job
        return worker

    def sleep(self, seconds: float) -> None:
        """Wait in a thread that runs here."""
        self._push(self.now + seconds, _Wake(self._own.worker))
        self._stop()

    def wait(self, landings: Sequence[Future[Any]], seconds: float | None = None) -> None:
        """Wait until the one has landed, as ``concurrent.futures.wait`` does."""
        (landing,) = landings
        if landing.done():
            return
        wake = _Wake(self._own.worker)
        landing.add_done_callback(lambda _: self._push(self.now, wake))
        self._push(self.now + (NEVER if seconds is None else seconds), wake)
        self._stop()

    def thread(self, *, target: Callable[..., None], args: tuple[Any, ...], **_: Any) -> Any:
        """Return what starts a thread that runs here."""
        return SimpleNamespace(start=lambda: self.at(self.now, partial(target, *args)))

    def _stop(self) -> None:
        worker: _Worker = self._own.worker
        self._back.release()
        worker.go.acquire()

    def _push(self, when: float, what: object) -> None:
        self._number += 1
        heapq.heappush(self._events, (when, self._number, what))

    def _work(self, worker: _Worker) -> None:
        self._own.worker = worker
        while True:
            worker.go.acquire()
            worker.job()
            self._idle.append(worker)
            self._back.release()


class _Worker:
    """A thread, what it is to do, and the sign to go on."""

    def __init__(self, work: Callable[[_Worker], None]) -> None:
        self.go = threading.Semaphore(0)
        self.job: Callable[[], object]
        threading.Thread(target=work, args=(self,), daemon=True).start()


class _Wake:
    """Lets a thread go on at the first of several moments."""

    def __init__(self, worker: _Worker) -> None:
        self._worker: _Worker | None = worker

    def taken(self) -> _Worker | None:
        """Return the thread, the first time."""
        worker, self._worker = self._worker, None
        return worker


class Threads:
    """All processes of a plan, each request in a thread."""

    def __init__(self, plan: Plan) -> None:
        """Prepare; nothing happens yet."""
        self._plan, self._place, self._kernel = plan, Place(plan), Kernel()
        self._random = random.Random(plan.seed + 1)  # noqa: S311 - a simulation
        self._refused = self._failed = 0
        self._got = [NEVER] * plan.processes

    def run(self) -> Result:
        """Let it all happen."""
        random.seed(self._plan.seed + 1)
        kernel, plan = self._kernel, self._plan
        of_deadlines = SimpleNamespace(monotonic=kernel.steady, sleep=kernel.sleep)
        of_stores = SimpleNamespace(sleep=kernel.sleep)
        with (
            in_time_of(kernel, plan, kernel.thread, time=of_stores, wait=kernel.wait),
            mock.patch.object(deadline, "time", of_deadlines),
        ):
            for number in range(plan.processes):
                self._start(number)
            kernel.run(plan.until)
            deadline._ended.clear()
        place = self._place
        return Result(place.reads, place.throttled, self._got, self._refused, self._failed)

    def _start(self, number: int) -> None:
        plan, kernel = self._plan, self._kernel
        kernel.now = -self._random.uniform(0, 0.0 if plan.is_deploy else 0.8 * plan.policy.age)
        store = CredentialStore(OLD, partial(self._reload, number), policy=plan.policy)
        kernel.now = 0.0
        if plan.pushed < NEVER:
            kernel.at(plan.pushed, store.expire if plan.by_signal else partial(_refresh, store))
        self._next(number, store, 0.0)

    def _next(self, number: int, store: CredentialStore, now: float) -> None:
        at = now + self._random.expovariate(self._plan.rate)
        self._kernel.at(at, partial(self._request, number, store, at))

    def _request(self, number: int, store: CredentialStore, began: float) -> None:
        self._next(number, store, began)
        plan, kernel = self._plan, self._kernel
        key = store.fresh()
        if plan.accepts(key, kernel.now):
            store.accepted(began)
        else:
            self._refused += 1
            found = store.instead_of(key, may_wait=True).key
            self._failed += found is None or not plan.accepts(found, kernel.now)

    def _reload(self, number: int) -> ApiKey:
        answer, error = deadline.run(
            deadline.Deadline(deadline.SECONDS),
            self._ask,
            again=lambda error: isinstance(error, _PassingError),
        )
        if answer is None or error is not None:
            raise NO_ANSWER
        if answer is NEW:
            self._got[number] = min(self._got[number], self._kernel.now)
        return answer

    def _ask(self) -> ApiKey:
        answer, _ = self._place.ask(self._kernel.now)
        if answer == "closed":
            raise ConnectionRefusedError
        if isinstance(answer, str):
            raise _PassingError
        return answer


def _refresh(store: CredentialStore) -> None:
    with suppress(ConfigurationError):
        store.refresh()
