"""A change of credentials that counts later than it shows, by the emulator's clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from asking import Ask, Credentials, pair_of, paths, token_of
from hypothesis import given, settings
from hypothesis import strategies as st
from twilio.base.exceptions import TwilioRestException

from safetwilio.testing import Emulator, EmulatorServer

if TYPE_CHECKING:
    from collections.abc import Callable

    from twilio.rest import Client

LIST, SEND = "/twilio/messaging/messages/list", "/twilio/messaging/messages/create"
SECONDARY, PROMOTE = "/v1/AuthTokens/Secondary", "/v1/AuthTokens/Promote"


def frozen(emulator: Emulator) -> Emulator:
    """Let only ``advance`` move the clock of *emulator*."""
    now = datetime.now(UTC)
    emulator._world.clock = lambda: now
    return emulator


def status(emulator: Emulator, credentials: Credentials) -> int:
    return Ask(emulator)("GET", paths(emulator.account)["messages"], credentials).status


def code(emulator: Emulator, credentials: Credentials) -> int:
    return Ask(emulator)("GET", paths(emulator.account)["messages"], credentials).json()["code"]


def test_a_new_key_is_refused_until_it_is_known() -> None:
    emulator = frozen(Emulator(assumptions={"new_key_seconds": 5}))
    made = Ask(emulator)("POST", paths(emulator.account)["keys"], token_of(emulator.account)).json()
    key = made["sid"], made["secret"]
    at = paths(emulator.account)["key"].format(key[0])
    assert Ask(emulator)("GET", at, token_of(emulator.account)).status == 200, "it shows at once"
    emulator.advance(4.999)
    assert (status(emulator, key), code(emulator, key)) == (401, 20003)
    emulator.advance(0.001)
    assert status(emulator, key) == 200


def test_what_there_is_at_the_start_needs_no_time() -> None:
    emulator = frozen(Emulator(assumptions={"new_key_seconds": 5}))
    assert status(emulator, pair_of(emulator.standard_key)) == 200


def test_a_deleted_key_works_until_it_is_forgotten() -> None:
    emulator = frozen(Emulator(assumptions={"deleted_key_seconds": 5}))
    key, token = pair_of(emulator.standard_key), token_of(emulator.account)
    at = paths(emulator.account)["key"].format(key[0])
    assert Ask(emulator)("DELETE", at, token).status == 204
    assert Ask(emulator)("GET", at, token).status == 404, "it is gone at once"
    emulator.advance(4.999)
    assert status(emulator, key) == 200
    emulator.advance(0.001)
    assert (status(emulator, key), code(emulator, key)) == (401, 20003)


def test_a_changed_policy_counts_later() -> None:
    emulator = frozen(Emulator(assumptions={"changed_policy_seconds": 5}))
    key = emulator.account.create_key("restricted", allow=[LIST])
    emulator.account.update_key(key, allow=[SEND])
    emulator.advance(4.999)
    assert status(emulator, pair_of(key)) == 200
    emulator.advance(0.001)
    assert status(emulator, pair_of(key)) == 403


def test_tokens_change_later() -> None:
    emulator = frozen(Emulator(assumptions={"changed_token_seconds": 60}))
    account, ask, old = emulator.account, Ask(emulator), token_of(emulator.account)
    secondary = ask("POST", SECONDARY, old).json()["secondary_auth_token"]
    new = account.sid, secondary
    assert status(emulator, new) == 401
    emulator.advance(60)
    assert (status(emulator, new), status(emulator, old)) == (200, 200)
    assert ask("POST", PROMOTE, old).status == 200
    emulator.advance(59.999)
    assert (status(emulator, new), status(emulator, old)) == (200, 200)
    emulator.advance(0.001)
    assert (status(emulator, new), status(emulator, old)) == (200, 401)


def test_a_token_promoted_before_it_is_known() -> None:
    emulator = frozen(Emulator(assumptions={"changed_token_seconds": 60}))
    old = token_of(emulator.account)
    secondary = Ask(emulator)("POST", SECONDARY, old).json()["secondary_auth_token"]
    emulator.advance(10)
    assert Ask(emulator)("POST", PROMOTE, old).status == 200
    new = emulator.account.sid, secondary
    assert (status(emulator, new), status(emulator, old)) == (401, 200)
    emulator.advance(50)
    assert (status(emulator, new), status(emulator, old)) == (200, 200)
    emulator.advance(10)
    assert (status(emulator, new), status(emulator, old)) == (200, 401)


def test_a_suspension_and_its_end_count_later() -> None:
    emulator = frozen(Emulator(assumptions={"changed_status_seconds": 5}))
    child = emulator.create_account(emulator.account)
    at, ask = paths(child)["messages"], Ask(emulator)
    for change, before, after in ((child.suspend, 200, 401), (child.reactivate, 401, 200)):
        change()
        emulator.advance(4.999)
        assert ask("GET", at, token_of(child)).status == before
        emulator.advance(0.001)
        assert ask("GET", at, token_of(child)).status == after


@pytest.mark.parametrize("later", ["update", "delete"])
def test_a_later_change_never_overtakes_an_earlier_one(later: str) -> None:
    """The policy or the end of a key would count at once, but the key does not count yet."""
    emulator = frozen(Emulator(assumptions={"new_key_seconds": 5}))
    key = emulator.account.create_key("restricted", allow=[LIST])
    if later == "update":
        emulator.account.update_key(key, allow=[SEND])
    else:
        emulator.account.delete_key(key.sid)
    assert status(emulator, pair_of(key)) == 401
    emulator.advance(5)
    assert status(emulator, pair_of(key)) == (403 if later == "update" else 401)


@given(steps=st.lists(st.tuples(st.sampled_from(["make", "delete"]), st.integers(0, 3))))
@settings(max_examples=60, deadline=None)
def test_a_key_works_from_five_seconds_after_its_making_to_its_deletion(
    steps: list[tuple[str, int]],
) -> None:
    """Against a model, for any order of making, deleting and waiting."""
    emulator = frozen(Emulator(assumptions={"new_key_seconds": 5}))
    start, known = emulator.now(), []
    for what, seconds in steps:
        if what == "make":
            known.append([emulator.account.create_key(), emulator.now(), None])
        alive = [each for each in known if each[2] is None]
        if what == "delete" and alive:
            emulator.account.delete_key(alive[0][0].sid)
            alive[0][2] = emulator.now()
        emulator.advance(seconds)
        for key, made, deleted in known:
            begins = made + timedelta(seconds=5)
            works = begins <= emulator.now() and deleted is None
            assert status(emulator, pair_of(key)) == (200 if works else 401)
    assert emulator.now() - start == timedelta(seconds=sum(seconds for _, seconds in steps))


def test_twilios_client_sees_it_over_http(connect: Callable[..., Client]) -> None:
    emulator = frozen(Emulator(assumptions={"new_key_seconds": 5}))
    with EmulatorServer(emulator) as server:
        made = connect(server, token_of(emulator.account)).new_keys.create()
        client = connect(server, (made.sid, made.secret))
        with pytest.raises(TwilioRestException) as caught:
            client.messages.create(to="+15551230001", from_="+15005550006", body="hi")
        assert (caught.value.status, caught.value.code) == (401, 20003)
        emulator.advance(5)
        assert client.messages.create(to="+15551230001", from_="+15005550006", body="hi").sid
