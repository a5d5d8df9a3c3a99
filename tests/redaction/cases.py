"""Texts that hold secrets in every form the documentation promises to mask, and what they leave.

The check shares no code with the engine: it lists the pieces that may not be left, and looks for
them. Everything comes from one ``random.Random``, so a number gives a case again, and Hypothesis,
which has one of its own, can shrink it.
"""

from __future__ import annotations

import base64
import html
import json
import re
import shlex
import string
import urllib.parse
from io import BytesIO, StringIO
from random import Random
from typing import TYPE_CHECKING, NamedTuple

from safetwilio import redaction

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

LEAST = 12  # so many characters in a row are a leak
CASES_PER_WORLD = 40  # to register a secret costs more than to look for it
FAILED = b"[TWILIO:redaction-failed]"
ALNUM = string.ascii_letters + string.digits
HEX = "0123456789abcdef"
PUNCTUATION = " \"'\\/+%&<>=?\n\täöß€😀"
BREAKS = ("\n", "\r\n", "\\n", "\\r\\n")
LONG_HEX = re.compile(rb"[0-9a-f]{24}|[0-9A-F]{24}")
# What stands around a secret: nothing, what is glued to it, and what is far from it.
GLUE = (
    *("", "", "", " ", "\n", "\r\n", "\r\r\n", "'", '"', "=", ":", "/", "-", "_", ".", "&", "@"),
    *("\\n", "\\u00e9", "%3A", "%2F", "\x1b[31m", "\x1b[0m", "é", "ß", "😀", "\0", "\ud800", "<b>"),
    *("x", "f", "0", "AC", "SK", "abc", "ffff", "eyJ", "SG.", "https://u:", "@host/", "key=", "=="),
    *("0123456789a", "an ordinary line of a log", '{"level": "info", "to": "'),
)
SEPARATORS = ("", " ", "\n", '"', "&", ";", "\r\n", "é", ")")


class Case(NamedTuple):
    """A *text*, the *forms* of secrets in it, and whether its lines are to be joined to read it.

    What *whole* lists may not be left either: secrets that are told by what stands before them.
    """

    text: str
    forms: tuple[str, ...]
    is_wrapped: bool = False
    whole: tuple[bytes, ...] = ()


def encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def some(rng: Random, alphabet: str, length: int) -> str:
    return "".join(rng.choices(alphabet, k=length))


def windows(data: bytes, size: int = LEAST) -> Iterator[bytes]:
    places = map(slice, range(len(data) - size + 1), range(size, len(data) + 1))
    return map(data.__getitem__, places)


def base64_cores(raw: bytes) -> Iterator[bytes]:
    """Yield those characters of its base64 that are the same whatever stands around *raw*."""
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        for before in range(3):
            texts = [
                encode(fill * before + raw + fill * (-(before + len(raw)) % 3))
                for fill in (b"\0", b"\xff")
            ]
            same = [a == b for a, b in zip(*texts, strict=True)]
            first = same.index(True)
            last = len(same) - same[::-1].index(True)
            yield texts[0][first:last]


def _in_python(value: str) -> list[str]:
    quote = "\\'" if '"' in value else "'"
    return [quote if c == "'" else c if c == '"' else repr(c)[1:-1] for c in value]


# How a value with other characters is written, character by character.
WRITERS: dict[str, Callable[[str], list[str]]] = {
    "repr": _in_python,
    "JSON": lambda v: [json.dumps(c)[1:-1] for c in v],
    "JSON in UTF-8": lambda v: [json.dumps(c, ensure_ascii=False)[1:-1] for c in v],
    "URL": lambda v: [urllib.parse.quote(c, safe="") for c in v],
    "path": lambda v: [urllib.parse.quote(c) for c in v],
    "query": lambda v: [urllib.parse.quote_plus(c) for c in v],
    "HTML": lambda v: [html.escape(c) for c in v],
    "shell": lambda v: ["'\"'\"'" if c == "'" else c for c in v],
}
WHOLE: dict[str, Callable[[str], str]] = {
    "repr": lambda v: repr(v)[1:-1],
    "JSON": lambda v: json.dumps(v)[1:-1],
    "JSON in UTF-8": lambda v: json.dumps(v, ensure_ascii=False)[1:-1],
    "URL": lambda v: urllib.parse.quote(v, safe=""),
    "path": urllib.parse.quote,
    "query": urllib.parse.quote_plus,
    "HTML": html.escape,
    "shell": lambda v: shlex.quote(v)[1:-1],
}


