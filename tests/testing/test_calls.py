"""Calls: what is accepted, what is refused, how they go on and end."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from asking import RECIPIENT, SENDER, Ask, pair_of, paths, token_of
from twilio.base.exceptions import TwilioRestException

from safetwilio.testing import Emulator, EmulatorServer
from safetwilio.testing.resources import caller_ids

if TYPE_CHECKING:
    from collections.abc import Callable

    from twilio.rest import Client

    from safetwilio.testing.exchange import EmulatedResponse

URL = "https://example.com/twiml"
GOOD = {"To": RECIPIENT, "From": SENDER, "Url": URL}


def at(account: Any, sid: str = "") -> str:
    path = paths(account)["message" if sid else "messages"].replace("Messages", "Calls")
    return path.format(sid)


def start(emulator: Emulator, **form: str) -> EmulatedResponse:
    return Ask(emulator)("POST", at(emulator.account), pair_of(emulator.standard_key), **form)


def ask_one(emulator: Emulator, method: str, sid: str, **form: str) -> EmulatedResponse:
    key = pair_of(emulator.standard_key)
    return Ask(emulator)(method, at(emulator.account, sid), key, **form)


def found(emulator: Emulator, *query: tuple[str, str]) -> list[str]:
    key = pair_of(emulator.standard_key)
    calls = Ask(emulator)("GET", at(emulator.account), key, query=query).json()["calls"]
    return [each["to"] for each in calls]


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ({"From": SENDER, "Url": URL}, 21201),
        ({"To": RECIPIENT, "Url": URL}, 21213),
        ({**GOOD, "To": "5551230001"}, 21217),
        ({**GOOD, "From": "Shop"}, 21212),
        ({**GOOD, "Url": "twiml.xml"}, 21205),
        ({"To": RECIPIENT, "From": SENDER, "ApplicationSid": "AP1"}, 20001),
        ({**GOOD, "Method": "PUT"}, 20001),
        ({**GOOD, "StatusCallbackMethod": "PUT"}, 20001),
    ],
)
def test_what_is_refused(emulator: Emulator, form: dict[str, str], code: int) -> None:
    refused = start(emulator, **form)
    assert (refused.status, refused.json()["code"]) == (400, code)
    assert found(emulator) == []


@pytest.mark.parametrize(
    "form",
    [
        {"Twiml": "<Response><Hangup/></Response>"},
        {"ApplicationSid": "AP" + 32 * "a"},
        {"Url": URL, "To": "client:alice", "From": "client:bob"},
        {"Url": URL, "To": "sip:alice@example.com"},
        {"Url": URL, "Method": "GET"},
    ],
)
def test_what_is_accepted(emulator: Emulator, form: dict[str, str]) -> None:
    answer = start(emulator, **{"To": RECIPIENT, "From": SENDER, **form})
    assert (answer.status, answer.json()["status"]) == (201, "queued")


@pytest.mark.parametrize("code", [21205, 21200])
def test_a_call_without_instructions(code: int) -> None:
    emulator = Emulator(assumptions={"missing_instructions_code": code})
    refused = start(emulator, To=RECIPIENT, From=SENDER)
    assert (refused.status, refused.json()["code"]) == (400, code)


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ({"From": "+15005550001"}, 21212),
        ({"From": RECIPIENT}, 21210),
        ({"To": "+15005550001"}, 21217),
        ({"To": "+15005550002"}, 21214),
        ({"To": "+15005550003"}, 21215),
        ({"To": "+15005550004"}, 21216),
        ({}, None),
    ],
)
def test_magic_numbers_are_magic_for_test_credentials_only(
    emulator: Emulator, ask: Ask, form: dict[str, str], code: int | None
) -> None:
    test = emulator.create_account(test=True)
    form = {**GOOD, **form}
    answer = ask("POST", at(test), token_of(test), **form)
    assert answer.json().get("code") == code
    assert start(emulator, **form).status == 201
    assert ask("GET", at(test), token_of(test)).json()["code"] == 20008


def test_a_call_goes_by_the_emulators_clock(connect: Callable[..., Client]) -> None:
    with EmulatorServer() as server:
        client, emulator = connect(server), server.emulator
        call = client.calls.create(to=RECIPIENT, from_=SENDER, url=URL)
        assert (call.status, call.start_time, call.duration) == ("queued", None, None)
        seen = []
        for seconds in (1, 1, 60):
            emulator.advance(seconds)
            seen.append(client.calls(str(call.sid)).fetch())
        assert [each.status for each in seen] == ["ringing", "in-progress", "completed"]
        assert [each.end_time for each in seen[:2]] == [None, None]
        ended = seen[-1]
        assert ended.duration == "60"
        assert ended.end_time - ended.start_time == timedelta(seconds=61)
        assert (ended.to_formatted, ended.direction) == ("(555) 123-0001", "outbound-api")
        assert [each.sid for each in client.calls.list(status="completed")] == [call.sid]
        assert client.calls(str(call.sid)).delete()
        with pytest.raises(TwilioRestException) as refused:
            client.calls(str(call.sid)).fetch()
        assert (refused.value.status, refused.value.code) == (404, 20404)


@pytest.mark.parametrize(("seconds", "status"), [(0, "in-progress"), (1, "queued"), (30, "queued")])
def test_the_time_of_ringing_is_assumed(seconds: int, status: str) -> None:
    emulator = Emulator(assumptions={"ringing_seconds": seconds})
    sid = start(emulator, **GOOD).json()["sid"]
    assert ask_one(emulator, "GET", sid).json()["status"] == status
    emulator.advance(2 * seconds)
    assert ask_one(emulator, "GET", sid).json()["status"] == "in-progress"


@pytest.mark.parametrize(("seconds", "status"), [(0, "completed"), (60, "in-progress")])
def test_the_time_of_talking_is_assumed(seconds: int, status: str) -> None:
    emulator = Emulator(assumptions={"talking_seconds": seconds})
    sid = start(emulator, **GOOD).json()["sid"]
    emulator.advance(2)
    assert ask_one(emulator, "GET", sid).json()["status"] == status


@pytest.mark.parametrize(
    ("after", "wanted", "status", "duration"),
    [
        (0, "completed", "completed", None),
        (1, "canceled", "canceled", None),
        (12, "completed", "completed", "10"),
        (12, "canceled", "in-progress", None),
    ],
)
def test_ending_a_call(
    emulator: Emulator, after: int, wanted: str, status: str, duration: str | None
) -> None:
    began = emulator.now()
    emulator._world.clock = lambda: began
    sid = start(emulator, **GOOD).json()["sid"]
    emulator.advance(after)
    answer = ask_one(emulator, "POST", sid, Status=wanted).json()
    assert (answer["status"], answer["duration"]) == (status, duration)
    emulator.advance(30)
    assert ask_one(emulator, "GET", sid).json()["status"] == status


@pytest.mark.parametrize(("choice", "code"), [("refused", 21220), ("ignored", None)])
def test_ending_a_call_that_has_ended(choice: str, code: int | None) -> None:
    emulator = Emulator(assumptions={"ended_call_update": choice})
    sid = start(emulator, **GOOD).json()["sid"]
    first = ask_one(emulator, "POST", sid, Status="completed").json()
    again = ask_one(emulator, "POST", sid, Status="canceled").json()
    assert again.get("code") == code
    assert ask_one(emulator, "GET", sid).json() == first


def test_redirecting_a_call(emulator: Emulator) -> None:
    sid = start(emulator, **GOOD).json()["sid"]
    assert ask_one(emulator, "POST", sid, Url=URL).json()["code"] == 21220
    emulator.advance(2)
    assert ask_one(emulator, "POST", sid, Url=URL).json()["status"] == "in-progress"
    assert ask_one(emulator, "POST", sid, Twiml="<Response/>").status == 200
    assert ask_one(emulator, "POST", sid, Url="x").json()["code"] == 21205
    assert ask_one(emulator, "POST", sid, Status="ringing").json()["code"] == 20001


def test_only_a_call_that_has_ended_can_be_deleted(emulator: Emulator) -> None:
    sid = start(emulator, **GOOD).json()["sid"]
    refused = ask_one(emulator, "DELETE", sid)
    assert (refused.status, refused.json()["code"]) == (409, 20009)
    ask_one(emulator, "POST", sid, Status="completed")
    assert ask_one(emulator, "DELETE", sid).status == 204
    assert found(emulator) == []


def test_filters(emulator: Emulator) -> None:
    noon = emulator.now().replace(hour=12)
    emulator._world.clock = lambda: noon
    today, tomorrow = noon.date(), noon.date() + timedelta(days=1)
    start(emulator, **{**GOOD, "To": "+15551230011"})
    emulator.advance(86_400)
    start(emulator, **{**GOOD, "To": "+15551230012", "From": "+15551230002"})
    old, new = ["+15551230011"], ["+15551230012"]
    assert found(emulator) == new + old
    assert found(emulator, ("To", "+15551230011")) == old
    assert found(emulator, ("From", "+15551230002")) == new
    assert found(emulator, ("Status", "queued")) == new
    assert found(emulator, ("Status", "busy")) == []
    assert found(emulator, ("ParentCallSid", "CA" + 32 * "a")) == []
    assert found(emulator, ("StartTime", f"{today}")) == old, "the other has not rung yet"
    emulator.advance(10)
    assert found(emulator, ("StartTime>", f"{tomorrow}T00:00:00Z")) == new
    assert found(emulator, ("StartTime<", f"{tomorrow}")) == old
    assert found(emulator, ("StartTime<", f"{today}")) == []
    assert found(emulator, ("EndTime>", f"{date(2020, 1, 1)}")) == old, "the other has not ended"
    for wrong in (("StartTime", "soon"), ("Status", "happy")):
        key = pair_of(emulator.standard_key)
        refused = Ask(emulator)("GET", at(emulator.account), key, query=(wrong,))
        assert (refused.status, refused.json()["code"]) == (400, 20001)


@pytest.mark.parametrize(("choice", "code"), [("ignored", None), ("enforced", 21210)])
def test_calling_from_a_number_that_is_not_the_accounts(choice: str, code: int | None) -> None:
    emulator = Emulator(assumptions={"sender_ownership": choice})
    key, numbers = pair_of(emulator.standard_key), at(emulator.account)
    numbers = numbers.replace("Calls", "IncomingPhoneNumbers")
    own = Ask(emulator)("POST", numbers, key, PhoneNumber="+15551230002").json()
    verified = caller_ids.add(emulator.account, "+15551230003", created=emulator.now())
    answers = [
        start(emulator, **{**GOOD, "From": number}).json()
        for number in ("+15551230002", "+15551230003", "+15551230004")
    ]
    assert [each.get("phone_number_sid") for each in answers] == [own["sid"], verified.sid, None]
    assert [each.get("code") for each in answers] == [None, None, code]


def test_a_restricted_key_needs_the_permission_of_the_verb(emulator: Emulator, ask: Ask) -> None:
    allow = ["/twilio/voice/calls/list"]
    key = pair_of(emulator.account.create_key("restricted", allow=allow))
    assert ask("GET", at(emulator.account), key).status == 200
    assert ask("POST", at(emulator.account), key, **GOOD).json()["code"] == 70051
