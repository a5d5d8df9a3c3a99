"""``WebhookSettings``: what they never show, and that no REST client ever takes the token."""

from __future__ import annotations

import copy
import gc
import json
import logging
import os
import pickle
from types import FrameType, FunctionType, ModuleType
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings

import safetwilio
from safetwilio import TwilioSettings, WebhookSettings
from safetwilio._boot import get_account
from safetwilio.clients import TwilioClient
from safetwilio.errors import MasterTokenInUse, RefusedBeforeSending, UsageError
from safetwilio.testing.webhooks import sign_request
from safetwilio.webhooks import Verifier
from support import (
    Key,
    Opaque,
    assert_silent,
    auth_token,
    caught,
    codes,
    key_secret,
    leaks,
    new_key,
    refused,
    shown,
    write,
)
from webhook_names import KEY_ID, KEYS, PUBLIC, SECONDARY, TOKEN, URL, held, put

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def token(monkeypatch: pytest.MonkeyPatch) -> str:
    """Put an Auth Token into the environment, as that of the webhooks."""
    value = auth_token()
    monkeypatch.setenv(TOKEN, value)
    return value


def test_it_shows_nothing(token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    other, shared = auth_token(), key_secret(40)
    put(monkeypatch, {SECONDARY: other, KEYS: f"{KEY_ID}={shared}", URL: PUBLIC})
    settings = WebhookSettings()
    texts = (
        repr(settings),
        str(settings),
        f"{settings!r:>200}",
        repr(vars(settings)),
        repr(settings.__pydantic_private__),
        repr(settings.secrets()),
        repr(settings.verifier()),
        repr(settings.model_dump()),
        settings.model_dump_json(),
        json.dumps(settings.model_dump(mode="json")),
        repr(list(settings)),
    )
    assert leaks("\n".join(texts), [token, other, shared]) == []
    assert repr(settings).startswith("WebhookSettings(auth_tokens=2, shared_keys=1, source=")


def test_copies_and_no_pickles(token: str) -> None:
    settings = WebhookSettings()
    for twin in (copy.copy(settings), copy.deepcopy(settings), settings.model_copy()):
        assert held(twin) == (token, None, {})
        assert twin.source == "env"
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        error = caught(lambda protocol=protocol: pickle.dumps(settings, protocol))
        assert isinstance(error, RefusedBeforeSending)
        assert error.code == "ST803"
        assert_silent(error, [token])


def test_it_does_not_change(token: str) -> None:
    settings = WebhookSettings()
    other = Opaque(auth_token())
    for name in ("auth_token", "public_url", "shared_keys_only"):
        error = caught(lambda name=name: setattr(settings, name, other.value))
        assert isinstance(error, UsageError)
        assert error.code == "ST903"
        assert_silent(error, [other.value])
    with pytest.raises(ValidationError):
        settings.new = None
    assert held(settings)[0] == token


def test_reload(token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = WebhookSettings(public_url=PUBLIC, proxies="::1")
    following, old = auth_token(), token
    put(monkeypatch, {TOKEN: following, SECONDARY: old, URL: "https://other.example"})
    after = before.reload()
    assert held(before) == (old, None, {})
    assert held(after) == (following, old, {})
    assert (after.public_url, after.proxies) == (PUBLIC, ("::1",))
    monkeypatch.delenv(TOKEN)
    assert codes(refused(after.reload)) == ["ST410"]
    assert held(after) == (following, old, {})


def test_reload_keeps_the_chain_the_account_and_the_arguments(token: str, tmp_path: Path) -> None:
    file = write(tmp_path / "hooks", f"TWILIO_BILLING_WEBHOOK_AUTH_TOKEN={auth_token()}\n")
    settings = WebhookSettings(_backend=f"dotenv:{file}", _account="billing")
    value = auth_token()
    write(file, f"TWILIO_BILLING_WEBHOOK_AUTH_TOKEN={value}\n")
    assert held(settings.reload().reload())[0] == value
    given = WebhookSettings(
        auth_token=token, shared_keys={KEY_ID: key_secret(40)}, shared_keys_only=True
    )
    assert held(given.reload()) == held(given)
    assert given.reload().shared_keys_only


def test_reload_is_as_silent(token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = WebhookSettings(secondary_auth_token=auth_token())
    other = settings.secondary_auth_token
    assert other is not None
    monkeypatch.setenv(TOKEN, token.upper())
    error = refused(settings.reload)
    assert codes(error) == ["ST411"]
    assert_silent(error, [token.upper(), token, other.get_secret_value()])


def test_nested_in_the_settings_of_an_application(token: str) -> None:
    class Application(BaseSettings):
        name: str = "shop"
        webhooks: WebhookSettings = Field(default_factory=WebhookSettings)

    settings = Application()
    assert held(settings.webhooks)[0] == token
    assert leaks(repr(settings) + settings.model_dump_json(), [token]) == []


def test_nested_ones_stop_the_application_with_the_report(monkeypatch: pytest.MonkeyPatch) -> None:
    class Application(BaseSettings):
        webhooks: WebhookSettings = Field(default_factory=WebhookSettings)

    bad = key_secret()
    monkeypatch.setenv(TOKEN, bad)
    error = refused(Application)
    assert codes(error) == ["ST411"]
    assert_silent(error, [bad])


def test_a_verifier_of_these_secrets(token: str) -> None:
    settings = WebhookSettings()
    url = "https://example.com/sms"
    signed = sign_request(url, auth_token=token)
    assert isinstance(settings.verifier(), Verifier)
    assert settings.verifier().verify(url, headers=signed.headers) is True


# What leads from anything to everything.
NOT_KEPT = (type, ModuleType, FrameType, logging.Logger)


def all_that(settings: WebhookSettings) -> list[Opaque]:
    """Return everything that the settings hand out, and the token as a careless person would."""
    token = settings.auth_token
    assert token is not None
    handed_out = [settings, settings.secrets(), settings.verifier(), token]
    return [Opaque(each) for each in (*handed_out, token.get_secret_value())]


def test_no_client_and_no_settings_of_one_take_any_of_it(token: str) -> None:
    key = new_key()
    makers: list[Callable[[Opaque], object]] = [
        lambda it: TwilioClient(it.value),
        lambda it: TwilioClient(key.account, it.value),
        lambda it: TwilioClient(key.account, it.value, key.account),
        lambda it: TwilioClient(key.sid, it.value, key.account),
        lambda it: TwilioSettings(account_sid=key.account, api_key=key.sid, api_secret=it.value),
    ]
    *objects, text = all_that(WebhookSettings())
    for make in makers:
        for each in objects:
            assert caught(lambda make=make, each=each: make(each)) is not None
    for make in makers[1:]:
        error = refused(lambda make=make: make(text))
        assert codes(error)[0] in {"ST506", "ST206"}, "it looks like an Auth Token"
        assert_silent(error, [token])


def test_nothing_boots_with_it(token: str) -> None:
    settings = WebhookSettings()
    error = caught(lambda: safetwilio.configure(settings))  # type: ignore[arg-type]
    assert isinstance(error, UsageError)
    assert error.code == "ST903"
    assert leaks(shown(error), [token]) == []
    assert safetwilio.health().booted is False


def test_a_boot_holds_none_of_it(
    token: str, configured: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name is that of webhooks alone, so there is nothing to warn of either."""
    shared, other = key_secret(40), auth_token()
    put(monkeypatch, {KEYS: f"{KEY_ID}={shared}", SECONDARY: other})
    settings = TwilioSettings()
    assert settings.warnings == ()
    assert safetwilio.boot().booted
    account = get_account(None)
    seen: dict[int, object] = {}
    reachable: list[object] = [account, account.client, account.store, settings]
    while reachable:  # every object that the boot keeps, functions with what they close over
        each = reachable.pop()
        if id(each) in seen or each is os.environ or isinstance(each, NOT_KEPT):
            continue
        seen[id(each)] = each
        parts = [each.__closure__] if isinstance(each, FunctionType) else gc.get_referents(each)
        reachable += parts
    texts = {each for each in seen.values() if isinstance(each, str)}
    assert configured.secret in texts, "the walk does find secrets"
    assert not {token, shared, other} & texts


def test_with_a_webhook_token_alone_there_is_no_client(token: str) -> None:
    error = refused(safetwilio.boot)
    assert "ST104" in codes(error)
    assert "ST501" not in codes(error), "it is no master token that lies about"
    assert_silent(error, [token])


def test_under_its_usual_name_it_is_still_the_master_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWILIO_AUTH_TOKEN", auth_token())
    assert WebhookSettings().auth_token is not None
    assert isinstance(refused(safetwilio.boot), MasterTokenInUse)


@pytest.mark.parametrize("wrap", [SecretStr, str.encode, Opaque])
def test_a_secret_that_is_no_text_makes_no_client(
    key: Key, wrap: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twilio's client would send whatever it is; and a frame would show the environment."""
    around = auth_token()
    monkeypatch.setenv("SOMETHING_ELSE", around)
    held, sid, account = Opaque(wrap(key.secret)), key.sid, key.account
    error = refused(lambda: TwilioClient(sid, held.value, account))
    assert codes(error) == ["ST205"]
    assert_silent(error, [key.secret, around])


@pytest.mark.parametrize(
    "make",
    [
        lambda bad: WebhookSettings.model_validate({"auth_token": bad.value}),
        lambda bad: WebhookSettings.model_validate_json(json.dumps({"auth_token": bad.value})),
        lambda bad: WebhookSettings.model_validate({"auth_tokens": bad.value}),
        lambda bad: WebhookSettings.model_validate([bad.value]),
        lambda bad: WebhookSettings(shared_keys=[bad.value]),
        lambda bad: WebhookSettings(shared_keys=bad.value),
    ],
)
def test_pydantic_s_own_ways_in_are_as_silent(make: Callable[[Opaque], object]) -> None:
    bad = Opaque(auth_token()[:31])
    error = refused(lambda: make(bad))
    assert codes(error)[0] in {"ST219", "ST411"}
    assert_silent(error, [bad.value])
