"""The current credentials of one account: one immutable snapshot, replaced whole.

A reader takes the reference once, so a key SID never meets another version's secret. The key is
looked for again when it is old, when Twilio refuses it, and when somebody asks for that.
"""

from __future__ import annotations

import asyncio
import math
import random
import threading
import time
from typing import TYPE_CHECKING, Literal, NamedTuple

from safetwilio.credentials import ApiKey
from safetwilio.errors import ConfigurationError, InvalidCredentials
from safetwilio.problems import Problem
from safetwilio.refresh_policy import FOREVER, RefreshPolicy
from safetwilio.refreshed import LOOK, Event, Refreshed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MAX_WAITING = 64
"""Requests that wait for a key in place of a refused one; others fail at once."""
_clock = time.monotonic


class Instead(NamedTuple):
    """What there is instead of a refused key: another *key*, or none for *sought* seconds now."""

    key: ApiKey | None
    sought: float


class CredentialStore(Refreshed[ApiKey]):
    """Holds the key that clients use from their next request on.

    A key of another account (ST224) never takes the place of the one that is there.
    """

    __slots__ = ("_accepted", "_lock", "_refusal", "_waiting")

    def __init__(
        self,
        key: ApiKey,
        reload: Callable[[], ApiKey] | None = None,
        *,
        policy: RefreshPolicy = FOREVER,
        tell: Callable[[Event, ApiKey, ConfigurationError | None], object] | None = None,
    ) -> None:
        """Start with *key*, loaded now; all else is as with :class:`Refreshed`."""
        super().__init__(key, reload, policy=policy, tell=tell)
        self._accepted = -math.inf
        self._refusal: tuple[ApiKey | None, float] = (None, -math.inf)
        self.forget_threads()

    def accepted(self, began: float) -> None:
        """Take note that Twilio accepted the key in a request that *began* then (monotonic)."""
        self._accepted = max(self._accepted, began)

    def instead_of(self, refused: ApiKey, *, may_wait: bool) -> Instead:
        """Return another key than the one that Twilio *refused*, looked for now if need be.

        If it *may_wait*, it is looked for again until the time of the policy is up, which begins
        with the first refusal of this key: one that stays away must not hold every request. Nobody
        waits while Twilio accepts the key elsewhere: then the key is not what is wrong.
        """
        since = self._first_refusal(refused)
        for step in self._search(refused, since if may_wait else -math.inf):
            if step == "look":
                self._looking.outcome()
            elif step == "join":
                self._looking.landed()
            else:
                time.sleep(step)
        return self._found(refused, since, may_wait=may_wait)

    async def instead_of_async(self, refused: ApiKey, *, may_wait: bool) -> Instead:
        """Return the same without keeping the event loop."""
        since = self._first_refusal(refused)
        for step in self._search(refused, since if may_wait else -math.inf):
            if step == "look":
                await self._looking.outcome_async()
            elif step == "join":
                await self._looking.landed_async()
            else:
                await asyncio.sleep(step)
        return self._found(refused, since, may_wait=may_wait)

    def forget_threads(self) -> None:
        """Take new locks in a forked child: the threads that hold the old ones are not here."""
        super().forget_threads()
        self._lock = threading.Lock()
        self._waiting = 0

    def _search(self, refused: ApiKey, since: float) -> Iterator[float | Literal["look", "join"]]:
        """Yield what to do until there is another key or no hope; a number is seconds to pause.

        Those who wait share each look, so that a place is asked twice in a second at most.
        """
        if self._other(refused) or self._reload is None or self._looking.is_made_here:
            return
        yield from self._shared_look(refused)
        end = since + self.policy.wait
        if _clock() >= end or not self._takes_place():
            return
        try:
            while not self._other(refused) and self._accepted < since and _clock() < end:
                yield min(LOOK * random.uniform(0.5, 1.0), max(0.01, end - _clock()))  # noqa: S311
                yield from self._shared_look(refused)
        finally:
            with self._lock:
                self._waiting -= 1

    def _shared_look(self, refused: ApiKey) -> Iterator[Literal["look", "join"]]:
        """Yield what to do to share the look of this moment; requests that begin wait for it."""
        yield "join"
        if self._other(refused) or not self._is_time_to_look():
            return
        try:
            self.doubt()
            yield "look"
        finally:
            self.trust()

    def _first_refusal(self, refused: ApiKey) -> float:
        """Return since when Twilio has refused this key, without accepting it in between."""
        with self._lock:
            key, since = self._refusal
            if key is None or not key.is_same_as(refused) or self._accepted > since:
                self._refusal = (refused, since := _clock())
            return since

    def _found(self, refused: ApiKey, since: float, *, may_wait: bool) -> Instead:
        is_sought = may_wait and self._reload is not None and self.policy.wait
        return Instead(self._other(refused), _clock() - since if is_sought else 0.0)

    def _takes_place(self) -> bool:
        with self._lock:
            if self._waiting >= MAX_WAITING:
                return False
            self._waiting += 1
            return True

    def _other(self, refused: ApiKey) -> ApiKey | None:
        key = self.current()
        return None if key is refused or key.is_same_as(refused) else key

    def _checked(self, before: ApiKey, after: ApiKey) -> ApiKey | ConfigurationError:
        return after if after.account_sid == before.account_sid else _other_account(after)

    def _is_same(self, before: ApiKey, after: ApiKey) -> bool:
        return after.is_same_as(before)


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
