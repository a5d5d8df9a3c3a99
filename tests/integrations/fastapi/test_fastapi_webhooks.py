"""What guards a webhook of FastAPI's or Starlette's, asked as a server would ask."""

# Annotations are read by FastAPI, in functions of these tests, too.
import asyncio
import logging
import sys
import traceback
import warnings
from collections.abc import Callable, Sequence
from typing import Annotated, Any
from urllib.parse import urlencode

import pytest
from fastapi import APIRouter, Depends, FastAPI, Form, Request, Response, WebSocket
from starlette.applications import Starlette
from starlette.routing import Route

from integrations.fastapi.asgi import FORM, Answer, Gone, ask, shake_hands
from safetwilio import WebhookSettings
from safetwilio.errors import ConfigurationError, MissingExtra, UsageError
from safetwilio.integrations.fastapi import TwilioWebhook, WebhookRefused
from safetwilio.testing.webhooks import sign_request
from support import auth_token, caught, leaks

ORIGIN = "https://example.com"
PARAMS = [("From", "+15005550006"), ("MediaUrl", "b"), ("MediaUrl", "a"), ("Body", "")]
LIMIT = 1000


@pytest.fixture
def token(monkeypatch: pytest.MonkeyPatch) -> str:
    made = auth_token()
    monkeypatch.setenv("TWILIO_WEBHOOK_AUTH_TOKEN", made)
    return made


@pytest.fixture
def webhook(token: str) -> TwilioWebhook:  # noqa: ARG001 - it is in the environment
    return TwilioWebhook(public_url=ORIGIN, max_body=LIMIT)


async def sms(
    From: Annotated[str, Form()],  # noqa: N803 - Twilio's names
    MediaUrl: Annotated[list[str], Form()],  # noqa: N803
) -> list[str]:
    return [From, *MediaUrl]


async def event(event: dict[str, Any]) -> dict[str, Any]:
    return event


async def raw(request: Request) -> list[Any]:
    return [(await request.body()).decode(), len((await request.form()).multi_items())]


ENDPOINTS: dict[str, Callable[..., Any]] = {"/sms": sms, "/event": event, "/raw": raw}


def by_dependency(webhook: TwilioWebhook) -> FastAPI:
    app = FastAPI()
    for path, endpoint in ENDPOINTS.items():
        app.add_api_route(path, endpoint, methods=["POST"], dependencies=[Depends(webhook)])
    return app


def by_router(webhook: TwilioWebhook) -> FastAPI:
    app, router = FastAPI(), APIRouter(route_class=webhook.route_class)
    for path, endpoint in ENDPOINTS.items():
        router.add_api_route(path, endpoint, methods=["POST"])
    app.include_router(router)
    return app


ways = pytest.mark.parametrize("guarded", [by_dependency, by_router])
paths = pytest.mark.parametrize("path", ENDPOINTS)


def post(
    app: Any,
    path: str,
    body: Sequence[bytes | Gone],
    headers: dict[str, str] | None = None,
    kind: str = FORM,
) -> Answer:
    return asyncio.run(ask(app, ORIGIN + path, {"Content-Type": kind, **(headers or {})}, body))


def signed_form(app: Any, path: str, token: str) -> Answer:
    signed = sign_request(ORIGIN + path, params=PARAMS, auth_token=token)
    return post(app, path, [urlencode(PARAMS).encode()], signed.headers)


def signed_json(app: Any, path: str, token: str, body: bytes) -> Answer:
    signed = sign_request(ORIGIN + path, body=body, auth_token=token)
    return post(app, signed.url.removeprefix(ORIGIN), [body], signed.headers, "application/json")


@ways
def test_forms_json_and_bytes_get_to_the_endpoint(
    guarded: Callable[..., FastAPI], webhook: TwilioWebhook, token: str
) -> None:
    app = guarded(webhook)

    form, to_raw = signed_form(app, "/sms", token), signed_form(app, "/raw", token)
    json = signed_json(app, "/event", token, b'{"a": 1}')
    too = signed_json(app, "/raw", token, b"x")

    assert form[:2] == (200, b'["+15005550006","b","a"]')
    assert to_raw[:2] == (200, f'["{urlencode(PARAMS)}",4]'.encode())
    assert json[:2] == (200, b'{"a":1}')
    assert too[:2] == (200, b'["x",0]')


