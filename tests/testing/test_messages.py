"""Messages: what is accepted, what is refused, and how they live."""

from __future__ import annotations

from datetime import timedelta

import pytest
from asking import RECIPIENT, SENDER, Ask, basic, pair_of, paths, token_of

from safetwilio.testing import Emulator
from safetwilio.testing.exchange import EmulatedRequest, EmulatedResponse

SERVICE = "MG" + 32 * "a"
GOOD = {"To": RECIPIENT, "From": SENDER, "Body": "hello"}


def send(emulator: Emulator, **form: object) -> EmulatedResponse:
    key = pair_of(emulator.standard_key)
    return Ask(emulator)("POST", paths(emulator.account)["messages"], key, **form)


def read(emulator: Emulator, sid: str, method: str = "GET", **form: object) -> EmulatedResponse:
    key = pair_of(emulator.standard_key)
    return Ask(emulator)(method, paths(emulator.account)["message"].format(sid), key, **form)


def test_the_outbox_has_what_was_sent_and_by_which_key(emulator: Emulator, ask: Ask) -> None:
    sid = send(emulator, **GOOD).json()["sid"]
    ask("POST", paths(emulator.account)["messages"], token_of(emulator.account), **GOOD)
    first, second = emulator.messages
    assert (first.to, first.from_, first.body, first.sid) == (RECIPIENT, SENDER, "hello", sid)
    assert (first.account_sid, first.key_sid) == (emulator.account.sid, emulator.standard_key.sid)
    assert second.key_sid is None
    assert emulator.messages[0] == first
    assert emulator.messages[-1:] == [second]
    assert repr(emulator.messages) == "<Outbox of 2>"


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ({"From": SENDER, "Body": "x"}, 21604),
        ({"To": RECIPIENT, "Body": "x"}, 21603),
        ({"To": RECIPIENT, "From": SENDER}, 21602),
        ({"To": RECIPIENT, "From": SENDER, "Body": ""}, 21602),
        ({**GOOD, "To": "5551230001"}, 21211),
        ({**GOOD, "To": "+0555"}, 21211),
        ({**GOOD, "From": "much too long a name"}, 21212),
        ({**GOOD, "Body": "x" * 1601}, 21617),
        ({"To": RECIPIENT, "MessagingServiceSid": "MG1", "Body": "x"}, 21705),
    ],
)
def test_what_is_refused(emulator: Emulator, form: dict[str, str], code: int) -> None:
    response = send(emulator, **form)
    assert (response.status, response.json()["code"]) == (400, code)
    assert not emulator.messages


@pytest.mark.parametrize("code", [21602, 21619])
@pytest.mark.parametrize(
    ("sender", "known"),
    [
        ({"From": SENDER}, None),
        ({"MessagingServiceSid": SERVICE}, 21619),
        ({"From": "whatsapp:+15005550006"}, 21619),
    ],
)
def test_the_code_for_a_missing_body(code: int, sender: dict[str, str], known: int | None) -> None:
    emulator = Emulator(assumptions={"missing_body_code": code, "unknown_service": "accepted"})
    assert send(emulator, To=RECIPIENT, **sender).json()["code"] == (known or code)


@pytest.mark.parametrize("code", [21617, 21658])
def test_the_code_for_a_long_body(code: int) -> None:
    emulator = Emulator(assumptions={"long_body_code": code})
    refused = send(emulator, **{**GOOD, "Body": "x" * 1601})
    assert (refused.status, refused.json()["code"]) == (400, code)
    assert send(emulator, **{**GOOD, "Body": "x" * 1600}).status == 201


@pytest.mark.parametrize(("unit", "cyrillic"), [("utf-16", 201), ("utf-8", 400)])
def test_what_counts_as_a_character_of_the_body(unit: str, cyrillic: int) -> None:
    emulator = Emulator(assumptions={"body_length_unit": unit})
    assert send(emulator, **{**GOOD, "Body": "я" * 801}).status == cyrillic
    assert send(emulator, **{**GOOD, "Body": "😀" * 801}).json()["code"] == 21617


