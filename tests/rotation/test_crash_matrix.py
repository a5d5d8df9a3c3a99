"""Killed anywhere, a rotation ends with one new key in its place: a fixed part of the crash matrix.

Each third point of one rotation is here, and a few of each of the others. The whole takes an hour
or more: ``python tests/rotation/crash_matrix.py``.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from crash_keys import SCENARIOS
from crash_matrix import Machine, Trouble, choices_of, machine
from crash_scenarios import Scenario, World

from safetwilio.runbook.journal import begin

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")

ALL = {each.name: each for each in SCENARIOS if not each.needs}
FIRST = ALL.pop("restricted key")  # it asks least of Twilio, so that there is time for many points
THIRD = 3
EACH = 131  # of all troubles of all other rotations, every so many
SWITCHES = ({"new_key_seconds": 5}, {"deleted_key_seconds": 5})


@pytest.fixture(scope="module")
def forks() -> Iterator[Machine]:
    with machine() as started:
        yield started


def test_killed_at_any_point_it_is_finished_by_the_same_command(forks: Machine) -> None:
    whole = forks.attempt(FIRST, {}, Trouble())
    killed = [each for each in whole.seen.troubles(FIRST.name) if each.stop]
    wrong = {}
    for trouble in killed[::THIRD]:
        complaints = forks.attempt(FIRST, {}, trouble).complaints
        if complaints:
            wrong[trouble.about] = complaints

    assert not whole.complaints
    assert not wrong


@pytest.mark.parametrize("scenario", ALL.values(), ids=lambda each: each.name.replace(" ", "-"))
def test_some_points_of_every_other_rotation(forks: Machine, scenario: Scenario) -> None:
    whole = forks.attempt(scenario, {}, Trouble())
    first = sum(map(ord, scenario.name)) % EACH  # not the same ones in each
    wrong = {}
    for trouble in [*whole.seen.troubles(scenario.name)][first::EACH]:
        complaints = forks.attempt(scenario, {}, trouble).complaints
        if complaints:
            wrong[trouble.about] = complaints

    assert not whole.complaints
    assert not wrong


@pytest.mark.parametrize("choices", SWITCHES, ids=str)
def test_some_points_under_a_switch_that_shows(forks: Machine, choices: dict[str, int]) -> None:
    whole = forks.attempt(FIRST, choices, Trouble())
    wrong = {}
    for trouble in [*whole.seen.troubles(FIRST.name)][::EACH]:
        complaints = forks.attempt(FIRST, choices, trouble).complaints
        if complaints:
            wrong[trouble.about] = complaints

    assert choices in choices_of(whole.asked)
    assert not whole.complaints
    assert not wrong


def test_the_points_are_all_there(forks: Machine) -> None:
    """A library that sends in another way, or a journal that writes so, must not go unnoticed."""
    (points,) = forks.attempt(FIRST, {}, Trouble()).seen.points
    names = " ".join(points)

    for event in ("run", "began", "creating", "created", "keeping", "kept", "done", "finished"):
        assert f"journal {event}" in names
    for state in ("not sent", "done, answer not read", "answered"):
        assert f"POST /v1/Keys: {state}" in points
        assert f"DELETE /2010-04-01/Accounts/AC…/Keys/SK….json: {state}" in points
    assert ".env: not replaced" in points
    assert ".env: replaced" in points


def test_nothing_rotated_is_complained_about(tmp_path: Path) -> None:
    world = World(tmp_path, {})
    expected = FIRST.prepare(world)
    world.begin()

    assert [*expected.between()] == []
    assert [*expected.after()] == [
        "place 0 holds no new key",
        "the old key of place 0 is there still",
        "the old key of place 0 works still",
    ]


def test_an_orphan_a_lost_secret_and_a_leak_are_complained_about(tmp_path: Path) -> None:
    world = World(tmp_path, {})
    expected = FIRST.prepare(world)
    world.begin()
    orphan = world.emulator.account.create_key("standard", friendly_name="safetwilio/app/x")
    world.write(".env", account_sid=orphan.account_sid, api_key=orphan.sid, api_secret="lost")
    world.output.write_text(f"the secret is {orphan.secret}", encoding="utf-8")
    begin(world.state / "x.jsonl", "run").close()
    world.emulator.account.create_key("standard", friendly_name="another")

    assert [*expected.between()] == ["place 0 holds a pair that Twilio refuses"]
    assert "there is a key that nobody holds" in [*expected.after()]
    assert [*world.leaks()] == ["a secret stands in output"]
    assert [*world.journals()] == ["a journal ends with run"]
