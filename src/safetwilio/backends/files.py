"""``files:/run/secrets``: one file per name, as Docker, Kubernetes and systemd mount them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from safetwilio.backends.disk import KUBERNETES_LINK, is_directory, read_text
from safetwilio.backends.documents import Document, contradiction, is_secret, variables
from safetwilio.backends.interface import Absent, seal, silent
from safetwilio.backends.locate import require_options
from safetwilio.errors import BackendError, ConfigurationError
from safetwilio.problems import Attempt, Problem

if TYPE_CHECKING:
    from safetwilio.backends.interface import Found, Value
    from safetwilio.backends.locate import Reference

_TRIES = 100


class FilesBackend:
    """Reads files called as the variables are, in upper or lower case."""

    def __init__(self, reference: Reference) -> None:
        """Take the directory from *reference*, which has no options; raises ST302."""
        require_options(reference)
        if not reference.location:
            raise BackendError(
                [
                    Problem(
                        code="ST302",
                        summary="The files backend needs a directory.",
                        found_in=(f"{reference.place}: the reference {reference}",),
                        fix="Name it, as in files:/run/secrets",
                    )
                ]
            )
        self._reference = reference
        self._directory = Path(reference.location)

    @silent
    def load(self, account: str | None) -> Found | Absent:
        """Return the record in the directory, read from one version of it."""
        if not is_directory(self._directory, f"the directory {self._directory}"):
            return Absent((Attempt("files", self._reference.shown_path, "no such directory"),))
        directory, version = self._one_version()
        document = self._read(directory, version, account)
        for _ in range(_TRIES):  # each answer is of one version, but the old may be removed
            if (newer := self._one_version()) == (directory, version):
                break
            directory, version = newer
            document = self._read(directory, version, account)
        return document.answer(account)

    def _read(self, directory: Path, version: str | None, account: str | None) -> Document:
        texts: dict[str, Value] = {}
        problems: list[Problem] = []
        broken: list[ConfigurationError] = []
        for name in sorted(variables(account)):
            for spelling in (name, name.lower()):
                place = f"the file {self._directory / spelling}"
                try:
                    answer = read_text(directory / spelling, place)
                except ConfigurationError as error:
                    broken.append(error.with_traceback(None))
                    break
                if answer is None:
                    continue
                value = seal(answer[0], place, secret=is_secret(name))
                first = texts.get(name)
                if first is None or (value.reveal() and not first.reveal()):
                    texts[name] = value
                    problems += answer[1]
                elif value.reveal() and value.reveal() != first.reveal():
                    problems += (*answer[1], contradiction(name, first, value))
        return Document(
            str(self._reference),
            texts,
            place=str(self._reference),
            missing="no such file",
            version=version,
            problems=tuple(problems),
            broken=broken,
        )

    def _one_version(self) -> tuple[Path, str | None]:
        """Return the directory without a link in its path, and its name if it is behind one.

        Kubernetes swaps its link in one step when a secret changes; resolved once, it gives one
        version.
        """
        link = self._directory / KUBERNETES_LINK
        behind = link if link.is_symlink() else self._directory
        directory = Path(os.path.realpath(behind))
        is_directory(directory, f"the directory {behind}")  # raises ST303 if links go in a circle
        return directory, directory.name if behind.is_symlink() else None
