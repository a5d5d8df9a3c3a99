"""What every way out needs: a name, a server on loopback, and something to fail with."""

from __future__ import annotations

import contextlib
import gzip
import io
import logging
import sys
import threading
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

WAYS: dict[str, Callable[[], Generator[str, str, None]]] = {}


def way(name: str) -> Callable[[Any], Any]:
    """Note a function as the way *name*."""

    def note(function: Any) -> Any:
        WAYS[name] = function
        return function

    return note


class Protection:
    """What one does against leaks other than safetwilio: nothing, but for what a subclass does."""

    def handler(self, handler: logging.Handler) -> None:
        """Protect what *handler* lets out."""

    def logger(self, logger: logging.Logger) -> None:
        """Protect what goes through *logger*, whose handlers are all there."""
        for handler in logger.handlers:
            self.handler(handler)

    def structlog(self) -> list[Any]:
        """Return processors that stand before the one that renders."""
        return []

    def loguru(self, stream: io.StringIO) -> Any:
        """Return what loguru is to write to for *stream*."""
        return stream

    def sentry(self) -> dict[str, Any]:
        """Return options for Sentry's SDK."""
        return {}


in_use: list[Protection] = [Protection()]


def protection() -> Protection:
    """Return the protection in use."""
    return in_use[-1]


class Server:
    """A server on loopback that keeps what it receives, and answers as Sentry and OTLP would."""

    def __init__(self) -> None:  # noqa: D107
        received = self.received = list[str]()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"] or 0))
                encoding = self.headers["Content-Encoding"]
                if encoding == "gzip":
                    body = gzip.decompress(body)
                elif encoding == "deflate":
                    body = zlib.decompress(body)
                elif encoding == "br":
                    import brotli  # type: ignore[import-not-found]

                    body = brotli.decompress(body)
                received.append(f"{self.headers}\n{body.decode('utf-8', 'replace')}")
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            do_GET = do_POST  # noqa: N815 - its name

            def log_message(self, *args: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_port
        self.url = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        )
        self._thread.start()

    def take(self) -> str:
        """Return what has come since."""
        taken = "\n".join(self.received)
        self.received.clear()
        return taken

    def stop(self) -> None:
        """Stop, and wait for it."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


SERVERS: dict[str, Server] = {}


def server(name: str) -> Server:
    """Return the server *name*, started with the first way that needs it."""
    if name not in SERVERS:
        SERVERS[name] = Server()
    return SERVERS[name]


def take(stream: io.StringIO) -> str:
    """Return what is in *stream*, and empty it."""
    text = stream.getvalue()
    stream.seek(0)
    stream.truncate()
    return text


def fail(text: str) -> None:
    """Fail with *text* in the message and in local variables."""
    holder = {"text": text}
    raise RuntimeError(f"failed {text}, {len(holder)}")


def caught(text: str) -> BaseException:
    """Return the error of :func:`fail`."""
    try:
        fail(text)
    except RuntimeError as error:
        return error
    raise AssertionError


@contextlib.contextmanager
def console() -> Iterator[io.StringIO]:
    """Collect what is written to the console."""
    stream = io.StringIO()
    before, sys.stderr = sys.stderr, stream
    try:
        with contextlib.redirect_stdout(stream):
            yield stream
    finally:
        sys.stderr = before


def logger_of(handler: logging.Handler, name: str) -> logging.Logger:
    """Return the logger *name*, which has *handler* only."""
    logger = logging.getLogger(name)
    logger.propagate = False
    logger.setLevel(logging.DEBUG)
    logger.addHandler(handler)
    protection().logger(logger)
    return logger
