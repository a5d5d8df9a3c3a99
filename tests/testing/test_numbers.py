"""Phone numbers: bought, found, changed, moved, given back; who may send from them; caller IDs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from asking import RECIPIENT, Ask, pair_of, paths, token_of
from hypothesis import given
from hypothesis import strategies as st
from twilio.base.exceptions import TwilioRestException

from safetwilio.testing import Emulator, EmulatorServer
from safetwilio.testing.resources import caller_ids

if TYPE_CHECKING:
    from collections.abc import Callable

    from twilio.rest import Client

    from safetwilio.testing.exchange import EmulatedResponse

OWN, FOREIGN = "+15551230002", "+15551239999"
HOOK = "https://example.com/sms"


def at(account: Any, sid: str = "", kind: str = "IncomingPhoneNumbers") -> str:
    """Return the path of *account*'s numbers, or of the one called *sid*."""
    path = paths(account)["account"].removesuffix(".json") + f"/{kind}"
    return f"{path}/{sid}.json" if sid else f"{path}.json"


def buy(emulator: Emulator, **form: str) -> EmulatedResponse:
    key = pair_of(emulator.standard_key)
    return Ask(emulator)("POST", at(emulator.account), key, **form)


def send(emulator: Emulator, sender: str) -> EmulatedResponse:
    form = {"To": RECIPIENT, "From": sender, "Body": "hi"}
    path = paths(emulator.account)["messages"]
    return Ask(emulator)("POST", path, pair_of(emulator.standard_key), **form)


def test_a_number_from_purchase_to_return(connect: Callable[..., Client]) -> None:
    with EmulatorServer() as server:
        client = connect(server)
        number = client.incoming_phone_numbers.create(phone_number=OWN, sms_url=HOOK)
        assert (number.phone_number, number.friendly_name) == (OWN, "(555) 123-0002")
        assert (number.sms_url, number.sms_method, number.voice_url) == (HOOK, "POST", None)
        assert number.capabilities == {"voice": True, "sms": True, "mms": True, "fax": False}
        changed = number.update(friendly_name="desk", voice_url=HOOK, voice_method="GET")
        assert (changed.friendly_name, changed.voice_url, changed.voice_method) == (
            "desk",
            HOOK,
            "GET",
        )
        assert changed.sms_url == HOOK, "what is not named stays"
        assert number.update(sms_url="").sms_url is None
        assert client.incoming_phone_numbers(number.sid).fetch().friendly_name == "desk"
        assert [each.sid for each in client.incoming_phone_numbers.list()] == [number.sid]
        assert number.delete()
        assert client.incoming_phone_numbers.list() == []
        with pytest.raises(TwilioRestException) as refused:
            number.fetch()
        assert (refused.value.status, refused.value.code) == (404, 20404)


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ({}, 20001),
        ({"PhoneNumber": "5551230002"}, 21421),
        ({"PhoneNumber": "+15551230007"}, 21422),
        ({"PhoneNumber": OWN, "SmsUrl": "example.com/sms"}, 21402),
        ({"PhoneNumber": OWN, "VoiceUrl": "ftp://example.com"}, 21402),
        ({"PhoneNumber": OWN, "VoiceUrl": "http://[::1"}, 21402),
        ({"PhoneNumber": OWN, "SmsMethod": "PUT"}, 20001),
        ({"PhoneNumber": OWN, "SmsApplicationSid": "AP1"}, 20001),
        ({"PhoneNumber": OWN, "VoiceCallerIdLookup": "maybe"}, 20001),
        ({"PhoneNumber": OWN, "FriendlyName": "x" * 65}, 20001),
        ({"AreaCode": "15"}, 21451),
        ({"AreaCode": "099"}, 21451),
    ],
)
def test_what_is_refused(emulator: Emulator, form: dict[str, str], code: int) -> None:
    assert buy(emulator, PhoneNumber="+15551230007").status == 201
    refused = buy(emulator, **form)
    assert (refused.status, refused.json()["code"]) == (400, code)


def test_another_accounts_number_is_not_for_sale(emulator: Emulator, ask: Ask) -> None:
    other = emulator.create_account()
    assert ask("POST", at(other), token_of(other), PhoneNumber=OWN).status == 201
    assert buy(emulator, PhoneNumber=OWN).json()["code"] == 21422


