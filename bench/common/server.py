"""The emulator in a process of its own, so that only the client's work counts here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator


class Served(NamedTuple):
    """An emulator that runs: its address, its process, and a key of its account."""

    url: str
    process: int
    account_sid: str
    key_sid: str
    secret: str

    def environment(self) -> dict[str, str]:
        """Return the variables that lead safetwilio there."""
        return {
            "SAFETWILIO_BACKEND": "env",
            "SAFETWILIO_EMULATOR": self.url,
            "TWILIO_ACCOUNT_SID": self.account_sid,
            "TWILIO_API_KEY": self.key_sid,
            "TWILIO_API_SECRET": self.secret,
        }


@contextmanager
def emulator() -> Iterator[Served]:
    """Run ``safetwilio emulator`` for the length of the block."""
    with tempfile.TemporaryDirectory() as temporary:
        credentials = Path(temporary) / "credentials.json"
        command = [sys.executable, "-m", "safetwilio.cli.main", "emulator", "--json"]
        process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            [*command, "--credentials", str(credentials)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=_without_ours(),
        )
        try:
            if process.stdout is None or not process.stdout.readline():
                raise RuntimeError("the emulator did not start")
            made = json.loads(credentials.read_text("utf-8"))
            key = made["standard_key"]
            yield Served(made["url"], process.pid, made["account_sid"], key["sid"], key["secret"])
        finally:
            process.terminate()
            process.communicate()


def _without_ours() -> dict[str, str]:
    ours = ("TWILIO_", "SAFETWILIO_")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}
