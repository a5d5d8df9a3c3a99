"""A server's side of ASGI, without a server: one request, or one lifespan, in this process."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable

    Headers = dict[str, str]

FORM = "application/x-www-form-urlencoded"


class Answer(NamedTuple):
    """What the application answered, and how often it asked for a piece of the body."""

    status: int
    body: bytes
    asked: int


class Gone:
    """Stands for the end of a body that its sender did not finish."""


async def ask(  # noqa: PLR0913 - what a request has
    app: Any,
    url: str,
    headers: Headers,
    body: Iterable[bytes | Gone] = (),
    *,
    method: str = "POST",
    state: Any = None,
) -> Answer:
    """Send one request to *app*, its *body* in pieces."""
    pieces, sent = [*body], []
    asked = 0

    async def receive() -> dict[str, Any]:
        nonlocal asked
        asked += 1
        piece = pieces.pop(0) if pieces else b""
        if isinstance(piece, Gone):
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": piece, "more_body": bool(pieces)}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await app(_scope("http", url, headers, method=method, state=dict(state or {})), receive, send)
    return Answer(sent[0]["status"], b"".join(m.get("body", b"") for m in sent[1:]), asked)


async def shake_hands(app: Any, url: str, headers: Headers) -> list[str]:
    """Open a WebSocket and go, and return what kinds of messages *app* sent."""
    sent: list[str] = []
    coming = ["websocket.connect", "websocket.disconnect"]

    async def receive() -> dict[str, Any]:
        return {"type": coming.pop(0), "code": 1000}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message["type"])

    await app(_scope("websocket", url, headers, subprotocols=[]), receive, send)
    return sent


@asynccontextmanager
async def running(app: Any) -> AsyncGenerator[dict[str, Any]]:
    """Start *app*, give the state of its lifespan, and stop it; raise what it could not start of.

    The lifespan is one task from its start to its end, as with a server.
    """
    state: dict[str, Any] = {}
    to_app: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    from_app: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": state}
    task = asyncio.create_task(app(scope, to_app.get, from_app.put))
    for kind in ("startup", "shutdown"):
        await to_app.put({"type": f"lifespan.{kind}"})
        said = await from_app.get()
        if said["type"] != f"lifespan.{kind}.complete":
            await task
        if kind == "startup":
            yield state
    await task


def _scope(kind: str, url: str, headers: Headers, **more: Any) -> dict[str, Any]:
    parts = urlsplit(url)
    named = {"host": parts.netloc, **headers}
    return {
        "type": kind,
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "scheme": {"http": "http", "websocket": "ws"}[kind],  # behind a proxy that ends TLS
        "path": parts.path,
        "raw_path": parts.path.encode(),
        "root_path": "",
        "query_string": parts.query.encode(),
        "headers": [(n.lower().encode(), v.encode("latin-1")) for n, v in named.items()],
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 8000),
        **more,
    }
