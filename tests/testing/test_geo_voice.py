"""Where an account may call."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from asking import SENDER, Ask, Credentials, pair_of, paths, token_of
from walks.geo import BULK, COUNTRIES, SETTINGS, flags, voice

from safetwilio.testing import Emulator, EmulatorServer
from safetwilio.testing.resources.countries import UNSUPPORTED, countries

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from twilio.rest import Client

    from safetwilio.testing.exchange import EmulatedResponse

ON, OFF = "true", "false"


@pytest.fixture
def emulator() -> Emulator:
    """One whose accounts may call the United States only, as Twilio's at first."""
    return Emulator(assumptions={"voice_geo_default": "home"})


@pytest.fixture
def server(emulator: Emulator) -> Iterator[EmulatorServer]:
    with EmulatorServer(emulator) as server:
        yield server


def read(emulator: Emulator, country: str, who: Credentials | None = None) -> dict[str, Any]:
    response = voice(
        Ask(emulator), "GET", f"{COUNTRIES}/{country}", who or token_of(emulator.account)
    )
    assert response.status == 200
    document: dict[str, Any] = response.json()
    return document


def low_risk(emulator: Emulator, country: str, who: Credentials | None = None) -> bool:
    return bool(read(emulator, country, who)["low_risk_numbers_enabled"])


def update(emulator: Emulator, request: object, who: Credentials | None = None) -> EmulatedResponse:
    text = request if isinstance(request, str) else json.dumps(request)
    return voice(Ask(emulator), "POST", BULK, who or token_of(emulator.account), UpdateRequest=text)


def settings(emulator: Emulator, who: Credentials, inherits: str | None = None) -> EmulatedResponse:
    form = {} if inherits is None else {"DialingPermissionsInheritance": inherits}
    return voice(Ask(emulator), "POST" if form else "GET", SETTINGS, who, **form)


def test_through_twilios_library(server: EmulatorServer, connect: Callable[..., Client]) -> None:
    emulator = server.emulator
    dialing = connect(server, token_of(emulator.account)).voice.v1.dialing_permissions
    request = [flags("GB", ON, ON, OFF), flags("US", OFF, OFF, OFF)]
    updated = dialing.bulk_country_updates.create(update_request=json.dumps(request))
    assert (updated.update_count, updated.update_request) == (2, "accepted")
    britain = dialing.countries("GB").fetch()
    assert (britain.iso_code, britain.name, britain.continent, britain.country_codes) == (
        "GB",
        "United Kingdom",
        "EUROPE",
        ["+44"],
    )
    assert britain.low_risk_numbers_enabled is True
    assert britain.high_risk_special_numbers_enabled is True
    assert britain.high_risk_tollfraud_numbers_enabled is False
    listed = dialing.countries.list(page_size=50)
    assert [each.iso_code for each in listed] == sorted(
        {*countries()} - UNSUPPORTED - {"CA", "GG", "IM", "JE"}
    )
    enabled = dialing.countries.list(low_risk_numbers_enabled=True)
    assert [each.iso_code for each in enabled] == ["GB"]
    assert dialing.countries.list(iso_code="US")[0].name == "United States/Canada"
    assert dialing.settings().fetch().dialing_permissions_inheritance is False
    child = emulator.create_account(emulator.account)
    theirs = connect(server, token_of(child)).voice.v1.dialing_permissions.settings()
    assert theirs.fetch().dialing_permissions_inheritance is True
    assert theirs.update(dialing_permissions_inheritance=False).url.endswith(SETTINGS)
    assert theirs.fetch().dialing_permissions_inheritance is False


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"IsoCode": "PK"}, {"PK"}),
        ({"IsoCode": "CA"}, set()),
        ({"CountryCode": "44"}, {"GB"}),
        ({"CountryCode": "+1787"}, {"PR"}),
        ({"CountryCode": "+7"}, {"RU", "KZ"}),
        ({"LowRiskNumbersEnabled": "true"}, {"US", "GB"}),
        ({"HighRiskSpecialNumbersEnabled": "true"}, {"GB"}),
        ({"HighRiskTollfraudNumbersEnabled": "true"}, {"FR"}),
        ({"LowRiskNumbersEnabled": "false", "HighRiskTollfraudNumbersEnabled": "true"}, {"FR"}),
        ({"Continent": "EUROPE", "LowRiskNumbersEnabled": "true"}, {"GB"}),
    ],
)
def test_filters(emulator: Emulator, query: dict[str, str], expected: set[str]) -> None:
    update(emulator, [flags("GB", ON, ON, OFF), flags("FR", OFF, OFF, ON)])
    response = voice(
        Ask(emulator), "GET", COUNTRIES, token_of(emulator.account), query=tuple(query.items())
    )
    assert {each["iso_code"] for each in response.json()["content"]} == expected


