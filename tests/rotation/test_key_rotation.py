"""A key is replaced in its real place against the emulator: in order, and once."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from key_world import RUN, World

from safetwilio.backends import chain
from safetwilio.backends.locate import parse
from safetwilio.errors import (
    ConfigurationError,
    SafeTwilioError,
    UsageError,
)
from safetwilio.rotation import places
from safetwilio.rotation.overlap import Overlap
from safetwilio.rotation.places import Target
from safetwilio.runbook.runs import resume, unfinished
from support import caught, codes, write

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from safetwilio.backends.interface import Absent, Found
    from safetwilio.backends.locate import Reference

POST = "POST */Keys.json"
ALLOWED = ("/twilio/messaging/messages/create", "/twilio/messaging/messages/list")


def refused(call: Callable[[], object]) -> SafeTwilioError:
    error = caught(call)
    assert isinstance(error, SafeTwilioError), error
    assert error.__cause__ is None
    return error


def test_the_order_of_things(world: World) -> None:
    """The new key is proven before and after it is kept, and before the old one goes."""
    old = world.old()
    seen = world.look()
    run = world.start(seen)
    looked = len(world.asked())
    assert {asked.what.split()[0] for asked in world.asked()} == {"GET"}
    assert world.keys_run(run, seen).carry_out() == ()
    (new,) = world.made
    assert world.held() == (new.sid, new.secret)
    assert new.friendly_name == f"safetwilio/app/{RUN}"
    assert new.kind == "standard"
    proof = ["GET Messages.json", f"GET /2010-04-01/Accounts/{world.account.sid}.json"]
    steps = [(asked.who, asked.what) for asked in world.asked()[looked:]]
    changes = [step for step in steps if not step[1].startswith("GET")]
    assert changes == [("main", "POST Keys.json"), ("main", f"DELETE Keys/{old.sid}.json")]
    made, gone = (steps.index(change) for change in changes)
    proven = [n for n, step in enumerate(steps) if step == (new.sid, proof[0])]
    assert [n for n in proven if made < n < gone] == proven
    assert len(proven) == 3  # alone, as read from its place, and before the old one is deleted
    assert steps[-1] == (old.sid, proof[0])  # which is seen to be refused
    assert unfinished(world.journals) == []
    assert world.clock.passed == 0


def test_what_is_done_twice_changes_nothing_more(world: World) -> None:
    world.old()
    seen = world.look()
    run = world.start(seen)
    for _ in range(2):
        world.keys_run(run, seen).carry_out()
    assert world.count("POST Keys.json") == 1


def test_without_a_word_about_the_users_the_old_key_lives(world: World) -> None:
    old = world.old()
    seen = world.look()
    run = world.start(seen)
    (waiting,) = world.keys_run(run, seen, Overlap()).carry_out(1000)
    assert waiting.target == "app"
    assert old in world.all_keys()
    run.close()
    assert world.keys_run(resume(run.path), world.look()).carry_out() == ()
    assert old not in world.all_keys()


def test_a_restricted_key_stays_one_with_its_policy(world: World) -> None:
    old = world.account.create_key("restricted", friendly_name="x", allow=ALLOWED)
    world.put(".env", old)
    seen = world.look()
    world.keys_run(world.start(seen), seen).carry_out()
    new = world.all_keys()[-1]
    assert (new.kind, new.allow) == ("restricted", frozenset(ALLOWED))
    assert world.held() == (new.sid, new.secret)
    assert old not in world.all_keys()


@pytest.mark.parametrize("kind", ["standard", "restricted"])
def test_the_policy_of_the_file_is_that_of_the_next_key(world: World, kind: str) -> None:
    allow = ALLOWED if kind == "restricted" else ()
    old = world.account.create_key(kind, friendly_name="x", allow=allow)  # type: ignore[arg-type]
    world.put(".env", old)
    seen = world.look(world.target(policy=ALLOWED[1:]))
    world.keys_run(world.start(seen), seen).carry_out()
    new = world.all_keys()[-1]
    assert (new.kind, new.allow) == ("restricted", frozenset(ALLOWED[1:]))


def test_a_main_key_is_made_in_the_console(world: World) -> None:
    world.put(".env", world.account.create_key("main"))
    seen = world.look()
    error = refused(lambda: world.start(seen))
    assert error.code == "ST622"
    assert "Console" in str(error)
    assert not world.journals.exists()


def test_a_key_that_is_dead_is_not_replaced(world: World) -> None:
    """What is not listed is not looked for any further; what is there works for nobody."""
    old = world.old()
    world.account.delete_key(old.sid)
    seen = world.look()
    error = refused(lambda: world.start(seen))
    assert (isinstance(error, ConfigurationError) and codes(error) == ["ST320"]) or (
        error.code == "ST622"
    )
    assert world.count("POST Keys.json") == 0


def test_a_place_without_a_key_has_nothing_to_rotate(world: World) -> None:
    write(world.directory / ".env", "OTHER=1\n")
    assert refused(world.look).code == "ST621"
    write(world.directory / ".env", f"TWILIO_API_KEY={world.main.sid}\n")
    assert refused(world.look).code == "ST621"


def test_what_changes_the_account_is_not_the_key_itself(world: World) -> None:
    world.put(".env", world.main)
    error = refused(world.look)
    assert error.code == "ST629"
    assert "is the key to be rotated itself" in str(error)


def test_what_changes_the_account_is_of_the_same_account(world: World) -> None:
    world.old()
    other = world.emulator.create_account(friendly_name="other")
    world.put("admin.env", other.create_key("main"), other)
    error = refused(world.look)
    assert error.code == "ST629"
    assert "belongs to another account" in str(error)


def test_a_standard_key_may_not_change_the_account(world: World) -> None:
    world.old()
    world.put("admin.env", world.emulator.standard_key)
    seen = world.look()
    assert refused(lambda: world.start(seen)).code == "ST610"


def test_a_key_that_another_service_has_is_not_deleted(world: World) -> None:
    old = world.old()
    world.put("other.env", old)
    seen = world.look()
    run = world.start(seen)
    other = world.target("other", "other.env")
    error = refused(lambda: world.keys_run(run, seen, known=lambda: [other]).carry_out())
    assert error.code == "ST626"
    assert old in world.all_keys()
    (new,) = world.made
    world.put("other.env", new)
    world.keys_run(run, seen, known=lambda: [other]).carry_out()
    assert old not in world.all_keys()
    assert world.made == [new]


def test_each_place_is_read_once_for_each_account_before_a_deletion(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many services name it, and however they write it."""
    key = world.old("one.env")
    one = world.target("one", "one.env")
    two = world.target("two", "two.env")
    (place,) = parse(f"dotenv:{world.directory}/./one.env", place="a test")
    again = Target(two.service._replace(places=(place, *two.service.places)), "eu")
    looked: list[tuple[str, str | None]] = []

    def load(references: Sequence[Reference], account: str | None) -> Found | Absent:
        looked.extend((Path(each.path).name, account) for each in references)
        return chain.load(references, account)

    monkeypatch.setattr(places, "load", load)
    assert places.keys_held([one, two, again, one]) == {key.sid}
    pairs = product(("one.env", "two.env"), (None, "eu"))
    assert sorted(looked, key=str) == sorted(pairs, key=str)


