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

_STORES = ("AWS_", "BAO_", "DOPPLER_", "DOTENV_", "GOOGLE_", "GRPC_", "VAULT_")
_FOREIGN = ("PYTHON", "SAFETWILIO_", "TWILIO_", *_STORES)


class Cost(NamedTuple):
    """What one child took: milliseconds, *cpu* of user and system in all its threads, and MiB.

    *peak* is never less than what the process that started it takes itself.
    """

    cpu: float
    wall: float
    peak: float


class Starter:
    """Starts Python in *folder* with *environment* and bytecode, as an installed wheel has it.

    The bytecode is kept in *folder*, whatever ``PYTHONDONTWRITEBYTECODE`` says here: without it
    each start would compile the sources anew, which no deployment does.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        """Start nothing yet."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(_FOREIGN)}
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
        peak = used.ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10)
        return Cost(1000 * (used.ru_utime + used.ru_stime), 1000 * wall, peak)
