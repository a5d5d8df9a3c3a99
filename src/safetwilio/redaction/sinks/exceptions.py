"""Exceptions that nobody caught, in the program, a thread or a destructor.

``sys.excepthook``, ``threading.excepthook`` and ``sys.unraisablehook`` stay whose they are (also
Sentry's or rich's); what they print to ``sys.stderr`` is redacted. A hook that is set later and
does not call the one before is not covered; a tool that reads the exception object has it whole.
asyncio's exception handler logs, and so does :mod:`logging`'s sink. ``faulthandler`` prints frames
only, from C, and nothing here sees it.
"""

from __future__ import annotations

import io
import sys
import threading
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from safetwilio.redaction.sinks._patch import Patch
from safetwilio.redaction.sinks._stderr import guarded

if TYPE_CHECKING:
    from collections.abc import Callable

fall_back = None  # the hooks are public already


def available() -> bool:
    """Return ``True``: the hooks are always there."""
    return True


def install() -> None:
    """Redact what the hooks print."""
    for patch in _PATCHES:
        patch.apply()


def uninstall() -> None:
    """Restore the hooks."""
    for patch in _PATCHES:
        patch.remove()


def check() -> bool:
    """Let Python's own hooks print a random canary into a private buffer."""
    from safetwilio.redaction.sinks import canary

    secret, buffer = canary(), io.StringIO()
    error = RuntimeError(secret)
    with guarded(buffer):
        sys.__excepthook__(RuntimeError, error, None)
    unraisable = SimpleNamespace(
        exc_type=RuntimeError, exc_value=error, exc_traceback=None, err_msg=secret, object=None
    )
    return (
        all(patch.is_applied for patch in _PATCHES)
        and secret not in buffer.getvalue()
        and "[TWILIO:account:" in buffer.getvalue()
        and _shows_nothing(unraisable, secret)
    )


def _shows_nothing(unraisable: Any, secret: str) -> bool:
    """Return whether a hook of somebody's that prints piece by piece is redacted too."""
    buffer = io.StringIO()

    def hook(arguments: Any) -> None:
        for letter in f"{arguments.err_msg}: {arguments.exc_value!r}":
            sys.stderr.write(letter)

    with guarded(buffer):
        _redacted(hook, unraisable)
    return secret not in buffer.getvalue()


def _redacted(original: Callable[..., None], *args: Any) -> None:
    with guarded():
        original(*args)


_PATCHES = (
    Patch(sys, "excepthook", _redacted),
    Patch(threading, "excepthook", _redacted),
    Patch(sys, "unraisablehook", _redacted),
)
