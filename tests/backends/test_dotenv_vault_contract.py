"""The conformance suite, run for ``dotenv-vault:``."""

from __future__ import annotations

import os
import secrets
from typing import TYPE_CHECKING, ClassVar

import pytest
from dotenv_vault_reports import encrypt, uri, vault
from typing_extensions import override

from safetwilio.testing.backends import BackendContract, Breakage
from support import write

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

VARIABLE = "DOTENV_KEY"


class TestDotenvVault(BackendContract):
    """A file, encrypted anew and replaced in one step."""

    unsupported: ClassVar = {
        "unreachable": "it is a file on this machine, and answers at once",
        "writing": "a .env.vault is made by its own commands",
    }
    loads = 300

    @pytest.fixture(autouse=True)
    def _place(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        self.monkeypatch = monkeypatch
        self.path = tmp_path / ".env.vault"
        self.digits = secrets.token_hex(32)
        self.key = uri(self.digits)
        monkeypatch.setenv(VARIABLE, self.key)

    @override
    def reference(self) -> str:
        return f"dotenv-vault:{self.path}"

    @override
    def put(self, document: Mapping[str, str]) -> None:
        text = "".join(f"{name}={value}\n" for name, value in document.items())
        if os.environ.get(VARIABLE) != self.key:
            self.monkeypatch.setenv(VARIABLE, self.key)
        self._put(text)

    def _put(self, text: str | bytes) -> None:
        sealed = vault(production=encrypt(text, self.digits))
        write(self.path.with_name("new"), sealed).replace(self.path)

    @override
    def remove(self) -> None:
        self.path.unlink()

    @override
    def breakages(self) -> Mapping[str, Breakage]:
        other = uri(secrets.token_hex(32))
        return {
            "cut off": Breakage(self._cut, "ST333"),
            "not UTF-8": Breakage(lambda _: self._put(b"TWILIO_API_KEY=\xff\n"), "ST333"),
            "a reference in it": Breakage(self._refer, "ST333"),
            "a changed bit": Breakage(self._change, "ST334"),
            "another key": Breakage(lambda _: self.monkeypatch.setenv(VARIABLE, other), "ST334"),
            "no key": Breakage(lambda _: self.monkeypatch.delenv(VARIABLE), "ST331"),
        }

    def _cut(self, document: Mapping[str, str]) -> None:
        self.put(document)
        text = self.path.read_text()
        write(self.path, text[: text.index('="') + 6] + '"\n')

    def _refer(self, document: Mapping[str, str]) -> None:
        self.put({**document, "TWILIO_API_SECRET": document["TWILIO_API_SECRET"] + "${HOME}"})

    def _change(self, document: Mapping[str, str]) -> None:
        self.put(document)
        text = self.path.read_text()
        middle = len(text) - 40
        other = "A" if text[middle] != "A" else "B"
        write(self.path, text[:middle] + other + text[middle + 1 :])
