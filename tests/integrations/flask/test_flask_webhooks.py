"""What guards a webhook of Flask's, asked through Flask's own test client."""

from __future__ import annotations

import io
import logging
import traceback
from typing import TYPE_CHECKING, Any

import pytest
from flask import Blueprint, Flask, Response, request
from flask.views import MethodView

from safetwilio.errors import ConfigurationError, UsageError
from safetwilio.integrations.flask import MAX_BODY, SafeTwilio
from safetwilio.testing.webhooks import sign_request
from support import auth_token, caught, leaks

if TYPE_CHECKING:
    from collections.abc import Callable

    from werkzeug.test import TestResponse

ORIGIN = "https://example.com"
PARAMS = {"From": "+15005550006", "MediaUrl": ["b", "a"], "Body": ""}
FORM = "application/x-www-form-urlencoded"
CONFIG = {"CLIENT": False, "WEBHOOKS": {"PUBLIC_URL": ORIGIN}}


@pytest.fixture
def token(monkeypatch: pytest.MonkeyPatch) -> str:
    made = auth_token()
    monkeypatch.setenv("TWILIO_WEBHOOK_AUTH_TOKEN", made)
    return made


def see() -> Any:
    """Answer with all that there is, and how it was given."""
    form = [[name, *values] for name, values in sorted(request.form.lists())]
    return {"form": form, "json": request.get_json(silent=True), "raw": len(request.get_data())}


def application(config: dict[str, Any] | None = None, **more: Any) -> Flask:
    """Return one with a webhook at ``/hook`` that does what *view*, or :func:`see`, does."""
    view = more.pop("view", see)
    app = Flask(__name__)
    app.config["SAFETWILIO"] = CONFIG if config is None else config
    app.config.from_mapping(more)
    twilio = SafeTwilio(app)
    app.add_url_rule("/hook", view_func=twilio.webhook(view), methods=["GET", "POST"])
    return app


@pytest.fixture
def app(token: str) -> Flask:  # noqa: ARG001 - it is in the environment
    return application()


def signed_form(app: Flask, token: str, params: dict[str, Any] = PARAMS) -> TestResponse:
    signed = sign_request(f"{ORIGIN}/hook", params=params, auth_token=token)
    return app.test_client().post("/hook", data=params, headers=signed.headers)


def signed_json(app: Flask, token: str, body: bytes) -> TestResponse:
    signed = sign_request(f"{ORIGIN}/hook", body=body, auth_token=token)
    path = signed.url.removeprefix(ORIGIN)
    return app.test_client().post(
        path, data=body, headers=signed.headers, content_type="application/json"
    )


def post(app: Flask, body: bytes = b"", kind: str = FORM, **environ: Any) -> TestResponse:
    """Post what has a signature, which is wrong."""
    return app.test_client().post(
        "/hook",
        data=body,
        content_type=kind,
        headers={"X-Twilio-Signature": "x"},
        environ_overrides=environ,
    )


def test_form_json_and_bytes_get_to_the_view(app: Flask, token: str) -> None:
    form, json = signed_form(app, token).get_json(), signed_json(app, token, b'{"a": 1}').get_json()

    names = [["Body", ""], ["From", "+15005550006"], ["MediaUrl", "b", "a"]]
    assert (form["form"], form["json"]) == (names, None)
    assert form["raw"] > 0
    assert json == {"form": [], "json": {"a": 1}, "raw": 8}


def test_a_get_gets_to_the_view(app: Flask, token: str) -> None:
    signed = sign_request(f"{ORIGIN}/hook?To=%2B1", auth_token=token)

    answer = app.test_client().get("/hook?To=%2B1", headers=signed.headers)

    assert answer.status_code == 200


