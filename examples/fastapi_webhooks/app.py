"""Answer text messages with FastAPI: run with `uvicorn app:app`, or with `--workers 2`.

TWILIO_WEBHOOK_PUBLIC_URL is what the URLs at Twilio begin with, such as https://example.com.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Annotated, Any, TypedDict

from fastapi import APIRouter, Depends, FastAPI, Form, Request, Response, WebSocket
from twilio.twiml.messaging_response import MessagingResponse

from safetwilio.integrations.fastapi import (
    AsyncClient,
    TwilioWebhook,
    health_response,
    twilio_lifespan,
)


class State(TypedDict):
    """What the application has besides Twilio."""

    events: list[Any]


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncGenerator[State]:
    """Begin without events."""
    yield {"events": []}


webhook = TwilioWebhook()
app = FastAPI(lifespan=twilio_lifespan(webhook, inner=lifespan))
twilio = APIRouter(route_class=webhook.route_class)  # asked only for what Twilio signed


@twilio.post("/sms")
async def sms(From: Annotated[str, Form()], Body: Annotated[str, Form()] = "") -> Response:  # noqa: N803 - Twilio's names
    """Answer a text message with its own text."""
    reply = MessagingResponse()
    reply.message(f"{From} said: {Body}")
    return Response(str(reply), media_type="text/xml")


@twilio.post("/call-me")
async def call_me(From: Annotated[str, Form()], client: AsyncClient) -> Response:  # noqa: N803
    """Send a message of its own accord."""
    await client.messages.create_async(to=From, from_="+15005550006", body="We will call you.")
    return Response(status_code=204)


@twilio.post("/events")
async def events(event: dict[str, Any], request: Request) -> Response:
    """Keep an event, which Twilio sends as JSON."""
    request.state.events.append(event)
    return Response(status_code=204)


app.include_router(twilio)
app.add_api_route("/ready", health_response)


@app.websocket("/media", dependencies=[Depends(webhook)])
async def media(socket: WebSocket) -> None:
    """Count the messages of a call's media stream."""
    await socket.accept()
    count = 0
    async for _ in socket.iter_json():
        count += 1
    print(f"a stream of {count} messages")
