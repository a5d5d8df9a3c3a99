"""What a boot from a secret store costs, against the same SDK by hand and pydantic-settings'."""

# ruff: noqa: INP001 - a script

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import NamedTuple

from common.children import Cost, Starter
from common.report import heading, is_quick, line, table
from common.stores import Stores, stores

OURS = "from safetwilio import client"
ROUNDS, QUICK_ROUNDS = 21, 3
HERE = Path(__file__).parent
SDKS = ("boto3", "hvac", "google-cloud-secret-manager", "cryptography")


class Other(NamedTuple):
    """A program to compare with: what people call it, its module, and more environment."""

    name: str
    module: str
    more: tuple[tuple[str, str], ...] = ()

    @property
    def code(self) -> str:
        """What a child runs."""
        return f"from {self.module} import client"


COMPARED = {
    "aws": (Other("boto3", "with_aws"), Other("pydantic-settings' source", "with_aws_source")),
    "vault, token": (Other("hvac", "with_vault"),),
    "vault, token, kv=2": (Other("hvac", "with_vault"),),
    "vault, AppRole": (Other("hvac", "with_vault"),),
    "google": (
        Other("its library, REST", "with_google"),
        Other("pydantic-settings' source", "with_google_source"),
        Other(
            "pydantic-settings' source, REST", "with_google_source", (("APP_TRANSPORT", "rest"),)
        ),
    ),
    "doppler": (Other("requests", "with_doppler"),),
    "dotenv-vault": (Other("cryptography", "with_dotenv_vault"),),
}


def main() -> None:
    """Measure and print."""
    rounds = QUICK_ROUNDS if is_quick(__doc__) else ROUNDS
    heading(f"Boot per backend: {rounds} interleaved rounds, medians, each in a new process")
    line(f"  SDKs      {', '.join(f'{name} {version(name)}' for name in SDKS)}\n")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for path in (HERE / "written_by_hand").glob("*.py"):
            shutil.copy(path, folder)
        with stores(folder) as running:
            rows = [
                row
                for name, others in COMPARED.items()
                for row in measure(name, others, folder, running.environments[name], rounds)
            ]
            requests = [
                row
                for name, others in COMPARED.items()
                if name != "dotenv-vault"  # a file
                for row in count(name, others, folder, running)
            ]
    table(("", "CPU ms", "wall ms", "peak MiB", "CPU ratio", "wall ratio", "MiB more"), rows)
    line("\n  Ratios are safetwilio's to that line's: the median of each round's own ratio.")
    line("  Aims: at most 1.10 of the SDK by hand, and below 1.00 of pydantic-settings' source.\n")
    table(("", "asked per boot"), requests)


def measure(
    name: str, others: tuple[Other, ...], folder: Path, environment: dict[str, str], rounds: int
) -> list[list[str]]:
    """Return the rows of the store *name*: all run once a round, turn about."""
    starters = [(OURS, Starter(folder, alone(folder, environment)))]
    starters += [
        (other.code, Starter(folder, alone(folder, {**environment, **dict(other.more)})))
        for other in others
    ]
    costs: list[list[Cost]] = [[] for _ in starters]
    for code, starter in reversed(starters):  # writes bytecode
        starter.start(code)
    order = list(enumerate(starters))
    for turn in range(rounds):
        for at, (code, starter) in order if turn % 2 else reversed(order):
            costs[at].append(starter.start(code))
    ours, *theirs = costs
    rows = [[f"{name}: safetwilio", *figures(ours), "", "", ""]]
    for other, their in zip(others, theirs, strict=True):
        pairs = list(zip(ours, their, strict=True))
        ratios = [
            f"{median(our.cpu / its.cpu for our, its in pairs):.3f}",
            f"{median(our.wall / its.wall for our, its in pairs):.3f}",
            f"{median(our.peak - its.peak for our, its in pairs):+.1f}",
        ]
        rows.append([f"{name}: {other.name}", *figures(their), *ratios])
    return rows


def figures(costs: list[Cost]) -> list[str]:
    """Return the medians of one program."""
    return [
        f"{median(cost.cpu for cost in costs):.0f}",
        f"{median(cost.wall for cost in costs):.0f}",
        f"{median(cost.peak for cost in costs):.0f}",
    ]


def count(
    name: str, others: tuple[Other, ...], folder: Path, running: Stores
) -> list[tuple[str, str]]:
    """Return what the store saw of one start of each."""
    environment = running.environments.get(f"{name}, counted", running.environments[name])
    rows = []
    for label, code, more in [
        ("safetwilio", OURS, ()),
        *((other.name, other.code, other.more) for other in others),
    ]:
        running.asked()
        Starter(folder, alone(folder, {**environment, **dict(more)})).start(code)
        seen = Counter(running.asked()[name.partition(",")[0]])
        asked = ", ".join(f"{times} x {what}" for what, times in seen.items())
        rows.append((f"{name}: {label}", asked))
    return rows


def alone(folder: Path, environment: dict[str, str]) -> dict[str, str]:
    """Return *environment* where no login of this machine's owner is found."""
    return {**environment, "HOME": str(folder)}


if __name__ == "__main__":
    main()
