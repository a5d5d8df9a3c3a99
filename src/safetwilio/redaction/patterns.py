"""What is secret by its shape or by what stands before it, registered or not.

Each finder yields where a secret begins and ends, its kind and its value, in time linear in the
text. What stands before a secret (``auth_token=``) is no part of it and is at most :data:`CONTEXT`
bytes long, so a stream can let it go at once. The patterns are compiled when they are first needed:
a program's start is not the time.
"""

from __future__ import annotations

import re
from binascii import a2b_base64
from functools import cache
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Kind = Literal["account", "body", "jwt", "key", "phone", "secret", "sendgrid", "token"]
Stretch = tuple[int, int, Kind, bytes]

CONTEXT = 200
SID_LENGTH = 34

_KINDS: dict[bytes, Kind] = {b"AC": "account", b"SK": "key"}
_SEPARATOR = rb"""(?:[^0-9A-Za-z\r\n]|%3[AaDd]|%2[0257Bb]){1,8}(?:SecretStr\(|b(?=['"]))?['"]?"""
_TOKEN = rb"(?i:auth[_-]?token|twilio[_-]?token)" + _SEPARATOR
_SECRET = rb"TWILIO_(?:[0-9A-Z_]{1,40}_)?API_(?:KEY_)?SECRET" + _SEPARATOR
_PAIR = rb"(?P<user>AC|SK)[0-9a-fA-F]{32}(?::|%3[Aa])"
_BASIC = rb"(?i:basic)(?: |\+|%20){1,3}"
_SENDGRID_BEGINS = b"SG."
_SENDGRID = rb"SG\.[0-9A-Za-z_-]{22}\.[0-9A-Za-z_-]{43}"
_BODY = rb"""(?<![0-9A-Za-z])(?:[Mm]essage_?)?[Bb]ody(?:\\?["'])?[ ]?"""
_BODY_VALUE = (
    rb"""(?:[:=][ ]?(?:\\"(?P<inner>(?:(?!\\")[^\r\n])*+)|"(?P<double>(?:[^"\\\r\n]|\\.)*+)"""
    rb"""|'(?P<single>(?:[^'\\\r\n]|\\.)*+))|=(?P<form>\[TWILIO:body:dropped\]|[^&\s"',;)}\]\\]++))"""
)
_PHONE = rb"(?:(?<![0-9A-Za-z/+])\+|%2[Bb])(?P<digits>[1-9][0-9]{6,14})(?![0-9])"
_LONGEST_NAME = 60  # from the end of a name to its value
_SID_IN_BASE64 = 46  # so many characters of base64 hold the 34 of a SID, and a bit of what follows
_LONGEST_UNFINISHED = 96
_HALF_A_SECRET = (
    rb"(?:AC|SK)[0-9a-fA-F]{0,31}\Z|[AS]\Z"
    rb"|SG(?:\.(?:[0-9A-Za-z_-]{0,22}|[0-9A-Za-z_-]{22}\.[0-9A-Za-z_-]{0,42}))?\Z"
)
_HALF_A_VALUE = (
    _TOKEN + rb"(?P<token>[0-9a-fA-F]{1,32})\Z",
    _SECRET + rb"(?P<secret>[0-9A-Za-z]{1,32})\Z",
    _PAIR + rb"(?P<pair>[0-9A-Za-z]{1,32})\Z",
)
_HALF_A_PAIR = _BASIC + rb"(?P<text>[0-9A-Za-z+/]{1,403})\Z"
_HALF_A_NUMBER = rb"(?:\+|%2[Bb])(?P<digits>[1-9][0-9]{0,14})\Z"


@cache
def _pattern(source: bytes) -> re.Pattern[bytes]:
    return re.compile(source)


def united(starts: Iterable[int], length: int) -> Iterator[tuple[int, int]]:
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


def sids(data: bytes) -> Iterator[Stretch]:
    """Yield account and key SIDs; several that overlap are shown as the first."""
    for prefix, kind in _KINDS.items():
        found = _pattern(prefix + rb"(?=[0-9a-fA-F]{32})").finditer(data)
        for begin, end in united((m.start() for m in found), SID_LENGTH):
            yield begin, end, kind, data[begin : begin + SID_LENGTH]


def may_have_sendgrid_keys(data: bytes) -> bool:
    """Return ``False`` if *data* has no beginning of a SendGrid key.

    To look for one letter costs next to nothing, and for three less from the end than forwards.
    """
    return data.find(b"G") >= 0 and data.rfind(_SENDGRID_BEGINS) >= 0


