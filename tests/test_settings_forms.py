"""Subclasses with aliases or ``extra="forbid"``, and settings made through ``model_validate``."""

from __future__ import annotations

import json
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import AliasChoices, AliasGenerator, Field, SecretStr
from pydantic.alias_generators import to_camel
from pydantic_settings import SettingsConfigDict

from safetwilio import TwilioSettings, validation
from safetwilio.errors import InvalidCredentials
from support import Key, Opaque, assert_silent, codes, key_secret, leaks, refused, write

if TYPE_CHECKING:
    from collections.abc import Callable


class Camel(TwilioSettings):
    """An application that calls all its fields as JavaScript does."""

    model_config = SettingsConfigDict(alias_generator=to_camel)
    sender_number: str = "none"


class Validated(TwilioSettings):
    """One whose aliases are for input only, and look like variables."""

    model_config = SettingsConfigDict(
        alias_generator=AliasGenerator(validation_alias=lambda name: f"APP_{name.upper()}")
    )
    sender_number: str = "none"


class ByName(TwilioSettings):
    """One that takes both."""

    model_config = SettingsConfigDict(alias_generator=to_camel, populate_by_name=True)
    sender_number: str = "none"


class Redeclared(TwilioSettings):
    """One that declares a field of ours again, with names of its own."""

    api_secret: SecretStr = Field(validation_alias=AliasChoices("MY_SECRET", "OTHER_SECRET"))


class Strict(TwilioSettings):
    """One that wants to know of every name that nothing reads."""

    model_config = SettingsConfigDict(extra="forbid", env_file=".env")
    sender_number: str = "none"


def held(made: TwilioSettings) -> Key:
    return Key(made.account_sid, made.api_key, made.api_secret.get_secret_value())


@pytest.mark.parametrize("kind", [Camel, Validated, ByName, Redeclared, Strict])
def test_our_fields_are_found_whatever_they_are_called(
    configured: Key, kind: type[TwilioSettings]
) -> None:
    assert held(kind()) == configured


def test_its_own_fields_are_read_by_their_aliases(
    configured: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SENDERNUMBER", "+15550100")
    monkeypatch.setenv("APP_SENDER_NUMBER", "+15550101")

    assert Camel().sender_number == "+15550100"
    assert Validated().sender_number == "+15550101"
    assert held(Camel(senderNumber="x")) == configured


@pytest.mark.parametrize(
    "names",
    [("account_sid", "api_key", "api_secret"), ("accountSid", "apiKey", "apiSecret")],
)
@pytest.mark.parametrize("kind", [Camel, ByName])
def test_arguments_may_be_called_either_way(
    key: Key, kind: type[TwilioSettings], names: tuple[str, ...]
) -> None:
    values: dict[str, Any] = dict(zip(names, key, strict=True))
    if kind is ByName and names[0] == "accountSid":
        return  # pydantic's own rule: by name
    assert held(kind(**values)) == key
    assert kind(**values).source == "arguments"


def test_an_argument_by_its_alias_is_checked_and_hidden() -> None:
    secret = key_secret(12)
    given = Opaque({"apiSecret": secret, "apiKey": "SK1"})
    error = refused(lambda: Camel(**given.value))

    assert "ST204" in codes(error)
    assert "the argument apiSecret (12 characters)" in str(error)
    assert_silent(error, [secret])


def test_a_missing_own_field_is_called_by_its_alias(configured: Key) -> None:  # noqa: ARG001
    class Needs(TwilioSettings):
        model_config = SettingsConfigDict(alias_generator=to_camel)
        sender_number: str

    error = refused(Needs)
    assert codes(error) == ["ST106"]
    assert '"senderNumber"' in str(error)


@pytest.mark.usefixtures("configured")
def test_a_name_that_is_forbidden_is_said_to_be_unknown() -> None:
    """It used to be called a setting that is not valid, as if its value were wrong."""
    stray = key_secret(32)
    write(Path(".env"), f"OTHER=1\nTWILIO_REGION=ie1\n{stray}=2\n")
    error = refused(Strict)

    assert type(error) is InvalidCredentials
    assert codes(error) == ["ST219"]
    (problem,) = error.problems
    assert 'extra="forbid" refuses it' in problem.summary
    assert set(problem.found_in) == {'"other"', '"twilio_region"', "one of 32 characters"}
    assert 'extra="ignore"' in problem.fix
    assert_silent(error, [stray, stray.lower()])


HOW = {
    "python": lambda kind, values: kind.model_validate(values),
    "json": lambda kind, values: kind.model_validate_json(json.dumps(values)),
    "strings": lambda kind, values: kind.model_validate_strings(values),
}
each_way = pytest.mark.parametrize("how", HOW.values(), ids=HOW)
each_kind = pytest.mark.parametrize("kind", [TwilioSettings, Camel])


@each_way
@each_kind
def test_validated_settings_are_as_good(
    key: Key, kind: type[TwilioSettings], how: Callable[..., TwilioSettings]
) -> None:
    values = {"account_sid": key.account, "api_key": key.sid, "api_secret": key.secret}
    made = how(kind, values)

    assert type(made) is kind
    assert held(made) == key


@each_way
@each_kind
def test_what_was_to_be_validated_is_in_no_frame(
    key: Key, kind: type[TwilioSettings], how: Callable[..., TwilioSettings]
) -> None:
    """The frames of pydantic hold the mapping, which error trackers show with their locals."""
    given = Opaque({"account_sid": key.account, "api_key": "SK1", "api_secret": key.secret})
    error = refused(lambda: how(kind, given.value))

    assert codes(error) == ["ST204"]
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    below = frames[-1]  # those above it are the application's own
    assert below.f_code.co_filename == validation.__file__
    assert leaks(repr(below.f_locals), [key.secret]) == []
    assert not [f for f in frames if "pydantic" in f.f_code.co_filename]


@pytest.mark.parametrize("text", ["not json {}", '"{}"', '["{}"]'])
def test_what_is_no_mapping_is_refused_in_our_words(text: str) -> None:
    """The ``ValidationError`` of pydantic holds the whole input in ``errors()``."""
    secret = key_secret()
    given = Opaque(text.replace("{}", secret))
    error = refused(lambda: TwilioSettings.model_validate_json(given.value))

    assert codes(error) == ["ST219"]
    assert_silent(error, [secret])
    given = Opaque(secret)
    assert_silent(refused(lambda: TwilioSettings.model_validate(given.value)), [secret])