def test_an_area_has_numbers_until_all_are_sold(emulator: Emulator) -> None:
    bought = [buy(emulator, AreaCode="415").json()["phone_number"] for _ in range(100)]
    assert len(set(bought)) == 100
    assert all(number.startswith("+141555501") for number in bought)
    refused = buy(emulator, AreaCode="415")
    assert (refused.status, refused.json()["code"]) == (400, 21452)
    assert buy(emulator, AreaCode="808").status == 201


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ((("PhoneNumber", "+15551230002"),), {OWN}),
        ((("PhoneNumber", "4155550"),), {"+14155550100"}),
        ((("PhoneNumber", "+1***55501"),), {"+14155550100"}),
        ((("PhoneNumber", "+1.*"),), set()),
        ((("FriendlyName", "desk"),), {OWN}),
        ((("FriendlyName", "des"),), set()),
        ((("Origin", "twilio"), ("Beta", "false")), {OWN, "+14155550100"}),
        ((("Origin", "hosted"),), set()),
    ],
)
def test_filters(emulator: Emulator, query: tuple[tuple[str, str], ...], found: set[str]) -> None:
    buy(emulator, PhoneNumber=OWN, FriendlyName="desk")
    buy(emulator, AreaCode="415")
    path, key = at(emulator.account), pair_of(emulator.standard_key)
    listed = Ask(emulator)("GET", path, key, query=query).json()["incoming_phone_numbers"]
    assert {each["phone_number"] for each in listed} == found


@given(pattern=st.text(max_size=20), address=st.text(max_size=30))
def test_any_pattern_is_answered_and_any_url_kept_or_refused(pattern: str, address: str) -> None:
    emulator = Emulator()
    bought = buy(emulator, PhoneNumber=OWN, SmsUrl=f"http{address}")
    assert bought.status == 201 or bought.json()["code"] == 21402
    key, query = pair_of(emulator.standard_key), (("PhoneNumber", pattern),)
    listed = Ask(emulator)("GET", at(emulator.account), key, query=query)
    assert listed.status == 200
    exact = (("PhoneNumber", OWN.replace("5", "*")),)
    own = Ask(emulator)("GET", at(emulator.account), key, query=exact).json()
    assert len(own["incoming_phone_numbers"]) == (bought.status == 201)


@pytest.mark.parametrize("query", [("Origin", "mars"), ("Beta", "perhaps")])
def test_filters_that_do_not_exist(emulator: Emulator, query: tuple[str, str]) -> None:
    key = pair_of(emulator.standard_key)
    refused = Ask(emulator)("GET", at(emulator.account), key, query=(query,))
    assert (refused.status, refused.json()["code"]) == (400, 20001)


def test_a_trunk_and_an_application_take_turns(emulator: Emulator, ask: Ask) -> None:
    application, trunk = "AP" + 32 * "a", "TK" + 32 * "a"
    sid = buy(emulator, PhoneNumber=OWN, VoiceApplicationSid=application).json()["sid"]
    path, key = at(emulator.account, sid), pair_of(emulator.standard_key)
    changed = ask("POST", path, key, TrunkSid=trunk).json()
    assert (changed["trunk_sid"], changed["voice_application_sid"]) == (trunk, None)
    changed = ask("POST", path, key, VoiceApplicationSid=application).json()
    assert (changed["trunk_sid"], changed["voice_application_sid"]) == (None, application)


def test_a_number_moves_between_a_parent_and_its_subaccounts(emulator: Emulator, ask: Ask) -> None:
    parent, token = emulator.account, token_of(emulator.account)
    child, stranger = emulator.create_account(parent), emulator.create_account()
    sid = buy(emulator, PhoneNumber=OWN, SmsUrl=HOOK).json()["sid"]
    for target, code in ((stranger.sid, 21473), ("AC" + 32 * "0", 21473), ("AC1", 20001)):
        refused = ask("POST", at(parent, sid), token, AccountSid=target)
        assert (refused.status, refused.json()["code"]) == (400, code)
    moved = ask("POST", at(parent, sid), token, AccountSid=child.sid).json()
    assert (moved["account_sid"], moved["sms_url"]) == (child.sid, HOOK)
    assert ask("GET", at(parent, sid), token).status == 404
    refused = ask("POST", at(child, sid), token_of(child), AccountSid=parent.sid)
    assert (refused.status, refused.json()["code"]) == (400, 21474)
    back = ask("POST", at(child, sid), token, AccountSid=parent.sid)
    assert back.json()["account_sid"] == parent.sid
    assert ask("POST", at(parent, sid), token, AccountSid=parent.sid).status == 200


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ({"PhoneNumber": "+15005550000"}, 21422),
        ({"PhoneNumber": "+15005550001"}, 21421),
        ({"PhoneNumber": "+15005550006"}, None),
        ({"AreaCode": "533"}, 21452),
        ({"AreaCode": "500"}, None),
    ],
)
def test_magic_numbers_are_magic_for_test_credentials_only(
    emulator: Emulator, ask: Ask, form: dict[str, str], code: int | None
) -> None:
    test = emulator.create_account(test=True)
    answer = ask("POST", at(test), token_of(test), **form).json()
    assert answer.get("code") == code
    if code is None:
        assert (answer["phone_number"], answer["friendly_name"]) == (
            "+15005550006",
            "(500) 555-0006",
        )
    assert ask("GET", at(test), token_of(test)).json()["code"] == 20008
    assert buy(emulator, **form).status == 201


