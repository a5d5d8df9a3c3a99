"""What may happen to a fleet when a key is replaced."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from safetwilio import refreshed
from safetwilio.refresh_policy import RefreshPolicy
from scale_model.world import FREE, Limits, Plan

if TYPE_CHECKING:
    from collections.abc import Mapping

POLICY = RefreshPolicy()
AT = 10.0  # seconds from the start until it happens
LATE = 10.0
OUTAGE = 60.0
_FIRST_DUE = POLICY.age * (1 - refreshed._EARLY)  # noqa: SLF001 - what the figures depend on


class Scenario(NamedTuple):
    """What happens, with *changes* of a plan; it begins *at* that moment.

    Before *counted*, no read reaches the place.
    """

    name: str
    changes: Mapping[str, object]
    at: float = AT
    counted: float = 0.0

    def plan(self, processes: int, limits: Limits = FREE) -> Plan:
        """Return the plan for so many."""
        return Plan(processes, **{"put": AT, "limits": limits, **self.changes})  # type: ignore[arg-type]


_BACK = AT + OUTAGE
_DOWN = {"down": (AT, _BACK)}
_DELETED = {"deleted": AT, "until": AT + 60}
SCENARIOS = (
    Scenario("a  both keys live, by age", {"is_deploy": True, "until": 330}),
    Scenario("a  the same, no jitter", {"is_deploy": True, "until": 330, "has_jitter": False}),
    Scenario("b  old key deleted, 0.1 requests/s", {"deleted": AT, "until": 150, "rate": 0.1}),
    Scenario("b  old key deleted, 1 request/s", _DELETED),
    Scenario("b  old key deleted, 10 requests/s", {**_DELETED, "rate": 10.0}),
    Scenario("b  new key 10 s late, 1 request/s", {**_DELETED, "put": AT + LATE}),
    Scenario("c  refresh() in all at once", {"pushed": AT, "until": AT + 60}),
    Scenario("c  a signal to all at once", {"pushed": AT, "until": AT + 60, "by_signal": True}),
    Scenario(
        "d  place down 60 s, both keys live",
        {"is_deploy": True, "until": 420, "down": (_FIRST_DUE, _FIRST_DUE + OUTAGE)},
        at=_FIRST_DUE,
        counted=_FIRST_DUE + OUTAGE,
    ),
    Scenario(
        "d  down 60 s, a signal to all",
        {**_DOWN, "pushed": AT, "by_signal": True, "until": _BACK + 60},
        counted=_BACK,
    ),
    Scenario(
        "d  down 60 s, old key deleted",
        {**_DOWN, "deleted": AT, "until": _BACK + 30},
        counted=_BACK,
    ),
    Scenario(
        "d  503 for 60 s, old key deleted",
        {**_DOWN, "deleted": AT, "until": _BACK + 30, "answers_503": True},
    ),
    Scenario("e  cold start of all", {"is_cold": True, "put": 0.0, "until": 60}, at=0.0),
)
