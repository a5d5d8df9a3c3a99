"""No Twilio secret in what leaves the process as text.

Every secret is registered as it is read (:func:`register`); :func:`install` puts the search for
them into the *sinks*: the standard ``logging`` and, as soon as it is imported, Sentry's SDK.
Secrets are shown as ``[TWILIO:secret:7J4HRQRE]``: the kind and the fingerprint.
"""

from __future__ import annotations

import logging
import os
from threading import RLock
from typing import TYPE_CHECKING, Literal, NamedTuple

from safetwilio.redaction.engine import redact, redact_bytes
from safetwilio.redaction.registry import Kind, fingerprint, register, retire
from safetwilio.redaction.sinks import SINKS, sentry
from safetwilio.redaction.sinks._on_import import OnImport

if TYPE_CHECKING:
    from safetwilio.redaction.sinks import Sink

__all__ = [
    "Kind",
    "SinkHealth",
    "State",
    "fingerprint",
    "health",
    "install",
    "redact",
    "redact_bytes",
    "register",
    "retire",
    "uninstall",
]

SWITCH = "SAFETWILIO_REDACT"
State = Literal["active", "waiting", "fallback", "failed", "off"]

_log = logging.getLogger(__name__)
_lock = RLock()


class SinkHealth(NamedTuple):
    """How one sink is: its *name*, its *state*, and a *detail* for people.

    ``active`` redacts, as its self-test has shown; ``waiting`` will as soon as its library is
    imported; ``fallback`` uses public hooks that see less; ``failed`` does nothing; ``off`` was
    switched off or never installed.
    """

    name: str
    state: State
    detail: str


_NOT_INSTALLED = "not installed"
_SWITCHED_OFF = f"switched off by {SWITCH}=off"
_health = {name: SinkHealth(name, "off", _NOT_INSTALLED) for name in SINKS}


def install(*, strict: bool = False) -> tuple[SinkHealth, ...]:
    """Redact Twilio secrets in ``logging`` and Sentry, and return the health of each sink.

    Sentry is never imported: when it is not there yet, its sink waits for the import. Installing
    twice is harmless. Each sink tests itself with a random canary; one that fails is logged as
    an error and falls back to public hooks. With *strict* it is also raised.
    ``SAFETWILIO_REDACT=off`` makes this do nothing but log a warning (ST704).

    :raises RedactionError: ST701, with *strict*, when a sink failed its self-test.
    """
    if os.environ.get(SWITCH, "").strip().lower() == "off":
        return _switch_off()
    for name, sink in SINKS.items():
        _install_or_wait(name, sink)
    bad = [h for h in health() if h.state in {"fallback", "failed"}]
    if strict and bad:
        from safetwilio.errors import RedactionError

        raise RedactionError(_complaint(bad[0]), code="ST701")
    return health()


def uninstall() -> None:
    """Restore what :func:`install` has changed; registered secrets stay registered."""
    with _lock:
        _sentry_import.stop()
        for name, sink in SINKS.items():
            sink.uninstall()
            _health[name] = SinkHealth(name, "off", _NOT_INSTALLED)


def health() -> tuple[SinkHealth, ...]:
    """Return how each sink is; Sentry's is installed anew if its library was imported anew."""
    if _health["sentry"].state == "active" and sentry.is_stale():
        _install_or_wait("sentry", sentry)
    return tuple(_health.values())


def _switch_off() -> tuple[SinkHealth, ...]:
    with _lock:
        known = all(h.detail == _SWITCHED_OFF for h in _health.values())
        uninstall()
        for name in SINKS:
            _health[name] = SinkHealth(name, "off", _SWITCHED_OFF)
    if not known:
        _log.warning(
            "[ST704] %s=off: Twilio secrets are not masked in logs and Sentry events.", SWITCH
        )
    return health()


def _install_or_wait(name: str, sink: Sink) -> None:
    if sink.available() or not _wait_for(name, sink):
        _install(name, sink)


def _wait_for(name: str, sink: Sink) -> bool:
    """Return ``True`` when the sink now waits, ``False`` when its library has just come.

    The lock is not held while asking, for that may wait for another thread's import, which in
    its turn would wait for the lock.
    """
    with _lock:
        _sentry_import.wait()
        _health[name] = SinkHealth(name, "waiting", "its library is not imported yet")
    return not sink.available()


def _install(name: str, sink: Sink) -> None:
    import hmac  # noqa: F401 - for fingerprints, which may first be needed at exit

    with _lock:
        _health[name] = _install_and_check(name, sink)
    if _health[name].state != "active":
        _log.error("[ST701] %s", _complaint(_health[name]))


def _install_and_check(name: str, sink: Sink) -> SinkHealth:
    reason = "its self-test found a canary unmasked"
    try:
        sink.install()
        if sink.check():
            return SinkHealth(name, "active", "self-test passed")
    except Exception as error:  # noqa: BLE001 - the application must start nevertheless
        reason = f"its self-test raised {type(error).__name__}"
    try:
        sink.uninstall()
        sink.fall_back()
    except Exception as error:  # noqa: BLE001 - as above
        return SinkHealth(name, "failed", f"{reason}; its fallback {type(error).__name__}")
    return SinkHealth(name, "fallback", reason)


def _complaint(bad: SinkHealth) -> str:
    hides = "public hooks that see less are in use" if bad.state == "fallback" else "it is off"
    return f"Redaction of {bad.name} does not work ({bad.detail}); {hides}."


def _after_fork() -> None:
    """Take a new lock in a child: the old one may be held by a thread that is gone."""
    global _lock  # noqa: PLW0603 - as above
    _lock = RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)

_sentry_import = OnImport(sentry.MODULE, lambda: _install("sentry", sentry))
