"""Ways out through structlog and loguru."""

from __future__ import annotations

import contextlib
import io
import logging
from typing import TYPE_CHECKING, Any

from ways.base import caught, console, fail, logger_of, protection, take, way

if TYPE_CHECKING:
    from collections.abc import Generator


@way("structlog: JSON, with local variables")
def structlog_json() -> Generator[str, str, None]:
    import structlog

    stream = io.StringIO()
    logger = structlog.wrap_logger(
        structlog.WriteLogger(stream),
        processors=[
            structlog.processors.dict_tracebacks,
            *protection().structlog(),
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(0),
    )
    text = yield ""
    while True:
        logger.bind(bound=text).error(f"a {text}", more=[text], exc_info=caught(text))
        text = yield take(stream)


@way("structlog: console")
def structlog_console() -> Generator[str, str, None]:
    import structlog

    stream = io.StringIO()
    render = structlog.dev.ConsoleRenderer(
        exception_formatter=structlog.dev.plain_traceback, colors=True
    )
    logger = structlog.wrap_logger(
        structlog.PrintLogger(stream), processors=[*protection().structlog(), render]
    )
    text = yield ""
    while True:
        logger.error(f"a {text}", more=[text], exc_info=caught(text))  # noqa: G004 - not logging
        text = yield take(stream)


@way("structlog: through logging")
def structlog_stdlib() -> Generator[str, str, None]:
    import structlog

    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(processor=structlog.processors.JSONRenderer())
    )
    logger = structlog.wrap_logger(
        logger_of(handler, "ways.structlog"),
        processors=[
            *protection().structlog(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    text = yield ""
    while True:
        logger.error(f"a {text}", more=[text])  # noqa: G004 - not logging
        text = yield take(stream)


def loguru_with(**options: Any) -> tuple[Any, io.StringIO]:
    """Return loguru's logger, with one more handler, and what that one writes to."""
    import loguru

    with contextlib.suppress(ValueError):
        loguru.logger.remove(0)  # the console
    stream = io.StringIO()
    name = str(len(options)) + "".join(sorted(options))
    options = {"format": "{message} {extra}"} | options
    options["filter"] = lambda record: record["extra"].get("way") == name
    loguru.logger.add(protection().loguru(stream), **options)
    return loguru.logger.bind(way=name), stream


@way("loguru: text, with local variables")
def loguru_text() -> Generator[str, str, None]:
    logger, stream = loguru_with(diagnose=True, backtrace=True, colorize=True)
    text = yield ""
    while True:
        logger.opt(exception=caught(text)).bind(more=[text]).error("a {}", text)
        logger.opt(raw=True).error(text)
        text = yield take(stream)


@way("loguru: serialized, from a queue")
def loguru_json() -> Generator[str, str, None]:
    logger, stream = loguru_with(serialize=True, enqueue=True)
    text = yield ""
    while True:
        logger.opt(exception=caught(text)).bind(more=[text]).error("a {}", text)
        logger.complete()
        text = yield take(stream)


@way("loguru: records read by a function, and one that fails")
def loguru_record() -> Generator[str, str, None]:
    import loguru

    seen: list[str] = []

    def sink(message: Any) -> None:
        if message.record["extra"].get("way") == "record":
            seen.append(str({k: v for k, v in message.record.items() if k != "exception"}))
            fail(message.record["message"])

    loguru.logger.add(sink, format="{message}")
    logger = loguru.logger.bind(way="record")
    text = yield ""
    while True:
        seen.clear()
        with console() as stream:
            logger.bind(more={"a": [text]}).error("a {}", text)
        text = yield "".join(seen) + stream.getvalue()
