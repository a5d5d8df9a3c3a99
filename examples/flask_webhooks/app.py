"""Answer text messages with Flask: run with `gunicorn "app:create_app()"`.

TWILIO_WEBHOOK_PUBLIC_URL is what the URLs at Twilio begin with, such as https://example.com.
"""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Flask, Response, current_app, request
from twilio.twiml.messaging_response import MessagingResponse

from safetwilio.integrations.flask import SafeTwilio, health_view

twilio = SafeTwilio()
hooks = Blueprint("hooks", __name__)


@hooks.post("/sms")
@twilio.webhook  # below the route: it is the view that is guarded
def sms() -> Response:
    """Answer a text message with its own text."""
    reply = MessagingResponse()
    reply.message(f"{request.form['From']} said: {request.form['Body']}")
    return Response(str(reply), content_type="text/xml")


@hooks.post("/call-me")
@twilio.webhook
def call_me() -> tuple[str, int]:
    """Send a message of its own accord."""
    twilio.client.messages.create(
        to=request.form["From"], from_="+15005550006", body="We will call you."
    )
    return "", 204


@hooks.post("/events")
@twilio.webhook
def events() -> tuple[str, int]:
    """Keep an event, which Twilio sends as JSON."""
    current_app.extensions["events"].append(request.get_json())
    return "", 204


def create_app(**config: Any) -> Flask:
    """Make the application; it boots here, or raises the report."""
    app = Flask(__name__)
    app.config.from_mapping(config)
    app.extensions["events"] = []
    twilio.init_app(app)
    app.register_blueprint(hooks)
    app.add_url_rule("/ready", view_func=health_view)
    return app
