"""A place that shows or takes late what it was sent never ends with a dead key."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from key_world import MOVED, World

from safetwilio.admin.identity import Address
from safetwilio.admin.lineage import LONGEST_NAME, key_name
from safetwilio.admin.tokens import require_own
from safetwilio.errors import AccountOperationError, JournalError
from safetwilio.rotation.keys import LANDS_WITHIN
from safetwilio.rotation.places import Held, Place
from safetwilio.runbook.journal import Journal
from support import caught

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pydantic import SecretStr

    from safetwilio.rotation.service_keys import KeysRun


LONG = "notifications-service-europe-west-"


def code_of(keys: KeysRun, verb: str = "carry_out") -> str | None:
    error = caught(getattr(keys, verb))
    assert error is None or isinstance(error, (AccountOperationError, JournalError)), error
    return error and error.code


class Lagging:
    """Shows what a place held before, until *seconds* have passed since it was written."""

    def __init__(self, world: World, patch: pytest.MonkeyPatch, seconds: float) -> None:
        """Take the place's part."""
        self.until = 0.0
        shown: list[Held] = []
        held, keep = Place.held, Place.keep

        def held_late(place: Place) -> Held:
            if world.clock.now() >= self.until or not shown:
                shown[:] = [held(place)]
            return shown[0]

        def keep_and_hide(
            place: Place, fields: Mapping[str, SecretStr], replaces: str | None
        ) -> str:
            self.until = world.clock.now() + seconds
            return keep(place, fields, replaces)

        patch.setattr(Place, "held", held_late)
        patch.setattr(Place, "keep", keep_and_hide)


def test_a_place_that_shows_the_old_key_for_a_while_is_waited_for(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.old()
    Lagging(world, monkeypatch, seconds=20)
    seen = world.look()
    world.keys_run(world.start(seen), seen).carry_out()
    (new,) = world.made
    assert world.held() == (new.sid, new.secret)


@pytest.mark.parametrize("verb", ["carry_out", "take_back"])
def test_what_a_place_has_confirmed_is_not_deleted_whatever_it_shows(
    world: World, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    """The first command gives up; the second must not take the key that is there for an orphan."""
    old = world.old()
    lagging = Lagging(world, monkeypatch, seconds=2 * LANDS_WITHIN)
    seen = world.look()
    run = world.start(seen)
    assert code_of(world.keys_run(run, seen)) == "ST625"
    (new,) = world.made

    outcome = code_of(world.keys_run(run, seen), verb)

    assert outcome == (None if verb == "carry_out" else "ST627")
    lagging.until = 0.0
    assert world.held() == (new.sid, new.secret)
    assert new.sid in {key.sid for key in world.all_keys()}
    assert (old.sid in {key.sid for key in world.all_keys()}) is (verb == "take_back")


def test_a_write_that_lands_after_we_gave_up_is_found(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is on its way when the next command begins, which waits before it deletes anything."""
    world.old()
    seen = world.look()
    run = world.start(seen)
    sent: list[Mapping[str, SecretStr]] = []

    class Killed(BaseException):
        """The process is gone."""

    def killed(save: Callable[[], object], *_: object, **__: object) -> None:
        save()
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Place, "keep", lambda _, fields, __: sent.append(fields))
        patch.setattr("safetwilio.rotation.keys.keep", killed)
        with pytest.raises(Killed):
            world.keys_run(run, seen).carry_out()
    backend = seen[0].place._backend
    wait = world.clock.wait

    def land(seconds: float) -> None:
        if sent and seconds > LANDS_WITHIN / 2:
            backend.save(sent.pop(), account=None)
        wait(seconds)

    monkeypatch.setattr(world.clock, "wait", land)
    world.keys_run(run, seen).carry_out()

    assert not sent
    (new,) = world.made
    assert world.held() == (new.sid, new.secret)


@pytest.mark.parametrize("event", ["created", "keeping"])
def test_a_key_that_cannot_be_noted_is_deleted(
    world: World, monkeypatch: pytest.MonkeyPatch, event: str
) -> None:
    """The disk is full after the key was made; nobody would find it in another journal."""
    old = world.old()
    seen = world.look()
    run = world.start(seen)
    append = Journal.append

    def full(journal: Journal, happened: str, /, **facts: object) -> None:
        if happened == event:
            raise JournalError("The disk is full.", code="ST952")
        append(journal, happened, **facts)

    monkeypatch.setattr(Journal, "append", full)
    assert code_of(world.keys_run(run, seen)) == "ST952"
    assert world.made == []
    assert world.held() == (old.sid, old.secret)


def test_services_whose_names_begin_alike_keep_their_keys(world: World) -> None:
    """A key's name takes 64 characters: cut, two of one run would be the same."""
    for service in ("a", "b"):
        world.old(f"{service}.env")
    seen = world.look(*(world.target(f"{LONG}{each}", f"{each}.env") for each in ("a", "b")))
    world.keys_run(world.start(seen), seen, MOVED).carry_out()
    assert len(world.made) == 2
    alive = {(key.sid, key.secret) for key in world.made}
    assert {world.held("a.env"), world.held("b.env")} == alive


def test_a_name_that_is_cut_keeps_apart_what_begins_alike() -> None:
    names = {key_name(f"{LONG}{n}", "marketing_campaigns_" + str(n), "r" * 21) for n in range(50)}
    assert len(names) == 50
    assert max(map(len, names)) <= LONGEST_NAME


def test_a_later_place_of_the_chain_with_the_old_key_keeps_it_alive(world: World) -> None:
    old = world.old("a.env")
    world.put("b.env", old)
    target = world.target("app", "a.env")
    places = (*target.service.places, *world.target("app", "b.env").service.places)
    target = target._replace(service=target.service._replace(places=places))
    seen = world.look(target)
    assert code_of(world.keys_run(world.start(seen), seen)) == "ST626"
    assert old.sid in {key.sid for key in world.all_keys()}


@pytest.mark.parametrize("shown", [None, {"allow": ["/twilio/x"], "deny": ["/twilio/y"]}])
def test_a_restricted_key_never_gives_way_to_one_that_may_more(
    world: World, monkeypatch: pytest.MonkeyPatch, shown: object
) -> None:
    """Its policy does not come back, or not all of it."""
    allowed = ("/twilio/messaging/messages/create", "/twilio/messaging/messages/list")
    key = world.account.create_key("restricted", friendly_name="old", allow=allowed)
    world.put(".env", key)
    seen = world.look()
    monkeypatch.setattr(
        "safetwilio.testing.resources.iam_keys._show",
        lambda key: {"sid": key.sid, "friendly_name": key.friendly_name, "policy": shown},
    )
    error = caught(lambda: world.start(seen))
    assert isinstance(error, AccountOperationError)
    assert error.code == ("ST622" if shown is None else "ST612")


def test_a_key_of_another_account_replaces_no_token_of_that(world: World) -> None:
    """``/v1/AuthTokens`` acts on the account that asks, whatever SID stands beside the key."""
    sub = world.emulator.create_account(parent=world.account)
    world.put("admin.env", world.main, sub)
    identity = world.identity(None, sub.sid)
    error = caught(lambda: require_own(identity.client(sub.sid, Address())))
    assert isinstance(error, AccountOperationError)
    assert error.code == "ST629"
    require_own(identity.client(world.account.sid, Address()))
