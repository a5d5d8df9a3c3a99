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
from typing import TYPE_CHECKING, NamedTuple

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
        seen: Callable[[], object] | None = None,
    ) -> None:
        """Start with *key*, loaded now; all else is as with :class:`Refreshed`."""
        super().__init__(key, reload, policy=policy, tell=tell, seen=seen)
        self._accepted = -math.inf
        self._refusal: tuple[ApiKey | None, float, bool] = (None, -math.inf, False)
        self.forget_threads()

    def accepted(self, began: float) -> None:
        """Take note that Twilio accepted the key in a request that *began* then (monotonic)."""
        self._accepted = max(self._accepted, began)

    def instead_of(self, refused: ApiKey, *, may_wait: bool) -> Instead:
        """Return another key than the one that Twilio *refused*, looked for now if need be.

        If it *may_wait*, it is looked for again until the time of the policy is up, which begins
        with the first refusal of this key: one that stays away must not hold every request. After
        that it is looked for in the background. Nobody waits long for a key that Twilio accepts
        elsewhere, or accepted after it had refused it: then the key is not what is wrong.
        """
        for is_pause, seconds in self._search(refused, may_wait=may_wait):
            if is_pause:
                time.sleep(seconds)
            else:
                self._looking.landed(seconds)
        return self._found(refused, may_wait=may_wait)

    async def instead_of_async(self, refused: ApiKey, *, may_wait: bool) -> Instead:
        """Return the same without keeping the event loop."""
        for is_pause, seconds in self._search(refused, may_wait=may_wait):
            if is_pause:
                await asyncio.sleep(seconds)
            else:
                await self._looking.landed_async(seconds)
        return self._found(refused, may_wait=may_wait)

    def forget_threads(self) -> None:
        """Take new locks in a forked child: the threads that hold the old ones are not here."""
        super().forget_threads()
        self._lock = threading.Lock()
        self._waiting = 0

    def _search(self, refused: ApiKey, *, may_wait: bool) -> Iterator[tuple[bool, float]]:
        """Yield what to wait for, until there is another key or no hope.

        It is a pause of so many seconds, or else the look that is under way, for so many at most.
        All share each look, so that a place is asked twice in a second at most.
        """
        if self._other(refused) or self._reload is None or self._looking.is_made_here:
            return
        since, is_odd = self._first_refusal(refused)
        end = since + self.policy.wait
        if not may_wait or _clock() >= end:
            if self._is_time_to_look():
                self._looking.in_background()
            return
        if not self._takes_place():
            return
        try:
            while True:
                self._look_aside()
                yield False, max(0.01, end - _clock())
                self.trust()
                if is_odd or self._is_settled(refused, since, end):
                    return
                yield True, min(LOOK * random.uniform(0.5, 1.0), max(0.01, end - _clock()))  # noqa: S311
                if self._is_settled(refused, since, end):
                    return
        finally:
            self.trust()
            with self._lock:
                self._waiting -= 1

    def _look_aside(self) -> None:
        """Look in a thread of its own if it is time; requests that begin meanwhile wait for it."""
        if self._is_time_to_look():
            self.doubt()
            self._looking.in_background()

    def _is_settled(self, refused: ApiKey, since: float, end: float) -> bool:
        return self._other(refused) is not None or self._accepted >= since or _clock() >= end

    def _first_refusal(self, refused: ApiKey) -> tuple[float, bool]:
        """Return since when Twilio has refused this key, and whether it accepted it in between."""
        with self._lock:
            key, since, is_odd = self._refusal
            if key is None or not key.is_same_as(refused):
                self._refusal = (refused, since := _clock(), is_odd := False)
            elif self._accepted > since:
                self._refusal = (refused, since := _clock(), is_odd := True)
            return since, is_odd

    def _found(self, refused: ApiKey, *, may_wait: bool) -> Instead:
        other = self._other(refused)
        if other is not None or not may_wait or not self._reload or not self.policy.wait:
            return Instead(other, 0.0)
        return Instead(None, max(0.0, _clock() - self._refusal[1]))

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
