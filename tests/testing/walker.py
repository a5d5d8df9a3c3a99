"""A walk at random through everything that the emulator serves, with Twilio's own library.

Each step takes one route, calls the library's method for it with arguments at random, mostly
sensible ones, and looks at what comes back. Nothing but a refusal with a code, or instances whose
every property can be read, is let through.
"""

from __future__ import annotations

import inspect
import json
import random
import sys
from collections import Counter, defaultdict, deque
from typing import TYPE_CHECKING, Any

import values
from asking import ToEmulator, pair_of, token_of
from jsonschema import ValidationError
from openapi import FOLDER, held_against_documents
from twilio.base.exceptions import TwilioException, TwilioRestException
from twilio.rest import Client

from safetwilio.testing import Emulator, EmulatorServer
from safetwilio.testing.resources import caller_ids
from safetwilio.testing.routes import ROUTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from safetwilio.testing.exchange import EmulatedRequest, EmulatedResponse
    from safetwilio.testing.route import Route

MOST_LISTED = 12
# which part of the library serves a path; what is not a list or one of its items is in OTHERS
RESOURCES: dict[str, Callable[[Any, Any], Any]] = {
    "/Keys": lambda _, account: account.keys,
    "/Messages": lambda _, account: account.messages,
    "/Usage/Records": lambda _, account: account.usage.records,
    "/Usage/Records/AllTime": lambda _, account: account.usage.records.all_time,
    "/Usage/Records/Daily": lambda _, account: account.usage.records.daily,
    "/Usage/Records/LastMonth": lambda _, account: account.usage.records.last_month,
    "/Usage/Records/Monthly": lambda _, account: account.usage.records.monthly,
    "/Usage/Records/ThisMonth": lambda _, account: account.usage.records.this_month,
    "/Usage/Records/Today": lambda _, account: account.usage.records.today,
    "/Usage/Records/Yearly": lambda _, account: account.usage.records.yearly,
    "/Usage/Records/Yesterday": lambda _, account: account.usage.records.yesterday,
    "/Usage/Triggers": lambda _, account: account.usage.triggers,
    "/IncomingPhoneNumbers": lambda _, account: account.incoming_phone_numbers,
    "/Applications": lambda _, account: account.applications,
    "/OutgoingCallerIds": lambda _, account: account.outgoing_caller_ids,
    "/Calls": lambda _, account: account.calls,
    "/2010-04-01/Accounts": lambda client, _: client.api.v2010.accounts,
    "/v1/Events": lambda client, _: client.monitor.v1.events,
    "/v1/Alerts": lambda client, _: client.monitor.v1.alerts,
    "/v1/Services": lambda client, _: client.messaging.v1.services,
    "/v1/DialingPermissions/Countries": lambda client, _: (
        client.voice.v1.dialing_permissions.countries
    ),
}
_SERVICE_NUMBERS = "/v1/Services/{ServiceSid}/PhoneNumbers"
OTHERS: dict[tuple[str, str], Callable[[Any, Any, Any], Any]] = {
    ("POST", "/Keys"): lambda _, account, __: account.new_keys.create,
    ("GET", "/Balance"): lambda _, account, __: account.balance.fetch,
    ("GET", "/v1/Keys"): lambda client, _, __: client.iam.v1.get_api_keys,
    ("POST", "/v1/Keys"): lambda client, _, __: client.iam.v1.new_api_key.create,
    **{
        (method, "/v1/Keys/{Sid}"): lambda client, _, walk, name=name: getattr(
            client.iam.v1.api_key(walk.sid("SK")), name
        )
        for method, name in (("GET", "fetch"), ("POST", "update"), ("DELETE", "delete"))
    },
    ("POST", "/v1/AuthTokens/Secondary"): lambda client, _, __: (
        client.accounts.v1.secondary_auth_token().create
    ),
    ("DELETE", "/v1/AuthTokens/Secondary"): lambda client, _, __: (
        client.accounts.v1.secondary_auth_token().delete
    ),
    ("POST", "/v1/AuthTokens/Promote"): lambda client, _, __: (
        client.accounts.v1.auth_token_promotion().update
    ),
    ("GET", "/v1/Messaging/GeoPermissions"): lambda client, _, __: (
        client.accounts.v1.messaging_geopermissions.fetch
    ),
    ("PATCH", "/v1/Messaging/GeoPermissions"): lambda client, _, __: (
        client.accounts.v1.messaging_geopermissions.update
    ),
    ("POST", "/v1/DialingPermissions/BulkCountryUpdates"): lambda client, _, __: (
        client.voice.v1.dialing_permissions.bulk_country_updates.create
    ),
    ("GET", "/v1/Settings"): lambda client, _, __: (
        client.voice.v1.dialing_permissions.settings().fetch
    ),
    ("POST", "/v1/Settings"): lambda client, _, __: (
        client.voice.v1.dialing_permissions.settings().update
    ),
    **{
        ("GET", f"/AvailablePhoneNumbers/{{CountryCode}}/{kind}"): (
            lambda _, account, walk, name=name: getattr(
                account.available_phone_numbers(walk.any.country()), name
            )
        )
        for kind, name in (("Local", "local"), ("Mobile", "mobile"), ("TollFree", "toll_free"))
    },
    ("GET", _SERVICE_NUMBERS): lambda client, _, walk: walk.service(client).phone_numbers,
    ("POST", _SERVICE_NUMBERS): lambda client, _, walk: walk.service(client).phone_numbers.create,
    **{
        (method, f"{_SERVICE_NUMBERS}/{{Sid}}"): lambda client, _, walk, name=name: getattr(
            walk.attached(client), name
        )
        for method, name in (("GET", "fetch"), ("DELETE", "delete"))
    },
}
PREFIXES = {
    "/Keys": "SK",
    "/Messages": "SM",
    "/Usage/Triggers": "UT",
    "/IncomingPhoneNumbers": "PN",
    "/Applications": "AP",
    "/OutgoingCallerIds": "caller",
    "/Calls": "CA",
    "/2010-04-01/Accounts": "AC",
    "/v1/Events": "AE",
    "/v1/Alerts": "NO",
    "/v1/Services": "MG",
}
# without these a call is refused
OFTEN = {"limit", "from_", "body", "url", "phone_number", "friendly_name", "account_sid"}
_OF_ITEM = {"GET": "fetch", "POST": "update", "DELETE": "delete"}
# what a route needs besides what makes or lists the things above its own on its path
NEEDED = {
    **dict.fromkeys(
        ("/v1/AuthTokens/Promote", "/v1/AuthTokens/Secondary"), "/v1/AuthTokens/Secondary"
    ),
    f"{_SERVICE_NUMBERS}/{{Sid}}": "/2010-04-01/Accounts/{AccountSid}/IncomingPhoneNumbers.json",
}
_ACCOUNT = "/2010-04-01/Accounts/{AccountSid}"


