"""What every account has used, by day and category: the source of usage records and triggers."""

from __future__ import annotations

import heapq
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import count as numbers
from typing import TYPE_CHECKING

from safetwilio.testing.assumptions import usage as assumed
from safetwilio.testing.categories import TOTAL, with_those_above

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from safetwilio.testing.assumptions import Assumption, Choice
    from safetwilio.testing.records import Message
    from safetwilio.testing.state import Account


@dataclass(slots=True)
class Totals:
    """How much was used: *count* of events, *usage* in billed units, *price* in US dollars."""

    count: int = 0
    usage: Decimal = Decimal()
    price: Decimal = Decimal()

    def add(self, other: Totals) -> None:
        """Add *other* to this."""
        self.count += other.count
        self.usage += other.usage
        self.price += other.price


@dataclass(order=True)
class _Late:
    moment: datetime
    number: int
    book: Callable[[], None] = field(compare=False)


class Ledger:
    """Usage of all accounts.

    *changes* grows with every change, *looked_at* is what it was when the triggers of the *watched*
    accounts were looked at; *prices* has the price of a message segment by the beginning of the
    recipient's number.
    """

    def __init__(
        self, assumptions: Mapping[Assumption, Choice], now: Callable[[], datetime]
    ) -> None:
        """Start with nothing used; *now* is the emulator's clock."""
        self.changes = 0
        self.looked_at = 0
        self.watched: dict[str, Account] = {}
        self.prices: dict[str, Decimal | str] = {}
        self._standard_price = Decimal(str(assumptions[assumed.MESSAGE_PRICE]))
        self._lag = timedelta(seconds=int(assumptions[assumed.USAGE_LAG_SECONDS]))
        self._now = now
        self._days: defaultdict[tuple[str, str], dict[date, Totals]] = defaultdict(dict)
        self._late: list[_Late] = []
        self._numbers = numbers()

    def __repr__(self) -> str:
        return f"<Ledger: {self.changes} changes>"

    def price_of(self, message: Message) -> Decimal:
        """Return what a segment of *message* costs: the longest beginning in ``prices`` decides."""
        known = [each for each in self.prices if message.to.startswith(each)]
        if not known:
            return self._standard_price
        return Decimal(str(self.prices[max(known, key=len)]))

    def at(self, moment: datetime, book: Callable[[], None]) -> None:
        """Let *book* happen at *moment*, at once if it has come."""
        if moment <= self._now():
            book()
        else:
            heapq.heappush(self._late, _Late(moment, next(self._numbers), book))

    def settle(self) -> None:
        """Book what has come due."""
        while self._late and self._late[0].moment <= self._now():
            heapq.heappop(self._late).book()

    def add(self, account_sid: str, category: str, used: Totals, at: datetime) -> None:
        """Book what was *used* at the moment *at*, in *category* and those above it."""
        day = at.astimezone(UTC).date()
        if self._lag or at > self._now():
            self.at(at + self._lag, lambda: self._book(account_sid, category, used, day))
        else:
            self._book(account_sid, category, used, day)

    def _book(self, account_sid: str, category: str, used: Totals, day: date) -> None:
        for name in with_those_above(category):
            # of the total only the price is told (OpenAPI: count null, usage in usd)
            counted = Totals(0, used.price, used.price) if name == TOTAL else used
            days = self._days[account_sid, name]
            if day not in days:
                days[day] = Totals()
            days[day].add(counted)
        self.changes += 1

    def between(self, accounts: Iterable[Account], category: str, start: date, end: date) -> Totals:
        """Return the usage of *category* by *accounts* from *start* to *end*, both included."""
        found = Totals()
        for account in accounts:
            for day, totals in self._days.get((account.sid, category), {}).items():
                if start <= day <= end:
                    found.add(totals)
        return found

    def all_time(self, accounts: Iterable[Account], category: str) -> Totals:
        """Return the usage of *category* by *accounts* since the beginning."""
        return self.between(accounts, category, date.min, date.max)

    def used(self, accounts: Iterable[Account]) -> Iterator[tuple[str, date]]:
        """Yield every category and day with usage of *accounts*, some more than once."""
        sids = {account.sid for account in accounts}
        for (sid, category), days in self._days.items():
            if sid in sids:
                yield from ((category, day) for day in days)
