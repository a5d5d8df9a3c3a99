"""The keys and messages of the emulated Twilio as values, and how SIDs and tokens are made."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from safetwilio.shapes import SID_LENGTH

if TYPE_CHECKING:
    from datetime import datetime

KeyKind = Literal["standard", "main", "restricted"]


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

    What changes with time (status, date sent) is computed from *due* and *canceled*; *pool_sender*
    is the number that a messaging service sends from, which shows when it is sent.
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
    pool_sender: str | None = None
