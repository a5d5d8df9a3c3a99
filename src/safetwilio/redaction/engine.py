"""Finding secrets in any text and putting masks in their place.

A text without a secret is the common case and must cost almost nothing, so it is searched in two
steps. First it is reduced to two symbols, letter-or-digit and anything else; when no run of
letters and digits is as long as the shortest fragment that is hidden, the text is clean. Only else
are the runs compared with the fragments of the registered secrets (:mod:`.grams`), and searched
for what is secret by its shape or its surroundings (:mod:`.patterns`, :mod:`.jwts`).
This is complete because every fragment (see :mod:`.forms`) is one such run, or a part of one. When
a registered value has other characters, these count as letters too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from safetwilio.redaction import jwts, patterns, wrapping
from safetwilio.redaction.fingerprints import SHORT, fingerprint, has_fingerprint
from safetwilio.redaction.grams import ANCHOR, STEP, Grams
from safetwilio.redaction.patterns import SID_LENGTH, Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["FAILED", "Choices", "Kind", "Matcher", "mask", "publish"]
__all__ += ["redact", "redact_bytes", "redact_value"]

Shown = bytes | tuple[Kind, bytes]
"""A mask, or the SID or JWT whose mask is made only when it is shown."""
Span = tuple[int, int, Shown]

FAILED = "[TWILIO:redaction-failed]"
"""What stands for a whole text that could not be searched."""

_HIDDEN: dict[Kind, str] = {"body": "dropped", "phone": "hidden"}  # a fingerprint would tell them
_SHORTEST_VALUE = 32  # of what is secret by its surroundings
_GOES_ON = b"+/_-.\\"
_LEADS = ((4, 0xF0), (3, 0xE0), (2, 0xC0))  # how long the characters are that begin so
_CONTINUATION = range(0x80, 0xC0)  # the bytes of UTF-8 that never begin a character


def mask(kind: Kind, label: str) -> bytes:
    """Return what is shown for a secret of *kind*; *label* is its fingerprint.

    It has no quote, backslash or run of letters that could break JSON or be taken for a secret.
    """
    return f"[TWILIO:{kind}:{label}]".encode()


class Choices(NamedTuple):
    """What is hidden besides secrets, if wanted."""

    phone_numbers: bool = False
    bodies: bool = False


class Known:
    """What sinks have found to hold no secret of one matcher, with which it is forgotten.

    Each is replaced as a whole, so threads need no lock: they can only find less here.
    """

    __slots__ = ("names", "payload", "text")

    def __init__(self) -> None:
        """Know of nothing yet."""
        self.names: set[object] = set()  # in log records, all of one together
        self.payload = b""  # the last that a transport of Sentry's was handed
        self.text = ""  # the last message of a log record


class Matcher:
    """An immutable set of secrets that can be found in bytes; replaced as a whole, never changed.

    *values* maps each secret to its mask. ``shape`` is the table that reduces a text to two
    symbols; one in which ``needle`` does not stand then, and no SendGrid key, is clean. They are
    made for the first text: of the matchers of a boot, one for each value, only the last has one.
    (Not in a ``__getattr__``, which would make every other attribute slower to read.)
    """

    __slots__ = (
        *("_choices", "_grams", "_is_ascii", "_values"),
        *("is_ready", "known", "needle", "shape"),
    )

    def __init__(
        self, values: Iterable[tuple[str, bytes]] = (), choices: Choices | None = None
    ) -> None:
        """Keep *values* for the first search."""
        self._values = tuple(values)
        self._choices = choices or Choices()
        self.is_ready = False
        self.known = Known()

    def prepared(self) -> Matcher:
        """Return this one with all forms; threads that come together each make them, unlocked."""
        if not self.is_ready:
            grams = self._grams = Grams(self._values, jwts.CORES)
            self._is_ascii = grams.is_ascii
            self.shape = grams.shape
            # With a choice even a text without a long run has to be searched.
            self.needle = b"" if any(self._choices) else grams.needle
            self.is_ready = True
        return self

    def __repr__(self) -> str:
        return f"<Matcher of {len(self._values)} values>"

    def redact(self, data: bytes, *, same_length: bool = False) -> bytes:
        """Return *data* with a mask for each secret; the same object when there is none.

        With *same_length* a mask is cut or filled up with asterisks to the length of the secret.
        """
        shape = data.translate(self.prepared().shape)
        if shape.find(self.needle) < 0 and not patterns.may_have_sendgrid_keys(data):
            return data
        return self.search(data, shape, same_length=same_length)

    def search(self, data: bytes, shape: bytes, *, same_length: bool = False) -> bytes:
        """Do what :meth:`redact` does with *data* of which the *shape* is not known to be clean."""
        spans = self._spans(data, shape)
        return _splice(data, spans, same_length=same_length) if spans else data

    def spans(self, data: bytes) -> list[Span]:
        """Return what is hidden in *data*, in order, without overlaps, each with its mask.

        Of those that overlap, the longest gives the mask for all they cover.
        """
        return self._spans(data, data.translate(self.prepared().shape))

    def unfinished(self, data: bytes) -> int:
        """Return the first place in *data* from which on what is hidden may depend on what follows.

        What :meth:`spans` says of everything before it will not change.
        """
        self.prepared()
        if self._is_finished(data):
            return len(data)
        joined, places = wrapping.unwrapped(data, with_last=True)
        begin = min(
            places.original(self._grams.unfinished(joined)),
            patterns.unfinished(data),
            jwts.unfinished(data),
            patterns.unfinished_number(data) if self._choices.phone_numbers else len(data),
            patterns.unfinished_body(data) if self._choices.bodies else len(data),
        )
        open_ended = [(c[0], c[1]) for c in self._chains(joined, places)]
        open_ended += [span[:2] for span in self.spans(data)]
        for start, end in sorted(open_ended, reverse=True):
            if start < begin < end:
                begin = start
        return begin if self._is_ascii else _whole_characters(data, begin)

    def _is_finished(self, data: bytes) -> bool:
        """Return whether the last byte of *data* shows that nothing goes on behind it."""
        if not data or self._choices.bodies:
            return not data
        last = data[-1:]
        if not self._is_ascii and not last.isascii():
            return False
        if last in b"\r\n" and last.translate(self.shape) == b" ":
            return not wrapping.ends_in_full_line(data)
        return last.translate(self.shape) == b" " and last not in _GOES_ON

    def _spans(self, data: bytes, shape: bytes) -> list[Span]:
        found: list[Span] = []
        known, sids, credentials = self._look_at_runs(data, shape, found)
        if wrapping.has_full_line(data):
            joined, places = wrapping.unwrapped(data)
            if joined is not data:
                found += (c[:3] for c in self._chains(joined, places) if c[3])
        if known:
            found += (c[:3] for c in self._chains(data, None) if c[3])
            found += ((b, e, ("jwt", data[b:e])) for b, e in jwts.stretches(data))
        sendgrid = patterns.may_have_sendgrid_keys(data)
        if sids or credentials or sendgrid or any(self._choices):
            by_pattern = self._by_pattern(data, sids=sids, credentials=credentials)
            found += ((b, e, (kind, value)) for b, e, kind, value in by_pattern)
        return self._merged(data, found) if found else found

    def _look_at_runs(
        self, data: bytes, shape: bytes, found: list[Span]
    ) -> tuple[bool, bool, bool]:
        """Return whether any run may hold a fragment, a SID, or be a secret by what precedes it.

        A run that is one whole form goes into *found*.
        """
        known = sids = credentials = False
        anchors, needle = self._grams.anchors, self._grams.needle
        run = shape.find(needle)
        while run >= 0:
            end = shape.find(b" ", run)
            if end < 0:
                end = len(data)
            at, last = run, end - ANCHOR
            while at <= last and data[at : at + ANCHOR] not in anchors:
                at += STEP
            if at <= last:
                whole = self._grams.whole.get(data[run:end])
                if whole:
                    found.append((run, end, whole))
                else:
                    known = True
            if end - run >= _SHORTEST_VALUE:
                last = end - _SHORTEST_VALUE
                credentials = credentials or patterns.may_name_a_secret(data, run, last)
                if not sids and end - run >= SID_LENGTH:
                    sids = data.find(b"AC", run, end) >= 0 or data.find(b"SK", run, end) >= 0
            run = shape.find(needle, end)
        return known, sids, credentials

    def _by_pattern(
        self, data: bytes, *, sids: bool, credentials: bool
    ) -> Iterator[patterns.Stretch]:
        if sids:
            yield from patterns.sids(data)
            yield from patterns.pairs(data)
        if credentials:
            yield from patterns.credentials(data)
            yield from patterns.basic(data)
        if patterns.may_have_sendgrid_keys(data):
            yield from patterns.sendgrid_keys(data)
        if self._choices.phone_numbers:
            yield from patterns.phone_numbers(data)
        if self._choices.bodies:
            yield from patterns.bodies(data)

    def _chains(
        self, data: bytes, places: wrapping.Places | None
    ) -> Iterator[tuple[int, int, bytes, bool]]:
        """Yield where fragments begin and end, their mask, and whether they are long enough."""
        for begin, end, shown, is_hidden in self._grams.chains(data):
            if places:
                yield places.original(begin), places.original(end - 1) + 1, shown, is_hidden
            else:
                yield begin, end, shown, is_hidden

    def _merged(self, data: bytes, spans: list[Span]) -> list[Span]:
        if not self._is_ascii:
            spans = [(*_characters(data, begin, end), shown) for begin, end, shown in spans]
        spans.sort(key=lambda span: (span[0], -span[1]))
        merged: list[Span] = []
        whole = self._grams.whole
        begin, end, shown = spans[0]
        longest = end - begin
        for next_begin, next_end, next_shown in spans[1:]:
            if next_begin >= end:
                merged.append((begin, end, whole.get(data[begin:end], shown)))
                begin, end, shown = next_begin, next_end, next_shown
                longest = end - begin
                continue
            if next_end - next_begin > longest:
                longest, shown = next_end - next_begin, next_shown
            end = max(end, next_end)
        merged.append((begin, end, whole.get(data[begin:end], shown)))
        return merged


def _characters(data: bytes, begin: int, end: int) -> tuple[int, int]:
    """Return *begin* and *end* moved outwards so that they split no character of UTF-8."""
    for _ in range(3):
        if begin and begin < len(data) and data[begin] in _CONTINUATION:
            begin -= 1
        if end < len(data) and data[end] in _CONTINUATION:
            end += 1
    return begin, end


def _whole_characters(data: bytes, end: int) -> int:
    """Return *end*, or where the character begins that it would split."""
    for begin in range(end - 1, max(0, end - 4) - 1, -1):
        if data[begin] not in _CONTINUATION:
            length = next((n for n, lead in _LEADS if data[begin] >= lead), 1)
            return begin if begin + length > end else end
    return end


def written(shown: Shown) -> bytes:
    """Return the mask that stands for *shown*."""
    if isinstance(shown, bytes):
        return shown
    kind, found = shown
    if kind in _HIDDEN:
        return mask(kind, _HIDDEN[kind])
    value = found.decode("utf-8", "replace")
    return mask(kind, fingerprint(value) if has_fingerprint(value) else SHORT)


def _splice(data: bytes, spans: list[Span], *, same_length: bool) -> bytes:
    parts: list[bytes] = []
    done = 0
    for begin, end, shown in spans:
        label = written(shown)
        if same_length:
            size = end - begin
            label = label.ljust(size, b"*") if len(label) <= size else b"*" * size
        parts += (data[done:begin], label)
        done = end
    parts.append(data[done:])
    return b"".join(parts)


_current = Matcher()
_CONTAINERS: tuple[type, ...] = (dict, list, tuple, set, frozenset)


def publish(matcher: Matcher) -> None:
    """Make *matcher* the one that :func:`redact` uses from now on; a single, atomic assignment."""
    global _current  # noqa: PLW0603 - the one snapshot all readers share, read without a lock
    _current = matcher


def current() -> Matcher:
    """Return the matcher that :func:`redact` uses now, ready for use."""
    matcher = _current
    return matcher if matcher.is_ready else matcher.prepared()


def redact(text: str) -> str:
    """Return *text* with a mask in place of every Twilio secret.

    The same object comes back when there is none. It never raises: a text that cannot be searched
    is replaced by ``[TWILIO:redaction-failed]`` as a whole.
    """
    try:
        try:
            data = text.encode()  # twice as fast as with arguments
        except UnicodeEncodeError:
            data = text.encode("utf-8", "surrogatepass")
        matcher = _current
        if not matcher.is_ready:
            matcher.prepared()
        # To look for one letter costs next to nothing, and most texts do not have it.
        shape = data.translate(matcher.shape)
        if "G" not in text and shape.find(matcher.needle) < 0:
            return text
        clean = matcher.search(data, shape)
        return text if clean is data else clean.decode("utf-8", "surrogatepass")
    except Exception:  # noqa: BLE001 - fail closed, whatever went wrong
        return FAILED


def redact_bytes(data: bytes, *, same_length: bool = False) -> bytes:
    """Return *data* with a mask in place of every Twilio secret, as :func:`redact` does.

    With *same_length* every mask is as long as what it hides, cut or filled up with asterisks, so
    that lengths written elsewhere in a binary format stay true.
    """
    try:
        return _current.redact(data, same_length=same_length)
    except Exception:  # noqa: BLE001 - fail closed, whatever went wrong
        return b"*" * len(data) if same_length else FAILED.encode()


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
