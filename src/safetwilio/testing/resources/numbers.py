"""``/IncomingPhoneNumbers``: the phone numbers that an account has.

OpenAPI: ``twilio_api_v2010.json``, CreateIncomingPhoneNumber, ListIncomingPhoneNumber,
FetchIncomingPhoneNumber, UpdateIncomingPhoneNumber, DeleteIncomingPhoneNumber. Nothing is charged,
every well-formed number is for sale that no account of this emulator has, and no webhook is called.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from safetwilio.shapes import is_sid
from safetwilio.testing.answers import Answer, Refused, bad_parameter, not_found, rfc2822
from safetwilio.testing.assumptions import numbers as assumed
from safetwilio.testing.paging import page
from safetwilio.testing.records import new_sid
from safetwilio.testing.resources.events import of_number
from safetwilio.testing.resources.settings import (
    API_VERSION,
    E164,
    METHOD,
    flag,
    formatted,
    is_url,
    name_in,
    one_of,
    read_settings,
    sid,
)
from safetwilio.testing.route import ACCOUNT, Route

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime

    from safetwilio.testing.call import Call
    from safetwilio.testing.state import Account, World

FICTIONAL_LINES = range(100, 200)  # 555-0100 to 555-0199 belong to nobody

_MAGIC_NUMBER, _MAGIC_AREA = "+15005550006", "500"
_MAGIC_NUMBERS = {  # https://www.twilio.com/docs/iam/test-credentials#test-incoming-phone-numbers
    "+15005550000": (21422, "{} is not available"),
    "+15005550001": (21421, "{} is not valid"),
}
_EMPTY_AREA = "533"


@dataclass(frozen=True)
class Number:
    """A phone number; *service_sid* names the messaging service it sends for, if any.

    *settings* holds the properties that a request set, by name.
    """

    sid: str
    account_sid: str
    phone_number: str
    friendly_name: str
    created: datetime
    updated: datetime
    settings: Mapping[str, Any] = field(default_factory=dict)
    service_sid: str | None = None
    attached: datetime | None = None


def _url(parameter: str, text: str) -> str | None:
    if text and not is_url(text):
        # https://www.twilio.com/docs/api/errors/21402
        raise Refused(400, 21402, f"{parameter} is not a valid URL: {text}")
    return text or None


_URLS = ("sms_fallback_url", "sms_url", "status_callback", "voice_fallback_url", "voice_url")
_METHODS = (
    *("sms_fallback_method", "sms_method", "status_callback_method"),
    *("voice_fallback_method", "voice_method"),
)
_SIDS = {
    "address_sid": "AD",
    "bundle_sid": "BU",
    "emergency_address_sid": "AD",
    "identity_sid": "RI",
    "sms_application_sid": "AP",
    "trunk_sid": "TK",
    "voice_application_sid": "AP",
}
_READERS = {
    **dict.fromkeys(_URLS, _url),
    **dict.fromkeys(_METHODS, METHOD),
    **{name: sid(prefix) for name, prefix in _SIDS.items()},
    "api_version": API_VERSION,
    "voice_caller_id_lookup": flag,
    "voice_receive_mode": one_of("voice", "fax"),
    "emergency_status": one_of("Active", "Inactive"),
}
_DEFAULTS: dict[str, Any] = {
    **dict.fromkeys((*_URLS, *_SIDS)),
    **dict.fromkeys(_METHODS, "POST"),
    "api_version": "2010-04-01",
    "emergency_status": "Inactive",
    "voice_caller_id_lookup": False,
    "voice_receive_mode": "voice",
}


def create(call: Call) -> Answer:
    """Buy a number; with test credentials it is checked and answered but kept nowhere."""
    phone_number = _wanted(call)
    now = call.world.now()
    number = Number(
        sid=new_sid("PN"),
        account_sid=call.account.sid,
        phone_number=phone_number,
        friendly_name=name_in(call, formatted(phone_number)) or "",
        created=now,
        updated=now,
        settings=_settings(call),
    )
    if not call.account.test:
        call.account.shelf(Number).put(number.sid, number)
    return Answer(201, _show(call, number))


def list_all(call: Call) -> Answer:
    """Answer with the account's numbers, filtered by PhoneNumber, FriendlyName and Origin."""
    return page(
        call,
        "incoming_phone_numbers",
        call.account.shelf(Number),
        lambda number: _show(call, number),
        _filters(call),
    )