@pytest.mark.parametrize("code", [20001, 400])
def test_the_code_for_a_parameter_without_a_code_of_its_own(code: int) -> None:
    emulator = Emulator(assumptions={"bad_parameter_code": code})
    sid = send(emulator, **GOOD).json()["sid"]
    refused = read(emulator, sid, "POST", Status="sent")
    assert (refused.status, refused.json()["code"]) == (400, code)


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ({"From": "+15005550001"}, 21212),
        ({"From": "+15005550007"}, 21606),
        ({"From": "+15005550008"}, 21611),
        ({"To": "+15005550001"}, 21211),
        ({"To": "+15005550002"}, 21612),
        ({"To": "+15005550003"}, 21408),
        ({"To": "+15005550004"}, 21610),
        ({"To": "+15005550009"}, 21614),
        ({}, None),
    ],
)
def test_magic_numbers_are_magic_for_test_credentials_only(
    emulator: Emulator, ask: Ask, form: dict[str, str], code: int | None
) -> None:
    test = emulator.create_account(test=True)
    form = {**GOOD, **form}
    response = ask("POST", paths(test)["messages"], token_of(test), **form)
    assert response.json().get("code") == code
    assert send(emulator, **form).status == 201


@pytest.mark.parametrize(
    ("body", "segments"),
    [("", 1), ("x" * 160, 1), ("x" * 161, 2), ("€" * 80, 1), ("€" * 81, 2), ("я" * 71, 2)],
)
def test_segments(emulator: Emulator, body: str, segments: int) -> None:
    media = ["https://example.com/a.png", "https://example.com/b.png"]
    message = send(emulator, **{**GOOD, "Body": body}, MediaUrl=media).json()
    assert message["num_segments"] == str(segments)
    assert message["num_media"] == "2"
    assert message["sid"].startswith("MM")


def test_a_message_is_delivered_by_the_emulators_clock(emulator: Emulator) -> None:
    created = send(emulator, **GOOD).json()
    assert (created["status"], created["date_sent"]) == ("queued", None)
    emulator.advance(1)
    assert read(emulator, created["sid"]).json()["status"] == "sent"
    emulator.advance(1)
    delivered = read(emulator, created["sid"]).json()
    assert delivered["status"] == "delivered"
    assert delivered["date_sent"].endswith(" +0000")


@pytest.mark.parametrize(("seconds", "status"), [(0, "delivered"), (60, "queued")])
def test_the_time_of_delivery_is_assumed(seconds: int, status: str) -> None:
    emulator = Emulator(assumptions={"delivery_seconds": seconds})
    created = send(emulator, **GOOD).json()
    assert created["status"] == "queued"
    assert read(emulator, created["sid"]).json()["status"] == status


def test_redaction_empties_the_body(emulator: Emulator) -> None:
    sid = send(emulator, **GOOD).json()["sid"]
    assert read(emulator, sid, "POST", Body="other").status == 400
    assert read(emulator, sid, "POST", Body="").json()["body"] == ""
    assert read(emulator, sid).json()["body"] == ""


def test_deletion_of_a_message_once_it_is_finished(emulator: Emulator) -> None:
    sid = send(emulator, **GOOD).json()["sid"]
    emulator.advance(1)
    early = read(emulator, sid, "DELETE").json()
    assert (early["code"], early["message"]) == (20009, "Cannot delete message in state SENT")
    emulator.advance(1)
    assert read(emulator, sid, "DELETE").status == 204
    assert read(emulator, sid).json()["code"] == 20404
    assert len(emulator.messages) == 1, "the outbox keeps what was sent"


@pytest.mark.parametrize("status", [409, 400])
def test_the_status_of_a_conflict(status: int) -> None:
    emulator = Emulator(assumptions={"conflict_status": status})
    sid = send(emulator, **GOOD).json()["sid"]
    deleted = read(emulator, sid, "DELETE")
    canceled = read(emulator, sid, "POST", Status="canceled")
    assert [each.status for each in (deleted, canceled)] == [status, status]
    assert [each.json()["code"] for each in (deleted, canceled)] == [20009, 30409]


def service(emulator: Emulator) -> str:
    key = pair_of(emulator.standard_key)
    return str(Ask(emulator)("POST", "/v1/Services", key, FriendlyName="web").json()["sid"])


def schedule(emulator: Emulator, **ahead: float) -> EmulatedResponse:
    due = (emulator.now() + timedelta(**ahead)).strftime("%Y-%m-%dT%H:%M:%SZ")
    form = {"MessagingServiceSid": service(emulator), "ScheduleType": "fixed", "SendAt": due}
    return send(emulator, To=RECIPIENT, Body="later", **form)