def test_every_continent_together_has_every_country(emulator: Emulator) -> None:
    ask, who = Ask(emulator), token_of(emulator.account)
    found: list[str] = []
    for continent in {each.continent for each in countries().values()}:
        query = (("Continent", continent), ("PageSize", "1000"))
        content = voice(ask, "GET", COUNTRIES, who, query=query).json()["content"]
        assert content
        found += [each["iso_code"] for each in content]
    assert sorted(found) == sorted({*countries()} - UNSUPPORTED - {"CA", "GG", "IM", "JE"})


def test_a_filter_that_is_no_boolean_and_a_country_that_is_none(emulator: Emulator) -> None:
    ask, who = Ask(emulator), token_of(emulator.account)
    query = (("LowRiskNumbersEnabled", "yes"),)
    assert voice(ask, "GET", COUNTRIES, who, query=query).json()["code"] == 20001
    for country in ("XX", "us"):
        assert voice(ask, "GET", f"{COUNTRIES}/{country}", who).json()["code"] == 20404


@pytest.mark.parametrize(
    "request_",
    [
        "",
        "{",
        "[" * 100_000,
        "{}",
        "[]",
        "[1]",
        [{}],
        [{"iso_code": ["GB"]}],
        [{"iso_code": "GB"}],
        [flags("GB", ON, ON, None)],
        [flags("GB", ON, ON, "perhaps")],
        [flags("GB", True, False, False)],  # noqa: FBT003
        [flags("GB", ON, ON, ON), flags("XX", ON, ON, ON)],
    ],
    ids=str,
)
def test_a_bulk_update_that_is_refused_changes_nothing(
    emulator: Emulator, request_: object
) -> None:
    before = read(emulator, "GB")
    response = update(emulator, request_)
    assert (response.status, response.json()["code"]) == (400, 20001)
    assert read(emulator, "GB") == before


def test_high_risk_countries_can_be_changed_too(emulator: Emulator) -> None:
    assert update(emulator, [flags("PK", ON, OFF, ON)]).status == 201
    assert low_risk(emulator, "PK")
    assert (
        update(emulator, [flags("PK", OFF, OFF, OFF), flags("PK", OFF, OFF, OFF)]).json()[
            "update_count"
        ]
        == 1
    )
    assert not low_risk(emulator, "PK")


def test_a_subaccount_inherits_until_that_is_switched_off(emulator: Emulator) -> None:
    """What it was given meanwhile counts from then on, as in Twilio's own article."""
    child = token_of(emulator.create_account(emulator.account))
    other = token_of(emulator.create_account())
    update(emulator, [flags("BR", ON, OFF, OFF)])
    assert low_risk(emulator, "BR", child)
    assert not low_risk(emulator, "BR", other)
    update(emulator, [flags("FR", ON, OFF, OFF)], child)
    assert not low_risk(emulator, "FR", child)
    changed = settings(emulator, child, "False")
    assert (changed.status, changed.json()["dialing_permissions_inheritance"]) == (202, False)
    assert low_risk(emulator, "FR", child)
    assert not low_risk(emulator, "BR", child)
    assert not low_risk(emulator, "FR"), "the parent has its own"
    assert settings(emulator, child, "true").json()["dialing_permissions_inheritance"] is True
    assert low_risk(emulator, "BR", child)
    assert settings(emulator, child, "maybe").json()["code"] == 20001


