"""Django's page for an uncaught exception, and the mail of it to the admins.

Its own filter goes by names, and shows ``TWILIO_ACCOUNT_SID``, nested settings and the local
variables of every frame. Every report, also that of a reporter class of the application, is made by
one of two methods; one that overrides them without calling them is not covered.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from safetwilio.redaction.engine import redact_value
from safetwilio.redaction.signatures import hide_signatures
from safetwilio.redaction.sinks._library import Library
from safetwilio.redaction.sinks._patch import Patch

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import ModuleType

MODULE = "django.views.debug"
fall_back = None  # DEFAULT_EXCEPTION_REPORTER is a setting of the application's


def available() -> bool:
    """Return whether the application has imported Django's error pages."""
    return _library.available()


def is_stale() -> bool:
    """Return whether they were imported anew since."""
    return _library.is_stale()


def install() -> None:
    """Redact every report."""
    _library.apply()


def uninstall() -> None:
    """Restore the methods."""
    _library.remove()


def check() -> bool:
    """Make a report from a random canary, without the settings of the application."""
    from safetwilio.redaction.sinks import canary

    secret = canary()
    debug: Any = import_module(MODULE)

    class Reporter(debug.ExceptionReporter):  # type: ignore[misc]
        """A report of nothing but the canary."""

        def get_traceback_data(self) -> dict[str, Any]:
            """Return what the templates show."""
            return {"exception_type": secret, "exception_value": secret, "frames": []}

    reporter = Reporter.__new__(Reporter)  # its __init__ needs the settings
    seen = str(reporter.get_traceback_html()) + str(reporter.get_traceback_text())
    return secret not in seen and "[TWILIO:account:" in seen


def _report(original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    text = original(*args, **kwargs)
    cleaned = redact_value(_without_signatures(text))
    return text if cleaned is text else type(text)(cleaned)  # Django's SafeString


def _without_signatures(text: object) -> object:
    """Return *text*, which shows the headers of the request, without Twilio's signature."""
    if not isinstance(text, str):
        return text
    data = text.encode("utf-8", "surrogatepass")
    hidden = hide_signatures(data)
    return text if hidden is data else hidden.decode("utf-8", "surrogatepass")


def _patches(debug: ModuleType) -> Sequence[Patch]:
    return [
        Patch(debug.ExceptionReporter, "get_traceback_html", _report),
        Patch(debug.ExceptionReporter, "get_traceback_text", _report),
    ]


_library = Library(MODULE, _patches)
