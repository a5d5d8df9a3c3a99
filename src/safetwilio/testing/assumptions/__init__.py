"""What nobody has confirmed about the real Twilio, each as a named switch.

Every other behaviour of the emulator comes from a cited fact or from Twilio's OpenAPI files.
A program that works against the emulator under every choice listed here does not rely on a guess:
``for overrides in every_choice(): Emulator(assumptions=overrides)``.

``docs/assumptions.md`` is this file as a table. No live account was asked: when one is, turn what
it confirms into a cited fact, and delete the switch.

One file an area; a switch is named where it is read: ``assumed.messages.LONG_BODY_CODE``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from safetwilio.testing.assumptions import (
    calls,
    credentials,
    events,
    geo,
    messages,
    numbers,
    propagation,
    requests,
    services,
    usage,
)
from safetwilio.testing.assumptions.assumption import Assumption, Choice

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["ASSUMPTIONS", "Assumption", "Choice", "choose", "every_choice", "overrides_in"]

_AREAS = (
    credentials,
    propagation,
    requests,
    messages,
    geo,
    usage,
    events,
    numbers,
    services,
    calls,
)

ASSUMPTIONS: tuple[Assumption, ...] = tuple(
    value for area in _AREAS for value in vars(area).values() if isinstance(value, Assumption)
)
_BY_NAME = {assumption.name: assumption for assumption in ASSUMPTIONS}


def choose(overrides: Mapping[str, Choice]) -> dict[Assumption, Choice]:
    """Return the choice made for every assumption, the default unless *overrides* names another.

    Raises ``ValueError`` for a name or a choice that does not exist.
    """
    chosen: dict[Assumption, Choice] = {each: each.default for each in ASSUMPTIONS}
    for name, choice in overrides.items():
        if name not in _BY_NAME:
            raise ValueError(f"no assumption is called {name!r}; there are {sorted(_BY_NAME)}")
        if choice not in _BY_NAME[name].choices:
            raise ValueError(f"{name} is one of {_BY_NAME[name].choices}, not {choice!r}")
        chosen[_BY_NAME[name]] = choice
    return chosen


def overrides_in(words: Iterable[str]) -> dict[str, Choice]:
    """Return the overrides that *words* such as ``suspended_status=403`` name.

    Raises ``ValueError`` for a name or a choice that does not exist.
    """
    overrides: dict[str, Choice] = {}
    for word in words:
        name, _, text = word.partition("=")
        known = _BY_NAME.get(name)
        if known is None:
            names = ", ".join(sorted(_BY_NAME))
            raise ValueError(f"no assumption has that name; there are {names}")
        choices = {str(choice).lower(): choice for choice in known.choices}
        if text.lower() not in choices:
            raise ValueError(f"{name} is one of {', '.join(choices)}")
        overrides[name] = choices[text.lower()]
    return overrides


def every_choice() -> list[dict[str, Choice]]:
    """Return overrides for the emulator: none, then each choice that is not a default, alone."""
    return [
        {},
        *(
            {assumption.name: choice}
            for assumption in ASSUMPTIONS
            for choice in assumption.choices
            if choice != assumption.default
        ),
    ]
