"""The emulated Twilio as a state machine: a request goes in, a response comes out, no sockets.

The street a request takes: fault → authenticate → route → account → admit → resource → event →
usage triggers → journal.
"""

from __future__ import annotations

import json
import re
from collections import deque
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from safetwilio.shapes import ACCOUNT_PREFIX, KEY_PREFIX, is_sid
from safetwilio.testing import seeding
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
from safetwilio.testing.assumptions.usage import FAILED_CALLBACK_ALERT
from safetwilio.testing.call import Call, Caller, read_form
from safetwilio.testing.callbacks import Callback, Callbacks
from safetwilio.testing.exchange import EmulatedRequest, EmulatedResponse
from safetwilio.testing.faults import Fault, Faults
from safetwilio.testing.identity import (
    Area,
    admit,
    authenticate,
    refuse_test_credentials,
)
from safetwilio.testing.journal import JournalEntry, Outbox, entry_of
from safetwilio.testing.records import new_sid
from safetwilio.testing.resources.events import handled
from safetwilio.testing.resources.triggers import fire_due
from safetwilio.testing.routes import ROUTES
from safetwilio.testing.state import Account, World

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal

    from safetwilio.testing.assumptions import Choice
    from safetwilio.testing.route import Route

_LATEST = datetime(9000, 1, 1, tzinfo=UTC)
_SHOWS = {(each.product, each.path): each for each in ROUTES if each.method == "GET"}
_TWILIO_HOST = re.compile(r"([a-z-]+)(?:\.[a-z0-9-]+){0,2}\.twilio\.com")


