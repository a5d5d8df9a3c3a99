"""The conformance suite, run for the backends of this machine: env, dotenv and files."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, ClassVar

import pytest
from dotenv import dotenv_values
from typing_extensions import override

from safetwilio.testing.backends import BackendContract, Breakage
from support import write

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_LOCAL = "it is on this machine, and answers at once"


class TestEnv(BackendContract):
    """The environment of this process."""

    unsupported: ClassVar = {
        "rotation": "nobody but the process itself changes its environment",
        "version": "an environment has none",
        "unreachable": _LOCAL,
        "writing": "what a process puts there is gone with it",
    }

    @pytest.fixture(autouse=True)
    def _place(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.monkeypatch = monkeypatch

    @override
    def reference(self) -> str:
        return "env"

    @override
    def put(self, document: Mapping[str, str]) -> None:
        self.remove()
        for name, value in document.items():
            self.monkeypatch.setenv(name, value)

    @override
    def remove(self) -> None:
        for name in [name for name in os.environ if name.startswith("TWILIO_")]:
            self.monkeypatch.delenv(name)

    @override
    def breakages(self) -> Mapping[str, Breakage]:
        return {"a file that is not there": Breakage(self._name_a_file, "ST305")}

    def _name_a_file(self, document: Mapping[str, str]) -> None:
        self.put({**document, "TWILIO_API_SECRET_FILE": "not there"})


class TestDotenv(BackendContract):
    """A file, replaced in one step as editors do it."""

    unsupported: ClassVar = {"unreachable": _LOCAL}

    @pytest.fixture(autouse=True)
    def _place(self, tmp_path: Path) -> None:
        self.path = tmp_path / ".env"

    @override
    def reference(self) -> str:
        return f"dotenv:{self.path}"

    @override
    def put(self, document: Mapping[str, str]) -> None:
        self._remove_a_directory()
        text = "".join(f"{name}={value}\n" for name, value in document.items())
        write(self.path.with_name("new"), text).replace(self.path)

    @override
    def remove(self) -> None:
        self.path.unlink(missing_ok=True)

    def _remove_a_directory(self) -> None:
        if self.path.is_dir():
            self.path.rmdir()

    @override
    def breakages(self) -> Mapping[str, Breakage]:
        return {
            "a line that cannot be read": Breakage(self._cut, "ST304"),
            "not UTF-8": Breakage(self._save_as_utf_16, "ST308"),
            "a directory": Breakage(self._make_a_directory, "ST308"),
        }

    def _cut(self, document: Mapping[str, str]) -> None:
        write(self.path, f"TWILIO_API_SECRET='{document['TWILIO_API_SECRET']}\n")

    def _save_as_utf_16(self, document: Mapping[str, str]) -> None:
        text = f"TWILIO_API_SECRET={document['TWILIO_API_SECRET']}\n"
        write(self.path, text.encode("utf-16"))

    def _make_a_directory(self, _: Mapping[str, str]) -> None:
        self.path.unlink()
        self.path.mkdir()

    @override
    def contents(self) -> Mapping[str, object]:
        return dotenv_values(self.path)

    @override
    def unwritable(self) -> str:
        return f"dotenv:{self.path.parent / 'nowhere' / '.env'}"


class TestFiles(BackendContract):
    """As Kubernetes mounts a secret: behind a link that is swapped in one step."""

    unsupported: ClassVar = {
        "unreachable": _LOCAL,
        "writing": "whoever mounts the files writes them",
    }

    @pytest.fixture(autouse=True)
    def _place(self, tmp_path: Path) -> None:
        self.directory = tmp_path / "secrets"
        self.directory.mkdir()
        self.number = 0

    @override
    def reference(self) -> str:
        return f"files:{self.directory}"

    @override
    def put(self, document: Mapping[str, str]) -> None:
        self.number += 1
        version = self.directory / f"..{self.number}"
        for name, value in document.items():
            write(version / name, value)
        link = self.directory / "..new"
        link.symlink_to(version.name)
        link.replace(self.directory / "..data")

    @override
    def remove(self) -> None:
        self.put({})

    @override
    def breakages(self) -> Mapping[str, Breakage]:
        return {
            "not UTF-8": Breakage(self._save_as_utf_16, "ST308"),
            "a directory": Breakage(self._make_a_directory, "ST308"),
        }

    def _save_as_utf_16(self, document: Mapping[str, str]) -> None:
        text = document["TWILIO_API_SECRET"].encode("utf-16")
        write(self.directory / "..data" / "TWILIO_API_SECRET", text)

    def _make_a_directory(self, _: Mapping[str, str]) -> None:
        path = self.directory / "..data" / "TWILIO_API_SECRET"
        path.unlink()
        path.mkdir()
