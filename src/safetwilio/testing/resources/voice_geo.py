"""``voice.twilio.com/v1/DialingPermissions``, ``/v1/Settings``: where an account may call.

OpenAPI: ``twilio_voice_v1.json``, ListDialingPermissionsCountry, FetchDialingPermissionsCountry,
CreateDialingPermissionsCountryBulkUpdate, FetchDialingPermissionsSettings,
UpdateDialingPermissionsSettings. Unlike those of messages they can all be changed by the API
(facts: lockdown.md, section 1). A new subaccount inherits its parent's; what is changed meanwhile
counts once inheritance is switched off, which may come second
(https://www.twilio.com/blog/blog-voice-dialing-geo-permissions-rest-api). Which numbers of a
country are high-risk is not published, so every call counts as one to a low-risk number.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from safetwilio.testing.answers import Answer, Refused, bad_parameter, not_found
from safetwilio.testing.assumptions import geo as assumed
from safetwilio.testing.identity import Area
from safetwilio.testing.paging import page
from safetwilio.testing.resources.countries import (
    HOME,
    UNSUPPORTED,
    Country,
    countries,
    country_of,
)
from safetwilio.testing.route import Route
from safetwilio.testing.shelf import Shelf

if TYPE_CHECKING:
    from collections.abc import Iterable

    from safetwilio.testing.call import Call

_LOW_RISK = "low_risk_numbers_enabled"
_FLAGS = (_LOW_RISK, "high_risk_special_numbers_enabled", "high_risk_tollfraud_numbers_enabled")
_PART_OF = {"CA": "US", "GG": "GB", "IM": "GB", "JE": "GB"}
_BOOLEANS = {"true": True, "false": False}
_COUNTRIES, _SETTINGS = "/v1/DialingPermissions/Countries", "/v1/Settings"


@dataclass(frozen=True)
class DialingPermission:
    """The flags that are *enabled* for a country, where an account changed them."""

    enabled: frozenset[str]


@dataclass(frozen=True)
class DialingSettings:
    """Whether a subaccount *inherits* its parent's permissions, where that was ever set."""

    inherits: bool


def list_countries(call: Call) -> Answer:
    """Answer with the countries that the filters leave, in the order of their ISO codes."""
    query = call.query
    flags = {flag: _boolean(query[name], name) for flag, name in _names() if name in query}
    code = query.get("CountryCode", "").strip().removeprefix("+")

    def wanted(country: Country) -> bool:
        enabled = _enabled(call, country.iso)
        return (
            query.get("IsoCode", country.iso) == country.iso
            and query.get("Continent", country.continent) == country.continent
            and (not code or f"+{code}" in _codes(call, country))
            and all((flag in enabled) is value for flag, value in flags.items())
        )

    shelf: Shelf[Country] = Shelf()
    for country in sorted(_listed(call), key=lambda each: each.iso, reverse=True):
        shelf.put(country.iso, country)
    return page(call, "content", shelf, lambda country: _show(call, country), wanted)


def fetch_country(call: Call) -> Answer:
    """Answer with one country."""
    for country in _listed(call):
        if country.iso == call.sids["IsoCode"]:
            return Answer(200, _show(call, country))
    raise not_found(call.request.path)


def update_countries(call: Call) -> Answer:
    """Set the flags of each country in UpdateRequest, a JSON list."""
    text = call.get("UpdateRequest")
    known = {country.iso for country in _listed(call)}
    skips = call.assumed(assumed.VOICE_GEO_BULK_UNKNOWN) == "skipped"
    updates: dict[str, frozenset[str]] = {}
    for iso, item in _read(text):
        if iso in known:
            updates[iso] = _flags(call, item, updates.get(iso, _own(call, iso)))
        elif not skips:
            raise bad_parameter("UpdateRequest", "not a country that can be called")
    shelf = call.account.shelf(DialingPermission)
    changes = {iso: (_own(call, iso), after) for iso, after in updates.items()}
    for iso, enabled in updates.items():
        shelf.put(iso, DialingPermission(enabled))
    echoes = call.assumed(assumed.VOICE_GEO_BULK_ANSWER) == "request"
    shown = text if echoes else "accepted"
    document = {"update_count": len(updates), "update_request": shown}
    return Answer(201, document, _properties(call, changes))


def fetch_settings(call: Call) -> Answer:
    """Answer with whether the account inherits its parent's permissions."""
    return Answer(200, _show_settings(call))


def update_settings(call: Call) -> Answer:
    """Switch inheritance on or off."""
    name = "DialingPermissionsInheritance"
    inherits = _boolean(call.get(name), name) if call.has(name) else _inherits(call)
    if call.account.parent is not None:
        call.account.shelf(DialingSettings).put(call.account.sid, DialingSettings(inherits))
    elif call.has(name) and call.assumed(assumed.VOICE_GEO_MAIN_INHERITANCE) == "refused":
        raise bad_parameter(name, "this account has no parent")
    return Answer(202, _show_settings(call))


def _properties(
    call: Call, changes: dict[str, tuple[frozenset[str], frozenset[str]]]
) -> dict[str, Any]:
    """Return what an event tells of *changes*, the flags of each country before and after."""
    by_flag = call.assumed(assumed.VOICE_GEO_EVENT) == "flag"
    told: dict[str, Any] = {}
    for iso, (before, after) in changes.items():
        name = countries()[iso].name
        flags = {
            flag: {"updated": flag in after, "previous": flag in before}
            for flag in _FLAGS
            if flag in before ^ after
        }
        if by_flag:
            told |= {f"{name} {flag}": values for flag, values in flags.items()}
        elif flags:
            told[name] = {
                which: {flag: values[which] for flag, values in flags.items()}
                for which in ("updated", "previous")
            }
    return told


