"""Killed anywhere, an Auth Token's rotation is finished: a fixed part of the crash matrix."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from crash_matrix import Machine, Trouble, machine
from crash_scenarios import Scenario, World
from crash_tokens import SCENARIOS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")

ALL = [each for each in SCENARIOS if not each.needs]
VARIES = "the point where it was to be killed was not there"  # how often it asks again
EACH = 211  # of all troubles of a rotation, every so many
CASES: list[tuple[Scenario, dict[str, int]]] = [
    *((each, {}) for each in ALL),
    (ALL[0], {"changed_token_seconds": 60}),
    (ALL[0], {"no_secondary_status": 400}),
]


@pytest.fixture(scope="module")
def forks() -> Iterator[Machine]:
    with machine() as started:
        yield started


@pytest.mark.parametrize(("scenario", "choices"), CASES)
def test_some_points_of_every_rotation(
    forks: Machine, scenario: Scenario, choices: dict[str, int]
) -> None:
    whole = forks.attempt(scenario, choices, Trouble())
    first = sum(map(ord, f"{scenario.name}{choices}")) % EACH  # not the same ones in each
    wrong = {}
    for trouble in [*whole.seen.troubles(scenario.name)][first::EACH]:
        found = forks.attempt(scenario, choices, trouble).complaints
        complaints = [each for each in found if each != VARIES]
        if [each for each in complaints if not each.startswith("what was printed")]:
            wrong[trouble.about] = complaints

    assert not whole.complaints
    assert not wrong


def test_nothing_rotated_is_complained_about(tmp_path: Path) -> None:
    world = World(tmp_path, {})
    expected = ALL[0].prepare(world)
    world.begin()

    assert [*expected.between()] == []
    sid = world.emulator.account.sid
    assert [*expected.after()] == [f"the token of {sid} was not replaced"]


def test_a_token_that_nobody_holds_is_complained_about(tmp_path: Path) -> None:
    """The places hold neither the primary token nor the secondary one."""
    world = World(tmp_path, {})
    expected = ALL[0].prepare(world)
    world.begin()
    account = world.emulator.account
    account.auth_token = "0123456789abcdef" * 2
    account.secondary_auth_token = "fedcba9876543210" * 2

    assert [*expected.between()] == ["place 0 holds no token that Twilio accepts"]
    assert f"{account.sid} has 2 tokens, not 1" in [*expected.after()]
