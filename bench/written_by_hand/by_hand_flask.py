"""Flask without safetwilio: settings, filter and client of ``notifications``, and a validator."""

# ruff: noqa: INP001 - a script

from __future__ import annotations

import os

from flask import Flask, Response, abort, request
from notifications import client
from twilio.request_validator import RequestValidator

validator = RequestValidator(os.environ["TWILIO_WEBHOOK_AUTH_TOKEN"])  # type: ignore[no-untyped-call]
app = Flask(__name__)
app.extensions["twilio"] = client


@app.post("/sms")
def sms() -> Response:
    """Answer what Twilio signed."""
    signature = request.headers.get("X-Twilio-Signature", "")
    if not validator.validate(request.url, request.form, signature):  # type: ignore[no-untyped-call]
        abort(403)
    return Response("<Response/>", content_type="text/xml")
