"""One line in the log for each request, at DEBUG: what was asked, how it ended, how long it took.

The fields are in the record, too, under the names of OpenTelemetry's conventions where it has one.
No body, no value of a query and no message of an error is in them; SIDs in the path are masked.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from safetwilio.redaction.engine import redact

if TYPE_CHECKING:
    from twilio.http.response import Response

log = logging.getLogger("safetwilio.http")


def write(method: str, url: str, answer: Response | BaseException, seconds: float) -> None:
    """Log that *method* of *url* led to *answer* in *seconds*, with its waiting and retries."""
    host, path = _place(url)
    fields: dict[str, Any] = {
        "http.request.method": method,
        "server.address": host,
        "url.path": path,
        "twilio.duration_ms": round(1000 * seconds, 1),
    }
    if isinstance(answer, BaseException):
        fields["error.type"] = ended = type(answer).__name__
    else:
        number = (answer.headers or {}).get("Twilio-Request-Id")
        fields["http.response.status_code"] = answer.status_code
        fields["twilio.request_id"] = number
        ended = f"{answer.status_code} ({number or 'no request id'})"
    milliseconds = fields["twilio.duration_ms"]
    log.debug("%s %s%s: %s in %.1f ms", method, host, path, ended, milliseconds, extra=fields)


def _place(url: str) -> tuple[str, str]:
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        return "?", ""
    return redact(host or "?"), redact(parts.path)
