"""The emulator behind HTTP on 127.0.0.1, for real clients.

In a program: ``with EmulatorServer() as server: … server.url …``. Alone:
``python -m safetwilio.testing.server --port 0 --credentials PATH`` prints one JSON line with its
URL and SIDs, and writes the secrets to the file *PATH*, which only its owner can read.

Requests go to the product that their ``Host`` header names, whatever address they were sent to.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import socket
import struct
import sys
import tempfile
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import TYPE_CHECKING, Self
from urllib.parse import parse_qsl

from safetwilio.testing.emulator import Emulator
from safetwilio.testing.exchange import Delivery, EmulatedRequest, EmulatedResponse

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

HOST = "127.0.0.1"
LARGEST_BODY = 1 << 20  # bytes
_BACKLOG = 256
_JOIN_SECONDS = 5.0
_RETRY_SECONDS = 0.1


class EmulatorServer:
    """Serve *emulator* (a fresh one by default) over HTTP/1.1 on 127.0.0.1.

    *port* 0 takes a free one. ``stop()`` closes every connection and gives the port back before it
    returns; a server can be started once.
    """

    def __init__(self, emulator: Emulator | None = None, *, port: int = 0) -> None:
        """Prepare to serve; nothing is bound before ``start()``."""
        self.emulator = emulator or Emulator()
        self.stopping = threading.Event()
        self._port = port
        self._listener: socket.socket | None = None
        self._acceptor = threading.Thread(
            target=self._accept, name="safetwilio-emulator", daemon=True
        )
        self._lock = threading.Lock()
        self._connections: dict[socket.socket, threading.Thread] = {}
        self._active = 0

    def __repr__(self) -> str:
        return f"<EmulatorServer {self.url if self._listener else 'not started'}>"

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def port(self) -> int:
        """The port that is served."""
        if self._listener is None:
            raise RuntimeError("the emulator's server is not started")
        return self._port

    @property
    def url(self) -> str:
        """The base URL, as ``SAFETWILIO_EMULATOR`` takes it: ``http://127.0.0.1:PORT``."""
        return f"http://{HOST}:{self.port}"

    def start(self) -> Self:
        """Bind the port and serve from a thread; raises ``OSError`` if the port is taken."""
        if self._listener is not None:
            raise RuntimeError("the emulator's server was started before")
        self._listener = socket.create_server((HOST, self._port), backlog=_BACKLOG)
        self._port = self._listener.getsockname()[1]
        self._acceptor.start()
        return self

    def stop(self) -> None:
        """Stop serving, end all connections and release the port; stopping twice is fine."""
        if self._listener is None or self.stopping.is_set():
            return
        self.stopping.set()
        with contextlib.suppress(OSError):
            # closing a socket does not wake the thread in accept(); a connection does
            socket.create_connection((HOST, self._port), timeout=_JOIN_SECONDS).close()
        self._acceptor.join(_JOIN_SECONDS)
        self._listener.close()
        with self._lock:
            connections = dict(self._connections)
        for connection, thread in connections.items():
            with contextlib.suppress(OSError):  # closed by its own thread meanwhile
                connection.shutdown(socket.SHUT_RDWR)
            thread.join(_JOIN_SECONDS)

    def answer(self, request: EmulatedRequest) -> tuple[EmulatedResponse, int]:
        """Return the answer to *request* and how many requests are under way, after its delay."""
        with self._lock:
            self._active += 1
            active = self._active
        try:
            response = self.emulator.handle(request)
            if response.delay and response.delivery is not Delivery.SLOW:
                self.stopping.wait(response.delay)
            return response, active
        finally:
            with self._lock:
                self._active -= 1

    def _accept(self) -> None:
        while self._listener is not None:
            try:
                connection, address = self._listener.accept()
            except OSError:
                self.stopping.wait(_RETRY_SECONDS)  # out of file descriptors, or it was aborted
                continue
            if self.stopping.is_set():
                connection.close()
                return
            thread = threading.Thread(target=self._serve, args=(connection, address), daemon=True)
            with self._lock:
                self._connections[connection] = thread
            thread.start()

    def _serve(self, connection: socket.socket, address: tuple[str, int]) -> None:
        try:
            with contextlib.suppress(OSError):  # the client went away, or stop() ended it
                _Connection(connection, address, self)
        finally:
            with self._lock:
                del self._connections[connection]
            connection.close()


