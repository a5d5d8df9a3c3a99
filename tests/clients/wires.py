"""Loopback servers that do to a connection what the network does: answer, hang, break, cheat."""

from __future__ import annotations

import atexit
import contextlib
import json
import shutil
import socket
import ssl
import struct
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qs

import trustme

if TYPE_CHECKING:
    from types import TracebackType


def _made_now() -> Path:
    """Return a file with a key, its certificate and the authority, which this run throws away."""
    authority = trustme.CA()
    issued = authority.issue_cert("*.twilio.com", "*.evil.example")
    directory = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    path = directory / "loopback.pem"
    parts = [issued.private_key_pem, *issued.cert_chain_pems, authority.cert_pem]
    path.write_bytes(b"".join(part.bytes() for part in parts))
    return path


CERTIFICATE = _made_now()
"""For ``*.twilio.com`` and ``*.evil.example``; the file is its own CA bundle too."""
_PATIENCE = 20.0


@dataclass(frozen=True)
class Received:
    """One request as it came over the wire; *tunnel* is what a CONNECT before it asked for."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    peer: int
    tunnel: str | None

    @property
    def form(self) -> dict[str, str]:
        """The form fields of the body."""
        return {name: each[-1] for name, each in parse_qs(self.body.decode()).items()}


Act = Callable[["Line"], None]
Behaviour = Callable[[Received], bytes | Act]


class Line:
    """One accepted connection, for those who break it."""

    def __init__(self, connection: socket.socket, stopping: threading.Event) -> None:
        """Hold *connection* until *stopping*."""
        self.connection = connection
        self.stopping = stopping


class Gone(Exception):
    """The connection is to be closed."""


def answer(status: int = 200, body: str | bytes | dict[str, Any] = b"{}", **headers: str) -> bytes:
    """Return a whole HTTP answer; ``Retry_After="1"`` becomes a header."""
    if isinstance(body, dict):
        body = json.dumps(body)
    raw = body.encode() if isinstance(body, str) else body
    given = {"Content_Type": "application/json", **headers, "Content_Length": str(len(raw))}
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in given.items()]
    return "\r\n".join([f"HTTP/1.1 {status} Status", *lines, "", ""]).encode() + raw


def hang(line: Line) -> None:
    """Never answer."""
    line.stopping.wait(_PATIENCE)
    raise Gone


def reset(line: Line) -> None:
    """Answer with a TCP reset."""
    line.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    raise Gone


def close(_: Line) -> None:
    """Close without an answer."""
    raise Gone


def half(whole: bytes, then: Act = close) -> Act:
    """Return what sends half of the answer *whole*, then acts as *then*."""

    def send(line: Line) -> None:
        line.connection.sendall(whole[: len(whole) - len(whole) // 4])
        then(line)

    return send


def garbage(line: Line) -> None:
    """Write bytes that are no TLS record into the TCP stream below TLS."""
    raw = socket.socket(fileno=socket.dup(line.connection.fileno()))
    with raw:
        raw.sendall(b"this is no TLS record, whatever it may be" * 10)
    raise Gone


@dataclass
class Wire:
    """A server on 127.0.0.1 that does what *behave* says, and remembers what it received.

    It also is a proxy: a CONNECT leads to itself, over TLS with the certificate of
    ``*.twilio.com``, unless *refuse_tunnels*; or *tunnelled* acts in place of TLS.
    """

    behave: Behaviour = lambda _: answer()
    tls: bool = False
    refuse_tunnels: bool = False
    tunnelled: Act | None = None
    requests: list[Received] = field(default_factory=list)
    tunnels: list[str] = field(default_factory=list)
    connections: int = 0

    def __enter__(self) -> Self:
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._open: dict[threading.Thread, socket.socket] = {}
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port: int = self._listener.getsockname()[1]
        self._acceptor = threading.Thread(target=self._accept, daemon=True)
        self._acceptor.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stopping.set()
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", self.port), timeout=5).close()
        self._acceptor.join(_PATIENCE)
        self._listener.close()
        with self._lock:
            still_open = dict(self._open)
        for thread, connection in still_open.items():
            with contextlib.suppress(OSError):
                socket.socket.shutdown(connection, socket.SHUT_RDWR)  # of TCP, not of TLS
            thread.join(_PATIENCE)
            assert not thread.is_alive()

    @property
    def url(self) -> str:
        """The base URL."""
        return f"http{'s' if self.tls else ''}://127.0.0.1:{self.port}"

    @property
    def authorizations(self) -> set[str]:
        """The ``Authorization`` headers received."""
        return {r.headers["authorization"] for r in self.requests if "authorization" in r.headers}

    def _accept(self) -> None:
        while True:
            connection, address = self._listener.accept()
            if self._stopping.is_set():
                connection.close()
                return
            thread = threading.Thread(
                target=self._serve, args=(connection, address[1]), daemon=True
            )
            with self._lock:
                self.connections += 1
                self._open[thread] = connection
            thread.start()

    def _serve(self, connection: socket.socket, peer: int) -> None:
        try:
            with contextlib.suppress(OSError, Gone):
                if self.tls:
                    connection = self._over_tls(connection)
                tunnel = None
                while request := self._read(connection, peer, tunnel):
                    if request.method == "CONNECT":
                        tunnel = request.target
                        connection = self._tunnel(connection, tunnel)
                        continue
                    self._answer(connection, request)
        finally:
            with self._lock:
                self._open.pop(threading.current_thread()).close()

    def _tunnel(self, connection: socket.socket, target: str) -> socket.socket:
        self.tunnels.append(target)
        if self.refuse_tunnels:
            connection.sendall(answer(403, b""))
            raise Gone
        connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        if self.tunnelled:
            self.tunnelled(Line(connection, self._stopping))
        return self._over_tls(connection)

    def _over_tls(self, connection: socket.socket) -> socket.socket:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(CERTIFICATE)
        wrapped = context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        with self._lock:
            self._open[threading.current_thread()] = wrapped
        wrapped.do_handshake()
        return wrapped

    def _answer(self, connection: socket.socket, request: Received) -> None:
        self.requests.append(request)
        act = self.behave(request)
        if isinstance(act, bytes):
            connection.sendall(act)
        else:
            act(Line(connection, self._stopping))

    @staticmethod
    def _read(connection: socket.socket, peer: int, tunnel: str | None) -> Received | None:
        data = b""
        while b"\r\n\r\n" not in data:
            more = connection.recv(65536)
            if not more:
                return None
            data += more
        head, _, body = data.partition(b"\r\n\r\n")
        first, *rest = head.decode("latin-1").split("\r\n")
        method, target, _ = first.split(" ")
        pairs = [line.partition(":") for line in rest]
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        while len(body) < int(headers.get("content-length", "0")):
            more = connection.recv(65536)
            if not more:
                return None
            body += more
        return Received(method, target, headers, body, peer, tunnel)


def dead_port() -> int:
    """Return a port of 127.0.0.1 on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])