def test_an_unsigned_request_is_answered_with_nothing_and_its_reason_is_in_the_log(
    app: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    app.register_error_handler(403, lambda _: ("a page for people", 403))
    unread = io.BytesIO(b"a=1")
    with caplog.at_level(logging.INFO, "safetwilio.webhooks"):
        answer = app.test_client().post("/hook", input_stream=unread, content_type=FORM)

    assert (answer.status_code, answer.data) == (403, b"")
    assert caplog.messages[-1] == "[ST401] A webhook was refused: unsigned"
    assert unread.tell() == 0


@pytest.mark.parametrize(
    ("body", "kind", "reason"),
    [
        (b"a=\xff", FORM, "unreadable"),
        (b"a=1", f"{FORM}; charset=nonsense", "wrong-signature"),
        (b"&&&", FORM, "unreadable"),
        (b"a=1" + b"&b" * 10_000, FORM, "too-large"),
        (b'--b\r\n: form-data"\r\n', "multipart/form-data; boundary=b", "no-body-hash"),
        (b"a", "multipart/form-data", "no-body-hash"),
        (b"a" * (MAX_BODY + 1), FORM, "too-large"),
        (b"a" * MAX_BODY, FORM, "wrong-signature"),
        (b"a" * (MAX_BODY + 1), "application/json", "too-large"),
    ],
    ids=lambda value: value[:20] if isinstance(value, (str, bytes)) else value,
)
def test_odd_bodies_are_refused(
    app: Flask, body: bytes, kind: str, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    answer = post(app, body, kind)

    assert (answer.status_code, answer.data) == (403, b"")
    assert caplog.messages[-1] == f"[ST402] A webhook was refused: {reason}"


@pytest.mark.parametrize("length", [MAX_BODY + 1, 10 * MAX_BODY])
def test_a_body_that_does_not_say_its_length_is_read_up_to_the_limit(
    app: Flask, length: int, caplog: pytest.LogCaptureFixture
) -> None:
    body = io.BytesIO(b"a" * length)
    chunked = {"wsgi.input": body, "wsgi.input_terminated": True, "CONTENT_LENGTH": ""}

    answer = post(app, **chunked)

    assert answer.status_code == 403
    assert caplog.messages[-1] == "[ST402] A webhook was refused: too-large"
    assert body.tell() == MAX_BODY + 1


def test_a_smaller_limit_of_the_applications_own_is_honoured(
    token: str, caplog: pytest.LogCaptureFixture
) -> None:
    app = application(MAX_CONTENT_LENGTH=20)

    assert signed_form(app, token, {"a": "1"}).status_code == 200
    assert signed_form(app, token).status_code == 403
    assert caplog.messages[-1] == "[ST402] A webhook was refused: too-large"


def test_a_server_that_fails_while_it_reads_is_no_fault_of_ours(
    app: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(io.BytesIO):
        def read(self, *_: Any) -> bytes:
            raise LookupError("chunks that are none")

        readinto = read  # type: ignore[assignment]

    broken = {"wsgi.input": Broken(), "wsgi.input_terminated": True, "CONTENT_LENGTH": ""}

    assert post(app, **broken).status_code == 403
    assert caplog.messages[-1] == "[ST402] A webhook was refused: unreadable"


def look() -> None:
    """Look into the form before the view does."""
    assert request.form is not None


def test_a_form_that_was_parsed_before_is_verified(app: Flask, token: str) -> None:
    """As extensions do that look for a token in it."""
    app.before_request(look)

    answer = signed_form(app, token)

    assert answer.get_json()["form"][1] == ["From", "+15005550006"]
    assert signed_form(app, auth_token()).status_code == 403


def test_multipart_that_was_parsed_before_does_not_count_as_an_empty_body(
    app: Flask, token: str
) -> None:
    """A signature over the URL alone, of a GET, must not let a form through."""
    app.before_request(look)
    signed = sign_request(f"{ORIGIN}/hook", auth_token=token)

    for data in ({"From": "x"}, {"file": (io.BytesIO(b"x"), "name")}):
        answer = app.test_client().post(
            "/hook", data=data, headers=signed.headers, content_type="multipart/form-data"
        )
        assert answer.status_code == 403


async def later() -> Response:
    return Response("later")


def test_a_view_may_be_async(token: str) -> None:
    app = application(view=later)

    assert signed_form(app, token).data == b"later"
    assert post(app).status_code == 403


def test_a_view_may_be_a_class(token: str) -> None:
    app = Flask(__name__)
    app.config["SAFETWILIO"] = CONFIG
    twilio = SafeTwilio(app)

    class Hook(MethodView):
        decorators = (twilio.webhook,)

        def post(self) -> str:
            return "class"

    app.add_url_rule("/hook", view_func=Hook.as_view("hook"))

    assert signed_form(app, token).data == b"class"
    assert post(app).status_code == 403


def swapped(app: Flask | Blueprint, twilio: SafeTwilio) -> None:
    @twilio.webhook
    @app.post("/open")
    def open_to_all() -> str:
        return "let in"


ONE = "The view '(hooks.)?open_to_all' is open to everybody"


@pytest.mark.usefixtures("token")
def test_decorators_in_the_wrong_order_are_refused_where_they_stand(app: Flask) -> None:
    twilio = SafeTwilio(app)

    with pytest.raises(UsageError, match=ONE):
        swapped(app, twilio)


@pytest.mark.usefixtures("token")
def test_decorators_in_the_wrong_order_are_refused_when_the_application_is_made() -> None:
    app, twilio = Flask(__name__), SafeTwilio()
    swapped(app, twilio)

    with pytest.raises(UsageError, match=ONE):
        twilio.init_app(app)


@pytest.mark.usefixtures("token")
def test_decorators_in_the_wrong_order_in_a_blueprint_let_nothing_through() -> None:
    app, hooks, twilio = Flask(__name__), Blueprint("hooks", __name__), SafeTwilio()
    app.config["SAFETWILIO"] = CONFIG
    swapped(hooks, twilio)
    twilio.init_app(app)
    app.register_blueprint(hooks)
    app.testing = True

    for _ in range(2):
        with pytest.raises(UsageError, match=ONE):
            app.test_client().post("/open")


def test_a_webhook_of_an_application_without_the_extension_says_so() -> None:
    app = Flask(__name__)
    app.testing = True
    app.add_url_rule("/hook", view_func=SafeTwilio().webhook(see), methods=["POST"])

    with pytest.raises(UsageError, match=r"call SafeTwilio\(app\) or init_app\(app\)"):
        app.test_client().post("/hook")


def test_a_new_token_needs_no_restart(
    app: Flask, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = auth_token()
    monkeypatch.setenv("TWILIO_WEBHOOK_AUTH_TOKEN", new)
    with app.app_context():
        assert SafeTwilio().receiver.refresh(drop_previous=True)

    assert signed_form(app, new).status_code == 200
    assert signed_form(app, token).status_code == 403


def test_each_application_has_settings_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = {name: auth_token() for name in ("sales", "support")}
    apps = {}
    for name, token in tokens.items():
        monkeypatch.setenv(f"TWILIO_{name.upper()}_WEBHOOK_AUTH_TOKEN", token)
        webhooks = {"ACCOUNT": name, "PUBLIC_URL": ORIGIN}
        apps[name] = application({"CLIENT": False, "WEBHOOKS": webhooks})

    assert signed_form(apps["sales"], tokens["sales"]).status_code == 200
    assert signed_form(apps["support"], tokens["support"]).status_code == 200
    assert signed_form(apps["sales"], tokens["support"]).status_code == 403


def test_what_is_behind_a_named_proxy_needs_no_public_url(token: str) -> None:
    app = application({"CLIENT": False, "WEBHOOKS": {"PROXIES": ["127.0.0.1"]}})
    signed = sign_request(f"{ORIGIN}/hook", params={"a": "1"}, auth_token=token)
    forwarded = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "example.com"}
    headers = {**signed.headers, **forwarded}
    send: Callable[..., TestResponse] = app.test_client().post
    stranger = {"REMOTE_ADDR": "203.0.113.7"}

    assert send("/hook", data={"a": "1"}, headers=headers).status_code == 200
    refused = send("/hook", data={"a": "1"}, headers=headers, environ_overrides=stranger)
    assert refused.status_code == 403


def test_no_refusal_shows_the_token(
    app: Flask, token: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Nor the signature that would have been right."""
    right = sign_request(f"{ORIGIN}/hook", params=PARAMS, auth_token=token)
    with caplog.at_level(logging.DEBUG):
        assert signed_form(app, auth_token()).status_code == 403

    assert leaks(caplog.text, [token, *right.headers.values()]) == []


def test_an_error_in_the_middle_shows_nothing_of_the_request(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When what signs has been taken away, and the receiver has forgotten it, as in a test."""
    monkeypatch.delenv("TWILIO_WEBHOOK_AUTH_TOKEN")
    with app.app_context():
        SafeTwilio().receiver.reset()
    app.testing = True

    error = caught(lambda: post(app, b"From=what-nobody-should-see"))

    assert isinstance(error, ConfigurationError)
    shown = traceback.TracebackException.from_exception(error, capture_locals=True)
    ours = [frame.locals for frame in shown.stack if "/integrations/flask.py" in frame.filename]
    assert ours
    assert "what-nobody" not in str(ours)
