"""Ways out through the standard library's logging."""

from __future__ import annotations

import io
import json
import logging
import logging.handlers
import queue
from typing import TYPE_CHECKING, Any

from ways.base import caught, console, fail, logger_of, protection, take, way

if TYPE_CHECKING:
    from collections.abc import Generator


@way("logging: message, arguments, child logger")
def logged() -> Generator[str, str, None]:
    stream = io.StringIO()
    logger_of(logging.StreamHandler(stream), "ways.logged")
    child = logging.getLogger("ways.logged.child")
    text = yield ""
    while True:
        child.warning("a %s %s", text, [text])
        child.warning(f"b {text}")
        text = yield take(stream)


class Json(logging.Formatter):
    """All that is in a record, as JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record, with its traceback."""
        return json.dumps(vars(record) | {"exc": super().format(record)}, default=repr)


def json_logger(name: str) -> tuple[logging.Logger, io.StringIO]:
    """Return a logger that writes JSON, and what it writes to."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(Json())
    return logger_of(handler, name), stream


@way("logging: extra, as JSON")
def logged_extra() -> Generator[str, str, None]:
    logger, stream = json_logger("ways.extra")
    text = yield ""
    while True:
        logger.error("a", extra={"more": {"a": [text]}})
        text = yield take(stream)


@way("logging: traceback and stack, as JSON")
def logged_traceback() -> Generator[str, str, None]:
    logger, stream = json_logger("ways.traceback")
    text = yield ""
    while True:
        logger.error("a", exc_info=caught(text), stack_info=True)
        text = yield take(stream)


@way("logging: a queue and its listener")
def logged_queue() -> Generator[str, str, None]:
    stream, records = io.StringIO(), queue.Queue[Any]()
    logger = logger_of(logging.handlers.QueueHandler(records), "ways.queue")
    handler = logging.StreamHandler(stream)
    protection().handler(handler)
    text = yield ""
    while True:
        logger.error("a %s", text, exc_info=caught(text))
        listener = logging.handlers.QueueListener(records, handler)
        listener.start()
        listener.stop()
        text = yield take(stream)


@way("logging: last resort, and a handler that fails")
def logged_last() -> Generator[str, str, None]:
    class Broken(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            try:
                fail(record.getMessage())
            except RuntimeError:
                self.handleError(record)

    broken = logger_of(Broken(), "ways.broken")
    last = logging.getLogger("ways.last")
    last.propagate = False
    protection().logger(last)
    if logging.lastResort:
        protection().handler(logging.lastResort)
    text = yield ""
    while True:
        with console() as stream:
            last.warning("a %s", text)
            broken.warning("a %s", text)
        text = yield stream.getvalue()
