"""An application with webhooks of each kind, at paths of their own, for GET and for POST."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Flask, request

from safetwilio.integrations.flask import SafeTwilio, health_view

METHODS = ["GET", "POST"]

twilio = SafeTwilio()
hooks = Blueprint("hooks", __name__)


@hooks.route("/sync", defaults={"rest": ""}, methods=METHODS)
@hooks.route("/sync/<path:rest>", methods=METHODS)
@twilio.webhook
def see(rest: str) -> str:
    """Read all that there is."""
    request.get_data()
    request.get_json(silent=True)
    return "ok" if rest is not None and request.form is not None else "no"


@hooks.route("/async", defaults={"rest": ""}, methods=METHODS)
@hooks.route("/async/<path:rest>", methods=METHODS)
@twilio.webhook
async def see_async(rest: str) -> str:
    """Do the same."""
    return see.__wrapped__(rest)  # type: ignore[attr-defined,no-any-return]


def create_app(**config: Any) -> Flask:
    """Make the application, without a client."""
    app = Flask(__name__)
    app.config.from_mapping({"SAFETWILIO": {"CLIENT": False}, **config})
    app.url_map.merge_slashes = False  # a signature is over the path as it came
    twilio.init_app(app)
    app.register_blueprint(hooks)
    app.add_url_rule("/ready", view_func=health_view)
    return app
