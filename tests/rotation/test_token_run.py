"""Who may rotate an Auth Token, and how a run ends: killed, gone on with, or taken back."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from itertools import count
from typing import TYPE_CHECKING

import pytest
from token_world import (
    DELETE,
    MOVED,
    PROMOTE,
    Killer,
    TokenWorld,
    done,
    events,
    token_world,
)

from safetwilio.errors import AccountOperationError
from safetwilio.rotation.overlap import Overlap
from safetwilio.rotation.token_run import plan, subject_in
from safetwilio.runbook.journal import read
from safetwilio.testing.faults import drop
from support import auth_token, leaks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from safetwilio.testing.assumptions import Choice
    from safetwilio.testing.faults import Fault
    from safetwilio.testing.records import Key

    Make = Callable[..., TokenWorld]

LATER = Overlap()
STANDBY = "TWILIO_WEBHOOK_SECONDARY_AUTH_TOKEN"


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """Make a world with choices of the emulator's, each in a directory of its own."""
    with ExitStack() as stack:

        def made(name: str = "here", **assumptions: Choice) -> TokenWorld:
            folder = tmp_path / name
            folder.mkdir()
            return stack.enter_context(token_world(folder, monkeypatch, **assumptions))

        yield made


def refusal(call: Callable[[], object]) -> AccountOperationError:
    with pytest.raises(AccountOperationError) as raised:
        call()
    return raised.value


def with_key(world: TokenWorld, key: Key, patch: pytest.MonkeyPatch) -> None:
    """Let *key* change the account."""
    world.put("admin.env", API_KEY=key.sid, API_SECRET=key.secret)
    patch.setenv("SAFETWILIO_ADMIN_BACKEND", "dotenv:admin.env")


def is_whole(world: TokenWorld, name: str = ".env") -> bool:
    """Return whether the place holds the primary token alone, and nothing else lives."""
    held, primary = world.holds(name), world.account.auth_token
    return (held["TWILIO_AUTH_TOKEN"], held.get(STANDBY, "")) == (primary, "") and (
        world.alive() == {primary}
    )


def works(world: TokenWorld, name: str = ".env") -> bool:
    """Return whether Twilio accepts a token of the place."""
    held = world.holds(name)
    tokens = (held["TWILIO_AUTH_TOKEN"], held.get(STANDBY, ""))
    return any(world.is_alive(token) for token in tokens)


# Who may.


@pytest.mark.parametrize("needs", ["main", "standard"])
def test_a_main_key_does_it_if_twilio_lets_it(
    make: Make, monkeypatch: pytest.MonkeyPatch, needs: str
) -> None:
    world = make(token_rotation_needs=needs)
    old = world.account.auth_token
    world.put(AUTH_TOKEN=old)
    with_key(world, world.emulator.main_key, monkeypatch)
    world.rotate()
    assert is_whole(world)
    assert world.account.auth_token != old
    by = {each.username for each in world.emulator.requests if "AuthTokens" in each.path}
    assert by == {world.emulator.main_key.sid}


@pytest.mark.parametrize("needs", ["main", "token", "standard"])
def test_the_token_itself_always_may(
    make: Make, monkeypatch: pytest.MonkeyPatch, needs: str
) -> None:
    """It is taken from its place, or from that of operations, which is one of them."""
    world = make(token_rotation_needs=needs)
    old = world.account.auth_token
    world.put(AUTH_TOKEN=old)
    world.put("admin.env", AUTH_TOKEN=old)
    monkeypatch.setenv("SAFETWILIO_ADMIN_BACKEND", "dotenv:admin.env")
    world.rotate()
    assert is_whole(world)
    assert is_whole(world, "admin.env")
    assert {each.username for each in world.emulator.requests} == {world.account.sid}


@pytest.mark.parametrize("deployed", [False, True])
@pytest.mark.parametrize(
    ("kind", "needs"), [("standard", "main"), ("main", "token"), ("standard", "token")]
)
def test_a_key_that_may_not_is_refused_at_once_and_changes_nothing(
    make: Make, monkeypatch: pytest.MonkeyPatch, kind: str, needs: str, *, deployed: bool
) -> None:
    """Twilio's refusal is what is said, not that the old token lives on."""
    world = make(token_rotation_needs=needs)
    key = world.emulator.main_key if kind == "main" else world.emulator.standard_key
    old = world.account.auth_token
    more = {"WEBHOOK_SECONDARY_AUTH_TOKEN": world.make_standby()} if deployed else {}
    world.put(AUTH_TOKEN=old, **more)
    with_key(world, key, monkeypatch)
    before = world.holds()
    assert refusal(world.rotate).code == "ST610"
    assert world.clock.passed < 5
    assert world.holds() == before
    assert world.account.auth_token == old


