"""FastAPI and Starlette: boot in the lifespan, clients as dependencies, webhooks that are verified.

::

    webhook = TwilioWebhook(public_url="https://example.com")
    app = FastAPI(lifespan=twilio_lifespan(webhook))
    twilio = APIRouter(route_class=webhook.route_class)


    @twilio.post("/sms")
    async def sms(From: Annotated[str, Form()]) -> Response: ...


    app.include_router(twilio)

``Depends(webhook)`` does it for one route, or a WebSocket; but FastAPI parses the body of a request
before it asks any dependency.
"""

# Without `from __future__ import annotations`: FastAPI reads those of a callable object as they are
# and cannot resolve them from text.
import sys
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager, nullcontext
from functools import cached_property, partial
from typing import Annotated, Any, TypeVar

from fastapi import Depends
from fastapi.routing import APIRoute
from starlette import formparsers
from starlette.applications import Starlette
from starlette.exceptions import HTTPException, WebSocketException
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, Response
from starlette.status import WS_1008_POLICY_VIOLATION

from safetwilio._boot import DEFAULT, Requirement, boot, get_account, health
from safetwilio._proxy import get_client
from safetwilio.clients.rest import TwilioClient
from safetwilio.errors import UsageError, WebhookError
from safetwilio.extras import need
from safetwilio.integrations.receiver import MAX_BODY, MAX_FIELDS, Receiver, is_form
from safetwilio.integrations.starting import NOT_KEPT, NOT_READY, READY, load, readiness
from safetwilio.settings import TwilioSettings
from safetwilio.webhook_settings import WebhookSettings
from safetwilio.webhooks.headers import SIGNATURE_HEADER
from safetwilio.webhooks.refusals import refusal, tell

__all__ = [
    "AsyncClient",
    "Client",
    "Settings",
    "TwilioWebhook",
    "WebhookRefused",
    "health_response",
    "twilio_client",
    "twilio_lifespan",
    "twilio_settings",
]

_App = TypeVar("_App", bound=Starlette)
_Handler = Callable[[Request], Coroutine[Any, Any, Response]]


async def twilio_client() -> TwilioClient:
    """Return ``safetwilio.client``: what :data:`Client` and :data:`AsyncClient` depend on."""
    return get_client()


async def twilio_settings() -> TwilioSettings:
    """Return the settings that this process booted with: what :data:`Settings` depends on."""
    return get_account(None).settings


Client = Annotated[TwilioClient, Depends(twilio_client)]
AsyncClient = Annotated[TwilioClient, Depends(twilio_client)]
Settings = Annotated[TwilioSettings, Depends(twilio_settings)]


class WebhookRefused(HTTPException):
    """A webhook is refused: 403, and nothing for the sender to read.

    *reason* and *code* are those of the :class:`safetwilio.errors.WebhookError`, which is in the
    log already.
    """

    def __init__(self, error: WebhookError) -> None:
        """Refuse because of *error*."""
        super().__init__(error.status, detail="")
        self.reason = error.reason
        self.code = error.code