@pytest.mark.parametrize(("choice", "status"), [("ignored", 202), ("refused", 400)])
def test_inheritance_of_an_account_without_a_parent(choice: str, status: int) -> None:
    emulator = Emulator(assumptions={"voice_geo_main_inheritance": choice})
    token = token_of(emulator.account)
    assert settings(emulator, token, "true").status == status
    assert settings(emulator, token).json()["dialing_permissions_inheritance"] is False


@pytest.mark.parametrize(("choice", "abroad"), [("home", False), ("everywhere", True)])
def test_where_a_new_account_may_call(choice: str, abroad: bool) -> None:  # noqa: FBT001
    emulator = Emulator(assumptions={"voice_geo_default": choice})
    assert low_risk(emulator, "US")
    assert low_risk(emulator, "GB") is abroad
    assert (call(emulator, "+447700900123") is None) is abroad
    assert read(emulator, "US")["high_risk_special_numbers_enabled"] is False
    assert read(emulator, "US")["high_risk_tollfraud_numbers_enabled"] is False


def call(emulator: Emulator, to: str, account: Any = None) -> int | None:
    """Start a call and return the code of its refusal, ``None`` if it started."""
    account = account or emulator.account
    path = paths(account)["messages"].replace("Messages", "Calls")
    numbers = path.replace("Calls", "IncomingPhoneNumbers")
    Ask(emulator)("POST", numbers, token_of(account), PhoneNumber=SENDER)
    form = {"To": to, "From": SENDER, "Url": "https://example.com/twiml"}
    response = Ask(emulator)("POST", path, token_of(account), **form)
    assert response.status in {201, 400}
    code: int | None = response.json().get("code")
    return code


def test_a_call_to_a_country_that_is_not_enabled_is_refused(emulator: Emulator) -> None:
    assert call(emulator, "+12125550100") is None
    assert call(emulator, "+14165550100") is None, "Canada is part of it"
    assert call(emulator, "+17875550100") == 21215, "Puerto Rico is not"
    assert call(emulator, "+447700900123") == 21215
    update(emulator, [flags("GB", ON, OFF, OFF), flags("US", OFF, ON, ON)])
    assert call(emulator, "+447700900123") is None
    assert call(emulator, "+441481712345") is None
    assert call(emulator, "+12125550100") == 21215
    assert call(emulator, "+14165550100") == 21215


def test_whom_voice_permissions_do_not_concern(emulator: Emulator) -> None:
    update(emulator, [flags("US", OFF, OFF, OFF)])
    for to in ("sip:alice@example.com", "client:alice", "+80012345678"):
        assert call(emulator, to) is None
    test = emulator.create_account(test=True)
    path = paths(test)["messages"].replace("Messages", "Calls")
    form = {"To": "+12125550100", "From": SENDER, "Url": "https://example.com/twiml"}
    assert Ask(emulator)("POST", path, token_of(test), **form).status == 201


def test_a_subaccount_calls_where_its_parent_may(emulator: Emulator) -> None:
    child = emulator.create_account(emulator.account)
    update(emulator, [flags("BR", ON, OFF, OFF)])
    assert call(emulator, "+5511987654321", child) is None
    settings(emulator, token_of(child), "false")
    assert call(emulator, "+5511987654321", child) == 21215


@pytest.mark.parametrize("country", sorted(UNSUPPORTED))
def test_unsupported_countries_cannot_be_called(country: str) -> None:
    emulator = Emulator(assumptions={"voice_geo_default": "everywhere"})
    assert call(emulator, f"+{countries()[country].codes[0]}12345678") == 21215


