"""The emulated Twilio as a state machine: a request goes in, a response comes out, no sockets.

The street a request takes: fault → authenticate → route → account → admit → resource → journal.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, overload

from safetwilio.shapes import ACCOUNT_PREFIX, KEY_PREFIX, is_sid
from safetwilio.testing.answers import (
    Answer,
    BadParameter,
    Refused,
    bad_parameter,
    method_not_allowed,
    not_authenticated,
    not_found,
)
from safetwilio.testing.assumptions import requests as assumed
from safetwilio.testing.call import Call, Caller, read_form
from safetwilio.testing.exchange import Delivery, EmulatedRequest, EmulatedResponse
from safetwilio.testing.faults import Fault, Faults
from safetwilio.testing.identity import (
    Area,
    admit,
    authenticate,
    public_username,
    refuse_test_credentials,
    without_secrets,
)
from safetwilio.testing.routes import ROUTES
from safetwilio.testing.state import Account, Message, World, new_sid

if TYPE_CHECKING:
    from safetwilio.testing.assumptions import Choice
    from safetwilio.testing.route import Route

_TWILIO_HOST = re.compile(r"([a-z-]+)(?:\.[a-z0-9-]+){0,2}\.twilio\.com")


@dataclass(frozen=True)
class JournalEntry:
    """One request as it arrived; *username* is the SID it was made with, never a secret.

    *status* is what was answered, also when the answer did not reach the client (500 if a fault
    broke the connection before the request was processed).
    """

    method: str
    host: str
    path: str
    query: tuple[tuple[str, str], ...]
    username: str | None
    at: datetime
    status: int


class Outbox(Sequence[Message]):
    """The messages accepted so far, the oldest first: a view that grows, never changes."""

    def __init__(self, sent: list[Message]) -> None:
        """Look at *sent*."""
        self._sent = sent

    def __repr__(self) -> str:
        return f"<Outbox of {len(self)}>"

    def __len__(self) -> int:
        return len(self._sent)

    def __iter__(self) -> Iterator[Message]:
        return iter(list(self._sent))

    @overload
    def __getitem__(self, index: int) -> Message: ...
    @overload
    def __getitem__(self, index: slice) -> list[Message]: ...
    def __getitem__(self, index: int | slice) -> Message | list[Message]:
        return self._sent[index]


class Emulator:
    """Twilio in memory, with one seeded account that has a Standard and a Main key.

    *assumptions* overrides what nobody has confirmed about the real Twilio, by name (see
    ``safetwilio.testing.assumptions``). All methods may be called from any thread.
    """

    def __init__(self, *, assumptions: Mapping[str, Choice] | None = None) -> None:
        """Start with the seeded account."""
        self._world = World(assumptions or {})
        self._journal: list[JournalEntry] = []
        self.faults = Faults(self._world.lock)
        self.account = self.create_account(friendly_name="seeded")
        self.standard_key = self.account.create_key("standard", friendly_name="seeded")
        self.main_key = self.account.create_key("main", friendly_name="seeded")

    def __repr__(self) -> str:
        return f"<Emulator {self.account.sid}>"

    @property
    def assumptions(self) -> dict[str, Choice]:
        """What this emulator assumes, by name."""
        return {each.name: choice for each, choice in self._world.assumptions.items()}

    @property
    def messages(self) -> Outbox:
        """The messages sent, the oldest first; deleting one from the account leaves it here."""
        return Outbox(self._world.sent)

    @property
    def requests(self) -> tuple[JournalEntry, ...]:
        """Every request so far, the oldest first."""
        return tuple(self._journal)

    def now(self) -> datetime:
        """Return the emulator's time: the real one plus what ``advance`` added."""
        return self._world.now()

    def advance(self, seconds: float) -> None:
        """Put the emulator's clock forward by *seconds*, so that messages get delivered."""
        with self._world.lock:
            self._world.ahead += timedelta(seconds=seconds)

    def create_account(
        self, parent: Account | None = None, *, test: bool = False, friendly_name: str = ""
    ) -> Account:
        """Create an account, a subaccount of *parent* if given.

        With *test* its Auth Token is a test credential, which only takes messages to and from
        Twilio's magic numbers and sends nothing.
        """
        return self._world.create_account(parent=parent, test=test, friendly_name=friendly_name)

    def handle(self, request: EmulatedRequest) -> EmulatedResponse:
        """Answer *request*; it has taken effect when this returns.

        The caller waits and breaks connections as the response says (``delay``, ``delivery``).
        """
        with self._world.lock:
            fault = self.faults.take(request) or Fault()
            if fault.applied:
                answer = self._answer(request)
                if fault.refusal:
                    answer = fault.refusal.answer()
            else:
                answer = (fault.refusal or Refused(500, 20500, "not applied")).answer()
            self._journal.append(
                JournalEntry(
                    method=request.method,
                    host=request.host,
                    path=without_secrets(request, request.path),
                    query=tuple(
                        (name, without_secrets(request, value)) for name, value in request.query
                    ),
                    username=public_username(request),
                    at=self.now(),
                    status=answer.status,
                )
            )
        response = _write(answer, fault.retry_after)
        return replace(response, delay=fault.delay, delivery=fault.delivery)

    def _answer(self, request: EmulatedRequest) -> Answer:
        try:
            caller = self._caller(request)
            route, sids = _find(request)
            refuse_test_credentials(caller, supported=route.for_test_credentials)
            call = Call(
                world=self._world,
                request=request,
                caller=caller,
                account=self._account(caller, route, sids, request),
                sids=sids,
                form=read_form(request),
            )
            admit(call, route.area, route.permission)
            return route.handle(call)
        except Refused as refused:
            if isinstance(refused, BadParameter):
                refused.code = int(self._world.assumptions[assumed.BAD_PARAMETER_CODE])
            return refused.answer()

    def _caller(self, request: EmulatedRequest) -> Caller:
        """Return who calls, or raise 401; whether an unknown path comes first is assumed."""
        try:
            return authenticate(self._world, request)
        except Refused:
            if self._world.assumptions[assumed.UNKNOWN_PATH_STATUS] == HTTPStatus.NOT_FOUND:
                _find(request)
            raise

    def _account(
        self, caller: Caller, route: Route, sids: dict[str, str], request: EmulatedRequest
    ) -> Account:
        """Return the account *request* is about: it names it or its key, or it is the caller's."""
        if route.area is Area.IAM_KEYS and "Sid" in sids:
            owner = self._world.key_owners.get(sids["Sid"])
            if owner is None or caller.account not in {owner, owner.parent}:
                raise not_found(request.path)
            return owner
        if route.area is Area.IAM_KEYS:
            form = read_form(request).get("AccountSid", [""])
            named = dict(request.query).get("AccountSid", form[0])
            if not named:  # OpenAPI makes it optional for lists; the API requires it (facts: 6)
                raise bad_parameter("AccountSid", "is required")
        else:
            name = "Sid" if route.area is Area.ACCOUNTS else "AccountSid"
            named = sids.get(name, caller.account.sid)
            if is_sid(named, KEY_PREFIX):
                # twilio-ruby/issues/478, twilio-php/issues/850: Client(key, secret) without account
                code = int(self._world.assumptions[assumed.KEY_AS_ACCOUNT_CODE])
                raise Refused(400, code, f"AccountSid {named} is invalid")
        account = self._world.accounts.get(named)
        if account is None:
            raise not_authenticated()  # errors/20003: credentials scoped to the wrong account
        return account


