"""``SafeTwilio.init_app``: what it loads, and what it refuses."""

from __future__ import annotations

import os
from functools import wraps
from typing import TYPE_CHECKING, Any

import pytest
from flask import Blueprint, Flask

import safetwilio
from safetwilio.clients import TwilioClient
from safetwilio.errors import UsageError
from safetwilio.integrations.flask import SafeTwilio, health_view
from support import Key, assert_silent, auth_token, caught, codes, refused, shown, write

if TYPE_CHECKING:
    from pathlib import Path


def application(settings: Any = None, twilio: SafeTwilio | None = None) -> Flask:
    app = Flask(__name__)
    if settings is not None:
        app.config["SAFETWILIO"] = settings
    (twilio or SafeTwilio()).init_app(app)
    return app


@pytest.fixture
def token(monkeypatch: pytest.MonkeyPatch) -> str:
    made = auth_token()
    monkeypatch.setenv("TWILIO_WEBHOOK_AUTH_TOKEN", made)
    return made


def test_an_application_without_webhooks_needs_a_key_alone(configured: Key) -> None:
    app = application()

    assert safetwilio.health().booted
    with app.app_context():
        assert SafeTwilio().client is safetwilio.client
    assert isinstance(SafeTwilio(app).client, TwilioClient)
    assert safetwilio.client.account_sid == configured.account


def test_webhooks_in_the_settings_need_a_secret(configured: Key) -> None:
    error = refused(lambda: application({"WEBHOOKS": {}}))

    assert codes(error) == ["ST410"]
    assert_silent(error, [configured.secret])


@pytest.mark.usefixtures("configured")
def test_a_view_that_is_guarded_before_needs_a_secret() -> None:
    twilio, hooks = SafeTwilio(), Blueprint("hooks", __name__)
    hooks.add_url_rule("/hook", view_func=twilio.webhook(str))

    assert codes(refused(lambda: application(None, twilio))) == ["ST410"]


@pytest.mark.usefixtures("configured")
def test_a_view_that_is_guarded_afterwards_needs_a_secret_too() -> None:
    twilio = SafeTwilio()
    app = application(None, twilio)

    assert codes(refused(lambda: twilio.webhook(str))) == ["ST410"]
    assert app.extensions["safetwilio"]


def test_every_problem_is_in_one_report() -> None:
    error = refused(lambda: application({"WEBHOOKS": {"PUBLIC_URL": "example.com"}}))

    assert codes(error) == ["ST104", "ST103", "ST410", "ST412"]


@pytest.mark.usefixtures("token")
def test_an_application_that_only_receives_needs_no_key() -> None:
    application({"CLIENT": False, "WEBHOOKS": {}})

    assert not safetwilio.health().booted


@pytest.mark.usefixtures("safetwilio_emulator")
def test_what_is_demanded_of_the_key_is_found_out() -> None:
    error = refused(lambda: application({"VERIFY": True, "REQUIRE": "restricted"}))

    assert codes(error) == ["ST504"]


def test_the_backend_is_that_of_the_webhooks_too(
    key: Key, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(
        tmp_path / "secrets.env", f"{key.dotenv()}TWILIO_WEBHOOK_AUTH_TOKEN={auth_token()}"
    )
    monkeypatch.setenv("SAFETWILIO_BACKEND", "env")

    application({"BACKEND": f"dotenv:{path}", "WEBHOOKS": {}})

    assert safetwilio.client.account_sid == key.account
    assert os.environ["SAFETWILIO_BACKEND"] == f"dotenv:{path}"


@pytest.mark.usefixtures("configured", "token")
def test_several_applications_may_be_made_in_one_process() -> None:
    """As tests do."""
    twilio = SafeTwilio()

    apps = {application({"WEBHOOKS": {}}, twilio) for _ in range(2)}

    assert len({app.extensions["safetwilio"].receiver for app in apps}) == 2


def test_with_the_boot_switched_off_nothing_is_loaded(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("SAFETWILIO_BOOT", "off")
    twilio = SafeTwilio()

    application({"WEBHOOKS": {}}, twilio)
    twilio.webhook(str)

    assert "SAFETWILIO_BOOT=off: nothing was loaded or verified" in caplog.messages


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ([], 'app.config["SAFETWILIO"] (a list)'),
        ({"VERFIY": True}, 'app.config["SAFETWILIO"] (the key "VERFIY")'),
        ({"verify": True}, 'app.config["SAFETWILIO"] (the key "verify")'),
        ({1: True}, 'app.config["SAFETWILIO"] (a key: a int)'),
        ({"VERIFY": "no"}, 'app.config["SAFETWILIO"]["VERIFY"] (a text of 2 characters)'),
        ({"WEBHOOKS": True}, 'app.config["SAFETWILIO"]["WEBHOOKS"] (a bool)'),
        ({"WEBHOOKS": {"URL": "x"}}, 'app.config["SAFETWILIO"]["WEBHOOKS"] (the key "URL")'),
        (
            {"CLIENT": False, "REQUIRE": "restricted"},
            '"VERIFY" or "REQUIRE" beside "CLIENT": False',
        ),
    ],
    ids=str,
)
def test_settings_that_are_not_right_are_refused_by_name(settings: Any, said: str) -> None:
    error = refused(lambda: application(settings))

    assert codes(error) == ["ST940"]
    assert said in str(error)