class World:
    """Up to four registered secrets, and every piece of them that may not be left."""

    def __init__(self, rng: Random) -> None:  # noqa: D107
        self.values: list[str] = []
        for _ in range(rng.randint(1, 4)):
            self.values.append(rng.choice(MAKERS)(rng, self.values))
        self.short: set[bytes] = set()
        self.hex: set[bytes] = set()
        self.written: set[bytes] = set()
        for value in self.values:
            self._forbid(value)

    def _forbid(self, value: str) -> None:
        raw = encoded(value)
        self.short.update(windows(raw))
        for other in in_other_cases(value):
            self.short.update(windows(encoded(other)))
        for core in base64_cores(raw):
            self.short.update(windows(core))
        for digits in (raw.hex(), raw.hex().upper()):
            self.hex.update(windows(digits.encode(), 2 * LEAST))
        if not (value.isascii() and value.isalnum()):
            for write in WRITERS.values():
                parts = write(value)
                for at in range(len(parts) - LEAST + 1):
                    self.written.add(encoded("".join(parts[at : at + LEAST])))

    def register(self) -> None:
        """Make these the only registered secrets."""
        redaction.registry.registry._change(lambda _: {})
        for value in self.values:
            redaction.register(value, "secret")

    def left(self, case: Case, output: bytes) -> list[bytes]:
        """Return which pieces of secrets are left in *output*, made of the text of *case*."""
        found = self._left(output)
        if case.is_wrapped:
            found += self._left(re.sub(rb"\\r\\n|\\n|\r|\n", b"", output))
        return found + [whole for whole in case.whole if whole in output]

    def _left(self, output: bytes) -> list[bytes]:
        found = self.short.intersection(windows(output))
        if LONG_HEX.search(output):
            found |= self.hex.intersection(windows(output, 2 * LEAST))
        return [*found, *(piece for piece in self.written if piece in output)]


def in_other_cases(value: str) -> Iterator[str]:
    prefix = value[:2] if value[:2] in {"AC", "SK"} else ""
    digits = value[len(prefix) :]
    if len(digits) == 32 and (set(digits) <= set(HEX) or set(digits) <= set(HEX.upper())):
        yield from (prefix + digits.lower(), prefix + digits.upper())


# How secrets are made.


def _awkward(rng: Random, _: list[str]) -> str:
    length = rng.randint(16, 40)
    return some(rng, rng.choice((ALNUM + PUNCTUATION, ALNUM * 5 + PUNCTUATION)), length)


