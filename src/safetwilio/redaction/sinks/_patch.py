"""Replacing one function of a library, and putting it back exactly."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


class Patch:
    """The attribute *name* of *owner*, to be wrapped by *wrapper* ``(original, *args)``.

    When somebody else has wrapped the attribute since, it cannot be put back without losing that
    wrapping: the replacement then stays below it and only passes calls on, and applying the patch
    again puts a new one on top.
    """

    def __init__(self, owner: Any, name: str, wrapper: Callable[..., Any]) -> None:
        """Change nothing yet."""
        self._owner, self._name, self._wrapper = owner, name, wrapper
        self._original: Callable[..., Any] | None = None
        self._replacement: Callable[..., Any] | None = None

    @property
    def owner(self) -> Any:
        """What the attribute is one of."""
        return self._owner

    @property
    def is_applied(self) -> bool:
        """Whether the wrapper is in place (and not below that of somebody else)."""
        return bool(self._replacement) and vars(self._owner)[self._name] is self._replacement

    def apply(self) -> None:
        """Put the wrapper in place, unless it is there."""
        original = vars(self._owner)[self._name]
        if original is self._replacement:
            return
        replacement = functools.wraps(original)(self._replacing(original))
        self._original, self._replacement = original, replacement
        setattr(self._owner, self._name, replacement)

    def _replacing(self, original: Callable[..., Any]) -> Callable[..., Any]:
        wrapper = self._wrapper

        def replacement(*args: Any, **kwargs: Any) -> Any:
            if self._replacement is replacement:
                return wrapper(original, *args, **kwargs)
            return original(*args, **kwargs)

        return replacement

    def remove(self) -> None:
        """Put the original back."""
        if self._replacement and vars(self._owner).get(self._name) is self._replacement:
            setattr(self._owner, self._name, self._original)
        self._original = self._replacement = None
