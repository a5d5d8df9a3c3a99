"""``/Calls``: starting, reading, ending, deleting.

OpenAPI: ``twilio_api_v2010.json``, CreateCall, ListCall, FetchCall, UpdateCall, DeleteCall. The
status of a call follows from the emulator's clock alone (``progress``): everybody answers. No
instructions are fetched, nothing is charged, and no status callback is sent.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from safetwilio.shapes import is_sid
from safetwilio.testing.answers import Answer, Refused, bad_parameter, not_found, rfc2822, utc
from safetwilio.testing.assumptions import calls as assumed
from safetwilio.testing.assumptions import messages as assumed_of_messages
from safetwilio.testing.assumptions import numbers as assumed_of_numbers
from safetwilio.testing.paging import page
from safetwilio.testing.records import new_sid
from safetwilio.testing.resources import caller_ids, numbers
from safetwilio.testing.resources.settings import E164, METHOD, formatted, is_url
from safetwilio.testing.resources.voice_geo import check_region
from safetwilio.testing.route import ACCOUNT, Route

if TYPE_CHECKING:
    from collections.abc import Callable

    from safetwilio.testing.call import Call

# OpenAPI: To and From are a phone number, a SIP address or a client identifier
_ENDPOINT = re.compile(r"(sip|sips|client):\S+")
_CALLER = "+15005550006"
# https://www.twilio.com/docs/iam/test-credentials#test-calls, and each code's page,
# https://www.twilio.com/docs/api/errors/<code>
_MAGIC_TO = {
    "+15005550001": (21217, "Phone number {} does not appear to be valid"),
    "+15005550002": (21214, "'To' phone number {} cannot be reached"),
    "+15005550003": (21215, "Account not authorized to call {}"),
    "+15005550004": (21216, "Account not allowed to call {}"),
}
_INVALID_CALLER = "+15005550001"
_ENDED = {"completed", "canceled"}
_STATES = (*("queued", "ringing", "in-progress", "completed"), "canceled")
_NEVER = ("busy", "failed", "no-answer")
_SUBRESOURCES = ("Events", "Notifications", "Recordings")


@dataclass(frozen=True)
class PhoneCall:
    """A call as it was started; *key_sid* names the key that started it, ``None`` the token.

    What changes with time (status, duration) is computed, up to *ended*, when a request ended it
    *as_* completed or canceled.
    """

    sid: str
    account_sid: str
    key_sid: str | None
    to: str
    from_: str
    created: datetime
    updated: datetime
    number_sid: str | None = None
    ended: datetime | None = None
    as_: Literal["completed", "canceled"] | None = None


@dataclass(frozen=True)
class Progress:
    """How far a call has come: its *status*, when it *started* to ring, was *answered*, *ended*."""

    status: str
    started: datetime | None = None
    answered: datetime | None = None
    ended: datetime | None = None


def create(call: Call) -> Answer:
    """Start a call; with test credentials it is checked and answered but kept nowhere."""
    to, caller = call.get("To"), call.get("From")
    _check_addresses(to, caller)
    if call.account.test:
        _check_magic(to, caller)
    elif E164.fullmatch(to):
        check_region(call, to)
    number_sid = _caller_sid(call, caller)
    _check_instructions(call)
    now, key = call.world.now(), call.caller.key
    started = PhoneCall(
        sid=new_sid("CA"),
        account_sid=call.account.sid,
        key_sid=key.sid if key else None,
        to=to,
        from_=caller,
        created=now,
        updated=now,
        number_sid=number_sid,
    )
    if not call.account.test:
        call.account.shelf(PhoneCall).put(started.sid, started)
    return Answer(201, _show(started, Progress("queued")))


def fetch(call: Call) -> Answer:
    """Answer with one call."""
    return Answer(200, _show_now(call, _find(call)))


def list_all(call: Call) -> Answer:
    """Answer with the account's calls, filtered by To, From, Status, StartTime and EndTime."""
    return page(
        call,
        "calls",
        call.account.shelf(PhoneCall),
        lambda each: _show_now(call, each),
        _filters(call),
    )


def update(call: Call) -> Answer:
    """End a call (Status ``completed``, or ``canceled`` before it is answered) or redirect it."""
    found = _find(call)
    if call.get("Url") or call.get("Twiml"):
        found = _redirected(call, found)
    if call.get("Status"):
        found = _stopped(call, found)
    call.account.shelf(PhoneCall).put(found.sid, found)
    return Answer(200, _show_now(call, found))