class TwilioWebhook:
    """Lets only requests through that Twilio signed.

    Use it as a dependency (``Depends(webhook)``), also of a WebSocket route; as the class of a
    router's routes (``APIRouter(route_class=webhook.route_class)``), which refuse before anything
    is parsed; or in an endpoint of Starlette's (``await webhook(request)``). Give it to
    :func:`twilio_lifespan`, which loads what it verifies with.

    *public_url*, *proxies*, *shared_keys_only* and *account* are those of
    :class:`safetwilio.WebhookSettings`; or *settings* returns such settings. A body of more than
    *max_body* bytes is refused.

    :raises UsageError: ST910, when *settings* are given with something that they say themselves,
        or an argument is of another kind.
    :raises MissingExtra: ST901, when python-multipart is not there, without which no form is read.
    """

    receiver: Receiver  #: has ``refresh()``, which loads the secrets anew

    def __init__(  # noqa: PLR0913 - what can be set
        self,
        settings: Callable[[], WebhookSettings] | None = None,
        *,
        public_url: str | None = None,
        proxies: Sequence[str] = (),
        shared_keys_only: bool = False,
        account: str | None = None,
        max_body: int = MAX_BODY,
    ) -> None:
        """Take what to verify with; nothing is loaded yet."""
        if settings is not None and (public_url or proxies or shared_keys_only or account):
            raise UsageError(
                "TwilioWebhook() takes settings, or public_url, proxies, shared_keys_only and "
                "account, not both.",
                code="ST910",
            )
        if settings is not None and not callable(settings):
            raise UsageError(
                "TwilioWebhook() takes a function that returns WebhookSettings: "
                "TwilioWebhook(lambda: settings.webhooks). The URL is public_url=...",
                code="ST910",
            )
        if isinstance(max_body, bool) or not isinstance(max_body, int) or max_body <= 0:
            raise UsageError("max_body is a number of bytes, more than 0.", code="ST910")
        if getattr(formparsers, "multipart", self) is None:  # what Starlette could not import
            need("python_multipart", extra="fastapi", purpose="A webhook that is a form")
        self.max_body = max_body
        self.receiver = Receiver(
            settings
            or partial(
                WebhookSettings,
                public_url=public_url,
                proxies=proxies,
                shared_keys_only=shared_keys_only,
                _account=account,
            )
        )

    async def __call__(self, connection: HTTPConnection) -> None:
        """Return if Twilio signed the request; a body that was read can be read again.

        Raises :class:`WebhookRefused`, of a WebSocket Starlette's ``WebSocketException``, and what
        :meth:`safetwilio.integrations.receiver.Receiver.load` raises.
        """
        refused = await self._refusal(connection)
        if refused is None:
            return
        if not isinstance(connection, Request):  # the server answers the handshake with 403
            raise WebSocketException(WS_1008_POLICY_VIOLATION)
        _answer_without_a_body(connection.scope)
        raise WebhookRefused(refused)

    @cached_property
    def route_class(self) -> type[APIRoute]:
        """The class for routes that let nothing through, and parse nothing, that is not signed."""
        return _route_class(self._refusal)

    async def _refusal(self, connection: HTTPConnection) -> WebhookError | None:
        """Return why the request is refused, or ``None``."""
        scope, refused = connection.scope, None
        self.receiver.load()  # what it may raise goes with nothing of the request
        await self.receiver.catch_up()
        try:
            if not connection.headers.get(SIGNATURE_HEADER):  # then there is nothing to read
                self.receiver.verify_asgi(scope)
            parts = await self._parts(connection)
            if isinstance(parts, WebhookError):
                tell(parts)
                return parts
            self.receiver.verify_asgi(scope, **parts)
        except WebhookError as error:
            refused = error.with_traceback(None)
        return refused

    async def _parts(self, connection: HTTPConnection) -> dict[str, Any] | WebhookError:
        """Return the parameters of a form, or the body of anything else; or what is wrong."""
        if not isinstance(connection, Request):  # a WebSocket begins as a GET
            return {"body": b""}
        try:
            body = await self._body(connection)
            if isinstance(body, WebhookError):
                return body
            if not is_form(connection.headers.get("content-type")):
                return refusal("unreadable") if body is None else {"body": body}
            if body and body.count(b"&") >= MAX_FIELDS:
                return refusal("too-large")
            params = await connection.form()
        except Exception:  # noqa: BLE001 - nobody's input makes a 500
            return refusal("unreadable")
        # What the parser left out would go to the endpoint without having been verified.
        return refusal("unreadable") if body and not params else {"params": params}

    async def _body(self, request: Request) -> bytes | WebhookError | None:
        """Return the body, kept for whoever reads it next, or ``None`` if it was parsed before."""
        if int(request.headers.get("content-length") or 0) > self.max_body:
            return refusal("too-large")
        read = bytearray()
        try:
            async with aclosing(request.stream()) as stream:
                async for chunk in stream:
                    read += chunk
                    if len(read) > self.max_body:
                        return refusal("too-large")
        except RuntimeError:  # FastAPI has parsed a form, whose parameters are kept
            return None
        body = bytes(read)
        request._body = body  # noqa: SLF001 - as FastAPI's documentation has it for such a purpose
        return body


