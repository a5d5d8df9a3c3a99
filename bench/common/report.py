"""What a measurement prints: what was run on what, and one table."""

from __future__ import annotations

import argparse
import os
import platform
import sys
from importlib.metadata import version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

LIBRARIES = ("safetwilio", "twilio", "requests", "pydantic-settings", "pydantic")


def is_quick(about: str | None) -> bool:
    """Read the command line, which knows only ``--quick``: a few rounds, to see that it runs."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--quick", action="store_true", help="few rounds, rough figures")
    return bool(parser.parse_args().quick)


def heading(title: str) -> None:
    """Print *title*, the command, and everything that the figures depend on."""
    busy = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    line(f"\n{title}")
    line(f"  command   python {' '.join(sys.argv)}")
    line(f"  machine   {platform.platform()}, {os.cpu_count()} CPUs{busy}")
    line(f"  Python    {platform.python_implementation()} {platform.python_version()}")
    line(f"  packages  {', '.join(f'{name} {version(name)}' for name in LIBRARIES)}\n")


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print *rows* under *head*: the first column to the left, figures to the right."""
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]
    for row in (head, ["-" * width for width in widths], *rows):
        cells = [row[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        line("  " + "  ".join(cells))


def line(text: str = "") -> None:
    """Print one line at once, also into a pipe."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
