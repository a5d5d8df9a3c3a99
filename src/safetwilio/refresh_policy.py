"""How old a key may be, and how long anything waits for another one: three environment variables.

All are seconds, a number above 0; ``off`` is for the first and the last.
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, NamedTuple

from safetwilio.errors import BackendUnavailable
from safetwilio.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Mapping

AGE, WAIT, STALE = (
    "SAFETWILIO_REFRESH_AGE",
    "SAFETWILIO_REFRESH_WAIT",
    "SAFETWILIO_MAX_STALENESS",
)
_OFF = frozenset({"off", "never", "no"})


class RefreshPolicy(NamedTuple):
    """When the key is loaded anew; all in seconds.

    A key of *age* is looked for again. A request that Twilio refused waits at most *wait* for
    another key. A key that could not be looked for longer than *stale* is used no more.
    """

    age: float = 300.0
    wait: float = 5.0
    stale: float = 86_400.0

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> tuple[RefreshPolicy, tuple[Problem, ...]]:
        """Return what *environment* says, and ST226 for each thing that is no such number."""
        default = cls()
        found: list[float] = []
        problems: list[Problem] = []
        for name, usual in zip((AGE, WAIT, STALE), default, strict=True):
            text = environment.get(name, "").strip().lower()
            seconds = usual if not text else _seconds(text, may_be_off=name != WAIT)
            if seconds is None:
                problems.append(_no_seconds(name, usual, may_be_off=name != WAIT))
            found.append(usual if seconds is None else seconds)
        policy = cls(*found)
        if not problems and policy.stale < policy.age < math.inf:
            problems.append(_too_short(policy))
        return policy, tuple(problems)


def _seconds(text: str, *, may_be_off: bool) -> float | None:
    if may_be_off and text in _OFF:
        return math.inf
    try:
        seconds = float(text)
    except ValueError:
        return None
    return seconds if 0 < seconds < math.inf else None


def _no_seconds(name: str, usual: float, *, may_be_off: bool) -> Problem:
    off = ", or off" if may_be_off else ""
    return Problem(
        code="ST226",
        summary=f"{name} is not a number of seconds.",
        found_in=(f"env {name}",),
        fix=f"Set it to a number above 0 ({usual:g} without it){off}.",
    )


def _too_short(policy: RefreshPolicy) -> Problem:
    return Problem(
        code="ST226",
        summary=f"{STALE} is less than {AGE}.",
        found_in=(f"{policy.stale:g} seconds, and {policy.age:g} seconds",),
        fix="Each key would be too old before it is looked for again. Set the first to several "
        "times the second.",
    )


FOREVER = RefreshPolicy(age=math.inf, wait=0.0, stale=math.inf)
"""Of what nobody else can replace: it is looked for only on demand, and nobody waits."""


def too_old(loaded_at: float, why: tuple[Problem, ...]) -> BackendUnavailable:
    """Return the error (ST341) that what was *loaded_at* that epoch is used no more, and *why*."""
    since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(loaded_at))
    return BackendUnavailable(
        [
            Problem(
                code="ST341",
                summary="What was loaded could not be looked for too long, and is used no more.",
                found_in=(f"it was loaded at {since}",),
                fix="Mend what is below, and the program goes on by itself. The variable "
                f"{STALE} says how long it does without.",
            ),
            *why,
        ]
    )