def delete(call: Call) -> Answer:
    """Delete a call that has ended."""
    found = _find(call)
    if progress(call, found).status not in _ENDED:
        # https://www.twilio.com/docs/api/errors/20009 is about calls and messages alike
        status = int(call.assumed(assumed_of_messages.CONFLICT_STATUS))
        raise Refused(status, 20009, "Cannot delete this resource before it is complete")
    call.account.shelf(PhoneCall).remove(found.sid)
    return Answer(204)


def progress(call: Call, found: PhoneCall) -> Progress:
    """Return how far the call *found* has come by the emulator's clock.

    queued → ringing → in-progress → completed, unless a request ended it earlier.
    """
    ringing = timedelta(seconds=int(call.assumed(assumed.RINGING_SECONDS)))
    talking = timedelta(seconds=int(call.assumed(assumed.TALKING_SECONDS)))
    now = found.ended or call.world.now()
    started = found.created + ringing
    answered = started + ringing
    end = answered + talking
    reached = sum(now >= moment for moment in (started, answered, end))
    moments: list[datetime | None] = [None, None, None]
    moments[:reached] = (started, answered, end)[:reached]
    if found.ended and found.as_:
        return Progress(found.as_, moments[0], moments[1], found.ended)
    return Progress(_STATES[reached], *moments)


def _check_addresses(to: str, caller: str) -> None:
    if not to:
        raise Refused(400, 21201, "No 'To' number is specified")
    if not caller:
        raise Refused(400, 21213, "'From' phone number is required")
    if not (E164.fullmatch(to) or _ENDPOINT.fullmatch(to)):
        raise Refused(400, 21217, f"Phone number {to} does not appear to be valid")
    if not (E164.fullmatch(caller) or _ENDPOINT.fullmatch(caller)):
        raise Refused(400, 21212, f"The 'From' number {caller} is not a valid phone number.")


def _check_magic(to: str, caller: str) -> None:
    if caller == _INVALID_CALLER:
        raise Refused(400, 21212, f"The 'From' number {caller} is not a valid phone number.")
    if caller != _CALLER:
        raise _unverified(caller)
    if to in _MAGIC_TO:
        code, message = _MAGIC_TO[to]
        raise Refused(400, code, message.format(to))


def _caller_sid(call: Call, caller: str) -> str | None:
    """Return the SID of the number or caller ID that *caller* is, ``None`` if it is neither."""
    own = numbers.held(call.account, caller) or caller_ids.verified(call.account, caller)
    if own is not None:
        return own.sid
    enforced = call.assumed(assumed_of_numbers.SENDER_OWNERSHIP) == "enforced"
    if enforced and not call.account.test and E164.fullmatch(caller):
        raise _unverified(caller)
    return None


def _unverified(caller: str) -> Refused:
    """Return docs/api/errors/21210; the wording is in github.com/twilio/twilio-php/issues/254."""
    return Refused(
        400,
        21210,
        f"The source phone number provided, {caller}, is not yet verified for your account. You may"
        " only make calls from phone numbers that you've verified or purchased from Twilio.",
    )


def _check_instructions(call: Call) -> None:
    if not any(call.get(name) for name in ("Url", "Twiml", "ApplicationSid")):
        code = int(call.assumed(assumed.MISSING_INSTRUCTIONS_CODE))
        raise Refused(400, code, "Url parameter is required.")
    _check_url(call)
    if call.get("ApplicationSid") and not is_sid(call.get("ApplicationSid"), "AP"):
        raise bad_parameter("ApplicationSid", "not an AP SID")
    for name in ("Method", "FallbackMethod", "StatusCallbackMethod"):
        if call.get(name):
            METHOD(name, call.get(name))


def _check_url(call: Call) -> None:
    if call.get("Url") and not is_url(call.get("Url")):
        # https://www.twilio.com/docs/api/errors/21205
        raise Refused(400, 21205, f"Url is not a valid URL: {call.get('Url')}")


def _redirected(call: Call, found: PhoneCall) -> PhoneCall:
    """Return the call *found* with other instructions, which nobody follows here."""
    _check_url(call)
    if progress(call, found).status != "in-progress":
        raise _not_in_progress()
    return replace(found, updated=call.world.now())


