"""Seeded accounts: what is in them, that the same number makes the same, that requests see it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from asking import Ask, pair_of, paths, token_of

from safetwilio.testing import Emulator, EmulatorServer
from safetwilio.testing.seeding import seed

if TYPE_CHECKING:
    from collections.abc import Callable

    from twilio.rest import Client

    from safetwilio.testing.seeding import Seeded

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


def at_noon() -> Emulator:
    emulator = Emulator()
    emulator._world.clock = lambda: NOON
    return emulator


def comparable(made: Seeded) -> tuple[object, ...]:
    """Return what *made* has but for what is random: the account's and the keys' SIDs."""
    messages = [replace(each, account_sid="", key_sid=None) for each in made.messages]
    calls = [replace(each, account_sid="", key_sid=None) for each in made.calls]
    numbers = [replace(each, account_sid="") for each in made.numbers]
    caller_id = replace(made.caller_id, account_sid="")
    names = [made.keys[0].friendly_name, *(each.created for each in made.keys)]
    return messages, calls, numbers, caller_id, replace(made.service, account_sid=""), names


def test_the_same_random_state_makes_the_same_and_another_makes_another() -> None:
    first, same = (seed(at_noon(), messages=60, random_state=7) for _ in range(2))
    other = seed(at_noon(), messages=60, random_state=8)
    assert comparable(first) == comparable(same)
    assert comparable(first) != comparable(other)
    assert {each.sid for each in first.keys}.isdisjoint(each.sid for each in same.keys)
    assert {each.secret for each in first.keys}.isdisjoint(each.secret for each in same.keys)


def test_the_history_lies_in_its_span_and_is_in_order() -> None:
    made = at_noon().seed(messages=200, days=10)
    moments = [each.created for each in made.messages]
    assert len(moments) == 200
    assert moments == sorted(moments)
    assert NOON - timedelta(days=10) <= moments[0] < moments[-1] <= NOON
    assert len({moment.date() for moment in moments}) > 8
    born = {each.sid: each.created for each in made.keys}
    assert all(born[str(each.key_sid)] <= each.created for each in made.messages)
    assert [(NOON - each.created).days for each in made.keys] == [800, 200, 80, 5]


def test_messages_come_from_numbers_of_the_account_or_its_service() -> None:
    made = at_noon().seed(messages=200)
    own = {number.phone_number for number in made.numbers}
    pooled = {number.phone_number for number in made.numbers if number.service_sid}
    served = [each for each in made.messages if each.messaging_service_sid]
    assert {each.from_ for each in made.messages} == own | {None}
    assert {each.pool_sender for each in served} == pooled
    assert 0 < len(served) < len(made.messages)
    assert {each.from_ for each in served} == {None}


def test_requests_see_it_and_the_outbox_does_not(emulator: Emulator, ask: Ask) -> None:
    made = emulator.seed(messages=40)
    at, token = paths(emulator.account), token_of(emulator.account)
    listed = ask("GET", at["messages"], token).json()["messages"]
    assert [each["sid"] for each in listed] == [each.sid for each in reversed(made.messages)]
    assert {each["status"] for each in listed[1:]} == {"delivered"}
    assert not any(each["from"] is None for each in listed[1:])
    keys = ask("GET", at["keys"], token).json()["keys"]
    assert [each["friendly_name"] for each in keys][2:] == ["trial", "worker", "web", "forgotten"]
    assert len(emulator.messages) == 0
    assert ask("GET", at["messages"], pair_of(made.keys[1])).status == 200


def test_messages_sent_before_and_after_keep_their_place(emulator: Emulator, ask: Ask) -> None:
    at, key = paths(emulator.account), pair_of(emulator.standard_key)
    form = {"To": "+15551230001", "From": "+15551230002"}
    ask("POST", at["messages"], key, **form, Body="before")
    emulator.seed(messages=5)
    ask("POST", at["messages"], key, **form, Body="after")
    bodies = [each["body"] for each in ask("GET", at["messages"], key).json()["messages"]]
    assert bodies[:2] == ["after", "before"]
    assert len(bodies) == 7


def test_seeding_again_takes_other_numbers_until_none_is_left(emulator: Emulator) -> None:
    first, second = emulator.seed(messages=0), emulator.seed(messages=0, random_state=1)
    taken = [number.phone_number for number in (*first.numbers, *second.numbers)]
    assert len(set(taken)) == 6
    assert first.messages == first.calls == ()
    for state in range(2, 100):
        emulator.seed(messages=0, random_state=state)
    with pytest.raises(ValueError, match="no number"):
        emulator.seed(messages=0)


@pytest.mark.parametrize("wrong", [{"messages": -1}, {"days": 0}])
def test_what_cannot_be(emulator: Emulator, wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="at least"):
        emulator.seed(**wrong)
    assert emulator.account.keys.get(emulator.standard_key.sid)


def test_an_emulator_may_begin_seeded_and_begins_again_so() -> None:
    emulator = Emulator(seed=3)
    path, token = paths(emulator.account)["messages"], token_of(emulator.account)

    def first() -> str:
        return str(Ask(emulator)("GET", path, token).json()["messages"][0]["sid"])

    began = first()
    emulator.reset()
    assert first() == began


def test_the_twilio_library_reads_it(connect: Callable[..., Client]) -> None:
    with EmulatorServer(Emulator(seed=1)) as server:
        client = connect(server)
        messages = client.messages.list()
        assert len(messages) == 500
        assert messages[0].date_created >= messages[-1].date_created
        [service] = client.messaging.v1.services.list()
        assert len(client.messaging.v1.services(service.sid).phone_numbers.list()) == 2
        assert len(client.incoming_phone_numbers.list()) == 3
        assert [each.friendly_name for each in client.applications.list()] == ["switchboard"]
        assert len(client.outgoing_caller_ids.list()) == 1
        assert len(client.calls.list()) == 20
