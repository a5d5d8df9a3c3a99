"""``/AvailablePhoneNumbers/{CountryCode}/…``: numbers that can be bought here.

OpenAPI: ``twilio_api_v2010.json``, ListAvailablePhoneNumberLocal, -Mobile and -TollFree. The stock
is the emulator's own: numbers set aside for fiction, which belong to nobody, in the United States
and the United Kingdom (Ofcom's numbers for drama use); other countries have none.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from safetwilio.testing.answers import bad_parameter, not_found
from safetwilio.testing.paging import page
from safetwilio.testing.resources.numbers import fictional, is_held
from safetwilio.testing.resources.settings import flag, formatted
from safetwilio.testing.route import ACCOUNT, Route
from safetwilio.testing.shelf import Shelf

if TYPE_CHECKING:
    from collections.abc import Iterable

    from safetwilio.testing.answers import Answer
    from safetwilio.testing.call import Call

_AREAS, _TOLL_FREE = ("212", "415", "808"), ("800", "888", "877", "866")
_DRAMA_LOCAL, _DRAMA_MOBILE = "+441632960{:03}", "+447700900{:03}"
_DRAMA_LINES = range(1000)


def local(call: Call) -> Answer:
    """Answer with free local numbers; AreaCode chooses a North American area."""
    area = call.query.get("AreaCode", "")
    if area and not re.fullmatch(r"[2-9]\d\d", area):
        raise bad_parameter("AreaCode", "not a North American area code")
    american = [each for one in ([area] if area else _AREAS) for each in fictional(one)]
    british = [] if area else map(_DRAMA_LOCAL.format, _DRAMA_LINES)
    return _free(call, {"US": american, "GB": british})


def mobile(call: Call) -> Answer:
    """Answer with free mobile numbers; the United States have none of their own."""
    return _free(call, {"US": [], "GB": map(_DRAMA_MOBILE.format, _DRAMA_LINES)})


def toll_free(call: Call) -> Answer:
    """Answer with free toll-free numbers."""
    return _free(call, {"US": [each for area in _TOLL_FREE for each in fictional(area)], "GB": []})


def _free(call: Call, stock: dict[str, Iterable[str]]) -> Answer:
    country = call.sids["CountryCode"]
    if country not in stock:
        raise not_found(call.request.path)
    query = call.query
    pattern = re.compile(r"\w".join(map(re.escape, query.get("Contains", "").split("*"))))
    able = all(
        flag(name, query.get(name, "true")) for name in ("SmsEnabled", "MmsEnabled", "VoiceEnabled")
    )
    able = able and not flag("FaxEnabled", query.get("FaxEnabled", "false"))
    shelf: Shelf[str] = Shelf()
    for number in reversed(list(stock[country]) if able else []):
        if pattern.search(number) and not is_held(call.world, number):
            shelf.put(number, number)
    return page(call, "available_phone_numbers", shelf, lambda number: _show(number, country))


def _show(number: str, country: str) -> dict[str, Any]:
    unknown = ("lata", "latitude", "locality", "longitude", "postal_code", "rate_center", "region")
    return {
        **dict.fromkeys(unknown),
        "phone_number": number,
        "friendly_name": formatted(number),
        "iso_country": country,
        "address_requirements": "none",
        "beta": False,
        "capabilities": {"voice": True, "sms": True, "mms": True, "fax": False},
    }


_COUNTRY = f"{ACCOUNT}/AvailablePhoneNumbers/{{CountryCode}}"
_PERMISSION = "/twilio/phone-numbers/available-numbers/list"  # facts: twilio.md, section 7

ROUTES = (
    Route("api", "GET", f"{_COUNTRY}/Local.json", local, permission=_PERMISSION),
    Route("api", "GET", f"{_COUNTRY}/Mobile.json", mobile, permission=_PERMISSION),
    Route("api", "GET", f"{_COUNTRY}/TollFree.json", toll_free, permission=_PERMISSION),
)
