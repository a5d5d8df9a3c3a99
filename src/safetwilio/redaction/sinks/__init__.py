"""The places where text leaves the process, one file each, all with the same small verbs.

A sink of a library has ``MODULE``, whose import it waits for, and ``is_stale()``. The files that
begin with ``_`` are tools of theirs.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Protocol

from safetwilio.redaction.sinks import (
    console,
    django,
    exceptions,
    http_client,
    loguru,
    otel_logs,
    otel_metrics,
    otel_spans,
    sentry,
    stdlib_logging,
    structlog,
    warnings,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class Sink(Protocol):
    """What a sink's module offers."""

    def available(self) -> bool:
        """Return whether the library is loaded, so that the sink can be installed now."""

    def install(self) -> None:
        """Redact everything that goes through; installing twice is harmless."""

    def uninstall(self) -> None:
        """Restore what was there before :meth:`install` or :meth:`fall_back`."""

    def check(self) -> bool:
        """Send a random canary through the sink into a private buffer; return whether it held."""

    @property
    def fall_back(self) -> Callable[[], None] | None:
        """What uses the library's public hooks instead, which see less, if it has any."""


SINKS: Mapping[str, Sink] = {
    "logging": stdlib_logging,
    "sentry": sentry,
    "exceptions": exceptions,
    "warnings": warnings,
    "http.client": http_client,
    "structlog": structlog,
    "loguru": loguru,
    "opentelemetry spans": otel_spans,
    "opentelemetry logs": otel_logs,
    "opentelemetry metrics": otel_metrics,
    "django": django,
    "streams": console,
}
ON_REQUEST = "streams"


def canary() -> str:
    """Return a random account SID, which every sink must mask without it being registered."""
    return "AC" + os.urandom(16).hex()
