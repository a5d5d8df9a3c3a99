"""Boot against a Secret Manager in every kind of trouble, and write what safetwilio says.

::

    python tests/backends/gcp_reports.py

The reports go into docs/backends/gcp.md, below the line that names this file. Google's library
takes a second to import, so only what depends on that has a process of its own.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
import tempfile
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from unittest import mock

HERE = Path(__file__).resolve().parent
for _folder in (HERE, HERE.parent):
    if str(_folder) not in sys.path:  # where the test runner has put them, but nobody else
        sys.path.append(str(_folder))

from gcp_google import PROJECT, Refusal  # noqa: E402
from gcp_server import (  # noqa: E402
    NAME,
    MetadataServer,
    Servers,
    as_document,
    black_hole,
    clean_environment,
    refused_port,
    servers,
    write_login,
)

import safetwilio  # noqa: E402
from safetwilio.errors import ConfigurationError  # noqa: E402
from support import OURS, new_key, run_python  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterable

PAGE = HERE.parents[1] / "docs" / "backends" / "gcp.md"
MARK = "<!-- Below: written by tests/backends/gcp_reports.py -->\n"
SHOWN_ADDRESS = "127.0.0.1:8443"
PROGRAM = "from safetwilio import client"
_RAISED = "safetwilio.errors."
_NOT_OURS = ("GOOGLE_", "GCE_", "CLOUDSDK_", *OURS)


class Report(NamedTuple):
    """What one kind of trouble is called, how it was set up, and what safetwilio said."""

    name: str
    words: str
    backend: str
    text: str
    values: tuple[str, ...]


class Writer:
    """Collects reports; *secrets* are what none of them may show."""

    def __init__(self, gcp: Servers, folder: Path) -> None:  # noqa: D107
        self.gcp = gcp
        self.folder = folder
        self.reports: list[Report] = []
        self.secrets: list[str] = []
        (folder / "empty").mkdir()

    def boot(self, name: str, words: str, options: str = "", url: str = "") -> None:
        """Add what a boot in this process says."""
        backend = self._backend(options, url)
        self._add(name, words, backend, said_here(self._environment(backend), self.folder))

    def run(self, name: str, words: str, options: str = "", **environment: str) -> None:
        """Add what a program in a process of its own says."""
        backend = self._backend(options, "")
        variables = {**self._environment(backend), **environment}
        done = run_python("-c", PROGRAM, cwd=self.folder / "empty", environment=variables)
        lines = done.stderr.splitlines()
        starts = [number for number, line in enumerate(lines) if line.startswith(_RAISED)]
        self._add(name, words, backend, "\n".join(lines[starts[-1] if starts else 0 :]))

    def _add(self, name: str, words: str, backend: str, text: str) -> None:
        plain = "\n".join(line.rstrip() for line in text.splitlines()).strip()
        shown = [re.sub(r"127\.0\.0\.1:\d+", SHOWN_ADDRESS, each) for each in (backend, plain)]
        self.reports.append(Report(name, words, *shown, values=tuple(self.secrets)))

    def _backend(self, options: str, url: str) -> str:
        return f"gcp-sm://{PROJECT}/{NAME}?endpoint={url or self.gcp.tls['rest']}{options}"

    def _environment(self, backend: str) -> dict[str, str]:
        return {
            **clean_environment(self.folder),
            "REQUESTS_CA_BUNDLE": str(self.gcp.authority),
            "GOOGLE_APPLICATION_CREDENTIALS": str(self.folder / "login.json"),
            "SAFETWILIO_BACKEND": backend,
        }


def said_here(environment: dict[str, str], folder: Path) -> str:
    """Return what Python prints of the error of a boot with *environment*."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(_NOT_OURS)}
    with (
        mock.patch.dict(os.environ, {**kept, **environment}, clear=True),
        contextlib.chdir(folder / "empty"),
    ):
        safetwilio.reset()
        try:
            safetwilio.boot()
        except ConfigurationError as error:
            return "".join(traceback.format_exception_only(error))
        finally:
            safetwilio.reset()
    return "it started"


def all_reports() -> tuple[Report, ...]:
    """Return every report, made with credentials of the moment."""
    with tempfile.TemporaryDirectory() as name, servers(Path(name)) as gcp:
        writer = Writer(gcp, Path(name))
        _of_logins(writer)
        _of_contents(writer)
        _of_the_way(writer)
        return tuple(writer.reports)


def _of_logins(writer: Writer) -> None:
    key, google = new_key(), writer.gcp.google
    writer.secrets += [key.secret]
    google.put(as_document(key))
    google.denied = {"secretmanager.versions.access"}
    writer.boot("Denied", "The service account has no role on the secret.")
    google.denied = set()
    google.refusals.append(
        ("AccessSecretVersion", Refusal("PERMISSION_DENIED", "off", "SERVICE_DISABLED"))
    )
    writer.boot("The API is off", "Nobody enabled Secret Manager in the project.")
    kept = (writer.folder / "login.json").read_text()
    write_login(writer.folder / "login.json")
    writer.boot("Deleted login", "The service account's key was deleted.")
    (writer.folder / "login.json").write_text(kept)
    writer.run(
        "No login",
        "A machine without a service account, and nobody is logged in with gcloud.",
        GOOGLE_APPLICATION_CREDENTIALS="",
        NO_GCE_CHECK="true",
    )
    with MetadataServer(key.secret) as machine:
        writer.run(
            "Expired login",
            "The metadata server gave a login that Google takes no more.",
            GOOGLE_APPLICATION_CREDENTIALS="",
            GCE_METADATA_HOST=machine.address,
            GCE_METADATA_IP=machine.address,
        )
    with MetadataServer(key.secret, status=404) as machine:
        writer.run(
            "A machine without a service account",
            "There is a metadata server, but it has no login to give.",
            GOOGLE_APPLICATION_CREDENTIALS="",
            GCE_METADATA_HOST=machine.address,
            GCE_METADATA_IP=machine.address,
        )


def _of_contents(writer: Writer) -> None:
    key, google = new_key(), writer.gcp.google
    writer.secrets += [key.secret]
    google.put({"account_sid": key.account, "api_key": key.sid})
    writer.boot("Half a pair", "The secret has the key, but not its secret.")
    google.put({"account_sid": key.account, "api_key": ["x"], "api_secret": key.secret})
    writer.boot("Malformed", "The key is a list.")
    google.put(as_document(key))
    google.corrupt = True
    writer.boot("Corrupted", "The payload is not the one that Google's checksum is of.")
    google.corrupt = False
    google.set_state("DISABLED")
    writer.boot("Disabled", "The newest version is disabled.")
    google.set_state("DESTROYED")
    writer.boot("Destroyed", "The newest version is destroyed.")
    writer.boot("No such version", "The secret is there, version 9 is not.", "&version=9")
    google.secrets.clear()
    writer.boot("Missing", "There is no secret of that name.")


def _of_the_way(writer: Writer) -> None:
    writer.boot("Refused port", "Nothing listens there.", url=refused_port())
    with black_hole() as url:
        writer.boot("Black hole", "Something listens, and never answers.", "&timeout=1", url)
    writer.boot(
        "Plain HTTP",
        "The address would send the login unencrypted.",
        url="http://secrets.internal",
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
