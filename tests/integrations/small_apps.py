"""The smallest webhooks there are, for WSGI and for ASGI: a receiver, and no framework."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from safetwilio.errors import ConfigurationError, WebhookError
from safetwilio.integrations.receiver import Receiver, is_form
from safetwilio.webhook_settings import WebhookSettings

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

PROXIES = "SMALL_APPS_PROXIES"  # with spaces between them

receiver = Receiver(partial(WebhookSettings, proxies=os.environ.get(PROXIES, "").split()))


def parts(content_type: str | None, body: bytes) -> dict[str, Any]:
    """Return the parameters of a form, or the body."""
    if is_form(content_type):
        return {"params": parse_qsl(body.decode(errors="replace"), keep_blank_values=True)}
    return {"body": body}


def make_open() -> Callable[..., list[bytes]]:
    """Return an application that believes everybody."""

    def app(environ: dict[str, Any], start: Callable[..., object]) -> list[bytes]:
        environ["wsgi.input"].read()
        start("200 OK", [])
        return [b"ok"]

    return app


def make_wsgi() -> Callable[..., list[bytes]]:
    """Load the signing secrets, and return the application."""
    receiver.load()

    def app(environ: dict[str, Any], start: Callable[..., object]) -> list[bytes]:
        body = environ["wsgi.input"].read()
        try:
            receiver.verify_wsgi(environ, **parts(environ.get("CONTENT_TYPE"), body))
        except WebhookError as refused:
            start(f"{refused.status} Forbidden", [])
            return [b""]
        start("200 OK", [])
        return [b"ok"]

    return app


async def asgi(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Load the signing secrets at the start, and serve."""
    if scope["type"] == "lifespan":
        await _lifespan(receive, send)
        return
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    types = [value.decode("latin-1") for n, value in scope["headers"] if n == b"content-type"]
    try:
        receiver.verify_asgi(scope, **parts(types[0] if types else None, body))
        status, said = 200, b"ok"
    except WebhookError as refused:
        status, said = refused.status, b""
    await send({"type": "http.response.start", "status": status, "headers": []})
    await send({"type": "http.response.body", "body": said})


async def _lifespan(receive: Any, send: Callable[[dict[str, str]], Awaitable[None]]) -> None:
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            try:
                receiver.load()
            except ConfigurationError as report:
                await send({"type": "lifespan.startup.failed", "message": str(report)})
                return
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
