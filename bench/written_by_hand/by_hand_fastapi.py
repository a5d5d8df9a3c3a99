"""FastAPI without safetwilio: settings, filter and client of ``notifications``, and a validator."""

# ruff: noqa: INP001 - a script

from __future__ import annotations

import asyncio
import os

from fastapi import FastAPI, HTTPException, Request, Response
from notifications import client
from twilio.request_validator import RequestValidator

validator = RequestValidator(os.environ["TWILIO_WEBHOOK_AUTH_TOKEN"])  # type: ignore[no-untyped-call]
app = FastAPI()
app.state.twilio = client


@app.post("/sms")
async def sms(request: Request) -> Response:
    """Answer what Twilio signed."""
    signature = request.headers.get("X-Twilio-Signature", "")
    form = await request.form()
    if not validator.validate(str(request.url), form, signature):  # type: ignore[no-untyped-call]
        raise HTTPException(403)
    return Response("<Response/>", media_type="text/xml")


async def start() -> None:
    """Start as a server does, and stop."""
    async with app.router.lifespan_context(app):
        pass


asyncio.run(start())
