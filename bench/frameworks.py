"""What a start of a web application costs with safetwilio, against the same written by hand."""

# ruff: noqa: INP001 - a script

from __future__ import annotations

import secrets
import shutil
import tempfile
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from common.children import Cost, Starter
from common.report import heading, is_quick, line, table
from start import random_credentials

if TYPE_CHECKING:
    from collections.abc import Iterator

FRAMEWORKS = ("Django", "FastAPI", "Flask")
ROUNDS, QUICK_ROUNDS = 21, 3
HERE = Path(__file__).parent


def main() -> None:
    """Measure and print."""
    rounds = QUICK_ROUNDS if is_quick(__doc__) else ROUNDS
    heading(f"Frameworks: {rounds} interleaved starts of each, medians, each in a new process")
    line(f"  frameworks  {', '.join(f'{name} {version(name)}' for name in FRAMEWORKS)}\n")
    names = {**random_credentials(), "TWILIO_WEBHOOK_AUTH_TOKEN": secrets.token_hex(16)}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for programs in ("written_by_hand", "with_safetwilio"):
            shutil.copytree(HERE / programs, folder, dirs_exist_ok=True)
        starter = Starter(folder, names)
        rows = [row for name in FRAMEWORKS for row in measured(starter, name, rounds)]
    head = ("", "CPU ms", "wall ms", "peak MiB", "CPU ratio", "wall ratio")
    table(head, rows)
    line("\n  The application has one webhook and a client; it starts up to its first request.")
    line("  Ratios: the median of each round's own. Aim: as `start`, a CPU ratio of at most 1.10.")


def measured(starter: Starter, framework: str, rounds: int) -> Iterator[list[str]]:
    """Yield the rows of *framework*: by hand, and with safetwilio."""
    programs = [f"import {way}_{framework.lower()}" for way in ("by_hand", "ours")]
    costs: dict[str, list[Cost]] = {program: [] for program in programs}
    for program in programs:  # writes bytecode
        starter.start(program)
    for turn in range(rounds):
        for program in programs if turn % 2 else reversed(programs):
            costs[program].append(starter.start(program))
    his, mine = costs.values()
    pairs = list(zip(mine, his, strict=True))
    ratios = [
        f"{median(ours.cpu / other.cpu for ours, other in pairs):.3f}",
        f"{median(ours.wall / other.wall for ours, other in pairs):.3f}",
    ]
    yield [f"{framework}, by hand", *figures(his), "", ""]
    yield [f"{framework}, safetwilio", *figures(mine), *ratios]


def figures(costs: list[Cost]) -> list[str]:
    """Return CPU, wall and peak of *costs*."""
    columns = zip(*costs, strict=True)
    return [f"{median(column):.0f}" for column in columns]


if __name__ == "__main__":
    main()
