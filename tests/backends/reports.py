"""Run a program in every kind of trouble, and write what it says into the page of a backend.

Which troubles there are stands in the file of each, and that is also the command::

    python tests/backends/aws_reports.py
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, NamedTuple

HERE = Path(__file__).resolve().parent
if str(HERE.parent) not in sys.path:  # where the test runner has put it, but nobody else
    sys.path.append(str(HERE.parent))

from support import run_python  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

DOCS = HERE.parents[1] / "docs" / "backends"
PROGRAM = "from safetwilio import client"
_RAISED = "safetwilio.errors."


class Report(NamedTuple):
    """What one kind of trouble is called, how it was set up, and what the program said."""

    name: str
    words: str
    backend: str
    text: str
    values: tuple[str, ...]


class Writer:
    """Collects reports; *secrets* are what none of them may show."""

    #: Patterns of what differs each time, and what the page has in their place.
    shown: ClassVar[Mapping[str, str]] = {}

    def __init__(self, folder: Path) -> None:  # noqa: D107
        self.folder = folder
        self.reports: list[Report] = []
        self.secrets: list[str] = []

    def start(
        self, name: str, words: str, backend: str, environment: Mapping[str, str], *secrets: str
    ) -> None:
        """Add what a program says that starts with *environment*, and with *secrets* in it."""
        variables = {"SAFETWILIO_BACKEND": backend, **environment}
        done = run_python("-c", PROGRAM, cwd=self.folder, environment=variables)
        self.add(name, words, backend, done.stderr, *secrets)

    def add(self, name: str, words: str, backend: str, said: str, *secrets: str) -> None:
        """Add the report in *said*."""
        texts = [backend, cut(said)]
        for pattern, instead in self.shown.items():
            texts = [re.sub(pattern, instead, text) for text in texts]
        self.reports.append(Report(name, words, *texts, values=(*self.secrets, *secrets)))


class Page(NamedTuple):
    """The page of the backend *name*, and what makes the reports on it."""

    name: str
    all_reports: Callable[[], tuple[Report, ...]]
    prompt: str = "SAFETWILIO_BACKEND='{backend}' python -c '{program}'"

    @property
    def path(self) -> Path:
        """Where it is."""
        return DOCS / f"{self.name}.md"

    @property
    def mark(self) -> str:
        """The line that the reports stand below."""
        file = f"{self.name.replace('-', '_')}_reports.py"
        return f"<!-- Below: written by tests/backends/{file} -->\n"

    def section(self, reports: Iterable[Report]) -> str:
        """Return what stands below the mark: *reports*."""
        return "\n" + "\n".join(
            f"### {report.name}\n\n{report.words}\n\n```console\n"
            f"$ {self.prompt.format(backend=report.backend, program=PROGRAM)}\n{report.text}\n```\n"
            for report in reports
        )

    def write(self) -> None:
        """Write the reports into the page."""
        prose = self.path.read_text(encoding="utf-8").partition(self.mark)[0]
        reports = self.all_reports()
        self.path.write_text(f"{prose}{self.mark}{self.section(reports)}", encoding="utf-8")
        print(f"{len(reports)} reports in {self.path}")  # noqa: T201 - a command says what it did


def cut(said: str) -> str:
    """Return the report in what a program *said*, without the traceback before it."""
    lines = [line.rstrip() for line in said.splitlines()]
    starts = [number for number, line in enumerate(lines) if line.startswith(_RAISED)]
    return "\n".join(lines[starts[-1] if starts else 0 :]).strip()
