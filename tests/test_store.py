"""A refresh replaces the key whole, once, and one that fails changes nothing."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

import pytest

from safetwilio.credentials import ApiKey
from safetwilio.errors import BackendUnavailable, InvalidCredentials
from safetwilio.problems import Problem
from safetwilio.store import CredentialStore
from support import assert_silent, caught, key_secret, key_sid, new_key

if TYPE_CHECKING:
    from collections.abc import Callable

    from support import Key


def api_key(key: Key, version: str = "1") -> ApiKey:
    return ApiKey(key.account, key.sid, key.secret, source="the test", version=version)


def another(key: Key, version: str = "2") -> ApiKey:
    return ApiKey(key.account, key_sid(), key_secret(), source="the test", version=version)


def unavailable() -> ApiKey:
    raise BackendUnavailable([Problem(code="ST332", summary="It did not answer.", fix="Wait.")])


def test_another_key_is_used_from_then_on(key: Key) -> None:
    old, new = api_key(key), another(key)
    store = CredentialStore(old, lambda: new)
    assert store.current() is old
    assert store.refresh() is True
    assert store.current() is new


def test_the_same_key_of_a_newer_version_is_no_change_but_is_fresh(key: Key) -> None:
    store = CredentialStore(api_key(key), lambda: api_key(key, "2"))
    loaded = store.loaded_at
    assert store.refresh() is False
    assert store.current().version == "2"
    assert store.loaded_at >= loaded


@pytest.mark.parametrize("part", ["sid", "secret"])
def test_half_another_key_is_another_key(key: Key, part: str) -> None:
    changed = key._replace(**{part: {"sid": key_sid, "secret": key_secret}[part]()})
    assert CredentialStore(api_key(key), lambda: api_key(changed)).refresh() is True


def test_what_cannot_be_loaded_anew_stays(key: Key) -> None:
    store = CredentialStore(api_key(key))
    assert store.refresh() is False
    assert store.current().sid == key.sid


def test_a_refresh_that_fails_keeps_the_old_key(key: Key) -> None:
    old = api_key(key)
    store = CredentialStore(old, unavailable)
    loaded = store.loaded_at
    error = caught(store.refresh)
    assert isinstance(error, BackendUnavailable)
    assert_silent(error, [key.secret])
    assert (store.current(), store.loaded_at) == (old, loaded)


def test_another_account_is_refused(key: Key) -> None:
    old, other = api_key(key), new_key()
    store = CredentialStore(old, lambda: api_key(other))
    error = caught(store.refresh)
    assert isinstance(error, InvalidCredentials)
    assert error.code == "ST224"
    assert_silent(error, [*key, *other])
    assert store.current() is old


class Gate:
    """Loads when it is let through, and counts."""

    def __init__(self, load: Callable[[int], ApiKey]) -> None:  # noqa: D107
        self.begun, self.open = threading.Event(), threading.Event()
        self.loads = 0
        self._load = load

    def __call__(self) -> ApiKey:  # noqa: D102
        self.loads += 1
        self.begun.set()
        assert self.open.wait(10)
        return self._load(self.loads)


def test_a_failure_is_shared_and_everybody_gets_an_error_of_their_own(key: Key) -> None:
    gate = Gate(lambda _: unavailable())
    store = CredentialStore(api_key(key), gate)
    errors: list[BaseException | None] = []
    threads = [
        threading.Thread(target=lambda: errors.append(caught(store.refresh))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    assert gate.begun.wait(10)
    gate.open.set()
    for thread in threads:
        thread.join()
    assert all(isinstance(error, BackendUnavailable) for error in errors)
    assert len({id(error) for error in errors}) == 8
    assert store.current().sid == key.sid


def test_a_reader_never_sees_a_mixed_pair(key: Key) -> None:
    made = {(key.sid, key.secret)}
    done = threading.Event()

    def load() -> ApiKey:
        new = another(key)
        made.add((new.sid, new.reveal()))
        return new

    store = CredentialStore(api_key(key), load)
    seen: set[tuple[str, str]] = set()

    def read() -> None:
        while not done.is_set():
            now = store.current()
            seen.add((now.sid, now.reveal()))

    readers = [threading.Thread(target=read) for _ in range(4)]
    for reader in readers:
        reader.start()
    for _ in range(500):
        store.refresh()
    done.set()
    for reader in readers:
        reader.join()
    assert seen <= made


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_child_refreshes_though_a_refresh_was_under_way_in_its_parent(key: Key) -> None:
    new = another(key)
    gate = Gate(lambda _: new)
    store = CredentialStore(api_key(key), gate)
    thread = threading.Thread(target=store.refresh)
    thread.start()
    assert gate.begun.wait(10)
    child = os.fork()
    if not child:
        gate.open.set()
        os._exit(0 if store.refresh() and store.current() is new else 1)
    gate.open.set()
    thread.join()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
