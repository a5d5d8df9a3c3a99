"""The two headers that Twilio signs with, wherever a framework keeps them.

Both are written by whoever sends the request, and believed only as far as the signature proves.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Any, NamedTuple

from safetwilio.errors import UnsignedRequest

SIGNATURE_HEADER = "X-Twilio-Signature"
FORM = "application/x-www-form-urlencoded"
SETTINGS_HEADER = "X-Twilio-Webhooks-Signature-Settings"

Headers = Mapping[str, Any] | Iterable[tuple[str, str]] | Iterable[tuple[bytes, bytes]]

_ID_LENGTH = 32


class Signer(NamedTuple):
    """What a request says of its signature: the *key* (``None``: an Auth Token), the *algorithm*.

    Either is empty where the header is there and does not say it, or says it twice.
    """

    key: str | None
    algorithm: str


def spellings(header: str) -> tuple[str | bytes, ...]:
    """Return *header*, in lower case, as mappings, ASGI and WSGI have it."""
    lowered = header.lower()
    return lowered, lowered.encode(), "http_" + lowered.replace("-", "_")


_KNOWN: dict[object, str] = {
    spelling: header
    for header in (SIGNATURE_HEADER, SETTINGS_HEADER)
    for spelling in spellings(header)
}


def is_form(content_type: str | None) -> bool:
    """Return whether a request with this *content_type* has parameters that Twilio signs."""
    return (content_type or "").partition(";")[0].strip().lower() == FORM


def pairs(headers: Headers) -> Iterable[tuple[Any, Any]]:
    """Return the names and values of *headers*."""
    return headers.items() if hasattr(headers, "items") else headers


def read(headers: Headers) -> tuple[str | None, str | None]:
    """Return the signature and the settings of *headers*, a mapping, pairs, or a WSGI environ.

    A name that comes twice raises ``ValueError``: which of them counts would be for the sender
    to choose.
    """
    found: dict[str, str] = {}
    for name, value in pairs(headers):
        header = _KNOWN.get(name.lower())
        if header is None:
            continue
        if header in found:
            raise ValueError("a header came twice")
        found[header] = value.decode("latin-1") if isinstance(value, bytes) else value + ""
    return found.get(SIGNATURE_HEADER), found.get(SETTINGS_HEADER)


def signer(settings: str | None, default: str) -> Signer:
    """Return who signed according to *settings*; without any, an Auth Token with *default*."""
    if not settings or not settings.strip():
        return Signer(None, default)
    said: dict[str, str] = {}
    for part in settings.split(","):
        name, _, value = part.partition("=")
        name = name.strip().lower()
        said[name] = "" if name in said else value.strip()
    return Signer(said.get("key", ""), said.get("algorithm", "").upper())


def delivery_id(headers: Headers) -> str:
    """Return the same short text for *headers* of a delivery that Twilio repeats, to find it again.

    It is a hash of the signature, so ask only after
    :meth:`safetwilio.webhooks.Verifier.verify`. Two requests with the same URL and the same
    parameters have the same one.

    :raises UnsignedRequest: ST401, when there is no signature.
    """
    text = _signature_or_none(headers)
    del headers
    if not text:
        raise UnsignedRequest(
            "The request has no X-Twilio-Signature, so it has no delivery id either. Verify it "
            "first.",
            reason="unsigned",
        )
    return sha256(b"safetwilio delivery\n" + text.encode("utf-8", "replace")).hexdigest()[
        :_ID_LENGTH
    ]


def _signature_or_none(headers: Headers) -> str | None:
    try:
        return read(headers)[0]
    except Exception:  # noqa: BLE001 - hostile headers are unsigned ones
        return None
