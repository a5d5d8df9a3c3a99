"""The Auth Token of one account is replaced, and in each of its places one always works."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
from token_world import (
    CREATE,
    DELETE,
    PROMOTE,
    TokenWorld,
    done,
    events,
    token_world,
)

from safetwilio.errors import AccountOperationError, SafeTwilioError
from safetwilio.rotation.overlap import Overlap
from safetwilio.runbook.journal import read
from safetwilio.testing.faults import drop, nothing, reset, status
from support import auth_token

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from safetwilio.testing.assumptions import Choice

    Make = Callable[..., TokenWorld]

LATER = Overlap()
LOST = {
    "dropped, applied": drop(applied=True),
    "dropped": drop(applied=False),
    "reset, applied": reset(applied=True),
    "reset": reset(applied=False),
    "500, applied": status(500, applied=True),
    "500": status(500),
    "503": status(503),
    "429": status(429),
}


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TokenWorld]:
    with token_world(tmp_path, monkeypatch) as found:
        yield found


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """Make a world with choices of the emulator's."""
    with ExitStack() as stack:

        def made(**assumptions: Choice) -> TokenWorld:
            return stack.enter_context(token_world(tmp_path, monkeypatch, **assumptions))

        yield made


def refusal(call: Callable[[], object]) -> AccountOperationError:
    with pytest.raises(AccountOperationError) as raised:
        call()
    return raised.value


def require_done(world: TokenWorld, old: str, name: str = ".env") -> None:
    """Check that the place holds Twilio's primary token alone, and that no other one lives."""
    held = world.holds(name)
    assert held["TWILIO_AUTH_TOKEN"] == world.account.auth_token != old
    assert held["TWILIO_WEBHOOK_SECONDARY_AUTH_TOKEN"] == ""
    assert world.alive() == {world.account.auth_token}


def test_a_standby_is_made_put_beside_the_old_one_promoted_and_then_alone(
    world: TokenWorld,
) -> None:
    old = world.account.auth_token
    world.put(AUTH_TOKEN=old)
    journal = world.begin(world.look())
    (waiting,) = world.carry_out(journal, overlap=LATER)
    assert "--moved" in waiting.why
    between = world.holds()
    assert between["TWILIO_AUTH_TOKEN"] == old
    assert between["TWILIO_WEBHOOK_SECONDARY_AUTH_TOKEN"] == world.account.secondary_auth_token
    assert world.alive() == {old, world.account.secondary_auth_token}
    assert world.carry_out(journal) == ()
    require_done(world, old)
    assert world.account.auth_token == between["TWILIO_WEBHOOK_SECONDARY_AUTH_TOKEN"]
    assert done(journal) == ["stand by", "promote", "settle"]
    assert world.asked() == [
        ("DELETE Secondary", 404), ("POST Secondary", 201), ("POST Promote", 200),
    ]  # fmt: skip


def test_a_standby_that_was_there_already_is_promoted_at_once(world: TokenWorld) -> None:
    """Who verifies has had it since its place has it: nothing is made, nothing is waited for."""
    old, standby = world.account.auth_token, world.make_standby()
    world.put(AUTH_TOKEN=old, WEBHOOK_SECONDARY_AUTH_TOKEN=standby)
    journal = world.begin(world.look())
    assert world.carry_out(journal, overlap=LATER) == ()
    require_done(world, old)
    assert world.account.auth_token == standby
    assert world.asked() == [("POST Promote", 200)]


