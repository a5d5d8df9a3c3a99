"""Usage triggers: their resource, when they fire, and what they send."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from asking import RECIPIENT, SENDER, Ask, pair_of, token_of
from receiving import Receiver, receiving
from twilio.base.exceptions import TwilioRestException
from twilio.request_validator import RequestValidator

import safetwilio
from safetwilio.clients import TwilioClient
from safetwilio.testing import Emulator, EmulatorServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from twilio.rest import Client

AWAY = "https://example.com/usage"
CALLBACK_PARAMETERS = [
    *("AccountSid", "UsageTriggerSid", "DateFired", "Recurring", "UsageCategory", "TriggerBy"),
    *("TriggerValue", "CurrentValue", "UsageRecordUri", "IdempotencyToken"),
]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


def triggers(account: Any) -> str:
    return f"/2010-04-01/Accounts/{account.sid}/Usage/Triggers.json"


def watching(emulator: Emulator, value: str, account: Any = None, **form: str) -> Any:
    """Make a trigger on sms by count, and return how to look at it."""
    account, ask = account or emulator.account, Ask(emulator)
    chosen = {"CallbackUrl": AWAY, "UsageCategory": "sms", "TriggerBy": "count", **form}
    made = ask("POST", triggers(account), token_of(account), TriggerValue=value, **chosen)
    assert made.status == 201, made.json()
    path = triggers(account).replace(".json", f"/{made.json()['sid']}.json")
    return lambda: ask("GET", path, token_of(account)).json()


def at_noon(emulator: Emulator, day: str) -> None:
    """Put the emulator's clock at noon of a later *day*."""
    noon = datetime.fromisoformat(f"{day}T12:00:00").replace(tzinfo=UTC)
    emulator.advance((noon - emulator.now()).total_seconds())


def test_a_trigger_from_birth_to_death(
    server: EmulatorServer, connect: Callable[..., Client]
) -> None:
    """As in the example of docs/usage/api/usage-trigger: defaults, and what can be changed."""
    client = connect(server)
    made = client.usage.triggers.create(AWAY, "1000", "sms")
    assert made.friendly_name == "Trigger for sms at usage of 1000"
    assert (made.trigger_by, made.recurring, made.callback_method) == ("usage", None, "POST")
    assert (made.current_value, made.date_fired) == ("0", None)
    assert made.usage_record_uri == made.uri.split("/Triggers")[0] + "/Records.json?Category=sms"
    one = client.usage.triggers(made.sid)
    changed = one.update(friendly_name="b", callback_url=AWAY + "/b", callback_method="GET")
    assert (changed.friendly_name, changed.callback_method) == ("b", "GET")
    assert one.fetch().callback_url == AWAY + "/b"
    other = client.usage.triggers.create(AWAY, "5", "calls", recurring="daily", trigger_by="price")
    assert [each.sid for each in client.usage.triggers.list()] == [other.sid, made.sid]
    for name, value in (
        ("recurring", "daily"),
        ("trigger_by", "price"),
        ("usage_category", "calls"),
    ):
        assert [each.sid for each in client.usage.triggers.list(**{name: value})] == [other.sid]
    assert one.delete()
    with pytest.raises(TwilioRestException) as caught:
        one.fetch()
    assert caught.value.code == 20404


@pytest.mark.parametrize(
    "form",
    [
        {"TriggerValue": "0"},
        {"TriggerValue": "-5"},
        {"TriggerValue": "many"},
        {"TriggerValue": "1e9"},
        {"TriggerValue": ""},
        {"UsageCategory": ""},
        {"UsageCategory": "sms_outbound"},
        {"CallbackUrl": ""},
        {"CallbackUrl": "example.com"},
        {"CallbackUrl": "http://127.0.0.1/\r\nX: y"},
        {"CallbackUrl": "http://127.0.0.1/ü"},
        {"Recurring": "hourly"},
        {"TriggerBy": "size"},
        {"CallbackMethod": "PUT"},
        {"FriendlyName": "x" * 65},
    ],
)
def test_what_is_refused(emulator: Emulator, ask: Ask, form: dict[str, str]) -> None:
    chosen = {"CallbackUrl": AWAY, "UsageCategory": "sms", "TriggerValue": "1", **form}
    answer = ask("POST", triggers(emulator.account), token_of(emulator.account), **chosen)
    assert (answer.status, answer.json()["code"]) == (400, 20001)


def test_an_account_has_a_thousand_triggers(emulator: Emulator, ask: Ask) -> None:
    form = {"CallbackUrl": AWAY, "UsageCategory": "sms", "TriggerValue": "1"}
    path, token = triggers(emulator.account), token_of(emulator.account)
    assert {ask("POST", path, token, **form).status for _ in range(1000)} == {201}
    assert ask("POST", path, token, **form).status == 400