def test_two_services_that_share_a_key_get_one_each(world: World) -> None:
    old = world.old()
    world.put("other.env", old)
    seen = world.look(world.target(), world.target("other", "other.env"))
    world.keys_run(world.start(seen), seen).carry_out()
    one, other = world.made
    assert world.held() == (one.sid, one.secret)
    assert world.held("other.env") == (other.sid, other.secret)
    assert old not in world.all_keys()


def test_a_run_with_keys_that_nobody_looks_at_is_not_finished(world: World) -> None:
    old, other = world.old(), world.old("other.env")
    targets = world.target(), world.target("other", "other.env")
    run = world.start(world.look(*targets))
    world.keys_run(run, world.look(targets[0])).carry_out()
    assert old not in world.all_keys()
    assert other in world.all_keys()
    assert [path for path, _ in unfinished(world.journals)] == [run.path]
    world.keys_run(run, world.look(*targets)).carry_out()
    assert other not in world.all_keys()
    assert len(world.made) == 2
    assert unfinished(world.journals) == []


def test_another_rotation_meanwhile_keeps_its_key_and_ours(world: World) -> None:
    """Its users wait for ours as we wait for the old one's."""
    old = world.old()
    seen = world.look()
    run = world.start(seen)
    world.keys_run(run, seen, Overlap()).carry_out()
    (ours,) = world.made
    theirs = world.old()
    world.keys_run(run, seen).carry_out()
    assert old not in world.all_keys()
    assert {ours.sid, theirs.sid} <= {key.sid for key in world.all_keys()}
    assert world.held() == (theirs.sid, theirs.secret)
    error = refused(lambda: world.keys_run(run, seen).take_back())
    assert error.code == "ST627"
    assert ours in world.all_keys()


def test_what_is_not_in_its_place_is_taken_back(world: World) -> None:
    old = world.old()
    seen = world.look()
    run = world.start(seen)
    orphan = world.account.create_key("standard", friendly_name=f"safetwilio/app/{RUN}")
    alike = world.account.create_key("standard", friendly_name="safetwilio/app/another run")
    world.keys_run(run, seen).take_back()
    left = world.all_keys()
    assert orphan not in left
    assert {old.sid, alike.sid} <= {key.sid for key in left}
    assert unfinished(world.journals) == []


def test_what_is_in_its_place_is_not_taken_back(world: World) -> None:
    world.old()
    seen = world.look()
    run = world.start(seen)
    world.keys_run(run, seen, Overlap()).carry_out()
    assert refused(lambda: world.keys_run(run, seen).take_back()).code == "ST627"
    assert len(world.made) == 1
    assert unfinished(world.journals) != []


def test_a_backend_that_only_reads_is_said_before_anything_happens(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = world.old()
    for name, value in {"ACCOUNT_SID": world.account.sid, "API_KEY": key.sid}.items():
        monkeypatch.setenv(f"TWILIO_{name}", value)
    monkeypatch.setenv("TWILIO_API_SECRET", key.secret)
    from safetwilio.backends.locate import parse
    from safetwilio.rotation.places import Target
    from safetwilio.services import Service

    target = Target(Service("app", parse("env,dotenv:.env", place="x"), "app"), None)
    error = refused(lambda: world.look(target))
    assert isinstance(error, UsageError)
    assert error.code == "ST907"
    assert world.asked() == []