def fetch(call: Call) -> Answer:
    """Answer with one number."""
    return Answer(200, _show(call, _find(call)))


def update(call: Call) -> Answer:
    """Rename a number, set what it does, or move it to another account."""
    number = _find(call)
    changed = replace(
        number,
        friendly_name=name_in(call, number.friendly_name) or "",
        settings={**number.settings, **_settings(call)},
        updated=call.world.now(),
    )
    target = call.get("AccountSid")
    if target and target != call.account.sid:
        changed = _move(call, changed, target)
    else:
        call.account.shelf(Number).put(changed.sid, changed)
    return Answer(200, _show(call, changed))


def delete(call: Call) -> Answer:
    """Give a number back."""
    call.account.shelf(Number).remove(_find(call).sid)
    return Answer(204)


def held(account: Account, phone_number: str) -> Number | None:
    """Return the number of *account* that is *phone_number*, ``None`` if it has no such."""
    numbers = (number for _, number in account.shelf(Number).newest_first())
    return next((number for number in numbers if number.phone_number == phone_number), None)


def is_held(world: World, phone_number: str) -> bool:
    """Return whether any account has *phone_number*."""
    accounts = (account for _, account in world.accounts.newest_first())
    return any(held(account, phone_number) for account in accounts)


def fictional(area: str) -> Iterator[str]:
    """Yield the North American numbers of *area* that belong to nobody."""
    return (f"+1{area}5550{line}" for line in FICTIONAL_LINES)


def _wanted(call: Call) -> str:
    """Return the number that *call* asks for, or raise what Twilio answers instead."""
    phone_number, area = call.get("PhoneNumber"), call.get("AreaCode")
    if not phone_number and not area:
        raise bad_parameter("PhoneNumber", "this or AreaCode is required")
    if not phone_number:
        return _in_area(call, area)
    if call.account.test:
        _check_magic(call, phone_number)
    elif not E164.fullmatch(phone_number):
        # https://www.twilio.com/docs/api/errors/21421
        raise Refused(400, 21421, f"{phone_number} is not valid")
    elif is_held(call.world, phone_number):
        # https://www.twilio.com/docs/api/errors/21422
        raise Refused(400, 21422, f"{phone_number} is not available")
    return phone_number


def _in_area(call: Call, area: str) -> str:
    """Return a number of *area*; with test credentials area 500 has +15005550006.

    Which number Twilio takes is not known; these are the emulator's own. What 500 and 533 stand for
    with test credentials: https://hexdocs.pm/twilio_magic_values.
    """
    if not re.fullmatch(r"[2-9]\d\d", area):
        # https://www.twilio.com/docs/api/errors/21451
        raise Refused(400, 21451, f"{area} is not a valid North American area code")
    if call.account.test and area == _MAGIC_AREA:
        return _MAGIC_NUMBER
    free = (each for each in fictional(area) if not is_held(call.world, each))
    found = None if call.account.test and area == _EMPTY_AREA else next(free, None)
    if found is None:
        # https://www.twilio.com/docs/api/errors/21452
        raise Refused(400, 21452, f"No phone numbers found in area code {area}")
    return found


def _check_magic(call: Call, phone_number: str) -> None:
    if phone_number == _MAGIC_NUMBER:
        return
    other = int(call.assumed(assumed.OTHER_TEST_NUMBER_CODE)), "{} is not available"
    code, message = _MAGIC_NUMBERS.get(phone_number, other)
    raise Refused(400, code, message.format(phone_number))


def _settings(call: Call) -> dict[str, Any]:
    """Return what *call* sets; a trunk and a voice application exclude each other (OpenAPI)."""
    given = read_settings(call, _READERS)
    for one, other in (
        ("voice_application_sid", "trunk_sid"),
        ("trunk_sid", "voice_application_sid"),
    ):
        if given.get(one):
            given[other] = None
    return given


