"""What the emulated Twilio knows: accounts, their keys, their messages, and the time.

Secrets are made at run time and never show in a repr; ``account.auth_token`` and ``key.secret``
give them out explicitly.
"""

from __future__ import annotations

import secrets
import string
import threading
from collections import defaultdict, deque
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal, TypeVar, Unpack

from safetwilio.shapes import EMULATOR_ACCOUNT_PREFIX, EMULATOR_KEY_PREFIX
from safetwilio.testing.assumptions import Assumption, Choice, choose
from safetwilio.testing.assumptions import propagation as assumed
from safetwilio.testing.geo import MessagingGeo
from safetwilio.testing.ledger import Ledger, Totals
from safetwilio.testing.monitor import Alert, Event
from safetwilio.testing.propagation import InForce
from safetwilio.testing.records import Key, new_auth_token, new_sid
from safetwilio.testing.shelf import Shelf

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from safetwilio.testing.callbacks import Callbacks
    from safetwilio.testing.monitor import AlertDetails, EventDetails
    from safetwilio.testing.records import KeyKind, Message

AccountStatus = Literal["active", "suspended", "closed"]

_BASE62 = string.ascii_letters + string.digits
_SECRET_LENGTH = 32  # facts: twilio.md, section 8

Item = TypeVar("Item")


class Account:
    """An account with its *auth_token*; its SID begins with ``AC5afe0000``.

    Its balance is what its usage leaves of *credit* (US dollars).
    A change of its status, tokens or keys shows at once, and counts for requests when it is in
    force (``assumptions.propagation``).
    """

    def __init__(
        self, world: World, *, parent: Account | None, test: bool, name: str, sid: str = ""
    ) -> None:
        """Make an account of *world* called *name* with a fresh Auth Token, and SID by default."""
        self._world = world
        self.sid = sid or new_sid(EMULATOR_ACCOUNT_PREFIX)
        self.parent = parent
        self.test = test
        self.friendly_name = self._first_name = name
        self._status: AccountStatus = "active"
        self._auth_token = self._first_token = new_auth_token()
        self._secondary_auth_token: str | None = None
        world.in_force.tokens[self.sid] = (self._auth_token,)
        world.in_force.statuses[self.sid] = self._status
        self.created = self.updated = self.secondary_created = world.now()
        self.credit = Decimal(100)
        self.keys: Shelf[Key] = Shelf()
        self._shelves: defaultdict[type, Shelf[Any]] = defaultdict(Shelf)
        inherited = parent.messaging_geo if parent else None
        self.messaging_geo: MessagingGeo = MessagingGeo(world, inherited)

    def __repr__(self) -> str:
        return f"<Account {self.sid} {self.status}>"

    @property
    def status(self) -> AccountStatus:
        """Whether the account is active, suspended or closed."""
        return self._status

    @status.setter
    def status(self, status: AccountStatus) -> None:
        """Change it; it counts for requests when it is in force."""
        self._status = status
        statuses = self._world.in_force.statuses
        self._change("status", assumed.CHANGED_STATUS_SECONDS, statuses, status)

    @property
    def auth_token(self) -> str:
        """The primary Auth Token."""
        return self._auth_token

    @auth_token.setter
    def auth_token(self, token: str) -> None:
        """Change it; it counts for requests when it is in force."""
        self._auth_token = token
        self._change_tokens()

    @property
    def secondary_auth_token(self) -> str | None:
        """The secondary Auth Token, ``None`` if there is none."""
        return self._secondary_auth_token

    @secondary_auth_token.setter
    def secondary_auth_token(self, token: str | None) -> None:
        """Change or delete it; that counts for requests when it is in force."""
        self._secondary_auth_token = token
        self._change_tokens()

    def _change_tokens(self) -> None:
        # a secondary token authenticates before it is promoted (OpenAPI: secondary_auth_token)
        known = (self._auth_token, self._secondary_auth_token)
        tokens = tuple(token for token in known if token is not None)
        self._change("tokens", assumed.CHANGED_TOKEN_SECONDS, self._world.in_force.tokens, tokens)

    def _change(self, what: str, delay: Assumption, known: dict[str, Item], value: Item) -> None:
        seconds = int(self._world.assumptions[delay])
        self._world.in_force.change(
            f"{self.sid} {what}", seconds, lambda: known.__setitem__(self.sid, value)
        )

    def shelf(self, kind: type[Item]) -> Shelf[Item]:
        """Return the account's items of one *kind*, an empty shelf at first."""
        return self._shelves[kind]

    def suspend(self) -> None:
        """Suspend the account: its credentials are refused until ``reactivate()``."""
        self._set_status("suspended")

    def reactivate(self) -> None:
        """Let the account's credentials work again."""
        self._set_status("active")

    def _set_status(self, status: AccountStatus) -> None:
        with self._world.lock:
            self.status, self.updated = status, self._world.now()

    def create_key(
        self,
        kind: KeyKind = "standard",
        *,
        friendly_name: str = "",
        allow: Iterable[str] = (),
    ) -> Key:
        """Create an API key; *allow* lists the permissions of a ``"restricted"`` one.

        Main keys come from here only, as the real ones come from Twilio's Console only.
        """
        if self.test:
            raise ValueError("test credentials are an Auth Token pair only")
        now = self._world.now()
        key = Key(
            sid=new_sid(EMULATOR_KEY_PREFIX),
            account_sid=self.sid,
            kind=kind,
            friendly_name=friendly_name,
            created=now,
            updated=now,
            secret="".join(secrets.choice(_BASE62) for _ in range(_SECRET_LENGTH)),
            allow=frozenset(allow),
        )
        self._put_key(key, assumed.NEW_KEY_SECONDS)
        return key

    def begin_again(self, keys: Iterable[Key]) -> None:
        """Go back to the start, with the first token and *keys*, in force at once."""
        with self._world.lock:
            token = self._first_token
            Account.__init__(
                self,
                self._world,
                parent=self.parent,
                test=self.test,
                name=self._first_name,
                sid=self.sid,
            )
            self._world.accounts.put(self.sid, self)
            self.auth_token = self._first_token = token
            for key in keys:
                self._put_key(key, assumed.NEW_KEY_SECONDS)
            self._world.in_force.settle(everything=True)

    def add_usage(
        self,
        category: str,
        *,
        count: int = 1,
        usage: Decimal | float | None = None,
        price: Decimal | float | str = 0,
        at: datetime | None = None,
    ) -> None:
        """Book usage that no request caused, for the categories above *category* too.

        *usage* is in billed units, *count* by default; *price* is the total in US dollars; *at* is
        now by default. Usage triggers see it at once.
        """
        if at is not None and at.tzinfo is None:
            raise ValueError("the time of usage needs a time zone")
        used = Totals(count, Decimal(str(count if usage is None else usage)), Decimal(str(price)))
        with self._world.lock:
            self._world.ledger.add(self.sid, category, used, at or self._world.now())
            self._world.settle()

    def record_event(
        self, event_type: str, *, at: datetime | None = None, **details: Unpack[EventDetails]
    ) -> Event:
        """Add an event to the log: what a request changed, or what a test says has happened.

        ``account.record_event("user-session.created", source="web", actor_type="user")``.
        """
        with self._world.lock:
            at = at or self._world.now()
            event = Event(new_sid("AE"), self.sid, event_type, at, **details)
            self.shelf(Event).put(event.sid, event)
            return event

    def add_alert(
        self, error_code: int, *, at: datetime | None = None, **details: Unpack[AlertDetails]
    ) -> Alert:
        """Add an alert to the log; *error_code* is one of Twilio's error dictionary."""
        with self._world.lock:
            at = at or self._world.now()
            alert = Alert(new_sid("NO"), self.sid, str(error_code), at, **details)
            self.shelf(Alert).put(alert.sid, alert)
            return alert

    def update_key(self, key: Key, *, friendly_name: str = "", allow: Iterable[str] = ()) -> Key:
        """Give *key* another name, or another policy (which makes it a Restricted key)."""
        changed = replace(
            key,
            friendly_name=friendly_name or key.friendly_name,
            allow=frozenset(allow) or key.allow,
            updated=self._world.now(),
        )
        if changed.allow:
            changed = replace(changed, kind="restricted")
        self._put_key(changed, assumed.CHANGED_POLICY_SECONDS)
        return changed

    def _put_key(self, key: Key, delay: Assumption) -> None:
        known = self._world.in_force.keys
        with self._world.lock:
            self.keys.put(key.sid, key)
            self._world.key_owners[key.sid] = self
            seconds = int(self._world.assumptions[delay])
            self._world.in_force.change(
                key.sid, seconds, lambda: known.__setitem__(key.sid, (self, key))
            )

    def delete_key(self, sid: str) -> Key | None:
        """Delete the key called *sid* and return it, or return ``None`` if there is none."""
        known = self._world.in_force.keys
        with self._world.lock:
            key = self.keys.remove(sid)
            if key is not None:
                self._world.key_owners.pop(sid, None)
                seconds = int(self._world.assumptions[assumed.DELETED_KEY_SECONDS])
                self._world.in_force.change(sid, seconds, lambda: known.pop(sid, None))
            return key


