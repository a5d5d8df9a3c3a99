"""``/OutgoingCallerIds``: foreign numbers that an account may call from.

OpenAPI: ``twilio_api_v2010.json``, ListOutgoingCallerId, FetchOutgoingCallerId,
UpdateOutgoingCallerId, DeleteOutgoingCallerId. A real one is made by a call that reads a code to
its owner; here ``add`` makes it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from safetwilio.testing.answers import Answer, not_found, rfc2822
from safetwilio.testing.paging import page
from safetwilio.testing.records import new_sid
from safetwilio.testing.resources.settings import formatted, name_in
from safetwilio.testing.route import ACCOUNT, Route

if TYPE_CHECKING:
    from datetime import datetime

    from safetwilio.testing.call import Call
    from safetwilio.testing.state import Account


@dataclass(frozen=True)
class CallerId:
    """A verified phone number."""

    sid: str
    account_sid: str
    phone_number: str
    friendly_name: str
    created: datetime
    updated: datetime


def add(account: Account, phone_number: str, *, created: datetime, sid: str = "") -> CallerId:
    """Let *account* call from *phone_number*, verified at the time *created*."""
    caller_id = CallerId(
        sid=sid or new_sid("PN"),
        account_sid=account.sid,
        phone_number=phone_number,
        friendly_name=formatted(phone_number),
        created=created,
        updated=created,
    )
    account.shelf(CallerId).put(caller_id.sid, caller_id)
    return caller_id


def verified(account: Account, phone_number: str) -> CallerId | None:
    """Return the caller ID of *account* that is *phone_number*, ``None`` if it has no such."""
    items = (item for _, item in account.shelf(CallerId).newest_first())
    return next((item for item in items if item.phone_number == phone_number), None)


def list_all(call: Call) -> Answer:
    """Answer with the account's caller IDs, filtered by PhoneNumber and FriendlyName."""
    query = call.query

    def wanted(item: CallerId) -> bool:
        return (
            query.get("PhoneNumber", item.phone_number) == item.phone_number
            and query.get("FriendlyName", item.friendly_name) == item.friendly_name
        )

    return page(call, "outgoing_caller_ids", call.account.shelf(CallerId), _show, wanted)


def fetch(call: Call) -> Answer:
    """Answer with one caller ID."""
    return Answer(200, _show(_find(call)))


def update(call: Call) -> Answer:
    """Rename a caller ID."""
    item = _find(call)
    name = name_in(call, item.friendly_name) or ""
    changed = replace(item, friendly_name=name, updated=call.world.now())
    call.account.shelf(CallerId).put(changed.sid, changed)
    return Answer(200, _show(changed))


def delete(call: Call) -> Answer:
    """Delete a caller ID."""
    call.account.shelf(CallerId).remove(_find(call).sid)
    return Answer(204)


def _find(call: Call) -> CallerId:
    item = call.account.shelf(CallerId).get(call.sid)
    if item is None:
        raise not_found(call.request.path)
    return item


def _show(item: CallerId) -> dict[str, Any]:
    base = f"/2010-04-01/Accounts/{item.account_sid}/OutgoingCallerIds"
    return {
        "sid": item.sid,
        "account_sid": item.account_sid,
        "phone_number": item.phone_number,
        "friendly_name": item.friendly_name,
        "date_created": rfc2822(item.created),
        "date_updated": rfc2822(item.updated),
        "uri": f"{base}/{item.sid}.json",
    }


_ALL = f"{ACCOUNT}/OutgoingCallerIds.json"
_ONE = f"{ACCOUNT}/OutgoingCallerIds/{{Sid}}.json"
_CALLER_IDS = "/twilio/voice/outgoing-caller-ids"  # permissions: facts, twilio.md, section 7

ROUTES = (
    Route("api", "GET", _ALL, list_all, permission=f"{_CALLER_IDS}/list"),
    Route("api", "GET", _ONE, fetch, permission=f"{_CALLER_IDS}/read"),
    Route(
        "api", "POST", _ONE, update, permission=f"{_CALLER_IDS}/update", event="caller-id.updated"
    ),
    Route(
        "api", "DELETE", _ONE, delete, permission=f"{_CALLER_IDS}/delete", event="caller-id.deleted"
    ),
)
