"""``/Usage/Triggers``: callbacks when usage passes a value.

OpenAPI: ``twilio_api_v2010.json``, CreateUsageTrigger, ListUsageTrigger, FetchUsageTrigger,
UpdateUsageTrigger, DeleteUsageTrigger; the callback:
https://www.twilio.com/docs/usage/api/usage-trigger#usagetrigger-callbacks (facts: lockdown.md,
section 1). No permission for them is known (facts: twilio.md, section 7), so a Restricted key is
refused. A trigger never stops traffic.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from safetwilio.testing.answers import Answer, bad_parameter, not_found, rfc2822
from safetwilio.testing.assumptions import usage as assumed
from safetwilio.testing.callbacks import Callback
from safetwilio.testing.paging import page
from safetwilio.testing.records import new_sid
from safetwilio.testing.resources.usage import check_category, everyone_of, first_day_of, plain
from safetwilio.testing.route import ACCOUNT, Route

if TYPE_CHECKING:
    from safetwilio.testing.call import Call
    from safetwilio.testing.state import Account, World

LONGEST_NAME = 64  # OpenAPI: FriendlyName, up to 64 characters long
MOST_TRIGGERS = 1000  # of an account, and below: docs/usage/api/usage-trigger
RETRIES = 3  # "will quickly retry the callback URL three times after a 5xx error"
_RECURRING = ("daily", "monthly", "yearly", "alltime")
_FIELDS = ("count", "usage", "price")
_METHODS = ("GET", "POST")
_VALUE = re.compile(r"\+?\d{1,15}(\.\d{1,10})?")
_URL = re.compile(r"https?://[^\s/?#][!-~]*")


@dataclass(frozen=True)
class Trigger:
    """A usage trigger; *recurring* is empty for one that fires once, *fired_in* its last period."""

    sid: str
    account_sid: str
    friendly_name: str
    category: str
    by: str
    value: Decimal
    recurring: str
    method: str
    created: datetime
    updated: datetime
    url: str = field(repr=False)
    fired: datetime | None = None
    fired_in: date | None = None


def create(call: Call) -> Answer:
    """Create a trigger, whose value may be an offset to what is used now (``+30``)."""
    account, category, text = call.account, call.get("UsageCategory"), call.get("TriggerValue")
    check_category(call, "UsageCategory", category)
    if not _VALUE.fullmatch(text) or not Decimal(text):
        raise bad_parameter("TriggerValue", "not a positive number, nor one after a +")
    if sum(1 for _ in account.shelf(Trigger).newest_first()) >= MOST_TRIGGERS:
        raise bad_parameter("AccountSid", f"has {MOST_TRIGGERS} usage triggers already")
    by, now = _one_of(call, "TriggerBy", _FIELDS, "usage"), call.world.now()
    trigger = Trigger(
        sid=new_sid("UT"),
        account_sid=account.sid,
        # the example of docs/usage/api/usage-trigger, made without FriendlyName and TriggerBy
        friendly_name=_name(call, f"Trigger for {category} at {by} of {text}"),
        category=category,
        by=by,
        value=Decimal(text),
        recurring=_one_of(call, "Recurring", _RECURRING, ""),
        method=_one_of(call, "CallbackMethod", _METHODS, "POST"),  # OpenAPI: the default
        url=_url(call),
        created=now,
        updated=now,
    )
    if text.startswith("+"):
        trigger = replace(trigger, value=trigger.value + current(call.world, account, trigger))
    account.shelf(Trigger).put(trigger.sid, trigger)
    call.world.ledger.watched[account.sid] = account
    answer = Answer(201, _show(call, trigger))
    _look_at(call.world, account, trigger)
    return answer


def list_all(call: Call) -> Answer:
    """Answer with the account's triggers, filtered by Recurring, TriggerBy and UsageCategory."""
    query = call.query

    def wanted(trigger: Trigger) -> bool:
        return (
            query.get("TriggerBy", trigger.by) == trigger.by
            and query.get("UsageCategory", trigger.category) == trigger.category
            and query.get("Recurring", trigger.recurring) == trigger.recurring
        )

    return page(
        call, "usage_triggers", call.account.shelf(Trigger), lambda each: _show(call, each), wanted
    )


def fetch(call: Call) -> Answer:
    """Answer with one trigger."""
    return Answer(200, _show(call, _find(call)))


def update(call: Call) -> Answer:
    """Change a trigger's name or callback; the rest stays as it was made (OpenAPI)."""
    trigger = _find(call)
    if call.has("FriendlyName"):
        trigger = replace(trigger, friendly_name=_name(call))
    if call.has("CallbackUrl"):
        trigger = replace(trigger, url=_url(call))
    method = _one_of(call, "CallbackMethod", _METHODS, trigger.method)
    trigger = replace(trigger, method=method, updated=call.world.now())
    call.account.shelf(Trigger).put(trigger.sid, trigger)
    return Answer(200, _show(call, trigger))


def delete(call: Call) -> Answer:
    """Delete a trigger; nothing else ever does (docs/usage/api/usage-trigger)."""
    call.account.shelf(Trigger).remove(_find(call).sid)
    return Answer(204)


