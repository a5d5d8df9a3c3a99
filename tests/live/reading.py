"""Probes that only read, with a Standard key, a Main key or the account's Auth Token."""

from __future__ import annotations

from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from live.probe import choose, code_of, probe, succeeded
from live.service import NotObservedError, Pair, Reply, Service
from safetwilio.testing.assumptions import credentials, events, geo, messages, numbers, usage
from safetwilio.testing.assumptions import requests as of_requests

if TYPE_CHECKING:
    from safetwilio.testing.assumptions import Choice

GEO = "/v1/Messaging/GeoPermissions"
URLS = ("voice_url", "voice_fallback_url", "sms_url", "sms_fallback_url", "status_callback")


def read(service: Service, name: str, **query: str) -> Reply:
    """Read *name* of the account with the Standard key."""
    path = f"/2010-04-01/Accounts/{service.account_sid}/{name}.json"
    return service.ask(service.pairs["reader"], "GET", path, query=query)


def geo_reader(service: Service) -> Pair:
    """Return the strongest credentials there are; how strong they must be is not known."""
    pairs = service.pairs
    return pairs.get("owner") or pairs.get("main") or pairs["reader"]


def countries(service: Service, codes: str = "") -> Reply:
    """Read the messaging permissions of the countries *codes*."""
    query = {"CountryCode": codes} if codes else {}
    return service.ask(geo_reader(service), "GET", GEO, product="accounts", query=query)


def is_apart(service: Service, iso: str) -> bool:
    """Return whether messages to *iso* have a permission of their own."""
    answer = countries(service, iso)
    if answer.status == 404:
        return False
    shown = succeeded(answer, "reading geo permissions").document["permissions"]
    return any(each["country_code"] == iso for each in shown)


@probe(of_requests.BAD_PARAMETER_CODE, "GET Usage/Records.json?StartDate=soon")
def bad_parameter_code(service: Service) -> Choice | str:
    return code_of(read(service, "Usage/Records", StartDate="soon"))


@probe(of_requests.KEY_AS_ACCOUNT_CODE, "GET Messages.json below the SID of the key")
def key_as_account_code(service: Service) -> Choice | str:
    key = service.pairs["reader"]
    return code_of(service.ask(key, "GET", f"/2010-04-01/Accounts/{key.sid}/Messages.json"))


@probe(of_requests.UNKNOWN_PATH_STATUS, "GET of a path that is none, without credentials")
def unknown_path_status(service: Service) -> Choice | str:
    return service.ask(None, "GET", "/2010-04-01/NoSuchThing.json").status


@probe(of_requests.PAGE_WITHOUT_TOKEN, "GET Messages.json?Page=2&PageSize=1")
def page_without_token(service: Service) -> Choice | str:
    answer = read(service, "Messages", Page="2", PageSize="1")
    if answer.ok and answer.document.get("page") != 0:
        return f"page {answer.document.get('page')}"
    return choose(answer, ok="ignored", s400="refused")


@probe(of_requests.OVERSIZED_PAGE, "GET Messages.json?PageSize=1001")
def oversized_page(service: Service) -> Choice | str:
    answer = read(service, "Messages", PageSize="1001")
    if answer.ok and answer.document.get("page_size") != 1000:
        return f"page_size {answer.document.get('page_size')}"
    return choose(answer, ok="clamped", c20007="refused")


@probe(messages.DATE_SENT_PRECISION, "GET Messages.json; again, from a second after one of them on")
def date_sent_precision(service: Service) -> Choice | str:
    listed = succeeded(read(service, "Messages", PageSize="100"), "listing messages").document
    for message in listed["messages"]:
        sent = parsedate_to_datetime(message["date_sent"]) if message["date_sent"] else None
        later = sent + timedelta(seconds=1) if sent else None
        if sent and later and sent.date() == later.date() and message["direction"] != "inbound":
            break
    else:
        raise NotObservedError("the account has sent no message")
    query = {"DateSent>": f"{later:%Y-%m-%dT%H:%M:%SZ}", "PageSize": "1000", "To": message["to"]}
    found = succeeded(read(service, "Messages", **query), "filtering messages").document["messages"]
    return "day" if any(each["sid"] == message["sid"] for each in found) else "second"


@probe(usage.USAGE_PRICE_TYPE, "GET Usage/Records.json?Category=totalprice")
def usage_price_type(service: Service) -> Choice | str:
    price = total(service)["price"]
    return "string" if isinstance(price, str) else "number"


def total(service: Service, **query: str) -> dict[str, Any]:
    """Return the record of everything that was used."""
    answer = read(service, "Usage/Records", Category="totalprice", **query)
    listed = succeeded(answer, "reading usage").document["usage_records"]
    if not listed:
        raise NotObservedError("the account has no usage record")
    return dict(listed[0])


