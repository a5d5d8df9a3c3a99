"""``/2010-04-01/Accounts/{AccountSid}/Messages``: sending, reading, redacting, deleting.

OpenAPI: ``twilio_api_v2010.json``, CreateMessage, ListMessage, FetchMessage, UpdateMessage,
DeleteMessage. A message's status follows from the emulator's clock alone (``delivery``); no
message fails by itself, nothing is charged, and no status callback is sent.
"""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from safetwilio.testing.answers import Answer, Refused, bad_parameter, not_found, rfc2822, utc
from safetwilio.testing.assumptions import messages as assumed
from safetwilio.testing.paging import page
from safetwilio.testing.records import Message
from safetwilio.testing.resources import usage
from safetwilio.testing.resources.events import of_message
from safetwilio.testing.resources.outgoing import accept, segments
from safetwilio.testing.route import ACCOUNT, Route

if TYPE_CHECKING:
    from collections.abc import Callable

    from safetwilio.testing.call import Call

_LAST_STATES = {"delivered", "canceled"}
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


def create(call: Call) -> Answer:
    """Accept a message; with test credentials it is checked and answered but kept nowhere.

    https://www.twilio.com/docs/iam/test-credentials: Twilio does not "update the state of your
    account". Reading it back is refused anyway, with 403/20008.
    """
    message = accept(call)
    if not call.account.test:
        call.account.shelf(Message).put(message.sid, message)
        call.world.sent.append(message)
        usage.meter(call.world, message)
    # every creation example of the OpenAPI file is still to be sent
    return Answer(201, _show(message, _first_status(message), None))


def fetch(call: Call) -> Answer:
    """Answer with one message."""
    return Answer(200, _show_now(call, _find(call)))


def list_all(call: Call) -> Answer:
    """Answer with the account's messages, filtered by To, From and DateSent."""
    return page(
        call,
        "messages",
        call.account.shelf(Message),
        lambda message: _show_now(call, message),
        _filters(call),
    )


def update(call: Call) -> Answer:
    """Redact a message (an empty Body) or cancel a scheduled one (Status ``canceled``)."""
    message = _find(call)
    if call.get("Body"):
        raise bad_parameter("Body", "must be empty")
    if call.has("Body"):
        message = replace(message, body="")
    if call.has("Status"):
        if call.get("Status") != "canceled":
            raise bad_parameter("Status", "only canceled can be set")
        if delivery(call, message)[0] != "scheduled":
            # https://www.twilio.com/docs/api/errors/30409
            raise _conflict(call, 30409, "This message cannot be canceled")
        message = replace(message, canceled=True)
    message = replace(message, updated=call.world.now())
    call.account.shelf(Message).put(message.sid, message)
    return Answer(200, _show_now(call, message))


def delete(call: Call) -> Answer:
    """Delete a message that is in its last state."""
    message = _find(call)
    state = delivery(call, message)[0]
    if state not in _LAST_STATES:
        # https://www.twilio.com/docs/api/errors/20009: cannot be deleted before it is complete;
        # the wording is in github.com/code-dot-org/code-dot-org/pull/8914
        raise _conflict(call, 20009, f"Cannot delete message in state {state.upper()}")
    call.account.shelf(Message).remove(message.sid)
    return Answer(204)


def delivery(call: Call, message: Message) -> tuple[str, datetime | None]:
    """Return the status of *message* by the emulator's clock, and when it was sent.

    scheduled (until due) → queued or accepted → sent → delivered; canceled stays canceled.
    """
    step = timedelta(seconds=int(call.assumed(assumed.DELIVERY_SECONDS)))
    now, sent = call.world.now(), message.due + step
    if message.canceled:
        return "canceled", None
    if now < message.due:
        return "scheduled", None
    if now < sent:
        return "accepted" if message.messaging_service_sid else "queued", None
    return ("sent" if now < sent + step else "delivered"), sent


def _first_status(message: Message) -> str:
    if message.due > message.created:
        return "scheduled"
    return "accepted" if message.messaging_service_sid else "queued"


def _conflict(call: Call, code: int, message: str) -> Refused:
    return Refused(int(call.assumed(assumed.CONFLICT_STATUS)), code, message)


def _find(call: Call) -> Message:
    message = call.account.shelf(Message).get(call.sid)
    if message is None:
        raise not_found(call.request.path)
    return message


