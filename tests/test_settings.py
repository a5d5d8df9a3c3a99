"""``TwilioSettings``: alone, subclassed, nested; and what it never shows or picks up."""

from __future__ import annotations

import copy
import json
import pickle
from pathlib import Path
from typing import Any

import pytest
from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from safetwilio import TwilioSettings
from safetwilio.credentials import mask
from safetwilio.errors import (
    RefusedBeforeSending,
    UsageError,
)
from safetwilio.settings import require_account_name
from support import (
    STRANGERS,
    Key,
    Opaque,
    assert_silent,
    caught,
    codes,
    key_secret,
    leaks,
    new_key,
    refused,
    write,
)


def held(settings: TwilioSettings) -> Key:
    return Key(settings.account_sid, settings.api_key, settings.api_secret.get_secret_value())


def arguments(key: Key) -> dict[str, Any]:
    return {"account_sid": key.account, "api_key": key.sid, "api_secret": key.secret}


def test_credentials_carry_everything(key: Key) -> None:
    write(Path(".env"), key.dotenv())
    settings = TwilioSettings()
    made = settings.credentials()

    assert (made.account_sid, made.sid, made.reveal()) == key
    assert (made.source, made.version) == (settings.source, settings.version)


@pytest.mark.parametrize("wrap", [str, SecretStr])
def test_arguments(key: Key, wrap: Any) -> None:
    given = arguments(key) | {"api_secret": wrap(key.secret)}
    settings = TwilioSettings(**given, region="ie1", edge="dublin")

    assert held(settings) == key
    assert (settings.source, settings.region, settings.edge) == ("arguments", "ie1", "dublin")


def test_arguments_win_over_the_environment(configured: Key) -> None:
    """Also over its account SID, which would contradict that of a document."""
    other = new_key()

    assert held(TwilioSettings(**arguments(other))) == other
    assert TwilioSettings(account_sid=other.account).account_sid == other.account
    assert held(TwilioSettings()) == configured


def test_pair_is_not_split_between_arguments_and_environment(configured: Key) -> None:
    assert codes(refused(lambda: TwilioSettings(api_key=configured.sid))) == ["ST101"]
    assert codes(refused(lambda: TwilioSettings(api_secret=configured.secret))) == ["ST102"]


def test_arguments_are_checked_and_named(configured: Key) -> None:
    error = refused(lambda: TwilioSettings(**arguments(configured) | {"region": "IE1"}))

    assert codes(error) == ["ST213"]
    assert error.problems[0].found_in[0].startswith("the argument region (3 characters")


@pytest.mark.usefixtures("configured")
def test_emulator_is_no_argument() -> None:
    """Only the process environment may send the key elsewhere."""
    assert TwilioSettings(emulator="http://127.0.0.1:1").emulator is None


def test_backend_argument(key: Key, configured: Key) -> None:
    write(Path("other.env"), key.dotenv().replace("ACCOUNT_SID", "OTHER"))
    settings = TwilioSettings(_backend="dotenv:other.env")

    assert (settings.api_key, settings.source) == (key.sid, "dotenv:other.env")
    assert settings.account_sid == configured.account


def test_account_argument(monkeypatch: pytest.MonkeyPatch, configured: Key) -> None:
    other = new_key()
    for name, value in other.environment("marketing").items():
        monkeypatch.setenv(name, value)

    assert held(TwilioSettings(_account="marketing")) == other
    assert held(TwilioSettings()) == configured


@pytest.mark.parametrize("path", ["custom.env", Path("custom.env"), ("missing.env", "custom.env")])
def test_env_file_argument(path: Any, key: Key) -> None:
    write(Path("custom.env"), key.dotenv())

    assert held(TwilioSettings(_env_file=path)) == key


def test_later_env_files_win_as_in_pydantic(key: Key) -> None:
    write(Path("a.env"), new_key().dotenv())
    write(Path("b.env"), key.dotenv())

    assert held(TwilioSettings(_env_file=("a.env", "b.env"))) == key


def test_env_file_may_have_any_name(key: Key) -> None:
    write(Path("a,b#c?d%20.env"), key.dotenv())

    assert held(TwilioSettings(_env_file="a,b#c?d%20.env")) == key


