"""A gate before a server on loopback: counts what is asked, and can be closed."""

from __future__ import annotations

import http.client
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Iterator


class Gate:
    """Passes requests on to *port*; *asked* counts those for a secret."""

    def __init__(self, port: int) -> None:
        """Prepare to serve."""
        self.asked = 0
        self._port = port
        self._lock = threading.Lock()
        self._is_closed = False
        gate = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                gate.pass_on(self)

            def log_message(self, *_: object) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def pass_on(self, request: Any) -> None:
        """Answer as the server behind does; close the connection if the gate is closed."""
        if "/data/" in request.path:
            with self._lock:
                self.asked += 1
        request.close_connection = True
        if self._is_closed:
            return
        behind = http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
        try:
            behind.request("GET", request.path, headers=dict(request.headers))
            answer = behind.getresponse()
            body = answer.read()
        finally:
            behind.close()
        request.send_response(answer.status)
        request.send_header("Content-Type", answer.getheader("Content-Type") or "text/plain")
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)

    @contextmanager
    def closed(self) -> Iterator[None]:
        """Let nothing through during the block."""
        self._is_closed = True
        try:
            yield
        finally:
            self._is_closed = False

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
