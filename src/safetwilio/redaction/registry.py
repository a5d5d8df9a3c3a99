"""Which strings of this process are secret.

Writers take a lock and publish a new immutable snapshot; readers take the current snapshot without
one, so secrets can be added and retired while other threads log, and a forked child has them all.
"""

from __future__ import annotations

import os
from threading import Lock
from typing import TYPE_CHECKING

from safetwilio.redaction import engine
from safetwilio.redaction.engine import Choices, Kind
from safetwilio.redaction.fingerprints import SHORT, fingerprint, has_fingerprint

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    _Known = dict[str, tuple[Kind, str]]
    _Change = Callable[[_Known], _Known]

__all__ = ["SHORT", "Kind", "Registry", "choose", "fingerprint", "register", "registry", "retire"]

SHORTEST = 16


class Registry:
    """The secrets of this process; there is one, :data:`registry`."""

    def __init__(self) -> None:
        """Start empty."""
        self._lock = Lock()
        self._known: dict[str, tuple[Kind, str]] = {}
        self._choices = Choices()

    def __repr__(self) -> str:
        known = sorted(f"{kind} {label}" for kind, label in self._known.copy().values())
        return f"<Registry of {len(known)} values{': ' if known else ''}{', '.join(known)}>"

    def register(self, value: str, kind: Kind) -> str:
        """Hide *value* from now on, as a secret of *kind*, and return its fingerprint."""
        if len(value) < SHORTEST:
            from safetwilio.errors import RedactionError

            raise RedactionError(
                f"A {kind} of {len(value)} characters cannot be hidden: so short a string stands "
                f"in other texts by chance. The shortest that can has {SHORTEST}.",
                code="ST702",
            )
        label = fingerprint(value) if has_fingerprint(value) else SHORT
        self._change(lambda known: known | {value: (kind, label)})
        return label

    def retire(self, value: str) -> None:
        """Forget *value*; it is no error when it was never registered."""
        self._change(lambda known: {v: entry for v, entry in known.items() if v != value})

    def choose(self, **choices: bool) -> None:
        """Hide also what *choices* say (see :class:`.engine.Choices`), from now on."""
        self._change(lambda known: known, choices)

    def _change(self, change: _Change, chosen: Mapping[str, bool] | None = None) -> None:
        with self._lock:
            known = change(self._known)
            choices = self._choices._replace(**chosen or {})
            if known == self._known and choices == self._choices:
                return
            pairs = [(v, engine.mask(kind, label)) for v, (kind, label) in known.items()]
            engine.publish(engine.Matcher(pairs, choices))
            self._known, self._choices = known, choices

    def after_fork(self) -> None:
        """Take a new lock in a child: the old one may be held by a thread that is gone."""
        self._lock = Lock()


registry = Registry()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=registry.after_fork)


def register(value: str, kind: Kind) -> str:
    """Hide *value* from now on, as a secret of *kind*, and return its fingerprint.

    A value of fewer than 128 bits (see :func:`fingerprint`) is hidden too, but has none: its mask
    says ``short``, and so does the return value. Registering twice is harmless.

    :raises RedactionError: ST702, when the value has fewer than 16 characters.
    """
    return registry.register(value, kind)


def retire(value: str) -> None:
    """Stop hiding *value*, which no longer opens anything; an unknown one is no error."""
    registry.retire(value)


def choose(*, mask_phone_numbers: bool | None = None, drop_bodies: bool | None = None) -> None:
    """Hide telephone numbers and bodies too, or no more; ``None`` leaves that as it is."""
    wanted = {"phone_numbers": mask_phone_numbers, "bodies": drop_bodies}
    registry.choose(**{name: value for name, value in wanted.items() if value is not None})