def test_a_standby_that_only_one_of_two_places_has_is_not_taken_for_deployed(
    world: TokenWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What verifies by the other place has never seen it: it has to be waited for."""
    old, standby = world.account.auth_token, world.make_standby()
    world.put(AUTH_TOKEN=old)
    world.put("admin.env", AUTH_TOKEN=old, WEBHOOK_SECONDARY_AUTH_TOKEN=standby)
    monkeypatch.setenv("SAFETWILIO_ADMIN_BACKEND", "dotenv:admin.env")
    journal = world.begin(world.look())
    assert len(world.carry_out(journal, overlap=LATER)) == 1
    assert world.account.auth_token == old
    assert world.holds()["TWILIO_WEBHOOK_SECONDARY_AUTH_TOKEN"] == standby
    assert world.carry_out(journal) == ()
    require_done(world, old)
    require_done(world, old, "admin.env")
    assert world.account.auth_token == standby


def test_a_standby_copied_by_a_run_that_was_killed_is_not_taken_for_deployed(
    world: TokenWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed after the last write and before "done", it finds it everywhere; just put there."""
    old, standby = world.account.auth_token, world.make_standby()
    world.put(AUTH_TOKEN=old)
    world.put("admin.env", AUTH_TOKEN=old, WEBHOOK_SECONDARY_AUTH_TOKEN=standby)
    monkeypatch.setenv("SAFETWILIO_ADMIN_BACKEND", "dotenv:admin.env")
    journal = world.begin(world.look())
    with world.opened(journal, world.look()) as run:
        run._run.note("began", step="stand by")
        run._rotation.stand_by()
    assert len(world.carry_out(journal, overlap=LATER)) == 1
    assert world.account.auth_token == old


@pytest.mark.parametrize("choice", ["refused", "replaced"])
def test_a_secondary_that_nobody_can_read_is_replaced(make: Make, choice: str) -> None:
    world = make(second_secondary=choice)
    old, unread = world.account.auth_token, world.make_standby()
    world.put(AUTH_TOKEN=old)
    world.rotate()
    require_done(world, old)
    assert world.account.auth_token != unread
    assert not world.is_alive(unread)
    assert any("One that nobody could read was there" in text for text in world.said)


@pytest.mark.parametrize("standby", ["dead", "malformed", "same"])
def test_a_standby_that_cannot_be_promoted_is_replaced(world: TokenWorld, standby: str) -> None:
    old = world.account.auth_token
    texts = {"dead": auth_token(), "malformed": "not-a-token", "same": old}
    world.put(AUTH_TOKEN=old, WEBHOOK_SECONDARY_AUTH_TOKEN=texts[standby])
    journal = world.begin(world.look())
    assert len(world.carry_out(journal, overlap=LATER)) == 1
    assert world.carry_out(journal) == ()
    require_done(world, old)


@pytest.mark.parametrize("fault", LOST)
@pytest.mark.parametrize(
    ("request_", "missing"),
    [(CREATE, 404), (DELETE, 404), (PROMOTE, 404), (PROMOTE, 400), ("GET */Accounts/*", 404)],
)
def test_an_answer_that_is_lost_anywhere(
    make: Make, request_: str, fault: str, missing: int
) -> None:
    """It is found out, or the same command goes on; the token of the place works all the time."""
    world = make(no_secondary_status=missing)
    old = world.account.auth_token
    world.put(AUTH_TOKEN=old)
    journal = world.begin(world.look())
    world.emulator.faults.add(LOST[fault], match=request_)
    for _ in range(2):
        try:
            assert world.carry_out(journal) == ()
            break
        except SafeTwilioError:
            held = world.holds()
            assert world.is_alive(held["TWILIO_AUTH_TOKEN"]) or world.is_alive(
                held["TWILIO_WEBHOOK_SECONDARY_AUTH_TOKEN"]
            )
    assert events(journal)[-1] == "finished"
    require_done(world, old)


@pytest.mark.parametrize("nth", [1, 2, 3])
@pytest.mark.parametrize("fault", ["500, applied", "dropped", "503"])
def test_an_answer_about_a_token_that_does_not_come_is_no_no(
    world: TokenWorld, fault: str, nth: int
) -> None:
    """Whether a token lives is not guessed: the run fails, and goes on later."""
    old = world.account.auth_token
    world.put(AUTH_TOKEN=old)
    journal = world.begin(world.look())
    if nth > 1:
        world.emulator.faults.add(nothing(), match="GET */Accounts/*", times=nth - 1)
    world.emulator.faults.add(LOST[fault], match="GET */Accounts/*", times=3)
    error = refusal(lambda: world.carry_out(journal))
    assert error.code in {"ST612", "ST602"}
    world.emulator.faults.clear()
    assert world.carry_out(journal) == ()
    require_done(world, old)


def test_a_creation_whose_answer_is_always_lost_gives_up_and_leaves_the_old_token(
    world: TokenWorld,
) -> None:
    old = world.account.auth_token
    world.put(AUTH_TOKEN=old)
    journal = world.begin(world.look())
    world.emulator.faults.add(drop(applied=True), match=CREATE, times=3)
    assert refusal(lambda: world.carry_out(journal)).code == "ST622"
    assert world.account.auth_token == old == world.holds()["TWILIO_AUTH_TOKEN"]
    assert world.clock.passed == 1 + 2 + 3
    assert world.carry_out(journal) == ()
    require_done(world, old)


@pytest.mark.parametrize("fault", [None, *LOST])
def test_a_promotion_that_counts_a_minute_later(make: Make, fault: str | None) -> None:
    """It is over when the old token is refused, not when Twilio answers 200."""
    world = make(changed_token_seconds=60)
    world.clock.pace = 5
    old = world.account.auth_token
    world.put(AUTH_TOKEN=old)
    journal = world.begin(world.look())
    if fault:
        world.emulator.faults.add(LOST[fault], match=PROMOTE)
    assert world.carry_out(journal) == ()
    assert not world.is_alive(old)
    assert 60 <= world.clock.passed < 240
    require_done(world, old)


def test_a_promotion_that_never_counts(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both tokens stay in their places, and nothing says that the old one is dead."""
    world = make(changed_token_seconds=60)
    old = world.account.auth_token
    standby = world.make_standby()
    world.emulator.advance(60)
    world.put(AUTH_TOKEN=old, WEBHOOK_SECONDARY_AUTH_TOKEN=standby)
    journal = world.begin(world.look())
    with monkeypatch.context() as patched:
        patched.setattr(world.emulator, "advance", bool)  # as if for ever
        error = refusal(lambda: world.carry_out(journal))
    assert error.code == "ST635"
    held = world.holds()
    assert held["TWILIO_AUTH_TOKEN"] == old
    assert held["TWILIO_WEBHOOK_SECONDARY_AUTH_TOKEN"] == standby
    assert "promote" not in done(journal)
    world.emulator.advance(60)
    assert world.carry_out(journal) == ()
    require_done(world, old)


@pytest.mark.parametrize("seconds", [0, 60])
def test_a_secondary_that_somebody_else_has_made_in_between_is_adopted(
    make: Make, seconds: int
) -> None:
    """Promoted instead of ours, it is the primary token, and Twilio shows it this once."""
    world = make(changed_token_seconds=seconds)
    old = world.account.auth_token
    world.put(AUTH_TOKEN=old)
    journal = world.begin(world.look())
    assert len(world.carry_out(journal, overlap=LATER)) == 1
    ours = world.holds()["TWILIO_WEBHOOK_SECONDARY_AUTH_TOKEN"]
    others: list[str] = []

    def is_promotion(request: object) -> bool:
        if "Promote" in str(getattr(request, "path", "")) and not others:
            others.append(world.make_standby())
        return False

    world.emulator.faults.add(nothing(), match=is_promotion)
    assert world.carry_out(journal) == ()
    assert world.account.auth_token == others[0] != ours
    require_done(world, old)


@pytest.mark.parametrize("missing", [404, 400])
def test_a_secondary_that_somebody_has_deleted_in_between(make: Make, missing: int) -> None:
    """Nothing is promoted, the old token works, and another run makes another one."""
    world = make(no_secondary_status=missing)
    old = world.account.auth_token
    world.put(AUTH_TOKEN=old)
    journal = world.begin(world.look())
    world.carry_out(journal, overlap=LATER)
    world.account.secondary_auth_token = None
    error = refusal(lambda: world.carry_out(journal))
    assert error.code == "ST634"
    assert world.account.auth_token == old
    with world.opened(journal, world.look()) as run:
        run.take_back()
    assert world.holds()["TWILIO_WEBHOOK_SECONDARY_AUTH_TOKEN"] == ""
    world.rotate()
    require_done(world, old)


def test_a_secondary_that_is_deleted_while_it_is_asked_for(make: Make) -> None:
    """Twilio says that there is none, and the deleted one lives on for a minute: nobody guesses."""
    world = make(changed_token_seconds=60)
    old = world.account.auth_token
    world.put(AUTH_TOKEN=old)
    journal = world.begin(world.look())
    world.carry_out(journal, overlap=LATER)
    world.account.secondary_auth_token = None
    assert refusal(lambda: world.carry_out(journal)).code == "ST634"
    assert world.is_alive(old)
    assert world.holds()["TWILIO_AUTH_TOKEN"] == old


def test_the_account_s_own_tokens_are_looked_at_and_not_the_keys(world: TokenWorld) -> None:
    """API keys go on working, and the token's own changes need no key."""
    old, keys = world.account.auth_token, {k.sid for _, k in world.account.keys.newest_first()}
    world.put(AUTH_TOKEN=old)
    world.rotate()
    assert {key.sid for _, key in world.account.keys.newest_first()} == keys
    assert {entry.username for entry in world.emulator.requests} == {world.account.sid}


def test_the_next_standby_is_made_at_the_end_and_is_ready_for_the_next_time(
    world: TokenWorld,
) -> None:
    old = world.account.auth_token
    world.put(AUTH_TOKEN=old)
    journal = world.rotate(standby=True)
    held = world.holds()
    assert held["TWILIO_AUTH_TOKEN"] == world.account.auth_token != old
    assert held["TWILIO_WEBHOOK_SECONDARY_AUTH_TOKEN"] == world.account.secondary_auth_token
    assert world.alive() == {held["TWILIO_AUTH_TOKEN"], world.account.secondary_auth_token}
    assert done(journal)[-1] == "next standby"
    again = world.begin(world.look())
    assert world.carry_out(again, overlap=LATER) == ()  # nothing is waited for
    assert world.account.auth_token == held["TWILIO_WEBHOOK_SECONDARY_AUTH_TOKEN"]


def test_the_journal_says_what_was_done_before_it_was(world: TokenWorld) -> None:
    world.put(AUTH_TOKEN=world.account.auth_token)
    journal = world.rotate()
    assert [entry for entry in events(journal) if entry not in {"began", "done"}] == [
        "run", "creating", "created", "keeping", "standby", "promoting", "promoted", "keeping",
        "finished",
    ]  # fmt: skip
    assert [entry.facts["place"] for entry in read(journal) if entry.event == "keeping"] == [
        "dotenv:.env", "dotenv:.env",
    ]  # fmt: skip
