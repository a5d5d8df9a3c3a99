"""A keyring that works without a desktop: one file, replaced in one step."""

from __future__ import annotations

import json
import os
import tempfile
import threading
from pathlib import Path
from typing import Any

from keyring.backend import KeyringBackend
from keyring.errors import KeyringLocked, PasswordSetError
from typing_extensions import override

PATH = "FILE_KEYRING"


class FileKeyring(KeyringBackend):
    """Keeps items in the file that the environment names; some services are out of order."""

    priority = 0.1  # type: ignore[assignment] # never chosen by itself: tests name it

    def __init__(self) -> None:  # noqa: D107
        super().__init__()
        self.locked = False
        self.longest: int | None = None
        self.lets_go = threading.Event()
        self.writing = threading.Lock()

    @override
    def get_password(self, service: str, username: str) -> str | None:
        if self.locked or service == "locked":
            raise KeyringLocked(f"locked: {self._items()}")
        if service == "slow":
            self.lets_go.wait(60)
        return self._items().get(f"{service}/{username}")

    @override
    def set_password(self, service: str, username: str, password: str) -> None:
        if service == "refuses":
            raise PasswordSetError(f"no: {password}")
        with self.writing:
            self._write({**self._items(), f"{service}/{username}": password[: self.longest]})

    @override
    def delete_password(self, service: str, username: str) -> None:
        with self.writing:
            items = self._items()
            items.pop(f"{service}/{username}", None)
            self._write(items)

    def _items(self) -> dict[str, str]:
        path = Path(os.environ[PATH])
        found: Any = json.loads(path.read_text()) if path.exists() else {}
        return dict(found)

    def _write(self, items: dict[str, str]) -> None:
        path = Path(os.environ[PATH])
        handle, name = tempfile.mkstemp(dir=path.parent)
        with os.fdopen(handle, "w") as stream:
            json.dump(items, stream)
        Path(name).replace(path)
