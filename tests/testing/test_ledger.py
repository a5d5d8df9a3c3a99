"""The ledger and the categories: what counts where, and when."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from safetwilio.testing import Emulator
from safetwilio.testing.assumptions import choose
from safetwilio.testing.categories import CATEGORIES, TOTAL, is_known, with_those_above
from safetwilio.testing.ledger import Ledger, Totals

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


def test_what_a_category_counts_in() -> None:
    above = ("sms-outbound-longcode", "sms-outbound", "sms", TOTAL)
    assert with_those_above("sms-outbound-longcode") == above
    assert with_those_above("calls-outbound") == ("calls-outbound", "calls", TOTAL)
    assert with_those_above("calls-sip-inbound") == ("calls-sip-inbound", "calls-sip", TOTAL)
    assert with_those_above("calls-client") == ("calls-client", TOTAL)
    assert with_those_above("something-new") == ("something-new", TOTAL)
    assert with_those_above(TOTAL) == (TOTAL,)


def test_the_categories_are_distinct_names() -> None:
    assert len(set(CATEGORIES)) == len(CATEGORIES) == 636
    assert all(map(is_known, CATEGORIES))
    assert not is_known("category")


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["sms-outbound", "sms-inbound", "calls"]),
            st.integers(0, 50),
            st.integers(0, 9),
        ),
        max_size=12,
    ),
    st.integers(0, 9),
    st.integers(0, 9),
)
def test_between_is_the_sum_of_the_days(
    used: list[tuple[str, int, int]], first: int, last: int
) -> None:
    """Of the categories below too, and with both ends."""
    emulator, today = Emulator(), date(2026, 1, 1)
    ledger = Ledger(choose({}), lambda: NOON)
    for category, count, day in used:
        at = datetime(2026, 1, 1, 23, 59, tzinfo=UTC) + timedelta(days=day)
        ledger.add(emulator.account.sid, category, Totals(count, Decimal(count), Decimal(1)), at)
    span = today + timedelta(days=first), today + timedelta(days=last)
    wanted = [(each, count) for each, count, day in used if first <= day <= last]
    found = ledger.between([emulator.account], "sms", *span)
    assert found.count == sum(count for each, count in wanted if each != "calls")
    assert ledger.between([emulator.account], TOTAL, *span).price == len(wanted)


def test_usage_waits_for_its_time() -> None:
    now = [NOON]
    emulator, ledger = Emulator(), Ledger(choose({}), lambda: now[0])
    ledger.add(emulator.account.sid, "sms", Totals(1), NOON + timedelta(hours=1))
    ledger.settle()
    assert ledger.all_time([emulator.account], "sms").count == 0
    now[0] += timedelta(hours=1)
    ledger.settle()
    assert ledger.all_time([emulator.account], "sms").count == 1
    assert repr(ledger) == "<Ledger: 1 changes>"


def test_the_longest_beginning_has_the_price(emulator: Emulator) -> None:
    """Set by the user; the rest costs what is assumed."""
    emulator.prices.update({"+998": "0.2", "+99890": Decimal("0.3"), "+1": "0"})
    for to, price in (("+998911234567", "0.2"), ("+998901234567", "0.3"), ("+15551230001", "0")):
        assert price_of(emulator, to) == Decimal(price)
    assert price_of(emulator, "+447700900123") == Decimal("0.0083")


def price_of(emulator: Emulator, to: str) -> Decimal:
    from asking import SENDER, Ask, pair_of, paths

    path, key = paths(emulator.account)["messages"], pair_of(emulator.standard_key)
    total = paths(emulator.account)["messages"].replace("Messages", "Usage/Records")
    ask, query = Ask(emulator), (("Category", TOTAL),)
    before = Decimal(ask("GET", total, key, query=query).json()["usage_records"][0]["price"])
    ask("POST", path, key, To=to, From=SENDER, Body="hi")
    return Decimal(ask("GET", total, key, query=query).json()["usage_records"][0]["price"]) - before
