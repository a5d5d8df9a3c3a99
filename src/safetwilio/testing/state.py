"""What the emulated Twilio knows: accounts, their keys, their messages, and the time.

Secrets are made at run time and never show in a repr; ``account.auth_token`` and ``key.secret``
give them out explicitly.
"""

from __future__ import annotations

import secrets
import string
import threading
from collections import defaultdict
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

from safetwilio.shapes import EMULATOR_ACCOUNT_PREFIX, EMULATOR_KEY_PREFIX, SID_LENGTH
from safetwilio.testing.assumptions import Assumption, Choice, choose

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

KeyKind = Literal["standard", "main", "restricted"]
AccountStatus = Literal["active", "suspended", "closed"]

_BASE62 = string.ascii_letters + string.digits
_SECRET_LENGTH = 32  # facts: twilio.md, section 8


def new_sid(prefix: str) -> str:
    """Return a fresh SID: *prefix*, then random lower-case hex digits up to 34 characters."""
    return prefix + secrets.token_hex(SID_LENGTH)[: SID_LENGTH - len(prefix)]


def new_auth_token() -> str:
    """Return a fresh Auth Token of 32 lower-case hex digits."""
    return secrets.token_hex(16)


@dataclass(frozen=True)
class Key:
    """An API key; *allow* lists a Restricted key's permissions."""

    sid: str
    account_sid: str
    kind: KeyKind
    friendly_name: str
    created: datetime
    updated: datetime
    secret: str = field(repr=False)
    allow: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Message:
    """A message as it was accepted; *key_sid* names the key that sent it, ``None`` the token.

    What changes with time (status, date sent) is computed from *due* and *canceled*.
    """

    sid: str
    account_sid: str
    key_sid: str | None
    to: str
    from_: str | None
    body: str
    created: datetime
    updated: datetime
    due: datetime
    media_urls: tuple[str, ...] = ()
    messaging_service_sid: str | None = None
    canceled: bool = False


Item = TypeVar("Item")


class Shelf(Generic[Item]):
    """Items by SID in the order they were made; a removed item's place stays known."""

    def __init__(self) -> None:
        """Start empty."""
        self._places: dict[str, int] = {}
        self._items: dict[str, Item] = {}

    def put(self, sid: str, item: Item) -> None:
        """Add *item*, or replace the one of the same *sid* in its place."""
        self._places.setdefault(sid, len(self._places))
        self._items[sid] = item

    def get(self, sid: str) -> Item | None:
        """Return the item called *sid*, or ``None``."""
        return self._items.get(sid)

    def remove(self, sid: str) -> Item | None:
        """Remove and return the item called *sid*, or return ``None``."""
        return self._items.pop(sid, None)

    def place(self, sid: str) -> int | None:
        """Return the place that *sid* has or had, or ``None`` if it was never here."""
        return self._places.get(sid)

    def newest_first(self) -> Iterator[tuple[str, Item]]:
        """Yield SIDs and items, the newest first."""
        return reversed(self._items.items())


class Account:
    """An account with its *auth_token*; its SID begins with ``AC5afe0000``."""

    def __init__(self, world: World, *, parent: Account | None, test: bool, name: str) -> None:
        """Make an account of *world* called *name* with a fresh Auth Token."""
        self._world = world
        self.sid = new_sid(EMULATOR_ACCOUNT_PREFIX)
        self.parent = parent
        self.test = test
        self.friendly_name = name
        self.status: AccountStatus = "active"
        self.auth_token = new_auth_token()
        self.secondary_auth_token: str | None = None
        self.created = self.updated = self.secondary_created = world.now()
        self.keys: Shelf[Key] = Shelf()
        self._shelves: defaultdict[type, Shelf[Any]] = defaultdict(Shelf)

    def __repr__(self) -> str:
        return f"<Account {self.sid} {self.status}>"

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
        self._put_key(key)
        return key

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
        self._put_key(changed)
        return changed

    def _put_key(self, key: Key) -> None:
        with self._world.lock:
            self.keys.put(key.sid, key)
            self._world.key_owners[key.sid] = self

    def delete_key(self, sid: str) -> Key | None:
        """Delete the key called *sid* and return it, or return ``None``; it is refused at once."""
        with self._world.lock:
            self._world.key_owners.pop(sid, None)
            return self.keys.remove(sid)


class World:
    """All accounts and keys, the lock that guards them, and the clock."""

    def __init__(self, assumptions: Mapping[str, Choice]) -> None:
        """Start without accounts; *assumptions* are overrides by name."""
        self.lock = threading.RLock()
        self.assumptions: dict[Assumption, Choice] = choose(assumptions)
        self.accounts: Shelf[Account] = Shelf()
        self.key_owners: dict[str, Account] = {}
        self.sent: list[Message] = []
        self.clock: Callable[[], datetime] = lambda: datetime.now(UTC)
        self.ahead = timedelta()

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
