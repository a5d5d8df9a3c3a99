"""Boot against a Secret Manager in every kind of trouble, and write what safetwilio says.

::

    python tests/backends/gcp_reports.py

The reports go into docs/backends/gcp.md, below the line that names this file. Google's library
takes a second to import, so only what depends on that has a process of its own.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import traceback
from pathlib import Path
from typing import ClassVar
from unittest import mock

import reports
from gcp_google import PROJECT, Refusal
from gcp_server import (
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

import safetwilio
from safetwilio.errors import ConfigurationError
from support import OURS, new_key

_NOT_OURS = ("GOOGLE_", "GCE_", "CLOUDSDK_", *OURS)


class Writer(reports.Writer):
    """Some of its reports are of this process."""

    shown: ClassVar = {r"127\.0\.0\.1:\d+": "127.0.0.1:8443"}

    def __init__(self, gcp: Servers, home: Path) -> None:  # noqa: D107
        super().__init__(home / "empty")
        self.gcp = gcp
        self.home = home
        self.folder.mkdir()

    def boot(self, name: str, words: str, options: str = "", url: str = "") -> None:
        """Add what a boot in this process says."""
        backend = self._backend(options, url)
        variables = {"SAFETWILIO_BACKEND": backend, **self._environment()}
        self.add(name, words, backend, said_here(variables, self.folder))

    def run(self, name: str, words: str, options: str = "", **environment: str) -> None:
        """Add what a program in a process of its own says."""
        variables = {**self._environment(), **environment}
        self.start(name, words, self._backend(options, ""), variables)

    def _backend(self, options: str, url: str) -> str:
        return f"gcp-sm://{PROJECT}/{NAME}?endpoint={url or self.gcp.tls['rest']}{options}"

    def _environment(self) -> dict[str, str]:
        return {
            **clean_environment(self.home),
            "REQUESTS_CA_BUNDLE": str(self.gcp.authority),
            "GOOGLE_APPLICATION_CREDENTIALS": str(self.home / "login.json"),
        }


def said_here(environment: dict[str, str], folder: Path) -> str:
    """Return what Python prints of the error of a boot with *environment*."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(_NOT_OURS)}
    with (
        mock.patch.dict(os.environ, {**kept, **environment}, clear=True),
        contextlib.chdir(folder),
    ):
        safetwilio.reset()
        try:
            safetwilio.boot()
        except ConfigurationError as error:
            return "".join(traceback.format_exception_only(error))
        finally:
            safetwilio.reset()
    return "it started"


def all_reports() -> tuple[reports.Report, ...]:
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
    kept = (writer.home / "login.json").read_text()
    write_login(writer.home / "login.json")
    writer.boot("Deleted login", "The service account's key was deleted.")
    (writer.home / "login.json").write_text(kept)
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


PAGE = reports.Page("gcp", all_reports)

if __name__ == "__main__":
    PAGE.write()
