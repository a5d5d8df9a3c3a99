"""A loopback HTTP server that keeps what it is sent, as a user's webhook endpoint would."""

from __future__ import annotations

import contextlib
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@dataclass
class Received:
    """One request; *parameters* are those of its form, or of its query if it has none."""

    method: str
    url: str
    signature: str
    form: dict[str, str]
    parameters: dict[str, str]


@dataclass
class Receiver:
    """Keeps requests to *url*; answers with *statuses* in turn, the last of them for ever."""

    url: str = ""
    statuses: list[int] = field(default_factory=lambda: [204])
    location: str = ""
    received: list[Received] = field(default_factory=list)
    when_received: Callable[[], object] = lambda: None


@contextlib.contextmanager
def receiving() -> Iterator[Receiver]:
    """Run a receiver, and stop it at the end."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
            form = dict(parse_qsl(body, keep_blank_values=True))
            query = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))
            url = f"http://{self.headers['Host']}{self.path}"
            signed = self.headers["X-Twilio-Signature"]
            receiver.received.append(Received(self.command, url, signed, form, form or query))
            status = receiver.statuses[min(len(receiver.received), len(receiver.statuses)) - 1]
            receiver.when_received()
            self.send_response(status)
            if receiver.location:
                self.send_header("Location", receiver.location)
            self.end_headers()

        do_GET = do_POST = do  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    receiver.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