def test_a_restricted_key_is_refused(emulator: Emulator, ask: Ask) -> None:
    key = emulator.account.create_key("restricted", allow=["/twilio/billing/usage/read"])
    assert ask("GET", triggers(emulator.account), pair_of(key)).json()["code"] == 70051


def test_a_pumping_loop_fires_a_trigger_once(
    safetwilio_emulator: Emulator, receiver: Receiver
) -> None:
    """Sent by our client, received by a real server, checked by Twilio's own validator."""
    emulator, client = safetwilio_emulator, safetwilio.get_client()
    assert isinstance(client, TwilioClient)
    made = client.usage.triggers.create(
        f"{receiver.url}/usage", "5", "sms-outbound", recurring="daily", trigger_by="count"
    )
    for number in range(20):
        client.messages.create(to=f"+99890000{number:04}", from_=SENDER, body="Your code is 1")
    assert emulator.callbacks.wait()
    [got] = receiver.received
    assert got.method == "POST"
    check = RequestValidator(emulator.account.auth_token)
    assert check.validate(f"{receiver.url}/usage", got.form, got.signature)
    assert list(got.form) == CALLBACK_PARAMETERS
    fired = client.usage.triggers(made.sid).fetch()
    assert fired.date_fired
    assert fired.current_value == "20"
    sid = emulator.account.sid
    assert got.form == {
        "AccountSid": sid,
        "UsageTriggerSid": made.sid,
        "DateFired": got.form["DateFired"],
        "Recurring": "daily",
        "UsageCategory": "sms-outbound",
        "TriggerBy": "count",
        "TriggerValue": "5",
        "CurrentValue": "6",
        "UsageRecordUri": f"/2010-04-01/Accounts/{sid}/Usage/Records.json?Category=sms-outbound",
        "IdempotencyToken": f"{sid}-FIRES-{made.sid}-{fired.date_fired:%Y-%m-%d}",
    }


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_the_callback_has_the_chosen_method(receiver: Receiver, method: str) -> None:
    emulator = Emulator()
    watching(emulator, "1", CallbackUrl=receiver.url, CallbackMethod=method)
    emulator.account.add_usage("sms-outbound", count=2)
    assert emulator.callbacks.wait()
    [got] = receiver.received
    assert got.method == method
    assert list(got.parameters) == CALLBACK_PARAMETERS


@pytest.mark.parametrize(("by", "value"), [("count", "2"), ("usage", "7"), ("price", "0.09")])
def test_each_field_may_be_watched(emulator: Emulator, by: str, value: str) -> None:
    above = watching(emulator, f"{float(value) + 1:g}", TriggerBy=by, UsageCategory="calls")
    below = watching(emulator, f"{float(value) - 0.01:g}", TriggerBy=by, UsageCategory="calls")
    emulator.account.add_usage("calls-outbound", count=2, usage=7, price="0.09")
    assert below()["date_fired"]
    assert below()["current_value"] == value
    assert above()["date_fired"] is None


@pytest.mark.parametrize(
    ("recurring", "fires"), [("", 1), ("alltime", 1), ("yearly", 2), ("monthly", 3), ("daily", 4)]
)
def test_a_trigger_fires_once_in_each_period(recurring: str, fires: int) -> None:
    """On four days: two of one month, another month, another year."""
    emulator = Emulator()
    at_noon(emulator, "2101-11-01")
    watching(emulator, "10", Recurring=recurring)
    for day in ("2101-11-01", "2101-11-02", "2101-12-01", "2102-01-01"):
        at_noon(emulator, day)
        for _ in range(3):
            emulator.account.add_usage("sms-outbound", count=11)
    tokens = {each.parameters["IdempotencyToken"] for each in emulator.callbacks}
    assert len(emulator.callbacks) == len(tokens) == fires


def test_usage_of_another_period_does_not_count(emulator: Emulator) -> None:
    at_noon(emulator, "2101-11-01")
    look = watching(emulator, "10", Recurring="daily")
    emulator.account.add_usage("sms-outbound", count=9)
    at_noon(emulator, "2101-11-02")
    emulator.account.add_usage("sms-outbound", count=9)
    assert look()["current_value"] == "9"
    assert look()["date_fired"] is None


def test_an_offset_counts_from_what_is_used_now(emulator: Emulator) -> None:
    emulator.account.add_usage("sms-outbound", count=70)
    look = watching(emulator, "+30")
    assert look()["trigger_value"] == "100"
    emulator.account.add_usage("sms-outbound", count=30)
    assert look()["date_fired"] is None
    emulator.account.add_usage("sms-outbound")
    assert look()["date_fired"]


def test_a_trigger_below_what_is_used_fires_at_once(emulator: Emulator) -> None:
    emulator.account.add_usage("sms-outbound", count=70)
    assert watching(emulator, "30")()["date_fired"]


def test_a_deleted_trigger_is_silent(emulator: Emulator, ask: Ask) -> None:
    look = watching(emulator, "1")
    ask("DELETE", look()["uri"], token_of(emulator.account))
    emulator.account.add_usage("sms-outbound", count=9)
    assert list(emulator.callbacks) == []


