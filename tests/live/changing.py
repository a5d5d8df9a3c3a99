"""Probes inside a subaccount that is made for this run and closed at its end.

Nothing here costs anything: no number is bought, nothing is sent, nobody is called.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from live.probe import choose, probe, succeeded
from live.reading import GEO, countries
from live.service import NotObservedError, Pair, Reply, Service
from safetwilio.testing.assumptions import credentials, events, geo, propagation, services, usage

if TYPE_CHECKING:
    from collections.abc import Callable

    from safetwilio.testing.assumptions import Choice

NEEDS = "subaccount"
READ, LIST = "/twilio/messaging/messages/read", "/twilio/messaging/messages/list"
UNAUTHENTICATED = 20003
HOOK = "https://example.com/safetwilio"
FLAGS = ("low_risk", "high_risk_special", "high_risk_tollfraud")
SECONDARY = "/v1/AuthTokens/Secondary"


def at(service: Service, name: str = "") -> str:
    """Return the path of *name* in the subaccount, or of the subaccount itself."""
    base = f"/2010-04-01/Accounts/{service.throw_away().sid}"
    return f"{base}/{name}.json" if name else f"{base}.json"


def read(service: Service, who: Pair, name: str = "Messages") -> Reply:
    """Read the list *name* of the subaccount as *who*."""
    return service.ask(who, "GET", at(service, name))


def standard_key(service: Service) -> Pair:
    """Return a new Standard key of the subaccount, which may take time to count."""
    answer = service.ask(service.throw_away(), "POST", at(service, "Keys"), FriendlyName="probe")
    made = succeeded(answer, "making a key").document
    return Pair("subaccount", made["sid"], made["secret"])


def restricted_key(service: Service, permission: str) -> Pair:
    """Return a new Restricted key that counts."""
    made = succeeded(iam(service, "", policy=permission), "making a Restricted key").document
    key = Pair("subaccount", made["sid"], made["secret"])
    service.seconds_until(lambda: read(service, key).code != UNAUTHENTICATED, "a new key")
    return key


def iam(service: Service, sid: str, *, policy: str) -> Reply:
    """Give the key *sid*, or a new one, a policy of one permission."""
    form = {"Policy": json.dumps({"allow": [policy]})}
    if not sid:
        form |= {"AccountSid": service.throw_away().sid, "KeyType": "restricted"}
    path = f"/v1/Keys/{sid}" if sid else "/v1/Keys"
    return service.ask(service.throw_away(), "POST", path, product="iam", **form)


def secondary(service: Service, method: str) -> Reply:
    """Create or delete the secondary Auth Token of the subaccount."""
    return service.ask(service.throw_away(), method, SECONDARY, product="accounts")


def suspended(service: Service, observe: Callable[[int], Choice | str]) -> Choice | str:
    """Return what *observe* sees while the subaccount is suspended, which took so many seconds."""
    owner, own = service.pairs["owner"], service.throw_away()
    answer = service.ask(owner, "POST", at(service), Status="suspended")
    succeeded(answer, "suspending the subaccount")
    try:
        return observe(service.seconds_until(lambda: not read(service, own).ok, "the suspension"))
    finally:
        service.ask(owner, "POST", at(service), Status="active")
        service.seconds_until(lambda: read(service, own).ok, "the reactivation")


def event_of(
    service: Service, sid: str | None, *, of: Pair | None = None, seconds: int = 60
) -> dict[str, Any] | None:
    """Return the newest event about *sid*, or about geo permissions; it may take some time."""
    for _ in range(seconds):
        query = {"PageSize": "100"}
        who = of or service.throw_away()
        answer = service.ask(who, "GET", "/v1/Events", product="monitor", query=query)
        for event in succeeded(answer, "reading events").document["events"]:
            geographic = str(event["event_type"]).startswith("voice-geographic-permissions")
            if event["resource_sid"] == sid if sid else geographic:
                return dict(event)
        service.wait()
    return None


def expected(event: dict[str, Any] | None) -> dict[str, Any]:
    """Return *event*, or say that there is none."""
    if event is None:
        raise NotObservedError("the change did not show among the events")
    return event


def bulk(service: Service, iso: str, value: object) -> Reply:
    """Set every flag of *iso* for calls from the subaccount."""
    flags = {f"{name}_numbers_enabled": value for name in FLAGS}
    update = json.dumps([{"iso_code": iso, **flags}])
    path = "/v1/DialingPermissions/BulkCountryUpdates"
    return service.ask(service.throw_away(), "POST", path, product="voice", UpdateRequest=update)


def delay(seconds: int, choices: tuple[Choice, ...]) -> Choice | str:
    """Return the choice for a delay: of two, the one above 0 stands for any that is above."""
    return choices[0] if seconds == 0 else choices[1]


@probe(credentials.RESTRICTED_DENIED_STATUS, "a Restricted key reads calls", NEEDS)
def restricted_denied_status(service: Service) -> Choice | str:
    answer = read(service, restricted_key(service, READ), "Calls")
    return answer.status if answer.code == 70051 else str(answer)


@probe(credentials.RESTRICTED_ON_ACCOUNTS, "a Restricted key reads the subaccount", NEEDS)
def restricted_on_accounts(service: Service) -> Choice | str:
    answer = service.ask(restricted_key(service, READ), "GET", at(service))
    return answer.code or str(answer)


@probe(credentials.SUSPENDED_STATUS, "the subaccount is suspended and reads its messages", NEEDS)
def suspended_status(service: Service) -> Choice | str:
    own = service.throw_away()
    return suspended(service, lambda _: choose(read(service, own), s401=401, s403=403))


@probe(
    credentials.SUSPENDED_READABLE_BY_PARENT,
    "the subaccount is suspended and its parent reads its messages",
    NEEDS,
)
def suspended_readable_by_parent(service: Service) -> Choice | str:
    owner = service.pairs["owner"]
    return suspended(service, lambda _: read(service, owner).ok)


@probe(
    credentials.MAIN_KEY_REACHES_SUBACCOUNTS,
    "a Main key reads the subaccount's messages",
    "main",
    NEEDS,
)
def main_key_reaches_subaccounts(service: Service) -> Choice | str:
    return read(service, service.pairs["main"]).ok


@probe(credentials.IAM_REACHES_SUBACCOUNTS, "the parent lists keys at iam.twilio.com", NEEDS)
def iam_reaches_subaccounts(service: Service) -> Choice | str:
    query = {"AccountSid": service.throw_away().sid}
    owner = service.pairs["owner"]
    return service.ask(owner, "GET", "/v1/Keys", product="iam", query=query).ok


@probe(credentials.POLICY_ON_STANDARD_KEY, "a Standard key gets a policy", NEEDS)
def policy_on_standard_key(service: Service) -> Choice | str:
    answer = iam(service, standard_key(service).sid, policy=READ)
    return choose(answer, ok="restricts", s400="refused")


@probe(credentials.UNKNOWN_PERMISSION, "a Restricted key is made with a made-up permission", NEEDS)
def unknown_permission(service: Service) -> Choice | str:
    answer = iam(service, "", policy="/twilio/safetwilio/nothing/read")
    return choose(answer, ok="accepted", s400="refused")


@probe(credentials.SECOND_SECONDARY, "a secondary Auth Token is made twice", NEEDS)
def second_secondary(service: Service) -> Choice | str:
    succeeded(secondary(service, "POST"), "making a secondary token")
    try:
        return choose(secondary(service, "POST"), ok="replaced", s400="refused")
    finally:
        secondary(service, "DELETE")


@probe(
    credentials.NO_SECONDARY_STATUS, "a secondary Auth Token that is not there is deleted", NEEDS
)
def no_secondary_status(service: Service) -> Choice | str:
    return secondary(service, "DELETE").status


@probe(propagation.NEW_KEY_SECONDS, "a key is made and used at once", NEEDS)
def new_key_seconds(service: Service) -> Choice | str:
    key = standard_key(service)
    seconds = service.seconds_until(lambda: read(service, key).ok, "a new key")
    return delay(seconds, propagation.NEW_KEY_SECONDS.choices)


@probe(propagation.CHANGED_POLICY_SECONDS, "a key's policy is changed, and the key used", NEEDS)
def changed_policy_seconds(service: Service) -> Choice | str:
    key = restricted_key(service, LIST)
    service.seconds_until(lambda: read(service, key).ok, "the first policy")
    succeeded(iam(service, key.sid, policy=READ), "changing the policy")
    seconds = service.seconds_until(lambda: not read(service, key).ok, "a policy")
    return delay(seconds, propagation.CHANGED_POLICY_SECONDS.choices)


@probe(propagation.DELETED_KEY_SECONDS, "a key is deleted and used", NEEDS)
def deleted_key_seconds(service: Service) -> Choice | str:
    key = standard_key(service)
    service.seconds_until(lambda: read(service, key).ok, "a new key")
    own = service.throw_away()
    succeeded(service.ask(own, "DELETE", at(service, f"Keys/{key.sid}")), "deleting a key")
    seconds = service.seconds_until(lambda: not read(service, key).ok, "the deletion")
    return delay(seconds, propagation.DELETED_KEY_SECONDS.choices)


@probe(propagation.CHANGED_TOKEN_SECONDS, "a secondary Auth Token is made and used", NEEDS)
def changed_token_seconds(service: Service) -> Choice | str:
    made = succeeded(secondary(service, "POST"), "making a secondary token").document
    second = Pair("subaccount", service.throw_away().sid, made["secondary_auth_token"])
    try:
        seconds = service.seconds_until(lambda: read(service, second).ok, "a secondary token")
    finally:
        secondary(service, "DELETE")
    return delay(seconds, propagation.CHANGED_TOKEN_SECONDS.choices)


@probe(propagation.CHANGED_STATUS_SECONDS, "the subaccount is suspended and reactivated", NEEDS)
def changed_status_seconds(service: Service) -> Choice | str:
    choices = propagation.CHANGED_STATUS_SECONDS.choices
    return suspended(service, lambda seconds: delay(seconds, choices))


@probe(geo.MESSAGING_GEO_SUBACCOUNTS, "GET messaging permissions of both accounts", NEEDS)
def messaging_geo_subaccounts(service: Service) -> Choice | str:
    own = enabled(countries(service))
    if len(own) < 2:
        raise NotObservedError("the account may send to one country only, as any new one")
    return "inherit" if own == enabled(own_countries(service)) else "own"


def enabled(answer: Reply) -> set[str]:
    """Return the countries that may be sent to."""
    shown = succeeded(answer, "reading geo permissions").document["permissions"]
    return {each["country_code"] for each in shown if each["enabled"]}


def own_countries(service: Service) -> Reply:
    """Read the messaging permissions of the subaccount."""
    return service.ask(service.throw_away(), "GET", GEO, product="accounts")


@probe(geo.MESSAGING_GEO_INHERITED_UPDATE, "PATCH messaging permissions of the subaccount", NEEDS)
def messaging_geo_inherited_update(service: Service) -> Choice | str:
    if messaging_geo_subaccounts(service) != "inherit":
        raise NotObservedError("the subaccount inherits nothing")
    same = "US" in enabled(own_countries(service))
    item = json.dumps({"country_code": "US", "type": "country", "enabled": same})
    own = service.throw_away()
    answer = service.ask(own, "PATCH", GEO, product="accounts", Permissions=item)
    return choose(answer, ok="ends", s400="refused")


@probe(geo.VOICE_GEO_BULK_ANSWER, "POST calling permissions of the subaccount", NEEDS)
def voice_geo_bulk_answer(service: Service) -> Choice | str:
    answer = succeeded(bulk(service, "GB", "false"), "changing geo permissions")
    text = str(answer.document["update_request"])
    return "request" if text.startswith("[") else text


@probe(geo.VOICE_GEO_BULK_ITEMS, "the same with JSON booleans", NEEDS)
def voice_geo_bulk_items(service: Service) -> Choice | str:
    return choose(bulk(service, "GB", value=False), ok="any", s400="documented")


@probe(geo.VOICE_GEO_BULK_UNKNOWN, "the same for the country XX", NEEDS)
def voice_geo_bulk_unknown(service: Service) -> Choice | str:
    return choose(bulk(service, "XX", "false"), ok="skipped", s400="refused")


@probe(geo.VOICE_GEO_EVENT, "the same, and GET Events", NEEDS)
def voice_geo_event(service: Service) -> Choice | str:
    for value in ("true", "false"):  # one of them changes something
        succeeded(bulk(service, "FR", value), "changing geo permissions")
    data = expected(event_of(service, None))["event_data"]
    properties = data.get("resource_properties", data)
    updated = [values["updated"] for values in properties.values()]
    return "country" if all(isinstance(each, dict) for each in updated) else "flag"


@probe(usage.SUBACCOUNT_BALANCE, "the subaccount reads its balance", NEEDS)
def subaccount_balance(service: Service) -> Choice | str:
    return read(service, service.throw_away(), "Balance").status


@probe(usage.TRIGGER_VALUE_FORMAT, "the subaccount makes a usage trigger, and deletes it", NEEDS)
def trigger_value_format(service: Service) -> Choice | str:
    form = {"CallbackUrl": HOOK, "TriggerValue": "1000", "UsageCategory": "sms"}
    own = service.throw_away()
    answer = service.ask(own, "POST", at(service, "Usage/Triggers"), **form)
    made = succeeded(answer, "making a usage trigger").document
    service.ask(own, "DELETE", at(service, f"Usage/Triggers/{made['sid']}"))
    return {"1000": "plain", "1000.000000": "decimals"}.get(
        made["trigger_value"], str(made["trigger_value"])
    )


@probe(events.KEY_EVENT_RESOURCE, "a key is made; GET Events", NEEDS)
def key_event_resource(service: Service) -> Choice | str:
    event = expected(event_of(service, standard_key(service).sid))
    return str(event["event_type"]).rpartition(".")[0]


@probe(events.EVENT_DATA_SHAPE, "a key is made; GET Events", NEEDS)
def event_data_shape(service: Service) -> Choice | str:
    data = expected(event_of(service, standard_key(service).sid))["event_data"]
    return "resource_properties" if "resource_properties" in data else "bare"


@probe(events.EVENT_ACTOR_OF_KEY, "a key makes an application; GET Events", NEEDS)
def event_actor_of_key(service: Service) -> Choice | str:
    key = standard_key(service)
    service.seconds_until(lambda: read(service, key).ok, "a new key")
    event = expected(event_of(service, application(service, key)))
    actor = str(event["actor_sid"])[:2]
    return {"AC": "account", "SK": "key"}.get(actor, actor)


def application(service: Service, who: Pair) -> str:
    """Make a TwiML application in the subaccount as *who*, and return its SID."""
    answer = service.ask(who, "POST", at(service, "Applications"), FriendlyName="probe")
    return str(succeeded(answer, "making an application").document["sid"])


@probe(events.EVENT_IN_LOG_OF, "the parent makes an application there; GET Events of both", NEEDS)
def event_in_log_of(service: Service) -> Choice | str:
    owner = service.pairs["owner"]
    sid = application(service, owner)
    if event_of(service, sid, of=owner, seconds=5):
        return "caller"
    return "resource" if event_of(service, sid) else "neither"


@probe(events.END_DATE_WITHOUT_TIME, "GET Events from today to today", NEEDS)
def end_date_without_time(service: Service) -> Choice | str:
    own = service.throw_away()
    event = expected(event_of(service, application(service, own)))
    day = str(event["event_date"])[:10]
    query = {"StartDate": day, "EndDate": day}
    answer = service.ask(own, "GET", "/v1/Events", product="monitor", query=query)
    found = succeeded(answer, "reading events").document["events"]
    return "end" if any(each["sid"] == event["sid"] for each in found) else "start"


@probe(services.NEW_SERVICE_FLAGS, "a messaging service is made and deleted", NEEDS)
def new_service_flags(service: Service) -> Choice | str:
    own, path = service.throw_away(), "/v1/Services"
    answer = service.ask(own, "POST", path, product="messaging", FriendlyName="probe")
    made = succeeded(answer, "making a messaging service").document
    service.ask(own, "DELETE", f"{path}/{made['sid']}", product="messaging")
    return bool(made["sticky_sender"])
