"""Where the Auth Token of an account is kept, under which names, and what else stays there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr
from token_world import TokenWorld, Unwilling, events, token_world, with_backend

from safetwilio.errors import (
    AccountOperationError,
    BackendError,
    BackendUnavailable,
    ConfigurationError,
    SafeTwilioError,
    UsageError,
)
from safetwilio.problems import Problem
from safetwilio.rotation.overlap import Overlap
from safetwilio.rotation.token_places import find_token_places
from safetwilio.webhook_settings import WebhookSettings
from support import auth_token, leaks, shown, write

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

LATER = Overlap()
STANDBY = "TWILIO_WEBHOOK_SECONDARY_AUTH_TOKEN"


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TokenWorld]:
    with token_world(tmp_path, monkeypatch) as found:
        yield found


def refusal(call: Callable[[], object]) -> SafeTwilioError:
    with pytest.raises(SafeTwilioError) as raised:
        call()
    return raised.value


def signing_tokens() -> list[str]:
    """Return what a program would verify webhooks with."""
    return [token.get_secret_value() for token in WebhookSettings().secrets().auth_tokens]


@pytest.mark.parametrize(
    "names", [("AUTH_TOKEN",), ("WEBHOOK_AUTH_TOKEN",), ("WEBHOOK_AUTH_TOKEN", "AUTH_TOKEN")]
)
def test_the_token_stays_under_the_names_that_it_has(
    world: TokenWorld, names: tuple[str, ...]
) -> None:
    """A name that a program does not look for is not made; all else in the file stays."""
    old = world.account.auth_token
    world.put(**dict.fromkeys(names, old), API_KEY="SK" + "5afe0000" + "0" * 24)
    before = world.holds()
    world.rotate()
    after = world.holds()
    assert after.pop(STANDBY) == ""
    assert after.keys() == before.keys()
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {f"TWILIO_{name}" for name in names}
    assert {after[name] for name in changed} == {world.account.auth_token}
    assert signing_tokens() == [world.account.auth_token]


def test_other_lines_comments_and_their_order_stay(world: TokenWorld) -> None:
    path = write(
        world.folder / ".env",
        f"# first\n\nA=1\nexport TWILIO_AUTH_TOKEN='{world.account.auth_token}'\n"
        f'B="two"  # b\nTWILIO_ACCOUNT_SID={world.account.sid}\n\n# last\n',
    )
    world.rotate()
    assert path.read_text() == (
        f"# first\n\nA=1\nexport TWILIO_AUTH_TOKEN={world.account.auth_token}\n"
        f'B="two"  # b\nTWILIO_ACCOUNT_SID={world.account.sid}\n\n# last\n{STANDBY}=\n'
    )


def test_a_token_in_a_file_of_its_own_gives_way_to_one_in_the_document(world: TokenWorld) -> None:
    """The name of a file is replaced as any other one: the document holds the new token then."""
    mine = write(world.folder / "token", f"{world.account.auth_token}\n")
    world.put(AUTH_TOKEN_FILE=str(mine))
    world.rotate()
    held = world.holds()
    assert held["TWILIO_AUTH_TOKEN"] == world.account.auth_token
    assert "TWILIO_AUTH_TOKEN_FILE" not in held
    assert signing_tokens() == [world.account.auth_token]


def test_two_places_get_it_before_it_counts(
    world: TokenWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That of the webhooks and that of operations; neither is ever without a token that works."""
    old = world.account.auth_token
    world.put("hooks.env", WEBHOOK_AUTH_TOKEN=old)
    world.put("admin.env", AUTH_TOKEN=old)
    monkeypatch.setenv("SAFETWILIO_WEBHOOK_BACKEND", "dotenv:hooks.env")
    monkeypatch.setenv("SAFETWILIO_ADMIN_BACKEND", "dotenv:admin.env")
    journal = world.begin(world.look())
    assert len(world.carry_out(journal, overlap=LATER)) == 1
    standby = world.account.secondary_auth_token
    assert [world.holds(name)[STANDBY] for name in ("hooks.env", "admin.env")] == [standby] * 2
    assert world.carry_out(journal) == ()
    assert world.holds("hooks.env")["TWILIO_WEBHOOK_AUTH_TOKEN"] == standby
    assert world.holds("admin.env")["TWILIO_AUTH_TOKEN"] == standby
    assert world.alive() == {standby}


