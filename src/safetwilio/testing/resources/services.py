"""``messaging.twilio.com/v1/Services``: messaging services and the numbers they send from.

OpenAPI: ``twilio_messaging_v1.json``, CreateService, ListService, FetchService, UpdateService,
DeleteService, CreatePhoneNumber, ListPhoneNumber, FetchPhoneNumber, DeletePhoneNumber. The URLs are
kept and shown, and never called.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from zlib import crc32

from safetwilio.testing.answers import (
    Answer,
    Refused,
    bad_parameter,
    iso8601,
    not_found,
    whole_number,
)
from safetwilio.testing.assumptions import services as assumed
from safetwilio.testing.paging import page
from safetwilio.testing.records import new_sid
from safetwilio.testing.resources.numbers import Number
from safetwilio.testing.resources.settings import (
    METHOD,
    flag,
    name_in,
    one_of,
    read_settings,
    url,
)
from safetwilio.testing.route import Route

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from safetwilio.testing.call import Call
    from safetwilio.testing.state import Account

LARGEST_POOL = 400  # https://www.twilio.com/docs/api/errors/21714
LONGEST_VALIDITY = 36_000  # OpenAPI: validity_period, seconds
_COUNTRIES = {"+1": "US", "+44": "GB"}


@dataclass(frozen=True)
class Service:
    """A messaging service; *settings* holds the properties that a request set, by name."""

    sid: str
    account_sid: str
    friendly_name: str
    created: datetime
    updated: datetime
    settings: Mapping[str, Any] = field(default_factory=dict)


def _validity(parameter: str, text: str) -> int:
    seconds = whole_number(text) or 0
    if not 1 <= seconds <= LONGEST_VALIDITY:
        raise bad_parameter(parameter, f"not a number from 1 to {LONGEST_VALIDITY}")
    return seconds


_URLS = ("fallback_url", "inbound_request_url", "status_callback")
_FEATURES = ("area_code_geomatch", "mms_converter", "smart_encoding", "sticky_sender")
_FLAGS = ("fallback_to_long_code", "synchronous_validation", "use_inbound_webhook_on_number")
_USECASES = ("notifications", "marketing", "verification", "discussion", "poll", "undeclared")
_READERS = {
    **dict.fromkeys(_URLS, url),
    **dict.fromkeys((*_FEATURES, *_FLAGS), flag),
    **dict.fromkeys(("fallback_method", "inbound_method"), METHOD),
    "scan_message_content": one_of("inherit", "enable", "disable"),
    "usecase": one_of(*_USECASES),
    "validity_period": _validity,
}
_DEFAULTS: dict[str, Any] = {
    **dict.fromkeys(_URLS),
    **dict.fromkeys(_FLAGS, False),
    **dict.fromkeys(("fallback_method", "inbound_method"), "POST"),
    "scan_message_content": "inherit",
    "usecase": "undeclared",
    "validity_period": LONGEST_VALIDITY,
}


def create(call: Call) -> Answer:
    """Create a service."""
    name = name_in(call)
    if name is None:
        raise bad_parameter("FriendlyName", "is required")
    now = call.world.now()
    service = Service(
        sid=new_sid("MG"),
        account_sid=call.account.sid,
        friendly_name=name,
        created=now,
        updated=now,
        settings={
            **dict.fromkeys(_FEATURES, bool(call.assumed(assumed.NEW_SERVICE_FLAGS))),
            **read_settings(call, _READERS),
        },
    )
    call.account.shelf(Service).put(service.sid, service)
    return Answer(201, _show(service))


def list_all(call: Call) -> Answer:
    """Answer with the account's services."""
    return page(call, "services", call.account.shelf(Service), _show)


def fetch(call: Call) -> Answer:
    """Answer with one service."""
    return Answer(200, _show(_find(call, call.sid)))


def update(call: Call) -> Answer:
    """Rename a service or set what it does."""
    service = _find(call, call.sid)
    changed = replace(
        service,
        friendly_name=name_in(call, service.friendly_name) or "",
        settings={**service.settings, **read_settings(call, _READERS)},
        updated=call.world.now(),
    )
    call.account.shelf(Service).put(changed.sid, changed)
    return Answer(200, _show(changed))


def delete(call: Call) -> Answer:
    """Delete a service; its numbers stay in the account."""
    service = _find(call, call.sid)
    for number in pool(call.account, service.sid):
        _put_number(call, replace(number, service_sid=None, attached=None))
    call.account.shelf(Service).remove(service.sid)
    return Answer(204)


def attach(call: Call) -> Answer:
    """Put a number of the account into the pool of a service."""
    service = _find(call, call.sids["ServiceSid"])
    wanted = call.get("PhoneNumberSid")
    number = call.account.shelf(Number).get(wanted)
    if number is None:
        # https://www.twilio.com/docs/api/errors/21421 names an invalid Phone Number SID
        raise Refused(400, 21421, f"Phone Number SID {wanted} is not valid")
    if number.service_sid is not None:
        raise _taken(call, own=number.service_sid == service.sid)
    if len(pool(call.account, service.sid)) >= LARGEST_POOL:
        raise Refused(400, 21714, "Messaging Service Number Pool size limit reached")
    attached = replace(number, service_sid=service.sid, attached=call.world.now())
    _put_number(call, attached)
    return Answer(201, _show_number(attached))


