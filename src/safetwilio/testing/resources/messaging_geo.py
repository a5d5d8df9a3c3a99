"""``accounts.twilio.com/v1/Messaging/GeoPermissions``: where an account may send messages.

OpenAPI: ``twilio_accounts_v1.json``, FetchMessagingGeopermissions, UpdateMessagingGeopermissions.
An update answers 200 whatever becomes of its items, each of which has an ``error_code``; high-risk
countries can be changed in the Console only (``account.messaging_geo.permit``), and those that
Twilio does not support nowhere (https://www.twilio.com/docs/api/errors/30649). Changes take effect
immediately (https://www.twilio.com/docs/api/errors/21408).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from safetwilio.testing.answers import Answer, bad_parameter, not_found
from safetwilio.testing.assumptions import geo as assumed
from safetwilio.testing.identity import Area
from safetwilio.testing.resources.countries import (
    HIGH_RISK,
    HOME,
    UNSUPPORTED,
    Country,
    countries,
    country_of,
    permission_of,
)
from safetwilio.testing.route import Route

if TYPE_CHECKING:
    from collections.abc import Mapping

    from safetwilio.testing.assumptions import Assumption, Choice
    from safetwilio.testing.call import Call
    from safetwilio.testing.state import Account

_FAILED = 30649
_TYPE = "country"


def fetch(call: Call) -> Answer:
    """Answer with the permissions of the countries in CountryCode (``IN,PK``), of all without."""
    listed = [each for each in countries().values() if _is_listed(call, each.iso)]
    wanted = set(filter(None, call.query.get("CountryCode", "").split(",")))
    unknown = wanted - {each.iso for each in listed}
    if unknown and call.assumed(assumed.MESSAGING_GEO_UNKNOWN_COUNTRY) == "not_found":
        raise not_found(call.request.path)
    shown = [_show(call, each) for each in listed if not wanted or each.iso in wanted]
    return Answer(200, {"permissions": shown})


def update(call: Call) -> Answer:
    """Enable and disable countries; what became of each is in its ``error_code``."""
    requested = [_read(text) for text in call.form.get("Permissions", ())]
    if not requested:
        raise bad_parameter("Permissions", "is required")
    refuses = call.assumed(assumed.MESSAGING_GEO_INHERITED_UPDATE) == "refused"
    if refuses and call.account.messaging_geo.inherited:
        raise bad_parameter("Permissions", "this subaccount inherits those of its parent")
    before = _states(call)
    document = {"permissions": [_change(call, each) for each in requested]}
    changes = {
        name: {"updated": state, "previous": before[name]}
        for name, state in _states(call).items()
        if state != before[name]
    }
    return Answer(200, document, changes)


def may_send(assumptions: Mapping[Assumption, Choice], account: Account, number: str) -> bool:
    """Return whether *account* may send messages to *number*; one of no country is not refused."""
    country = country_of(number)
    return country is None or _is_enabled(assumptions, account, country.iso)


def _is_enabled(assumptions: Mapping[Assumption, Choice], account: Account, iso: str) -> bool:
    if iso in UNSUPPORTED:
        return False
    listed = permission_of(assumptions, iso)
    everywhere = assumptions[assumed.MESSAGING_GEO_DEFAULT] == "everywhere"
    return account.messaging_geo.changed.get(listed, everywhere or listed == HOME)


def _states(call: Call) -> dict[str, str]:
    """Return what an event tells of each country.

    The property is the country's name (docs/messaging/guides/sms-geo-permissions), though Twilio's
    own names may differ from ours; of its values only ``enabled`` was seen.
    """
    assumptions, account = call.world.assumptions, call.account
    return {
        each.name: "enabled" if _is_enabled(assumptions, account, each.iso) else "disabled"
        for each in countries().values()
        if _is_listed(call, each.iso)
    }


def _is_listed(call: Call, iso: str) -> bool:
    if iso in UNSUPPORTED:
        return call.assumed(assumed.GEO_UNSUPPORTED) == "listed"
    return permission_of(call.world.assumptions, iso) == iso


def _show(call: Call, country: Country) -> dict[str, Any]:
    area_codes = call.assumed(assumed.GEO_AREA_CODES) == "shown"
    return {
        "country_code": country.iso,
        "type": _TYPE,
        "enabled": _is_enabled(call.world.assumptions, call.account, country.iso),
        "prefix": country.shown_codes(area_codes=area_codes)[0],
        "message": "High Risk Country" if country.iso in HIGH_RISK else "",
    }


def _read(text: str) -> dict[str, Any]:
    """Return the object that one Permissions parameter holds, or raise 400."""
    try:
        item = json.loads(text)
    except (ValueError, RecursionError):
        item = None
    if not isinstance(item, dict) or not isinstance(item.get("country_code"), str):
        raise bad_parameter("Permissions", "not a JSON object with a country_code")
    return item


def _change(call: Call, item: dict[str, Any]) -> dict[str, Any]:
    """Do what *item* asks for, if possible, and return what became of it."""
    iso, assumptions = item["country_code"], call.world.assumptions
    error = _error(call, item)
    if error is None:
        call.account.messaging_geo.permit(iso, enabled=item["enabled"])
    enabled = iso in countries() and _is_enabled(assumptions, call.account, iso)
    if error is not None and call.assumed(assumed.REFUSED_GEO_ITEM_SHOWS) == "requested":
        enabled = item.get("enabled", enabled)
    return {
        "country_code": iso,
        "type": _TYPE,
        "enabled": enabled,
        "error_code": 0 if error is None else _FAILED,
        "error_messages": [] if error is None else [error],
    }


def _error(call: Call, item: dict[str, Any]) -> str | None:
    """Return why *item* cannot be done.

    The first wording is that of OpenAPI's example and the second that of errors/30649; the others
    are ours. That they too come with the item, under the same code, follows from OpenAPI's
    "specific validation errors encountered" and the title of the code, Failed to Update Geo
    Permissions.
    """
    iso = item["country_code"]
    if iso in HIGH_RISK:
        return "High risk country permission cannot be updated"
    if iso in UNSUPPORTED:
        return "Non-supported country permission cannot be updated"
    if iso not in countries() or not _is_listed(call, iso):
        return "Unknown country"
    if item.get("type") != _TYPE:
        return "type is not country"
    return None if isinstance(item.get("enabled"), bool) else "enabled is neither true nor false"


_PATH = "/v1/Messaging/GeoPermissions"

ROUTES = (
    Route("accounts", "GET", _PATH, fetch, Area.GEO),
    Route("accounts", "PATCH", _PATH, update, Area.GEO, event="sms-geographic-permissions.updated"),
)