@pytest.mark.parametrize("code", [21421, 21422])
def test_other_numbers_with_test_credentials(code: int) -> None:
    emulator = Emulator(assumptions={"other_test_number_code": code})
    test = emulator.create_account(test=True)
    refused = Ask(emulator)("POST", at(test), token_of(test), PhoneNumber=OWN)
    assert (refused.status, refused.json()["code"]) == (400, code)


@pytest.mark.parametrize(("choice", "shown"), [("null", None), ("empty", "")])
def test_a_url_that_is_not_set(choice: str, shown: str | None) -> None:
    emulator = Emulator(assumptions={"unset_number_url": choice})
    number = buy(emulator, PhoneNumber=OWN, SmsUrl=HOOK).json()
    assert (number["sms_url"], number["voice_url"]) == (HOOK, shown)
    assert number["sms_application_sid"] is None


@pytest.mark.parametrize(("choice", "code"), [("ignored", None), ("enforced", 21659)])
def test_sending_from_a_number_that_is_not_the_accounts(choice: str, code: int | None) -> None:
    emulator = Emulator(assumptions={"sender_ownership": choice})
    buy(emulator, PhoneNumber=OWN)
    assert send(emulator, OWN).status == 201
    assert send(emulator, FOREIGN).json().get("code") == code
    others = emulator.create_account()
    Ask(emulator)("POST", at(others), token_of(others), PhoneNumber=FOREIGN)
    assert send(emulator, FOREIGN).json().get("code") == (code and 21660)
    for sender in ("Shop", "12345", "whatsapp:+15551239999"):
        assert send(emulator, sender).status == 201, "only phone numbers are looked at"


@pytest.mark.parametrize(
    ("allow", "statuses"),
    [
        (["/twilio/phone-numbers/active-numbers/list"], [200, 401, 401]),
        (["/twilio/phone-numbers/active-numbers/create"], [401, 201, 401]),
        (["/twilio/phone-numbers/active-numbers/*"], [200, 201, 401]),
        (["/twilio/phone-numbers/available-numbers/list"], [401, 401, 200]),
    ],
)
def test_what_a_restricted_key_may(allow: list[str], statuses: list[int]) -> None:
    emulator = Emulator(assumptions={"restricted_denied_status": 401})
    key = pair_of(emulator.account.create_key("restricted", allow=allow))
    ask, available = Ask(emulator), at(emulator.account, "US/Local", "AvailablePhoneNumbers")
    answers = (
        ask("GET", at(emulator.account), key),
        ask("POST", at(emulator.account), key, PhoneNumber=OWN),
        ask("GET", available, key),
    )
    assert [each.status for each in answers] == statuses


def test_available_numbers_can_be_bought_and_are_gone_then(connect: Callable[..., Client]) -> None:
    with EmulatorServer() as server:
        client = connect(server)
        offered = client.available_phone_numbers("US").local.list(area_code=415, limit=200)
        assert len(offered) == 100
        first = str(offered[0].phone_number)
        client.incoming_phone_numbers.create(phone_number=first)
        left = client.available_phone_numbers("US").local.list(area_code=415, limit=200)
        assert {str(each.phone_number) for each in offered} - {
            str(each.phone_number) for each in left
        } == {first}
        assert client.available_phone_numbers("GB").mobile.list(limit=1)[0].iso_country == "GB"
        toll_free = client.available_phone_numbers("US").toll_free.list(contains="8665550199")
        assert [str(each.phone_number) for each in toll_free] == ["+18665550199"]
        assert client.available_phone_numbers("US").mobile.list() == []
        assert client.available_phone_numbers("US").local.list(fax_enabled=True) == []
        assert client.available_phone_numbers("US").local.list(sms_enabled=False) == []
    key = pair_of(server.emulator.standard_key)
    for path, query, code in (
        ("FR/Local", (), 20404),
        ("US/Local", (("AreaCode", "1"),), 20001),
    ):
        address = at(server.emulator.account, path, "AvailablePhoneNumbers")
        assert Ask(server.emulator)("GET", address, key, query=query).json()["code"] == code


def test_caller_ids(connect: Callable[..., Client]) -> None:
    with EmulatorServer() as server:
        emulator, client = server.emulator, connect(server)
        made = caller_ids.add(emulator.account, FOREIGN, created=emulator.now())
        caller_ids.add(emulator.account, OWN, created=emulator.now())
        [found] = client.outgoing_caller_ids.list(phone_number=FOREIGN)
        assert (found.sid, found.friendly_name) == (made.sid, "(555) 123-9999")
        assert client.outgoing_caller_ids(made.sid).update(friendly_name="me").date_updated
        assert [each.sid for each in client.outgoing_caller_ids.list(friendly_name="me")] == [
            made.sid
        ]
        assert client.outgoing_caller_ids(made.sid).fetch().friendly_name == "me"
        assert client.outgoing_caller_ids(made.sid).delete()
        with pytest.raises(TwilioRestException):
            client.outgoing_caller_ids(made.sid).fetch()
        assert len(client.outgoing_caller_ids.list()) == 1