def _route_class(
    refusal_of: Callable[[HTTPConnection], Coroutine[Any, Any, WebhookError | None]],
) -> type[APIRoute]:
    class TwilioRoute(APIRoute):
        """A route that is asked only for requests that Twilio signed."""

        def get_route_handler(self) -> _Handler:
            """Return a handler that verifies, and then does what FastAPI does."""
            handler = super().get_route_handler()

            async def verified(request: Request) -> Response:
                refused = await refusal_of(request)
                return await handler(request) if refused is None else Response(None, refused.status)

            return verified

    return TwilioRoute


def twilio_lifespan(
    *webhooks: TwilioWebhook,
    inner: Callable[[_App], AbstractAsyncContextManager[Any]] | None = None,
    client: bool = True,
    verify: bool = False,
    require: Requirement | None = None,
) -> Callable[[_App], AbstractAsyncContextManager[Any]]:
    """Return a lifespan that boots, loads what *webhooks* verify with, and runs *inner* within.

    What *inner* yields is the state of the lifespan. *verify* and *require* are those of
    :func:`safetwilio.boot`; an application that only receives webhooks says ``client=False``. The
    server does not start, and prints the report, when the lifespan raises
    :class:`safetwilio.errors.ConfigurationError` (ST1xx to ST5xx) with every problem of the key and
    of the webhooks. With ``SAFETWILIO_BOOT=off`` nothing is loaded.

    :raises UsageError: ST900, when something is demanded of the key without a *client*; ST910, for
        what is no :class:`TwilioWebhook`.
    """
    if not all(isinstance(each, TwilioWebhook) for each in webhooks):
        raise UsageError(
            "twilio_lifespan() takes webhooks, and your own lifespan by name: "
            "twilio_lifespan(webhook, inner=lifespan).",
            code="ST910",
        )
    if not client and (verify or require is not None):  # a demand must not pass unheard
        raise UsageError(
            "twilio_lifespan(client=False) loads no key that verify or require could be about.",
            code="ST900",
        )

    @asynccontextmanager
    async def lifespan(app: _App) -> AsyncGenerator[Any, None]:
        """Boot, run *inner*, and close what is open."""
        boot_client = partial(boot, verify=verify, require=require) if client else None
        load(boot_client, *(webhook.receiver.load for webhook in webhooks))
        try:
            async with inner(app) if inner else nullcontext() as state:
                yield state
        finally:
            await _close_connections()

    return lifespan


def health_response() -> JSONResponse:
    """Return :func:`safetwilio.health` as the answer of a readiness endpoint: 200, or 503.

    ``app.add_api_route("/ready", health_response)``. It has fingerprints in it, and no secret.
    """
    ok, state = readiness()
    return JSONResponse(state, READY if ok else NOT_READY, headers=NOT_KEPT)


async def _close_connections() -> None:
    """Close those of this loop, if there can be any."""
    if "safetwilio.clients.async_transport" in sys.modules:
        for account in health().accounts:
            name = None if account.name == DEFAULT else account.name
            await get_account(name).client.aclose()


def _answer_without_a_body(scope: Mapping[str, Any]) -> None:
    """Let a refusal have no body, where FastAPI would make ``{"detail": ""}`` of it.

    A handler of the application's own, for 403 or for :class:`WebhookRefused`, goes first. Where
    Starlette keeps its handlers otherwise, the answer is FastAPI's.
    """
    kept = scope.get("starlette.exception_handlers")
    handlers = kept[0] if isinstance(kept, tuple) and kept else None
    if isinstance(handlers, dict):
        handlers.setdefault(WebhookRefused, _empty)


async def _empty(_: Request, refused: WebhookRefused) -> Response:
    return Response(None, refused.status_code)