def test_all_of_them_are_in_one_report() -> None:
    settings = {"VERIFY": 1, "WEBHOOK": {}, "WEBHOOKS": {"PUBLICURL": "", "PROXIES": 5}}

    assert codes(refused(lambda: application(settings))) == ["ST940"] * 4


def test_a_secret_has_no_place_there_and_is_not_shown(key: Key) -> None:
    token = auth_token()
    settings = {
        "API_SECRET": key.secret,
        "WEBHOOKS": {"AUTH_TOKEN": token},
        token: "a key by mistake",
    }

    error = refused(lambda: application(settings))

    assert codes(error) == ["ST940"] * 3
    assert "holds a credential, which has no place there" in str(error)
    assert "(a key of 32 characters)" in str(error)
    for secret in (key.secret, token):
        assert secret not in str(error)
        inner = shown(error).partition("/integrations/flask.py")[2]
        assert secret not in inner


def test_none_is_what_is_not_set(configured: Key) -> None:
    settings = {"BACKEND": None, "REQUIRE": None, "WEBHOOKS": None}

    application(settings)

    assert safetwilio.client.account_sid == configured.account


def test_readiness_says_whether_the_key_is_there(key: Key, monkeypatch: pytest.MonkeyPatch) -> None:
    app = Flask(__name__)
    app.add_url_rule("/ready", view_func=health_view)

    before = app.test_client().get("/ready")
    for name, value in key.environment().items():
        monkeypatch.setenv(name, value)
    safetwilio.boot()
    after = app.test_client().get("/ready")

    assert (before.status_code, before.get_json()["ok"]) == (503, False)
    assert (after.status_code, after.get_json()["ok"]) == (200, True)
    assert after.headers["Cache-Control"] == "no-store"
    assert key.secret not in after.text


def test_a_setting_that_holds_itself() -> None:
    settings: dict[str, Any] = {"FOO": {}}
    settings["FOO"]["d"] = settings["FOO"]
    assert codes(refused(lambda: application(settings))) == ["ST940"]


def test_each_application_refreshes_from_its_own_backend(tmp_path: Path) -> None:
    """A process may serve several; the environment is one for all of them."""
    twilios, tokens, apps = {}, {}, {}
    for name in "ab":
        tokens[name] = auth_token()
        folder = tmp_path / name
        folder.mkdir()
        write(folder / "TWILIO_WEBHOOK_AUTH_TOKEN", tokens[name])
        twilios[name] = SafeTwilio()
        settings = {"CLIENT": False, "WEBHOOKS": {"BACKEND": f"files:{folder}"}}
        apps[name] = application(settings, twilios[name])
    for name, twilio in twilios.items():
        with apps[name].app_context():
            assert twilio.receiver.refresh() is False
            loaded = twilio.receiver.load().auth_token
        assert loaded is not None
        assert loaded.get_secret_value() == tokens[name]


def test_a_decorator_between_the_webhook_and_the_route_hides_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TWILIO_WEBHOOK_AUTH_TOKEN", auth_token())
    app = Flask(__name__)
    twilio = SafeTwilio()

    @app.post("/sms")
    def sms() -> str:
        return "open"

    @wraps(sms)
    def other() -> str:
        return sms()

    twilio.webhook(other)
    app.config["SAFETWILIO"] = {"CLIENT": False}
    error = caught(lambda: twilio.init_app(app))
    assert isinstance(error, UsageError)
    assert error.code == "ST900"
