"""Items in the order they were made, which lists are paged through."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Item = TypeVar("Item")


class Shelf(Generic[Item]):
    """Items by SID in the order they were made; a removed item's place stays known."""

    def __init__(self) -> None:
        """Start empty."""
        self._places: dict[str, int] = {}
        self._items: dict[str, Item] = {}

    def put(self, sid: str, item: Item) -> None:
        """Add *item*, or replace the one of the same *sid* in its place."""
        self._places.setdefault(sid, len(self._places))
        self._items[sid] = item

    def get(self, sid: str) -> Item | None:
        """Return the item called *sid*, or ``None``."""
        return self._items.get(sid)

    def remove(self, sid: str) -> Item | None:
        """Remove and return the item called *sid*, or return ``None``."""
        return self._items.pop(sid, None)

    def place(self, sid: str) -> int | None:
        """Return the place that *sid* has or had, or ``None`` if it was never here."""
        return self._places.get(sid)

    def sort(self, key: Callable[[Item], Any]) -> None:
        """Put the items into the order of *key*; page tokens given out before lead elsewhere."""
        items = sorted(self._items.items(), key=lambda pair: key(pair[1]))
        self._places.clear()
        self._items.clear()
        for sid, item in items:
            self.put(sid, item)

    def newest_first(self) -> Iterator[tuple[str, Item]]:
        """Yield SIDs and items, the newest first."""
        return reversed(self._items.items())
