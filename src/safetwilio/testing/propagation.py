"""Which credentials count now: a change may count later than the resources show it.

Nothing is known of how soon the real Twilio does (``assumptions.propagation``). By default every
change counts at once.
"""

from __future__ import annotations

from bisect import insort
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from safetwilio.testing.records import Key
    from safetwilio.testing.state import Account, AccountStatus


@dataclass(order=True)
class _Change:
    due: datetime
    subject: str = field(compare=False)
    apply: Callable[[], object] = field(compare=False)


class InForce:
    """What authentication goes by: *keys* with their owners, *tokens* and *statuses* by SID."""

    def __init__(self, lock: AbstractContextManager[object], now: Callable[[], datetime]) -> None:
        """Start with nothing; *lock* guards it, *now* is the emulator's clock."""
        self.keys: dict[str, tuple[Account, Key]] = {}
        self.tokens: dict[str, tuple[str, ...]] = {}
        self.statuses: dict[str, AccountStatus] = {}
        self._lock = lock
        self._now = now
        self._pending: list[_Change] = []

    def __repr__(self) -> str:
        return f"<InForce: {len(self._pending)} pending>"

    def change(self, subject: str, seconds: float, apply: Callable[[], object]) -> None:
        """Let *apply* happen after *seconds*, and never before an earlier change of *subject*."""
        with self._lock:
            if not seconds and not self._pending:
                apply()
                return
            earlier = [change.due for change in self._pending if change.subject == subject]
            due = max([self._now() + timedelta(seconds=seconds), *earlier])
            insort(self._pending, _Change(due, subject, apply))
            self.settle()

    def settle(self, *, everything: bool = False) -> None:
        """Apply what is due by now, or *everything*."""
        with self._lock:
            while self._pending and (everything or self._pending[0].due <= self._now()):
                self._pending.pop(0).apply()
