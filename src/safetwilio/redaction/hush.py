"""Silence while a secret is fetched: what a vendor's library logs then may be the secret.

At DEBUG botocore logs the body of the answer, google-api-core the whole payload (as ``extra=``),
and nobody can have registered it yet. Inside ``hushed()`` records below WARNING from this thread
go nowhere; other threads log as ever.
"""

from __future__ import annotations

import logging
import os
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from safetwilio.redaction.sinks._patch import Patch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_here = threading.local()
_lock = threading.Lock()
_blocks = 0


@contextmanager
def hushed() -> Iterator[None]:
    """Let no record below WARNING leave this thread within the block."""
    _enter()
    _here.depth = getattr(_here, "depth", 0) + 1
    try:
        yield
    finally:
        _here.depth -= 1
        _leave()


def _handle(original: Callable[..., None], logger: logging.Logger, record: Any) -> None:
    if not getattr(_here, "depth", 0) or record.levelno >= logging.WARNING:
        original(logger, record)


_PATCH = Patch(logging.Logger, "handle", _handle)


def _enter() -> None:
    """Put the patch in place, which costs every record a call, only while it is needed."""
    global _blocks  # noqa: PLW0603
    with _lock:
        _blocks += 1
        _PATCH.apply()


def _leave() -> None:
    global _blocks  # noqa: PLW0603
    with _lock:
        _blocks -= 1
        if not _blocks:
            _PATCH.remove()


def _after_fork() -> None:
    """Give the child a lock of its own; the blocks of threads that are not here have ended."""
    global _blocks, _lock  # noqa: PLW0603
    _lock = threading.Lock()
    _blocks = getattr(_here, "depth", 0)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