def _a_few() -> deque[str]:
    return deque(maxlen=40)


class Watched(Emulator):
    """An emulator that holds every answer against Twilio's OpenAPI documents, where they are."""

    def __init__(self) -> None:
        """Begin with a history, so that every list has items."""
        super().__init__()
        self.seed(messages=60, days=3)
        self.succeeded: Counter[Route] = Counter()
        self.wrong: list[str] = []
        self.attached: deque[tuple[str, str]] = deque(maxlen=10)  # services and their numbers
        self.known: defaultdict[tuple[str, str], deque[str]] = defaultdict(_a_few)

    def handle(self, request: EmulatedRequest, *, under_way: int = 1) -> EmulatedResponse:
        """Answer, and keep what is wrong with the answer."""
        try:
            response = super().handle(request, under_way=under_way)
        except Exception as error:
            self.wrong.append(f"{request.method} {request.path} {request.query}: {error!r}")
            raise
        try:
            self._look_at(request, response)
        except (AssertionError, ValidationError) as error:
            self.wrong.append(f"{request.method} {request.path} {request.query}: {error!r:.2000}")
        return response

    def _look_at(self, request: EmulatedRequest, response: EmulatedResponse) -> None:
        route = held_against_documents(request.method, request.host, request.path, response)
        if route is None:
            return
        self.succeeded[route] += 1
        if request.method == "DELETE":
            self._forget(request.path.removesuffix(".json").rpartition("/")[2])
        kind = "caller" if "OutgoingCallerIds" in route.path else None
        for item in _items(response.json() if response.body else {}):
            self.note(item.get("account_sid", self.account.sid), item["sid"], kind)
        if route.path == _SERVICE_NUMBERS and request.method == "POST":
            self.attached.append((request.path.split("/")[3], response.json()["sid"]))

    def note(self, owner: str, sid: str, kind: str | None = None) -> None:
        """Keep *sid*, which *owner* has, for later steps."""
        known = self.known[owner, kind or sid[:2]]
        if sid not in known:
            known.append(sid)

    def _forget(self, sid: str) -> None:
        for known in self.known.values():
            if sid in known:
                known.remove(sid)


def _items(document: Any) -> Iterator[dict[str, Any]]:
    """Yield what has a SID in *document*: itself, or what it lists."""
    if isinstance(document.get("sid"), str):
        yield document
    for value in document.values():
        if isinstance(value, list):
            yield from (each for each in value if isinstance(each, dict) and "sid" in each)


