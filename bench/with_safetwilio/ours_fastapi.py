"""The same as ``by_hand_fastapi`` with safetwilio."""

# ruff: noqa: INP001 - a script

from __future__ import annotations

import asyncio

from fastapi import APIRouter, FastAPI, Response

from safetwilio.integrations.fastapi import TwilioWebhook, twilio_lifespan

webhook = TwilioWebhook()
app = FastAPI(lifespan=twilio_lifespan(webhook))
twilio = APIRouter(route_class=webhook.route_class)


@twilio.post("/sms")
async def sms() -> Response:
    """Answer what Twilio signed."""
    return Response("<Response/>", media_type="text/xml")


app.include_router(twilio)


async def start() -> None:
    """Start as a server does, and stop."""
    async with app.router.lifespan_context(app):
        pass


asyncio.run(start())