@pytest.mark.parametrize("again", ["dotenv:.env", "dotenv:./.env", "dotenv:{folder}/.env"])
def test_one_document_named_twice_is_written_once(
    world: TokenWorld, monkeypatch: pytest.MonkeyPatch, again: str
) -> None:
    world.put(AUTH_TOKEN=world.account.auth_token)
    monkeypatch.setenv("SAFETWILIO_ADMIN_BACKEND", again.format(folder=world.folder))
    journal = world.rotate()
    assert events(journal).count("keeping") == 2  # beside the old one, and alone
    assert world.holds()["TWILIO_AUTH_TOKEN"] == world.account.auth_token


def test_a_place_that_holds_only_a_key_is_none(
    world: TokenWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The key of operations and that of the program are not the token's places."""
    key = world.emulator.main_key
    world.put(AUTH_TOKEN=world.account.auth_token)
    world.put("admin.env", API_KEY=key.sid, API_SECRET=key.secret)
    monkeypatch.setenv("SAFETWILIO_ADMIN_BACKEND", "dotenv:admin.env")
    before = (world.folder / "admin.env").read_text()
    world.rotate()
    assert (world.folder / "admin.env").read_text() == before


@pytest.mark.parametrize("first", ["hooks", "admin"])
def test_an_old_token_in_one_of_the_places(
    world: TokenWorld, monkeypatch: pytest.MonkeyPatch, first: str
) -> None:
    """One place was forgotten at the last rotation by hand; the other one's token does it all."""
    right, stale = world.account.auth_token, auth_token()
    world.put("hooks.env", WEBHOOK_AUTH_TOKEN=right if first == "hooks" else stale)
    world.put("admin.env", AUTH_TOKEN=stale if first == "hooks" else right)
    monkeypatch.setenv("SAFETWILIO_WEBHOOK_BACKEND", "dotenv:hooks.env")
    monkeypatch.setenv("SAFETWILIO_ADMIN_BACKEND", "dotenv:admin.env")
    world.rotate()
    assert world.holds("hooks.env")["TWILIO_WEBHOOK_AUTH_TOKEN"] == world.account.auth_token
    assert world.holds("admin.env")["TWILIO_AUTH_TOKEN"] == world.account.auth_token
    assert world.alive() == {world.account.auth_token} != {right}


def test_a_token_that_twilio_refuses_everywhere(world: TokenWorld) -> None:
    world.put(AUTH_TOKEN=auth_token())
    before = world.holds()
    error = refusal(world.rotate)
    assert isinstance(error, AccountOperationError)
    assert error.code == "ST633"
    assert world.holds() == before
    assert world.account.secondary_auth_token is None


def test_no_token_anywhere(world: TokenWorld) -> None:
    assert refusal(world.look).code == "ST631"
    world.put()
    error = refusal(world.look)
    assert error.code == "ST631"
    assert "--backend" in str(error)
    assert world.emulator.requests == ()


def test_two_different_tokens_in_one_document(world: TokenWorld) -> None:
    one, two = world.account.auth_token, auth_token()
    world.put(AUTH_TOKEN=one, WEBHOOK_AUTH_TOKEN=two)
    error = refusal(world.look)
    assert error.code == "ST632"
    assert leaks(shown(error), [one, two]) == []


@pytest.mark.parametrize(
    ("sid", "token", "code"),
    [
        ("AC123", "{token}", "ST201"),
        ("{sid}", "not-a-token-at-all", "ST220"),
        ("{sid}", "your_auth_token_here", "ST208"),
    ],
)
def test_what_cannot_be_right_never_reaches_the_network(
    world: TokenWorld, sid: str, token: str, code: str
) -> None:
    given = token.format(token=world.account.auth_token)
    world.put(ACCOUNT_SID=sid.format(sid=world.account.sid), AUTH_TOKEN=given)
    error = refusal(world.look)
    assert isinstance(error, ConfigurationError)
    assert code in [problem.code for problem in error.problems]
    assert leaks(shown(error), [world.account.auth_token]) == []
    assert world.emulator.requests == ()


def test_places_of_different_accounts(world: TokenWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    other = world.emulator.create_account()
    world.put(AUTH_TOKEN=world.account.auth_token)
    world.put("admin.env", ACCOUNT_SID=other.sid, AUTH_TOKEN=other.auth_token)
    monkeypatch.setenv("SAFETWILIO_ADMIN_BACKEND", "dotenv:admin.env")
    assert refusal(world.look).code == "ST629"


def test_a_token_in_the_environment_cannot_be_written(
    world: TokenWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is said before anything is made, even if another place could be written."""
    world.put(AUTH_TOKEN=world.account.auth_token)
    monkeypatch.setenv("TWILIO_AUTH_TOKEN", world.account.auth_token)
    error = refusal(world.look)
    assert isinstance(error, UsageError)
    assert error.code == "ST907"
    assert world.emulator.requests == ()


def test_an_account_with_a_name(world: TokenWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its token is under its own names, and another account's in the same file stays."""
    other = world.emulator.create_account()
    old, ours = other.auth_token, world.account.auth_token
    world.account = other
    path = world.put(account="MARKETING", AUTH_TOKEN=old)
    text = path.read_text()
    path.write_text(text.replace("OTHER", f"TWILIO_AUTH_TOKEN={ours}\nOTHER"))
    monkeypatch.setenv("SAFETWILIO_BACKEND", "dotenv:.env")
    seen = world.look(account="marketing")
    journal = world.begin(seen)
    assert world.carry_out(journal, seen) == ()
    held = world.holds()
    assert held["TWILIO_MARKETING_AUTH_TOKEN"] == other.auth_token != old
    assert held["TWILIO_MARKETING_WEBHOOK_SECONDARY_AUTH_TOKEN"] == ""
    assert held["TWILIO_AUTH_TOKEN"] == ours
    assert STANDBY not in held


def unavailable() -> BackendUnavailable:
    return BackendUnavailable([Problem("ST331", "It does not answer.", "Wait.", ("the place",))])


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize(("times", "is_sealed"), [(3, False), (9, True)])
def test_a_place_that_does_not_answer_is_asked_again_and_the_token_is_sealed(
    world: TokenWorld, times: int, *, is_sealed: bool, after: bool
) -> None:
    """After five seconds it is sealed, whether or not the place has it; then nothing is left."""
    old = world.account.auth_token
    world.put(AUTH_TOKEN=old)
    seen = world.look()
    (place,) = seen.places
    unwilling = Unwilling(place, unavailable(), times=times, after=after)
    seen = seen._replace(places=(with_backend(place, unwilling),))
    journal = world.begin(seen)
    assert len(world.carry_out(journal, seen, LATER)) == 1
    sealed = is_sealed and not after  # what is there already is found there at once
    assert ("seal" in world.locker.calls) is sealed
    assert world.locker.fields is None
    assert world.holds()[STANDBY] == world.account.secondary_auth_token
    assert world.carry_out(journal) == ()
    assert world.holds()["TWILIO_AUTH_TOKEN"] == world.account.auth_token != old


def test_a_place_that_never_answers_leaves_the_sealed_token_for_the_next_process(
    world: TokenWorld,
) -> None:
    """It is no secret that is lost: opened, it goes into its place, and no other is made."""
    old = world.account.auth_token
    world.put(AUTH_TOKEN=old)
    seen = world.look()
    (place,) = seen.places
    broken = seen._replace(
        places=(with_backend(place, Unwilling(place, unavailable(), times=999)),)
    )
    journal = world.begin(seen)
    assert refusal(lambda: world.carry_out(journal, broken)).code == "ST625"
    assert world.clock.passed >= 60
    assert world.locker.fields is not None
    assert world.holds()["TWILIO_AUTH_TOKEN"] == old
    assert world.carry_out(journal) == ()
    assert world.asked().count(("POST Secondary", 201)) == 1
    assert world.holds()["TWILIO_AUTH_TOKEN"] == world.account.auth_token != old
    assert world.locker.fields is None


def test_a_place_that_does_not_answer_to_the_promoted_token(world: TokenWorld) -> None:
    """What was sealed then is the primary token: it must not be taken for the next standby."""
    world.put(AUTH_TOKEN=world.account.auth_token)
    journal = world.begin(world.look(), standby=True)
    assert len(world.carry_out(journal, overlap=LATER)) == 1
    seen = world.look()
    (place,) = seen.places
    seen = seen._replace(places=(with_backend(place, Unwilling(place, unavailable(), times=9)),))
    assert world.carry_out(journal, seen) == ()
    assert "seal" in world.locker.calls
    held = world.holds()
    assert held["TWILIO_AUTH_TOKEN"] == world.account.auth_token
    assert (
        held[STANDBY] == world.account.secondary_auth_token not in {None, held["TWILIO_AUTH_TOKEN"]}
    )
    assert world.locker.fields is None


def test_a_sealed_primary_token_of_a_killed_process_is_no_standby(world: TokenWorld) -> None:
    world.put(AUTH_TOKEN=world.account.auth_token)
    world.rotate()
    world.locker.seal({"webhook_secondary_auth_token": world.look().places[0].held().token})
    journal = world.begin(world.look())
    assert len(world.carry_out(journal, overlap=LATER)) == 1
    assert world.holds()[STANDBY] == world.account.secondary_auth_token is not None


@pytest.mark.parametrize("is_open", [True, False])
def test_a_sealed_token_that_nobody_can_open_is_made_anew(
    world: TokenWorld, *, is_open: bool
) -> None:
    """One that is dead meanwhile is as good as none."""
    world.put(AUTH_TOKEN=world.account.auth_token)
    if is_open:
        world.locker.seal({"webhook_secondary_auth_token": SecretStr(auth_token())})
    world.rotate()
    assert world.holds()["TWILIO_AUTH_TOKEN"] == world.account.auth_token


def test_a_place_that_refuses_ends_the_run_which_goes_on_later(world: TokenWorld) -> None:
    old = world.account.auth_token
    world.put(AUTH_TOKEN=old)
    seen = world.look()
    (place,) = seen.places
    denied = BackendError([Problem("ST330", "It may not be written.", "Grant.", ("the place",))])
    seen = seen._replace(places=(with_backend(place, Unwilling(place, denied)),))
    journal = world.begin(seen)
    assert refusal(lambda: world.carry_out(journal, seen)).code == "ST330"
    assert world.holds()["TWILIO_AUTH_TOKEN"] == old
    assert STANDBY not in world.holds()
    assert world.carry_out(journal) == ()
    assert world.alive() == {world.account.auth_token} == {world.holds()["TWILIO_AUTH_TOKEN"]}


def test_somebody_writes_to_the_place_in_between(world: TokenWorld) -> None:
    """The file is of another version than the one that was read: nothing is written over it."""
    world.put(AUTH_TOKEN=world.account.auth_token)
    seen = world.look()
    held = seen.places[0].held()
    path = world.folder / ".env"
    path.write_text(path.read_text() + "MORE=1\n")
    error = refusal(lambda: seen.places[0].keep(held, standby=held.token))
    assert error.code == "ST338"
    assert "MORE=1" in path.read_text()
    world.rotate()
    assert world.holds()["MORE"] == "1"


def test_places_are_named_and_never_shown(world: TokenWorld) -> None:
    world.put(AUTH_TOKEN=world.account.auth_token, WEBHOOK_SECONDARY_AUTH_TOKEN=auth_token())
    (place,) = find_token_places(None, "dotenv:.env")
    assert str(place) == "dotenv:.env"
    text = repr(place) + repr(place.held()) + repr(world.look())
    assert leaks(text, set(world.holds().values()) - {world.account.sid}) == []
