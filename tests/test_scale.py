"""The simulation behind docs/scale.md comes to what real threads come to, for small fleets."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

BENCH = str(Path(__file__).parents[1] / "bench")
sys.path.append(BENCH)

world: Any = import_module("scale_model.world")
Fleet: Any = import_module("scale_model.fleet").Fleet
Threads: Any = import_module("scale_model.threads").Threads
scenarios: Any = import_module("scale_model.scenarios")

PROCESSES, AGE, AT = 12, 40.0, 2.0
SHORT = world.Plan(1, 1.0).policy._replace(age=AGE)
DELETED = {"deleted": AT, "put": AT}


def both(until: float, **changes: Any) -> tuple[Any, Any]:
    plan = world.Plan(PROCESSES, until, **changes)
    return Fleet(plan).run(), Threads(plan).run()


def test_a_both_keys_live() -> None:
    for result in both(1.5 * AGE, policy=SHORT, is_deploy=True, put=1.0):
        assert len(result.reads) == PROCESSES
        assert min(result.reads) >= 0.8 * AGE
        assert 0.85 * AGE < result.until_got(0.5) < 1.05 * AGE
        assert result.until_got(1) < 1.3 * AGE
        assert (result.refused, result.throttled) == (0, 0)


def test_a_without_jitter_nobody_looks_before_the_age() -> None:
    jitter, none = (
        both(1.5 * AGE, policy=SHORT, is_deploy=True, has_jitter=it) for it in (True, False)
    )
    for with_jitter, without in zip(jitter, none, strict=True):
        assert min(without.reads) >= AGE
        assert without.peak() > 2 * with_jitter.peak()


@pytest.mark.parametrize("rate", [0.5, 5.0])
def test_b_the_old_key_deleted(rate: float) -> None:
    for result in both(AT + 16 / rate, rate=rate, **DELETED):
        assert result.failed == 0
        assert result.refused >= PROCESSES
        assert len(result.reads) <= PROCESSES + 2  # a look by age may be among them
        assert result.until_got(1) < AT + 16 / rate


def test_b_the_new_key_late() -> None:
    simulated, real = both(AT + 12, deleted=AT, put=AT + 7)
    assert len(simulated.reads) == pytest.approx(len(real.reads), rel=0.15)
    assert simulated.peak() == pytest.approx(real.peak(), rel=0.25)
    assert simulated.peak() <= 2 * PROCESSES + 2
    assert simulated.until_got(1) == pytest.approx(real.until_got(1), abs=4)


def test_b_so_many_requests_fail_until_then() -> None:
    late = [both(AT + 12, deleted=AT, put=AT + 7, seed=seed) for seed in range(8)]
    simulated, real = (sum(each.failed for each in kind) for kind in zip(*late, strict=True))
    assert simulated == pytest.approx(real, rel=0.15)


@pytest.mark.parametrize("answers_503", [False, True])
def test_d_the_place_down(*, answers_503: bool) -> None:
    simulated, real = both(AT + 16, down=(AT, AT + 8), answers_503=answers_503, **DELETED)
    assert len(simulated.reads) == pytest.approx(len(real.reads), rel=0.15)
    assert simulated.count(AT + 8) == pytest.approx(real.count(AT + 8), rel=0.7)
    assert simulated.failed == pytest.approx(real.failed, rel=0.3)
    for result in (simulated, real):
        assert result.until_got(0.01) >= AT + 8
        assert result.until_got(1) < AT + 16


def test_d_the_place_down_while_both_keys_live() -> None:
    down = (0.8 * AGE, 0.8 * AGE + 15)
    simulated, real = both(2.5 * AGE, policy=SHORT, down=down, is_deploy=True)
    assert len(simulated.reads) == pytest.approx(len(real.reads), rel=0.2)
    for result in (simulated, real):
        assert result.refused == 0
        assert down[1] <= result.until_got(0.01) <= result.until_got(1) < 2.2 * AGE


def test_c_more_than_the_quota() -> None:
    limits = world.Limits("few", quota=3)
    simulated, real = both(AT + 30, pushed=AT, put=AT, limits=limits)
    assert simulated.throttled == pytest.approx(real.throttled, rel=0.35)
    assert simulated.throttled > PROCESSES
    assert simulated.until_got(0.5) == pytest.approx(real.until_got(0.5), abs=4)


def test_the_library_lives_by_its_own_clock_again() -> None:
    refreshed = import_module("safetwilio.refreshed")
    before = (refreshed._wall, refreshed._EARLY)
    Fleet(world.Plan(2, 1.0, has_jitter=False)).run()
    assert (refreshed._wall, refreshed._EARLY) == before


def test_every_scenario_gives_all_the_new_key() -> None:
    for scenario in scenarios.SCENARIOS:
        result = Fleet(scenario.plan(5)).run()
        assert result.until_got(1) < scenario.plan(5).until, scenario.name
