"""The current credentials of one account: one immutable snapshot, replaced whole.

A reader takes the reference once, so a key SID never meets another version's secret. A refresh
happens once, however many ask for it at the same moment, and one that fails changes nothing.
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from typing import TYPE_CHECKING

from safetwilio.errors import ConfigurationError, InvalidCredentials
from safetwilio.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Callable

    from safetwilio.credentials import ApiKey


class CredentialStore:
    """Holds the key that clients use from their next request on."""

    __slots__ = ("__weakref__", "_begun", "_ended", "_lock", "_outcome", "_reload", "_snapshot")

    def __init__(self, key: ApiKey, reload: Callable[[], ApiKey] | None = None) -> None:
        """Start with *key*, loaded now; *reload* loads it anew, ``None`` if that cannot be."""
        self._snapshot = (key, time.time())
        self._reload = reload
        self._lock = threading.Lock()
        self._begun = self._ended = 0  # refreshes
        self._outcome: bool | ConfigurationError = False
        _stores.add(self)

    def current(self) -> ApiKey:
        """Return the key to use now."""
        return self._snapshot[0]

    @property
    def loaded_at(self) -> float:
        """When the current key was loaded, in seconds since the epoch (wall clock)."""
        return self._snapshot[1]

    @property
    def not_refreshed(self) -> tuple[Problem, ...]:
        """Why the last refresh failed, empty if it did not."""
        outcome = self._outcome
        return outcome.problems if isinstance(outcome, ConfigurationError) else ()

    def refresh(self) -> bool:
        """Load the key anew, and return whether it is another one now.

        Callers that come while a refresh is under way share the next one: what they know of may
        have happened after the present one looked. Raises what loading raises
        (:class:`safetwilio.errors.ConfigurationError`), and ST224 if the document names another
        account now; the old key then stays in use.
        """
        if self._reload is None:
            return False
        seen = self._begun
        with self._lock:
            if self._ended <= seen:  # no refresh has begun since we came
                self._begun += 1
                self._outcome = self._load(self._reload)
                self._ended = self._begun
            outcome = self._outcome
        if isinstance(outcome, ConfigurationError):
            # each caller gets an error of its own: threads would write into one another's frames
            raise type(outcome)(outcome.problems, account=outcome.account)
        return outcome

    def forget_threads(self) -> None:
        """Take a new lock in a forked child: the thread that holds the old one is not here."""
        self._lock = threading.Lock()
        self._begun = self._ended  # a refresh that was under way is not

    def _load(self, reload: Callable[[], ApiKey]) -> bool | ConfigurationError:
        before = self._snapshot[0]
        try:
            key = reload()
        except ConfigurationError as error:
            return error.with_traceback(None)
        if key.account_sid != before.account_sid:
            return _other_account(key)
        self._snapshot = (key, time.time())
        return not key.is_same_as(before)


def _other_account(key: ApiKey) -> ConfigurationError:
    return InvalidCredentials(
        [
            Problem(
                code="ST224",
                summary="The credentials were replaced by those of another account.",
                found_in=(f"loaded from {key.origin}",),
                fix="The old key stays in use: a running program never changes its account. Put "
                "the right document back, or start the program anew.",
            )
        ]
    )


_stores: weakref.WeakSet[CredentialStore] = weakref.WeakSet()


def _after_fork() -> None:
    for store in _stores:
        store.forget_threads()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
