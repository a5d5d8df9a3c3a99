"""OpenTelemetry's metrics: every reader, and with it every exporter, collects a redacted copy."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from safetwilio.redaction.sinks._library import Library
from safetwilio.redaction.sinks._objects import cleaned
from safetwilio.redaction.sinks._patch import Patch

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import ModuleType

MODULE = "opentelemetry.sdk.metrics"
fall_back = None  # there is no other hook


def available() -> bool:
    """Return whether the application has imported the SDK's metrics."""
    return _library.available()


def is_stale() -> bool:
    """Return whether they were imported anew since."""
    return _library.is_stale()


def install() -> None:
    """Redact everything that is collected in this process."""
    _library.apply()


def uninstall() -> None:
    """Restore the method."""
    _library.remove()


def check() -> bool:
    """Collect a metric of nobody's with a random canary in its name and its attributes."""
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from opentelemetry.sdk.resources import Resource

    from safetwilio.redaction.sinks import canary

    secret, reader = canary(), InMemoryMetricReader()
    provider = MeterProvider([reader], resource=Resource({"name": secret}), shutdown_on_exit=False)
    provider.get_meter(secret).create_counter("sent", description=secret).add(1, {"from": secret})
    data = reader.get_metrics_data()
    provider.shutdown()
    if data is None:  # OTEL_SDK_DISABLED: nothing is collected at all
        return all(patch.is_applied for patch in _library.patches)
    seen = data.to_json()
    return secret not in seen and seen.count("[TWILIO:account:") == 4  # noqa: PLR2004 - as above


def _collect(original: Callable[..., Any], storage: object, *args: Any, **kwargs: Any) -> Any:
    return cleaned(original(storage, *args, **kwargs), "opentelemetry.")


def _patches(metrics: ModuleType) -> Sequence[Patch]:
    storage = import_module(f"{metrics.__name__}._internal.metric_reader_storage")
    return [Patch(storage.MetricReaderStorage, "collect", _collect)]


_library = Library(MODULE, _patches)
