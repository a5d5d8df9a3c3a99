"""What a type checker knows of the integrations: checked, never run, as ``alone.py`` says."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Annotated, assert_type

from fastapi import APIRouter, Depends, FastAPI
from flask import Flask
from starlette.applications import Starlette

from safetwilio import TwilioSettings, WebhookSettings
from safetwilio.clients import TwilioClient
from safetwilio.integrations.fastapi import (
    AsyncClient,
    Client,
    Settings,
    TwilioWebhook,
    WebhookRefused,
    health_response,
    twilio_lifespan,
)
from safetwilio.integrations.flask import SafeTwilio, health_view
from safetwilio.integrations.receiver import Receiver

webhook = TwilioWebhook(
    public_url="https://example.com", proxies=["10.0.0.0/8"], shared_keys_only=True
)
TwilioWebhook(lambda: WebhookSettings(public_url="https://example.com"))
TwilioWebhook(public_ur="x")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


@asynccontextmanager
async def mine(_: FastAPI) -> AsyncGenerator[dict[str, int]]:
    yield {"a": 1}


@asynccontextmanager
async def stateless(_: FastAPI) -> AsyncGenerator[None]:
    yield


app = FastAPI(lifespan=twilio_lifespan(webhook, inner=mine, verify=True, require="restricted"))
FastAPI(lifespan=twilio_lifespan(webhook, inner=stateless))
FastAPI(lifespan=twilio_lifespan())
Starlette(lifespan=twilio_lifespan(webhook, client=False))
twilio_lifespan(require="any")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
router = APIRouter(route_class=webhook.route_class, dependencies=[Depends(webhook)])
app.add_api_route("/ready", health_response)
assert_type(webhook.receiver, Receiver)


@router.post("/sms")
async def sms(
    client: Client, other: AsyncClient, settings: Settings, _: Annotated[None, Depends(webhook)]
) -> None:
    assert_type(client, TwilioClient)
    assert_type(other, TwilioClient)
    assert_type(settings, TwilioSettings)


flask_app = Flask(__name__)
twilio = SafeTwilio(flask_app)
assert_type(twilio.client, TwilioClient)
assert_type(twilio.receiver, Receiver)


@flask_app.post("/sms/<int:number>")
@twilio.webhook
def view(number: int) -> str:
    return str(number)


@flask_app.post("/a")
@twilio.webhook
async def aview() -> str:
    return ""


view("x")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
flask_app.add_url_rule("/ready", view_func=health_view)


def handler(refused: WebhookRefused) -> None:
    assert_type(refused.reason, str)
    assert_type(refused.code, str)
