"""Starting Python many times, and what each start cost."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class Cost(NamedTuple):
    """What one child took, in milliseconds; *cpu* is user and system time of all its threads."""

    cpu: float
    wall: float


class Starter:
    """Starts Python in *folder* with *environment* and bytecode, as an installed wheel has it.

    The bytecode is kept in *folder*, whatever ``PYTHONDONTWRITEBYTECODE`` says here: without it
    each start would compile the sources anew, which no deployment does.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        """Start nothing yet."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "TWILIO_"))}
        kept = {k: v for k, v in kept.items() if not k.startswith("SAFETWILIO_")}
        self._folder = folder
        self._environment = {
            **kept,
            "PYTHONPYCACHEPREFIX": str(folder / "bytecode"),
            "PYTHONPATH": str(folder),
            **environment,
        }

    def start(self, code: str) -> Cost:
        """Run *code* in a new interpreter to its end, and return what that took."""
        began = time.perf_counter()
        child = subprocess.Popen(  # noqa: S603 - our own interpreter and code
            [sys.executable, "-c", code],
            cwd=self._folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        _, status, used = os.wait4(child.pid, 0)
        wall = time.perf_counter() - began
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            raise RuntimeError(f"{code!r} failed with {child.returncode}")
        return Cost(1000 * (used.ru_utime + used.ru_stime), 1000 * wall)