def _stopped(call: Call, found: PhoneCall) -> PhoneCall:
    """Return the call *found* as a Status in the request leaves it.

    https://www.twilio.com/docs/voice/api/call-resource, Update a Call: ``canceled`` hangs up calls
    that are queued or ringing and leaves those in progress, ``completed`` hangs up these too.
    """
    wanted = call.get("Status")
    if wanted not in _ENDED:
        raise bad_parameter("Status", "canceled or completed")
    status = progress(call, found).status
    if status in _ENDED:
        if call.assumed(assumed.ENDED_CALL_UPDATE) == "refused":
            raise _not_in_progress()
        return found
    if wanted == "canceled" and status == "in-progress":
        return found
    now = call.world.now()
    as_: Literal["completed", "canceled"] = "completed" if wanted == "completed" else "canceled"
    return replace(found, ended=now, as_=as_, updated=now)


def _not_in_progress() -> Refused:
    # https://www.twilio.com/docs/api/errors/21220
    return Refused(400, 21220, "Call is not in-progress. Cannot redirect.")


def _find(call: Call) -> PhoneCall:
    found = call.account.shelf(PhoneCall).get(call.sid)
    if found is None:
        raise not_found(call.request.path)
    return found


def _filters(call: Call) -> Callable[[PhoneCall], bool] | None:
    """Return which calls the query asks for, ``None`` for all; no call has a parent here."""
    query = call.query
    status = query.get("Status")
    if status and status not in (*_STATES, *_NEVER):
        raise bad_parameter("Status", f"one of {', '.join((*_STATES, *_NEVER))}")
    days = {
        name: _day(name, query[name])
        for base in ("StartTime", "EndTime")
        for name in (base, f"{base}<", f"{base}>")
        if query.get(name)
    }

    def wanted(each: PhoneCall) -> bool:
        reached = progress(call, each)
        moments = {"S": reached.started, "E": reached.ended}
        return (
            query.get("To", each.to) == each.to
            and query.get("From", each.from_) == each.from_
            and not query.get("ParentCallSid")
            and status in {None, "", reached.status}
            and all(_within(name, moments[name[0]], day) for name, day in days.items())
        )

    names = {"To", "From", "ParentCallSid", "Status", *days}
    return wanted if query.keys() & names else None


def _within(name: str, moment: datetime | None, day: datetime) -> bool:
    """Compare dates as OpenAPI says: on the day, before it (``<``), on and after it (``>``)."""
    if moment is None:
        return False
    if name.endswith("<"):
        return moment.date() < day.date()
    return moment.date() >= day.date() if name.endswith(">") else moment.date() == day.date()


def _day(name: str, text: str) -> datetime:
    try:
        return utc(text)
    except ValueError:
        raise bad_parameter(name, "not a date such as 2026-01-31") from None


def _show_now(call: Call, found: PhoneCall) -> dict[str, Any]:
    return _show(found, progress(call, found))


def _show(found: PhoneCall, reached: Progress) -> dict[str, Any]:
    uri = f"/2010-04-01/Accounts/{found.account_sid}/Calls/{found.sid}"
    talked = (
        (reached.ended - reached.answered).total_seconds()
        if reached.ended and reached.answered
        else None
    )
    return {
        "sid": found.sid,
        "account_sid": found.account_sid,
        "parent_call_sid": None,
        "to": found.to,
        "to_formatted": formatted(found.to),
        "from": found.from_,
        "from_formatted": formatted(found.from_),
        "phone_number_sid": found.number_sid,
        "status": reached.status,
        "start_time": rfc2822(reached.started),
        "end_time": rfc2822(reached.ended),
        "duration": None if talked is None else str(int(talked)),
        "price": None,
        "price_unit": "USD",
        "direction": "outbound-api",
        "answered_by": None,
        "api_version": "2010-04-01",
        "forwarded_from": None,
        "group_sid": None,
        "caller_name": None,
        "queue_time": "0",
        "trunk_sid": None,
        "date_created": rfc2822(found.created),
        "date_updated": rfc2822(reached.ended or found.updated),
        "uri": f"{uri}.json",
        "subresource_uris": {name.lower(): f"{uri}/{name}.json" for name in _SUBRESOURCES},
    }


_ALL, _ONE = f"{ACCOUNT}/Calls.json", f"{ACCOUNT}/Calls/{{Sid}}.json"
_CALLS = "/twilio/voice/calls"  # permissions: facts, twilio.md, section 7

ROUTES = (
    Route("api", "GET", _ALL, list_all, permission=f"{_CALLS}/list"),
    Route("api", "POST", _ALL, create, permission=f"{_CALLS}/create", for_test_credentials=True),
    Route("api", "GET", _ONE, fetch, permission=f"{_CALLS}/read"),
    Route("api", "POST", _ONE, update, permission=f"{_CALLS}/update"),
    Route("api", "DELETE", _ONE, delete, permission=f"{_CALLS}/delete", event="call.deleted"),
)
