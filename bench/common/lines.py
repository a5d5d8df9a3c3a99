"""One way to hide secrets in text, measured alone in a process: ``python lines.py WAY SECONDS``.

Prints a JSON object: what is measured, and nanoseconds for one.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import re
import secrets
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

ACCOUNT, KEY = f"AC{secrets.token_hex(16)}", f"SK{secrets.token_hex(16)}"
SECRET = "zQ7" + secrets.token_hex(16)[:29]
LOGGER = "worker"
LINE = (
    "2026-11-22 12:00:01,123 INFO worker.tasks: order 81723 of customer 5512 was confirmed, trace "
    "{} goes on in region us1 after 3 attempts, 184 ms"
)
TRACED = LINE.format(secrets.token_hex(16)).ljust(200, ".")
PLAIN = LINE.format("of no id at all, so to speak, it").ljust(200, ".")
SHARE = 0.02  # of the seconds, for one batch
PEERS = Path(__file__).parents[2] / "tests" / "redaction"


class Nowhere(io.TextIOBase):
    """A stream that takes all and keeps nothing."""

    def write(self, text: str) -> int:
        """Take *text*."""
        return len(text)


def once(call: Callable[[], object], seconds: float) -> float:
    """Return the nanoseconds of CPU of one *call*: the median of batches that fill *seconds*."""
    size, spent = 1, 0.0
    while spent < seconds * SHARE:
        size *= 2
        spent = batch(call, size) * size / 1e9
    found = sorted(batch(call, size) for _ in range(int(1 / SHARE)))
    return found[len(found) // 2]


def batch(call: Callable[[], object], size: int) -> float:
    """Return the nanoseconds of CPU of one of *size* calls."""
    began = time.process_time_ns()
    for _ in range(size):
        call()
    return (time.process_time_ns() - began) / size


def ours() -> Any:
    """Register the credentials as a boot does, and return the engine."""
    from safetwilio import redaction

    for value, kind in ((ACCOUNT, "account"), (KEY, "key"), (SECRET, "secret")):
        redaction.register(value, kind)  # type: ignore[arg-type]
    return redaction


def alternation() -> re.Pattern[str]:
    """Return one expression for the same fragments of the same forms, and for any SID."""
    ours()
    from safetwilio.redaction import engine

    windows = sorted(engine.current()._grams.windows)  # noqa: SLF001
    text = "|".join(re.escape(window.decode("latin-1")) for window in windows)
    return re.compile(rf"\b(?:AC|SK)[0-9a-f]{{32}}\b|{text}")


def of_text(way: str, seconds: float) -> dict[str, float]:
    """Measure a text of 200 characters, with and without a trace id."""
    if way == "safetwilio":
        hide = ours().redact
    else:
        pattern = alternation()

        def hide(text: str) -> str:
            return pattern.sub("***", text)

    return {
        "a text": once(lambda: hide(PLAIN), seconds),
        "a text with a trace id": once(lambda: hide(TRACED), seconds),
    }


def of_lines(way: str, seconds: float) -> dict[str, float]:
    """Measure one call of a logger with one handler."""
    logger = logging.getLogger(LOGGER)
    logger.propagate = False
    logger.setLevel(logging.INFO)
    handler = logging.StreamHandler(Nowhere())
    logger.addHandler(handler)
    if way == "safetwilio":
        ours().install()
    elif way == "alternation":
        pattern = alternation()

        class Filter(logging.Filter):
            def filter(self, record: logging.LogRecord) -> bool:
                record.msg, record.args = pattern.sub("***", record.getMessage()), ()
                return True

        handler.addFilter(Filter())
    elif way != "bare":
        sys.path[:0] = [str(PEERS), str(PEERS.parent)]
        from peers import COLUMNS  # type: ignore[import-not-found]  # of the tests

        with contextlib.redirect_stdout(io.StringIO()):
            COLUMNS[way](KEY, SECRET).logger(logger)
    return {
        "a line": once(lambda: logger.info(PLAIN), seconds),
        "a line with a trace id": once(lambda: logger.info(TRACED), seconds),
    }


def of_sentry(way: str, seconds: float) -> dict[str, float]:
    """Measure an event of 90 KB from the call to the envelope that would be sent."""
    import sentry_sdk
    from sentry_sdk.transport import Transport

    class Dropped(Transport):
        def capture_envelope(self, envelope: Any) -> None:
            envelope.serialize()

    sentry_sdk.init("http://a@127.0.0.1:9/1", transport=Dropped(), default_integrations=False)
    if way == "safetwilio":
        ours().install()
    values = {f"name{number}": f"{PLAIN} {number}" for number in range(8)}
    frames = [
        {"function": f"f{number}", "filename": "app.py", "lineno": number, "vars": values}
        for number in range(48)
    ]

    def send() -> None:
        sentry_sdk.capture_event(
            {
                "level": "error",
                "exception": {"values": [{"type": "E", "stacktrace": {"frames": frames}}]},
            }
        )

    return {"a Sentry event": once(send, seconds)}


def of_bytes(_: str, seconds: float) -> dict[str, float]:
    """Measure 16 MiB of lines without a long run of letters and digits."""
    data = (" ".join(PLAIN.split()) + "\n").encode() * (16 * 2**20 // 201)
    hide = ours().redact_bytes
    return {"16 MiB": once(lambda: hide(data), seconds)}


MEASURES = {"text": of_text, "lines": of_lines, "sentry": of_sentry, "bytes": of_bytes}

if __name__ == "__main__":
    what, way, seconds = sys.argv[1:]
    sys.stdout.write(json.dumps(MEASURES[what](way, float(seconds))))
