"""Where an account may send messages, and that it can send nowhere else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from asking import SENDER, Ask, Credentials, pair_of, paths, token_of
from walks.geo import item, messaging

from safetwilio.testing import Emulator, EmulatorServer
from safetwilio.testing.resources.countries import HIGH_RISK, UNSUPPORTED, countries

if TYPE_CHECKING:
    from collections.abc import Callable

    from twilio.rest import Client

    from safetwilio.testing.exchange import EmulatedResponse

INDIA, PAKISTAN, IRAN = "+919876543210", "+923001234567", "+989121234567"
US, CANADA, PUERTO_RICO = "+12125550100", "+14165550100", "+17875550100"
OFF, ON = False, True


def shown(emulator: Emulator, *items: str, who: Credentials | None = None) -> list[dict[str, Any]]:
    """Return the permissions that a request answers with."""
    response = messaging(Ask(emulator), who or token_of(emulator.account), *items)
    assert response.status == 200
    permissions: list[dict[str, Any]] = response.json()["permissions"]
    return permissions


def enabled(emulator: Emulator, country: str, who: Credentials | None = None) -> bool:
    (found,) = [each for each in shown(emulator, who=who) if each["country_code"] == country]
    return bool(found["enabled"])


def send(emulator: Emulator, to: str, account: Any = None) -> EmulatedResponse:
    account = account or emulator.account
    form = {"To": to, "From": SENDER, "Body": "hi"}
    return Ask(emulator)("POST", paths(account)["messages"], token_of(account), **form)


def test_through_twilios_library(server: EmulatorServer, connect: Callable[..., Client]) -> None:
    # the oldest release that we support does not know them yet
    pytest.importorskip("twilio.rest.accounts.v1.messaging_geopermissions")
    emulator = server.emulator
    client = connect(server, token_of(emulator.account))
    geo = client.accounts.v1.messaging_geopermissions
    read = geo.fetch(country_code="IN,PK")
    assert read.permissions == [
        {"country_code": "IN", "type": "country", "enabled": True, "prefix": "+91", "message": ""},
        {
            "country_code": "PK",
            "type": "country",
            "enabled": True,
            "prefix": "+92",
            "message": "High Risk Country",
        },
    ]
    changed = geo.update(
        permissions=[
            {"country_code": "IN", "type": "country", "enabled": False},
            {"country_code": "PK", "type": "country", "enabled": False},
        ]
    )
    assert changed.permissions == [
        {
            "country_code": "IN",
            "type": "country",
            "enabled": False,
            "error_code": 0,
            "error_messages": [],
        },
        {
            "country_code": "PK",
            "type": "country",
            "enabled": True,
            "error_code": 30649,
            "error_messages": ["High risk country permission cannot be updated"],
        },
    ]
    assert [each["enabled"] for each in geo.fetch(country_code="IN,PK").permissions] == [OFF, ON]


def test_a_message_to_a_disabled_country_is_refused_and_not_sent(emulator: Emulator) -> None:
    assert send(emulator, INDIA).status == 201
    shown(emulator, item("IN", OFF))
    refused = send(emulator, INDIA)
    assert (refused.status, refused.json()["code"]) == (400, 21408)
    assert refused.json()["message"].endswith(f"indicated by the 'To' number: {INDIA}.")
    assert len(emulator.messages) == 1
    shown(emulator, item("IN", ON))
    assert send(emulator, INDIA).status == 201


@pytest.mark.parametrize("country", sorted(HIGH_RISK))
def test_a_high_risk_country_changes_in_the_console_only(emulator: Emulator, country: str) -> None:
    number = f"+{countries()[country].prefixes[0]}123456789"
    (answer,) = shown(emulator, item(country, OFF))
    assert (answer["error_code"], answer["enabled"]) == (30649, True)
    assert send(emulator, number).status == 201
    emulator.account.messaging_geo.permit(country, enabled=False)
    assert not enabled(emulator, country)
    assert send(emulator, number).json()["code"] == 21408
    (answer,) = shown(emulator, item(country, ON))
    assert (answer["error_code"], answer["enabled"]) == (30649, False)


@pytest.mark.parametrize("country", sorted(UNSUPPORTED))
def test_an_unsupported_country_never_changes(emulator: Emulator, country: str) -> None:
    number = f"+{countries()[country].prefixes[0]}123456789"
    (answer,) = shown(emulator, item(country, ON))
    assert (answer["error_code"], answer["enabled"]) == (30649, False)
    assert answer["error_messages"] == ["Non-supported country permission cannot be updated"]
    assert send(emulator, number).json()["code"] == 21408
    with pytest.raises(ValueError, match="no country that can be sent to"):
        emulator.account.messaging_geo.permit(country, enabled=True)


@pytest.mark.parametrize(
    "to", [f"whatsapp:{INDIA}", "rcs:+15551230001", "messenger:+98", "+80012345678", "+2101234567"]
)
def test_what_is_no_matter_of_geo_permissions(emulator: Emulator, to: str) -> None:
    """Channels, and codes of no country; nobody published that they are refused."""
    shown(emulator, item("IN", OFF), item("US", OFF))
    assert send(emulator, to).status == 201


@pytest.mark.parametrize("channel", ["whatsapp", "rcs"])
def test_iran_cannot_be_reached_by_other_channels(emulator: Emulator, channel: str) -> None:
    assert send(emulator, f"{channel}:{IRAN}").json()["code"] == 21408


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (item("XX", ON), "Unknown country"),
        (item("IN", "true"), "enabled is neither true nor false"),
        (item("IN", ON, type="continent"), "type is not country"),
    ],
)
def test_each_item_of_an_update_succeeds_or_fails_alone(
    emulator: Emulator, wrong: str, why: str
) -> None:
    answers = shown(emulator, item("FR", OFF), wrong, item("DE", OFF))
    assert [each["error_code"] for each in answers] == [0, 30649, 0]
    assert answers[1]["error_messages"] == [why]
    assert not enabled(emulator, "FR")
    assert not enabled(emulator, "DE")
    assert enabled(emulator, "IN")


@pytest.mark.parametrize(
    "items", [(), ("{",), ("[" * 100_000,), ("[]",), ("{}",), ('{"country_code": 1}',)], ids=len
)
def test_an_update_that_cannot_be_read_changes_nothing(
    emulator: Emulator, items: tuple[str, ...]
) -> None:
    form = {"Permissions": [item("FR", OFF), *items]} if items else {"Other": "1"}
    response = Ask(emulator)(
        "PATCH",
        "/v1/Messaging/GeoPermissions",
        token_of(emulator.account),
        host="accounts.twilio.com",
        **form,
    )
    assert (response.status, response.json()["code"]) == (400, 20001)
    assert enabled(emulator, "FR")


def test_accounts_do_not_share_permissions(emulator: Emulator) -> None:
    other = emulator.create_account()
    shown(emulator, item("IN", OFF))
    assert enabled(emulator, "IN", token_of(other))
    assert send(emulator, INDIA, other).status == 201


@pytest.mark.parametrize(("choice", "inherits"), [("inherit", True), ("own", False)])
def test_what_a_subaccount_begins_with(choice: str, inherits: bool) -> None:  # noqa: FBT001
    emulator = Emulator(assumptions={"messaging_geo_subaccounts": choice})
    child = emulator.create_account(emulator.account)
    shown(emulator, item("IN", OFF))
    assert enabled(emulator, "IN", token_of(child)) is not inherits
    assert (send(emulator, INDIA, child).status == 400) is inherits


@pytest.mark.parametrize(("choice", "status"), [("ends", 200), ("refused", 400)])
def test_changing_what_a_subaccount_inherits(choice: str, status: int) -> None:
    emulator = Emulator(assumptions={"messaging_geo_inherited_update": choice})
    child = emulator.create_account(emulator.account)
    shown(emulator, item("IN", OFF))
    answer = messaging(Ask(emulator), token_of(child), item("FR", OFF))
    assert answer.status == status
    assert enabled(emulator, "FR"), "the parent's stay as they are"
    assert enabled(emulator, "FR", token_of(child)) is (status == 400)
    assert not enabled(emulator, "IN", token_of(child)), "what was inherited is kept"
    shown(emulator, item("IN", ON))
    assert enabled(emulator, "IN", token_of(child)) is (status == 400)


def test_in_the_console_a_subaccount_gets_its_own_under_every_choice() -> None:
    emulator = Emulator(assumptions={"messaging_geo_inherited_update": "refused"})
    child = emulator.create_account(emulator.account)
    child.messaging_geo.permit("IN", enabled=False)
    assert not enabled(emulator, "IN", token_of(child))
    assert enabled(emulator, "IN")
    assert messaging(Ask(emulator), token_of(child), item("FR", OFF)).status == 200


@pytest.mark.parametrize(("choice", "status"), [("everywhere", 201), ("home", 400)])
def test_where_a_new_account_may_send(choice: str, status: int) -> None:
    emulator = Emulator(assumptions={"messaging_geo_default": choice})
    assert send(emulator, US).status == 201
    assert send(emulator, INDIA).status == status
    assert send(emulator, PUERTO_RICO).status == status


@pytest.mark.parametrize(("choice", "status"), [("with_us", 400), ("apart", 201)])
def test_canada(choice: str, status: int) -> None:
    emulator = Emulator(assumptions={"messaging_geo_canada": choice})
    listed = {each["country_code"] for each in shown(emulator)}
    assert ("CA" in listed) is (choice == "apart")
    (answer,) = shown(emulator, item("CA", OFF))
    assert answer["error_code"] == (0 if choice == "apart" else 30649)
    shown(emulator, item("CA", ON), item("US", OFF))
    assert send(emulator, US).status == 400
    assert send(emulator, CANADA).status == status
    assert send(emulator, PUERTO_RICO).status == 201
    emulator.account.messaging_geo.permit("CA", enabled=True)
    assert send(emulator, CANADA).status == 201
    assert send(emulator, US).status == (201 if choice == "with_us" else 400)


@pytest.mark.parametrize(("choice", "status"), [("with_gb", 400), ("apart", 201)])
def test_what_shares_a_code_with_the_united_kingdom(choice: str, status: int) -> None:
    emulator = Emulator(assumptions={"messaging_geo_below_44": choice})
    listed = {each["country_code"] for each in shown(emulator)}
    assert listed & {"GB", "GG", "IM", "JE"} == (
        {"GB"} if choice == "with_gb" else {"GB", "GG", "IM", "JE"}
    )
    shown(emulator, item("GB", OFF))
    assert send(emulator, "+447700900123").status == 400
    for number in ("+447781123456", "+447624300000", "+447797712345"):
        assert send(emulator, number).status == status
    emulator.account.messaging_geo.permit("JE", enabled=False)
    assert send(emulator, "+447797712345").status == 400


@pytest.mark.parametrize(("choice", "prefix"), [("shown", "+1787"), ("hidden", "+1")])
def test_how_a_country_below_plus_one_is_written(choice: str, prefix: str) -> None:
    emulator = Emulator(assumptions={"geo_area_codes": choice})
    prefixes = {each["country_code"]: each["prefix"] for each in shown(emulator)}
    assert (prefixes["PR"], prefixes["US"], prefixes["KZ"]) == (prefix, "+1", "+7")


@pytest.mark.parametrize("choice", ["absent", "listed"])
def test_whether_unsupported_countries_are_listed(choice: str) -> None:
    emulator = Emulator(assumptions={"geo_unsupported": choice})
    listed = {each["country_code"]: each["enabled"] for each in shown(emulator)}
    expected = dict.fromkeys(UNSUPPORTED, False) if choice == "listed" else {}
    assert {iso: on for iso, on in listed.items() if iso in UNSUPPORTED} == expected


@pytest.mark.parametrize(("choice", "status"), [("omitted", 200), ("not_found", 404)])
def test_reading_a_country_that_is_none(choice: str, status: int) -> None:
    emulator = Emulator(assumptions={"messaging_geo_unknown_country": choice})
    ask, token = Ask(emulator), token_of(emulator.account)
    response = messaging(ask, token, query=(("CountryCode", "XX,FR"),))
    assert response.status == status
    if status == 200:
        assert [each["country_code"] for each in response.json()["permissions"]] == ["FR"]


@pytest.mark.parametrize(("choice", "value"), [("current", True), ("requested", False)])
def test_what_a_refused_item_shows(choice: str, value: bool) -> None:  # noqa: FBT001
    emulator = Emulator(assumptions={"refused_geo_item_shows": choice})
    (answer,) = shown(emulator, item("PK", OFF))
    assert (answer["error_code"], answer["enabled"]) == (30649, value)
    assert enabled(emulator, "PK"), "nothing was changed"


@pytest.mark.parametrize("needs", ["standard", "main", "token"])
def test_who_may_change_geo_permissions(needs: str) -> None:
    emulator = Emulator(assumptions={"geo_needs": needs})
    order = ["standard", "main", "token"]
    account = emulator.account
    credentials = [
        pair_of(emulator.standard_key),
        pair_of(emulator.main_key),
        token_of(account),
    ]
    for strength, who in zip(order, credentials, strict=True):
        allowed = order.index(strength) >= order.index(needs)
        for items in ((), (item("IN", OFF),)):
            assert (messaging(Ask(emulator), who, *items).status == 200) is allowed


def test_no_policy_grants_geo_permissions(emulator: Emulator) -> None:
    allow = ["/twilio/messaging/messages/*", "/twilio/iam/api-keys/*"]
    key = emulator.account.create_key("restricted", allow=allow)
    response = messaging(Ask(emulator), pair_of(key), item("IN", OFF))
    assert response.json()["code"] == 70051
    assert enabled(emulator, "IN")


def test_test_credentials_have_no_geo_permissions(emulator: Emulator) -> None:
    """Their magic numbers answer for themselves; nothing else about them is refused."""
    account = emulator.create_account(test=True)
    account.messaging_geo.permit("IN", enabled=False)
    assert messaging(Ask(emulator), token_of(account)).json()["code"] == 20008
    assert send(emulator, INDIA, account).status == 201


def test_a_reset_forgets_what_was_changed(emulator: Emulator) -> None:
    shown(emulator, item("IN", OFF))
    emulator.reset()
    assert enabled(emulator, "IN")
    assert send(emulator, INDIA).status == 201


def test_the_event_tells_which_countries_changed_and_how(emulator: Emulator) -> None:
    shown(emulator, item("IN", OFF), item("PK", OFF), item("FR", ON))
    query = (("EventType", "sms-geographic-permissions.updated"),)
    ask, token = Ask(emulator), token_of(emulator.account)

    def events() -> list[dict[str, Any]]:
        found = ask("GET", "/v1/Events", token, host="monitor.twilio.com", query=query).json()
        return [each["event_data"] for each in found["events"]]

    expected = {"resource_properties": {"India": {"updated": "disabled", "previous": "enabled"}}}
    assert events() == [expected]
    shown(emulator, item("IN", OFF), item("PK", OFF))
    assert events() == [expected], "nothing was changed"
