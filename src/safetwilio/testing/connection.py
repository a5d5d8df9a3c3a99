"""One client's connection to the emulator: reads requests and writes answers, all within limits."""

from __future__ import annotations

import io
import re
import socket
import struct
import sys
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from time import monotonic
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from safetwilio.testing.answers import whole_number
from safetwilio.testing.exchange import Delivery, EmulatedRequest, EmulatedResponse

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

    from safetwilio.testing.server import EmulatorServer

HOST = "127.0.0.1"
LARGEST_BODY = 1 << 20  # bytes; http.server bounds the head: 100 headers, 64 KiB a line
IDLE_SECONDS = 300.0  # between two requests
_CHUNK_SIZE = re.compile(rb"[0-9A-Fa-f]{1,6}")
_LONGEST_CHUNK_LINE = 256
_END_OF_CHUNK = b"\r\n"
EXCHANGE_SECONDS = 30.0  # for a request to arrive, from its first byte on, or an answer to leave


class _Incoming(io.RawIOBase):
    """What the client sends, until *deadline*: many small pieces do not prolong it."""

    def __init__(self, connection: socket.socket) -> None:
        super().__init__()
        self.deadline = monotonic() + IDLE_SECONDS
        self._connection = connection

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        left = self.deadline - monotonic()
        if left <= 0:
            raise TimeoutError
        self._connection.settimeout(left)
        return self._connection.recv_into(buffer)


class _Unreadable(Exception):
    """The request cannot be read; *status* is what to answer, ``None`` if nobody is there."""

    def __init__(self, status: HTTPStatus | None) -> None:
        super().__init__()
        self.status = status


class Connection(BaseHTTPRequestHandler):
    """A client's *connection* to *owner*; it logs nothing."""

    protocol_version = "HTTP/1.1"
    server_version = "safetwilio-emulator"
    sys_version = ""
    disable_nagle_algorithm = True
    wbufsize = -1  # one write per answer

    def __init__(
        self, connection: socket.socket, address: tuple[str, int], owner: EmulatorServer
    ) -> None:
        """Serve *connection* until one side ends it."""
        self.owner = owner
        super().__init__(connection, address, owner)  # type: ignore[arg-type]  # never used

    def setup(self) -> None:
        """Read under a deadline rather than from a plain file of the socket."""
        super().setup()
        self.rfile.close()
        self._incoming = _Incoming(self.connection)
        self._reader = io.BufferedReader(self._incoming)
        self.rfile = self._reader

    def handle_one_request(self) -> None:
        """Wait for a request and answer it."""
        self.close_connection = True
        self._incoming.deadline = monotonic() + IDLE_SECONDS
        if not self._reader.peek(1):
            return
        self._incoming.deadline = monotonic() + EXCHANGE_SECONDS
        super().handle_one_request()

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
        response = self.owner.answer(request)
        try:
            self._write(response)
        finally:
            for answered in response.releases:
                answered.set()

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = do  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Log nothing: a request line may hold what must not be logged."""

    def _read_body(self) -> bytes | None:
        """Return the request's body, or answer 4xx and return ``None`` if it cannot be read."""
        try:
            return self._body()
        except _Unreadable as unreadable:
            self.close_connection = True
            if unreadable.status is not None:
                self.send_error(unreadable.status)
            return None

    def _body(self) -> bytes:
        if "Transfer-Encoding" in self.headers:
            # requests sends an empty list of form parameters so: a chunk of no length
            if self.headers["Transfer-Encoding"].strip().lower() == "chunked":
                return self._read_chunks()
            raise _Unreadable(HTTPStatus.NOT_IMPLEMENTED)
        text = self.headers.get("Content-Length", "0")
        if not (text.isascii() and text.isdigit()):
            raise _Unreadable(HTTPStatus.LENGTH_REQUIRED)
        length = whole_number(text)
        if length is None or length > LARGEST_BODY:
            raise _Unreadable(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        return self._read(length)

    def _read_chunks(self) -> bytes:
        body = b""
        while True:
            size = self.rfile.readline(_LONGEST_CHUNK_LINE).partition(b";")[0].strip()
            if not _CHUNK_SIZE.fullmatch(size):
                raise _Unreadable(HTTPStatus.BAD_REQUEST)
            length = int(size, 16)
            if len(body) + length > LARGEST_BODY:
                raise _Unreadable(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
            chunk = self._read(length)
            if self._read(len(_END_OF_CHUNK)) != _END_OF_CHUNK:
                raise _Unreadable(None)
            if not chunk:  # trailers are not read: whoever sends them is not answered again
                return body
            body += chunk

    def _read(self, length: int) -> bytes:
        body = self.rfile.read(length)
        if len(body) < length:  # the client is gone, or half of it
            raise _Unreadable(None)
        return body

    def _write(self, response: EmulatedResponse) -> None:
        self.connection.settimeout(EXCHANGE_SECONDS)
        if response.delivery in {Delivery.DROPPED, Delivery.RESET}:
            self.close_connection = True
            if response.delivery is Delivery.RESET:
                # l_onoff=1, l_linger=0: close() sends RST; two shorts on Windows, ints elsewhere
                linger = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            return
        self.send_response(response.status)
        for name, value in response.headers.items():
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
        self.wfile.flush()
