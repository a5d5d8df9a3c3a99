"""A fleet and one rotation: how often 10, 1,000 and 10,000 processes read the place of the key.

The processes are the library's own stores in simulated time (``scale_model/fleet.py``). The same is
first done with real threads for small fleets, and both figures are shown.
"""

# ruff: noqa: INP001 - a script

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from common.report import heading, is_quick, line, table
from scale_model.fleet import Fleet
from scale_model.scenarios import POLICY, SCENARIOS, Scenario
from scale_model.threads import Threads
from scale_model.vault import requests_of_a_load, speeds
from scale_model.world import Limits, Plan, Result

from safetwilio import refreshed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from safetwilio.refresh_policy import RefreshPolicy

FLEETS, QUICK_FLEETS = (10, 1_000, 10_000), (10, 1_000)
CHECKED, QUICK_CHECKED = (10, 100), (10,)
ROUNDS, QUICK_ROUNDS = 10, 5  # ages of the key after a deploy
SECONDS, QUICK_SECONDS = 5.0, 1.0
AGES = (300, 900, 3600)
_MEAN = 1 - refreshed._EARLY / 2  # noqa: SLF001 - of the age, from one look to the next

AWS = Limits("AWS Secrets Manager", quota=10_000, window=1.0)  # for an account in a region
GOOGLE = Limits("Google Secret Manager", quota=90_000, window=60.0)  # for a project
VAULT = Limits("a Vault of 500 reads/s", served=500)  # none is published: see the last table
QUOTAS = (AWS, GOOGLE)


class Done(NamedTuple):
    """A scenario and what came of it, with times since it happened."""

    scenario: Scenario
    processes: int
    result: Result

    def got(self, share: float) -> str:
        """Return when this share of the processes had the new key."""
        return _seconds(self.result.until_got(share) - self.scenario.at)

    def peak(self, window: float = 1.0) -> int:
        """Return the most reads in a window that reach the place."""
        return self.result.peak(window, since=self.scenario.counted)


def main() -> None:
    """Simulate, measure and print."""
    quick = is_quick(__doc__)
    heading("A fleet and one rotation, in simulated time")
    check(QUICK_CHECKED if quick else CHECKED)
    fleets = QUICK_FLEETS if quick else FLEETS
    done = {n: [_simulated(each, n) for each in SCENARIOS] for n in fleets}
    for each in done.values():
        reads(each)
    steadily(fleets, QUICK_ROUNDS if quick else ROUNDS)
    against(done[fleets[-1]])
    enforced(done[fleets[-1]])
    measured(QUICK_SECONDS if quick else SECONDS)


def check(fleets: Sequence[int]) -> None:
    """Show what the simulation and real threads come to."""
    line("The simulation (s) and real threads (t)\n")
    rows = []
    for processes in fleets:
        for scenario in SCENARIOS:
            plan = scenario.plan(processes)
            if plan.is_cold:
                continue  # nothing but one load each
            both = [Done(scenario, processes, each(plan).run()) for each in (Fleet, Threads)]
            cells = [f"{len(one.result.reads)}" for one in both]
            cells += [f"{one.result.peak()}" for one in both]
            cells += [one.got(share) for share in (0.5, 1) for one in both]
            cells += [f"{one.result.failed}" for one in both]
            rows.append((scenario.name, str(processes), *cells))
    head = ("", "N", "reads s", "t", "peak/s s", "t", "50 % s", "t", "all s", "t", "failed s", "t")
    table(head, rows)


def reads(done: Sequence[Done]) -> None:
    """Print what each scenario asks of a place without limits."""
    line(f"\n{done[0].processes:,} processes, a place without limits\n")
    rows = [
        (
            one.scenario.name,
            f"{len(one.result.reads)}",
            f"{one.result.peak()}",
            f"{one.peak()}",
            *(one.got(share) for share in (0.5, 0.99, 1)),
            f"{one.result.refused}",
            f"{one.result.failed}",
        )
        for one in done
    ]
    head = ("", "reads", "peak/s", "of it up", "50 %", "99 %", "all", "refused", "failed")
    table(head, rows)