def test_an_address_elsewhere_is_kept_and_not_called(emulator: Emulator) -> None:
    watching(emulator, "1")
    emulator.account.add_usage("sms-outbound", count=9)
    [kept] = emulator.callbacks
    assert (kept.state, kept.url, kept.reason) == ("not sent", AWAY, "not a loopback address")
    assert kept.parameters["CurrentValue"] == "9"


def test_a_subaccounts_circuit_breaker(server: EmulatorServer, receiver: Receiver) -> None:
    """Its own trigger, signed with its own token; the handler suspends it before it answers."""
    emulator = server.emulator
    child = emulator.create_account(emulator.account)
    watching(emulator, "1", child, CallbackUrl=receiver.url)
    receiver.when_received = child.suspend  # takes the emulator's lock, from another thread
    child.add_usage("sms-outbound", count=2)
    assert emulator.callbacks.wait()
    [got] = receiver.received
    check = RequestValidator(child.auth_token)
    assert check.validate(receiver.url, got.form, got.signature)
    assert emulator.callbacks[0].state == "answered"
    path = f"/2010-04-01/Accounts/{child.sid}/Messages.json"
    form = {"To": RECIPIENT, "From": SENDER, "Body": "hi"}
    assert Ask(emulator)("POST", path, token_of(child), **form).status == 401


@pytest.mark.parametrize(("choice", "fires"), [("exceeded", False), ("reached", True)])
def test_at_the_value_itself(choice: str, fires: bool) -> None:  # noqa: FBT001
    emulator = Emulator(assumptions={"trigger_fires_when": choice})
    look = watching(emulator, "10")
    emulator.account.add_usage("sms-outbound", count=10)
    assert bool(look()["date_fired"]) is fires


@pytest.mark.parametrize("choice", [True, False])
def test_usage_of_subaccounts_in_triggers(choice: bool) -> None:  # noqa: FBT001
    emulator = Emulator(assumptions={"triggers_include_subaccounts": choice})
    look = watching(emulator, "10")
    emulator.create_account(emulator.account).add_usage("sms-outbound", count=11)
    assert bool(look()["date_fired"]) is choice


@pytest.mark.parametrize(("choice", "shown"), [("plain", "10"), ("decimals", "10.000000")])
def test_how_the_value_is_written(choice: str, shown: str) -> None:
    emulator = Emulator(assumptions={"trigger_value_format": choice})
    assert watching(emulator, "10")()["trigger_value"] == shown


@pytest.mark.parametrize(("choice", "day"), [("fired", "2101-11-17"), ("period", "2101-11-01")])
def test_the_date_of_an_idempotency_token(choice: str, day: str) -> None:
    emulator = Emulator(assumptions={"idempotency_date": choice})
    at_noon(emulator, "2101-11-17")
    watching(emulator, "1", Recurring="monthly")
    emulator.account.add_usage("sms-outbound", count=2)
    [sent] = emulator.callbacks
    assert sent.parameters["IdempotencyToken"].endswith(day)


@pytest.mark.parametrize("choice", [1, 2])
def test_a_callback_may_arrive_twice(receiver: Receiver, choice: int) -> None:
    emulator = Emulator(assumptions={"callbacks_arrive": choice})
    watching(emulator, "1", CallbackUrl=receiver.url)
    emulator.account.add_usage("sms-outbound", count=2)
    assert emulator.callbacks.wait()
    assert len(receiver.received) == choice
    assert len({got.form["IdempotencyToken"] for got in receiver.received}) == 1


@pytest.mark.parametrize(("choice", "at_once"), [(0, True), (60, False)])
def test_usage_may_lag(choice: int, at_once: bool) -> None:  # noqa: FBT001
    emulator = Emulator(assumptions={"usage_lag_seconds": choice})
    look = watching(emulator, "1")
    emulator.account.add_usage("sms-outbound", count=2)
    assert bool(look()["date_fired"]) is at_once
    emulator.advance(61)
    assert look()["date_fired"]


@pytest.mark.parametrize("choice", [True, False])
def test_a_callback_that_fails_may_leave_an_alert(receiver: Receiver, choice: bool) -> None:  # noqa: FBT001
    emulator = Emulator(assumptions={"failed_callback_alert": choice})
    receiver.statuses = [500]
    look = watching(emulator, "1", CallbackUrl=receiver.url)
    emulator.account.add_usage("sms-outbound", count=2)
    assert emulator.callbacks.wait()
    assert len(receiver.received) == 4, "once, and three times more"
    path, token = "/v1/Alerts", token_of(emulator.account)
    alerts = Ask(emulator)("GET", path, token, host="monitor.twilio.com").json()["alerts"]
    found = [(each["error_code"], each["resource_sid"], each["request_url"]) for each in alerts]
    assert found == ([("11200", look()["sid"], receiver.url)] if choice else [])