def sendgrid_keys(data: bytes) -> Iterator[Stretch]:
    """Yield SendGrid's API keys."""
    for found in _pattern(_SENDGRID).finditer(data):
        yield found.start(), found.end(), "sendgrid", found[0]


def may_name_a_secret(data: bytes, run: int, last: int) -> bool:
    """Return ``False`` if what stands before *last* does not make a secret of what follows.

    It may stand in the same *run*, which goes on over a ``=`` when a registered value has one.
    """
    before = data[run - _LONGEST_NAME if run > _LONGEST_NAME else 0 : last].lower()
    return before.find(b"oken") >= 0 or before.find(b"secret") >= 0 or before.find(b"basic") >= 0


def credentials(data: bytes) -> Iterator[Stretch]:
    """Yield what only its surroundings tell from an MD5: tokens and secrets after their names."""
    for found in _pattern(_TOKEN + rb"([0-9a-fA-F]{32})(?![0-9A-Za-z])").finditer(data):
        yield found.start(1), found.end(1), "token", found[1]
    for found in _pattern(_SECRET + rb"([0-9A-Za-z]{32})(?![0-9A-Za-z])").finditer(data):
        yield found.start(1), found.end(1), "secret", found[1]


def pairs(data: bytes) -> Iterator[Stretch]:
    """Yield what follows a SID and a colon: the secret of the pair."""
    for found in _pattern(_PAIR + rb"([0-9A-Za-z]{32})(?![0-9A-Za-z])").finditer(data):
        yield found.start(2), found.end(2), _kind_of_secret(found["user"]), found[2]


def basic(data: bytes) -> Iterator[Stretch]:
    """Yield the SID and the secret in ``Basic`` credentials, of which neither is registered."""
    source = _BASIC + rb"((?:QU[MN]|U0[st])[0-9A-Za-z+/]{50,400}+)"
    for found in _pattern(source).finditer(data):
        text = found[1]
        rest = len(text) % 4  # one character alone says nothing, and cannot be read
        pair = a2b_base64(text[:-1] if rest == 1 else text + b"=" * (-rest % 4))
        if not _pattern(rb"(?:AC|SK)[0-9a-fA-F]{32}:").match(pair):
            continue
        begin, end = found.span(1)
        yield begin, begin + _SID_IN_BASE64, _KINDS[pair[:2]], pair[:SID_LENGTH]
        secret = pair[SID_LENGTH + 1 :]
        yield begin + _SID_IN_BASE64, end, _kind_of_secret(pair[:2]), secret


def _kind_of_secret(user: bytes) -> Kind:
    return "token" if user == b"AC" else "secret"


def phone_numbers(data: bytes) -> Iterator[Stretch]:
    """Yield the digits of telephone numbers in E.164 (``+14155550100``), also of part of a URL."""
    for found in _pattern(_PHONE).finditer(data):
        yield found.start(1), found.end(1), "phone", b""


def bodies(data: bytes) -> Iterator[Stretch]:
    """Yield what stands after ``Body=`` or ``"body":``, to the end of the value or of the line."""
    for found in _pattern(_BODY + _BODY_VALUE).finditer(data):
        begin, end = found.span(found.lastgroup or 0)
        if begin < end:
            yield begin, end, "body", b""


def unfinished(data: bytes) -> int:
    """Return where a secret begins that *data* may hold a half of; ``len(data)`` if nowhere."""
    begins = [len(data)]
    if half := _pattern(_HALF_A_SECRET).search(data, max(0, len(data) - _LONGEST_UNFINISHED)):
        begins.append(half.start())
    context = max(0, len(data) - CONTEXT)
    halves = [_pattern(source).search(data, context) for source in _HALF_A_VALUE]
    halves.append(_pattern(_HALF_A_PAIR).search(data))
    begins += (half.start(half.lastgroup or 0) for half in halves if half)
    return min(begins)


def unfinished_number(data: bytes) -> int:
    """Return where the digits begin that may become a telephone number, or ``len(data)``."""
    half = _pattern(_HALF_A_NUMBER).search(data, max(0, len(data) - CONTEXT))
    return half.start("digits") if half else len(data)


def unfinished_body(data: bytes) -> int:
    """Return where the body begins that *data* may hold only a part of, or ``len(data)``."""
    half = _pattern(_BODY + _BODY_VALUE.replace(rb"]++", rb"]*+") + rb"\\?\Z").search(data)
    return half.start(half.lastgroup) if half and half.lastgroup else len(data)
