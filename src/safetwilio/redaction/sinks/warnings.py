"""The ``warnings`` module: the message before it is shown, the text of it before it is printed.

``logging.captureWarnings`` and a ``showwarning`` or ``formatwarning`` of the application get the
cleaned message. A warning turned into an error is an exception like any other.
"""

from __future__ import annotations

import io
import warnings
from typing import TYPE_CHECKING, Any

from safetwilio.redaction.engine import FAILED, redact, redact_value
from safetwilio.redaction.sinks._patch import Patch

if TYPE_CHECKING:
    from collections.abc import Callable


def available() -> bool:
    """Return ``True``: the module is always there."""
    return True


def install() -> None:
    """Redact every warning of this process."""
    for patch in _PATCHES:
        patch.apply()


def uninstall() -> None:
    """Restore the functions."""
    for patch in (*_PATCHES, _PUBLIC):
        patch.remove()


def fall_back() -> None:
    """Wrap ``formatwarning``; who replaces it or ``showwarning`` sees the message itself."""
    _PUBLIC.apply()


def check() -> bool:
    """Show a warning with a random canary in a private buffer, as Python would."""
    from safetwilio.redaction.sinks import canary

    secret, buffer = canary(), io.StringIO()
    shown = warnings.WarningMessage(
        message=UserWarning(secret), category=UserWarning, filename=secret, lineno=1, line=secret
    )
    patched: Any = warnings
    clean(shown)
    buffer.write(patched._formatwarnmsg(shown) + patched._formatwarnmsg_impl(shown))  # noqa: SLF001
    return (
        all(patch.is_applied for patch in _PATCHES)
        and secret not in buffer.getvalue() + str(shown.message)
        and "[TWILIO:account:" in buffer.getvalue()
    )


def clean(shown: Any) -> None:
    """Mask every secret in the message of *shown*, in place."""
    try:
        _clean(shown)
    except Exception:  # noqa: BLE001 - fail closed, whatever went wrong
        shown.message = UserWarning(FAILED)


def _clean(shown: Any) -> None:
    message = shown.message
    text = str(message)
    cleaned = redact(text)
    if cleaned is text:
        return
    try:
        arguments: Any = redact_value(message.args)
        message = type(message)(*arguments)
        if redact(str(message)) != str(message):
            message = UserWarning(cleaned)
    except Exception:  # noqa: BLE001 - a class of its own with arguments of its own
        message = UserWarning(cleaned)
    shown.message = message


def _show(original: Callable[..., None], shown: Any) -> None:
    clean(shown)
    original(shown)


def _format(original: Callable[..., str], *args: Any, **kwargs: Any) -> str:
    return redact(original(*args, **kwargs))


_PATCHES = (
    Patch(warnings, "_showwarnmsg", _show),
    Patch(warnings, "_formatwarnmsg", _format),
    Patch(warnings, "_formatwarnmsg_impl", _format),
)
_PUBLIC = Patch(warnings, "formatwarning", _format)
