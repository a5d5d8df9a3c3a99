"""Every form in which one secret value may stand in a text.

Raw and in base64 every fragment of 12 characters is hidden; in the other forms, which need more
characters to say as much, every fragment that holds as much as 12 raw ones.

The base64 forms are the three *cores* of a value: those characters of a base64 text that depend on
the value alone, whatever stands before and after it. ``Basic`` credentials hold the core of their
secret, so they need no form of their own. The core of a value of letters and digits is the same in
both alphabets: an ASCII letter, digit or colon never gives a character in which they differ.
"""

from __future__ import annotations

from binascii import b2a_base64
from typing import NamedTuple

FRAGMENT = 12
"""So many characters in a row of a secret or its base64 text are hidden."""

_LOWER, _UPPER = frozenset("0123456789abcdef"), frozenset("0123456789ABCDEF")
_SHORTEST_HEX = 32
_URL_ALPHABET = bytes.maketrans(b"+/", b"-_")


class Form(NamedTuple):
    """One way to write a value: *text*, any *least* characters of which are hidden."""

    text: bytes
    least: int


def encode(value: str) -> bytes:
    """Return *value* as the bytes that are searched for; lone surrogates are kept."""
    return value.encode("utf-8", "surrogatepass")


def all_forms(value: str) -> list[Form]:
    """Return the forms of *value*, those of which the shortest fragments are hidden first."""
    raw = encode(value)
    plain = {raw, *_other_case(value), *base64_cores(raw)}
    plain |= {core.translate(_URL_ALPHABET) for core in base64_cores(raw)}
    rest = {raw.hex().encode(), raw.hex().upper().encode()}
    if not (value.isascii() and value.isalnum()):
        rest |= _escaped(value)
    found = [Form(text, FRAGMENT) for text in sorted(plain)]
    found += [Form(text, _least(text, raw)) for text in sorted(rest - plain)]
    return sorted(found, key=lambda form: form.least)


def base64_cores(raw: bytes) -> set[bytes]:
    """Return the base64 characters that *raw* alone decides, for its three possible alignments."""
    return {
        b2a_base64(b"\0" * shift + raw, newline=False)[
            -(-8 * shift // 6) : 8 * (shift + len(raw)) // 6
        ]
        for shift in range(3)
    }


def _other_case(value: str) -> set[bytes]:
    """Return what *value* is with its hex digits in the other case, if those are what it has."""
    prefix = value[:2] if value[:2] in {"AC", "SK"} else ""
    digits = value[len(prefix) :]
    if len(digits) < _SHORTEST_HEX or not (_LOWER.issuperset(digits) or _UPPER.issuperset(digits)):
        return set()
    return {encode(prefix + digits.upper()), encode(prefix + digits.lower())}


def _escaped(value: str) -> set[bytes]:
    """Return how Python, JSON, URLs, HTML and shells write a *value* with other characters."""
    import html
    import json
    import shlex
    from urllib.parse import quote, quote_plus

    raw = encode(value)
    written = {repr(value)[1:-1], quote(raw, safe=""), quote(raw), quote_plus(raw)}
    written |= {html.escape(value), html.escape(value, quote=False), shlex.quote(value)[1:-1]}
    written.add(value)
    written |= {json.dumps(w, ensure_ascii=a)[1:-1] for w in tuple(written) for a in (True, False)}
    return {encode(w) for w in written if len(w) >= FRAGMENT}


def _least(text: bytes, raw: bytes) -> int:
    """Return how many characters of *text* say as much as :data:`FRAGMENT` of *raw*."""
    return max(FRAGMENT, -(-FRAGMENT * len(text) // len(raw)))