def product_of(host: str) -> str | None:
    """Return the product that *host* serves: ``api`` for ``api.dublin.ie1.twilio.com``.

    A loopback address, which has no product in its name, counts as ``api``.
    """
    name = host.lower()
    if name.startswith(("127.", "localhost", "[::1]")):
        return "api"
    found = _TWILIO_HOST.fullmatch(name.partition(":")[0])
    return found[1] if found else None


def _find(request: EmulatedRequest) -> tuple[Route, dict[str, str]]:
    """Return the route that *request* takes and the SIDs in its path, or raise 404 or 405."""
    product, known = product_of(request.host), False
    for route in ROUTES:
        found = route.pattern.fullmatch(request.path) if route.product == product else None
        if found is None or not _names_accounts(route, found.groupdict()):
            continue
        if route.method == request.method:
            return route, found.groupdict()
        known = True
    raise method_not_allowed() if known else not_found(request.path)


def _names_accounts(route: Route, sids: dict[str, str]) -> bool:
    """Return whether a SID stands where the path has an account's.

    Otherwise the path is unknown: 404/20404, as for ``/Accounts/null/Messages.json``
    (github.com/demisto/content/pull/28986) or a tab before the SID (twilio-ruby/issues/113).
    A key's SID is a path that is refused in another way.
    """
    sid = sids.get("Sid" if route.area is Area.ACCOUNTS else "AccountSid")
    return sid is None or is_sid(sid, ACCOUNT_PREFIX) or is_sid(sid, KEY_PREFIX)


def _write(answer: Answer, retry_after: float | None) -> EmulatedResponse:
    """Return *answer* with the headers that Twilio's API sends."""
    headers = {"Twilio-Request-Id": new_sid("RQ"), "Twilio-Concurrent-Requests": "1"}
    body = b""
    if answer.document is not None:
        headers["Content-Type"] = "application/json"
        body = json.dumps(answer.document).encode()
    if retry_after is not None:
        headers["Retry-After"] = f"{retry_after:g}"
    return EmulatedResponse(answer.status, headers, body, delivery=Delivery.WHOLE)
