"""``/Usage/Records``: what an account has used, and how accepted messages become usage.

OpenAPI: ``twilio_api_v2010.json``, ListUsageRecord, ListUsageRecordToday and the like; the meaning
of the subresources: https://www.twilio.com/docs/usage/api/usage-record#list-subresources. All times
are GMT. ``account.add_usage`` adds what is not sent here: other products, or last week.
"""

from __future__ import annotations

import re
from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from safetwilio.testing.answers import Answer, bad_parameter
from safetwilio.testing.assumptions import usage as assumed
from safetwilio.testing.categories import CATEGORIES, TOTAL, is_known
from safetwilio.testing.ledger import Totals
from safetwilio.testing.paging import page
from safetwilio.testing.records import Message
from safetwilio.testing.resources.outgoing import segments
from safetwilio.testing.route import ACCOUNT, Route
from safetwilio.testing.shelf import Shelf

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from safetwilio.testing.call import Call
    from safetwilio.testing.state import Account, World

Span = tuple[date, date]

_ONE_DAY = timedelta(days=1)
_EARLIER = timedelta(days=400)  # before anything was used; 13 months, all of it without usage
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_OFFSET = re.compile(r"([+-]\d{1,5})days")
_MESSAGES = ("sms", "mms", "channels")
_TOLL_FREE = re.compile(r"\+1(800|833|844|855|866|877|888)\d{7}")
_SHORT_CODE = re.compile(r"\d{3,8}")
_SUBRESOURCES = {
    "all_time": "AllTime",
    "daily": "Daily",
    "last_month": "LastMonth",
    "monthly": "Monthly",
    "this_month": "ThisMonth",
    "today": "Today",
    "yearly": "Yearly",
    "yesterday": "Yesterday",
}


def meter(world: World, message: Message) -> None:
    """Book *message* when it is sent, at once unless it is scheduled."""
    if message.due > message.created:
        world.ledger.at(message.due, lambda: _book_unless_canceled(world, message))
    else:
        _book(world, message)


def _book_unless_canceled(world: World, message: Message) -> None:
    account = world.accounts.get(message.account_sid)
    kept = account.shelf(Message).get(message.sid) if account else None
    if kept is not None and not kept.canceled:
        _book(world, message)


def _book(world: World, message: Message) -> None:
    parts = segments(message.body)
    by_segment = world.assumptions[assumed.SMS_USAGE_UNIT] == "segments"
    used = Totals(1, Decimal(parts if by_segment else 1), parts * world.ledger.price_of(message))
    world.ledger.add(message.account_sid, category_of(message), used, message.due)


def category_of(message: Message) -> str:
    """Return the most special category that *message* is known to count in, by its sender.

    https://www.twilio.com/docs/usage/api/usage-record names them; of an alphanumeric sender
    no more is known than that it is outbound.
    """
    if ":" in message.to:
        whatsapp = message.to.startswith("whatsapp:")
        return "channels-whatsapp-outbound" if whatsapp else "channels-messaging-outbound"
    outbound = "mms-outbound" if message.media_urls else "sms-outbound"
    sender = message.from_ or message.pool_sender or ""
    if _TOLL_FREE.fullmatch(sender):
        return f"{outbound}-tollfree"
    if _SHORT_CODE.fullmatch(sender):
        return f"{outbound}-shortcode"
    return f"{outbound}-longcode" if sender.startswith("+") else outbound


def everyone_of(world: World, account: Account) -> list[Account]:
    """Return *account* and its subaccounts."""
    children = [each for _, each in world.accounts.newest_first() if each.parent is account]
    return [account, *children]


def plain(amount: Decimal) -> str:
    """Return *amount* in digits: ``0``, ``12``, ``0.0083``."""
    return format(amount.normalize() if amount else Decimal(), "f")


def check_category(call: Call, name: str, category: str) -> None:
    """Refuse a *category*, the value of the parameter *name*, that is in no published list."""
    if not is_known(category) and call.assumed(assumed.UNKNOWN_USAGE_CATEGORY) == "refused":
        raise bad_parameter(name, "not a usage category")


def records(kind: str) -> Callable[[Call], Answer]:
    """Return what answers with the records of one *kind*: a subresource, empty for the list."""

    def list_all(call: Call) -> Answer:
        return _list(call, kind)

    return list_all


def _list(call: Call, kind: str) -> Answer:
    query, ledger = call.query, call.world.ledger
    category = query.get("Category", "")
    if category:
        check_category(call, "Category", category)
    # a subaccount has none of its own, so this is the caller's choice for a main account only
    with_children = query.get("IncludeSubaccounts", "true").lower() != "false"
    if not call.assumed(assumed.USAGE_INCLUDES_SUBACCOUNTS):
        with_children = False
    accounts = everyone_of(call.world, call.account) if with_children else [call.account]
    used = set(ledger.used(accounts))
    first = min([call.account.created.date(), *(day for _, day in used)])
    spans = list(_spans(call, kind, first))
    found: Shelf[tuple[str, Span]] = Shelf()
    for span in reversed(spans):  # a shelf gives the newest first, which is how spans are sorted
        for each in reversed([category] if category else _shown(call, used, span)):
            found.put(f"{each}.{span[0]}", (each, span))

    def show(item: tuple[str, Span]) -> dict[str, Any]:
        return _show(call, kind, item, ledger.between(accounts, item[0], *item[1]))

    return page(call, "usage_records", found, show)