def test_a_scheduled_message_waits_and_can_be_canceled_until_it_is_due(emulator: Emulator) -> None:
    first, second = (schedule(emulator, hours=1).json() for _ in range(2))
    assert first["status"] == "scheduled"
    assert read(emulator, first["sid"], "POST", Status="sent").status == 400
    canceled = read(emulator, first["sid"], "POST", Status="canceled")
    assert canceled.json()["status"] == "canceled"
    emulator.advance(3600)
    assert read(emulator, first["sid"]).json()["status"] == "canceled"
    late = read(emulator, second["sid"], "POST", Status="canceled")
    assert (late.status, late.json()["code"]) == (409, 30409)
    emulator.advance(3600)
    assert read(emulator, second["sid"]).json()["status"] == "delivered"


def test_the_window_of_scheduling(emulator: Emulator) -> None:
    assert schedule(emulator, minutes=14).json()["code"] == 35114
    assert schedule(emulator, days=36).json()["code"] == 35114
    form = {"MessagingServiceSid": service(emulator), "ScheduleType": "fixed", "SendAt": "soon"}
    assert send(emulator, To=RECIPIENT, Body="x", **form).json()["code"] == 35114
    dropped = send(emulator, **GOOD, ScheduleType="fixed", SendAt="soon")
    assert dropped.json()["status"] == "queued", "without a service the parameters are dropped"


def found(emulator: Emulator, *query: tuple[str, str]) -> set[str]:
    key = pair_of(emulator.standard_key)
    response = Ask(emulator)("GET", paths(emulator.account)["messages"], key, query=query)
    return {message["body"] for message in response.json()["messages"]}


def two_days(emulator: Emulator) -> tuple[str, str]:
    """Send a message today and one tomorrow, and return both dates."""
    send(emulator, **{**GOOD, "Body": "today"})
    emulator.advance(24 * 3600)
    send(emulator, **{**GOOD, "Body": "tomorrow", "From": "Shop"})
    now = emulator.now()
    emulator.advance(10)
    return f"{now - timedelta(days=1):%Y-%m-%d}", f"{now:%Y-%m-%d}"


def test_filters(emulator: Emulator) -> None:
    today, tomorrow = two_days(emulator)
    assert found(emulator, ("To", RECIPIENT)) == {"today", "tomorrow"}
    assert found(emulator, ("To", "+15550000000")) == set()
    assert found(emulator, ("From", "Shop")) == {"tomorrow"}
    assert found(emulator, ("DateSent", today)) == {"today"}
    assert found(emulator, ("DateSent<", today)) == {"today"}
    assert found(emulator, ("DateSent>", tomorrow)) == {"tomorrow"}
    assert found(emulator, ("DateSent>", today), ("DateSent<", tomorrow)) == {"today", "tomorrow"}


def test_a_date_that_is_none_is_refused(emulator: Emulator) -> None:
    key, query = pair_of(emulator.standard_key), (("DateSent", "yesterday"),)
    response = Ask(emulator)("GET", paths(emulator.account)["messages"], key, query=query)
    assert (response.status, response.json()["code"]) == (400, 20001)


@pytest.mark.parametrize(("precision", "bodies"), [("day", {"hello"}), ("second", set())])
def test_the_time_of_day_in_a_filter(precision: str, bodies: set[str]) -> None:
    emulator = Emulator(assumptions={"date_sent_precision": precision})
    emulator.advance(24 * 3600 - emulator.now().timestamp() % (24 * 3600))  # midnight
    send(emulator, **GOOD)
    emulator.advance(60)
    for form in ("%Y-%m-%dT%H:%M:%SZ", "%a, %d %b %Y %H:%M:%S +0000"):
        assert found(emulator, ("DateSent>", emulator.now().strftime(form))) == bodies


@pytest.mark.parametrize(("match", "bodies"), [(True, {"hello"}), (False, set())])
def test_messages_not_sent_yet_in_a_date_filter(match: bool, bodies: set[str]) -> None:  # noqa: FBT001
    emulator = Emulator(assumptions={"unsent_match_date_filter": match, "delivery_seconds": 60})
    send(emulator, **GOOD)
    assert found(emulator, ("DateSent>", "2020-01-01")) == bodies


def test_a_body_of_another_type_has_no_parameters(emulator: Emulator) -> None:
    headers = {**basic(pair_of(emulator.standard_key)), "content-type": "application/json"}
    path = paths(emulator.account)["messages"]
    request = EmulatedRequest("POST", "api.twilio.com", path, headers=headers, body=b'{"To": "+1"}')
    assert emulator.handle(request).json()["code"] == 21604
