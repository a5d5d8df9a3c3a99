"""What a rotation needs that a cloud starts by an event: who may do it, and notes in its log.

There is no disk that the next try would find. What happened is known by the keys that Twilio lists
and by the place; the name of the run, and so of its key, comes from the event.
"""

from __future__ import annotations

import base64
import hashlib
import logging
import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from safetwilio.admin.identity import NEEDED, find_identity
from safetwilio.admin.lineage import key_name, name_prefix
from safetwilio.backends.locate import (
    ADMIN_BACKEND_VARIABLE,
    BACKEND_VARIABLE,
    backend_variable,
    names_backend,
    references,
)
from safetwilio.credentials import mask
from safetwilio.errors import AccountOperationError
from safetwilio.rotation.places import Target
from safetwilio.runbook.journal import Entry, entries_of
from safetwilio.services import Service

if TYPE_CHECKING:
    from collections.abc import Callable

    from safetwilio.admin.identity import Identity
    from safetwilio.backends.locate import Reference

log = logging.getLogger("safetwilio")

REASON = "safetwilio: a rotation that a cloud started"
PREVIOUS_VARIABLE = "SAFETWILIO_PREVIOUS_KEY"
_KEEP, _DELETE = "keep", "delete"
_LETTERS = 8  # 40 bits each; with what is around them as long as a run's name may be


class LoggedRun:
    """A run whose notes go to the log, and end with this process."""

    def __init__(self) -> None:
        """Begin without any."""
        self._entries: list[Entry] = []

    def note(self, event: str, **facts: Any) -> None:
        """Log that *event* happened within a step; keys are shown by their fingerprints."""
        at = datetime.now(UTC).isoformat()
        self._entries.append(Entry(len(self._entries), at, event, facts))
        sid = facts.get("sid")
        log.info("%s: %s %s", facts.get("target"), event, mask("key", sid) if sid else "a key")

    def noted(self, event: str, **facts: Any) -> tuple[Entry, ...]:
        """Return the entries of *event* with these *facts*."""
        return entries_of(self._entries, event, facts)


class RunName:
    """The name of a run: by what service, of which secret, for which event."""

    def __init__(self, cloud: str, label: str, secret: str, event: str) -> None:
        """Name the run of *cloud* that *event* begins for *secret*, whose keys have *label*.

        *secret* has to be another text for every secret there is: who made a key is told by it.
        """
        begins = f"{cloud}-{_short(secret)}-"
        self.run = begins + _short(event)
        self.prefix = name_prefix(label, None) + begins
        """How the names of the keys of all runs of this secret begin."""
        self.key_name = key_name(label, None, self.run)


def say(text: str) -> None:
    """Log *text*, which tells how far a rotation is."""
    log.info("%s", text)


def chosen(is_meant: Callable[[Reference], bool]) -> Reference | None:
    """Return the reference in ``SAFETWILIO_BACKEND`` that *is_meant*, ``None`` without any value.

    Raises :class:`AccountOperationError` (ST637) if none of them is, and
    :class:`safetwilio.errors.BackendError` (ST302).
    """
    if not names_backend(None, os.environ):
        return None
    found = next(filter(is_meant, references(None, os.environ)), None)
    if found is None:
        raise not_ours(f"{BACKEND_VARIABLE} does not name it")
    return found


def not_ours(why: str) -> AccountOperationError:
    """Return the error (ST637) that an event is about a secret that is not to be rotated here."""
    return AccountOperationError(
        f"This function does not rotate the secret of the event: {why}. Nothing was changed. Let "
        f"{BACKEND_VARIABLE} name the secret, or take the event away from this function.",
        code="ST637",
    )


def no_event(why: str) -> AccountOperationError:
    """Return the error (ST636) that what came asks for no rotation that can be begun."""
    return AccountOperationError(
        f"The event does not ask for a rotation that can be done: {why}. Nothing was changed.",
        code="ST636",
    )


def target_of(label: str, reference: Reference) -> Target:
    """Return the key of the default account in the place of *reference*."""
    return Target(Service(label, (reference,), label), None)


def identity_for(account: str | None, account_sid: str) -> Identity:
    """Return who may change the account: whom ``SAFETWILIO_ADMIN_BACKEND`` names.

    Raises :class:`AccountOperationError` (ST620) if it names nobody, and
    :class:`safetwilio.errors.ConfigurationError` (ST2xx, ST3xx) for one that cannot be right.
    """
    found = find_identity(account)
    if found is None:
        raise AccountOperationError(
            f"Nobody is named who may change the account {mask('account', account_sid)}: "
            f"{backend_variable(account, ADMIN_BACKEND_VARIABLE)} is not set. Needed is {NEEDED}.",
            code="ST620",
        )
    return found


def deletes_previous() -> bool:
    """Return whether the key that gave way is deleted at once, not by the next rotation.

    Raises :class:`AccountOperationError` (ST639) for a value that means nothing.
    """
    text = os.environ.get(PREVIOUS_VARIABLE, "").strip().lower()
    if text not in {"", _KEEP, _DELETE}:
        raise AccountOperationError(
            f"{PREVIOUS_VARIABLE} has a value that means nothing: it is {_KEEP}, as without it, or "
            f"{_DELETE}. Nothing was changed.",
            code="ST639",
        )
    return text == _DELETE


def _short(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return base64.b32encode(digest).decode("ascii")[:_LETTERS].lower()