class Walk:
    """Takes steps from *seed* on against *server*, whose emulator is ``Watched``."""

    def __init__(self, server: EmulatorServer, seed: int) -> None:
        """Furnish the emulator with what no request can make."""
        self.random = random.Random(seed)  # noqa: S311 - chance, not secrets
        self.any = values.Values(self.random, self.sid)
        self.emulator: Any = server.emulator
        self.http = ToEmulator(server.url)
        self.outcomes: Counter[str] = Counter()
        self.in_earnest = False
        self._furnish()

    def step(self) -> None:
        """Call one operation of the library, and look at what it gives."""
        route = self._next()
        call = f"{route.method} {route.path}"
        try:
            method, arguments = self._choose(route)
            call = f"{method.__qualname__}({arguments!r:.1500})"
            self._read(method(**arguments))
        except TwilioRestException as error:
            self._check_refusal(error, call)
        except TwilioException as error:
            self._check_page(error, call)
        except Exception as error:
            error.add_note(f"{call}; {self.emulator.wrong}")
            raise
        assert not self.emulator.wrong, (call, self.emulator.wrong)
        self._pass_time()

    def yet(self) -> list[Route]:
        """Return the routes that have not succeeded yet."""
        return [each for each in ROUTES if each not in self.emulator.succeeded]

    def _next(self) -> Route:
        """Return the route of the next step: in earnest one that is missing, or its makers."""
        yet = self.yet()
        if not self.in_earnest:
            return self.random.choice(yet if yet and self.random.random() < 0.3 else ROUTES)
        missing = self.random.choice(yet)
        makers = [
            each
            for each in ROUTES
            if each.path == NEEDED.get(missing.path)
            or missing.path.startswith(each.path.removesuffix(".json") + "/{")
        ]
        return self.random.choice((missing, *makers))

    def sid(self, prefix: str) -> str:
        """Return a SID with *prefix*, mostly one that exists."""
        known = self.emulator.known[self.any.account_sid, prefix]
        if known and self.in_earnest:  # the newest may still go on, older ones have ended
            return str(self.random.choice((known[-1], *known)))
        if known and self.random.random() < 0.93:
            return str(self.random.choice(known))
        return self.random.choice(values.WRONG_SIDS).replace("?", prefix[:2], 1)

    def service(self, client: Client) -> Any:
        """Return a messaging service of the library."""
        return client.messaging.v1.services(self.sid("MG"))

    def attached(self, client: Client) -> Any:
        """Return a number of a messaging service of the library, mostly one that exists."""
        if self.emulator.attached and self.random.random() < 0.9:
            service, number = self.random.choice(self.emulator.attached)
            return client.messaging.v1.services(service).phone_numbers(number)
        return self.service(client).phone_numbers(self.sid("PN"))

    def _choose(self, route: Route) -> tuple[Callable[..., Any], dict[str, Any]]:
        client = self._client()
        self.any.account_sid = client.account_sid
        own = self.in_earnest or self.random.random() < 0.9
        sid = client.account_sid if own else self.sid("AC")
        account = client.api.v2010.accounts(sid)
        path = route.path.removeprefix(_ACCOUNT).removesuffix(".json")
        if (route.method, path) in OTHERS:
            found = OTHERS[route.method, path](client, account, self)
        elif path.endswith("}"):
            base = path.rpartition("/")[0]
            sid = self.sid(PREFIXES[base]) if base in PREFIXES else self.any.country()
            found = getattr(RESOURCES[base](client, account)(sid), _OF_ITEM[route.method])
        else:
            found = RESOURCES[path](client, account)
            found = found if route.method == "GET" else found.create
        if callable(getattr(found, "stream", None)):
            found = getattr(found, self.random.choice(("list", "stream", "page")))
        return found, self._arguments(found)

    def _arguments(self, method: Callable[..., Any]) -> dict[str, Any]:
        module = sys.modules[method.__module__]
        arguments = {}
        share = self.random.choice((0.02, 0.05, 0.1, 0.4))
        for parameter in inspect.signature(method).parameters.values():
            required = parameter.default is parameter.empty
            if required or self.random.random() < share or parameter.name in OFTEN:
                kind = str(parameter.annotation)
                arguments[parameter.name] = self.any.value(parameter.name, kind, module)
        if "page_size" in inspect.signature(method).parameters:
            # without one, the library asks for as many as the limit, or 50
            arguments["page_size"] = self.random.choice((*range(1, 11), 0, 1001))
        return arguments

    def _read(self, result: Any) -> None:
        """Read every property of every instance in *result*."""
        if isinstance(result, bool):
            self.outcomes["done"] += 1
            return
        if hasattr(result, "next_page_url"):
            for _ in range(self.random.randrange(3)):
                result = result.next_page() or result
            if self.random.random() < 0.3:
                result = result.previous_page() or result
        several = isinstance(result, list) or hasattr(result, "__next__")
        for number, instance in enumerate(result if several else [result]):
            if number == MOST_LISTED:
                break
            self._look_at(instance)
        self.outcomes["several" if several else "one"] += 1

    def _look_at(self, instance: Any) -> None:
        names = [name for name in dir(instance) if not name.startswith("_")]
        assert names
        assert repr(instance)
        for name in names:
            getattr(instance, name)

    def _check_refusal(self, error: TwilioRestException, call: str) -> None:
        """Let a refusal pass that has Twilio's own code, not the status once more."""
        assert isinstance(error.code, int), call
        assert error.code >= 10_000, (call, error)
        assert error.status >= 400, call
        self.outcomes[f"{error.status}/{error.code}"] += 1

    def _check_page(self, error: TwilioException, call: str) -> None:
        """Let a refused list pass, which the library raises with the response and no code."""
        assert error.args[0] == "Unable to fetch page", (call, error)
        document = json.loads(error.args[1].text)
        assert error.args[1].status_code == document["status"] >= 400, (call, document)
        assert isinstance(document["code"], int), (call, document)
        self.outcomes[f"page: {document['status']}/{document['code']}"] += 1

    def _client(self) -> Client:
        account, seeded = self.emulator.account, self.emulator.account
        username, password = token_of(account)
        dice = 1.0 if self.in_earnest else self.random.random()
        if dice < 0.3:
            username, password = pair_of(self._key("main"))
        elif dice < 0.45:
            username, password = pair_of(self._key("standard"))
        elif dice < 0.5:
            username, password = pair_of(self._key("restricted"))
        elif dice < 0.6:
            account = self.random.choice(self.subaccounts)
            username, password = token_of(account)
        elif dice < 0.63:
            password = password[::-1]
        elif dice < 0.66:
            username, password = token_of(self.test)
            account = self.test
        elif dice < 0.7:
            account = self.random.choice(self.subaccounts)  # with its parent's token
        assert seeded.status == "active"
        return Client(username, password, account.sid, http_client=self.http)

    def _key(self, kind: Any) -> Any:
        """Return a key of that *kind* that is still there."""
        allow = self.random.sample(values.PERMISSIONS, 3) if kind == "restricted" else ()
        account = self.emulator.account
        known = account.keys.get(self.keys.get(kind, ""))
        if known is None or known.kind != kind:
            known = account.create_key(kind, allow=allow)
            self.keys[kind] = known.sid
        return known

    def _furnish(self) -> None:
        emulator = self.emulator
        self.keys: dict[str, str] = {}
        self.test = emulator.create_account(test=True)
        self.subaccounts = [emulator.create_account(emulator.account) for _ in range(4)]
        for account in (emulator.account, *self.subaccounts):
            self.emulator.note(emulator.account.sid, account.sid)
            self.emulator.note(account.sid, account.sid)
            self._furnish_account(account)

    def _furnish_account(self, account: Any) -> None:
        now = self.emulator.now()
        for number in self.random.sample(values.NUMBERS, 2):
            made = caller_ids.add(account, number, created=now)
            self.emulator.note(account.sid, made.sid, "caller")
        alert = account.add_alert(
            11200, text="x", request_method="POST", request_url="https://a.b/"
        )
        self.emulator.note(account.sid, alert.sid)

    def _pass_time(self) -> None:
        dice = self.random.random()
        if dice < 0.05:
            self.emulator.advance(self.random.choice((1, 61, 3600)))
        elif dice < 0.06:
            self._furnish_account(self.random.choice((self.emulator.account, *self.subaccounts)))
        elif dice < 0.08:
            self.random.choice(self.subaccounts).reactivate()


def walk(seed: int, calls: int, *, everywhere: bool = True) -> tuple[Watched, Counter[str]]:
    """Take *calls* steps from *seed* on; return the emulator and how the steps ended.

    To come *everywhere*, up to 2,000 more are taken in earnest for the routes that only refused
    until then: as the account's owner, and with what was made last.
    """
    emulator = Watched()
    with EmulatorServer(emulator) as server:
        walking = Walk(server, seed)
        try:
            for number in range(calls + (2_000 if everywhere else 0)):
                walking.in_earnest = number >= calls
                if walking.in_earnest and not walking.yet():
                    break
                walking.step()
        finally:
            walking.http.session.close()
    return emulator, walking.outcomes


def documents_are_there() -> bool:
    """Return whether answers are held against Twilio's OpenAPI documents here."""
    return FOLDER.is_dir()


def kinds(outcomes: Counter[str]) -> Iterator[str]:
    """Yield the outcomes and their numbers, the most frequent first, to print."""
    return (f"{name}: {count}" for name, count in outcomes.most_common())
