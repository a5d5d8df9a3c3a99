"""``sys.stdout`` and ``sys.stderr``, on request: whatever is printed, by whomever.

So are uncaught exceptions whatever hook prints them, ``SystemExit("message")``, child processes of
``multiprocessing``, and handlers of libraries that have no sink. Not seen: what is written to the
file descriptor (C code, ``os.write``, other programs) or to ``sys.__stderr__``, and what holds on
to a stream from before.
"""

from __future__ import annotations

import atexit
import io
import sys
from typing import Any

from safetwilio.redaction.streams import RedactingStream

_NAMES = ("stdout", "stderr")
_wrapped: dict[str, RedactingStream] = {}
fall_back = None  # there is no other hook


def available() -> bool:
    """Return ``True``: the streams are always there."""
    return True


def install() -> None:
    """Wrap both streams, and anew one that was replaced since."""
    for name in _NAMES:
        stream: Any = getattr(sys, name)
        if stream is not None and stream is not _wrapped.get(name):
            _wrapped[name] = RedactingStream(stream)
            setattr(sys, name, _wrapped[name])
    atexit.unregister(_finish)
    atexit.register(_finish)


def uninstall() -> None:
    """Write what is held back, and restore the streams that nobody has replaced since."""
    atexit.unregister(_finish)
    _finish()
    for name, stream in _wrapped.items():
        if getattr(sys, name) is stream:
            setattr(sys, name, vars(stream)["_stream"])
    _wrapped.clear()


def check() -> bool:
    """Write a random canary in two pieces to a private stream, wrapped as the others are."""
    from safetwilio.redaction.sinks import canary

    secret, buffer = canary(), io.StringIO()
    stream = RedactingStream(buffer)
    stream.write(f"a {secret[:20]}")
    stream.write(f"{secret[20:]} b")
    stream.finish()
    wrapped = all(getattr(sys, name) is stream for name, stream in _wrapped.items())
    return wrapped and secret not in buffer.getvalue() and "[TWILIO:account:" in buffer.getvalue()


def _finish() -> None:
    for stream in _wrapped.values():
        try:
            stream.finish()
        except (OSError, ValueError):  # closed, or a reader that has gone
            continue