def steadily(fleets: Sequence[int], rounds: int) -> None:
    """Print what is read day by day, and after a deploy, for some ages."""
    line("\nWithout a rotation: reads/s, and the peak in the ages after a deploy of all\n")
    rows = []
    for age in AGES:
        for processes in fleets:
            policy = POLICY._replace(age=float(age))
            steady = [
                _deployed(processes, policy, rounds=rounds, has_jitter=has_jitter)
                for has_jitter in (True, False)
            ]
            last = (rounds - _MEAN * 2) * age
            rate = steady[0].count(last) / (rounds * age - last)
            peaks = [f"{one.peak(since=since)}" for one in steady for since in (0.0, last)]
            month = rate * 86_400 * 30 / 1e6
            rows.append((f"{age} s", f"{processes}", f"{rate:.2f}", *peaks, f"{month:.1f}"))
    head = ("age", "N", "reads/s", "peak", "later", "no jitter", "later", "million a month")
    table(head, rows)


def _deployed(processes: int, policy: RefreshPolicy, *, rounds: int, has_jitter: bool) -> Result:
    plan = Plan(processes, rounds * policy.age, policy=policy, is_deploy=True)
    return Fleet(plan._replace(has_jitter=has_jitter)).run()


def against(done: Sequence[Done]) -> None:
    """Print how much of each quota is asked for, and by how many it would be."""
    line(f"\n{done[0].processes:,} processes: times the quota, and how many processes reach it\n")
    rows = []
    for one in done:
        cells = []
        for limits in QUOTAS:
            times = one.peak(limits.window) / limits.quota
            cells += [f"{times:.2f}", f"{one.processes / times:,.0f}"]
        rows.append((one.scenario.name, *cells))
    table(("", "AWS", "reached by", "Google", "reached by"), rows)


def enforced(done: Sequence[Done]) -> None:
    """Print what becomes of those that ask for more than there is."""
    line("\nWhere that is more than there is: the same with the limit in force\n")
    rows = []
    for one in done:
        if one.scenario.plan(1).rate > 1:
            continue  # so many requests would wait that it takes hours
        for limits in (*QUOTAS, VAULT):
            most = min(limits.quota, limits.served * limits.window)
            if one.peak(limits.window) < most:
                continue
            found = _simulated(one.scenario, one.processes, limits, longer=300)
            without = sum(each == math.inf for each in found.result.got)
            rows.append(
                (
                    one.scenario.name,
                    limits.name,
                    f"{len(found.result.reads)}",
                    f"{found.result.throttled}",
                    *(found.got(share) for share in (0.5, 0.99, 1)),
                    f"{found.result.failed}",
                    f"{without}",
                )
            )
    head = ("", "place", "reads", "throttled", "50 %", "99 %", "all", "failed", "without")
    table(head, rows)


def measured(seconds: float) -> None:
    """Print what one OpenBao does here."""
    line("\nOne OpenBao in development mode on this machine, loads by the library (kv=2)\n")
    rows = [
        (f"{one.threads} threads", f"{one.loads:.0f}", f"{1000 * one.server:.1f} ms")
        for one in speeds(seconds)
    ]
    table(("", "loads/s", "CPU of the server each"), rows)
    for kind in ("", "?kv=2"):
        first, later = requests_of_a_load(kind)
        line(f"  requests of a load {kind or 'without kv='}: {first} at first, {later} later")


def _simulated(
    scenario: Scenario, processes: int, limits: Limits | None = None, longer: float = 0.0
) -> Done:
    plan = scenario.plan(processes)
    if limits:
        until = plan.until + longer
        plan = plan._replace(limits=limits, until=until, ends_with_all=True)
    return Done(scenario, processes, Fleet(plan).run())


def _seconds(seconds: float) -> str:
    return "never" if seconds == math.inf else f"{seconds:.1f}"


if __name__ == "__main__":
    main()
