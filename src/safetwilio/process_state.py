"""What a process says of itself: the values of ``health()``, and who receives its webhooks.

Receivers are in a room above the one that answers ``health()``, so they make themselves known here.
"""

from __future__ import annotations

import os
import weakref
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from safetwilio.errors import ConfigurationError

if TYPE_CHECKING:
    from safetwilio.backends.locate import Reference
    from safetwilio.credentials import KeyType
    from safetwilio.problems import Problem
    from safetwilio.redaction import SinkHealth
    from safetwilio.refreshed import Refreshed


class AccountHealth(NamedTuple):
    """One booted account: *name*, fingerprints, where the key is from, *age* in seconds.

    *not_refreshed* says why the key could not be looked for when that was last tried; it *is_stale*
    when that has been so for too long, and requests fail (ST341).
    """

    name: str
    account: str
    key: str
    source: str
    version: str | None
    age: float
    key_type: KeyType | None
    warnings: tuple[Problem, ...]
    not_refreshed: tuple[Problem, ...] = ()
    is_stale: bool = False


class WebhookHealth(NamedTuple):
    """What the webhooks of the account *name* are verified with: from where, *age* in seconds.

    *auth_tokens* and *shared_keys* say how many there are. *not_refreshed* and *is_stale* are as in
    :class:`AccountHealth`: with a stale one each webhook fails (ST341).
    """

    name: str
    source: str
    version: str | None
    age: float
    auth_tokens: int
    shared_keys: int
    warnings: tuple[Problem, ...]
    not_refreshed: tuple[Problem, ...]
    is_stale: bool


class Health(NamedTuple):
    """The state of this process, for readiness endpoints; it holds no secret."""

    booted: bool
    accounts: tuple[AccountHealth, ...]
    sinks: tuple[SinkHealth, ...]
    webhooks: tuple[WebhookHealth, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether a key is loaded, nothing is stale, and no redaction sink has failed."""
        return self.booted and self.is_sound and not self.is_stale

    @property
    def is_sound(self) -> bool:
        """Whether no redaction sink has failed or fallen back, booted or not."""
        return not any(sink.state in {"failed", "fallback"} for sink in self.sinks)

    @property
    def is_stale(self) -> bool:
        """Whether requests or webhooks fail, for what they need is used no more (ST341)."""
        loaded: list[AccountHealth | WebhookHealth] = [*self.accounts, *self.webhooks]
        return any(each.is_stale for each in loaded)

    def as_dict(self) -> dict[str, Any]:
        """Return the state as plain JSON types."""
        return {
            "ok": self.ok,
            "booted": self.booted,
            "accounts": [_as_dict(account) for account in self.accounts],
            "sinks": [sink._asdict() for sink in self.sinks],
            "webhooks": [_as_dict(each) for each in self.webhooks],
        }


class WebhookReceiver(Protocol):
    """What receives webhooks, as far as the rooms below it need to know."""

    def health(self) -> WebhookHealth | None:
        """Return how it is doing, ``None`` if nothing is loaded."""

    def references(self) -> tuple[Reference, ...]:
        """Return where it has loaded from, empty if nothing is loaded or it was given."""

    def refresh(self) -> bool:
        """Load anew, and return whether it is something else now."""

    def reset(self) -> None:
        """Forget what was loaded."""

    def forget_threads(self) -> None:
        """Take new locks in a forked child."""


# No WeakSet: to read that while another thread adds to it may fail.
_receivers: set[weakref.ref[WebhookReceiver]] = set()


def add_receiver(receiver: WebhookReceiver) -> None:
    """Let *receiver* be known for as long as somebody else holds it."""
    _receivers.add(weakref.ref(receiver, _receivers.discard))


def receivers() -> list[WebhookReceiver]:
    """Return what receives webhooks in this process, loaded or not."""
    return [each for reference in tuple(_receivers) if (each := reference()) is not None]


def webhook_health() -> tuple[WebhookHealth, ...]:
    """Return how those of them are doing that have loaded what they need."""
    said = [health for each in receivers() if (health := each.health()) is not None]
    return tuple(sorted(said, key=lambda health: (health.name, health.source)))


def is_used_no_more(loaded: Refreshed[Any]) -> bool:
    """Return whether *loaded* is stale; if it is, begin a look for it, if it is time for one.

    A probe that hears so may keep from this process the requests that would have looked.
    """
    if not loaded.is_stale:
        return False
    with suppress(ConfigurationError):  # ST341, which is what the answer says
        loaded.meanwhile()
    return True


def _as_dict(said: AccountHealth | WebhookHealth) -> dict[str, Any]:
    return {
        **said._asdict(),
        "warnings": [warning.as_dict() for warning in said.warnings],
        "not_refreshed": [problem.as_dict() for problem in said.not_refreshed],
    }


def _after_fork() -> None:
    for each in receivers():
        each.forget_threads()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
