"""Subclasses of ``TwilioSettings``: their own fields, and what they never show or pick up."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from safetwilio import TwilioSettings
from safetwilio.errors import InvalidCredentials, MissingCredentials
from support import STRANGERS, Key, Opaque, assert_silent, codes, key_secret, refused, write


class Own(TwilioSettings):
    """An application's settings that are Twilio's and more."""

    sender: str
    retries: int = 3


def held(settings: TwilioSettings) -> Key:
    return Key(settings.account_sid, settings.api_key, settings.api_secret.get_secret_value())


def test_subclass_reads_its_own_fields(configured: Key, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENDER", "+15550100")
    settings = Own()

    assert held(settings) == configured
    assert (settings.sender, settings.retries) == ("+15550100", 3)
    assert Own(sender="given").sender == "given"


@pytest.mark.parametrize("kind", [TwilioSettings, Own])
@pytest.mark.parametrize("place", ["environment", ".env"])
def test_variables_of_other_programs_are_never_picked_up(
    configured: Key, monkeypatch: pytest.MonkeyPatch, kind: type[TwilioSettings], place: str
) -> None:
    if place == ".env":
        write(Path(".env"), "".join(f"{k}={v}\n" for k, v in STRANGERS.items()))
    else:
        for name, value in STRANGERS.items():
            monkeypatch.setenv(name, value)
    values = {"sender": "x"} if kind is Own else {}
    settings = kind(**values, _env_file=".env")

    assert held(settings) == configured
    others = (settings.region, settings.edge, settings.key_type, settings.validation_url)
    assert others == (None, None, None, None)
    assert settings.emulator is None


@pytest.mark.parametrize("kind", [TwilioSettings, Own])
def test_variables_of_other_programs_do_not_fill_a_gap(
    monkeypatch: pytest.MonkeyPatch, kind: type[TwilioSettings]
) -> None:
    for name, value in STRANGERS.items():
        monkeypatch.setenv(name, value)

    assert codes(refused(kind)) == ["ST104", "ST103"]


def test_not_even_in_a_subclass_that_asks_the_environment_first(
    configured: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    class EnvironmentFirst(TwilioSettings):
        sender: str

        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],  # noqa: ARG003
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            **_: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            return env_settings, init_settings

    monkeypatch.setenv("API_KEY", STRANGERS["API_KEY"])
    monkeypatch.setenv("ACCOUNT_SID", STRANGERS["ACCOUNT_SID"])
    monkeypatch.setenv("API_SECRET", STRANGERS["API_SECRET"])
    monkeypatch.setenv("SENDER", "x")

    assert held(EnvironmentFirst()) == configured


@pytest.mark.usefixtures("configured")
def test_missing_own_field() -> None:
    error = refused(Own)

    assert type(error) is MissingCredentials
    assert codes(error) == ["ST106"]
    assert '"sender"' in error.problems[0].summary
    assert "environment variable SENDER," in error.problems[0].fix


@pytest.mark.usefixtures("configured")
def test_missing_own_fields_are_called_what_the_environment_calls_them() -> None:
    class Prefixed(TwilioSettings):
        model_config = SettingsConfigDict(env_prefix="app_")
        sender: str
        other: str = Field(validation_alias="OTHER_NAME")

    fixes = [p.fix for p in refused(Prefixed).problems]

    assert "variable APP_SENDER," in fixes[0]
    assert "variable OTHER_NAME," in fixes[1]


def test_invalid_own_field(configured: Key, monkeypatch: pytest.MonkeyPatch) -> None:
    value = key_secret()
    monkeypatch.setenv("SENDER", "x")
    monkeypatch.setenv("RETRIES", value)
    error = refused(Own)

    assert type(error) is InvalidCredentials
    assert codes(error) == ["ST219"]
    assert '"retries"' in error.problems[0].summary
    assert_silent(error, [value, *configured])


@pytest.mark.parametrize("text", ['{{"a": "{}"}}', '{{"{}": 1, "b": "x"}}', "{}", '{{"{}'], ids=str)
def test_own_mapping_shows_neither_keys_nor_values(
    configured: Key, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    """What cannot be parsed is in the JSON error's ``doc``; a key is in pydantic's location."""

    class WithMapping(TwilioSettings):
        tokens: dict[str, int]

    value = key_secret()
    monkeypatch.setenv("TOKENS", text.format(value))
    error = refused(WithMapping)

    assert codes(error) == ["ST219"]
    assert '"tokens"' in error.problems[0].summary
    assert_silent(error, [value, *configured])


def test_own_validator_that_quotes_its_input(
    configured: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Talkative(TwilioSettings):
        sender: str

        @field_validator("sender")
        @classmethod
        def refuse(cls, value: str) -> str:
            raise ValueError(f"I do not like {value}")

    value = key_secret()
    monkeypatch.setenv("SENDER", value)
    error = refused(Talkative)

    assert codes(error) == ["ST219"]
    assert_silent(error, [value, *configured])


def test_own_model_validator_has_no_field(configured: Key) -> None:
    from pydantic import model_validator

    class Whole(TwilioSettings):
        sender: str = "x"

        @model_validator(mode="after")
        def refuse(self) -> Whole:
            raise ValueError("no")

    error = refused(Whole)
    assert codes(error) == ["ST219"]
    assert '"the settings"' in error.problems[0].summary
    assert_silent(error, configured)


def test_values_given_for_own_fields_are_not_shown_either(configured: Key) -> None:
    given = Opaque({"sender": "x", "retries": key_secret()})
    error = refused(lambda: Own(**given.value))

    assert codes(error) == ["ST219"]
    assert_silent(error, [given.value["retries"], *configured])


@pytest.mark.usefixtures("configured")
def test_warnings_and_own_faults_come_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWILIO_AUTH_TOKEN", "0" * 32)

    assert codes(refused(Own)) == ["ST502", "ST106"]


def test_model_config_env_file_serves_both_kinds_of_fields(key: Key) -> None:
    class FromFile(TwilioSettings):
        model_config = SettingsConfigDict(env_file="app.env")
        sender: str

    write(Path("app.env"), f"{key.dotenv()}SENDER=+15550100\n")
    settings = FromFile()

    assert held(settings) == key
    assert settings.sender == "+15550100"
    assert settings.source == "dotenv:app.env"