def _move(call: Call, number: Number, target: str) -> Number:
    """Put *number* into the account *target*, out of its messaging service.

    https://www.twilio.com/docs/api/errors/21474: only the parent account may;
    https://www.twilio.com/docs/api/errors/21473: between a parent and its subaccounts only.
    """
    if not is_sid(target, "AC"):
        raise bad_parameter("AccountSid", "not an AC SID")
    parent = call.caller.account
    if parent.parent is not None:
        raise Refused(400, 21474, "API User must be the parent account to transfer phone numbers.")
    account = call.world.accounts.get(target)
    if account is None or parent not in {account, account.parent}:
        raise Refused(
            400,
            21473,
            "AccountSid you are transferring to is not related to the originating owner of the"
            " phone number",
        )
    call.account.shelf(Number).remove(number.sid)
    moved = replace(number, account_sid=target, service_sid=None, attached=None)
    account.shelf(Number).put(moved.sid, moved)
    return moved


def _find(call: Call) -> Number:
    number = call.account.shelf(Number).get(call.sid)
    if number is None:
        raise not_found(call.request.path)
    return number


def _filters(call: Call) -> Callable[[Number], bool] | None:
    """Return which numbers the query asks for, ``None`` for all.

    OpenAPI: PhoneNumber may be a part of the number, with ``*`` for any digit. All numbers are
    of the origin ``twilio``, and none is new to the platform (Beta).
    """
    query = call.query
    origin = query.get("Origin", "twilio")
    if origin not in {"twilio", "hosted"}:
        raise bad_parameter("Origin", "twilio or hosted")
    flag("Beta", query.get("Beta", "true"))
    pattern = re.compile(r"\d".join(map(re.escape, query.get("PhoneNumber", "").split("*"))))

    def wanted(number: Number) -> bool:
        return (
            origin == "twilio"
            and pattern.search(number.phone_number) is not None
            and query.get("FriendlyName", number.friendly_name) == number.friendly_name
        )

    return wanted if query.keys() & {"Origin", "PhoneNumber", "FriendlyName"} else None


def _show(call: Call, number: Number) -> dict[str, Any]:
    settings = {**_DEFAULTS, **number.settings}
    if call.assumed(assumed.UNSET_NUMBER_URL) == "empty":
        settings |= {name: settings[name] or "" for name in _URLS}
    base = f"/2010-04-01/Accounts/{number.account_sid}/IncomingPhoneNumbers"
    return {
        **settings,
        "sid": number.sid,
        "account_sid": number.account_sid,
        "phone_number": number.phone_number,
        "friendly_name": number.friendly_name,
        "date_created": rfc2822(number.created),
        "date_updated": rfc2822(number.updated),
        "address_requirements": "none",
        "beta": False,
        "capabilities": {"voice": True, "sms": True, "mms": True, "fax": False},
        "emergency_address_status": "unregistered",
        "origin": "twilio",
        "status": "in-use",
        "type": "local",
        "uri": f"{base}/{number.sid}.json",
    }


_ALL = f"{ACCOUNT}/IncomingPhoneNumbers.json"
_ONE = f"{ACCOUNT}/IncomingPhoneNumbers/{{Sid}}.json"
_NUMBERS = "/twilio/phone-numbers/active-numbers"  # permissions: facts, twilio.md, section 7

ROUTES = (
    Route("api", "GET", _ALL, list_all, permission=f"{_NUMBERS}/list"),
    Route(
        "api",
        "POST",
        _ALL,
        create,
        permission=f"{_NUMBERS}/create",
        for_test_credentials=True,
        event=of_number("created"),
    ),
    Route("api", "GET", _ONE, fetch, permission=f"{_NUMBERS}/read"),
    Route("api", "POST", _ONE, update, permission=f"{_NUMBERS}/update", event=of_number("updated")),
    Route(
        "api", "DELETE", _ONE, delete, permission=f"{_NUMBERS}/delete", event=of_number("deleted")
    ),
)