def list_numbers(call: Call) -> Answer:
    """Answer with the numbers in the pool of a service."""
    service = _find(call, call.sids["ServiceSid"])
    return page(
        call,
        "phone_numbers",
        call.account.shelf(Number),
        _show_number,
        lambda number: number.service_sid == service.sid,
    )


def fetch_number(call: Call) -> Answer:
    """Answer with one number of the pool of a service."""
    return Answer(200, _show_number(_find_number(call)))


def detach(call: Call) -> Answer:
    """Take a number out of the pool of a service; the account keeps it (docs/api/errors/21712)."""
    _put_number(call, replace(_find_number(call), service_sid=None, attached=None))
    return Answer(204)


def pool(account: Account, service_sid: str) -> list[Number]:
    """Return the numbers in the pool of the service of *account* called *service_sid*."""
    numbers = (number for _, number in account.shelf(Number).newest_first())
    return [number for number in numbers if number.service_sid == service_sid]


def pool_sender(account: Account, service_sid: str, to: str) -> str | None:
    """Return which number of a service sends to *to*, ``None`` if its pool is empty.

    Always the same as long as the pool is: https://www.twilio.com/docs/messaging/services, Sticky
    Sender. Which one is the emulator's own choice.
    """
    senders = sorted(number.phone_number for number in pool(account, service_sid))
    return senders[crc32(to.encode()) % len(senders)] if senders else None


def _taken(call: Call, *, own: bool) -> Refused:
    """Return 21710 (github.com/mozilla/fx-private-relay/pull/2613) or docs/api/errors/21712."""
    status = int(call.assumed(assumed.POOL_CONFLICT_STATUS))
    if own:
        message = "Phone Number or Short Code is already in the Messaging Service."
        return Refused(status, 21710, message)
    message = "Phone Number or Short Code is associated with another Messaging Service."
    return Refused(status, 21712, message)


def _put_number(call: Call, number: Number) -> None:
    call.account.shelf(Number).put(number.sid, number)


def _find(call: Call, sid: str) -> Service:
    service = call.account.shelf(Service).get(sid)
    if service is None:
        raise not_found(call.request.path)
    return service


def _find_number(call: Call) -> Number:
    service = _find(call, call.sids["ServiceSid"])
    number = call.account.shelf(Number).get(call.sid)
    if number is None or number.service_sid != service.sid:
        raise not_found(call.request.path)
    return number


def _show(service: Service) -> dict[str, Any]:
    address = f"{_ADDRESS}/{service.sid}"
    return {
        **_DEFAULTS,
        **service.settings,
        "sid": service.sid,
        "account_sid": service.account_sid,
        "friendly_name": service.friendly_name,
        "date_created": iso8601(service.created),
        "date_updated": iso8601(service.updated),
        "us_app_to_person_registered": False,
        "url": address,
        # the real map names every resource; this one names those that are served here
        "links": {"phone_numbers": f"{address}/PhoneNumbers"},
    }


def _show_number(number: Number) -> dict[str, Any]:
    prefixes = (prefix for prefix in _COUNTRIES if number.phone_number.startswith(prefix))
    moment = iso8601(number.attached or number.created)
    return {
        "sid": number.sid,
        "account_sid": number.account_sid,
        "service_sid": number.service_sid,
        "phone_number": number.phone_number,
        "country_code": _COUNTRIES.get(next(prefixes, "")),
        "capabilities": ["MMS", "SMS", "Voice"],
        "date_created": moment,
        "date_updated": moment,
        "url": f"{_ADDRESS}/{number.service_sid}/PhoneNumbers/{number.sid}",
    }


_ADDRESS = "https://messaging.twilio.com/v1/Services"
_ALL, _ONE = "/v1/Services", "/v1/Services/{Sid}"
_POOL = "/v1/Services/{ServiceSid}/PhoneNumbers"
_POOLED = f"{_POOL}/{{Sid}}"
# permissions: facts, twilio.md, section 7
_SERVICES, _SENDERS = "/twilio/messaging/services", "/twilio/messaging/services.phonenumbers"

ROUTES = (
    Route("messaging", "GET", _ALL, list_all, permission=f"{_SERVICES}/list"),
    Route("messaging", "POST", _ALL, create, permission=f"{_SERVICES}/create"),
    Route("messaging", "GET", _ONE, fetch, permission=f"{_SERVICES}/read"),
    Route("messaging", "POST", _ONE, update, permission=f"{_SERVICES}/update"),
    Route("messaging", "DELETE", _ONE, delete, permission=f"{_SERVICES}/delete"),
    Route("messaging", "GET", _POOL, list_numbers, permission=f"{_SENDERS}/list"),
    Route("messaging", "POST", _POOL, attach, permission=f"{_SENDERS}/create"),
    Route("messaging", "GET", _POOLED, fetch_number, permission=f"{_SENDERS}/read"),
    Route("messaging", "DELETE", _POOLED, detach, permission=f"{_SENDERS}/delete"),
)
