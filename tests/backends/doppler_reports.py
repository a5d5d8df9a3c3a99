"""Run a program against Doppler's API in every kind of trouble, and write what it says.

::

    python tests/backends/doppler_reports.py

The reports go into docs/backends/doppler.md, below the line that names this file.
"""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

HERE = Path(__file__).resolve().parent
for _folder in (HERE, HERE.parent):
    if str(_folder) not in sys.path:  # where the test runner has put them, but nobody else
        sys.path.append(str(_folder))

from aws_server import black_hole, refused_port  # noqa: E402
from doppler_server import CONFIG, HTML, PROJECT, DopplerServer  # noqa: E402

from support import new_key, run_python  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterable

PAGE = HERE.parents[1] / "docs" / "backends" / "doppler.md"
MARK = "<!-- Below: written by tests/backends/doppler_reports.py -->\n"
SHOWN_ADDRESS = "127.0.0.1:8080"
PROGRAM = "from safetwilio import client"
_RAISED = "safetwilio.errors."


class Report(NamedTuple):
    """What one kind of trouble is called, how it was set up, and what the program said."""

    name: str
    words: str
    backend: str
    text: str
    values: tuple[str, ...]


class _Writer:
    def __init__(self, doppler: DopplerServer, folder: Path) -> None:
        self.doppler = doppler
        self.folder = folder
        self.reports: list[Report] = []
        self.secrets: list[str] = []

    def run(
        self, name: str, words: str, backend: str, *, token: str | None = None, url: str = ""
    ) -> None:
        token = self.doppler.token() if token is None else token
        joint = "&" if "?" in backend else "?"
        done = run_python(
            "-c",
            PROGRAM,
            cwd=self.folder,
            environment={
                "DOPPLER_TOKEN": token,
                "DOPPLER_TOKEN_FILE": "",
                "SAFETWILIO_BACKEND": f"{backend}{joint}endpoint={url or self.doppler.url}",
            },
        )
        self.doppler.say_no_more()
        lines = done.stderr.splitlines()
        starts = [number for number, line in enumerate(lines) if line.startswith(_RAISED)]
        text = "\n".join(line.rstrip() for line in lines[starts[-1] if starts else 0 :]).strip()
        text = re.sub(r"127\.0\.0\.1:\d+", SHOWN_ADDRESS, text)
        self.reports.append(Report(name, words, backend, text, (*self.secrets, token or "x" * 8)))


def all_reports() -> tuple[Report, ...]:
    """Return every report, made with credentials of the moment."""
    with tempfile.TemporaryDirectory() as name, DopplerServer() as doppler:
        writer = _Writer(doppler, Path(name))
        _of_logins(writer, doppler)
        _of_contents(writer, doppler)
        _of_the_way(writer, doppler)
        return tuple(writer.reports)


def _of_logins(writer: _Writer, doppler: DopplerServer) -> None:
    key = new_key()
    writer.secrets += [key.secret]
    doppler.put(key.environment())
    whole = f"doppler://{PROJECT}/{CONFIG}"
    writer.run(
        "Denied",
        "The service account may not read this project.",
        whole,
        token=doppler.token("dp.sa", projects=("other",)),
    )
    writer.run(
        "Expired login", "The token was revoked.", "doppler:", token=f"dp.st.prd.{new_key().secret}"
    )
    writer.run("No login", "There is no token.", "doppler:", token="")
    writer.run(
        "No config named",
        "A token that is not of one config needs to be told which.",
        "doppler:",
        token=doppler.token("dp.sa"),
    )


def _of_contents(writer: _Writer, doppler: DopplerServer) -> None:
    key = new_key()
    writer.secrets += [key.secret]
    doppler.put({"TWILIO_ACCOUNT_SID": key.account, "TWILIO_API_KEY": key.sid})
    writer.run("Half a pair", "The config has the key, but not its secret.", "doppler:")
    doppler.put({})
    writer.run("Missing", "The config has no name of ours.", "doppler:")
    writer.run(
        "No such config",
        "The reference names a config that is not there.",
        f"doppler://{PROJECT}/nowhere",
        token=doppler.token("dp.sa"),
    )
    doppler.say(200, '{"TWILIO_API_KEY": "SK')
    writer.run("Malformed", "The answer was cut off on its way.", "doppler:")


def _of_the_way(writer: _Writer, doppler: DopplerServer) -> None:
    doppler.say(429, times=100, Retry_After="60")
    writer.run("Too many requests", "Doppler limits the rate.", "doppler:?timeout=1")
    doppler.say(200, HTML)
    writer.run("Something else answers", "A proxy shows its sign-in page.", "doppler:")
    writer.run("Refused port", "Nothing listens there.", "doppler:", url=refused_port())
    with black_hole() as nowhere:
        writer.run(
            "Black hole",
            "Something listens, and never answers.",
            "doppler:?timeout=1",
            url=nowhere,
        )


def section(reports: Iterable[Report]) -> str:
    """Return the part of the page that shows *reports*."""
    return "\n".join(
        f"### {report.name}\n\n{report.words}\n\n```console\n"
        f"$ SAFETWILIO_BACKEND='{report.backend}' python -c '{PROGRAM}'\n{report.text}\n```\n"
        for report in reports
    )


def main() -> int:
    """Write the reports into the page."""
    head = PAGE.read_text(encoding="utf-8").partition(MARK)[0]
    PAGE.write_text(f"{head}{MARK}\n{section(all_reports())}", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