class World:
    """All accounts and keys, the lock that guards them, the clock, and what was used.

    The emulator sets *callbacks*, and *look_at_triggers*, which fires what is to fire.
    """

    callbacks: Callbacks
    look_at_triggers: Callable[[World], None]

    def __init__(
        self,
        assumptions: Mapping[str, Choice],
        remember: int | None = None,
        lock: threading.RLock | None = None,
    ) -> None:
        """Start without accounts; *assumptions* are overrides by name.

        *remember* is how many messages stay in ``sent``, all by default; *lock* guards everything.
        """
        self.lock = lock or threading.RLock()
        self.assumptions: dict[Assumption, Choice] = choose(assumptions)
        self.accounts: Shelf[Account] = Shelf()
        self.key_owners: dict[str, Account] = {}
        self.in_force = InForce(self.lock, self.now)
        self.sent: deque[Message] = deque(maxlen=remember)
        self.clock: Callable[[], datetime] = lambda: datetime.now(UTC)
        self.ahead = timedelta()
        self.ledger = Ledger(self.assumptions, self.now)

    def settle(self) -> None:
        """Book the usage that has come due, and fire the usage triggers that it passes."""
        self.ledger.settle()
        self.look_at_triggers(self)

    def begin_again(self) -> None:
        """Forget everything but the assumptions."""
        with self.lock:
            assumptions = {each.name: choice for each, choice in self.assumptions.items()}
            clock = self.clock
            World.__init__(self, assumptions, self.sent.maxlen, self.lock)
            self.clock = clock

    def now(self) -> datetime:
        """Return the emulator's time in UTC: the real one, and what ``advance`` added."""
        return self.clock() + self.ahead

    def create_account(self, *, parent: Account | None, test: bool, friendly_name: str) -> Account:
        """Create an account, below *parent* if given."""
        if parent is not None and parent.parent is not None:
            raise ValueError("Twilio has one level of subaccounts")
        with self.lock:
            account = Account(self, parent=parent, test=test, name=friendly_name)
            self.accounts.put(account.sid, account)
            return account
