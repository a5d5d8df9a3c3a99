"""A suspended account refuses both tokens: that is no proof that the old one is dead."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from token_world import TokenWorld, done, token_world

from safetwilio.errors import AccountOperationError
from safetwilio.rotation.overlap import Overlap

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

LATER = Overlap()


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TokenWorld]:
    with token_world(tmp_path, monkeypatch) as found:
        yield found


def refusal(call: Callable[[], object]) -> AccountOperationError:
    with pytest.raises(AccountOperationError) as raised:
        call()
    return raised.value


def require_done(world: TokenWorld, old: str) -> None:
    """Check that the place holds Twilio's primary token alone, and that no other one lives."""
    assert world.holds()["TWILIO_AUTH_TOKEN"] == world.account.auth_token != old
    assert world.alive() == {world.account.auth_token}


def test_a_suspended_account_is_not_taken_for_a_dead_token(world: TokenWorld) -> None:
    """Both tokens are refused: that is no proof of anything, before and in the middle."""
    old = world.account.auth_token
    world.put(AUTH_TOKEN=old)
    journal = world.begin(world.look())
    world.account.suspend()
    assert refusal(lambda: world.carry_out(journal)).code == "ST633"
    world.account.reactivate()
    world.carry_out(journal, overlap=LATER)
    standby = world.account.secondary_auth_token
    world.account.suspend()
    assert refusal(lambda: world.carry_out(journal)).code in {"ST633", "ST634"}
    assert "promote" not in done(journal)
    assert world.holds()["TWILIO_AUTH_TOKEN"] == old
    assert world.holds()["TWILIO_WEBHOOK_SECONDARY_AUTH_TOKEN"] == standby
    world.account.reactivate()
    assert world.carry_out(journal) == ()
    require_done(world, old)


def test_an_account_suspended_with_403_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with token_world(tmp_path, monkeypatch, suspended_status=403) as world:
        world.put(AUTH_TOKEN=world.account.auth_token)
        world.account.suspend()
        assert refusal(world.rotate).code == "ST612"


@pytest.mark.parametrize("moment", ["stand by", "promote", "settle"])
def test_suspended_at_any_moment_both_tokens_stay(world: TokenWorld, moment: str) -> None:
    old = world.account.auth_token
    world.put(AUTH_TOKEN=old)
    journal = world.begin(world.look())
    _stop_before(world, journal, moment)
    before = world.holds()
    world.account.suspend()
    error = refusal(lambda: world.carry_out(journal))
    assert error.code in {"ST633", "ST634"}
    assert world.holds() == before
    world.account.reactivate()
    assert world.carry_out(journal) == ()
    require_done(world, old)


def _stop_before(world: TokenWorld, journal: Path, moment: str) -> None:
    """Let the run of *journal* end before the step *moment*, as a killed process would."""
    with world.opened(journal, world.look()) as run:
        perform = run._run.perform

        def performed(step: str, do: Callable[[], dict[str, object]]) -> None:
            if step == moment:
                raise KeyboardInterrupt
            perform(step, do)

        run._run.perform = performed  # type: ignore[method-assign,assignment]
        with pytest.raises(KeyboardInterrupt):
            run.carry_out(0.0)
