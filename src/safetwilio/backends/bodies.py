"""The bodies of answers end: when they are too long for a secret's, and when the time is up.

Most libraries time each read alone, so what drips, or never ends, keeps them for ever.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LARGEST = 2 << 20  # bytes; Vault itself takes a secret of 1 MiB, the others of 64 KiB
_CHUNK = 1 << 16


class TooLongError(Exception):
    """An answer that nobody would send who keeps a secret."""

    def __init__(self) -> None:
        """Say so in words that follow an address."""
        super().__init__(f"its answer is longer than {LARGEST >> 20} MiB")


def pieces(
    raw: Any, remaining: Callable[[], float], *, decode_content: bool = False
) -> Iterator[bytes]:
    """Yield the body of urllib3's response *raw*, while there are seconds *remaining*.

    Raises :class:`TooLongError` after 2 MiB, TimeoutError, and what urllib3 does.
    """
    read = getattr(raw, "read1", raw.read)  # read1: what is there already, of a slow drip as well
    size = 0
    while piece := read(_CHUNK, decode_content=decode_content):
        size += len(piece)
        if size > LARGEST:
            raise TooLongError
        if not remaining():
            raise TimeoutError
        yield piece


class Bounded:
    """A response of urllib3's, for a library that reads it: its body ends so within *seconds*."""

    def __init__(self, raw: Any, seconds: float) -> None:
        """Read from *raw*, and be *raw* in all else."""
        self._raw = raw
        self._end = time.monotonic() + seconds

    def __getattr__(self, name: str) -> Any:
        """Return what *raw* has."""
        return getattr(self._raw, name)

    def stream(self, _: object = None, decode_content: bool = True) -> Iterator[bytes]:  # noqa: FBT001, FBT002 - urllib3's
        """Yield the body piece by piece, as :func:`pieces` does."""
        try:
            yield from pieces(self._raw, self._remaining, decode_content=decode_content)
        finally:
            self._raw.close()

    def _remaining(self) -> float:
        return max(0.0, self._end - time.monotonic())
