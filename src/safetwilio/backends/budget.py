"""The time that all backends of one boot share."""

from __future__ import annotations

import time
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

BOOT_SECONDS = 15.0

_end: ContextVar[float | None] = ContextVar("safetwilio_boot_end", default=None)


@contextmanager
def boot_budget(seconds: float = BOOT_SECONDS) -> Iterator[None]:
    """Let all backends asked within this block share *seconds*."""
    token = _end.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _end.reset(token)


def boot_end() -> float | None:
    """Return when the boot's time is over, on the monotonic clock, ``None`` outside of one."""
    return _end.get()
