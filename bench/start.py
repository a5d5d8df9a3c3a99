"""What a start costs: ``from safetwilio import client`` against the same written by hand."""

# ruff: noqa: INP001 - a script

from __future__ import annotations

import os
import shutil
import string
import tempfile
from pathlib import Path
from random import SystemRandom
from statistics import median
from typing import TYPE_CHECKING

from common.children import Cost, Starter
from common.report import heading, is_quick, line, table

if TYPE_CHECKING:
    from collections.abc import Sequence

BARE = "pass"
PACKAGE = "import safetwilio"
OURS = "from safetwilio import client"
BY_HAND = "from notifications import client"
PAIRS, QUICK_PAIRS = 41, 5
HERE = Path(__file__).parent


def main() -> None:
    """Measure and print."""
    quick = is_quick(__doc__)
    pairs = QUICK_PAIRS if quick else PAIRS
    heading(f"Start: {pairs} interleaved rounds, medians, each in a new process")
    names = random_credentials()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        shutil.copy(HERE / "written_by_hand" / "notifications.py", folder)
        in_environment = measure(Starter(folder, names), pairs)
        (folder / ".env").write_text("".join(f"{k}={v}\n" for k, v in names.items()))
        (folder / ".env").chmod(0o600)
        in_file = measure(Starter(folder, {}), pairs)
    rows = [
        ("bare Python", *row(in_environment[BARE], in_environment)),
        (PACKAGE, *row(in_environment[PACKAGE], in_environment)),
        ("by hand, environment", *row(in_environment[BY_HAND], in_environment)),
        (f"{OURS}, environment", *row(in_environment[OURS], in_environment)),
        ("by hand, .env", *row(in_file[BY_HAND], in_file)),
        (f"{OURS}, .env", *row(in_file[OURS], in_file)),
    ]
    head = ("", "CPU ms", "wall ms", "CPU over bare", "CPU ratio", "wall ratio", "over-bare ratio")
    table(head, rows)
    line('\n  Ratios are to "by hand" with the same source: the median of each round\'s own ratio.')
    line("  Aims: CPU ratio of safetwilio at most 1.10; import safetwilio at most 5 ms over bare.")


def measure(starter: Starter, rounds: int) -> dict[str, list[Cost]]:
    """Run each candidate once a round, turn about, after one round that writes bytecode."""
    candidates = [BARE, PACKAGE, BY_HAND, OURS]
    costs: dict[str, list[Cost]] = {code: [] for code in candidates}
    for code in candidates:
        starter.start(code)
    for turn in range(rounds):
        for code in candidates if turn % 2 else reversed(candidates):
            costs[code].append(starter.start(code))
    return costs


def row(costs: Sequence[Cost], beside: dict[str, list[Cost]]) -> list[str]:
    """Return the figures of one candidate, *beside* those of the others in the same rounds."""
    bare, by_hand = beside[BARE], beside[BY_HAND]
    over_bare = [mine.cpu - base.cpu for mine, base in zip(costs, bare, strict=True)]
    by_hand_over_bare = [his.cpu - base.cpu for his, base in zip(by_hand, bare, strict=True)]
    figures = [f"{median(c.cpu for c in costs):.1f}", f"{median(c.wall for c in costs):.1f}"]
    figures += ["" if costs is bare else f"{median(over_bare):.1f}"]
    if costs is not beside[OURS]:
        return [*figures, "", "", ""]
    pairs = list(zip(costs, by_hand, strict=True))
    return [
        *figures,
        f"{median(mine.cpu / his.cpu for mine, his in pairs):.3f}",
        f"{median(mine.wall / his.wall for mine, his in pairs):.3f}",
        f"{median(over_bare) / median(by_hand_over_bare):.3f}",
    ]


def random_credentials() -> dict[str, str]:
    """Return credentials of the right form that open nothing; nothing is sent with them."""
    letters = SystemRandom().choices(string.ascii_letters + string.digits, k=29)
    return {
        "TWILIO_ACCOUNT_SID": f"AC{os.urandom(16).hex()}",
        "TWILIO_API_KEY": f"SK{os.urandom(16).hex()}",
        "TWILIO_API_SECRET": "".join(["zQ7", *letters]),
    }


if __name__ == "__main__":
    main()