def _shown(call: Call, used: set[tuple[str, date]], span: Span) -> list[str]:
    if call.assumed(assumed.ZERO_USAGE_LISTED):
        return list(CATEGORIES)
    return sorted({category for category, day in used if span[0] <= day <= span[1]})


def _spans(call: Call, kind: str, first: date) -> Iterator[Span]:
    """Yield the days from and to which each record of *kind* counts, the newest first.

    Whatever the subresource, StartDate and EndDate leave out what is before and after them
    (OpenAPI). An interval that is under way ends today.
    """
    today = call.world.now().date()
    start = _day(call, "StartDate", today)
    end = _day(call, "EndDate", today)
    month = today.replace(day=1)
    single = {
        "Today": (today, today),
        "Yesterday": (today - _ONE_DAY, today - _ONE_DAY),
        "ThisMonth": (month, today),
        "LastMonth": ((month - _ONE_DAY).replace(day=1), month - _ONE_DAY),
        "AllTime": (start or first, end or today),
        "": (start or first, end or today),
    }
    if kind in single:
        low, high = single[kind]
        low, high = max(low, start or low), min(high, end or high)
        if low <= high:
            yield low, high
        return
    # all days since the year 1, times hundreds of categories, would keep the emulator busy
    low, high = max(start or first, min(first, today) - _EARLIER), min(end or today, today)
    while low <= high:
        begin = max(low, first_day_of(kind.lower(), high))
        yield begin, high
        high = begin - _ONE_DAY


def first_day_of(period: str, day: date) -> date:
    """Return the first day of the ``daily``, ``monthly`` or ``yearly`` *period* that has *day*."""
    if period == "daily":
        return day
    return day.replace(day=1) if period == "monthly" else day.replace(month=1, day=1)


def _day(call: Call, name: str, today: date) -> date | None:
    """Return the day that the parameter *name* means: ``2026-01-31`` or ``-30days`` (OpenAPI)."""
    text = call.query.get(name, "")
    if not text:
        return None
    offset = _OFFSET.fullmatch(text)
    try:
        if offset:
            return today + timedelta(days=int(offset[1]))
        if _DAY.fullmatch(text):
            return date.fromisoformat(text)
    except (ValueError, OverflowError):
        pass
    raise bad_parameter(name, "not a date such as 2026-01-31 or -30days")


def _show(call: Call, kind: str, item: tuple[str, Span], totals: Totals) -> dict[str, Any]:
    category, (start, end) = item
    sid = call.account.sid
    base = f"/2010-04-01/Accounts/{sid}/Usage/Records"
    here = f"{base}/{kind}.json" if kind else f"{base}.json"
    place = urlencode({"Category": category, "StartDate": start, "EndDate": end})
    count_unit, usage_unit = _units(call, category)
    price: str | float = plain(totals.price)
    if call.assumed(assumed.USAGE_PRICE_TYPE) == "number":
        price = float(totals.price)
    return {
        "account_sid": sid,
        "api_version": "2010-04-01",
        "as_of": f"{call.world.now():%Y-%m-%dT%H:%M:%S}+00:00",
        "category": category,
        # OpenAPI, the example of totalprice in older versions: count null, usage the price
        "count": None if category == TOTAL else str(totals.count),
        "count_unit": count_unit,
        "description": category.replace("-", " "),  # the real ones are worded for people
        "start_date": start.isoformat(),
        "end_date": end.isoformat(),
        "price": price,
        "price_unit": "usd",
        "usage": plain(totals.usage),
        "usage_unit": usage_unit,
        "uri": f"{here}?{place}",
        "subresource_uris": {
            name: f"{base}/{each}.json?Category={category}" for name, each in _SUBRESOURCES.items()
        },
    }


def _units(call: Call, category: str) -> tuple[str, str]:
    """Return the units of count and usage, as far as the page on usage records tells them."""
    family = category.partition("-")[0]
    if family in _MESSAGES:
        return "messages", str(call.assumed(assumed.SMS_USAGE_UNIT))
    if family == "calls":
        return "calls", "minutes"
    return "", "usd" if category == TOTAL else ""


_RECORDS = f"{ACCOUNT}/Usage/Records"
_USAGE = "/twilio/billing/usage/read"  # permissions: facts, twilio.md, section 7

ROUTES = (
    Route("api", "GET", f"{_RECORDS}.json", records(""), permission=_USAGE),
    *(
        Route("api", "GET", f"{_RECORDS}/{each}.json", records(each), permission=_USAGE)
        for each in _SUBRESOURCES.values()
    ),
)
