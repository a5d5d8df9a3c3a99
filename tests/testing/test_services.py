"""Messaging services: their settings, their numbers, and what is sent through them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from asking import RECIPIENT, Ask, pair_of, paths
from twilio.base.exceptions import TwilioRestException

from safetwilio.testing import Emulator, EmulatorServer

if TYPE_CHECKING:
    from collections.abc import Callable

    from twilio.rest import Client

    from safetwilio.testing.exchange import EmulatedResponse

SERVICES, UNKNOWN = "/v1/Services", "MG" + 32 * "a"
HOOK = "https://example.com/in"


def ask_key(emulator: Emulator, method: str, path: str, **form: str) -> EmulatedResponse:
    return Ask(emulator)(method, path, pair_of(emulator.standard_key), **form)


def create(emulator: Emulator, **form: str) -> EmulatedResponse:
    return ask_key(emulator, "POST", SERVICES, **{"FriendlyName": "web", **form})


def buy(emulator: Emulator, area: str = "415") -> str:
    path = paths(emulator.account)["messages"].replace("Messages", "IncomingPhoneNumbers")
    return str(ask_key(emulator, "POST", path, AreaCode=area).json()["sid"])


def attach(emulator: Emulator, service: str, number: str) -> EmulatedResponse:
    path = f"{SERVICES}/{service}/PhoneNumbers"
    return ask_key(emulator, "POST", path, PhoneNumberSid=number)


def send(emulator: Emulator, service: str, to: str = RECIPIENT, **form: str) -> EmulatedResponse:
    path = paths(emulator.account)["messages"]
    form = {"To": to, "MessagingServiceSid": service, "Body": "hi", **form}
    return ask_key(emulator, "POST", path, **form)


def test_a_service_from_birth_to_death(connect: Callable[..., Client]) -> None:
    with EmulatorServer() as server:
        client = connect(server)
        made = client.messaging.v1.services.create("web", inbound_request_url=HOOK)
        assert (made.inbound_request_url, made.inbound_method) == (HOOK, "POST")
        assert (made.validity_period, made.usecase) == (36_000, "undeclared")
        changed = made.update(friendly_name="shop", validity_period=60, sticky_sender=False)
        assert (changed.friendly_name, changed.validity_period) == ("shop", 60)
        assert (changed.sticky_sender, changed.inbound_request_url) == (False, HOOK)
        assert [each.sid for each in client.messaging.v1.services.list()] == [made.sid]
        assert client.messaging.v1.services(made.sid).fetch().friendly_name == "shop"
        assert made.delete()
        with pytest.raises(TwilioRestException) as refused:
            made.fetch()
        assert (refused.value.status, refused.value.code) == (404, 20404)


def test_the_pool_of_a_service(connect: Callable[..., Client]) -> None:
    with EmulatorServer() as server:
        client = connect(server)
        service = client.messaging.v1.services.create("web")
        pool = client.messaging.v1.services(service.sid).phone_numbers
        number = client.incoming_phone_numbers.create(area_code="415")
        client.incoming_phone_numbers.create(area_code="808")
        attached = pool.create(phone_number_sid=str(number.sid))
        assert (attached.sid, attached.phone_number) == (number.sid, number.phone_number)
        assert (attached.service_sid, attached.country_code) == (service.sid, "US")
        assert [each.sid for each in pool.list()] == [number.sid]
        assert pool(str(number.sid)).fetch().capabilities == ["MMS", "SMS", "Voice"]
        assert pool(str(number.sid)).delete()
        assert pool.list() == []
        assert number.fetch().sid == number.sid, "the account keeps the number"
        with pytest.raises(TwilioRestException) as refused:
            pool(str(number.sid)).fetch()
        assert refused.value.code == 20404


@pytest.mark.parametrize(
    "form",
    [
        {"FriendlyName": ""},
        {"FriendlyName": "x" * 65},
        {"ValidityPeriod": "0"},
        {"ValidityPeriod": "36001"},
        {"ValidityPeriod": "long"},
        {"Usecase": "spam"},
        {"ScanMessageContent": "never"},
        {"StickySender": "glue"},
        {"InboundMethod": "PUT"},
        {"StatusCallback": "/relative"},
    ],
)
def test_what_is_refused(emulator: Emulator, form: dict[str, str]) -> None:
    refused = create(emulator, **form)
    assert (refused.status, refused.json()["code"]) == (400, 20001)


@pytest.mark.parametrize("status", [409, 400])
def test_a_number_is_in_one_service_only(status: int) -> None:
    emulator = Emulator(assumptions={"pool_conflict_status": status})
    first, second = (create(emulator).json()["sid"] for _ in range(2))
    number = buy(emulator)
    assert attach(emulator, first, number).status == 201
    again, elsewhere = attach(emulator, first, number), attach(emulator, second, number)
    assert [each.json()["code"] for each in (again, elsewhere)] == [21710, 21712]
    assert [each.status for each in (again, elsewhere)] == [status, status]
    path = f"{SERVICES}/{second}/PhoneNumbers/{number}"
    assert ask_key(emulator, "GET", path).status == 404
    assert ask_key(emulator, "DELETE", path).status == 404
    ask_key(emulator, "DELETE", f"{SERVICES}/{first}")
    assert attach(emulator, second, number).status == 201, "its service is gone"


def test_numbers_and_services_that_do_not_exist(emulator: Emulator) -> None:
    service = create(emulator).json()["sid"]
    refused = attach(emulator, service, "PN" + 32 * "a")
    assert (refused.status, refused.json()["code"]) == (400, 21421)
    assert attach(emulator, UNKNOWN, buy(emulator)).json()["code"] == 20404


def test_a_pool_has_at_most_400_numbers(emulator: Emulator) -> None:
    service = create(emulator).json()["sid"]
    areas = [area for area in ("212", "415", "808", "303") for _ in range(100)]
    statuses = {attach(emulator, service, buy(emulator, area)).status for area in areas}
    refused = attach(emulator, service, buy(emulator, "206"))
    assert statuses == {201}
    assert (refused.status, refused.json()["code"]) == (400, 21714)


@pytest.mark.parametrize("on", [True, False])
def test_the_features_of_a_new_service(on: bool) -> None:  # noqa: FBT001
    emulator = Emulator(assumptions={"new_service_flags": on})
    made = create(emulator, MmsConverter="false").json()
    assert (made["sticky_sender"], made["smart_encoding"], made["mms_converter"]) == (
        on,
        on,
        False,
    )


@pytest.mark.parametrize(("choice", "code"), [("refused", 21701), ("accepted", None)])
def test_sending_through_a_service_that_does_not_exist(choice: str, code: int | None) -> None:
    emulator = Emulator(assumptions={"unknown_service": choice})
    answer = send(emulator, UNKNOWN)
    assert answer.json().get("code") == code
    assert answer.status == (400 if code else 201)
    assert send(emulator, "MG1").json()["code"] == 21705
    assert len(emulator.messages) == (0 if code else 1)


@pytest.mark.parametrize(("choice", "code"), [("accepted", None), ("refused", 21703)])
def test_sending_through_a_service_without_numbers(choice: str, code: int | None) -> None:
    emulator = Emulator(assumptions={"empty_pool": choice})
    service = create(emulator).json()["sid"]
    answer = send(emulator, service).json()
    assert answer.get("code") == code
    attach(emulator, service, buy(emulator))
    assert send(emulator, service).status == 201


def test_the_sender_comes_from_the_pool_when_the_message_is_sent(emulator: Emulator) -> None:
    service = create(emulator).json()["sid"]
    for _ in range(3):
        attach(emulator, service, buy(emulator))
    pool = {f"+1415555010{last}" for last in range(3)}
    sent = [send(emulator, service, f"+1212555{last:04}").json() for last in range(100, 130)]
    assert {(each["status"], each["from"], each["num_segments"]) for each in sent} == {
        ("accepted", None, "0")
    }
    emulator.advance(1)
    path, key = paths(emulator.account)["messages"], pair_of(emulator.standard_key)
    listed = Ask(emulator)("GET", path, key).json()["messages"]
    assert {each["from"] for each in listed} == pool
    assert {each["num_segments"] for each in listed} == {"1"}
    one = next(iter(pool))
    found = Ask(emulator)("GET", path, key, query=(("From", one),)).json()["messages"]
    assert {each["from"] for each in found} == {one}
    assert 0 < len(found) < 30


def test_one_recipient_always_hears_from_the_same_number(emulator: Emulator) -> None:
    service = create(emulator).json()["sid"]
    for _ in range(3):
        attach(emulator, service, buy(emulator))
    for _ in range(5):
        send(emulator, service)
    assert len({message.pool_sender for message in emulator.messages}) == 1


def test_a_given_sender_stays(emulator: Emulator) -> None:
    service = create(emulator).json()["sid"]
    attach(emulator, service, buy(emulator))
    answer = send(emulator, service, From="+15551230002").json()
    assert (answer["from"], answer["messaging_service_sid"]) == ("+15551230002", service)


def test_a_number_that_moves_or_goes_leaves_its_service(emulator: Emulator, ask: Ask) -> None:
    service, child = create(emulator).json()["sid"], emulator.create_account(emulator.account)
    moved, gone = buy(emulator), buy(emulator)
    base = paths(emulator.account)["messages"].replace("Messages.json", "IncomingPhoneNumbers")
    token = emulator.account.sid, emulator.account.auth_token
    for number in (moved, gone):
        attach(emulator, service, number)
    ask("POST", f"{base}/{moved}.json", token, AccountSid=child.sid)
    ask("DELETE", f"{base}/{gone}.json", token)
    pool = ask_key(emulator, "GET", f"{SERVICES}/{service}/PhoneNumbers").json()
    assert pool["phone_numbers"] == []
    back = f"{base.replace(emulator.account.sid, child.sid)}/{moved}.json"
    ask("POST", back, token, AccountSid=emulator.account.sid)
    assert attach(emulator, service, moved).status == 201


@pytest.mark.parametrize(
    ("allow", "statuses"),
    [
        ("/twilio/messaging/services/list", [200, 70051]),
        ("/twilio/messaging/services.phonenumbers/list", [70051, 200]),
    ],
)
def test_what_a_restricted_key_may(emulator: Emulator, allow: str, statuses: list[int]) -> None:
    service = create(emulator).json()["sid"]
    key = pair_of(emulator.account.create_key("restricted", allow=[allow]))
    ask = Ask(emulator)
    answers = [
        ask("GET", SERVICES, key),
        ask("GET", f"{SERVICES}/{service}/PhoneNumbers", key),
    ]
    assert [each.json().get("code", each.status) for each in answers] == statuses