@ways
@paths
def test_an_unsigned_request_is_answered_with_nothing_and_its_reason_is_in_the_log(
    guarded: Callable[..., FastAPI],
    path: str,
    webhook: TwilioWebhook,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.INFO, "safetwilio.webhooks"):
        answer = post(guarded(webhook), path, [b"{}"], kind="application/json")

    assert answer[:2] == (403, b"")
    assert "[ST401] A webhook was refused: unsigned" in caplog.messages


@paths
def test_of_what_is_unsigned_or_too_large_the_router_reads_nothing(
    path: str, webhook: TwilioWebhook
) -> None:
    app = by_router(webhook)

    assert post(app, path, [b"a"] * 50) == (403, b"", 0)
    declared = {"Content-Length": str(LIMIT + 1), "X-Twilio-Signature": "x"}
    assert post(app, path, [b"a"] * (LIMIT + 1), declared) == (403, b"", 0)


@paths
def test_a_body_is_read_up_to_the_limit(
    path: str, webhook: TwilioWebhook, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever it said of its length."""
    answer = post(by_router(webhook), path, [b"a" * 100] * 50, {"X-Twilio-Signature": "x"})

    assert answer == (403, b"", LIMIT // 100 + 1)
    assert caplog.messages[-1] == "[ST402] A webhook was refused: too-large"


@pytest.mark.parametrize(
    ("kind", "body", "reason"),
    [
        (FORM, [b"a=1", Gone()], "unreadable"),
        (FORM, [b"a=1" + b"&b" * 240], "wrong-signature"),
        (FORM, [b"%", b"&&=&;=%ff&%00"], "wrong-signature"),
        (f"{FORM}; charset=nonsense", [b"a=%ff"], "wrong-signature"),
        ("multipart/form-data; boundary=b", [b'--b\r\n: form-data"\r\n'], "no-body-hash"),
        ("multipart/form-data", [b"a"], "no-body-hash"),
    ],
    ids=["half", "many fields", "odd text", "charset", "multipart", "no boundary"],
)
def test_odd_bodies_are_refused(
    kind: str,
    body: Sequence[bytes | Gone],
    reason: str,
    webhook: TwilioWebhook,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """With the route class with an empty 403; without it FastAPI may have said 400 before."""
    signed = {"X-Twilio-Signature": "x"}

    for path in ENDPOINTS:
        assert post(by_dependency(webhook), path, body, signed, kind).status in {400, 403}
        assert post(by_router(webhook), path, body, signed, kind)[:2] == (403, b"")
        assert caplog.messages[-1] == f"[ST402] A webhook was refused: {reason}"


@ways
def test_multipart_that_fastapi_has_parsed_does_not_count_as_an_empty_body(
    guarded: Callable[..., FastAPI], webhook: TwilioWebhook, token: str
) -> None:
    """A signature over the URL alone, of a GET, must not let a form through."""
    signed = sign_request(f"{ORIGIN}/sms", auth_token=token)
    part = b'--b\r\nContent-Disposition: form-data; name="%s"\r\n\r\nx\r\n'
    body = part % b"From" + part % b"MediaUrl" + b"--b--\r\n"

    answer = post(
        guarded(webhook), "/sms", [body], signed.headers, "multipart/form-data; boundary=b"
    )

    assert answer[:2] == (403, b"")


@ways
def test_what_a_parser_leaves_out_does_not_count_as_an_empty_form(
    guarded: Callable[..., FastAPI], webhook: TwilioWebhook, token: str
) -> None:
    signed = sign_request(f"{ORIGIN}/raw", auth_token=token)

    answer = post(guarded(webhook), "/raw", [b"&&&"], signed.headers)

    assert answer[:2] == (403, b"")


def test_an_application_may_answer_itself(webhook: TwilioWebhook) -> None:
    app = by_dependency(webhook)

    async def mine(_: Request, refused: Exception) -> Response:
        assert isinstance(refused, WebhookRefused)
        return Response(f"{refused.code} {refused.reason}", 418)

    app.add_exception_handler(WebhookRefused, mine)

    assert post(app, "/sms", [])[:2] == (418, b"ST401 unsigned")


def test_starlette_alone(webhook: TwilioWebhook, token: str) -> None:
    async def plain(request: Request) -> Response:
        await webhook(request)
        return Response(urlencode((await request.form()).multi_items()))

    app = Starlette(routes=[Route("/plain", plain, methods=["POST"])])

    assert post(app, "/plain", [b"a=1"])[:2] == (403, b"")
    assert signed_form(app, "/plain", token)[:2] == (200, urlencode(PARAMS).encode())


def test_a_websocket_is_accepted_if_its_handshake_is_signed(
    webhook: TwilioWebhook, token: str
) -> None:
    app = FastAPI()

    @app.websocket("/media", dependencies=[Depends(webhook)])
    async def media(socket: WebSocket) -> None:
        await socket.accept()

    signed = sign_request("wss://example.com/media?a=%2B", auth_token=token)
    other = sign_request("wss://example.com/media", auth_token=token)

    assert asyncio.run(shake_hands(app, signed.url, signed.headers)) == ["websocket.accept"]
    assert asyncio.run(shake_hands(app, signed.url, other.headers)) == ["websocket.close"]
    assert asyncio.run(shake_hands(app, signed.url, {})) == ["websocket.close"]


def test_the_test_client_needs_no_lifespan(webhook: TwilioWebhook, token: str) -> None:
    """What verifies is loaded at the first request; nothing is let in without it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # newer ones want to be used with another httpx
        from fastapi.testclient import TestClient

    client = TestClient(by_router(webhook))
    form = {"From": "+15005550006", "MediaUrl": "a"}
    signed = sign_request(f"{ORIGIN}/sms", params=form, auth_token=token)

    assert client.post("/sms", data=form, headers=signed.headers).status_code == 200
    assert client.post("/sms", data=form).status_code == 403


def test_without_a_secret_nothing_gets_in_and_the_error_shows_nothing_of_the_request() -> None:
    app = by_router(TwilioWebhook())
    text = b"From=what-nobody-should-see"

    error = caught(lambda: post(app, "/sms", [text], {"X-Twilio-Signature": "x"}))

    assert isinstance(error, ConfigurationError)
    assert error.code == "ST410"
    shown = traceback.TracebackException.from_exception(error, capture_locals=True)
    ours = [frame.locals for frame in shown.stack if "/integrations/fastapi.py" in frame.filename]
    assert ours
    assert "what-nobody" not in str(ours)


def test_a_new_token_needs_no_restart(
    webhook: TwilioWebhook, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    app, new = by_router(webhook), auth_token()
    assert signed_form(app, "/sms", token).status == 200

    monkeypatch.setenv("TWILIO_WEBHOOK_AUTH_TOKEN", new)
    monkeypatch.setenv("TWILIO_WEBHOOK_SECONDARY_AUTH_TOKEN", token)
    assert webhook.receiver.refresh()

    assert signed_form(app, "/sms", new).status == 200
    assert signed_form(app, "/sms", token).status == 200
    assert signed_form(app, "/sms", auth_token()).status == 403


def test_settings_may_be_the_applications_own(monkeypatch: pytest.MonkeyPatch) -> None:
    mine = auth_token()
    own = by_router(TwilioWebhook(lambda: WebhookSettings(auth_token=mine, public_url=ORIGIN)))
    monkeypatch.setenv("TWILIO_SUPPORT_WEBHOOK_AUTH_TOKEN", token := auth_token())
    named = by_router(TwilioWebhook(account="support", public_url=ORIGIN))

    assert signed_form(own, "/sms", mine).status == 200
    assert signed_form(own, "/sms", token).status == 403
    assert signed_form(named, "/sms", token).status == 200
    assert signed_form(named, "/sms", mine).status == 403


def test_settings_that_contradict_one_another_are_refused() -> None:
    with pytest.raises(UsageError, match=r"\[ST910\] TwilioWebhook\(\) takes settings, or"):
        TwilioWebhook(WebhookSettings, public_url=ORIGIN)


def test_without_what_reads_forms_nobody_is_led_to_believe_that_they_are_hostile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("starlette.formparsers.multipart", None)
    monkeypatch.setitem(sys.modules, "python_multipart", None)

    with pytest.raises(MissingExtra, match=r'pip install "safetwilio\[fastapi\]"'):
        TwilioWebhook()


def test_the_schema_of_an_application_has_the_parameters(webhook: TwilioWebhook) -> None:
    for guarded in (by_dependency, by_router):
        schema = guarded(webhook).openapi()["components"]["schemas"]
        [form] = [text for name, text in schema.items() if name.startswith("Body_sms")]
        assert form["required"] == ["From", "MediaUrl"]


def test_no_refusal_shows_the_token(
    webhook: TwilioWebhook, token: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Nor the signature that would have been right."""
    with caplog.at_level(logging.DEBUG):
        assert signed_form(by_dependency(webhook), "/sms", auth_token()).status == 403
    right = sign_request(f"{ORIGIN}/sms", params=PARAMS, auth_token=token)

    assert leaks(caplog.text, [token, *right.headers.values()]) == []
