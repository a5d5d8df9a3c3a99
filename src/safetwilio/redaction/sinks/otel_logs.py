"""OpenTelemetry's logs: every processor, and with it every exporter, gets a redacted copy.

Records of ``logging`` come here through the SDK's handler, which reads them as objects.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from safetwilio.redaction.sinks._library import Library
from safetwilio.redaction.sinks._objects import cleaned
from safetwilio.redaction.sinks._patch import Patch

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import ModuleType

MODULE = "opentelemetry.sdk._logs"
fall_back = None  # a processor of ours would come after those that are already there


def available() -> bool:
    """Return whether the application has imported the SDK's logs."""
    return _library.available()


def is_stale() -> bool:
    """Return whether they were imported anew since."""
    return _library.is_stale()


def install() -> None:
    """Redact every record that is emitted in this process."""
    _library.apply()


def uninstall() -> None:
    """Restore the methods."""
    _library.remove()


def check() -> bool:
    """Emit a record with a random canary in every place to a processor of nobody's."""
    from opentelemetry._logs import LogRecord
    from opentelemetry.sdk import _logs
    from opentelemetry.sdk.resources import Resource

    from safetwilio.redaction.sinks import canary

    secret, emitted = canary(), list[Any]()
    internals: Any = import_module(f"{MODULE}._internal")

    class Keep(_logs.LogRecordProcessor):
        """Keeps what it gets."""

        def on_emit(self, log_record: Any) -> None:
            """Keep *log_record*."""
            emitted.append(log_record)

        def shutdown(self) -> None:
            """Hold nothing."""

        def force_flush(self, timeout_millis: int = 0) -> bool:  # noqa: ARG002 - the SDK's name
            """Hold nothing."""
            return True

    record = LogRecord(body={"a": [secret]}, attributes={"holder": secret}, severity_text=secret)
    data = _logs.ReadWriteLogRecord(record, resource=Resource({"name": secret}))
    several = internals.SynchronousMultiLogRecordProcessor()
    several.add_log_record_processor(Keep())
    several.on_emit(data)
    found = emitted[0]
    seen = str((found.log_record.body, dict(found.log_record.attributes)))
    seen += found.log_record.severity_text + str(dict(found.resource.attributes))
    return secret not in seen and seen.count("[TWILIO:account:") == 4  # noqa: PLR2004 - as above


def _on_emit(original: Callable[..., None], several: object, record: Any) -> None:
    original(several, cleaned(record, "opentelemetry."))


def _patches(logs: ModuleType) -> Sequence[Patch]:
    logs = import_module(f"{logs.__name__}._internal")  # they have no public name
    return [
        Patch(logs.SynchronousMultiLogRecordProcessor, "on_emit", _on_emit),
        Patch(logs.ConcurrentMultiLogRecordProcessor, "on_emit", _on_emit),
    ]


_library = Library(MODULE, _patches)
