"""Through geo permissions: of messages and of calls, of an account and of a subaccount."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from asking import Ask, Credentials, pair_of, token_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from safetwilio.testing.exchange import EmulatedResponse

MESSAGING = "/v1/Messaging/GeoPermissions"
COUNTRIES = "/v1/DialingPermissions/Countries"
BULK = "/v1/DialingPermissions/BulkCountryUpdates"
SETTINGS = "/v1/Settings"
FLAGS = ("low_risk", "high_risk_special", "high_risk_tollfraud")


def item(country: str, enabled: object, **changes: object) -> str:
    """Return one ``Permissions`` parameter."""
    return json.dumps({"country_code": country, "type": "country", "enabled": enabled, **changes})


def flags(country: str, *values: object) -> dict[str, Any]:
    """Return one object of a bulk update, *values* in the order of FLAGS."""
    named = zip(FLAGS, values, strict=True)
    return {"iso_code": country, **{f"{name}_numbers_enabled": value for name, value in named}}


def messaging(
    ask: Ask, who: Credentials, *items: str, query: tuple[tuple[str, str], ...] = ()
) -> EmulatedResponse:
    """Read messaging permissions, or change *items*."""
    form = {"Permissions": list(items)} if items else {}
    method = "PATCH" if items else "GET"
    return ask(method, MESSAGING, who, host="accounts.twilio.com", query=query, **form)


def voice(ask: Ask, method: str, path: str, who: Credentials, **kwargs: Any) -> EmulatedResponse:
    """Ask the product that has the permissions of calls."""
    return ask(method, path, who, host="voice.twilio.com", **kwargs)


def walk(ask: Ask) -> Iterator[EmulatedResponse]:
    emulator = ask.emulator
    child = emulator.create_account(emulator.account)
    for who in (token_of(emulator.account), pair_of(emulator.standard_key), token_of(child)):
        for codes in ("", "IN,PK,US", "XX"):
            yield messaging(ask, who, query=(("CountryCode", codes),))
        yield messaging(ask, who, item("IN", enabled=False), item("PK", enabled=True))
        yield messaging(ask, who, item("IR", enabled=True), item("XX", enabled="maybe"))
        for query in ((), (("IsoCode", "US"),), (("PageSize", "3"), ("CountryCode", "1"))):
            yield voice(ask, "GET", COUNTRIES, who, query=query)
        yield voice(ask, "GET", f"{COUNTRIES}/US", who)
        for update in (flags("GB", "true", "true", "false"), flags("GB", True, True, False)):  # noqa: FBT003
            yield voice(ask, "POST", BULK, who, UpdateRequest=json.dumps([update]))
        yield voice(ask, "GET", SETTINGS, who)
        yield voice(ask, "POST", SETTINGS, who, DialingPermissionsInheritance="false")
        yield voice(ask, "POST", SETTINGS, who)