def check_region(call: Call, number: str) -> None:
    """Refuse a call to a country that is not enabled, with 400/21215.

    https://www.twilio.com/docs/api/errors/21215; a number of no country is not refused.
    """
    country = country_of(number)
    iso = _PART_OF.get(country.iso, country.iso) if country else HOME
    if country and (iso in UNSUPPORTED or _LOW_RISK not in _enabled(call, iso)):
        raise Refused(400, 21215, f"Account not authorized to call {number}")


def _listed(call: Call) -> Iterable[Country]:
    """Return the countries that can be called, one for each code of ITU and each area code.

    Canada is part of the United States' (OpenAPI: United States/Canada).
    """
    hidden = set() if call.assumed(assumed.GEO_UNSUPPORTED) == "listed" else UNSUPPORTED
    return [each for each in countries().values() if each.iso not in {*_PART_OF, *hidden}]


def _inherits(call: Call) -> bool:
    settings = call.account.shelf(DialingSettings).get(call.account.sid)
    return call.account.parent is not None and (settings is None or settings.inherits)


def _enabled(call: Call, iso: str) -> frozenset[str]:
    """Return the flags that count for the account: its own, or those it inherits."""
    return _own(call, iso, inherited=_inherits(call))


def _own(call: Call, iso: str, *, inherited: bool = False) -> frozenset[str]:
    account = (call.account.parent if inherited else None) or call.account
    changed = account.shelf(DialingPermission).get(iso)
    if changed is not None:
        return changed.enabled
    everywhere = call.assumed(assumed.VOICE_GEO_DEFAULT) == "everywhere"
    return frozenset({_LOW_RISK} if everywhere or iso == HOME else ())


def _read(text: str) -> list[tuple[str, dict[str, Any]]]:
    """Return each object in *text*, a JSON list, and the country it is about, or raise 400."""
    try:
        items = json.loads(text)
    except (ValueError, RecursionError):
        items = None
    if not isinstance(items, list) or not items:
        raise bad_parameter("UpdateRequest", "not a JSON list of countries and their flags")
    if not all(isinstance(each, dict) and isinstance(each.get("iso_code"), str) for each in items):
        raise bad_parameter("UpdateRequest", "not an object with an iso_code")
    return [(each["iso_code"], each) for each in items]


def _flags(call: Call, item: dict[str, Any], before: frozenset[str]) -> frozenset[str]:
    """Return the flags that are enabled after *item*, or raise 400."""
    lenient = call.assumed(assumed.VOICE_GEO_BULK_ITEMS) == "any"
    enabled = before
    for flag in _FLAGS:
        value = item.get(flag)
        if lenient and value is None:
            continue
        if lenient and isinstance(value, bool):
            value = str(value)
        if not isinstance(value, str):
            raise bad_parameter("UpdateRequest", f"{flag} is neither true nor false")
        enabled = enabled | {flag} if _boolean(value, "UpdateRequest") else enabled - {flag}
    return enabled


def _boolean(text: str, name: str) -> bool:
    """Return what *text* means; Twilio's own article writes ``False`` too."""
    if text.lower() not in _BOOLEANS:
        raise bad_parameter(name, "neither true nor false")
    return _BOOLEANS[text.lower()]


def _names() -> list[tuple[str, str]]:
    """Return each flag and the query parameter that filters by it."""
    return [(flag, flag.title().replace("_", "")) for flag in _FLAGS]


def _codes(call: Call, country: Country) -> list[str]:
    return country.shown_codes(area_codes=call.assumed(assumed.GEO_AREA_CODES) == "shown")


def _show(call: Call, country: Country) -> dict[str, Any]:
    enabled = _enabled(call, country.iso)
    url = f"https://{call.request.host}{_COUNTRIES}/{country.iso}"
    return {
        "iso_code": country.iso,
        # OpenAPI's example calls it this, and speaks of +1
        "name": "United States/Canada" if country.iso == "US" else country.name,
        "country_codes": _codes(call, country),
        "continent": country.continent,
        **{flag: flag in enabled for flag in _FLAGS},
        "url": url,
        "links": {"highrisk_special_prefixes": f"{url}/HighRiskSpecialPrefixes"},
    }


def _show_settings(call: Call) -> dict[str, Any]:
    url = f"https://{call.request.host}{_SETTINGS}"
    return {"dialing_permissions_inheritance": _inherits(call), "url": url}


_EVENT = "voice-geographic-permissions.updated"  # docs/usage/monitor-events
_BULK = "/v1/DialingPermissions/BulkCountryUpdates"

ROUTES = (
    Route("voice", "GET", _COUNTRIES, list_countries, Area.GEO),
    Route("voice", "GET", f"{_COUNTRIES}/{{IsoCode}}", fetch_country, Area.GEO),
    Route("voice", "POST", _BULK, update_countries, Area.GEO, event=_EVENT),
    Route("voice", "GET", _SETTINGS, fetch_settings, Area.GEO),
    Route("voice", "POST", _SETTINGS, update_settings, Area.GEO, event=_EVENT),
)
