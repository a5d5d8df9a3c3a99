"""A signal that says that secrets were replaced."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from safetwilio.errors import UsageError
from safetwilio.refreshed import expire_all

if TYPE_CHECKING:
    from types import FrameType


def refresh_on_signal(signum: int | None = None) -> None:
    """Let the signal *signum* (SIGHUP without it) make every key be looked for at its next use.

    So are the secrets of webhooks. The handler does nothing else and is safe at any moment; a
    handler that was there is called after it. Twice is once. Each process has to be sent the
    signal: gunicorn takes SIGHUP for itself, so call this in ``post_worker_init`` with another
    one, such as ``signal.SIGUSR2``.

    :raises UsageError: ST900, outside the main thread, or for a signal that cannot be handled or
        that this system does not have.
    """
    chosen = getattr(signal, "SIGHUP", None) if signum is None else signum
    if chosen is None:
        raise UsageError("This system has no SIGHUP: say which signal.", code="ST900")
    try:
        before = signal.getsignal(chosen)
        if isinstance(before, _Handler):
            return
        signal.signal(chosen, _Handler(before))
    except (OSError, TypeError, ValueError) as error:
        failure = UsageError(
            f"refresh_on_signal() is for the main thread, and for a signal that can be handled: "
            f"{type(error).__name__}.",
            code="ST900",
        )
    else:
        return
    raise failure


class _Handler:
    """Expires what was loaded, and goes on with the handler *before*."""

    def __init__(self, before: object) -> None:
        self._before = before

    def __call__(self, signum: int, frame: FrameType | None) -> None:
        expire_all()
        if callable(self._before):
            self._before(signum, frame)
