"""Finding secrets in any text and putting masks in their place.

A text without a secret is the common case and must cost almost nothing, so it is searched in two
steps. First it is reduced to two symbols, letter-or-digit and anything else; when no run of
letters and digits is as long as the shortest secret, the text is clean. Only else are the long
runs compared with the forms of the registered secrets, with ``AC…``/``SK…`` SIDs and with the
headers of access tokens.
This is complete because every form (see :mod:`safetwilio.redaction.forms`) is one such run;
a value with other characters is searched for as it is.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Literal

from safetwilio.redaction import forms, jwts
from safetwilio.redaction.fingerprints import fingerprint

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Kind = Literal["account", "jwt", "key", "secret", "token"]
Shown = bytes | tuple[Kind, bytes]
"""A mask, or the SID or JWT whose mask is made only when it is shown."""
Span = tuple[int, int, Shown]

FAILED = "[TWILIO:redaction-failed]"
"""What stands for a whole text that could not be searched."""

_SHAPE = bytes(ord("a" if chr(c).isalnum() and c < 128 else " ") for c in range(256))  # noqa: PLR2004
_SID_LENGTH = 34
_SIDS: tuple[tuple[str, Kind, re.Pattern[bytes]], ...] = (
    ("AC", "account", re.compile(rb"AC(?=[0-9a-fA-F]{32})")),
    ("SK", "key", re.compile(rb"SK(?=[0-9a-fA-F]{32})")),
)


def mask(kind: Kind, label: str) -> bytes:
    """Return what is shown for a secret of *kind*; *label* is its fingerprint.

    It has no quote, backslash or run of letters that could break JSON or be taken for a secret.
    """
    return f"[TWILIO:{kind}:{label}]".encode()


class Matcher:
    """An immutable set of secrets that can be found in bytes; replaced as a whole, never changed.

    *values* maps each secret to its mask.
    """

    __slots__ = ("_exact", "_literals", "_minimum", "_needle", "_runs", "_size")

    def __init__(self, values: Iterable[tuple[str, bytes]] = ()) -> None:
        """Prepare all forms of *values*."""
        pairs = tuple(values)
        found = {form: mask for value, mask in pairs for form in forms.runs(value)}
        self._size = len(pairs)
        self._exact = found
        self._runs = tuple((f.decode(), f, found[f]) for f in sorted(found, key=len))
        self._literals = tuple({f: mask for v, mask in pairs for f in forms.literals(v)}.items())
        shortest = min((_SID_LENGTH, *map(len, found)))
        self._needle = b"a" * shortest
        self._minimum = min((shortest, *(len(form) for form, _ in self._literals)))

    def __repr__(self) -> str:
        return f"<Matcher of {self._size} values>"

    def redact(self, data: bytes) -> bytes:
        """Return *data* with a mask for each secret; the same object when there is none."""
        if len(data) < self._minimum:
            return data
        shape = data.translate(_SHAPE)
        start = shape.find(self._needle)
        if start < 0 and not self._literals:
            return data
        spans = [*self._spans(data, shape, start)]
        return _splice(data, spans) if spans else data

    def _spans(self, data: bytes, shape: bytes, start: int) -> Iterator[Span]:
        # As a str, because "in" takes a tenth of the time it takes with bytes.
        suspects = b" ".join(self._suspects(data, shape, start)).decode("ascii")
        for text, form, shown in self._runs:
            if len(text) > len(suspects):
                break
            if text in suspects:
                for begin, end in _united(_occurrences(data, form), len(form)):
                    yield begin, end, shown
        yield from _shaped(data, suspects)
        for form, shown in self._literals:
            for begin, end in _united(_occurrences(data, form), len(form)):
                yield begin, end, shown

    def _suspects(self, data: bytes, shape: bytes, start: int) -> Iterator[bytes]:
        """Yield the runs that may hold a form; one as long as the shortest must be that form."""
        shortest = len(self._needle)
        while start >= 0:
            end = shape.find(b" ", start)
            run = data[start:] if end < 0 else data[start:end]
            if len(run) > shortest or shortest == _SID_LENGTH or run in self._exact:
                yield run
            start = -1 if end < 0 else shape.find(self._needle, end)


def _shaped(data: bytes, suspects: str) -> Iterator[Span]:
    """Yield what is secret by its shape alone, registered or not."""
    for prefix, kind, sid in _SIDS:
        if prefix in suspects:
            for begin, end in _united((m.start() for m in sid.finditer(data)), _SID_LENGTH):
                yield begin, end, (kind, data[begin : begin + _SID_LENGTH])
    if jwts.may_be_in(suspects):
        for begin, end in jwts.stretches(data):
            yield begin, end, ("jwt", data[begin:end])


def _occurrences(data: bytes, form: bytes) -> Iterator[int]:
    at = data.find(form)
    while at >= 0:
        yield at
        at = data.find(form, at + 1)


def _united(starts: Iterable[int], length: int) -> Iterator[tuple[int, int]]:
    """Yield the stretches covered by what begins at *starts*: one for all that overlap.

    So there are never more than fit side by side, however often a text repeats itself.
    """
    begin = end = -1
    for start in starts:
        if start >= end:
            if end >= 0:
                yield begin, end
            begin = start
        end = start + length
    if end >= 0:
        yield begin, end


def _written(shown: Shown) -> bytes:
    if isinstance(shown, bytes):
        return shown
    kind, found = shown
    return mask(kind, fingerprint(found.decode("ascii")))


def _splice(data: bytes, spans: list[Span]) -> bytes:
    """Replace *spans*; of those that overlap, the longest gives the mask for all they cover."""
    spans.sort(key=lambda span: (span[0], -span[1]))
    parts: list[bytes] = []
    done = 0
    start, end, shown = spans[0]
    longest = end - start
    for next_start, next_end, next_shown in spans[1:]:
        if next_start >= end:
            parts += (data[done:start], _written(shown))
            done, start, end, shown = end, next_start, next_end, next_shown
            longest = end - start
            continue
        if next_end - next_start > longest:
            longest, shown = next_end - next_start, next_shown
        end = max(end, next_end)
    parts += (data[done:start], _written(shown), data[end:])
    return b"".join(parts)


_current = Matcher()
_CONTAINERS: tuple[type, ...] = (dict, list, tuple, set, frozenset)


def publish(matcher: Matcher) -> None:
    """Make *matcher* the one that :func:`redact` uses from now on; a single, atomic assignment."""
    global _current  # noqa: PLW0603 - the one snapshot all readers share, read without a lock
    _current = matcher


def redact(text: str) -> str:
    """Return *text* with a mask in place of every Twilio secret.

    The same object comes back when there is none. It never raises: a text that cannot be searched
    is replaced by ``[TWILIO:redaction-failed]`` as a whole.
    """
    try:
        data = text.encode("utf-8", "surrogatepass")
        clean = _current.redact(data)
        return text if clean is data else clean.decode("utf-8", "surrogatepass")
    except Exception:  # noqa: BLE001 - fail closed, whatever went wrong
        return FAILED


def redact_bytes(data: bytes) -> bytes:
    """Return *data* with a mask in place of every Twilio secret, as :func:`redact` does."""
    try:
        return _current.redact(data)
    except Exception:  # noqa: BLE001 - fail closed, whatever went wrong
        return FAILED.encode()


def redact_value(value: object, depth: int = 6) -> object:
    """Return *value* with the strings in it redacted, down to *depth* nested containers.

    Strings, bytes and dict, list, tuple and sets are looked into, also those of derived types,
    which become the built-in ones when something in them is masked. What is nested deeper is
    replaced by ``[TWILIO:redaction-failed]``. Any other object is left alone (its ``repr`` may be
    expensive). What holds no secret comes back as it is.
    """
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, bytes):
        return redact_bytes(value)
    if isinstance(value, bytearray):
        cleaned = redact_bytes(bytes(value))
        return value if cleaned == value else bytearray(cleaned)
    if not isinstance(value, _CONTAINERS) or not value:
        return value
    return _redact_members(value, depth) if depth else FAILED


def _redact_members(value: Any, depth: int) -> object:
    if isinstance(value, dict):
        pairs = [(redact_value(k, depth - 1), redact_value(v, depth - 1)) for k, v in value.items()]
        same = all(k is a and v is b for (k, v), (a, b) in zip(value.items(), pairs, strict=True))
        return value if same else dict(pairs)
    members = list(value)
    clean = [redact_value(member, depth - 1) for member in members]
    same = all(old is new for old, new in zip(members, clean, strict=True))
    return value if same else next(k for k in _CONTAINERS if isinstance(value, k))(clean)
