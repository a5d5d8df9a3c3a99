"""Base64 that is wrapped over several lines, as MIME, PEM and many tools write it.

Its line breaks are taken away before it is searched: a secret's text may go on behind one.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from functools import cache
from itertools import accumulate

_LINE = 64  # bytes of the shortest line of wrapped base64
_BASE64 = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz+/_-"
_SHAPE = bytes(ord("a" if c in _BASE64 else " ") for c in range(256))
_FULL_LINE = b"a" * _LINE
_LONGEST_LINE = _LINE + 4  # with its break
_WRAPPED_LINE = rb"(?<=[0-9A-Za-z+/_-]{64}%b)"
_BREAKS = (rb"\n", rb"\r\n", rb"\\n", rb"\\r\\n")
_HALF_A_BREAK = rb"(?<=[0-9A-Za-z+/_-]{64})(?:\r?\n|(?:\\r)?\\n|\r|\\|\\r|\\r\\)\Z"


class Places:
    """Where the bytes of a text without its line breaks stand in the text with them."""

    def __init__(self, breaks: list[tuple[int, int]]) -> None:
        """Take the begin and end of each of the *breaks*."""
        lengths = [end - begin for begin, end in breaks]
        self._removed = [0, *accumulate(lengths)]
        self._joints = [
            begin - gone for (begin, _), gone in zip(breaks, self._removed, strict=False)
        ]

    def original(self, at: int) -> int:
        """Return where the byte *at* that place stood."""
        return at + self._removed[bisect_right(self._joints, at)]


@cache
def _breaks(*, with_last: bool) -> re.Pattern[bytes]:
    """Return the pattern of line breaks after full lines of base64, and perhaps of half a one."""
    whole = b"|".join(b + _WRAPPED_LINE.replace(b"%b", b) for b in _BREAKS)
    return re.compile(whole + b"|" + _HALF_A_BREAK if with_last else whole)


def has_full_line(data: bytes) -> bool:
    """Return whether *data* may hold wrapped base64; to find that out costs little."""
    if len(data) <= _LINE or (data.find(b"\n") < 0 and data.find(b"\\") < 0):
        return False
    return data.translate(_SHAPE).find(_FULL_LINE) >= 0


def ends_in_full_line(data: bytes) -> bool:
    """Return whether *data*, which ends in a line break, may be wrapped base64 that goes on."""
    line = data[-_LONGEST_LINE:].rstrip(b"\r\n")[-_LINE:]
    return len(line) == _LINE and not line.translate(None, _BASE64)


def unwrapped(data: bytes, *, with_last: bool = False) -> tuple[bytes, Places]:
    """Return *data* without the line breaks that wrap base64, and where its bytes were.

    *with_last* also removes what may be the first half of such a break. Without any of them it is
    the same object.
    """
    pattern = _breaks(with_last=with_last)
    found = [match.span() for match in pattern.finditer(data)]
    return pattern.sub(b"", data) if found else data, Places(found)