def _related(rng: Random, others: list[str]) -> str:
    """Return a secret that shares a piece with another one, or holds all of it."""
    other = rng.choice(others) if others else some(rng, ALNUM, 32)
    begin, end = some(rng, ALNUM, rng.randint(0, 16)), some(rng, ALNUM, rng.randint(8, 16))
    return begin + other[: rng.randint(len(other) // 2, len(other))] + end


MAKERS: tuple[Callable[[Random, list[str]], str], ...] = (
    lambda rng, _: some(rng, HEX, 32),
    lambda rng, _: some(rng, HEX, 32),
    lambda rng, _: some(rng, ALNUM, 32),
    lambda rng, _: some(rng, ALNUM, 32),
    lambda rng, _: "AC" + some(rng, HEX, 32),
    lambda rng, _: "SK" + some(rng, HEX, 32),
    lambda rng, _: some(rng, ALNUM, rng.randint(16, 64)),
    lambda rng, _: some(rng, "ab", rng.randint(16, 40)),
    _awkward,
    _related,
)

# How they get into a text. Each returns a text, and what must not be left of it besides.


def _piece(rng: Random, text: str, least: int = LEAST) -> str:
    """Return *text*, or a piece of it of at least so many characters."""
    if rng.random() < 0.4 or len(text) <= least:
        return text
    length = rng.choice((least, rng.randint(least, len(text))))
    begin = rng.randint(0, len(text) - length)
    return text[begin : begin + length]


def _raw(rng: Random, value: str) -> str:
    return _piece(rng, rng.choice([value, value, *in_other_cases(value)]))


def _in_base64(rng: Random, value: str) -> str:
    encode = rng.choice((base64.b64encode, base64.urlsafe_b64encode))
    if rng.random() < 0.3:
        return _piece(rng, rng.choice(list(base64_cores(encoded(value)))).decode())
    before, after = rng.randbytes(rng.randint(0, 5)), rng.randbytes(rng.randint(0, 5))
    return encode(before + encoded(_piece(rng, value)) + after).decode()


def _in_hex(rng: Random, value: str) -> str:
    digits = _piece(rng, encoded(value).hex(), 2 * LEAST)
    return rng.choice((digits, digits.upper()))


def _written(rng: Random, value: str) -> str:
    parts = WRITERS[rng.choice(tuple(WRITERS))](value)
    if rng.random() < 0.4:
        return "".join(parts)
    begin = rng.randint(0, len(parts) - LEAST)
    return "".join(parts[begin : rng.randint(begin + LEAST, len(parts))])


def _in_json(rng: Random, value: str) -> str:
    line = {"at": rng.choice(GLUE), rng.choice(GLUE) + value: 1, "to": [rng.choice(GLUE) + value]}
    return json.dumps(line, ensure_ascii=rng.random() < 0.5)


def _in_url(rng: Random, value: str) -> str:
    pairs = {"a": value, "b": rng.choice(GLUE[:16]) + value}
    return f"https://api.example/x?{urllib.parse.urlencode(pairs)}"


def _pair(rng: Random, value: str) -> str:
    pair = f"{rng.choice(('AC', 'SK'))}{some(rng, HEX, 32)}:{value}"
    written = rng.choice(("plain", "URL", "base64"))
    if written == "base64":
        return f"Basic {base64.b64encode(encoded(pair)).decode()}"
    return pair if written == "plain" else pair.replace(":", "%3A")


def _wrapped(rng: Random, value: str) -> str:
    before, after = rng.randbytes(rng.randint(0, 80)), rng.randbytes(rng.randint(0, 60))
    encode = rng.choice((base64.b64encode, base64.urlsafe_b64encode))
    raw, width = before + encoded(_piece(rng, value)) + after, rng.choice((64, 76))
    text = encode(raw).decode()
    lines = (text[at : at + width] for at in range(0, len(text), width))
    return rng.choice(BREAKS).join(lines)


FORMS: dict[str, Callable[[Random, str], str]] = {
    "raw": _raw,
    "base64": _in_base64,
    "hex": _in_hex,
    "written": _written,
    "JSON": _in_json,
    "URL": _in_url,
    "pair": _pair,
    "wrapped": _wrapped,
}


def _named(rng: Random) -> tuple[str, str]:
    """Return an Auth Token that nobody registered, without and with what tells that it is one."""
    token, sid = some(rng, HEX, 32), f"AC{some(rng, HEX, 32)}"
    basic = base64.b64encode(f"{sid}:{token}".encode()).decode()
    named = rng.choice(
        (f"auth_token={token}", f'"authToken": "{token}"', f"{sid}:{token}", f"Basic {basic}")
    )
    return (basic[48:88] if named.endswith(basic) else token), named


def make_case(rng: Random, world: World, form: str = "") -> Case:
    """Return a text that holds up to three secrets of *world*, one at least, in *form* if given."""
    chosen = form or rng.choice((*FORMS, "named"))
    if chosen == "wrapped":
        text = FORMS[chosen](rng, rng.choice(world.values))
        return Case(rng.choice(SEPARATORS) + text + rng.choice(SEPARATORS), (chosen,), True)  # noqa: FBT003
    if chosen == "named":
        token, named = _named(rng)
        text = f"{rng.choice(GLUE)} {named} {rng.choice(GLUE)}"
        return Case(text, (chosen,), whole=(token.encode(),))
    forms, parts = [], [rng.choice(GLUE)]
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        forms.append(chosen)
        parts += [FORMS[chosen](rng, rng.choice(world.values)), rng.choice(GLUE)]
        chosen = form or rng.choice([name for name in FORMS if name != "wrapped"])
    return Case("".join(parts), tuple(forms))


# The ways through redaction: of each, the result as bytes.


def _cut(rng: Random, whole: str | bytes) -> Iterator[str | bytes]:
    """Yield *whole* in a few pieces, sometimes with a dozen of one character among them."""
    cuts = [rng.randint(0, len(whole)) for _ in range(rng.randint(1, 3))]
    if rng.random() < 0.05:
        cuts += range(cuts[0], min(cuts[0] + LEAST, len(whole)))
    cuts.sort()
    return (whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True))


def as_str(_: Random, text: str) -> bytes:
    return encoded(redaction.redact(text))


def as_bytes(_: Random, text: str) -> bytes:
    return redaction.redact_bytes(encoded(text))


def as_text_in_pieces(rng: Random, text: str) -> bytes:
    out = StringIO()
    stream = redaction.RedactingStream(out)
    stream.writelines(_cut(rng, text))
    stream.finish()
    return encoded(out.getvalue())


def as_bytes_in_pieces(rng: Random, text: str) -> bytes:
    out = BytesIO()
    stream = redaction.RedactingStream(out)
    stream.writelines(_cut(rng, encoded(text)))
    stream.finish()
    return out.getvalue()


IN_PIECES = (as_text_in_pieces, as_bytes_in_pieces)


def off(_: Random, text: str) -> bytes:
    """Return the text as if there were no redaction."""
    return encoded(text)


# Streams take five times as long, so they get every tenth case.
WAYS: tuple[Callable[[Random, str], bytes], ...] = (
    *((as_str, as_bytes) * 4 + (as_str, as_text_in_pieces)),
    *((as_bytes, as_str) * 4 + (as_bytes, as_bytes_in_pieces)),
)


class Found(NamedTuple):
    """A case that failed: its *number*, the *way* it took, its text's forms and what was left."""

    number: int
    way: str
    forms: tuple[str, ...]
    left: list[bytes]


def failures(seed: int, count: int, ways: Sequence[Callable[[Random, str], bytes]]) -> list[Found]:
    """Send *count* cases over *ways* in turn; a stream must also give what the whole text gives."""
    found: list[Found] = []
    for number in range(count):
        if number % CASES_PER_WORLD == 0:
            rng = Random(f"{seed}-{number}")  # noqa: S311
            world = World(rng)
            world.register()
        case, way = make_case(rng, world), ways[number % len(ways)]
        output = way(rng, case.text)
        left = world.left(case, output)
        if FAILED in output:
            left.append(FAILED)
        if way in IN_PIECES and output != as_bytes(rng, case.text):
            left.append(b"(not what the whole text gives)")
        if left:
            found.append(Found(number, way.__name__, case.forms, left))
    return found
