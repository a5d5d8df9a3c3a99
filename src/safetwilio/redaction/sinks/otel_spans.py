"""OpenTelemetry's traces: what an ended span hands to processors is a redacted copy.

Every processor and exporter, whoever wrote it, gets what ``Span._readable_span`` returns. A
processor of ours would not do: it cannot change an ended span, and sees no event of an exception.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from safetwilio.redaction.sinks._library import Library
from safetwilio.redaction.sinks._objects import cleaned
from safetwilio.redaction.sinks._patch import Patch

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import ModuleType

MODULE = "opentelemetry.sdk.trace"
fall_back = None  # the SDK asks processors only once a span has ended, and cannot be changed


def available() -> bool:
    """Return whether the application has imported the SDK's traces."""
    return _library.available()


def is_stale() -> bool:
    """Return whether they were imported anew since."""
    return _library.is_stale()


def install() -> None:
    """Redact every span that ends in this process."""
    _library.apply()


def uninstall() -> None:
    """Restore the method."""
    _library.remove()


def check() -> bool:
    """End a span of nobody's with a random canary in every place, and look at what comes out."""
    from opentelemetry.sdk.trace import SpanProcessor, _Span
    from opentelemetry.trace import SpanContext, Status, StatusCode

    from safetwilio.redaction.sinks import canary

    secret, ended = canary(), list[Any]()

    class Keep(SpanProcessor):
        """Keeps what it gets."""

        def on_end(self, span: Any) -> None:
            """Keep *span*."""
            ended.append(span)

    context = SpanContext(trace_id=1, span_id=1, is_remote=False)
    span: Any = _Span(name=secret, context=context, span_processor=Keep())
    span.start()
    span.set_attribute("list", [secret])
    span.add_event(secret, {"holder": secret})
    span.record_exception(RuntimeError(secret))
    span.set_status(Status(StatusCode.ERROR, secret))
    span.end()
    if len(ended) != 1:
        return False
    seen = ended[0].to_json() + str([dict(e.attributes) for e in ended[0].events])
    return secret not in seen and seen.count("[TWILIO:account:") > 5  # noqa: PLR2004 - as above


def _readable_span(original: Callable[..., Any], span: object) -> Any:
    return cleaned(original(span), "opentelemetry.")


def _patches(trace: ModuleType) -> Sequence[Patch]:
    return [Patch(trace.Span, "_readable_span", _readable_span)]


_library = Library(MODULE, _patches)
