"""Doing something as soon as a library has been imported by somebody else."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType


class OnImport:
    """A finder that calls *action* once, after the module *name* was imported, and then goes.

    It finds nothing itself: it asks the other finders and wraps the loader they return. It must
    not let an error of *action* out, for the import is not its own.
    """

    def __init__(self, name: str, action: Callable[[], None]) -> None:
        """Wait for nothing yet."""
        self._name, self._action = name, action

    def wait(self) -> None:
        """Start waiting; waiting twice is harmless."""
        if self not in sys.meta_path:
            sys.meta_path.insert(0, self)

    def stop(self) -> bool:
        """Stop waiting, and return whether it was."""
        try:
            sys.meta_path.remove(self)
        except ValueError:
            return False
        return True

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return what the other finders find, with a loader that reports back."""
        if fullname != self._name:
            return None
        for finder in tuple(sys.meta_path):
            find = None if finder is self else getattr(finder, "find_spec", None)
            spec: ModuleSpec | None = find(fullname, path, target) if find else None
            if spec is not None:
                if spec.loader is not None:
                    spec.loader = _Loader(spec.loader, self)  # type: ignore[assignment]
                return spec
        return None

    def imported(self) -> None:
        """Act, unless another thread already does or nobody waits any longer."""
        if self.stop():
            self._action()


class _Loader:
    """The real *loader*, which reports to *waiting* once it has executed the module."""

    def __init__(self, loader: Any, waiting: OnImport) -> None:
        self._loader, self._waiting = loader, waiting

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        created: ModuleType | None = self._loader.create_module(spec)
        return created

    def exec_module(self, module: ModuleType) -> None:
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        self._loader.exec_module(module)
        self._waiting.imported()