def test_env_file_in_the_home_directory(
    key: Key, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """pydantic-settings expands the tilde for the other fields."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    write(tmp_path / "app.env", key.dotenv())

    assert held(TwilioSettings(_env_file="~/app.env")) == key


def test_env_file_none_reads_none(key: Key) -> None:
    write(Path(".env"), key.dotenv())

    assert codes(refused(lambda: TwilioSettings(_env_file=None))) == ["ST104", "ST103"]


def test_environment_goes_before_the_env_file(configured: Key) -> None:
    write(Path("custom.env"), new_key().dotenv())

    assert held(TwilioSettings(_env_file="custom.env")) == configured


@pytest.mark.parametrize("account", [None, "marketing"])
def test_backend_variable_goes_before_the_env_file(
    key: Key, monkeypatch: pytest.MonkeyPatch, account: str | None
) -> None:
    write(Path("custom.env"), new_key().dotenv(account))
    write(Path("named.env"), key.dotenv(account))
    suffix = f"_{account.upper()}" if account else ""
    monkeypatch.setenv(f"SAFETWILIO_BACKEND{suffix}", "dotenv:named.env")

    assert held(TwilioSettings(_env_file="custom.env", _account=account)) == key


def test_backend_of_the_default_account_says_nothing_of_others(
    key: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(Path("custom.env"), key.dotenv("marketing"))
    monkeypatch.setenv("SAFETWILIO_BACKEND", "files:/nowhere")

    assert held(TwilioSettings(_env_file="custom.env", _account="marketing")) == key


def test_model_validate(key: Key) -> None:
    assert held(TwilioSettings.model_validate(arguments(key))) == key

    error = refused(lambda: TwilioSettings.model_validate(arguments(key) | {"api_key": key.secret}))
    assert codes(error) == ["ST204"]
    assert leaks(str(error), key) == []  # pydantic's frame holds the mapping that it was given


def test_is_frozen(key: Key) -> None:
    settings = TwilioSettings(**arguments(key))
    other = Opaque(key_secret())

    def change() -> None:
        settings.api_secret = other.value  # type: ignore[misc]

    error = caught(change)  # pydantic's own would quote the value
    assert isinstance(error, UsageError)
    assert error.code == "ST903"
    assert_silent(error, [other.value])
    assert settings.api_secret.get_secret_value() == key.secret


def test_repr_shows_fingerprints(key: Key) -> None:
    settings = TwilioSettings(**arguments(key), region="ie1")
    text = f"{settings!r}\n{settings}\n{[settings]}"

    assert leaks(text, key) == []
    assert mask("key", key.sid) in text
    assert mask("account", key.account) in text
    assert "region='ie1'" in text


def test_repr_of_one_that_was_refused() -> None:
    """A traceback with locals shows it; on Python 3.11 an error in ``repr`` would break that."""
    unfinished = TwilioSettings.__new__(TwilioSettings)

    assert repr(unfinished) == "TwilioSettings()"


def test_dumps_do_not_hold_the_secret(key: Key) -> None:
    settings = TwilioSettings(**arguments(key))

    assert leaks(settings.model_dump_json(), [key.secret]) == []
    assert leaks(repr(settings.model_dump()), [key.secret]) == []
    assert json.loads(settings.model_dump_json())["api_secret"] == "**********"


def test_pickle_is_refused_and_copies_are_not(key: Key) -> None:
    settings = TwilioSettings(**arguments(key))
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(RefusedBeforeSending) as error:
            pickle.dumps(settings, protocol)
        assert error.value.code == "ST803"
    for other in (copy.copy(settings), copy.deepcopy(settings), settings.model_copy()):
        assert held(other) == key
        assert other.source == "arguments"


class App(BaseSettings):
    """The documented form of nesting."""

    model_config = SettingsConfigDict(env_file=".env", extra="ignore")

    debug: bool = False
    twilio: TwilioSettings = Field(default_factory=TwilioSettings)


def test_nested(key: Key, monkeypatch: pytest.MonkeyPatch) -> None:
    write(Path(".env"), f"{key.dotenv()}DEBUG=true\n")
    for name, value in STRANGERS.items():
        monkeypatch.setenv(name, value)
    app = App()

    assert held(app.twilio) == key
    assert app.twilio.source == "dotenv:.env"
    assert app.debug
    assert leaks(f"{app!r} {app.model_dump_json()}", [key.secret]) == []


def test_nested_and_missing_is_our_report() -> None:
    error = refused(App)

    assert codes(error) == ["ST104", "ST103"]


def test_nested_in_a_mapping(key: Key) -> None:
    app = App.model_validate({"twilio": arguments(key)})
    assert held(app.twilio) == key

    given = Opaque({"twilio": arguments(key) | {"api_secret": key.sid}})
    error = refused(lambda: App.model_validate(given.value))
    assert codes(error) == ["ST207"]
    assert leaks(str(error), key) == []


@pytest.mark.parametrize("name", ["marketing", "Marketing", "a", "a1_b", "x" * 40])
def test_account_names(name: str) -> None:
    assert require_account_name(name) == name.lower()


@pytest.mark.parametrize("name", ["", "1a", "a-b", "a b", "_a", "a.b", "x" * 41, "a\n", "\u00e4"])
def test_no_account_names(name: str) -> None:
    with pytest.raises(UsageError) as error:
        require_account_name(name)
    assert error.value.code == "ST906"