def _filters(call: Call) -> Callable[[Message], bool] | None:
    """Return which messages the query asks for, ``None`` for all."""
    query = call.query
    by_second = call.assumed(assumed.DATE_SENT_PRECISION) == "second"
    unsent = bool(call.assumed(assumed.UNSENT_MATCH_DATE_FILTER))
    bounds = {
        name: _moment(query[name], by_second=by_second)
        for name in ("DateSent", "DateSent<", "DateSent>")
        if query.get(name)
    }

    def sender_of(message: Message) -> str | None:
        return _sender(message, delivery(call, message)[1])

    def in_time(message: Message) -> bool:
        sent = delivery(call, message)[1]
        if sent is None and not unsent:
            return False
        moment = sent or message.created
        return all(
            _within(name, moment if exact else _day(moment), bound)
            for name, (bound, exact) in bounds.items()
        )

    def wanted(message: Message) -> bool:
        return (
            query.get("To", message.to) == message.to
            and ("From" not in query or query["From"] == sender_of(message))
            and (not bounds or in_time(message))
        )

    return wanted if bounds or query.keys() & {"To", "From"} else None


def _within(name: str, moment: datetime, bound: datetime) -> bool:
    """Compare as OpenAPI says: on the date, on and before it (``<``), on and after it (``>``)."""
    if name == "DateSent":
        return moment == bound
    return moment <= bound if name == "DateSent<" else moment >= bound


def _moment(text: str, *, by_second: bool) -> tuple[datetime, bool]:
    """Return the moment that *text* means in GMT, and whether its time of day counts.

    The OpenAPI description names ``YYYY-MM-DD``; its examples also hold RFC 2822.
    """
    try:
        moment = utc(text)
    except ValueError:
        try:
            moment = utc(parsedate_to_datetime(text).isoformat())
        except ValueError:
            raise bad_parameter("DateSent", "not a date such as 2026-01-31") from None
    exact = by_second and not _DAY.fullmatch(text)
    return (moment if exact else _day(moment)), exact


def _day(moment: datetime) -> datetime:
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)


def _show_now(call: Call, message: Message) -> dict[str, Any]:
    return _show(message, *delivery(call, message))


def _sender(message: Message, sent: datetime | None) -> str | None:
    """Return what *message* is from; a messaging service assigns it when it sends (OpenAPI)."""
    return message.from_ or (message.pool_sender if sent else None)


def _show(message: Message, status: str, sent: datetime | None) -> dict[str, Any]:
    uri = f"/2010-04-01/Accounts/{message.account_sid}/Messages/{message.sid}"
    return {
        "sid": message.sid,
        "account_sid": message.account_sid,
        "messaging_service_sid": message.messaging_service_sid,
        "to": message.to,
        "from": _sender(message, sent),
        "body": message.body,
        "status": status,
        "direction": "outbound-api",
        # OpenAPI: initially 0 with a messaging service, since no sender is assigned yet
        "num_segments": str(segments(message.body)) if _sender(message, sent) else "0",
        "num_media": str(len(message.media_urls)),
        "date_created": rfc2822(message.created),
        "date_updated": rfc2822(message.updated),
        "date_sent": rfc2822(sent),
        "price": None,
        "price_unit": "USD",
        "error_code": None,
        "error_message": None,
        "api_version": "2010-04-01",
        "uri": f"{uri}.json",
        "subresource_uris": {"media": f"{uri}/Media.json"},
    }


_ALL, _ONE = f"{ACCOUNT}/Messages.json", f"{ACCOUNT}/Messages/{{Sid}}.json"
_MESSAGES = "/twilio/messaging/messages"  # permissions: facts, twilio.md, section 7

ROUTES = (
    Route("api", "GET", _ALL, list_all, permission=f"{_MESSAGES}/list"),
    Route("api", "POST", _ALL, create, permission=f"{_MESSAGES}/create", for_test_credentials=True),
    Route("api", "GET", _ONE, fetch, permission=f"{_MESSAGES}/read"),
    Route("api", "POST", _ONE, update, permission=f"{_MESSAGES}/update", event=of_message),
    Route("api", "DELETE", _ONE, delete, permission=f"{_MESSAGES}/delete", event="message.deleted"),
)
