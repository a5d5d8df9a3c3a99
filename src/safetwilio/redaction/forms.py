"""Every form in which one secret value may stand in a text.

A value of ASCII letters and digits (all of Twilio's are) has *runs*: forms that are again only
letters and digits. They are the value itself, the other case of hex digits, and its three base64
*cores*: those characters of a base64 text that depend on the value alone, whatever stands before
and after it. A core is the same in both base64 alphabets, because an ASCII letter, digit or colon
never gives one of the two characters in which they differ. ``Basic`` credentials hold the core of
their secret, so they need no form of their own.

Any other value (with punctuation, spaces, umlauts) has *literals*, looked for as they are.
"""

from __future__ import annotations

import re
from binascii import b2a_base64

_RUNS = re.compile(rb"[0-9A-Za-z]{20,}")
_HEX = re.compile(rb"(?:AC|SK)?([0-9a-f]{32,}|[0-9A-F]{32,})")
_URL_ALPHABET = bytes.maketrans(b"+/", b"-_")


def encode(value: str) -> bytes:
    """Return *value* as the bytes that are searched for; lone surrogates are kept."""
    return value.encode("utf-8", "surrogatepass")


def is_run(value: str) -> bool:
    """Return whether *value* is only ASCII letters and digits."""
    return value.isascii() and value.isalnum()


def runs(value: str) -> set[bytes]:
    """Return the forms of *value* that are one run of letters and digits.

    Of a value with other characters these are its long parts: a secret pasted with quotes or a
    line break around it is still found without them.
    """
    if not is_run(value):
        return {form for part in _RUNS.findall(encode(value)) for form in runs(part.decode())}
    raw = encode(value)
    forms = {raw, *base64_cores(raw)}
    if _HEX.fullmatch(raw):
        prefix = 2 if raw[:2] in {b"AC", b"SK"} else 0
        forms |= {raw[:prefix] + raw[prefix:].upper(), raw[:prefix] + raw[prefix:].lower()}
    return forms


def literals(value: str) -> set[bytes]:
    """Return the forms of a *value* that has other characters: raw, escaped and in base64."""
    if is_run(value):
        return set()
    import json
    from urllib.parse import quote, quote_plus

    written = {value, repr(value)[1:-1], quote(encode(value), safe=""), quote_plus(encode(value))}
    written |= {json.dumps(w, ensure_ascii=a)[1:-1] for w in tuple(written) for a in (True, False)}
    cores = base64_cores(encode(value))
    return {encode(w) for w in written} | cores | {c.translate(_URL_ALPHABET) for c in cores}


def base64_cores(raw: bytes) -> set[bytes]:
    """Return the base64 characters that *raw* alone decides, for its three possible alignments."""
    return {
        b2a_base64(b"\0" * shift + raw, newline=False)[
            -(-8 * shift // 6) : 8 * (shift + len(raw)) // 6
        ]
        for shift in range(3)
    }
