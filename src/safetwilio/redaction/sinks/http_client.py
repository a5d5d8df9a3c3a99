"""What ``http.client`` prints of requests and answers when its ``debuglevel`` is set.

Twilio's client, ``requests`` and ``urllib3`` all come down to it. It calls ``print``, which is
given a name of its own in that module, as its users do to get the lines into their logs.
"""

from __future__ import annotations

import builtins
import io
import sys
from typing import TYPE_CHECKING, Any

from safetwilio.redaction.engine import redact
from safetwilio.redaction.sinks._library import Library

if TYPE_CHECKING:
    from types import ModuleType

MODULE = "http.client"
fall_back = None  # there is no other hook


def available() -> bool:
    """Return whether ``http.client`` is imported."""
    return _library.available()


def is_stale() -> bool:
    """Return whether it was imported anew since, so that our ``print`` is not in it."""
    return MODULE not in sys.modules or "print" not in vars(sys.modules[MODULE])


def install() -> None:
    """Redact what it prints, unless the application has given it a ``print`` of its own."""
    vars(sys.modules[MODULE]).setdefault("print", _print)


def uninstall() -> None:
    """Give it back Python's ``print``."""
    names = vars(sys.modules[MODULE]) if MODULE in sys.modules else {}
    if names.get("print") is _print:
        del names["print"]


def check() -> bool:
    """Print a random canary into a private buffer, with the function the module would use."""
    from safetwilio.redaction.sinks import canary

    secret, buffer = canary(), io.StringIO()
    chosen = vars(sys.modules[MODULE]).get("print", builtins.print)
    if chosen not in {_print, builtins.print}:
        return True  # the application's own: where it prints to is not for us to try
    chosen("send:", repr(f"GET /{secret}\r\n".encode()), file=buffer)
    return secret not in buffer.getvalue() and "[TWILIO:account:" in buffer.getvalue()


def _print(*values: object, **kwargs: Any) -> None:
    shown = (redact(str(value)) for value in values)
    builtins.print(*shown, **kwargs)  # noqa: T201 - what the module itself would call


def _nothing(module: ModuleType) -> tuple[()]:  # noqa: ARG001 - a name is added, none replaced
    return ()


_library = Library(MODULE, _nothing)
