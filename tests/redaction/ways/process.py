"""Ways out of the interpreter itself: exceptions nobody caught, warnings, ``http.client``."""

from __future__ import annotations

import asyncio
import http.client
import io
import logging
import sys
import threading
import warnings
from typing import TYPE_CHECKING

from ways.base import caught, console, fail, logger_of, server, take, way

if TYPE_CHECKING:
    from collections.abc import Generator


@way("exceptions: program")
def excepthook() -> Generator[str, str, None]:
    text = yield ""
    while True:
        error = caught(text)
        with console() as stream:
            sys.excepthook(type(error), error, error.__traceback__)
        text = yield stream.getvalue()


@way("exceptions: thread")
def thread() -> Generator[str, str, None]:
    text = yield ""
    while True:
        with console() as stream:
            running = threading.Thread(target=fail, args=(text,))
            running.start()
            running.join()
        text = yield stream.getvalue()


@way("exceptions: destructor")
def unraisable() -> Generator[str, str, None]:
    class Bad:
        def __init__(self, text: str) -> None:
            self.text = text

        def __del__(self) -> None:
            fail(self.text)

    text = yield ""
    while True:
        with console() as stream:
            Bad(text)
        text = yield stream.getvalue()


@way("exceptions: asyncio")
def task() -> Generator[str, str, None]:
    async def main(text: str) -> None:
        asyncio.get_running_loop().call_soon(fail, text)
        await asyncio.sleep(0)

    text = yield ""
    while True:
        with console() as stream:
            asyncio.run(main(text))
        text = yield stream.getvalue()


@way("warnings: printed, and to logging")
def warned() -> Generator[str, str, None]:
    stream = io.StringIO()
    logger_of(logging.StreamHandler(stream), "py.warnings")
    text = yield ""
    while True:
        with console() as printed, warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.warn(f"a {text}", stacklevel=1)
            logging.captureWarnings(capture=True)
            warnings.warn(f"b {text}", stacklevel=1)
            logging.captureWarnings(capture=False)
        text = yield printed.getvalue() + take(stream)


@way("warnings: shown by the application")
def warned_own() -> Generator[str, str, None]:
    text = yield ""
    while True:
        seen: list[str] = []
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.showwarning = lambda message, *_, to=seen, **__: to.append(repr(message))
            warnings.warn(f"a {text}", stacklevel=1)
        text = yield "".join(seen)


@way("http.client: debuglevel")
def debuglevel() -> Generator[str, str, None]:
    to = server("debuglevel")
    text = yield ""
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", to.port)
        connection.set_debuglevel(1)
        with console() as stream:
            connection.request("GET", "/", headers={"X-Text": text.replace("\n", " ")})
            connection.getresponse().read()
        connection.close()
        to.take()
        text = yield stream.getvalue()
