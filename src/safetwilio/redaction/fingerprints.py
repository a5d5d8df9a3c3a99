"""Short names for secrets: the same value has the same fingerprint in every process and log."""

from __future__ import annotations

import os

KEY_VARIABLE = "SAFETWILIO_FINGERPRINT_KEY"
SHORT = "short"
"""What stands in the mask of a value too short for a fingerprint (in lower case, so never one)."""
_DOMAIN = b"safetwilio fingerprint v1"
_FINGERPRINT_BYTES = 5  # 40 bits: 8 characters of base32
_HEX_DIGITS = frozenset("0123456789abcdefABCDEF")
_SHORTEST_HEX = 32  # 128 bits of 4
_SHORTEST_OTHER = 22  # 128 bits of almost 6


def fingerprint(value: str) -> str:
    """Return the 8 base32 characters that stand for *value* in masks, logs and journals.

    It is HMAC-SHA256 of the value, cut to 40 bits. The key is the environment variable
    ``SAFETWILIO_FINGERPRINT_KEY``, or a fixed string, so that it is the same everywhere.

    :raises RedactionError: ST703, when the value is so short that it could be found by trying
        (below 128 bits: fewer than 32 hex digits, or fewer than 22 other characters).
    """
    if not has_fingerprint(value):
        from safetwilio.errors import RedactionError

        raise RedactionError(
            f"A value of {len(value)} characters gets no fingerprint: it holds fewer than 128 "
            "bits, so whoever reads the fingerprint could find the value by trying.",
            code="ST703",
        )
    from base64 import b32encode
    from hmac import digest

    key = os.environ.get(KEY_VARIABLE, "").encode("utf-8", "surrogatepass") or _DOMAIN
    message = value.encode("utf-8", "surrogatepass")
    return b32encode(digest(key, message, "sha256")[:_FINGERPRINT_BYTES]).decode("ascii")


def has_fingerprint(value: str) -> bool:
    """Return whether *value* has at least the form of 128 random bits."""
    shortest = _SHORTEST_HEX if _HEX_DIGITS.issuperset(value) else _SHORTEST_OTHER
    return len(value) >= shortest
