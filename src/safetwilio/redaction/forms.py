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
from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

FRAGMENT = 12
"""So many characters in a row of a secret or its base64 text are hidden."""

_LOWER, _UPPER = frozenset("0123456789abcdef"), frozenset("0123456789ABCDEF")
_SHORTEST_HEX = 32
_URL_ALPHABET = bytes.maketrans(b"+/", b"-_")


class Form(NamedTuple):
    """One way to write a value: *text*, and how much of it is hidden.

    For each place where :data:`FRAGMENT` bytes of it begin, *least* has the length of the shortest
    piece around them that says as much as so many characters of the value.
    """

    text: bytes
    least: Sequence[int]


def encode(value: str) -> bytes:
    """Return *value* as the bytes that are searched for; lone surrogates are kept."""
    return value.encode("utf-8", "surrogatepass")


def all_forms(value: str) -> list[Form]:
    """Return the forms of *value*."""
    raw = encode(value)
    plain = {raw, *_other_case(value), *base64_cores(raw)}
    plain |= {core.translate(_URL_ALPHABET) for core in base64_cores(raw)}
    found = [_evenly(text, FRAGMENT) for text in plain]
    found += [_evenly(text.encode(), 2 * FRAGMENT) for text in (raw.hex(), raw.hex().upper())]
    if not (value.isascii() and value.isalnum()):
        written = {"".join(parts): parts for parts in _escaped(value)}
        found += map(_by_character, written.values())
    return found


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


def _escaped(value: str) -> list[list[str]]:
    """Return how Python, JSON, URLs, HTML and shells write each of the *value*'s characters."""
    import html
    import json
    from urllib.parse import quote, quote_plus

    in_python = {"'": "\\'" if '"' in value else "'", '"': '"'}
    in_a_shell = {"'": "'\"'\"'"}
    ways: tuple[Callable[[str], str], ...] = (
        str,
        lambda c: in_python.get(c) or repr(c)[1:-1],
        lambda c: quote(encode(c), safe=""),
        lambda c: quote(encode(c)),
        lambda c: quote_plus(encode(c)),
        html.escape,
        lambda c: html.escape(c, quote=False),
        lambda c: in_a_shell.get(c, c),
    )
    tables = [{character: way(character) for character in set(value)} for way in ways]
    tables += [
        {character: json.dumps(part, ensure_ascii=is_ascii)[1:-1] for character, part in t.items()}
        for t in tuple(tables)
        for is_ascii in (True, False)
    ]
    return [[table[character] for character in value] for table in tables]


def _evenly(text: bytes, least: int) -> Form:
    """Return the form of which any *least* characters are hidden."""
    return Form(text, [least] * (len(text) - FRAGMENT + 1))


def _by_character(parts: list[str]) -> Form:
    """Return the form that writes each character of the value as one of *parts*."""
    ends = [0, *accumulate(len(encode(part)) for part in parts)]
    text = encode("".join(parts))
    least = [len(text)] * (len(text) - FRAGMENT + 1)
    for begin, end in zip(ends, ends[FRAGMENT:], strict=False):
        for at in range(begin, end - FRAGMENT + 1):
            least[at] = min(least[at], end - begin)
    return Form(text, least)
