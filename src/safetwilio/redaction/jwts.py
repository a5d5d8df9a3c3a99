"""Finding Twilio's access tokens by their shape: too many are minted to register each.

They are JWTs whose header has the content type ``twilio-fpa;v=1``. In base64 that name is one of
three fixed runs of letters and digits, so a text without any of them is clean at once.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from safetwilio.redaction.forms import base64_cores

if TYPE_CHECKING:
    from collections.abc import Iterator

_CORES = sorted(base64_cores(b"twilio-fpa;v="))
_FIRST, _SECOND, _THIRD = (core.decode() for core in _CORES)
_CORE = re.compile(b"|".join(_CORES))
_ALPHABET = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_-"
_SEGMENT = re.compile(rb"[0-9A-Za-z_-]*+")
# All segments that follow: the next JWT may be glued to the signature of this one. What is shorter
# than this can hold no claims.
_REST = re.compile(rb"\.[0-9A-Za-z_-]{22,}+(?:\.[0-9A-Za-z_-]++)*+")
_BEGINNING = b"eyJ"  # of every JSON object that begins with a name
_LONGEST_HEADER = 400


def may_be_in(runs: str) -> bool:
    """Return whether one of *runs*, the long runs of letters and digits of a text, is a header."""
    return _FIRST in runs or _SECOND in runs or _THIRD in runs


def stretches(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield where each access token in *data* begins and ends, in time linear in its length."""
    done = 0
    for core in _CORE.finditer(data):
        if core.start() < done:
            continue
        begin = _beginning(data, max(done, core.start() - _LONGEST_HEADER), core.start())
        done = _end(_SEGMENT, data, core.end())
        end = _end(_REST, data, done)
        if end > done:
            yield begin, end
            done = end


def _beginning(data: bytes, earliest: int, core: int) -> int:
    """Return where the header begins; what is glued to it (the n of an escape) stays."""
    segment = earliest + len(data[earliest:core].rstrip(_ALPHABET))
    begin = data.find(_BEGINNING, segment, core)
    return core if begin < 0 else begin


def _end(pattern: re.Pattern[bytes], data: bytes, start: int) -> int:
    found = pattern.match(data, start)
    return found.end() if found else start
