"""structlog: what the last processor returns is redacted before the wrapped logger gets it.

Every logger of structlog, also the filtering and the asynchronous ones, ends in
``BoundLoggerBase._process_event``. A processor of ours would not do: where the application
configures its own list, it would not be in it.
"""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING, Any

from safetwilio.redaction.engine import redact_value
from safetwilio.redaction.sinks._library import Library
from safetwilio.redaction.sinks._patch import Patch

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import ModuleType

MODULE = "structlog"
_DEPTH = 32


def available() -> bool:
    """Return whether the application has imported ``structlog``."""
    return _library.available()


def is_stale() -> bool:
    """Return whether it was imported anew since."""
    return _library.is_stale()


def install() -> None:
    """Redact every event of this process."""
    _library.apply()


def uninstall() -> None:
    """Restore the method, and the default processors."""
    _library.remove()
    structlog = sys.modules.get(MODULE)
    if structlog is not None:
        processors = structlog.get_config()["processors"]
        processors[:] = [each for each in processors if each is not redact_event]


def fall_back() -> None:
    """Put a last processor into the default list; loggers with a list of their own have none."""
    import structlog

    processors: Any = structlog.get_config()["processors"]
    if redact_event not in processors:
        processors.append(redact_event)


def redact_event(logger: object, name: str, event: Any) -> Any:  # noqa: ARG001 - structlog's own
    """Return *event* redacted: a last processor, which uses neither *logger* nor *name*."""
    return redact_value(event, _DEPTH)


def check() -> bool:
    """Log a random canary to a private buffer, in the event, a value and a traceback."""
    import structlog

    from safetwilio.redaction.sinks import canary

    secret, buffer = canary(), io.StringIO()
    logger = structlog.wrap_logger(
        structlog.PrintLogger(buffer),
        processors=[structlog.processors.format_exc_info, structlog.processors.JSONRenderer()],
        wrapper_class=structlog.BoundLogger,
        context_class=dict,
        cache_logger_on_first_use=False,
    )
    logger.bind(holder=[secret]).error(f"event {secret}", exc_info=ValueError(secret))
    written = buffer.getvalue()
    return secret not in written and written.count("[TWILIO:account:") == 3  # noqa: PLR2004 - above


def _process_event(original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    return redact_value(original(*args, **kwargs), _DEPTH)


def _patches(structlog: ModuleType) -> Sequence[Patch]:
    return [Patch(structlog.BoundLoggerBase, "_process_event", _process_event)]


_library = Library(MODULE, _patches)
