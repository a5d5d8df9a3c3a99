"""The words for a refused webhook, and the error that each of them becomes."""

from __future__ import annotations

import logging
from typing import Literal

from safetwilio.errors import SignatureMismatch, SignerNotAllowed, UnsignedRequest, WebhookError

Reason = Literal[
    "unsigned",
    "wrong-signature",
    "wrong-body",
    "no-body-hash",
    "unreadable",
    "too-large",
    "malformed",
    "unknown-key",
    "algorithm",
    "auth-token",
]

_log = logging.getLogger("safetwilio.webhooks")
_ERRORS: dict[str, tuple[type[WebhookError], str, str]] = {
    "unsigned": (
        UnsignedRequest,
        "ST401",
        "The request has no X-Twilio-Signature: it is not from Twilio.",
    ),
    "wrong-signature": (
        SignatureMismatch,
        "ST402",
        "The signature is not that of any configured secret over this URL and these parameters.",
    ),
    "wrong-body": (
        SignatureMismatch,
        "ST402",
        "The URL is signed, but the body is not the one whose hash is in it.",
    ),
    "no-body-hash": (
        SignatureMismatch,
        "ST402",
        "The request has a body, and no bodySHA256 in its URL: nothing proves the body.",
    ),
    "unreadable": (
        SignatureMismatch,
        "ST402",
        "The body of the request cannot be read as what it says it is.",
    ),
    "too-large": (
        SignatureMismatch,
        "ST402",
        "The request has a larger body than is accepted here.",
    ),
    "malformed": (
        SignatureMismatch,
        "ST402",
        "The request has a form that no request of Twilio's has.",
    ),
    "unknown-key": (
        SignerNotAllowed,
        "ST403",
        "The request names no SharedKey that is configured here.",
    ),
    "algorithm": (
        SignerNotAllowed,
        "ST404",
        "The request is signed with an algorithm that is not allowed here.",
    ),
    "auth-token": (
        SignerNotAllowed,
        "ST405",
        "The request names no SharedKey, and only SharedKeys are accepted here.",
    ),
}


def refusal(reason: Reason) -> WebhookError:
    """Return the error for *reason*."""
    kind, code, message = _ERRORS[reason]
    return kind(message, reason=reason, code=code)


def tell(error: WebhookError) -> None:
    """Log that a webhook was refused: the reason, and nothing of the request.

    What is only unsigned comes from anybody who scans the web, and is no warning.
    """
    level = logging.INFO if error.reason == "unsigned" else logging.WARNING
    _log.log(level, "[%s] A webhook was refused: %s", error.code, error.reason)


def message(reason: Reason) -> str:
    """Return the sentence for *reason*."""
    return _ERRORS[reason][2]