class Emulator:
    """Twilio in memory, with one seeded account that has a Standard and a Main key.

    *assumptions* overrides what nobody has confirmed about the real Twilio, by name (see
    ``safetwilio.testing.assumptions``). With *remember* only so many of the last ``requests`` and
    ``messages`` are kept, for an emulator that runs for days. With *seed*, a number, the account
    begins with a history, always the same for the same number (``seed``). All methods may be called
    from any thread.
    """

    def __init__(
        self,
        *,
        assumptions: Mapping[str, Choice] | None = None,
        remember: int | None = None,
        seed: int | None = None,
    ) -> None:
        """Start with the seeded account."""
        self._world = World(assumptions or {}, remember)
        self._journal: deque[JournalEntry] = deque(maxlen=remember)
        self.faults = Faults(self._world.lock, self._world.now)
        self.account = self.create_account(friendly_name="seeded")
        self.standard_key = self.account.create_key("standard", friendly_name="seeded")
        self.main_key = self.account.create_key("main", friendly_name="seeded")
        self.callbacks = self._world.callbacks = Callbacks(self._note_failed)
        self._world.look_at_triggers = fire_due
        self._world.in_force.settle(everything=True)  # what there is at the start counts already
        self._history = seed
        self._begin_history()

    def __repr__(self) -> str:
        return f"<Emulator {self.account.sid}>"

    @property
    def assumptions(self) -> dict[str, Choice]:
        """What this emulator assumes, by name."""
        return {each.name: choice for each, choice in self._world.assumptions.items()}

    @property
    def messages(self) -> Outbox:
        """The messages sent, the oldest first; deleting one from the account leaves it here."""
        return Outbox(self._world)

    @property
    def requests(self) -> tuple[JournalEntry, ...]:
        """Every request so far, the oldest first."""
        with self._world.lock:
            return tuple(self._journal)

    def now(self) -> datetime:
        """Return the emulator's time: the real one plus what ``advance`` added."""
        return self._world.now()

    def advance(self, seconds: float) -> None:
        """Put the emulator's clock forward by *seconds*, so that messages get delivered.

        Raises ``ValueError`` or ``OverflowError`` for a time that cannot be, after the year 9000.
        """
        with self._world.lock:
            ahead = self._world.ahead + timedelta(seconds=seconds)
            if self._world.clock() + ahead > _LATEST:
                raise ValueError("the emulator's clock ends with the year 9000")
            self._world.ahead = ahead
            self._world.settle()

    def reset(self) -> None:
        """Go back to the start: the seeded account, its two keys, no faults, the real time.

        The credentials are those of the start, also if they were changed or deleted meanwhile.
        """
        self.callbacks.clear()
        with self._world.lock:
            self.faults.clear()
            self._journal.clear()
            self._world.begin_again()
            self.account.begin_again((self.standard_key, self.main_key))
            self._begin_history()

    def seed(
        self,
        *,
        messages: int = seeding.MESSAGES,
        days: int = seeding.DAYS,
        random_state: int = 0,
    ) -> seeding.Seeded:
        """Fill the seeded account with a history of *days* up to now, and return what was made.

        That is so many *messages* and some calls, which are over, phone numbers, an application, a
        messaging service, a caller ID, and keys from a few days to two years old. The same
        *random_state* makes the same; SIDs and secrets of keys are random. ``messages`` of the
        emulator, its outbox, stays as it is. Raises ``ValueError`` for a negative number of
        messages, for less than a day, and when the emulator's phone numbers are used up.
        """
        with self._world.lock:
            return seeding.fill(
                self._world,
                self.account,
                messages=messages,
                days=days,
                random_state=random_state,
            )

    def _begin_history(self) -> None:
        if self._history is not None:
            self.seed(random_state=self._history)
            self._world.in_force.settle(everything=True)

    def secrets(self) -> set[str]:
        """Return every secret that this emulator gave out and still knows, to look for leaks."""
        with self._world.lock:
            accounts = [account for _, account in self._world.accounts.newest_first()]
            keys = [key for account in accounts for _, key in account.keys.newest_first()]
            tokens = {account.auth_token for account in accounts}
            tokens |= {account.secondary_auth_token or "" for account in accounts} - {""}
            return tokens | {key.secret for key in keys}

    @property
    def prices(self) -> dict[str, Decimal | str]:
        """What a segment costs in US dollars, by the beginning of the recipient: yours to set.

        The longest beginning decides: ``emulator.prices["+882"] = "1.25"``.
        """
        return self._world.ledger.prices

    def create_account(
        self, parent: Account | None = None, *, test: bool = False, friendly_name: str = ""
    ) -> Account:
        """Create an account, a subaccount of *parent* if given.

        With *test* its Auth Token is a test credential, which only takes messages to and from
        Twilio's magic numbers and sends nothing.
        """
        return self._world.create_account(parent=parent, test=test, friendly_name=friendly_name)

    def handle(self, request: EmulatedRequest, *, under_way: int = 1) -> EmulatedResponse:
        """Answer *request*; it has taken effect when this returns.

        *under_way* is how many requests are, this one included. The caller waits and breaks
        connections as the response says (``delay``, ``delivery``, ``held``, ``releases``).
        """
        with self._world.lock:
            fault = self.faults.take(request, under_way) or Fault()
            if fault.twice:
                self._journal.append(entry_of(request, self._answer(request), self.now()))
            if fault.applied:
                answer = self._answer(request)
                if fault.refusal:
                    answer = fault.refusal.answer()
            else:
                answer = (fault.refusal or Refused(500, 20500, "not applied")).answer()
            self._world.settle()
            self._journal.append(entry_of(request, answer, self.now()))
            releases = self.faults.waiting_for(request)
            held = None if fault.until is None else self.faults.held(fault.until)
        headers, body = _write(answer, fault.retry_after, under_way)
        return EmulatedResponse(
            answer.status, headers, body, fault.delay, fault.delivery, held, releases
        )

    def _answer(self, request: EmulatedRequest) -> Answer:
        self._world.ledger.settle()
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
            if route.event is None:
                return route.handle(call)
            return handled(call, route, _SHOWS.get((route.product, route.path)))
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

    def _note_failed(self, account: Account, callback: Callback) -> None:
        if self._world.assumptions[FAILED_CALLBACK_ALERT]:
            account.add_alert(
                11200,  # docs/api/errors/11200: HTTP retrieval failure
                text=f"{callback.method} {callback.reason}",
                resource_sid=callback.about,
                request_method=callback.method,
                request_url=callback.url,
                request_variables=urlencode(callback.parameters),
            )


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


def _write(
    answer: Answer, retry_after: float | None, under_way: int
) -> tuple[dict[str, str], bytes]:
    """Return the headers that Twilio's API sends with *answer*, and the body."""
    headers = {
        "Twilio-Request-Id": new_sid("RQ"),
        "Twilio-Concurrent-Requests": str(under_way),
    }
    body = b""
    if answer.document is not None:
        headers["Content-Type"] = "application/json"
        body = json.dumps(answer.document).encode()
    if retry_after is not None:
        headers["Retry-After"] = f"{retry_after:g}"
    return headers, body
