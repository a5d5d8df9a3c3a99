"""What it costs to see at each request that the key is not old, in ``time.monotonic()`` calls."""

# ruff: noqa: INP001 - a script

from __future__ import annotations

import time
import timeit
from statistics import median

from common.report import heading, is_quick, line, table

from safetwilio.credentials import ApiKey
from safetwilio.refresh_policy import RefreshPolicy
from safetwilio.store import CredentialStore

ROUNDS, QUICK_ROUNDS = 101, 5
CALLS = 100_000
AIM = 4.0


def main() -> None:
    """Measure and print."""
    rounds = QUICK_ROUNDS if is_quick(__doc__) else ROUNDS
    heading(f"Is the key old? {rounds} interleaved rounds of {CALLS} calls, medians")
    key = ApiKey("AC" + "0" * 32, "SK" + "0" * 32, "not a secret", source="the bench")
    store = CredentialStore(key, lambda: key, policy=RefreshPolicy())
    calls = {"time.monotonic()": time.monotonic, "store.fresh()": store.fresh}
    took: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            took[name].append(timeit.timeit(call, number=CALLS) / CALLS)
    ratios = [ours / theirs for theirs, ours in zip(*took.values(), strict=True)]
    rows = [(name, f"{median(each) * 1e9:.0f} ns") for name, each in took.items()]
    table(("call", "median"), rows)
    line(f"\n  {median(ratios):.2f} of time.monotonic() (aim: {AIM:.0f} at most)")


if __name__ == "__main__":
    main()
