"""What redaction costs: a text, a logged line, a Sentry event, bulk bytes; ours and others'."""

# ruff: noqa: INP001 - a script

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from statistics import median

from common.report import heading, is_quick, line, table

ROUNDS, QUICK_ROUNDS = 9, 3
SECONDS, QUICK_SECONDS = 1.0, 0.2  # for one figure in one process
PEERS = ("loggingredactor", "logprivacy", "hushlog", "maskerlogger")
CANDIDATES = {
    "text": ("safetwilio", "alternation"),
    "lines": ("bare", "safetwilio", "alternation", *PEERS),
    "sentry": ("bare", "safetwilio"),
    "bytes": ("safetwilio",),
}
CHILD = Path(__file__).parent / "common" / "lines.py"
Figures = dict[str, dict[str, list[float]]]


def main() -> None:
    """Measure and print."""
    quick = is_quick(__doc__)
    rounds = QUICK_ROUNDS if quick else ROUNDS
    seconds = QUICK_SECONDS if quick else SECONDS
    heading(f"Redaction: {rounds} interleaved rounds, medians of CPU, each in a new process")
    missing = [peer for peer in PEERS if find_spec(peer) is None]
    if missing:
        line(f"  not installed, so not measured: {', '.join(missing)} (group `leaks`)\n")
    rows: list[tuple[str, ...]] = []
    for what, ways in CANDIDATES.items():
        rows += compared(measure(what, [w for w in ways if w not in missing], rounds, seconds))
    table(("", "CPU", "ratio to safetwilio"), rows)
    line("\n  Ratios: the median of each round's own. `alternation` is one compiled expression for")
    line("  the same fragments of the same forms; `bare` is without any redaction.")
    line(
        "  Aims: a text 8x faster than the alternation; a line at most 1.30x of bare and 2x faster"
    )
    line("  than every peer; a Sentry event at most 1.02x of bare; at least 1 GB/s of clean bytes.")


def measure(what: str, ways: list[str], rounds: int, seconds: float) -> Figures:
    """Run each of *ways* once a round, turn about; return nanoseconds by figure and way."""
    found: Figures = {}
    for turn in range(rounds):
        for way in ways if turn % 2 else reversed(ways):
            command = [sys.executable, str(CHILD), what, way, str(seconds)]
            done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603
            for name, nanoseconds in json.loads(done.stdout).items():
                found.setdefault(name, {}).setdefault(way, []).append(nanoseconds)
    return found


def compared(figures: Figures) -> list[tuple[str, ...]]:
    """Return the rows of *figures*."""
    rows = []
    for name, ways in figures.items():
        for way, costs in ways.items():
            pairs = zip(costs, ways["safetwilio"], strict=True)
            ratio = "" if way == "safetwilio" else f"{median(a / b for a, b in pairs):.2f}"
            rows.append((f"{name}, {way}", shown(name, median(costs)), ratio))
    return sorted(rows)


def shown(name: str, nanoseconds: float) -> str:
    """Return *nanoseconds* in words, of bulk bytes how many a second."""
    if name == "16 MiB":
        return f"{16 * 2**20 / nanoseconds:.2f} GB/s"
    return f"{nanoseconds / 1000:.2f} µs"


if __name__ == "__main__":
    main()
