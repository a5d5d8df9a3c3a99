"""A rotation that several processes may carry out at once, as events that come twice make them.

Each makes a key of the run's name, and the place takes one of them. Who comes second deletes its
own key, and nobody deletes another's by its name alone: it may be on its way to the place.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from typing_extensions import override

from safetwilio.admin.keys import delete_key, list_keys
from safetwilio.credentials import mask
from safetwilio.errors import AccountOperationError, SafeTwilioError
from safetwilio.rotation.keys import KNOWN_WITHIN, KeyRotation

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from safetwilio.admin.keys import KeySummary
    from safetwilio.clients.rest import TwilioClient
    from safetwilio.rotation.places import Held
    from safetwilio.runbook.keeping import Clock

SETTLED_AFTER = timedelta(hours=1)
"""After this no process is left that could put a key into its place that it made before.

Nor one that uses a key which another replaced so long ago: its users have looked since.
"""
_SETTLES_WITHIN = 10.0
_PAUSE = 1.0


class SharedRotation(KeyRotation):
    """The rotation of one key by this process, and maybe by others at the same time."""

    @override
    def _clear(self, orphans: Collection[str]) -> None:
        """Leave them to :func:`orphans`, when nobody can be at it any more."""

    @override
    def _make(self, held: Held, orphans: set[str]) -> Held:
        failure: SafeTwilioError
        try:
            return super()._make(held, orphans)
        except SafeTwilioError as error:
            failure = error.with_traceback(None)
        made = {entry.facts["sid"] for entry in self._noted("created")}
        theirs: Held | None = None
        with suppress(SafeTwilioError):  # what it failed with matters more
            theirs = self._settled_on(made) if made else None
        if theirs is None:
            raise failure
        if theirs.key.sid not in made:
            self._say(f"Another process put {mask('key', theirs.key.sid)} there for the same run")
        return theirs

    def _settled_on(self, ours: set[str]) -> Held | None:
        """Return what the place holds if it is a key of this run, which may be that of another.

        Who came second takes its key back out of the place, so one of *ours* may come again.
        """
        end = self._clock.now() + _SETTLES_WITHIN
        while True:
            held, mine = self.place.held(), self._mine()
            if held.key.sid in ours:
                return held
            if not ours & mine or self._clock.now() >= end:
                return held if held.key.sid in mine else None
            self._clock.wait(_PAUSE)


def discard(
    client: TwilioClient, sids: Collection[str], *, say: Callable[[str], None], clock: Clock
) -> None:
    """Delete the keys *sids*, and wait until Twilio lists them no more.

    Raises :class:`AccountOperationError` (ST6xx; ST628 if it lists one still).
    """
    for sid in sorted(sids):
        say(f"Deleting the key {mask('key', sid)}")
        delete_key(client, sid)
    end = clock.now() + KNOWN_WITHIN
    while left := set(sids) & {key.sid for key in list_keys(client)}:
        if clock.now() >= end:
            raise AccountOperationError(
                f"Twilio still lists the deleted key {mask('key', min(left))} after "
                f"{KNOWN_WITHIN:.0f} seconds. Look in the Console whether it is there, and delete "
                "it.",
                code="ST628",
            )
        clock.wait(_PAUSE)


def orphans(
    client: TwilioClient, prefix: str, kept: Collection[str], *, age: timedelta = SETTLED_AFTER
) -> set[str]:
    """Return the keys whose names begin with *prefix*, which are none of *kept* and of that *age*.

    No place holds them: what made them heard no answer, or was killed.
    """
    before = datetime.now(UTC) - age
    return {
        key.sid
        for key in list_keys(client)
        if key.name.startswith(prefix)
        and key.sid not in kept
        and (not age or (key.created is not None and key.created < before))
    }


def outlived(
    keys: Iterable[KeySummary],
    left: Mapping[str, datetime | None],
    since: datetime | None,
    prefix: str,
) -> set[str]:
    """Return which of *keys* left their place so long ago that nobody uses them any more.

    *left* says when each of them did, ``None`` for nobody knows. Another one whose name begins with
    *prefix* had left by *since*, or never was there; it has to be old itself, or it may be on its
    way. Both times are what the place says. Twilio's alone would not do: a key may come to its
    place hours after it was made, and an older one come back. What is not known is not outlived:
    a key that lives too long does no harm.
    """
    before = datetime.now(UTC) - SETTLED_AFTER
    found = set()
    for key in keys:
        if key.sid in left:
            when = left[key.sid]
        elif since is None or key.created is None or not key.name.startswith(prefix):
            continue
        else:
            when = max(since, key.created)
        if when is not None and when < before:
            found.add(key.sid)
    return found