def test_a_standard_key_that_twilio_lets_do_it(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    world = make(token_rotation_needs="standard")
    world.put(AUTH_TOKEN=world.account.auth_token)
    with_key(world, world.emulator.standard_key, monkeypatch)
    world.rotate()
    assert is_whole(world)


@pytest.mark.parametrize("status", [403, 401])
def test_a_restricted_key_is_refused(
    make: Make, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    world = make(restricted_denied_status=status)
    world.put(AUTH_TOKEN=world.account.auth_token)
    key = world.account.create_key("restricted", allow=["/twilio/messaging/messages/list"])
    with_key(world, key, monkeypatch)
    before = world.holds()
    assert refusal(world.rotate).code == "ST612"
    assert world.holds() == before


@pytest.mark.parametrize("fault", [None, drop(applied=True), drop(applied=False)])
def test_a_main_key_replaces_a_token_that_is_in_no_place(
    make: Make, monkeypatch: pytest.MonkeyPatch, fault: Fault | None
) -> None:
    """The place's own token is dead, which proves nothing: the primary one is another."""
    world = make()
    lost = world.account.auth_token
    world.put(AUTH_TOKEN=auth_token())
    with_key(world, world.emulator.main_key, monkeypatch)
    if fault:
        world.emulator.faults.add(fault, match=PROMOTE)
    world.rotate()
    assert not world.is_alive(lost)
    assert is_whole(world)


# When it is promoted.


def test_time_that_has_passed_since_the_standby_is_there(make: Make) -> None:
    world = make()
    world.put(AUTH_TOKEN=world.account.auth_token)
    journal = world.begin(world.look())
    (waiting,) = world.carry_out(journal, overlap=Overlap(900.0))
    assert waiting.target == "the default account"
    assert "more seconds" in waiting.why
    assert world.carry_out(journal, overlap=Overlap(0.0)) == ()
    assert is_whole(world)


def test_it_waits_no_longer_than_it_is_told_to(make: Make) -> None:
    world = make()
    world.put(AUTH_TOKEN=world.account.auth_token)
    journal = world.begin(world.look())
    with world.opened(journal, world.look(), Overlap(86400.0)) as run:
        assert len(run.carry_out(30.0)) == 1
    assert 30 <= world.clock.passed < 32
    assert any("waiting for" in text for text in world.said)


def test_what_was_asked_for_is_gone_on_with_even_without_moved(make: Make) -> None:
    """Killed after it asked, the old token may be dead: to wait for anything would be wrong."""
    world = make()
    world.put(AUTH_TOKEN=world.account.auth_token)
    journal = world.begin(world.look())
    with world.opened(journal, world.look()) as run:
        world.emulator.faults.add(drop(applied=True), match=PROMOTE)
        assert _killed_at(Killer(run, 0), run, "promoting", after=True)
    assert world.carry_out(journal, overlap=LATER) == ()
    assert is_whole(world)


def test_a_token_promoted_by_hand_is_settled_without_waiting_twice(make: Make) -> None:
    """In the Console somebody did it; killed while it settles, it goes on without --moved."""
    world = make()
    world.put(AUTH_TOKEN=world.account.auth_token)
    journal = world.begin(world.look())
    world.carry_out(journal, overlap=LATER)
    promoted = world.account.secondary_auth_token
    assert promoted is not None
    world.account.auth_token, world.account.secondary_auth_token = promoted, None
    with world.opened(journal, world.look()) as run:
        assert _killed_at(Killer(run, 0), run, "keeping", after=False)
    assert world.carry_out(journal, overlap=LATER) == ()
    assert is_whole(world)


def _killed_at(killer: Killer, run: object, event: str, *, after: bool) -> bool:
    """Return whether *run* was killed before the moment *event*, or the one *after* it."""
    passed = killer._pass_by

    def pass_by(moment: str) -> None:
        killer._stop = 0
        if (killer.moments and killer.moments[-1] == event) if after else moment == event:
            killer._stop = len(killer.moments) + 1
        passed(moment)

    killer._pass_by = pass_by  # type: ignore[method-assign]
    return not killer.go(lambda: run.carry_out(0.0))  # type: ignore[attr-defined]


# Killed, and gone on with.


@pytest.mark.parametrize("seconds", [0, 60])
def test_killed_at_any_moment_a_token_works_and_the_run_is_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: int
) -> None:
    """Before each line of the journal and the pauses; two places, and the next standby."""
    for stop in count(1):
        with in_two_places(tmp_path / f"{stop}", monkeypatch, seconds) as world:
            old = world.account.auth_token
            journal, where = killed(world, stop)
            assert works(world), where
            assert works(world, "admin.env"), where
            world.emulator.advance(seconds)
            if where:
                assert world.carry_out(journal) == (), where
            standby = world.account.secondary_auth_token
            assert standby is not None
            assert world.alive() == {world.account.auth_token, standby}, where
            for name in (".env", "admin.env"):
                held = world.holds(name)
                assert held["TWILIO_AUTH_TOKEN"] == world.account.auth_token != old, where
                assert held[STANDBY] == standby, where
            if not where:
                break
    assert stop > 15


@pytest.mark.parametrize(("seconds", "lost"), [(0, False), (0, True), (60, False), (60, True)])
def test_taken_back_at_any_moment_or_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: int, *, lost: bool
) -> None:
    """Either the old token is alone again, or nothing is taken away and the run can be finished."""
    outcomes = set()
    for stop in count(1):
        with in_two_places(tmp_path / f"{stop}", monkeypatch, seconds) as world:
            old = world.account.auth_token
            if lost:
                world.emulator.faults.add(drop(applied=True), match=PROMOTE)
            journal, where = killed(world, stop)
            if not where:
                break
            outcomes.add(_taken_back(world, journal, old, where))
            assert works(world), where
            assert works(world, "admin.env"), where
    assert outcomes == {"taken back", "finished"}


