"""``WebhookSettings``: where they come from, what is given, and loading them anew."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from safetwilio import TwilioSettings, WebhookSettings
from safetwilio.errors import WebhookError
from safetwilio.testing.webhooks import sign_request
from support import STRANGERS, Key, auth_token, caught, key_secret, refused, write
from webhook_names import KEY_ID, KEYS, PUBLIC, SECONDARY, TOKEN, URL, held, put


@pytest.fixture
def token(monkeypatch: pytest.MonkeyPatch) -> str:
    """Put an Auth Token into the environment, as that of the webhooks."""
    value = auth_token()
    monkeypatch.setenv(TOKEN, value)
    return value


def test_every_name(token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    other, shared = auth_token(), key_secret(40)
    put(monkeypatch, {SECONDARY: other, KEYS: f"{KEY_ID}={shared}", URL: PUBLIC})
    settings = WebhookSettings()
    assert held(settings) == (token, other, {KEY_ID: shared})
    assert (settings.public_url, settings.source, settings.version) == (PUBLIC, "env", None)
    assert (settings.proxies, settings.shared_keys_only, settings.warnings) == ((), False, ())
    tokens = [each.get_secret_value() for each in settings.secrets().auth_tokens]
    assert tokens == [token, other], "the primary one first"


def test_the_usual_name_of_the_token(monkeypatch: pytest.MonkeyPatch) -> None:
    value = auth_token()
    monkeypatch.setenv("TWILIO_AUTH_TOKEN", value)
    assert held(WebhookSettings())[0] == value
    monkeypatch.setenv(TOKEN, value)
    assert held(WebhookSettings())[0] == value


def test_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    token, shared = auth_token(), key_secret(40)
    texts = {TOKEN: token, KEYS: f"{KEY_ID}={shared}\n", URL: PUBLIC}
    for name, text in texts.items():
        monkeypatch.setenv(f"{name}_FILE", str(write(tmp_path / name, text + "\n")))
    settings = WebhookSettings()
    assert held(settings) == (token, None, {KEY_ID: shared})
    assert settings.public_url == PUBLIC


def test_a_dotenv_file_beside_an_api_key(key: Key) -> None:
    value = auth_token()
    write(Path(".env"), f"{key.dotenv()}{TOKEN}={value}\n{URL}={PUBLIC}\n")
    settings = WebhookSettings()
    assert (held(settings)[0], settings.public_url) == (value, PUBLIC)
    assert settings.source == "dotenv:.env"
    assert TwilioSettings().warnings == (), "of the other kind, so no business of the key's"


def test_a_chain_of_their_own(
    configured: Key, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The API key stays where it is."""
    mine, other = auth_token(), auth_token()
    write(tmp_path / "hooks", f"{TOKEN}={mine}\n")
    write(tmp_path / "other", f"{TOKEN}={other}\n")
    monkeypatch.setenv("SAFETWILIO_WEBHOOK_BACKEND", f"dotenv:{tmp_path / 'hooks'}")
    settings = WebhookSettings()
    assert held(settings)[0] == mine
    assert settings.source == f"dotenv:{tmp_path / 'hooks'}"
    assert TwilioSettings().api_key == configured.sid
    monkeypatch.setenv("SAFETWILIO_BACKEND", f"dotenv:{tmp_path / 'other'}")
    assert held(WebhookSettings())[0] == mine
    monkeypatch.delenv("SAFETWILIO_WEBHOOK_BACKEND")
    assert held(WebhookSettings())[0] == other
    assert held(WebhookSettings(_backend=f"dotenv:{tmp_path / 'hooks'}"))[0] == mine


