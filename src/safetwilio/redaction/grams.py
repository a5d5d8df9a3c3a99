"""All fragments of all forms of all secrets, and how to find them in time linear in the text.

A *window* is 12 bytes of a form. An *anchor* is 6 bytes of one: whatever window stands in a text,
one of its anchors begins at a place divisible by 7 (counted from where the run of letters and
digits begins), so of most texts only every seventh place is looked at. What is hidden is the union
of all windows, which makes the search local: nothing further away can change it.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, NamedTuple

from safetwilio.redaction.forms import FRAGMENT, all_forms

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ANCHOR = 6
STEP = FRAGMENT - ANCHOR + 1
"""In each run, one of so many places has to be looked at for an anchor."""
_SHAPE = bytes(ord("a" if chr(c).isalnum() and c < 128 else " ") for c in range(256))  # noqa: PLR2004
_LETTER = ord("a")
_ASCII = 128


class Chain(NamedTuple):
    """A stretch of a text made of windows of one secret, and whether it is long enough to hide.

    Secrets may share windows, so what overlaps counts as one, whichever of them each is from.
    """

    begin: int
    end: int
    shown: bytes
    is_hidden: bool


class Grams:
    """The windows of *values*, each with its mask; of *extra* texts only the anchors count.

    ``shape`` is the table that reduces a text to two symbols: what can be in a window, and the
    rest. ``needle`` is the shortest run of the former that needs a closer look.
    """

    __slots__ = ("_sorted", "anchors", "needle", "shape", "whole", "windows")

    def __init__(self, values: Iterable[tuple[str, bytes]], extra: Iterable[bytes] = ()) -> None:
        """Prepare all forms; of values that share a window, the longest gives the mask."""
        windows: dict[bytes, tuple[bytes, int]] = {}
        self.whole: dict[bytes, bytes] = {}
        self.anchors: set[bytes] = set()
        needle = FRAGMENT
        for value, shown in sorted(values, key=lambda pair: -len(pair[0])):
            for text, least in all_forms(value):
                self.whole[text] = shown
                # Wrapped over two lines, the longer part of the shortest form still is a run.
                needle = min(needle, len(text) // 2)
                self._anchor(text)
                entries = {needed: (shown, needed) for needed in least}
                for at, needed in enumerate(least):
                    known = windows.setdefault(text[at : at + FRAGMENT], entries[needed])
                    if known[1] > needed:
                        windows[text[at : at + FRAGMENT]] = (known[0], needed)
        for text in extra:
            self._anchor(text)
        self.windows = windows
        shape = bytearray(_SHAPE)
        for byte in set().union(*windows) if windows else ():
            shape[byte] = _LETTER
        self.shape = bytes(shape)
        self.needle = b"a" * needle
        self._sorted: list[bytes] | None = None

    def _anchor(self, text: bytes) -> None:
        self.anchors.update(text[at : at + ANCHOR] for at in range(len(text) - ANCHOR + 1))

    @property
    def is_ascii(self) -> bool:
        """Whether no window can begin or end within a character."""
        return self.shape[_ASCII:].count(_LETTER) == 0

    def chains(self, data: bytes) -> Iterator[Chain]:
        """Yield each stretch of windows of one secret in *data*, in order of their beginnings."""
        if not self.windows:
            return
        shape = data.translate(self.shape)
        first = begin = end = least = 0
        shown = b""
        ended: list[tuple[int, int, bytes]] = []
        for at, (next_shown, next_least) in self._windows(data, shape):
            if at >= end:
                yield from _together(first, end, least, [*ended, (begin, end, shown)])
                first, begin, least, shown, ended = at, at, next_least, next_shown, []
            elif next_shown is not shown:
                ended.append((begin, end, shown))
                begin, shown = at, next_shown
            end, least = at + FRAGMENT, min(least, next_least)
        yield from _together(first, end, least, [*ended, (begin, end, shown)])

    def _windows(self, data: bytes, shape: bytes) -> Iterator[tuple[int, tuple[bytes, int]]]:
        needle = b"a" * FRAGMENT
        begin = shape.find(needle)
        while begin >= 0:
            end = shape.find(b" ", begin)
            end = len(data) if end < 0 else end
            yield from self._windows_of_run(data, begin, end)
            begin = shape.find(needle, end)

    def _windows_of_run(
        self, data: bytes, begin: int, end: int
    ) -> Iterator[tuple[int, tuple[bytes, int]]]:
        anchors, windows = self.anchors, self.windows
        last = end - FRAGMENT
        probe = unseen = begin
        while probe <= end - ANCHOR:
            if data[probe : probe + ANCHOR] not in anchors:
                probe += STEP
                continue
            at = max(unseen, probe - STEP + 1)
            while at <= last:
                found = windows.get(data[at : at + FRAGMENT])
                if found is not None:
                    yield at, found
                elif at >= probe:
                    break  # every window that holds this anchor has been looked at
                at += 1
            unseen = at + 1
            probe = at + STEP

    def unfinished(self, data: bytes) -> int:
        """Return where the longest end of *data* begins that may grow into a window.

        It is ``len(data)`` if there is none.
        """
        if self._sorted is None:
            self._sorted = sorted(self.windows)
        for at in range(max(0, len(data) - FRAGMENT + 1), len(data)):
            tail = data[at:]
            found = bisect_left(self._sorted, tail)
            if found < len(self._sorted) and self._sorted[found].startswith(tail):
                return at
        return len(data)


def _together(
    first: int, end: int, least: int, parts: list[tuple[int, int, bytes]]
) -> Iterator[Chain]:
    """Yield *parts*, each of which overlaps the next, as what all from *first* to *end* make."""
    if first < end:
        for part in parts:
            yield Chain(*part, is_hidden=end - first >= least)
