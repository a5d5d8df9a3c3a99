"""A request on its way through the emulator: who calls, about which account, with what."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from safetwilio.testing.assumptions import Assumption, Choice
    from safetwilio.testing.exchange import EmulatedRequest
    from safetwilio.testing.records import Key
    from safetwilio.testing.state import Account, World

FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True)
class Caller:
    """Whose credentials came with the request: an account's token, or its *key*."""

    account: Account
    key: Key | None

    @property
    def strength(self) -> str:
        """``"token"`` or the kind of the key."""
        return self.key.kind if self.key else "token"


@dataclass(frozen=True)
class Call:
    """An admitted request; *account* is the one it acts on, *sids* what its path names, by name."""

    world: World
    request: EmulatedRequest
    caller: Caller
    account: Account
    sids: Mapping[str, str] = field(default_factory=dict)
    form: Mapping[str, list[str]] = field(default_factory=dict, repr=False)

    @property
    def sid(self) -> str:
        """What the path calls ``Sid``: the resource itself, an empty string on a list."""
        return self.sids.get("Sid", "")

    @property
    def query(self) -> dict[str, str]:
        """The parameters of the query, the last of each name."""
        return dict(self.request.query)

    def assumed(self, assumption: Assumption) -> Choice:
        """Return the choice this emulator makes for *assumption*."""
        return self.world.assumptions[assumption]

    def get(self, name: str) -> str:
        """Return the form parameter *name*, the last if repeated, or an empty string."""
        return self.form.get(name, [""])[-1]

    def has(self, name: str) -> bool:
        """Return whether the form has the parameter *name*, be it empty."""
        return name in self.form


def read_form(request: EmulatedRequest) -> dict[str, list[str]]:
    """Return the parameters in the body of *request*; a body of another type has none."""
    if not request.headers.get("content-type", FORM).startswith(FORM):
        return {}
    return parse_qs(request.body.decode("utf-8", "replace"), keep_blank_values=True)