class _Connection(BaseHTTPRequestHandler):
    """One client connection: reads requests, writes what the emulator answers, logs nothing."""

    protocol_version = "HTTP/1.1"
    server_version = "safetwilio-emulator"
    sys_version = ""
    disable_nagle_algorithm = True
    wbufsize = -1  # one write per answer

    def __init__(
        self, connection: socket.socket, address: tuple[str, int], owner: EmulatorServer
    ) -> None:
        self.owner = owner
        super().__init__(connection, address, owner)  # type: ignore[arg-type]  # never used

    def do(self) -> None:
        """Answer one request of any method."""
        body = self._read_body()
        if body is None:
            return
        path, _, query = self.path.partition("?")
        request = EmulatedRequest(
            method=self.command,
            host=(self.headers.get("Host") or HOST).lower(),
            path=path,
            query=tuple(parse_qsl(query, keep_blank_values=True)),
            headers={name.lower(): value for name, value in self.headers.items()},
            body=body,
        )
        self._write(*self.owner.answer(request))

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = do  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Log nothing: a request line may hold what must not be logged."""

    def _read_body(self) -> bytes | None:
        """Return the request's body, or answer 4xx and return ``None`` if it cannot be read."""
        length = self.headers.get("Content-Length", "0")
        if "Transfer-Encoding" in self.headers or not (length.isascii() and length.isdigit()):
            self.close_connection = True
            self.send_error(HTTPStatus.LENGTH_REQUIRED)
            return None
        if int(length) > LARGEST_BODY:
            self.close_connection = True
            self.send_error(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
            return None
        return self.rfile.read(int(length))

    def _write(self, response: EmulatedResponse, active: int) -> None:
        if response.delivery in {Delivery.DROPPED, Delivery.RESET}:
            self.close_connection = True
            if response.delivery is Delivery.RESET:
                # l_onoff=1, l_linger=0: close() sends RST; two shorts on Windows, ints elsewhere
                linger = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            return
        self.send_response(response.status)
        headers = {**response.headers, "Twilio-Concurrent-Requests": str(active)}
        for name, value in headers.items():
            self.send_header(name, value)
        if response.status != HTTPStatus.NO_CONTENT:
            self.send_header("Content-Length", str(len(response.body)))
        self.end_headers()
        body = b"" if self.command == "HEAD" else response.body
        if response.delivery is Delivery.SLOW:
            half = len(body) // 2
            self.wfile.write(body[:half])
            self.wfile.flush()
            self.owner.stopping.wait(response.delay)
            body = body[half:]
        self.wfile.write(body)


def write_credentials(server: EmulatorServer, path: Path) -> None:
    """Write the seeded credentials of *server* to *path* as JSON, readable by its owner only."""
    emulator = server.emulator
    keys = {"standard_key": emulator.standard_key, "main_key": emulator.main_key}
    document = {
        "url": server.url,
        "account_sid": emulator.account.sid,
        "auth_token": emulator.account.auth_token,
        **{name: {"sid": key.sid, "secret": key.secret} for name, key in keys.items()},
    }
    # a fresh file (0600, by mkstemp) takes the place of whatever was there, link or not
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(document, file, indent=2)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve a fresh emulator until it is interrupted, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m safetwilio.testing.server")
    parser.add_argument("--port", type=int, default=0, help="0 (default) takes a free one")
    parser.add_argument(
        "--credentials",
        type=Path,
        metavar="PATH",
        help="write the seeded credentials there; without it nobody learns the secrets",
    )
    chosen = parser.parse_args(arguments)
    with contextlib.ExitStack() as stack:
        step = f"cannot serve port {chosen.port}"
        try:
            server = stack.enter_context(EmulatorServer(port=chosen.port))
            step = f"cannot write {chosen.credentials}"
            if chosen.credentials:
                write_credentials(server, chosen.credentials)
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or type(error).__name__
            print(f"{parser.prog}: {step}: {reason}", file=sys.stderr)  # noqa: T201
            return 1
        interrupted = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: interrupted.set())
        emulator = server.emulator
        line = {
            "url": server.url,
            "account_sid": emulator.account.sid,
            "standard_key_sid": emulator.standard_key.sid,
            "main_key_sid": emulator.main_key.sid,
        }
        print(json.dumps(line), flush=True)  # noqa: T201 - what the caller reads
        while not interrupted.wait(1):  # Windows interrupts a wait between two, not within one
            pass
    return 0


if __name__ == "__main__":
    sys.exit(main())
