"""The patches of one library, which may come late, half made, or anew."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import ModuleType

    from safetwilio.redaction.sinks._patch import Patch


class Library:
    """The library *name*; *patches* makes what is to be applied to its module.

    A reloader or a test tool may purge ``sys.modules``; what a later import makes is patched anew.
    """

    def __init__(self, name: str, patches: Callable[[ModuleType], Sequence[Patch]]) -> None:
        """Import nothing."""
        self._name, self._make = name, patches
        self._module: ModuleType | None = None
        self.patches: tuple[Patch, ...] = ()

    def available(self) -> bool:
        """Return whether the library is imported (waiting for a thread in the middle of it)."""
        if sys.modules.get(self._name) is None:
            return False
        try:
            module = import_module(self._name)  # takes the lock of the import
        except Exception:  # noqa: BLE001 - that import has failed
            return False
        return not getattr(module.__spec__, "_initializing", False)

    def is_stale(self) -> bool:
        """Return whether the library patched is no longer the one that is imported."""
        return bool(self.patches) and self._module is not sys.modules.get(self._name)

    def apply(self) -> None:
        """Patch the library that is imported now; twice is harmless."""
        module = sys.modules[self._name]
        if module is not self._module:
            self.remove()
            self.patches, self._module = tuple(self._make(module)), module
        for patch in self.patches:
            patch.apply()

    def remove(self) -> None:
        """Restore what was patched."""
        for patch in self.patches:
            patch.remove()
        self.patches, self._module = (), None
