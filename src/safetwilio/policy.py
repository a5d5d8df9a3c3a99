"""What this process may do with a master credential, and where a credential may travel.

Two decisions live here because every client asks both: is the glass broken (may the master Auth
Token be used at all), and is this URL Twilio's (may an ``Authorization`` header go there).
"""

from __future__ import annotations

import contextlib
import ipaddress
import logging
import os
import sys
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from safetwilio import shapes
from safetwilio.errors import InvalidCredentials, RefusedBeforeSending, UsageError
from safetwilio.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from types import FrameType

_log = logging.getLogger("safetwilio.policy")

EMULATOR_VARIABLE = "SAFETWILIO_EMULATOR"
_HTTPS_PORT = 443
_HIGHEST_PORT = 65535


class BrokenGlass:
    """One opened break-glass block; *open* turns false when the block ends, for good."""

    __slots__ = ("open", "outer", "reason")

    def __init__(self, reason: str, outer: BrokenGlass | None = None) -> None:
        """Open a block for *reason* inside *outer*."""
        self.reason = reason
        self.outer = outer
        self.open = True

    def require_open(self) -> None:
        """Raise :class:`RefusedBeforeSending` (ST805) once the block has ended."""
        if not self.open:
            raise RefusedBeforeSending(
                "This client holds the master Auth Token and its break_glass block has ended; "
                "nothing was sent. Make the client inside the block that uses it, or use an API "
                "key: from safetwilio import client",
                code="ST805",
            )


_current: ContextVar[BrokenGlass | None] = ContextVar("safetwilio_broken_glass", default=None)


def broken_glass() -> BrokenGlass | None:
    """Return the innermost open block of this context, or ``None``.

    A task or thread that copied its context inside a block may outlive it.
    """
    glass = _current.get()
    while glass is not None and not glass.open:
        glass = glass.outer
    return glass


@contextmanager
def break_glass(*, reason: str) -> Iterator[None]:
    """Allow the master Auth Token inside this block, for *reason*, with a WARNING in the log.

    The permission belongs to the current context (thread or task). Clients made inside refuse to
    work after the block (ST805). An empty *reason* raises
    :class:`safetwilio.errors.UsageError` (ST905).
    """
    if not reason or not reason.strip():
        raise UsageError(
            "break_glass needs a reason; it is written to the log: "
            'break_glass(reason="ticket 4711: rotate the leaked token")',
            code="ST905",
        )
    frame = _caller(sys._getframe(1))  # noqa: SLF001 - who opens the block is what to log
    _log.warning(
        "Break-glass: the master Auth Token may be used by %s (%s, line %d). Reason: %s",
        frame.f_code.co_name,
        frame.f_code.co_filename,
        frame.f_lineno,
        reason,
    )
    del frame
    glass = BrokenGlass(reason, broken_glass())
    mark = _current.set(glass)
    try:
        yield
    finally:
        glass.open = False
        with suppress(ValueError):  # a framework may end a generator in another context
            _current.reset(mark)


def _caller(frame: FrameType) -> FrameType:
    """Return the first frame from *frame* up that is not contextlib's (``with``, decorator)."""
    while frame.f_code.co_filename == contextlib.__file__ and frame.f_back is not None:
        frame = frame.f_back
    return frame


def emulator_url(environment: Mapping[str, str] | None = None) -> str | None:
    """Return the emulator's base URL from ``SAFETWILIO_EMULATOR``, or ``None`` when unset.

    Only ``http://`` with a loopback IP literal and a port is accepted, so that a name that
    resolves elsewhere can never receive a credential. Raises :class:`InvalidCredentials` (ST216).
    """
    raw = (os.environ if environment is None else environment).get(EMULATOR_VARIABLE, "").strip()
    if not raw:
        return None
    if not _is_loopback_literal(raw):
        raise InvalidCredentials(
            [
                Problem(
                    code="ST216",
                    summary="The emulator's address is not a loopback IP address with a port.",
                    found_in=(f"env {EMULATOR_VARIABLE}",),
                    fix="Use the address that the emulator printed, such as "
                    "http://127.0.0.1:8910, or unset the variable to reach the real Twilio.",
                )
            ]
        )
    return raw.rstrip("/")