def fire_due(world: World) -> None:
    """Fire the triggers whose usage has passed their value, each once in its period."""
    ledger = world.ledger
    if ledger.changes == ledger.looked_at:
        return
    ledger.looked_at = ledger.changes
    for account in ledger.watched.values():
        for _, trigger in list(account.shelf(Trigger).newest_first()):
            _look_at(world, account, trigger)


def current(world: World, account: Account, trigger: Trigger) -> Decimal:
    """Return what *trigger* of *account* compares: its field's total in the period under way."""
    with_children = bool(world.assumptions[assumed.TRIGGERS_INCLUDE_SUBACCOUNTS])
    accounts = everyone_of(world, account) if with_children else [account]
    start, today = _period(world, trigger), world.now().date()
    totals = world.ledger.between(accounts, trigger.category, start, today)
    return {"count": Decimal(totals.count), "usage": totals.usage, "price": totals.price}[
        trigger.by
    ]


def _look_at(world: World, account: Account, trigger: Trigger) -> None:
    period = _period(world, trigger)
    if trigger.fired_in == period:
        return
    value = current(world, account, trigger)
    at_it = world.assumptions[assumed.TRIGGER_FIRES_WHEN] == "reached"
    if value < trigger.value or (value == trigger.value and not at_it):
        return
    now = world.now()
    account.shelf(Trigger).put(trigger.sid, replace(trigger, fired=now, fired_in=period))
    of_firing = world.assumptions[assumed.IDEMPOTENCY_DATE] == "fired" or period == date.min
    day = now.date() if of_firing else period
    callback = Callback(
        account_sid=account.sid,
        about=trigger.sid,
        method=trigger.method,
        url=trigger.url,
        parameters={
            "AccountSid": account.sid,
            "UsageTriggerSid": trigger.sid,
            "DateFired": str(rfc2822(now)),
            "Recurring": trigger.recurring,
            "UsageCategory": trigger.category,
            "TriggerBy": trigger.by,
            "TriggerValue": plain(trigger.value),
            "CurrentValue": plain(value),
            "UsageRecordUri": _record_uri(trigger),
            "IdempotencyToken": f"{account.sid}-FIRES-{trigger.sid}-{day:%Y-%m-%d}",
        },
        at=now,
    )
    for _ in range(int(world.assumptions[assumed.CALLBACKS_ARRIVE])):
        world.callbacks.send(account, callback, retries=RETRIES)


def _period(world: World, trigger: Trigger) -> date:
    """Return the first day of the period under way; periods are in GMT (OpenAPI: recurring)."""
    if trigger.recurring in {"", "alltime"}:
        return date.min
    return first_day_of(trigger.recurring, world.now().date())


def _find(call: Call) -> Trigger:
    trigger = call.account.shelf(Trigger).get(call.sid)
    if trigger is None:
        raise not_found(call.request.path)
    return trigger


def _name(call: Call, default: str = "") -> str:
    name = call.get("FriendlyName") or default
    if len(name) > LONGEST_NAME:
        raise bad_parameter("FriendlyName", f"longer than {LONGEST_NAME} characters")
    return name


def _url(call: Call) -> str:
    url = call.get("CallbackUrl")
    if not _URL.fullmatch(url):
        raise bad_parameter("CallbackUrl", "not a URL")
    return url


def _one_of(call: Call, name: str, choices: tuple[str, ...], default: str) -> str:
    choice = call.get(name) or default
    if choice not in (*choices, default):
        raise bad_parameter(name, f"one of {', '.join(choices)}")
    return choice


def _record_uri(trigger: Trigger) -> str:
    base = f"/2010-04-01/Accounts/{trigger.account_sid}/Usage/Records"
    return f"{base}.json?Category={trigger.category}"  # OpenAPI: so also for a yearly trigger


def _show(call: Call, trigger: Trigger) -> dict[str, Any]:
    decimals = call.assumed(assumed.TRIGGER_VALUE_FORMAT) == "decimals"
    return {
        "sid": trigger.sid,
        "account_sid": trigger.account_sid,
        "api_version": "2010-04-01",
        "friendly_name": trigger.friendly_name,
        "usage_category": trigger.category,
        "usage_record_uri": _record_uri(trigger),
        "trigger_by": trigger.by,
        "trigger_value": f"{trigger.value:.6f}" if decimals else plain(trigger.value),
        "current_value": plain(current(call.world, call.account, trigger)),
        "recurring": trigger.recurring or None,  # null in that example
        "callback_url": trigger.url,
        "callback_method": trigger.method,
        "date_created": rfc2822(trigger.created),
        "date_updated": rfc2822(trigger.updated),
        "date_fired": rfc2822(trigger.fired),
        "uri": f"/2010-04-01/Accounts/{trigger.account_sid}/Usage/Triggers/{trigger.sid}.json",
    }


_ALL, _ONE = f"{ACCOUNT}/Usage/Triggers.json", f"{ACCOUNT}/Usage/Triggers/{{Sid}}.json"

ROUTES = (
    Route("api", "GET", _ALL, list_all),
    Route("api", "POST", _ALL, create, event="usage-trigger.created"),
    Route("api", "GET", _ONE, fetch),
    Route("api", "POST", _ONE, update, event="usage-trigger.updated"),
    Route("api", "DELETE", _ONE, delete, event="usage-trigger.deleted"),
)
