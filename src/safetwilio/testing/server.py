"""The emulator behind HTTP on 127.0.0.1, for real clients.

In a program: ``with EmulatorServer() as server: … server.url …``. Alone: ``safetwilio emulator``.

Requests go to the product that their ``Host`` header names, whatever address they were sent to;
those below ``/_emulator/`` go to the emulator itself (``safetwilio.testing.control``).
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import tempfile
import threading
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Self

from safetwilio.testing import control
from safetwilio.testing.connection import HOST, Connection
from safetwilio.testing.emulator import Emulator
from safetwilio.testing.exchange import Delivery

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from safetwilio.testing.exchange import EmulatedRequest, EmulatedResponse

MOST_CONNECTIONS = 1000
_BACKLOG = 256
_JOIN_SECONDS = 5.0
_RETRY_SECONDS = 0.1


class EmulatorServer:
    """Serve *emulator* (a fresh one by default) over HTTP/1.1 on 127.0.0.1.

    *port* 0 takes a free one. *prepare* furnishes the emulator, at the start and again after a
    reset over HTTP. ``stop()`` closes every connection and gives the port back before it returns;
    a server can be started once. Connections beyond 1,000 at a time are closed at once.
    """

    def __init__(
        self,
        emulator: Emulator | None = None,
        *,
        port: int = 0,
        prepare: Callable[[Emulator], object] | None = None,
    ) -> None:
        """Prepare to serve; nothing is bound before ``start()``."""
        self.emulator = emulator or Emulator()
        self.prepare = prepare or (lambda _: None)
        self.stopping = threading.Event()
        self._port = port
        self._listener: socket.socket | None = None
        self._acceptor = threading.Thread(
            target=self._accept, name="safetwilio-emulator", daemon=True
        )
        self._lock = threading.Lock()
        self._connections: dict[socket.socket, threading.Thread] = {}
        self._held: set[threading.Event] = set()
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
        self.prepare(self.emulator)
        self._acceptor.start()
        return self

    def stop(self) -> None:
        """Stop serving, end all connections and release the port; stopping twice is fine.

        Callbacks that are not answered yet end too.
        """
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
            for answered in self._held:
                answered.set()
        for connection in connections:
            with contextlib.suppress(OSError):  # closed by its own thread meanwhile
                connection.shutdown(socket.SHUT_RDWR)
        end = monotonic() + _JOIN_SECONDS
        for thread in connections.values():
            thread.join(max(end - monotonic(), 0))
        self.emulator.callbacks.stop()

    def answer(self, request: EmulatedRequest) -> EmulatedResponse:
        """Return the answer to *request* when it is time to deliver it."""
        if request.path.startswith(control.PREFIX):
            return control.answer(self, request)
        with self._lock:
            self._active += 1
            active = self._active
        try:
            response = self.emulator.handle(request, under_way=active)
            if response.delay and response.delivery is not Delivery.SLOW:
                self.stopping.wait(response.delay)
            if response.held is not None:
                self._wait_for(response.held)
            return response
        finally:
            with self._lock:
                self._active -= 1

    def _wait_for(self, answered: threading.Event) -> None:
        with self._lock:
            if self.stopping.is_set():
                return
            self._held.add(answered)
        answered.wait()
        with self._lock:
            self._held.discard(answered)

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
            if len(self._connections) >= MOST_CONNECTIONS:
                connection.close()
                continue
            thread = threading.Thread(
                target=self._serve,
                args=(connection, address),
                name="safetwilio-emulator-connection",
                daemon=True,
            )
            with self._lock:
                self._connections[connection] = thread
            thread.start()

    def _serve(self, connection: socket.socket, address: tuple[str, int]) -> None:
        try:
            with contextlib.suppress(OSError):  # the client went away, or stop() ended it
                Connection(connection, address, self)
        finally:
            with self._lock:
                del self._connections[connection]
            connection.close()


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
