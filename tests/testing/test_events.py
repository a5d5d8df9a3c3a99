"""Events and alerts: what is noted of which request, and how it is found again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from asking import RECIPIENT, SENDER, Ask, basic, pair_of, paths, token_of
from twilio.base.exceptions import TwilioException

from safetwilio.testing import Emulator, EmulatorServer
from safetwilio.testing.exchange import EmulatedRequest

if TYPE_CHECKING:
    from collections.abc import Callable

    from twilio.rest import Client

HOST = "monitor.twilio.com"
SECONDARY, PROMOTE = "/v1/AuthTokens/Secondary", "/v1/AuthTokens/Promote"


def ask_events(emulator: Emulator, what: str = "Events", account: Any = None, **query: str) -> Any:
    pair = token_of(account or emulator.account)
    return Ask(emulator)("GET", f"/v1/{what}", pair, host=HOST, query=tuple(query.items()))


def events(emulator: Emulator, account: Any = None, **query: str) -> list[Any]:
    found: list[Any] = ask_events(emulator, "Events", account, **query).json()["events"]
    return found


def types(emulator: Emulator, account: Any = None) -> list[str]:
    return [each["event_type"] for each in reversed(events(emulator, account))]


def new_key(emulator: Emulator, pair: tuple[str, str]) -> Any:
    return Ask(emulator)("POST", paths(emulator.account)["keys"], pair, FriendlyName="web").json()


def test_a_new_key_as_in_twilios_guide(emulator: Emulator) -> None:
    """The example of the fraud response guide: who, what, and no secret."""
    key = new_key(emulator, token_of(emulator.account))
    [event] = events(emulator)
    sid = emulator.account.sid
    assert event == {
        "sid": event["sid"],
        "account_sid": sid,
        "actor_sid": sid,
        "actor_type": "account",
        "description": None,
        "event_data": {
            "resource_properties": {
                "friendly_name": {"updated": "web", "previous": None},
                "secret": {"updated": "[REDACTED]", "previous": None},
            }
        },
        "event_date": event["event_date"],
        "event_type": "account-api-keys.created",
        "resource_sid": key["sid"],
        "resource_type": "account-api-keys",
        "source": "api",
        "source_ip_address": "127.0.0.1",
        "url": f"https://monitor.twilio.com/v1/Events/{event['sid']}",
        "links": {
            "actor": f"https://api.twilio.com/2010-04-01/Accounts/{sid}",
            "resource": None,
        },
    }


def test_what_is_noted_of_each_request(emulator: Emulator, ask: Ask) -> None:
    at, token = paths(emulator.account), token_of(emulator.account)
    key = at["key"].format(new_key(emulator, token)["sid"])
    ask("POST", key, token, FriendlyName="worker")
    ask("DELETE", key, token)
    ask("POST", "/v1/Keys", token, AccountSid=emulator.account.sid)
    ask("POST", at["account"], token, FriendlyName="other")
    ask("POST", SECONDARY, token)
    ask("DELETE", SECONDARY, token)
    ask("POST", SECONDARY, token)
    ask("POST", PROMOTE, token)
    token = token_of(emulator.account)
    sent = ask("POST", at["messages"], token, To=RECIPIENT, From=SENDER, Body="hi").json()
    emulator.advance(10)
    ask("DELETE", at["message"].format(sent["sid"]), token)
    assert types(emulator) == [
        "account-api-keys.created",
        "account-api-keys.updated",
        "account-api-keys.deleted",
        "account-api-keys.created",
        "account.updated",
        "account-auth-token.secondary-created",
        "account-auth-token.secondary-deleted",
        "account-auth-token.secondary-created",
        "account-auth-token.promoted",
        "message.deleted",
    ]
    assert emulator.account.auth_token not in str(events(emulator))


def test_reading_and_refusals_are_not_noted(emulator: Emulator, ask: Ask) -> None:
    at, token = paths(emulator.account), token_of(emulator.account)
    ask("GET", at["keys"], token)
    for method in ("POST", "DELETE"):
        assert ask(method, at["key"].format("SK" + 32 * "0"), token).status == 404
    assert ask("POST", at["keys"], pair_of(emulator.standard_key)).status == 401
    assert events(emulator) == []


def test_an_update_has_both_values(emulator: Emulator, ask: Ask) -> None:
    key = paths(emulator.account)["key"].format(emulator.standard_key.sid)
    ask("POST", key, token_of(emulator.account), FriendlyName="worker")
    [event] = events(emulator)
    changed = {"friendly_name": {"updated": "worker", "previous": "seeded"}}
    assert event["event_data"] == {"resource_properties": changed}
    assert event["resource_sid"] == emulator.standard_key.sid


def test_a_trigger_that_is_made_and_gone(emulator: Emulator, ask: Ask) -> None:
    path, token = paths(emulator.account)["messages"], token_of(emulator.account)
    form = {"CallbackUrl": "https://a.b/", "UsageCategory": "sms", "TriggerValue": "1"}
    made = ask("POST", path.replace("Messages", "Usage/Triggers"), token, **form).json()
    ask("POST", made["uri"], token, FriendlyName="b")
    ask("DELETE", made["uri"], token)
    names = ["usage-trigger.created", "usage-trigger.updated", "usage-trigger.deleted"]
    assert types(emulator) == names
    assert {each["resource_sid"] for each in events(emulator)} == {made["sid"]}
    assert events(emulator)[0]["event_data"] is None


def test_the_library_reads_events(server: EmulatorServer, connect: Callable[..., Client]) -> None:
    emulator = server.emulator
    token = token_of(emulator.account)
    keys = [new_key(emulator, token) for _ in range(3)]
    client = connect(server)
    listed = client.monitor.v1.events.list(page_size=2)
    assert [each.resource_sid for each in listed] == [key["sid"] for key in reversed(keys)]
    event = client.monitor.v1.events(listed[0].sid).fetch()
    assert event.event_type == "account-api-keys.created"
    assert event.event_date
    assert abs(event.event_date - emulator.now()) < timedelta(minutes=5)
    with pytest.raises(TwilioException) as caught:
        client.monitor.v1.events("AE" + 32 * "0").fetch()
    assert caught.value.status == 404  # type: ignore[attr-defined]


def test_the_filters(server: EmulatorServer, connect: Callable[..., Client]) -> None:
    account, now = server.emulator.account, server.emulator.now()
    user, resource, address = "US" + 32 * "a", "PN" + 32 * "b", "203.0.113.9"
    days = [now - timedelta(days=number) for number in (3, 1, 2)]
    account.record_event("phone-number.updated", at=days[0], resource_sid=resource)
    account.record_event("user-session.created", at=days[1], source="web", actor_sid=user)
    account.record_event("user.updated", at=days[2], source_ip_address=address)
    every = connect(server).monitor.v1.events

    def found(**query: Any) -> list[str]:
        return [each.event_type for each in every.list(**query)]

    assert found() == ["user-session.created", "user.updated", "phone-number.updated"]
    assert found(actor_sid=user) == found(event_type="user-session.created") == found()[:1]
    assert found(source_ip_address=address) == found()[1:2]
    assert found(resource_sid=resource) == found()[2:]
    assert found(start_date=days[2]) == found()[:2]
    assert found(end_date=days[2]) == found()[1:]
    assert found(start_date=days[2], end_date=days[2], event_type="user.updated") == found()[1:2]


def test_two_filters_are_refused(emulator: Emulator) -> None:
    """docs/usage/monitor-events: a 400 Bad Request."""
    query = {"EventType": "account.updated", "ActorSid": emulator.account.sid}
    assert ask_events(emulator, **query).status == 400
    assert ask_events(emulator, StartDate="yesterday").status == 400


def test_an_event_tells_where_a_request_came_from(emulator: Emulator) -> None:
    account = emulator.account
    request = EmulatedRequest(
        method="POST",
        host="api.twilio.com",
        path=paths(account)["keys"],
        headers=basic(token_of(account)),
        address="203.0.113.9",
    )
    assert emulator.handle(request).status == 201
    assert events(emulator, SourceIpAddress="203.0.113.9") == events(emulator) != []


def test_an_account_sees_its_own_log_only(emulator: Emulator) -> None:
    child = emulator.create_account(emulator.account)
    event = child.record_event("account.updated")
    assert [each["sid"] for each in events(emulator, child)] == [event.sid]
    assert events(emulator) == []
    alert = child.add_alert(11200)
    for path in (f"Events/{event.sid}", f"Alerts/{alert.sid}"):
        assert ask_events(emulator, path).status == 404
        assert ask_events(emulator, path, child).status == 200
    assert "account.updated" in repr(event)


@pytest.mark.parametrize("name", ["events", "alerts"])
def test_what_a_restricted_key_may_read(
    server: EmulatorServer, connect: Callable[..., Client], name: str
) -> None:
    account = server.emulator.account
    allowed = account.create_key("restricted", allow=[f"/twilio/monitor/{name}/list"])
    assert getattr(connect(server, pair_of(allowed)).monitor.v1, name).list() == []
    other = account.create_key("restricted", allow=[f"/twilio/monitor/{name}/read"])
    with pytest.raises(TwilioException):
        getattr(connect(server, pair_of(other)).monitor.v1, name).list()


def test_the_library_reads_alerts(server: EmulatorServer, connect: Callable[..., Client]) -> None:
    account, now = server.emulator.account, server.emulator.now()
    old = account.add_alert(30007, level="warning", at=now - timedelta(days=2))
    account.add_alert(30007, at=now - timedelta(days=31))
    new = account.add_alert(11200, text="no answer", request_variables="a=b", request_method="GET")
    alerts = connect(server).monitor.v1.alerts
    assert [each.sid for each in alerts.list()] == [new.sid, old.sid], "30 days"
    assert [each.sid for each in alerts.list(log_level="warning")] == [old.sid]
    assert [each.sid for each in alerts.list(start_date=now - timedelta(days=1))] == [new.sid]
    one = alerts(new.sid).fetch()
    assert (one.error_code, one.alert_text, one.request_variables) == ("11200", "no answer", "a=b")
    assert one.more_info == "https://www.twilio.com/docs/errors/11200"
    assert "no answer" not in repr(new)


@pytest.mark.parametrize("choice", ["account-api-keys", "account-keys"])
def test_the_resource_of_a_keys_event(choice: str) -> None:
    emulator = Emulator(assumptions={"key_event_resource": choice})
    new_key(emulator, token_of(emulator.account))
    assert types(emulator) == [f"{choice}.created"]


@pytest.mark.parametrize("choice", ["phone-number", "phone_number"])
def test_the_resource_of_a_numbers_event(choice: str) -> None:
    """From the purchase on; a webhook that an attacker changes is there with both values."""
    emulator = Emulator(assumptions={"number_event_resource": choice})
    ask, token = Ask(emulator), token_of(emulator.account)
    path = paths(emulator.account)["messages"].replace("Messages", "IncomingPhoneNumbers")
    bought = ask("POST", path, token, AreaCode="415", SmsUrl="https://a.b/").json()
    ask("POST", bought["uri"], token, SmsUrl="https://evil.example/")
    ask("DELETE", bought["uri"], token)
    assert types(emulator) == [f"{choice}.{each}" for each in ("created", "updated", "deleted")]
    changed = events(emulator)[1]["event_data"]["resource_properties"]
    assert changed == {"sms_url": {"updated": "https://evil.example/", "previous": "https://a.b/"}}


def test_an_application_that_is_made_and_gone(emulator: Emulator, ask: Ask) -> None:
    path, token = paths(emulator.account)["messages"], token_of(emulator.account)
    made = ask("POST", path.replace("Messages", "Applications"), token, FriendlyName="a").json()
    ask("POST", made["uri"], token, FriendlyName="b")
    ask("DELETE", made["uri"], token)
    assert types(emulator) == ["application.created", "application.updated", "application.deleted"]


@pytest.mark.parametrize("choice", ["message-body.deleted", "message.updated"])
def test_the_event_of_a_redaction(choice: str) -> None:
    """It never has the body that was redacted."""
    emulator = Emulator(assumptions={"redaction_event": choice})
    ask, at, token = Ask(emulator), paths(emulator.account), token_of(emulator.account)
    form = {"To": RECIPIENT, "From": SENDER, "Body": "private"}
    sent = ask("POST", at["messages"], token, **form).json()
    ask("POST", at["message"].format(sent["sid"]), token, Body="")
    assert types(emulator) == [choice]
    assert "private" not in str(events(emulator))


@pytest.mark.parametrize("choice", ["resource_properties", "bare"])
def test_the_shape_of_event_data(choice: str) -> None:
    emulator = Emulator(assumptions={"event_data_shape": choice})
    emulator.account.record_event("account.updated", properties={"a": {"updated": 1}})
    [event] = events(emulator)
    bare = {"a": {"updated": 1}}
    assert event["event_data"] == (bare if choice == "bare" else {"resource_properties": bare})


@pytest.mark.parametrize("choice", ["account", "key"])
def test_the_actor_with_a_key(choice: str) -> None:
    emulator = Emulator(assumptions={"event_actor_of_key": choice})
    new_key(emulator, pair_of(emulator.main_key))
    [event] = events(emulator)
    account = ("account", emulator.account.sid)
    key = ("api-key", emulator.main_key.sid)
    assert (event["actor_type"], event["actor_sid"]) == (key if choice == "key" else account)


@pytest.mark.parametrize("choice", ["resource", "caller"])
def test_whose_log_a_subaccounts_change_is_in(choice: str) -> None:
    emulator = Emulator(assumptions={"event_in_log_of": choice})
    child = emulator.create_account(emulator.account)
    token = token_of(emulator.account)
    Ask(emulator)("POST", paths(child)["account"], token, FriendlyName="other")
    here, other = (child, emulator.account) if choice == "resource" else (emulator.account, child)
    assert types(emulator, here) == ["account.updated"]
    assert events(emulator, here)[0]["resource_sid"] == child.sid
    assert events(emulator, here)[0]["actor_sid"] == emulator.account.sid
    assert events(emulator, other) == []


@pytest.mark.parametrize("choice", [30, 395])
def test_how_long_events_are_kept(choice: int) -> None:
    emulator = Emulator(assumptions={"event_retention_days": choice})
    event = emulator.account.record_event("account.updated")
    emulator.advance(timedelta(days=choice).total_seconds() - 60)
    assert ask_events(emulator, f"Events/{event.sid}").status == 200
    emulator.advance(61)
    assert events(emulator) == []
    assert ask_events(emulator, f"Events/{event.sid}").status == 404


@pytest.mark.parametrize(("choice", "found"), [("end", 2), ("start", 1)])
def test_an_end_date_without_a_time(choice: str, found: int) -> None:
    emulator = Emulator(assumptions={"end_date_without_time": choice})
    today = emulator.now().date()
    for hour in (0, 23):
        moment = datetime(today.year, today.month, today.day, hour, tzinfo=UTC)
        emulator.account.record_event("account.updated", at=moment)
    assert len(events(emulator, EndDate=today.isoformat())) == found
    assert len(events(emulator, StartDate=today.isoformat())) == 2
