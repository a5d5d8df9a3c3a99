"""Run a program against Doppler's API in every kind of trouble, and write what it says.

::

    python tests/backends/doppler_reports.py

The reports go into docs/backends/doppler.md, below the line that names this file.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import ClassVar

import reports
from aws_server import black_hole, refused_port
from doppler_server import CONFIG, HTML, PROJECT, DopplerServer

from support import new_key


class _Writer(reports.Writer):
    shown: ClassVar = {r"127\.0\.0\.1:\d+": "127.0.0.1:8080"}

    def __init__(self, doppler: DopplerServer, folder: Path) -> None:
        super().__init__(folder)
        self.doppler = doppler

    def run(
        self, name: str, words: str, backend: str, *, token: str | None = None, url: str = ""
    ) -> None:
        token = self.doppler.token() if token is None else token
        joint = "&" if "?" in backend else "?"
        variables = {
            "DOPPLER_TOKEN": token,
            "DOPPLER_TOKEN_FILE": "",
            "SAFETWILIO_BACKEND": f"{backend}{joint}endpoint={url or self.doppler.url}",
        }
        self.start(name, words, backend, variables, token)
        self.doppler.say_no_more()


def all_reports() -> tuple[reports.Report, ...]:
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


PAGE = reports.Page("doppler", all_reports)

if __name__ == "__main__":
    PAGE.write()