@pytest.mark.parametrize("choice", ["accepted", "request"])
def test_what_a_bulk_update_answers(choice: str) -> None:
    emulator = Emulator(assumptions={"voice_geo_bulk_answer": choice})
    text = json.dumps([flags("GB", ON, ON, OFF)])
    expected = text if choice == "request" else "accepted"
    assert update(emulator, text).json() == {"update_count": 1, "update_request": expected}


@pytest.mark.parametrize(("choice", "status"), [("documented", 400), ("any", 201)])
def test_items_of_another_form(choice: str, status: int) -> None:
    emulator = Emulator(assumptions={"voice_geo_bulk_items": choice})
    update(emulator, [flags("GB", ON, ON, ON)])
    boolean = {"iso_code": "GB", "low_risk_numbers_enabled": False}
    assert update(emulator, [boolean]).status == status
    assert low_risk(emulator, "GB") is (status == 400)
    assert read(emulator, "GB")["high_risk_tollfraud_numbers_enabled"] is True
    assert update(emulator, [{"iso_code": "GB", "low_risk_numbers_enabled": 1}]).status == 400


@pytest.mark.parametrize(("choice", "count"), [("refused", None), ("skipped", 1)])
def test_a_bulk_update_of_a_country_that_is_none(choice: str, count: int | None) -> None:
    emulator = Emulator(assumptions={"voice_geo_bulk_unknown": choice, "voice_geo_default": "home"})
    response = update(emulator, [flags("XX", ON, ON, ON), flags("GB", ON, ON, ON)])
    assert response.json().get("update_count") == count
    assert low_risk(emulator, "GB") is (count == 1)


@pytest.mark.parametrize(("choice", "there"), [("absent", False), ("listed", True)])
def test_whether_unsupported_countries_are_listed(choice: str, there: bool) -> None:  # noqa: FBT001
    emulator = Emulator(assumptions={"geo_unsupported": choice})
    answer = voice(Ask(emulator), "GET", f"{COUNTRIES}/CU", token_of(emulator.account))
    assert (answer.status == 200) is there


@pytest.mark.parametrize("needs", ["standard", "main"])
def test_what_a_standard_key_may_do(needs: str) -> None:
    emulator = Emulator(assumptions={"geo_needs": needs})
    key = pair_of(emulator.standard_key)
    answers = [
        voice(Ask(emulator), "GET", COUNTRIES, key),
        voice(Ask(emulator), "GET", SETTINGS, key),
        update(emulator, [flags("GB", ON, ON, ON)], key),
    ]
    assert {each.status < 400 for each in answers} == {needs == "standard"}


@pytest.mark.parametrize("choice", ["country", "flag"])
def test_the_event_of_a_change(choice: str) -> None:
    emulator = Emulator(assumptions={"voice_geo_event": choice, "voice_geo_default": "home"})
    child = emulator.create_account(emulator.account)
    query = (("EventType", "voice-geographic-permissions.updated"),)

    def events() -> list[dict[str, Any]]:
        found = Ask(emulator)(
            "GET", "/v1/Events", token_of(child), host="monitor.twilio.com", query=query
        )
        return [each["event_data"]["resource_properties"] for each in found.json()["events"]]

    update(emulator, [flags("GB", ON, OFF, OFF), flags("US", ON, OFF, OFF)], token_of(child))
    flag = "low_risk_numbers_enabled"
    expected = (
        {"United Kingdom": {"updated": {flag: True}, "previous": {flag: False}}}
        if choice == "country"
        else {f"United Kingdom {flag}": {"updated": True, "previous": False}}
    )
    assert events() == [expected]
    update(emulator, [flags("GB", ON, OFF, OFF)], token_of(child))
    assert events() == [expected], "nothing was changed"
    settings(emulator, token_of(child), "false")
    inherits = {"dialing_permissions_inheritance": {"updated": False, "previous": True}}
    assert events() == [inherits, expected]
