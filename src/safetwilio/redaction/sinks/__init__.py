"""The places where text leaves the process, one file each, all with the same small verbs.

A sink of a library has ``MODULE``, whose import it waits for, and ``is_stale()``. The files that
begin with ``_`` are tools of theirs.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol, cast

from safetwilio.redaction.sinks import exceptions, http_client, stdlib_logging, warnings

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


class _Late:
    """The sink in *file*, loaded once there is something to do: when *library* is there.

    Most programs have few of these libraries, and each file would make every start dearer.
    """

    def __init__(self, file: str, library: str = "") -> None:
        self.MODULE = library
        self._name = f"{__name__}.{file}"

    def _sink(self) -> Sink:
        return cast("Sink", import_module(self._name))

    def available(self) -> bool:
        """Return what the sink says, without loading it while there is no library."""
        if self.MODULE and sys.modules.get(self.MODULE) is None:
            return False
        try:
            return self._sink().available()
        except Exception:  # noqa: BLE001 - to install it will fail, and be reported
            return True

    def uninstall(self) -> None:
        """Restore what the sink has changed, if it was ever loaded."""
        if self._name in sys.modules:
            self._sink().uninstall()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._sink(), name)


SINKS: Mapping[str, Sink] = {
    "logging": stdlib_logging,
    "sentry": cast("Sink", _Late("sentry", "sentry_sdk")),
    "exceptions": exceptions,
    "warnings": warnings,
    "http.client": http_client,
    "structlog": cast("Sink", _Late("structlog", "structlog")),
    "loguru": cast("Sink", _Late("loguru", "loguru")),
    "opentelemetry spans": cast("Sink", _Late("otel_spans", "opentelemetry.sdk.trace")),
    "opentelemetry logs": cast("Sink", _Late("otel_logs", "opentelemetry.sdk._logs")),
    "opentelemetry metrics": cast("Sink", _Late("otel_metrics", "opentelemetry.sdk.metrics")),
    "django": cast("Sink", _Late("django", "django.views.debug")),
    "streams": cast("Sink", _Late("console")),
}
ON_REQUEST = "streams"


def canary() -> str:
    """Return a random account SID, which every sink must mask without it being registered."""
    return "AC" + os.urandom(16).hex()
