"""The same as ``by_hand_flask`` with safetwilio."""

# ruff: noqa: INP001 - a script

from __future__ import annotations

from flask import Flask, Response

from safetwilio.integrations.flask import SafeTwilio

app = Flask(__name__)
twilio = SafeTwilio()


@app.post("/sms")
@twilio.webhook
def sms() -> Response:
    """Answer what Twilio signed."""
    return Response("<Response/>", content_type="text/xml")


twilio.init_app(app)
