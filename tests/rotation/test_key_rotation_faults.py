"""A key is replaced while answers are lost, others write, and Twilio is slow to know."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from key_world import RUN, World, WorldClock

from safetwilio.errors import (
    AccountOperationError,
    BackendError,
    ConfigurationError,
    SafeTwilioError,
)
from safetwilio.rotation import keys
from safetwilio.rotation.places import Place
from safetwilio.runbook.runs import unfinished
from safetwilio.testing.faults import drop, nothing, status
from support import caught, codes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pydantic import SecretStr

POST = "POST */Keys.json"
ALLOWED = ("/twilio/messaging/messages/create", "/twilio/messaging/messages/list")


def refused(call: Callable[[], object]) -> SafeTwilioError:
    error = caught(call)
    assert isinstance(error, SafeTwilioError), error
    assert error.__cause__ is None
    return error


def test_an_answer_that_is_lost_leaves_no_orphan(world: World) -> None:
    """The key was made, but nobody has its secret: it is deleted, and another one made, once."""
    world.old()
    seen = world.look()
    run = world.start(seen)
    world.emulator.faults.add(drop(applied=True), match=POST)
    world.keys_run(run, seen).carry_out()
    assert world.count("POST Keys.json") == 2
    (new,) = world.made
    assert world.held() == (new.sid, new.secret)


def test_a_request_that_was_lost_on_the_way_is_made_again(world: World) -> None:
    world.old()
    seen = world.look()
    run = world.start(seen)
    world.emulator.faults.add(drop(applied=False), match=POST)
    world.keys_run(run, seen).carry_out()
    assert len(world.made) == 1


@pytest.mark.parametrize("fault", [drop(applied=True), status(500, applied=True)])
def test_answers_that_are_always_lost_change_nothing(world: World, fault: Any) -> None:
    old = world.old()
    seen = world.look()
    run = world.start(seen)
    world.emulator.faults.add(fault, match=POST, times=10)
    error = refused(lambda: world.keys_run(run, seen).carry_out())
    assert error.code == "ST622"
    assert "lost 3 times" in str(error)
    assert world.made == []
    assert world.held() == (old.sid, old.secret)


def test_a_refused_creation_is_not_tried_again(world: World) -> None:
    world.old()
    seen = world.look()
    run = world.start(seen)
    world.emulator.faults.add(status(403), match=POST)
    assert refused(lambda: world.keys_run(run, seen).carry_out()).code == "ST612"
    assert world.count("POST Keys.json") == 1


class Meddler:
    """Lets *do* happen just before the place of a key is written."""

    def __init__(self, patch: pytest.MonkeyPatch, do: Callable[[], object]) -> None:
        """Watch for it."""
        original = Place.keep

        def keep(place: Place, fields: Mapping[str, SecretStr], replaces: str | None) -> str:
            do()
            return original(place, fields, replaces)

        patch.setattr(Place, "keep", keep)


def test_what_somebody_else_puts_there_meanwhile_stays(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.old()
    theirs = world.account.create_key("standard", friendly_name="theirs")
    Meddler(monkeypatch, lambda: world.put(".env", theirs))
    seen = world.look()
    error = refused(lambda: world.keys_run(world.start(seen), seen).carry_out())
    assert isinstance(error, BackendError)
    assert codes(error) == ["ST338"]
    assert world.held() == (theirs.sid, theirs.secret)
    assert [key.friendly_name for key in world.made] == ["theirs"]  # ours is deleted
    assert any("deleted again" in said for said in world.said)


def test_another_line_of_the_file_is_somebody_elses_change_too(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = world.old()
    path = world.directory / ".env"
    Meddler(monkeypatch, lambda: path.write_text(path.read_text() + "MORE=1\n"))
    seen = world.look()
    error = refused(lambda: world.keys_run(world.start(seen), seen).carry_out())
    assert isinstance(error, BackendError)
    assert codes(error) == ["ST338"]
    assert "MORE=1" in path.read_text()
    assert world.held() == (old.sid, old.secret)
    assert world.made == []
    assert unfinished(world.journals) == []  # nothing of it is left


def test_what_somebody_else_put_there_before_we_began_is_not_replaced(world: World) -> None:
    world.old()
    seen = world.look()
    run = world.start(seen)
    theirs = world.old()  # another one, after the look
    assert refused(lambda: world.keys_run(run, seen).carry_out()).code == "ST623"
    assert world.held() == (theirs.sid, theirs.secret)
    assert world.made == []


def test_a_place_that_cannot_be_written_any_more(world: World, monkeypatch: Any) -> None:
    old = world.old()
    path = world.directory / ".env"

    def deny() -> None:
        path.unlink()
        path.mkdir()

    Meddler(monkeypatch, deny)
    seen = world.look()
    run = world.start(seen)
    error = refused(lambda: world.keys_run(run, seen).carry_out())
    assert error.code == "ST625"  # nobody can read whether it is there
    assert old in world.all_keys()
    assert len(world.made) == 1  # so it is not deleted either
    path.rmdir()
    world.put(".env", old)


@pytest.mark.parametrize("server", [{"new_key_seconds": 5}], indirect=True)
def test_a_key_that_twilio_knows_only_after_a_while(world: World) -> None:
    world.old()
    world.emulator.advance(5)
    seen = world.look()
    world.keys_run(world.start(seen), seen).carry_out()
    (new,) = world.made
    assert world.held() == (new.sid, new.secret)
    assert 4 <= world.clock.passed <= 6


@pytest.mark.parametrize("server", [{"new_key_seconds": 5}], indirect=True)
def test_a_key_that_twilio_never_knows_is_deleted(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = world.old()
    world.emulator.advance(5)
    world.clock = WorldClock(None)  # the emulator's stands still, but for the time this takes
    monkeypatch.setattr(keys, "KNOWN_WITHIN", 10.0)
    seen = world.look()
    before = (world.directory / ".env").read_bytes()
    error = refused(lambda: world.keys_run(world.start(seen), seen).carry_out())
    assert error.code == "ST624"
    assert world.clock.passed == 10
    assert world.made == []
    assert (world.directory / ".env").read_bytes() == before
    assert old in world.all_keys()


@pytest.mark.parametrize("server", [{"deleted_key_seconds": 5}], indirect=True)
def test_the_old_key_is_gone_only_when_twilio_refuses_it(world: World) -> None:
    world.old()
    seen = world.look()
    world.keys_run(world.start(seen), seen).carry_out()
    assert 4 <= world.clock.passed <= 6


@pytest.mark.parametrize("server", [{"deleted_key_seconds": 5}], indirect=True)
def test_an_old_key_that_works_on_for_ever_is_said(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.old()
    world.clock = WorldClock(None)
    monkeypatch.setattr(keys, "KNOWN_WITHIN", 10.0)
    seen = world.look()
    run = world.start(seen)
    error = refused(lambda: world.keys_run(run, seen).carry_out())
    assert error.code == "ST628"
    assert run.noted("failed")[0].facts["code"] == "ST628"


def test_an_orphan_of_a_killed_process_is_deleted_before_another_is_made(world: World) -> None:
    world.old()
    seen = world.look()
    run = world.start(seen)
    world.account.create_key("standard", friendly_name=f"safetwilio/app/{RUN}")
    world.keys_run(run, seen).carry_out()
    (new,) = world.made
    assert world.held() == (new.sid, new.secret)


@pytest.mark.parametrize(
    ("is_undone", "set_back", "waited"), [(True, 0, 0), (False, 0, 120), (False, 86400, 120)]
)
def test_only_a_write_that_may_be_on_its_way_is_waited_for(
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    *,
    is_undone: bool,
    set_back: float,
    waited: float,
) -> None:
    """A refusal that was certain is not, and a clock that was *set_back* lets nobody wait a day."""
    world.old()
    seen = world.look()
    run = world.start(seen)
    for event in ("keeping", "undone")[: 1 + is_undone]:
        run.note(event, target=str(seen[0].target), sid="of an earlier process")
    monkeypatch.setattr(keys, "_seconds_since", lambda _: -set_back)
    world.keys_run(run, seen).carry_out()
    assert world.clock.passed == waited


def test_a_network_that_fails_in_between_is_gone_on_with(world: World) -> None:
    """Wherever it fails, the next try ends with one key, and the old one works until then."""
    for passing in range(12):
        name = f"{passing}.env"
        old = world.old(name)
        seen = world.look(world.target(name=name))
        run = world.start(seen, run=f"{RUN[:-4]}{passing:04}")
        before = {key.sid for key in world.all_keys()}
        if passing:
            world.emulator.faults.add(nothing(), times=passing)
        world.emulator.faults.add(drop(applied=True), times=3)
        error = caught(lambda seen=seen, run=run: world.keys_run(run, seen).carry_out())  # type: ignore[misc]
        world.emulator.faults.clear()
        assert error is None or isinstance(error, (AccountOperationError, ConfigurationError))
        held = world.held(name)
        assert held[0] in {key.sid for key in world.all_keys()}, passing
        world.keys_run(run, seen).carry_out()
        after = {key.sid for key in world.all_keys()}
        assert len(after) == len(before), passing
        assert old.sid not in after
        assert (world.held(name)[0],) == tuple(after - before)
