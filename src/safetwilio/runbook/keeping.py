"""A new secret reaches its place, or is safe until it does.

Twilio shows a secret once. Here it is between that moment and the one at which its place confirms
that it is there: a write whose answer is lost may have happened, so nothing is taken back before
the place was read.
"""

from __future__ import annotations

import contextvars
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from safetwilio.errors import AccountOperationError, BackendUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pydantic import SecretStr

CONFIRMED_WITHIN = 5.0
"""Seconds without a confirmation after which the secret is sealed."""
PATIENCE = 60.0
"""Seconds after which nobody tries any longer."""
_PAUSE = 1.0


class NotKept(Exception):
    """The secret is not in its place, for certain, and *reason* says why."""

    def __init__(self, reason: Exception) -> None:
        """Carry *reason* out, which is raised in its place."""
        super().__init__()
        self.reason = reason


class Clock:
    """The time, and how it is passed; tests have another."""

    def now(self) -> float:
        """Return seconds that only grow."""
        return time.monotonic()

    def wait(self, seconds: float) -> None:
        """Let *seconds* pass."""
        time.sleep(seconds)

    def is_so_within(self, seconds: float, is_so: Callable[[], bool]) -> bool:
        """Return whether *is_so* returns true within *seconds*; it is asked once a second."""
        end = self.now() + seconds
        while not is_so():
            if self.now() >= end:
                return False
            self.wait(_PAUSE)
        return True


class Sealed:
    """Where a secret waits that could not be kept; this one is nowhere, for nobody gave a way."""

    def seal(self, fields: Mapping[str, SecretStr]) -> None:
        """Keep *fields*."""

    def unseal(self) -> Mapping[str, SecretStr] | None:
        """Return what an earlier process kept, ``None`` if there is nothing that can be opened."""

    def forget(self) -> None:
        """Delete what was kept."""


def keep(
    save: Callable[[], object],
    is_kept: Callable[[], bool],
    seal: Callable[[], object],
    *,
    say: Callable[[str], None],
    clock: Clock,
) -> None:
    """*save* a new secret and return once its place has confirmed it.

    *is_kept* reads the place; *seal* is called once if there is no confirmation within
    :data:`CONFIRMED_WITHIN`. What may pass is tried again for :data:`PATIENCE` seconds. Raises
    :class:`NotKept` if the secret is not there and cannot come there, and
    :class:`AccountOperationError` (ST625) if nobody can tell.
    """
    began = clock.now()
    is_sealed = is_unclear = False
    attempt = _Attempt(save)
    while (error := attempt.outcome(CONFIRMED_WITHIN)) is not None:
        if not isinstance(error, (BackendUnavailable, _Pending)):
            clock.wait(CONFIRMED_WITHIN if is_unclear else 0)
            if _settled(is_kept):
                return
            if not is_unclear:
                raise NotKept(error)
            # An earlier write may land still: what it carries must not be dead by then.
            say(f"The place refuses the secret now: {getattr(error, 'code', type(error).__name__)}")
            break
        waited = clock.now() - began
        if waited >= CONFIRMED_WITHIN and not is_sealed:
            is_sealed = True
            _seal(seal, say)
        if waited >= PATIENCE:
            break
        say("The place of the key does not answer; trying again")
        clock.wait(_PAUSE)
        if not isinstance(error, _Pending):
            if _may_be_kept(is_kept):
                return
            is_unclear = True
            attempt = _Attempt(save)
    else:
        return
    if not is_sealed:
        _seal(seal, say)
    raise _unconfirmed()


def _seal(seal: Callable[[], object], say: Callable[[str], None]) -> None:
    """*seal*, or *say* that it failed: the place may take the secret still, and is tried on."""
    try:
        seal()
    except Exception as error:  # noqa: BLE001 - none is worse than to stop trying
        reason = getattr(error, "strerror", None) or type(error).__name__
        say(f"The new secret could not be sealed: {reason}")


def _settled(is_kept: Callable[[], bool]) -> bool:
    """Return whether the secret is in its place, or raise ST625 if it cannot be read."""
    found: bool | None = None
    with suppress(Exception):  # a plug-in may raise anything, and nobody can tell in any case
        found = is_kept()
    if found is None:
        raise _unconfirmed()
    return found


def _may_be_kept(is_kept: Callable[[], bool]) -> bool:
    """Return whether the secret is known to be in its place: an earlier answer may be lost."""
    with suppress(Exception):
        return is_kept()
    return False


class _Pending(Exception):
    """The place has not answered yet."""


class _Attempt:
    """One try to save, in a thread of its own: a plug-in may never come back."""

    def __init__(self, save: Callable[[], object]) -> None:
        self._error: Exception | None = None
        context = contextvars.copy_context()
        self._thread = threading.Thread(target=context.run, args=(self._run, save), daemon=True)
        self._thread.start()

    def _run(self, save: Callable[[], object]) -> None:
        try:
            save()
        except Exception as error:  # noqa: BLE001 - it is raised where it can be told
            self._error = error.with_traceback(None)

    def outcome(self, seconds: float) -> Exception | None:
        """Return the error it ended with, ``None`` if it is done; wait for *seconds* at most."""
        self._thread.join(seconds)
        return _Pending() if self._thread.is_alive() else self._error


def _unconfirmed() -> AccountOperationError:
    return AccountOperationError(
        "Nobody can tell whether the new secret reached its place, which does not answer. Nothing "
        "was deleted: the old one works. Run the same command again once the place answers; it "
        "finds out and goes on.",
        code="ST625",
    )
