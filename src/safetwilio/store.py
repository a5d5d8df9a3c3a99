"""The current credentials of one account: one immutable snapshot, replaced whole.

A reader takes the reference once, so a key SID never meets another version's secret.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from safetwilio.credentials import ApiKey


class CredentialStore:
    """Holds the key that clients use from their next request on."""

    __slots__ = ("_snapshot",)

    def __init__(self, key: ApiKey) -> None:
        """Start with *key*, loaded now."""
        self._snapshot = (key, time.time())

    def current(self) -> ApiKey:
        """Return the key to use now."""
        return self._snapshot[0]

    @property
    def loaded_at(self) -> float:
        """When the current key was loaded, in seconds since the epoch (wall clock)."""
        return self._snapshot[1]
