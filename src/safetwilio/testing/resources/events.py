"""``monitor.twilio.com/v1/Events``: who changed what, and how the emulator notes it.

OpenAPI: ``twilio_monitor_v1.json``, ListEvent, FetchEvent; types, actors and data:
https://www.twilio.com/docs/usage/monitor-events (facts: lockdown.md, section 4). A route that names
its ``event`` is noted here when it succeeds; ``account.record_event`` adds what else a test needs.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from safetwilio.testing.answers import Answer, Refused, bad_parameter, iso8601, not_found, utc
from safetwilio.testing.assumptions import events as assumed
from safetwilio.testing.monitor import Alert, Event
from safetwilio.testing.paging import page
from safetwilio.testing.route import Route
from safetwilio.testing.shelf import Shelf

if TYPE_CHECKING:
    from collections.abc import Callable

    from safetwilio.testing.call import Call

Entry = TypeVar("Entry", Event, Alert)

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_FILTERS = {
    "ActorSid": "actor_sid",
    "EventType": "event_type",
    "ResourceSid": "resource_sid",
    "SourceIpAddress": "source_ip_address",
}
_ACCOUNTS = "https://api.twilio.com/2010-04-01/Accounts"
# the fraud response guide's example of a new key shows its secret so; the others are alike
_HIDDEN, _REDACTED = {"secret", "auth_token", "secondary_auth_token", "body"}, "[REDACTED]"
_NO_PROPERTIES = {
    *("sid", "account_sid", "uri", "url", "links", "subresource_uris"),
    *("date_created", "date_updated", "meta"),
}


def list_all(call: Call) -> Answer:
    """Answer with the account's events, filtered by date and at most one other field."""
    query = call.query
    chosen = [name for name in _FILTERS if query.get(name)]
    if len(chosen) > 1:
        # docs/usage/monitor-events: "will result in a 400 Bad Request error"
        raise bad_parameter(chosen[1], "only one filter besides the dates")
    in_time, oldest = within(call), call.world.now() - _retention(call)

    def wanted(event: Event) -> bool:
        return (
            event.at >= oldest
            and in_time(event.at)
            and all(getattr(event, _FILTERS[name]) == query[name] for name in chosen)
        )

    return page(call, "events", by_date(call.account.shelf(Event)), _show(call), wanted)


def fetch(call: Call) -> Answer:
    """Answer with one event."""
    event = call.account.shelf(Event).get(call.sid)
    if event is None or event.at < call.world.now() - _retention(call):
        raise not_found(call.request.path)
    return Answer(200, _show(call)(event))


def handled(call: Call, route: Route, current: Route | None) -> Answer:
    """Let *route* answer, and note its event; *current* is what shows the resource as it is.

    A created resource has its properties in the event, an updated one what changed, a deleted one
    none. Who acts, and from where, is https://www.twilio.com/docs/usage/monitor-events: an API
    request is caused by the account that authenticated.
    """
    named = route.event(call) if callable(route.event) else str(route.event)
    action = named.rpartition(".")[2]
    before = _document(current, call) if current is not None and action == "updated" else {}
    answer = route.handle(call)
    if answer.changes is not None and not answer.changes:
        return answer
    document = answer.document or {}
    caller, key = call.caller, call.caller.key
    by_key = key is not None and call.assumed(assumed.EVENT_ACTOR_OF_KEY) == "key"
    of_caller = call.assumed(assumed.EVENT_IN_LOG_OF) == "caller"
    (caller.account if of_caller else call.account).record_event(
        named,
        resource_sid=document.get("sid") or call.sid or None,
        actor_sid=key.sid if key is not None and by_key else caller.account.sid,
        actor_type="api-key" if by_key else "account",
        source_ip_address=call.request.address,
        properties=None if action == "deleted" else answer.changes or _changes(before, document),
    )
    return answer


def of_key(action: str) -> Callable[[Call], str]:
    """Return what names the event of a key's *action*; which resource it is of, is assumed."""
    return lambda call: f"{call.assumed(assumed.KEY_EVENT_RESOURCE)}.{action}"