@probe(usage.USAGE_INCLUDES_SUBACCOUNTS, "GET usage of the account and of its subaccounts", "owner")
def usage_includes_subaccounts(service: Service) -> Choice | str:
    owner, path = service.pairs["owner"], "/2010-04-01/Accounts"
    listed = succeeded(service.ask(owner, "GET", f"{path}.json"), "listing accounts").document
    spent = False
    for each in listed["accounts"]:
        if each["sid"] != service.account_sid and each["status"] == "active":
            where = f"{path}/{each['sid']}/Usage/Records.json"
            answer = service.ask(owner, "GET", where, query={"Category": "totalprice"})
            records = answer.document.get("usage_records", ())
            spent = spent or any(float(record["price"]) for record in records)
    if not spent:
        raise NotObservedError("no subaccount has used anything")
    return total(service)["price"] != total(service, IncludeSubaccounts="false")["price"]


@probe(usage.ZERO_USAGE_LISTED, "GET Usage/Records.json")
def zero_usage_listed(service: Service) -> Choice | str:
    answer = succeeded(read(service, "Usage/Records", PageSize="1000"), "reading usage")
    return any(float(each["usage"] or 0) == 0 for each in answer.document["usage_records"])


@probe(usage.SMS_USAGE_UNIT, "GET Usage/Records.json?Category=sms")
def sms_usage_unit(service: Service) -> Choice | str:
    answer = succeeded(read(service, "Usage/Records", Category="sms"), "reading usage")
    return str(answer.document["usage_records"][0]["usage_unit"])


@probe(usage.UNKNOWN_USAGE_CATEGORY, "GET Usage/Records.json?Category=no-such-category")
def unknown_usage_category(service: Service) -> Choice | str:
    answer = read(service, "Usage/Records", Category="no-such-category")
    return choose(answer, ok="accepted", s400="refused")


@probe(geo.GEO_NEEDS, "GET messaging permissions with each kind of key", "reader", "main")
def geo_needs(service: Service) -> Choice | str:
    for name, pair in (("standard", service.pairs["reader"]), ("main", service.pairs["main"])):
        query = {"CountryCode": "US"}
        if service.ask(pair, "GET", GEO, product="accounts", query=query).ok:
            return name
    return "token"


@probe(geo.MESSAGING_GEO_CANADA, "GET messaging permissions of Canada")
def messaging_geo_canada(service: Service) -> Choice | str:
    return "apart" if is_apart(service, "CA") else "with_us"


@probe(geo.MESSAGING_GEO_BELOW_44, "GET messaging permissions of Guernsey")
def messaging_geo_below_44(service: Service) -> Choice | str:
    return "apart" if is_apart(service, "GG") else "with_gb"


@probe(geo.GEO_AREA_CODES, "GET calling permissions of Puerto Rico")
def geo_area_codes(service: Service) -> Choice | str:
    path = "/v1/DialingPermissions/Countries/PR"
    answer = service.ask(geo_reader(service), "GET", path, product="voice")
    codes = succeeded(answer, "reading geo permissions").document["country_codes"]
    return "hidden" if codes == ["+1"] else "shown"


@probe(geo.GEO_UNSUPPORTED, "GET messaging permissions of all countries")
def geo_unsupported(service: Service) -> Choice | str:
    shown = succeeded(countries(service), "reading geo permissions").document["permissions"]
    return "listed" if any(each["country_code"] == "IR" for each in shown) else "absent"


@probe(geo.MESSAGING_GEO_UNKNOWN_COUNTRY, "GET messaging permissions of XX")
def messaging_geo_unknown_country(service: Service) -> Choice | str:
    return choose(countries(service, "XX"), ok="omitted", s404="not_found")


@probe(events.NUMBER_EVENT_RESOURCE, "GET Events")
def number_event_resource(service: Service) -> Choice | str:
    query = {"PageSize": "1000"}
    answer = service.ask(
        service.pairs["reader"], "GET", "/v1/Events", product="monitor", query=query
    )
    for event in succeeded(answer, "reading events").document["events"]:
        resource = str(event["event_type"]).partition(".")[0]
        if resource.startswith("phone"):
            return resource
    raise NotObservedError("no phone number was bought, changed or given back lately")


@probe(numbers.UNSET_NUMBER_URL, "GET IncomingPhoneNumbers.json")
def unset_number_url(service: Service) -> Choice | str:
    answer = succeeded(read(service, "IncomingPhoneNumbers"), "listing phone numbers")
    values = [each[name] for each in answer.document["incoming_phone_numbers"] for name in URLS]
    unset = {"null" if value is None else "empty" for value in values if not value}
    if not unset:
        raise NotObservedError("the account has no phone number with an unset URL")
    return " and ".join(sorted(unset))


@probe(credentials.MAIN_KEY_REVEALS_OWN_TOKEN, "GET the account with a Main key", "main")
def main_key_reveals_own_token(service: Service) -> Choice | str:
    path = f"/2010-04-01/Accounts/{service.account_sid}.json"
    answer = succeeded(service.ask(service.pairs["main"], "GET", path), "reading the account")
    return bool(answer.document.get("auth_token"))
