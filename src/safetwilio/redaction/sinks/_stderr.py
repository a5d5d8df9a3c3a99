"""What is written to ``sys.stderr`` while a block runs, redacted line by line.

Default hooks and those of others (Sentry's, rich's) print an exception themselves; a text made
beforehand would not show what they print, such as local variables. So they are let print, into
a guard in the place of the stream.
"""

from __future__ import annotations

import os
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from safetwilio.redaction.engine import redact

if TYPE_CHECKING:
    from collections.abc import Iterator


class Guard:
    """Stands for *stream*; other threads, whose texts are whole, write through it as they come."""

    def __init__(self, stream: Any) -> None:
        """Be used by nobody yet."""
        self._stream = stream
        self._here = threading.local()
        self.users = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    @property
    def stream(self) -> Any:
        """The stream it stands for."""
        return self._stream

    def begin(self, target: Any = None) -> Any:
        """Hold back this thread's unfinished line from now on; write to *target* if given."""
        before = getattr(self._here, "state", None)
        self._here.state = (target or (before[0] if before else self._stream), [])
        return before

    def end(self, before: object) -> None:
        """Write what is held back, and be as *before* again."""
        target, held = self._here.state
        self._here.state = before
        if held:
            target.write(redact("".join(held)))

    def write(self, text: str) -> int:
        """Write *text* redacted, up to its last end of a line."""
        state = getattr(self._here, "state", None)
        if state is None:
            self._stream.write(redact(text))
            return len(text)
        target, held = state
        lines, newline, rest = text.rpartition("\n")
        if newline:
            whole = redact("".join((*held, lines, newline)))
            held.clear()
            target.write(whole)
        if rest:
            held.append(rest)
        return len(text)

    def writelines(self, lines: Any) -> None:
        """Write all *lines*."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Flush the stream; an unfinished line stays held back."""
        self._stream.flush()


@contextmanager
def guarded(target: Any = None) -> Iterator[None]:
    """Redact what this thread writes to ``sys.stderr`` in the block; *target* is a private one."""
    if sys.stderr is None:  # a program without a console
        yield
        return
    guard = _enter()
    before = guard.begin(target)
    try:
        yield
    finally:
        guard.end(before)
        _leave(guard)


def _enter() -> Guard:
    with _lock:
        current: Any = sys.stderr
        guard = current if type(current) is Guard else Guard(current)
        guard.users += 1
        sys.stderr = guard
        return guard


def _leave(guard: Guard) -> None:
    with _lock:
        guard.users -= 1
        if not guard.users and sys.stderr is guard:
            sys.stderr = guard.stream


def _after_fork() -> None:
    """Take a new lock in a child: the old one may be held by a thread that is gone."""
    global _lock  # noqa: PLW0603 - as above
    _lock = threading.RLock()


# Reentrant: the garbage collector may call the hook of unraisable errors at any place.
_lock = threading.RLock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
