"""Where an account may send messages, as far as that was changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from safetwilio.testing.assumptions import geo as assumed
from safetwilio.testing.resources.countries import UNSUPPORTED, countries, permission_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from safetwilio.testing.state import World


class MessagingGeo:
    """The geo permissions of an account's messages; a subaccount's are its parent's at first."""

    def __init__(self, world: World, parent: MessagingGeo | None) -> None:
        """Start unchanged; *parent* is ``None`` for an account that is no subaccount."""
        self._world = world
        self._parent = parent
        self._changed: dict[str, bool] | None = None

    @property
    def inherited(self) -> bool:
        """Whether they are the parent's, since they were never changed."""
        inherits = self._world.assumptions[assumed.MESSAGING_GEO_SUBACCOUNTS] == "inherit"
        return self._parent is not None and self._changed is None and inherits

    @property
    def changed(self) -> Mapping[str, bool]:
        """Which countries were enabled or disabled, by ISO code, here or where it inherits from."""
        if self._parent is not None and self.inherited:
            return self._parent.changed
        return self._changed or {}

    def permit(self, country: str, *, enabled: bool) -> None:
        """Enable or disable messages to *country*, an ISO code such as ``"PK"``.

        The API can do so too, but high-risk countries are changed here only, as the real ones are
        in Twilio's Console only, and so is what a subaccount inherits. Raises ``ValueError`` for a
        country that Twilio does not serve.
        """
        if country not in countries() or country in UNSUPPORTED:
            raise ValueError(f"{country!r} is no country that can be sent to")
        with self._world.lock:
            listed = permission_of(self._world.assumptions, country)
            self._changed = {**self.changed, listed: enabled}
