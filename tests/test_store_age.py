"""A key is looked for again when it is old, whatever a process was doing, and nobody waits long."""

from __future__ import annotations

import asyncio
import math
import signal
import threading
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from safetwilio import refreshed
from safetwilio import store as store_module
from safetwilio.errors import BackendUnavailable, ConfigurationError
from safetwilio.problems import Problem
from safetwilio.refresh_policy import RefreshPolicy
from safetwilio.store import CredentialStore
from support import assert_silent, caught, codes, key_secret, key_sid
from test_store import another, api_key, unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from safetwilio.credentials import ApiKey
    from support import Key

POLICY = RefreshPolicy(age=300, wait=5, stale=3600)


class Clocks:
    """Both clocks, moved by hand."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: D107
        self.wall, self.steady = 1_800_000_000.0, 1000.0
        monkeypatch.setattr(refreshed, "_wall", lambda: self.wall)
        for module in (refreshed, store_module):
            monkeypatch.setattr(module, "_clock", lambda: self.steady)

    def go(self, seconds: float) -> None:  # noqa: D102
        self.wall += seconds
        self.steady += seconds


@pytest.fixture
def clocks(monkeypatch: pytest.MonkeyPatch) -> Clocks:
    return Clocks(monkeypatch)


class Place:
    """Where the key is: counts the looks, and can be broken."""

    def __init__(self, key: Key) -> None:  # noqa: D107
        self.key: ApiKey | None = api_key(key)
        self.looks = 0
        self.events: list[str] = []

    def load(self) -> ApiKey:  # noqa: D102
        self.looks += 1
        return self.key or unavailable()

    def tell(self, event: str, _: ApiKey, error: ConfigurationError | None) -> None:  # noqa: D102
        assert (error is not None) == (event == "not refreshed")
        self.events.append(event)

    def store(self, policy: RefreshPolicy = POLICY) -> CredentialStore:  # noqa: D102
        assert self.key
        return CredentialStore(self.key, self.load, policy=policy, tell=self.tell)


@pytest.fixture
def place(key: Key) -> Place:
    return Place(key)


def fresh(store: CredentialStore) -> ApiKey:
    return store.fresh()


def fresh_async(store: CredentialStore) -> ApiKey:
    async def get() -> ApiKey:
        key = await store.fresh_async()
        for thread in threading.enumerate():
            if thread.name == "safetwilio-refresh":
                await asyncio.to_thread(thread.join)
        return key

    return asyncio.run(get())


ways = pytest.mark.parametrize("get", [fresh, fresh_async])


@ways
def test_a_young_key_is_not_looked_for(
    get: Callable[[CredentialStore], ApiKey], place: Place, clocks: Clocks
) -> None:
    store = place.store()
    clocks.go(239)
    assert get(store) is place.key
    assert place.looks == 0


@ways
def test_an_old_key_is_looked_for_once(
    get: Callable[[CredentialStore], ApiKey], place: Place, clocks: Clocks, key: Key
) -> None:
    store = place.store()
    place.key = another(key)
    clocks.go(300)
    get(store)
    assert get(store) is place.key
    assert place.looks == 1
    assert place.events == ["replaced"]
    assert store.loaded_at == clocks.wall


@ways
def test_one_of_twice_the_age_is_not_used_before_a_look(
    get: Callable[[CredentialStore], ApiKey], place: Place, clocks: Clocks, key: Key
) -> None:
    """As in a function that was frozen for hours, and goes on with a request."""
    store = place.store()
    place.key = another(key)
    clocks.go(600)
    assert get(store) is place.key


def test_one_looks_and_the_others_go_on(clocks: Clocks, key: Key) -> None:
    begun, go = threading.Event(), threading.Event()
    old, new = api_key(key), another(key)

    def load() -> ApiKey:
        begun.set()
        assert go.wait(30)
        return new

    store = CredentialStore(old, load, policy=POLICY)
    clocks.go(300)
    got: list[ApiKey] = []
    one = threading.Thread(target=lambda: got.append(store.fresh()))
    one.start()
    assert begun.wait(30)
    clocks.go(1)  # the next look is due, but one is under way
    assert store.fresh() is old
    assert asyncio.run(store.fresh_async()) is old
    go.set()
    one.join()
    assert got == [new]
    assert store.fresh() is new


def test_one_of_twice_the_age_is_waited_for_by_all(clocks: Clocks, key: Key) -> None:
    begun, go = threading.Event(), threading.Event()
    new, loads = another(key), []

    def load() -> ApiKey:
        loads.append(1)
        begun.set()
        assert go.wait(30)
        return new

    store = CredentialStore(api_key(key), load, policy=POLICY)
    clocks.go(600)
    got: list[ApiKey] = []
    threads = [threading.Thread(target=lambda: got.append(store.fresh())) for _ in range(4)]
    threads[0].start()
    assert begun.wait(30)
    clocks.go(0.1)  # too soon for a look of their own
    for thread in threads[1:]:
        thread.start()
    go.set()
    for thread in threads:
        thread.join()
    assert got == [new] * 4
    assert len(loads) == 1


def test_a_fleet_does_not_look_at_the_same_moment(place: Place, clocks: Clocks) -> None:
    stores = [place.store() for _ in range(400)]
    clocks.go(240)
    [store.fresh() for store in stores]
    assert place.looks < 40
    clocks.go(30)
    [store.fresh() for store in stores]
    assert 100 < place.looks < 300
    clocks.go(30)
    [store.fresh() for store in stores]
    assert place.looks == 400


@ways
def test_a_clock_that_was_put_back_makes_no_key_eternal(
    get: Callable[[CredentialStore], ApiKey], place: Place, clocks: Clocks
) -> None:
    store = place.store()
    clocks.wall -= 86_400
    clocks.steady += 10
    get(store)
    assert place.looks == 1
    get(store)
    assert place.looks == 1
    clocks.go(300)
    get(store)
    assert place.looks == 2


@ways
def test_a_place_that_does_not_answer_is_asked_now_and_then(
    get: Callable[[CredentialStore], ApiKey], place: Place, clocks: Clocks, key: Key
) -> None:
    store, old = place.store(), place.key
    place.key = None
    clocks.go(300)
    for _ in range(50):
        assert get(store) is old
    assert place.looks == 1
    clocks.go(30)
    for _ in range(50):
        assert get(store) is old
    assert place.looks == 2
    assert [problem.code for problem in store.not_refreshed] == ["ST332"]
    assert not store.is_stale
    assert place.events == ["not refreshed"]

    place.key = another(key)
    clocks.go(30)
    get(store)
    assert get(store) is place.key
    assert store.not_refreshed == ()
    assert place.events == ["not refreshed", "refreshed again", "replaced"]


def test_who_was_refused_at_once_does_not_come_back_at_once(place: Place, clocks: Clocks) -> None:
    """As a fleet that was pushed while the place was down."""
    stores = [place.store() for _ in range(60)]
    place.key = None
    for store in stores:
        assert isinstance(caught(store.refresh), BackendUnavailable)
    looks = [place.looks]
    for _ in range(30):
        clocks.go(1)
        for store in stores:
            store.fresh()
        looks.append(place.looks)
    in_second = [now - before for before, now in pairwise(looks)]
    assert not any(in_second[:23])
    assert sum(in_second) == len(stores)
    assert max(in_second) < len(stores) / 2


@ways
def test_there_is_an_end_to_a_key_that_cannot_be_looked_for(
    get: Callable[[CredentialStore], ApiKey], place: Place, clocks: Clocks, key: Key
) -> None:
    store = place.store()
    old, place.key = place.key, None
    for _ in range(119):
        clocks.go(30)
        assert get(store) is old
    clocks.go(30)
    error = caught(lambda: get(store))
    assert isinstance(error, BackendUnavailable)
    assert [problem.code for problem in error.problems] == ["ST341", "ST332"]
    assert_silent(error, [key.secret, key.sid])
    assert store.is_stale
    looks = place.looks
    for _ in range(20):
        assert isinstance(caught(lambda: get(store)), BackendUnavailable)
    assert place.looks == looks, "not at each request"

    place.key = old
    clocks.go(1)
    assert get(store) is old
    assert not store.is_stale


@ways
@pytest.mark.parametrize("policy", [POLICY, POLICY._replace(age=math.inf)])
def test_who_sent_nothing_for_days_has_no_stale_key(
    get: Callable[[CredentialStore], ApiKey], place: Place, clocks: Clocks, policy: RefreshPolicy
) -> None:
    """Nobody looked, so nothing failed; a probe must not take the process out of service."""
    store = place.store(policy)
    clocks.go(7 * 86_400)
    assert not store.is_stale
    assert store.meanwhile()
    assert get(store).sid
    assert not store.is_stale


def test_a_place_that_hangs_does_not_stop_everybody_at_each_look(clocks: Clocks, key: Key) -> None:
    begun, go = threading.Event(), threading.Event()
    looks: list[int] = []

    def load() -> ApiKey:
        looks.append(1)
        if len(looks) > 1:
            begun.set()
            assert go.wait(30)
        clocks.go(5)
        return unavailable()

    old = api_key(key)
    store = CredentialStore(old, load, policy=POLICY)
    clocks.go(600)
    assert store.fresh() is old  # nobody had looked for so long: this one was waited for
    clocks.go(60)
    thread = threading.Thread(target=store.fresh)
    thread.start()
    assert begun.wait(30)
    assert store.fresh() is old  # though another look hangs
    assert asyncio.run(store.fresh_async()) is old
    go.set()
    thread.join()


@ways
def test_whatever_looking_raises_the_key_stays(
    get: Callable[[CredentialStore], ApiKey], clocks: Clocks, key: Key
) -> None:
    def load() -> ApiKey:
        raise TypeError(key.secret)

    store = CredentialStore(api_key(key), load, policy=POLICY)
    clocks.go(600)
    assert get(store).sid == key.sid
    assert [problem.code for problem in store.not_refreshed] == ["ST343"]
    error = caught(store.refresh)
    assert_silent(error, [key.secret])
    assert "TypeError" in str(error)


def test_a_signal_during_a_look_that_fails_is_not_lost(
    place: Place, clocks: Clocks, key: Key
) -> None:
    store = place.store()
    place.key = None
    original = place.load

    def load() -> ApiKey:
        store.expire()
        return original()

    store._reload = load
    clocks.go(300)
    store.fresh()
    store._reload = original
    place.key = another(key)
    clocks.go(1)
    assert store.fresh() is place.key


@ways
def test_a_clock_that_was_ahead_during_a_failed_look_puts_nothing_off(
    get: Callable[[CredentialStore], ApiKey], place: Place, clocks: Clocks, key: Key
) -> None:
    store, old = place.store(POLICY._replace(stale=86_400)), place.key
    place.key = None
    clocks.wall += 72_000
    assert get(store) is old
    clocks.wall -= 72_000
    place.key = another(key)
    clocks.go(1)
    get(store)
    assert get(store) is place.key


def test_where_no_thread_can_be_started_a_coroutine_goes_on_and_it_is_known(
    place: Place, clocks: Clocks, monkeypatch: pytest.MonkeyPatch, key: Key
) -> None:
    def none_left(_: object) -> None:
        raise RuntimeError("can't start new thread")

    store, old = place.store(), place.key
    place.key = another(key)
    clocks.go(600)
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", none_left)
        assert asyncio.run(store.fresh_async()) is old
        assert [problem.code for problem in store.not_refreshed] == ["ST343"]
        error = caught(lambda: asyncio.run(store.refresh_async()))
        assert isinstance(error, BackendUnavailable)
        assert error.code == "ST343"
        assert store.meanwhile() is old
        clocks.go(3600)
        assert codes(caught(store.meanwhile)) == ["ST341", "ST343"]
        assert store.is_stale, "nobody could look for so long"
        assert place.looks == 0
        clocks.go(1)
        assert store.fresh() is place.key, "who may wait looks without a thread"
    assert place.events == ["not refreshed", "refreshed again", "replaced"]


class SoftLimit(Exception):
    """What some handlers of signals raise."""


class Limit:
    """A handler in the form of an object."""

    def __call__(self, *_: object) -> None:  # noqa: D102
        raise SoftLimit

    def raises(self, *_: object) -> None:  # noqa: D102
        self()


def limit(*_: object) -> None:
    raise SoftLimit


@pytest.mark.parametrize("handler", [limit, Limit(), Limit().raises, partial(limit, 1)])
def test_what_a_signal_raises_ends_the_request_and_not_the_key(
    place: Place, clocks: Clocks, handler: Callable[..., None]
) -> None:
    """As a soft limit of time does: it is for who set it, and says nothing of the place."""
    store, original = place.store(), place.load

    def load() -> ApiKey:
        signal.raise_signal(signal.SIGINT)
        return original()

    store._reload = load
    clocks.go(600)
    before = signal.signal(signal.SIGINT, handler)
    try:
        with pytest.raises(SoftLimit):
            store.fresh()
    finally:
        signal.signal(signal.SIGINT, before)
    assert store.not_refreshed == ()
    assert place.events == []
    store._reload = original
    clocks.go(1)
    assert store.fresh() is place.key
    assert place.looks == 1


def test_without_a_policy_age_does_not_matter(place: Place, clocks: Clocks) -> None:
    assert place.key
    store = CredentialStore(place.key, place.load)
    clocks.go(10**9)
    assert store.fresh() is place.key
    assert place.looks == 0


def test_what_cannot_be_loaded_anew_is_never_too_old(key: Key, clocks: Clocks) -> None:
    store = CredentialStore(api_key(key), policy=POLICY)
    clocks.go(10**9)
    assert store.fresh().sid == key.sid
    assert not store.is_stale
    store.expire()
    assert store.fresh().sid == key.sid


@ways
def test_after_a_signal_the_next_request_looks(
    get: Callable[[CredentialStore], ApiKey], place: Place, clocks: Clocks, key: Key
) -> None:
    store = place.store()
    place.key = another(key)
    clocks.go(1)
    assert store.fresh() is not place.key
    store.expire()
    get(store)
    assert get(store) is place.key


def test_who_is_told_may_use_the_client(key: Key, clocks: Clocks) -> None:
    """A log handler that sends messages must not wait for the look that it is told of."""
    new = another(key)
    seen: list[ApiKey] = []
    store = CredentialStore(
        api_key(key),
        lambda: seen.append(store.fresh()) or new,  # type: ignore[func-returns-value]
        policy=POLICY,
        tell=lambda *_: (seen.append(store.fresh()), store.refresh()),
    )
    clocks.go(600)
    assert store.fresh() is new
    assert seen[0].sid == key.sid
    assert seen[1] is new


def test_a_fault_in_the_new_document_keeps_the_key(place: Place, clocks: Clocks) -> None:
    store, old = place.store(), place.key
    assert old
    other = type(old)("AC" + "0" * 32, key_sid(), key_secret(), source="the test")
    place.key = other
    clocks.go(300)
    assert store.fresh() is old
    assert [problem.code for problem in store.not_refreshed] == ["ST224"]


@pytest.mark.parametrize(
    ("environment", "policy"),
    [
        ({}, RefreshPolicy(300, 5, 86_400)),
        ({"SAFETWILIO_REFRESH_AGE": "60"}, RefreshPolicy(60, 5, 86_400)),
        ({"SAFETWILIO_REFRESH_AGE": " off "}, RefreshPolicy(math.inf, 5, 86_400)),
        ({"SAFETWILIO_REFRESH_WAIT": "0.5"}, RefreshPolicy(300, 0.5, 86_400)),
        ({"SAFETWILIO_MAX_STALENESS": "OFF"}, RefreshPolicy(300, 5, math.inf)),
        ({"SAFETWILIO_REFRESH_AGE": ""}, RefreshPolicy(300, 5, 86_400)),
    ],
)
def test_the_environment_says_how_old(environment: dict[str, str], policy: RefreshPolicy) -> None:
    assert RefreshPolicy.read(environment) == (policy, ())


@pytest.mark.parametrize(
    "environment",
    [
        {"SAFETWILIO_REFRESH_AGE": "5m"},
        {"SAFETWILIO_REFRESH_AGE": "-1"},
        {"SAFETWILIO_REFRESH_AGE": "0"},
        {"SAFETWILIO_REFRESH_AGE": "nan"},
        {"SAFETWILIO_REFRESH_AGE": "inf"},
        {"SAFETWILIO_REFRESH_WAIT": "off"},
        {"SAFETWILIO_MAX_STALENESS": "1 day"},
        {"SAFETWILIO_MAX_STALENESS": "60"},
    ],
)
def test_what_is_no_number_of_seconds_is_a_problem(environment: dict[str, str]) -> None:
    _, problems = RefreshPolicy.read(environment)
    assert [problem.code for problem in problems] == ["ST226"]
    assert isinstance(problems[0], Problem)
