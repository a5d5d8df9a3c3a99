"""No Twilio secret in what leaves the process as text.

Every secret is registered as it is read (:func:`register`); :func:`install` puts the search for
them into the *sinks*: ``logging``, uncaught exceptions, warnings and, as soon as each is imported,
Sentry's SDK, structlog, loguru, OpenTelemetry and Django's error pages.
Secrets are shown as ``[TWILIO:secret:7J4HRQRE]``: the kind and the fingerprint.
"""

from __future__ import annotations

import logging
import os
from functools import partial
from threading import RLock
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from safetwilio.redaction.engine import redact, redact_bytes
from safetwilio.redaction.registry import Kind, choose, fingerprint, register, retire
from safetwilio.redaction.sinks import ON_REQUEST, SINKS
from safetwilio.redaction.sinks._on_import import OnImport
from safetwilio.redaction.streams import RedactingStream

if TYPE_CHECKING:
    from safetwilio.redaction.sinks import Sink

__all__ = [
    "Kind",
    "RedactingStream",
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


def install(
    *,
    strict: bool | None = None,
    streams: bool = False,
    mask_phone_numbers: bool | None = None,
    drop_bodies: bool | None = None,
) -> tuple[SinkHealth, ...]:
    """Redact Twilio secrets in every sink, and return the health of each.

    No library is imported: the sink of one that is not there yet waits for its import. Installing
    twice is harmless. Each sink tests itself with a random canary; one that fails is logged as
    an error and falls back to public hooks. With *strict* it is also raised; without either value
    ``SAFETWILIO_REDACT=strict`` decides. ``SAFETWILIO_REDACT=off`` makes this do nothing but log a
    warning (ST704). *streams* also wraps ``sys.stdout`` and ``sys.stderr``, until
    :func:`uninstall`.

    *mask_phone_numbers* also hides telephone numbers in E.164, *drop_bodies* the bodies of messages
    (after ``Body=`` and ``"body":``). Neither is hidden by default; without either value that stays
    as it is, so a later ``install()`` (``boot()`` calls it) does not undo an earlier one.

    :raises RedactionError: ST701, if strict, when a sink failed its self-test.
    """
    switch = os.environ.get(SWITCH, "").strip().lower()
    if switch == "off":
        return _switch_off()
    choose(mask_phone_numbers=mask_phone_numbers, drop_bodies=drop_bodies)
    for name, sink in SINKS.items():
        if name != ON_REQUEST or streams:
            _install_or_wait(name, sink)
    bad = [h for h in health() if h.state in {"fallback", "failed"}]
    if bad and (switch == "strict" if strict is None else strict):
        from safetwilio.errors import RedactionError

        raise RedactionError(_complaint(bad[0]), code="ST701")
    return health()


def uninstall() -> None:
    """Restore what :func:`install` has changed; registered secrets stay registered."""
    choose(mask_phone_numbers=False, drop_bodies=False)
    with _lock:
        for waiting in _imports.values():
            waiting.stop()
        for name, sink in SINKS.items():
            sink.uninstall()
            _health[name] = SinkHealth(name, "off", _NOT_INSTALLED)


def health() -> tuple[SinkHealth, ...]:
    """Return how each sink is; one whose library was imported anew is installed anew."""
    for name in _imports:
        sink: Any = SINKS[name]
        state = _health[name].state
        # Installed while this thread was importing it, a sink's library has come unnoticed.
        missed = state == "waiting" and sink.available()
        if missed or (state == "active" and sink.is_stale()):
            _install_or_wait(name, sink)
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
        _imports[name].wait()
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
        if sink.fall_back is None:
            return SinkHealth(name, "failed", f"{reason}; nothing else can cover it")
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

_imports = {
    name: OnImport(module, partial(_install, name, sink))
    for name, sink in SINKS.items()
    if (module := getattr(sink, "MODULE", ""))
}