def of_number(action: str) -> Callable[[Call], str]:
    """Return what names the event of a phone number's *action*; how it is spelt, is assumed."""
    return lambda call: f"{call.assumed(assumed.NUMBER_EVENT_RESOURCE)}.{action}"


def of_message(call: Call) -> str:
    """Return the event of a message's update, which redacts it or cancels it."""
    return str(call.assumed(assumed.REDACTION_EVENT)) if call.has("Body") else "message.updated"


def by_date(shelf: Shelf[Entry]) -> Shelf[Entry]:
    """Return *shelf* sorted by date: tests may add what happened earlier."""
    ordered: Shelf[Entry] = Shelf()
    entries = list(shelf.newest_first())
    entries.reverse()
    for sid, entry in sorted(entries, key=lambda pair: pair[1].at):
        ordered.put(sid, entry)
    return ordered


def within(call: Call) -> Callable[[datetime], bool]:
    """Return whether a moment is from StartDate to EndDate of *call*, both included."""
    start, _ = _moment(call.query.get("StartDate"), "StartDate")
    end, is_day = _moment(call.query.get("EndDate"), "EndDate")
    if end is not None and is_day and call.assumed(assumed.END_DATE_WITHOUT_TIME) == "end":
        end = end.replace(hour=23, minute=59, second=59, microsecond=999_999)

    def is_within(moment: datetime) -> bool:
        # dates are shown in whole seconds, and found by what is shown
        shown = moment.replace(microsecond=0)
        return (start is None or shown >= start) and (end is None or shown <= end)

    return is_within


def _moment(text: str | None, name: str) -> tuple[datetime | None, bool]:
    if not text:
        return None, False
    try:
        return utc(text), bool(_DAY.fullmatch(text))
    except ValueError:
        raise bad_parameter(name, "not a date such as 2026-01-31T00:00:00Z") from None


def _retention(call: Call) -> timedelta:
    return timedelta(days=int(call.assumed(assumed.EVENT_RETENTION_DAYS)))


def _document(current: Route, call: Call) -> dict[str, Any]:
    try:
        return current.handle(call).document or {}
    except Refused:  # there is none; the route itself says so
        return {}


def _changes(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """Return the properties of *after* that differ from *before*, with both values."""
    changed = [
        name
        for name, value in after.items()
        if name not in _NO_PROPERTIES and before.get(name) != value
    ]
    return {
        name: {
            "updated": _REDACTED if name in _HIDDEN else after[name],
            "previous": _REDACTED if name in _HIDDEN & before.keys() else before.get(name),
        }
        for name in changed
    }


def _show(call: Call) -> Callable[[Event], dict[str, Any]]:
    bare = call.assumed(assumed.EVENT_DATA_SHAPE) == "bare"

    def show(event: Event) -> dict[str, Any]:
        data = event.properties
        actor, of_account = event.actor_sid, (event.resource_sid or "").startswith("AC")
        links = {
            "actor": f"{_ACCOUNTS}/{actor}" if actor and actor.startswith("AC") else None,
            "resource": f"{_ACCOUNTS}/{event.resource_sid}" if of_account else None,
        }
        return {
            "sid": event.sid,
            "account_sid": event.account_sid,
            "actor_sid": actor,
            "actor_type": event.actor_type,
            "description": None,
            "event_data": data if bare or data is None else {"resource_properties": data},
            "event_date": iso8601(event.at),
            "event_type": event.event_type,
            "resource_sid": event.resource_sid,
            "resource_type": event.event_type.rpartition(".")[0],
            "source": event.source,
            "source_ip_address": event.source_ip_address,
            "url": f"https://monitor.twilio.com/v1/Events/{event.sid}",
            "links": links,
        }

    return show


_EVENTS = "/twilio/monitor/events"  # permissions: facts, twilio.md, section 7

ROUTES = (
    Route("monitor", "GET", "/v1/Events", list_all, permission=f"{_EVENTS}/list"),
    Route("monitor", "GET", "/v1/Events/{Sid}", fetch, permission=f"{_EVENTS}/read"),
)
