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

CORES = sorted(base64_cores(b"twilio-fpa;v="))
_CORE = re.compile(b"|".join(CORES))
_ALPHABET = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_-"
_SEGMENT = re.compile(rb"[0-9A-Za-z_-]*+")
# All segments that follow: the next JWT may be glued to the signature of this one. What is shorter
# than this can hold no claims.
_REST = re.compile(rb"\.[0-9A-Za-z_-]{22,}+(?:\.[0-9A-Za-z_-]++)*+")
_BEGINNING = b"eyJ"  # of every JSON object that begins with a name
_LONGEST_HEADER = 400
_LONGEST_CORE = max(map(len, CORES))
_LETTERS = _ALPHABET + b"."


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


def unfinished(data: bytes) -> int:
    """Return where an access token begins that *data* may hold only a part of, or ``len(data)``."""
    run = len(data.rstrip(_LETTERS))
    if core := _CORE.search(data, run):
        return _beginning(data, max(run, core.start() - _LONGEST_HEADER), core.start())
    begins = [len(data)]
    header = data.find(_BEGINNING, max(run, len(data) - _LONGEST_HEADER - _LONGEST_CORE))
    if header >= 0:
        begins.append(header)
    halves = [_BEGINNING, *CORES]
    for at in range(max(run, len(data) - _LONGEST_CORE + 1), len(data)):
        if any(half.startswith(data[at:]) for half in halves):
            begins.append(at)
            break
    return min(begins)


def _beginning(data: bytes, earliest: int, core: int) -> int:
    """Return where the header begins; what is glued to it (the n of an escape) stays."""
    segment = earliest + len(data[earliest:core].rstrip(_ALPHABET))
    begin = data.find(_BEGINNING, segment, core)
    return core if begin < 0 else begin


def _end(pattern: re.Pattern[bytes], data: bytes, start: int) -> int:
    found = pattern.match(data, start)
    return found.end() if found else start
