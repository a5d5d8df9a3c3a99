"""The Auth Tokens of subaccounts, replaced after their parent's."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr
from token_world import CREATE, DELETE, PROMOTE, TokenWorld, done, token_world

from safetwilio.admin.identity import Address, find_identity, identity_of_token
from safetwilio.admin.tokens import tokens_of_subaccounts
from safetwilio.errors import AccountOperationError
from safetwilio.rotation.subaccounts import rotate_subaccounts
from safetwilio.runbook.journal import read
from safetwilio.runbook.runs import start
from safetwilio.testing.faults import Fault, drop, nothing, reset, status
from safetwilio.testing.identity import public_username

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from safetwilio.testing.assumptions import Choice
    from safetwilio.testing.exchange import EmulatedRequest
    from safetwilio.testing.state import Account

    Make = Callable[..., TokenWorld]

LOST = [drop(applied=True), drop(applied=False), reset(applied=True), status(500, applied=True)]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """Make a world with choices of the emulator's; the token is in ``.env``."""
    with ExitStack() as stack:

        def made(**assumptions: Choice) -> TokenWorld:
            world = stack.enter_context(token_world(tmp_path, monkeypatch, **assumptions))
            world.put(AUTH_TOKEN=world.account.auth_token)
            return world

        yield made


def below(world: TokenWorld, count: int = 2) -> dict[str, tuple[Account, str]]:
    """Make subaccounts, and return them with their tokens, in the order of their turn."""
    made = [world.emulator.create_account(world.account) for _ in range(count)]
    return {each.sid: (each, each.auth_token) for each in sorted(made, key=lambda each: each.sid)}


def require_new(world: TokenWorld, accounts: dict[str, tuple[Account, str]]) -> None:
    """Check that each has another token, and that no other one lives."""
    for account, old in accounts.values():
        assert account.auth_token != old
        assert world.alive(account) == {account.auth_token}


def test_every_active_one_gets_another_token(make: Make) -> None:
    world = make()
    accounts = below(world)
    journal = world.rotate(subaccounts=True)
    require_new(world, accounts)
    assert done(journal) == ["stand by", "promote", "settle", "subaccounts"]
    assert [e.facts["subaccounts"] for e in read(journal) if "subaccounts" in e.facts] == [2]


def test_without_the_wish_they_are_left_alone(make: Make) -> None:
    world = make()
    accounts = below(world)
    world.rotate()
    assert all(account.auth_token == old for account, old in accounts.values())


def test_none_is_fine(make: Make) -> None:
    assert done(make().rotate(subaccounts=True))[-1] == "subaccounts"


def test_more_than_a_page_are_seen(make: Make) -> None:
    world = make()
    accounts = below(world, 55)
    client = identity_of_token(
        world.account.sid, SecretStr(world.account.auth_token), "the test"
    ).client(world.account.sid, Address())
    assert tokens_of_subaccounts(client).keys() == accounts.keys()


def test_suspended_and_closed_ones_are_left_alone(make: Make) -> None:
    """Their tokens are refused; they are rotated when they are active again."""
    world = make()
    accounts = below(world, 3)
    (one, old), (two, _), _ = accounts.values()
    one.suspend()
    two.status = "closed"
    world.rotate(subaccounts=True)
    assert one.auth_token == old
    assert [account.auth_token == old for account, old in accounts.values()] == [True, True, False]


def test_those_of_other_accounts_are_left_alone(make: Make) -> None:
    world = make()
    other = world.emulator.create_account()
    stranger = world.emulator.create_account(other)
    tokens = other.auth_token, stranger.auth_token
    world.rotate(subaccounts=True)
    assert (other.auth_token, stranger.auth_token) == tokens


def test_a_secondary_token_of_a_subaccount_is_replaced(make: Make) -> None:
    """Nobody here can read it, and promoted it would be the token of somebody else."""
    world = make()
    accounts = below(world)
    ((first, _), _) = accounts.values()
    first.secondary_auth_token = unread = "fedcba9876543210" * 2
    world.rotate(subaccounts=True)
    require_new(world, accounts)
    assert first.auth_token != unread


@pytest.mark.parametrize("missing", [404, 400])
@pytest.mark.parametrize("fault", LOST)
@pytest.mark.parametrize("request_", [CREATE, DELETE, PROMOTE])
def test_an_answer_that_is_lost(make: Make, request_: str, fault: Fault, missing: int) -> None:
    """It is asked again, or the same command goes on; the token is found by looking."""
    world = make(no_secondary_status=missing)
    accounts = below(world)
    journal = world.begin(world.look(), subaccounts=True)
    world.emulator.faults.add(nothing(), match=request_)  # that of the parent
    world.emulator.faults.add(fault, match=request_)
    try:
        assert world.carry_out(journal) == ()
    except AccountOperationError as error:
        assert error.code == "ST612"  # noqa: PT017 - a deletion whose answer was lost
        assert world.carry_out(journal) == ()
    require_new(world, accounts)


@pytest.mark.parametrize("fault", [None, drop(applied=True), drop(applied=False)])
def test_a_promotion_that_counts_a_minute_later(make: Make, fault: Fault | None) -> None:
    world = make(changed_token_seconds=60)
    world.clock.pace = 10
    accounts = below(world)
    world.emulator.advance(60)
    if fault:
        world.emulator.faults.add(nothing(), match=PROMOTE)
        world.emulator.faults.add(fault, match=PROMOTE)
    world.rotate(subaccounts=True)
    for account, old in accounts.values():
        assert not world.is_alive(old, account)
    require_new(world, accounts)


def test_gone_on_with_after_half_of_them(make: Make) -> None:
    """Those that have another token already keep it: nobody's is replaced twice."""
    world = make()
    accounts = below(world, 3)
    journal = world.begin(world.look(), subaccounts=True)
    world.emulator.faults.add(nothing(), match=PROMOTE, times=2)
    world.emulator.faults.add(status(400), match=by_the_second(accounts), times=1)
    with pytest.raises(AccountOperationError) as raised:
        world.carry_out(journal)
    assert raised.value.code == "ST612"
    (first, _), (second, old), _ = accounts.values()
    made = first.auth_token
    assert second.auth_token == old
    assert world.carry_out(journal) == ()
    assert first.auth_token == made
    require_new(world, accounts)


def by_the_second(accounts: dict[str, tuple[Account, str]]) -> Callable[[EmulatedRequest], bool]:
    """Return what matches the creation that the second subaccount asks for."""
    second = [*accounts][1]

    def match(request: EmulatedRequest) -> bool:
        is_creation = request.method == "POST" and request.path.endswith("/Secondary")
        return is_creation and public_username(request) == second

    return match


def test_a_main_key_sees_no_tokens_and_cannot(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    world = make()
    accounts = below(world)
    key = world.emulator.main_key
    world.put("admin.env", API_KEY=key.sid, API_SECRET=key.secret)
    monkeypatch.setenv("SAFETWILIO_ADMIN_BACKEND", "dotenv:admin.env")
    identity = find_identity(None)
    assert identity is not None
    run = start(world.folder / "runs", "a-key", verb="rotate token")
    with pytest.raises(AccountOperationError) as raised:
        rotate_subaccounts(identity, Address(), run, say=world.said.append, clock=world.clock)
    run.close()
    assert raised.value.code == "ST629"
    assert all(account.auth_token == old for account, old in accounts.values())
    world.rotate(subaccounts=True)  # the token in its place does it, the key does the rest
    require_new(world, accounts)
