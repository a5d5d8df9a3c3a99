"""One call serves all who ask meanwhile, and nobody gets the outcome of one that began before."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import pytest

from safetwilio.single_flight import SingleFlight

if TYPE_CHECKING:
    from collections.abc import Callable

SECONDS = 30
INSTEAD = -1


class Calls:
    """Counts, and waits in each call until it is let on."""

    def __init__(self) -> None:  # noqa: D107
        self.number = 0
        self.begun, self.open = threading.Semaphore(0), threading.Semaphore(0)
        self.after: list[None] = []  # to which threads can add at the same moment

    def __call__(self) -> int:  # noqa: D102
        self.number += 1
        mine = self.number
        self.begun.release()
        assert self.open.acquire(timeout=SECONDS)
        return mine

    def ended(self) -> None:  # noqa: D102
        self.after.append(None)

    def let_on(self, times: int = 1) -> None:  # noqa: D102
        self.open.release(times)

    def wait_for_one(self) -> None:  # noqa: D102
        assert self.begun.acquire(timeout=SECONDS)


def instead() -> int:
    return INSTEAD


@pytest.fixture
def calls() -> Calls:
    return Calls()


@pytest.fixture
def flight(calls: Calls) -> SingleFlight[int]:
    return SingleFlight(calls, calls.ended, instead)


def in_thread(target: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=target)
    thread.start()
    return thread


def test_who_comes_meanwhile_shares_the_next_one(calls: Calls, flight: SingleFlight[int]) -> None:
    results: list[int] = []
    first = in_thread(lambda: results.append(flight.outcome()))
    calls.wait_for_one()
    came = threading.Barrier(33)

    def come() -> None:
        came.wait(SECONDS)
        results.append(flight.outcome())

    others = [in_thread(come) for _ in range(32)]
    came.wait(SECONDS)
    calls.let_on(33)
    for thread in (first, *others):
        thread.join()
    assert results[0] == 1
    assert min(results[1:]) >= 2
    assert len(calls.after) == calls.number


def test_threads_and_coroutines_share_one(calls: Calls, flight: SingleFlight[int]) -> None:
    results: list[int] = []

    async def ask() -> None:
        many = [asyncio.create_task(flight.outcome_async()) for _ in range(100)]
        await asyncio.to_thread(calls.wait_for_one)
        thread = in_thread(lambda: results.append(flight.outcome()))
        calls.let_on(101)
        results.extend(await asyncio.gather(*many))
        await asyncio.to_thread(thread.join)

    asyncio.run(ask())
    assert calls.number <= 3, "one for the 100, one for the thread, one for who came between"
    assert len(results) == 101


def test_the_loop_goes_on_meanwhile(calls: Calls, flight: SingleFlight[int]) -> None:
    async def ask() -> int:
        asking = asyncio.create_task(flight.outcome_async())
        await asyncio.to_thread(calls.wait_for_one)
        for _ in range(100):
            await asyncio.sleep(0)  # would never come back if the loop waited
        calls.let_on()
        return await asking

    assert asyncio.run(ask()) == 1


def test_a_cancelled_coroutine_takes_nothing_from_the_others(
    calls: Calls, flight: SingleFlight[int]
) -> None:
    async def ask() -> int:
        first = asyncio.create_task(flight.outcome_async())
        await asyncio.to_thread(calls.wait_for_one)
        second = asyncio.create_task(flight.outcome_async())
        await asyncio.sleep(0)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        calls.let_on(2)
        return await second

    assert asyncio.run(ask()) == 2


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, SystemExit, MemoryError])
def test_an_interrupt_where_it_is_made_lets_another_make_it(
    interrupt: type[BaseException],
) -> None:
    begun, made = threading.Event(), []
    go = threading.Event()

    def call() -> int:
        made.append(1)
        if len(made) == 1:
            begun.set()
            go.wait(SECONDS)
            raise interrupt
        return len(made)

    flight = SingleFlight(call, lambda: None, instead)
    ended: list[BaseException] = []

    def interrupted() -> None:
        try:
            flight.outcome()
        except BaseException as error:  # noqa: BLE001 - what the thread ended with
            ended.append(error)

    first = in_thread(interrupted)
    assert begun.wait(SECONDS)
    results: list[int] = []
    second = in_thread(lambda: results.append(flight.outcome()))
    go.set()
    for thread in (first, second):
        thread.join()
    assert [type(error) for error in ended] == [interrupt]
    assert results == [2]


def test_who_need_not_wait_goes_on(calls: Calls, flight: SingleFlight[int]) -> None:
    thread = in_thread(flight.unless_under_way)
    calls.wait_for_one()
    flight.unless_under_way()  # returns though nobody let the call on
    flight.in_background()
    calls.let_on()
    thread.join()
    assert calls.number == 1


def test_it_is_known_who_makes_it() -> None:
    seen: list[bool] = []
    flight: SingleFlight[None] = SingleFlight(
        lambda: seen.append(flight.is_made_here),
        lambda: seen.append(flight.is_made_here),
        lambda: None,
    )
    flight.outcome()
    assert seen == [True, False]
    assert not flight.is_made_here


def test_without_threads_it_is_made_by_who_may_wait(
    calls: Calls, flight: SingleFlight[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def none_left(_: object) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", none_left)
        flight.in_background()
        assert asyncio.run(flight.outcome_async()) == INSTEAD
        assert calls.number == 0
        calls.let_on()
        assert flight.outcome() == 1


@pytest.mark.parametrize("step", ["_join", "_fly"])
def test_an_interrupt_at_any_step_leaves_nothing_to_wait_for(
    calls: Calls, flight: SingleFlight[int], monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """A signal's handler may raise between any two lines."""
    original = getattr(SingleFlight, step)

    def interrupted(*given: object) -> object:
        if step == "_join":
            original(*given)  # others see it already
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(SingleFlight, step, interrupted)
        with pytest.raises(KeyboardInterrupt):
            flight.outcome()
    flight.landed()
    calls.let_on()
    assert flight.outcome() >= 1


def test_a_call_that_is_cut_off_ends_the_wait_of_a_coroutine() -> None:
    made: list[int] = []

    def call() -> int:
        made.append(1)
        raise KeyboardInterrupt  # the thread says nothing of it

    flight = SingleFlight(call, lambda: None, instead)
    assert asyncio.run(flight.outcome_async()) == INSTEAD
    for thread in threading.enumerate():
        if thread.name == "safetwilio-refresh":
            thread.join(SECONDS)
    assert len(made) == 1


def test_a_thread_that_begins_after_its_starter_was_interrupted_does_nothing(
    calls: Calls, flight: SingleFlight[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its outcome would come after that of the call which was made instead."""
    started: list[threading.Thread] = []

    def start(thread: threading.Thread) -> None:
        started.append(thread)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", start)
        with pytest.raises(KeyboardInterrupt):
            flight.in_background()
    (thread,) = started
    thread.start()
    thread.join()
    assert calls.number == 0


def test_a_wait_has_an_end(calls: Calls, flight: SingleFlight[int]) -> None:
    thread = in_thread(flight.unless_under_way)
    calls.wait_for_one()
    flight.landed(0.01)
    asyncio.run(flight.landed_async(0.01))
    calls.let_on()
    thread.join()


def test_a_signal_s_handler_may_ask_in_the_middle(calls: Calls) -> None:
    flight: SingleFlight[int] = SingleFlight(calls, calls.ended, instead)
    calls.let_on(2)
    with flight._lock:
        assert flight.outcome() == 1