def name_emulator(text: str) -> str:
    """Return *text* about a request that failed, with the emulator's address for Twilio's host."""
    emulator = emulator_url()
    if emulator is None:
        return text
    words = [emulator if word.endswith(".twilio.com") else word for word in text.split(" ")]
    return " ".join(words)


def _is_loopback_literal(url: str) -> bool:
    try:
        parts = urlsplit(url)
        port = parts.port
        address = ipaddress.ip_address(parts.hostname or "")
    except ValueError:
        return False
    return (
        parts.scheme == "http"
        and address.is_loopback
        and port is not None
        and 0 < port <= _HIGHEST_PORT
        and "@" not in parts.netloc
        and parts.path in {"", "/"}
        and not parts.query
        and not parts.fragment
    )


def require_destination(url: str | None, emulator: str | None) -> None:
    """Raise :class:`RefusedBeforeSending` (ST801) unless *url* may receive a credential.

    That is ``https://*.twilio.com`` on port 443, or, when *emulator* is given, nothing but it.
    """
    text = url or ""
    if emulator is not None:
        allowed = text.startswith(emulator + "/") or text == emulator
    else:
        allowed = _is_twilio(text)
    if not allowed:
        raise _elsewhere(text, "the emulator" if emulator else "https://*.twilio.com")


def require_twilio_host(url: str) -> None:
    """Raise :class:`RefusedBeforeSending` (ST801) if *url* is not ``https://*.twilio.com``.

    For HTTP clients that are not ours and get the plain credentials; an address without a host is
    theirs to complete. In a break-glass block, which says who answers for it, ``http`` will do.
    """
    host = _host(url)
    trusted = _is_twilio(url) or (broken_glass() is not None and shapes.is_twilio_host(host or ""))
    if host is not None and not trusted:
        raise _elsewhere(url, "https://*.twilio.com")


def require_one_world(sids: Iterable[str], emulator: str | None) -> None:
    """Raise :class:`RefusedBeforeSending` (ST802) for live *sids* at the emulator, or the reverse.

    What is no SID at all is not looked at; Twilio refuses it.
    """
    for sid in sids:
        known = shapes.is_sid(sid, shapes.ACCOUNT_PREFIX) or shapes.is_sid(sid, shapes.KEY_PREFIX)
        if known and shapes.is_emulated(sid) != (emulator is not None):
            raise RefusedBeforeSending(
                "Live credentials are not sent to the emulator; nothing was sent. Unset "
                f"{EMULATOR_VARIABLE} to reach Twilio."
                if emulator is not None
                else "The emulator's credentials are not sent to Twilio; nothing was sent. Set "
                f"{EMULATOR_VARIABLE}, or use a real API key.",
                code="ST802",
            )


def _is_twilio(url: str) -> bool:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    return (
        parts.scheme == "https"
        and shapes.is_twilio_host(parts.hostname or "")
        and port in {None, _HTTPS_PORT}
        and "@" not in parts.netloc
    )


def _host(url: str) -> str | None:
    """Return the host that *url* names, ``None`` if it names none, ``""`` if nobody can tell."""
    try:
        return urlsplit(url).hostname
    except ValueError:
        return ""


def _elsewhere(url: str, allowed: str) -> RefusedBeforeSending:
    return RefusedBeforeSending(
        f"A request to {_shown_host(url)} would carry the Twilio credentials, but that is not "
        f"{allowed}; nothing was sent.",
        code="ST801",
    )


def _shown_host(url: str) -> str:
    """Return scheme and host of *url* without userinfo, path or query."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "an address that cannot be read"
    return f"{parts.scheme or 'no-scheme'}://{parts.hostname or 'no-host'}"