def test_the_public_url_may_stay_in_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unless the document has one too, whose word is nearer."""
    file = write(tmp_path / "hooks", f"{TOKEN}={auth_token()}\n")
    monkeypatch.setenv(URL, PUBLIC)
    assert WebhookSettings(_backend=f"dotenv:{file}").public_url == PUBLIC
    write(file, f"{TOKEN}={auth_token()}\n{URL}=https://other.example\n")
    assert WebhookSettings(_backend=f"dotenv:{file}").public_url == "https://other.example"


def test_named_accounts(token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    value = auth_token()
    monkeypatch.setenv("TWILIO_BILLING_WEBHOOK_AUTH_TOKEN", value)
    assert held(WebhookSettings(_account="Billing"))[0] == value
    assert held(WebhookSettings())[0] == token
    error = refused(lambda: WebhookSettings(_account="sales"))
    assert error.account == "sales"
    assert "TWILIO_SALES_WEBHOOK_AUTH_TOKEN" in str(error)
    assert "safetwilio doctor --account sales --webhooks" in str(error)


def test_a_chain_of_a_named_account(
    token: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    value = auth_token()
    file = write(tmp_path / "hooks", f"TWILIO_BILLING_WEBHOOK_AUTH_TOKEN={value}\n")
    monkeypatch.setenv("SAFETWILIO_WEBHOOK_BACKEND_BILLING", f"dotenv:{file}")
    assert held(WebhookSettings(_account="billing"))[0] == value
    assert held(WebhookSettings())[0] == token


def test_other_programs_variables(token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    put(monkeypatch, {**STRANGERS, "AUTH_TOKEN": "another", "PUBLIC_URL": "x", "PROXIES": "y"})
    settings = WebhookSettings()
    assert held(settings) == (token, None, {})
    assert (settings.public_url, settings.proxies) == (None, ())


@pytest.mark.parametrize("wrap", [str, SecretStr])
def test_they_win_and_no_backend_is_asked(
    token: str, wrap: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, other, shared = auth_token(), auth_token(), key_secret(40)
    put(monkeypatch, {"SAFETWILIO_BACKEND": "nonsense:", KEYS: f"x={key_secret(40)}"})
    settings = WebhookSettings(
        auth_token=wrap(mine),
        secondary_auth_token=wrap(other),
        shared_keys={KEY_ID: wrap(shared)},
    )
    assert held(settings) == (mine, other, {KEY_ID: shared})
    assert settings.source == "arguments"
    assert held(WebhookSettings(shared_keys={KEY_ID: wrap(shared)})) == (
        *(None, None),
        {KEY_ID: shared},
    )
    assert token not in repr(held(settings))


def test_the_public_url_wins_wherever_the_secrets_are_from(
    token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(URL, "https://other.example")
    settings = WebhookSettings(public_url=PUBLIC, proxies=["10.0.0.0/8", "::1"])
    assert (held(settings)[0], settings.public_url) == (token, PUBLIC)
    assert settings.proxies == ("10.0.0.0/8", "::1")
    assert WebhookSettings(proxies="127.0.0.1").proxies == ("127.0.0.1",)
    monkeypatch.setenv(f"{URL}_FILE", "/not/there")
    assert WebhookSettings(public_url=PUBLIC, auth_token=token).public_url == PUBLIC


def test_one_token_of_two_may_be_given(token: str) -> None:
    other = auth_token()
    assert held(WebhookSettings(secondary_auth_token=other)) == (token, other, {})


def test_shared_keys_only_keeps_no_token(token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    other, shared = auth_token(), key_secret(40)
    put(monkeypatch, {SECONDARY: other, KEYS: f"{KEY_ID}={shared}"})
    settings = WebhookSettings(shared_keys_only=True)
    assert held(settings) == (None, None, {KEY_ID: shared})
    assert settings.secrets().auth_tokens == ()
    url = "https://example.com/sms"
    error = caught(
        lambda: settings.verifier().verify(url, headers=sign_request(url, auth_token=token).headers)
    )
    assert isinstance(error, WebhookError)
    assert error.reason == "auth-token"
    given = WebhookSettings(
        secondary_auth_token=other,
        auth_token=token,
        shared_keys={KEY_ID: shared},
        shared_keys_only=True,
    )
    assert held(given) == (None, None, {KEY_ID: shared})
    assert given._origin.given == {}