@contextmanager
def in_two_places(folder: Path, patch: pytest.MonkeyPatch, seconds: int) -> Iterator[TokenWorld]:
    """Make a world of *folder*, where changes count *seconds* later."""
    folder.mkdir()
    with token_world(folder, patch, changed_token_seconds=seconds) as world:
        world.clock.pace = 10
        world.put(AUTH_TOKEN=world.account.auth_token)
        world.put("admin.env", AUTH_TOKEN=world.account.auth_token)
        patch.setenv("SAFETWILIO_ADMIN_BACKEND", "dotenv:admin.env")
        yield world


def killed(world: TokenWorld, stop: int) -> tuple[Path, str]:
    """Return the journal of a run killed at its moment *stop*, and which that is, "" if none."""
    journal = world.begin(world.look(), standby=True)
    with world.opened(journal, world.look()) as run:
        killer = Killer(run, stop)
        is_over = killer.go(lambda: run.carry_out(0.0))
    return journal, "" if is_over else f"{stop}: {killer.moments[-1]}"


def _taken_back(world: TokenWorld, journal: Path, old: str, where: str) -> str:
    before = world.holds(), world.holds("admin.env")
    try:
        with world.opened(journal, world.look()) as run:
            run.take_back()
    except AccountOperationError as error:
        assert error.code == "ST627", where  # noqa: PT017 - the other end is right, too
        assert (world.holds(), world.holds("admin.env")) == before, where
        assert world.carry_out(journal) == (), where
        assert world.account.auth_token != old, where
        return "finished"
    assert events(journal)[-1] == "finished"
    assert world.account.auth_token == old, where
    assert world.alive() == {old}, where
    for name in (".env", "admin.env"):
        assert world.holds(name)["TWILIO_AUTH_TOKEN"] == old, where
        assert world.holds(name).get(STANDBY, "") == "", where
    return "taken back"


def test_a_standby_that_was_there_before_the_run_is_not_taken_back(make: Make) -> None:
    world = make()
    old, standby = world.account.auth_token, world.make_standby()
    world.put(AUTH_TOKEN=old, WEBHOOK_SECONDARY_AUTH_TOKEN=standby)
    journal = world.begin(world.look())
    with world.opened(journal, world.look()) as run:
        run.take_back()
    assert world.alive() == {old, standby}
    assert world.holds()[STANDBY] == standby
    assert events(journal)[-2:] == ["taken back", "finished"]


def test_a_deletion_whose_answer_is_lost_is_found_out_when_it_is_taken_back(make: Make) -> None:
    """The standby lives on for a minute, as a promoted one would: nobody guesses which it is."""
    world = make(changed_token_seconds=60)
    old = world.account.auth_token
    world.put(AUTH_TOKEN=old)
    journal = world.begin(world.look())
    world.carry_out(journal, overlap=LATER)
    world.emulator.faults.add(drop(applied=True), match=DELETE)
    for _ in range(2):
        try:
            with world.opened(journal, world.look()) as run:
                run.take_back()
            break
        except AccountOperationError as error:
            assert error.code == "ST612"  # noqa: PT017 - the next one finds out
            assert world.holds()[STANDBY]
    assert world.alive() == {old}
    assert world.holds()[STANDBY] == ""


# The plan.


def test_the_plan_says_what_is_left_and_no_secret(make: Make) -> None:
    world = make()
    world.put(AUTH_TOKEN=world.account.auth_token)
    seen = world.look()
    wanted = seen.subject(None, standby=True, subaccounts=True)
    text = "\n".join(plan(wanted, seen).lines())
    assert text.count("cannot be undone") == 3
    assert "the token in dotenv:.env" in text
    assert "the tokens of subaccounts are kept nowhere" in text
    assert world.emulator.requests == ()
    journal = world.begin(seen)
    world.carry_out(journal, seen, LATER)
    with world.opened(journal, seen, MOVED) as run:
        text += "\n".join(plan(wanted, seen, run._run).lines())
    assert "1. done: " in text
    assert leaks(text, world.known.all) == []
    assert subject_in(read(journal)[0].facts).places == ("dotenv:.env",)
    assert done(journal) == ["stand by"]
