"""Usage records and the balance: what accepted messages and added usage amount to."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from asking import RECIPIENT, SENDER, Ask, pair_of, token_of
from hypothesis import given
from hypothesis import strategies as st
from twilio.base.exceptions import TwilioRestException

from safetwilio.testing import Emulator, EmulatorServer
from safetwilio.testing.categories import CATEGORIES

if TYPE_CHECKING:
    from collections.abc import Callable

    from twilio.rest import Client

SERVICE = "MG" + 32 * "a"


def ask_records(emulator: Emulator, kind: str = "", account: Any = None, **query: str) -> Any:
    """Return the answer about the usage of *account*."""
    account = account or emulator.account
    path = f"/2010-04-01/Accounts/{account.sid}/Usage/Records{kind and '/' + kind}.json"
    return Ask(emulator)("GET", path, token_of(account), query=tuple(query.items()))


def records(emulator: Emulator, kind: str = "", account: Any = None, **query: str) -> list[Any]:
    found: list[Any] = ask_records(emulator, kind, account, **query).json()["usage_records"]
    return found


def send(emulator: Emulator, **form: str) -> Any:
    chosen = {"To": RECIPIENT, "From": SENDER, "Body": "hi", **form}
    path = f"/2010-04-01/Accounts/{emulator.account.sid}/Messages.json"
    answer = Ask(emulator)("POST", path, pair_of(emulator.standard_key), **chosen)
    assert answer.status == 201
    return answer.json()


def used(emulator: Emulator, category: str, kind: str = "") -> str:
    [record] = records(emulator, kind, Category=category)
    return str(record["count"])


def at(day: str) -> datetime:
    return datetime.fromisoformat(f"{day}T12:00:00+00:00")


def be_at(emulator: Emulator, day: str) -> None:
    emulator.advance((at(day) - emulator.now()).total_seconds())


def test_messages_become_usage(server: EmulatorServer, connect: Callable[..., Client]) -> None:
    """Each record the real library reads: counts, segments, prices, and where to read on."""
    client, emulator = connect(server), server.emulator
    emulator.prices["+998"] = "0.25"
    for body in ("short", "x" * 161):
        client.messages.create(to="+998901234567", from_=SENDER, body=body)
    [record] = client.usage.records.list(category="sms-outbound-longcode")
    assert (record.count, record.count_unit) == ("2", "messages")
    assert (record.usage, record.usage_unit) == ("2", "messages")
    assert (record.price, record.price_unit) == (Decimal("0.75"), "usd")
    assert record.account_sid == emulator.account.sid
    assert record.start_date == record.end_date == emulator.now().date()
    assert set(record.subresource_uris) >= {"today", "all_time", "last_month"}
    [total] = client.usage.records.today.list(category="totalprice")
    assert (total.count, total.usage, total.usage_unit) == (None, "0.75", "usd")
    for kind in ("all_time", "daily", "monthly", "this_month", "today", "yearly"):
        [record] = getattr(client.usage.records, kind).list(category="sms")
        assert record.count == "2", kind
    for kind in ("yesterday", "last_month"):
        [record] = getattr(client.usage.records, kind).list(category="sms")
        assert record.count == "0", kind


@pytest.mark.parametrize(
    ("form", "category"),
    [
        ({}, "sms-outbound-longcode"),
        ({"From": "12345"}, "sms-outbound-shortcode"),
        ({"From": "+18005550100"}, "sms-outbound-tollfree"),
        ({"From": "ACME"}, "sms-outbound"),
        ({"MediaUrl": "https://example.com/a.png"}, "mms-outbound-longcode"),
        ({"To": "whatsapp:+15551230001", "From": "whatsapp:+15551230002"}, "channels-whatsapp"),
        ({"To": "messenger:1", "From": "messenger:2"}, "channels-messaging-outbound"),
    ],
)
def test_the_category_of_a_message(emulator: Emulator, form: dict[str, str], category: str) -> None:
    send(emulator, **form)
    assert used(emulator, category) == "1"
    others = {"sms-outbound-longcode", "sms-outbound-shortcode", "sms-outbound-tollfree", "mms"}
    assert {used(emulator, each) for each in others - {category, category[:3]}} == {"0"}


def test_a_refused_or_test_message_is_not_used(emulator: Emulator) -> None:
    test = emulator.create_account(test=True)
    path = f"/2010-04-01/Accounts/{test.sid}/Messages.json"
    form = {"To": RECIPIENT, "From": SENDER, "Body": "hi"}
    assert Ask(emulator)("POST", path, token_of(test), **form).status == 201
    at_main = f"/2010-04-01/Accounts/{emulator.account.sid}/Messages.json"
    assert Ask(emulator)("POST", at_main, token_of(emulator.account), To="x").status == 400
    assert used(emulator, "sms") == "0"


def test_a_scheduled_message_is_used_when_it_is_sent() -> None:
    """Also if it is deleted right then; not if it is canceled before, and deleted."""
    emulator = Emulator(assumptions={"unknown_service": "accepted"})
    path = f"/2010-04-01/Accounts/{emulator.account.sid}/Messages"
    soon = emulator.now() + timedelta(hours=1)
    when = {"ScheduleType": "fixed", "SendAt": f"{soon:%Y-%m-%dT%H:%M:%SZ}"}
    sent, canceled = (send(emulator, MessagingServiceSid=SERVICE, From="", **when) for _ in "12")
    ask, key = Ask(emulator), pair_of(emulator.standard_key)
    assert ask("POST", f"{path}/{canceled['sid']}.json", key, Status="canceled").status == 200
    assert ask("DELETE", f"{path}/{canceled['sid']}.json", key).status == 204
    assert used(emulator, "sms") == "0"
    later = emulator.now() + timedelta(seconds=3700)
    emulator._world.clock = lambda: later
    assert ask("DELETE", f"{path}/{sent['sid']}.json", key).status == 204
    assert used(emulator, "sms") == "1"


def test_spans_of_every_kind() -> None:
    """On a day in March: what each subresource begins and ends with, the newest first."""
    emulator = Emulator()
    be_at(emulator, "2101-03-02")
    account = emulator.account
    for day in ("2100-12-31", "2101-02-28", "2101-03-01", "2101-03-02"):
        account.add_usage("sms-outbound", count=int(day[-2:]), price=1, at=at(day))

    def spans(kind: str, **query: str) -> list[tuple[str, str, str]]:
        return [
            (each["start_date"], each["end_date"], each["count"])
            for each in records(emulator, kind, Category="sms", **query)
        ]

    assert spans("Today") == [("2101-03-02", "2101-03-02", "2")]
    assert spans("Yesterday") == [("2101-03-01", "2101-03-01", "1")]
    assert spans("ThisMonth") == [("2101-03-01", "2101-03-02", "3")]
    assert spans("LastMonth") == [("2101-02-01", "2101-02-28", "28")]
    since = {"StartDate": "2101-01-01"}
    assert spans("", **since) == spans("AllTime", **since) == [("2101-01-01", "2101-03-02", "31")]
    assert spans("Yearly", StartDate="2100-06-01") == [
        ("2101-01-01", "2101-03-02", "31"),
        ("2100-06-01", "2100-12-31", "31"),
    ]
    assert spans("Monthly", StartDate="2101-02-15") == [
        ("2101-03-01", "2101-03-02", "3"),
        ("2101-02-15", "2101-02-28", "28"),
    ]
    assert spans("Daily", StartDate="-2days", EndDate="-1days") == [
        ("2101-03-01", "2101-03-01", "1"),
        ("2101-02-28", "2101-02-28", "28"),
    ]
    assert spans("LastMonth", StartDate="2101-03-01") == []
    assert spans("", EndDate="2101-03-31")[0][1] == "2101-03-31"
    assert spans("Daily", EndDate="+5days")[0][1] == "2101-03-02"


def test_without_dates_the_records_begin_with_the_account(emulator: Emulator) -> None:
    born = emulator.account.created.date()
    assert records(emulator, Category="sms")[0]["start_date"] == born.isoformat()
    earlier = datetime.combine(born - timedelta(days=30), datetime.min.time(), UTC)
    emulator.account.add_usage("sms", at=earlier)
    assert records(emulator, Category="sms")[0]["start_date"] == earlier.date().isoformat()


@given(st.text(max_size=12))
def test_any_other_date_is_refused(text: str) -> None:
    emulator = Emulator()
    answer = ask_records(emulator, Category="sms", StartDate=text)
    try:
        known = not text or date.fromisoformat(text).isoformat() == text
    except ValueError:
        known = text.endswith("days")
    assert known or (answer.status, answer.json()["code"]) == (400, 20001)


@pytest.mark.parametrize("text", ["+99999days", "2026-02-30", "20260131", "-3", "days", "-3months"])
def test_a_date_that_cannot_be(emulator: Emulator, text: str) -> None:
    query = {"Category": "sms", "EndDate": text}
    assert ask_records(emulator, **query).status == (200 if text == "+99999days" else 400)


def test_the_pages_of_the_records(server: EmulatorServer, connect: Callable[..., Client]) -> None:
    """All categories, each once, however large the pages."""
    client = connect(server)
    for size in (100, 1000):
        listed = client.usage.records.today.list(page_size=size)
        assert [each.category for each in listed] == list(CATEGORIES)


def test_what_a_restricted_key_may_read(emulator: Emulator) -> None:
    account = emulator.account
    path = f"/2010-04-01/Accounts/{account.sid}/Usage/Records/Today.json"
    for allow, status in (
        ("/twilio/billing/usage/read", 200),
        ("/twilio/monitor/events/read", 403),
    ):
        key = account.create_key("restricted", allow=[allow])
        assert Ask(emulator)("GET", path, pair_of(key)).status == status


@pytest.mark.parametrize(("choice", "shown"), [("messages", "1"), ("segments", "2")])
def test_what_the_usage_of_messages_counts(choice: str, shown: str) -> None:
    emulator = Emulator(assumptions={"sms_usage_unit": choice})
    send(emulator, Body="x" * 161)
    [record] = records(emulator, Category="sms")
    assert (record["count"], record["usage"], record["usage_unit"]) == ("1", shown, choice)


@pytest.mark.parametrize(("choice", "price"), [("string", "0.0083"), ("number", 0.0083)])
def test_the_type_of_a_price(choice: str, price: object) -> None:
    emulator = Emulator(assumptions={"usage_price_type": choice})
    send(emulator)
    assert records(emulator, Category="sms")[0]["price"] == price


@pytest.mark.parametrize(("choice", "price"), [("0.0083", "0.0166"), ("0", "0")])
def test_the_price_of_a_message(choice: str, price: str) -> None:
    emulator = Emulator(assumptions={"message_price": choice})
    send(emulator, Body="x" * 161)
    assert records(emulator, Category="totalprice")[0]["price"] == price


@pytest.mark.parametrize("choice", [True, False])
def test_categories_that_were_not_used(choice: bool) -> None:  # noqa: FBT001
    emulator = Emulator(assumptions={"zero_usage_listed": choice})
    send(emulator)
    listed = {each["category"] for each in records(emulator, "Today", PageSize="1000")}
    few = {"sms-outbound-longcode", "sms-outbound", "sms", "totalprice"}
    assert listed == (set(CATEGORIES) if choice else few)


@pytest.mark.parametrize("choice", [True, False])
def test_usage_of_subaccounts_in_records(choice: bool) -> None:  # noqa: FBT001
    emulator = Emulator(assumptions={"usage_includes_subaccounts": choice})
    child = emulator.create_account(emulator.account)
    emulator.create_account().add_usage("sms", count=100)
    emulator.account.add_usage("sms")
    child.add_usage("sms", count=10)
    counts = [
        records(emulator, "", account, Category="sms", **query)[0]["count"]
        for account in (emulator.account, child)
        for query in ({}, {"IncludeSubaccounts": "true"}, {"IncludeSubaccounts": "false"})
    ]
    assert counts == (["11", "11", "1"] if choice else ["1", "1", "1"]) + ["10", "10", "10"]


@pytest.mark.parametrize(("choice", "status"), [("refused", 400), ("accepted", 200)])
def test_a_category_that_nobody_knows(choice: str, status: int) -> None:
    emulator = Emulator(assumptions={"unknown_usage_category": choice})
    assert ask_records(emulator, Category="sms_outbound").status == status


@pytest.mark.parametrize(("choice", "count"), [(0, "1"), (60, "0")])
def test_records_may_lag(choice: int, count: str) -> None:
    emulator = Emulator(assumptions={"usage_lag_seconds": choice})
    send(emulator)
    assert used(emulator, "sms") == count
    emulator.advance(60)
    assert used(emulator, "sms") == "1"


def test_added_usage_needs_a_time_zone(emulator: Emulator) -> None:
    with pytest.raises(ValueError, match="time zone"):
        emulator.account.add_usage("sms", at=datetime(2026, 1, 1))  # noqa: DTZ001


def test_the_balance_is_what_usage_leaves(
    server: EmulatorServer, connect: Callable[..., Client]
) -> None:
    """Of the subaccounts too, since they are billed to their parent."""
    emulator, client = server.emulator, connect(server)
    assert (client.balance.fetch().balance, client.balance.fetch().currency) == ("100", "USD")
    emulator.account.add_usage("sms-outbound", price="1.5")
    emulator.create_account(emulator.account).add_usage("calls", price="100")
    assert client.balance.fetch().balance == "-1.5"
    emulator.account.credit += 20
    assert client.balance.fetch().balance == "18.5"


@pytest.mark.parametrize("choice", [404, 200])
def test_the_balance_of_a_subaccount(choice: int) -> None:
    emulator = Emulator(assumptions={"subaccount_balance": choice})
    child = emulator.create_account(emulator.account)
    path = f"/2010-04-01/Accounts/{child.sid}/Balance.json"
    answer = Ask(emulator)("GET", path, token_of(child))
    assert answer.status == choice
    assert answer.json().get("balance") is None


def test_a_restricted_key_reads_no_balance(
    server: EmulatorServer, connect: Callable[..., Client]
) -> None:
    key = server.emulator.account.create_key("restricted", allow=["/twilio/billing/usage/read"])
    with pytest.raises(TwilioRestException) as caught:
        connect(server, pair_of(key)).balance.fetch()
    assert caught.value.code == 70051
