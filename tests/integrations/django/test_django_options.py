"""The SAFETWILIO dict: read whole, refused by name, and no place for a secret."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from safetwilio.errors import (
    BackendDenied,
    ConfigurationError,
    InvalidCredentials,
    MasterTokenInUse,
    MissingCredentials,
    MissingExtra,
    UsageError,
)
from safetwilio.integrations import options as shared
from safetwilio.integrations.django import options
from safetwilio.integrations.django.errors import NoWebhooks, improperly_configured
from safetwilio.problems import Problem
from safetwilio.redaction.engine import redact
from support import assert_silent, auth_token, caught, codes, key_secret, key_sid, refused

if TYPE_CHECKING:
    from collections.abc import Callable

    Change = Callable[[Any], None]

PROBLEM = Problem(code="ST101", summary="It is missing.", fix="Put it there.")


def fault(value: Any, project: Change) -> ConfigurationError:
    """Return what reading *value* raises, without a trace of *value* in this frame."""
    project(value)
    error = refused(options.read)
    assert isinstance(error, ImproperlyConfigured)
    return error


def test_nothing_need_be_said(project: Change) -> None:
    project({})
    assert options.read() == shared.Options()


def test_without_the_setting_it_is_the_same() -> None:
    assert options.read() == shared.Options()


def test_everything_that_can_be_said(project: Change) -> None:
    webhooks = {"PUBLIC_URL": "https://example.com", "PROXIES": "10.0.0.1", "BACKEND": "env"}
    project(
        {
            "BACKEND": "files:/run/secrets",
            "CLIENT": True,
            "BOOT": False,
            "VERIFY": True,
            "REQUIRE": "restricted",
            "SKIP_COMMANDS": ["import_menu"],
            "WEBHOOKS": {**webhooks, "SHARED_KEYS_ONLY": True, "ACCOUNT": "marketing"},
        }
    )
    assert options.read() == shared.Options(
        backend="files:/run/secrets",
        client=True,
        boot=False,
        verify=True,
        require="restricted",
        skip_commands=("import_menu",),
        webhooks=shared.Webhooks(
            "https://example.com", ("10.0.0.1",), shared_keys_only=True, backend="env",
            account="marketing",
        ),
    )  # fmt: skip


def test_a_variable_that_is_not_set_is_as_if_nothing_was_said(project: Change) -> None:
    nothing = dict.fromkeys(options.FORMS)
    project({**nothing, "WEBHOOKS": dict.fromkeys(shared._WEBHOOKS)})
    assert options.read() == shared.Options(webhooks=shared.Webhooks())


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ({"BAKEND": "env"}, ('the key "BAKEND"', 'Did you mean "BACKEND"?')),
        ({"backend": "env"}, ('the key "backend"', 'Did you mean "BACKEND"?')),
        ({"WEBHOOKS": {"PUBLIC_URI": "x"}}, ('["WEBHOOKS"]', 'Did you mean "PUBLIC_URL"?')),
        ({"PUBLIC_URL": "https://example.com"}, ('the key "PUBLIC_URL"', "WEBHOOKS")),
        ({1: "x"}, ("a key: a int",)),
        ({"VERIFY": "yes"}, ("True or False", "a text of 3 characters")),
        ({"CLIENT": False, "VERIFY": True}, ('"CLIENT": False',)),
        ({"CLIENT": False, "REQUIRE": "restricted"}, ('"CLIENT": False',)),
        ({"REQUIRE": "standard"}, ('"restricted"',)),
        ({"SKIP_COMMANDS": [1]}, ("a list of texts", "a list")),
        ({"WEBHOOKS": True}, ("a dict", "a bool")),
        ({"WEBHOOKS": {"PROXIES": {"a": 1}}}, ("a list of texts",)),
        ({"BACKEND": " "}, ("a text",)),
        ({"WEBHOOKS": {"ACCOUNT": "no name"}}, ("the name of an account",)),
        ({"WEBHOOKS": {"ACCOUNT": 1}}, ("the name of an account",)),
        ("env", ("settings.SAFETWILIO", "It is a dict.")),
        (None, ("settings.SAFETWILIO (a NoneType)",)),
    ],
)
def test_what_is_wrong_is_said_by_name(value: Any, says: tuple[str, ...], project: Change) -> None:
    error = fault(value, project)
    assert codes(error) == ["ST940"]
    assert all(words in str(error) for words in says), str(error)


def test_all_mistakes_are_said_at_once(project: Change) -> None:
    error = fault({"BAKEND": 1, "VERIFY": 1, "WEBHOOKS": {"PROXY": 1}}, project)
    assert codes(error) == ["ST940"] * 3
    assert str(error).startswith("safetwilio cannot start: 3 problems")


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("AUTH_TOKEN", "TWILIO_WEBHOOK_AUTH_TOKEN"),
        ("TWILIO_AUTH_TOKEN", "TWILIO_WEBHOOK_AUTH_TOKEN"),
        ("SHARED_KEYS", "TWILIO_WEBHOOK_SHARED_KEYS"),
        ("API_SECRET", "TWILIO_API_SECRET"),
        ("API_KEY", "TWILIO_API_KEY"),
        ("ACCOUNT_SID", "TWILIO_ACCOUNT_SID"),
        ("password", "TWILIO_API_SECRET"),
    ],
)
@pytest.mark.parametrize("is_nested", [False, True])
def test_a_credential_is_told_where_it_belongs(
    name: str,
    place: str,
    is_nested: bool,  # noqa: FBT001
    project: Change,
) -> None:
    secret = key_secret()
    value: dict[str, Any] = {name: secret}
    project({"WEBHOOKS": value} if is_nested else value)
    del value
    error = refused(options.read)

    assert f'the key "{name}"' in str(error)
    assert place in str(error)
    assert "holds a credential" in str(error)
    assert_silent(error, [secret])
    assert secret not in redact(f"somebody logs {secret}")


@pytest.mark.parametrize("make", [auth_token, key_secret, key_sid])
@pytest.mark.parametrize(
    "put",
    [
        lambda secret: {secret: True},
        lambda secret: {"BACKEND": {"a": secret}},
        lambda secret: {"VERIFY": secret},
        lambda secret: {"WEBHOOKS": secret},
        lambda secret: {"WEBHOOKS": {"PROXIES": [1, secret]}},
        lambda secret: {"OTHER": [{"deep": (secret,)}]},
        lambda secret: secret,
    ],
)
def test_a_secret_anywhere_is_not_shown(
    make: Callable[[], str], put: Callable[[str], Any], project: Change
) -> None:
    secret = make()
    project(put(secret))
    assert_silent(refused(options.read), [secret])


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner),
    )
    | st.dictionaries(st.sampled_from([*options.FORMS, *shared._WEBHOOKS]), st.text())
)
def test_nothing_makes_it_raise_anything_else(project: Change, value: Any) -> None:
    project(value)
    error = caught(options.read)
    assert error is None or isinstance(error, (ConfigurationError, ImproperlyConfigured))


def test_a_view_without_webhooks_is_both_errors(project: Change) -> None:
    project({})
    error = caught(options.require_webhooks)
    assert isinstance(error, NoWebhooks)
    assert isinstance(error, (UsageError, ImproperlyConfigured))
    assert str(error).startswith("[ST941]")
    assert str(pickle.loads(pickle.dumps(error))) == str(error)  # noqa: S301


KINDS = [
    *(ConfigurationError, MissingCredentials, InvalidCredentials, BackendDenied),
    *(MasterTokenInUse, MissingExtra),
]


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_that_is_djangos_as_well_loses_nothing(kind: type[ConfigurationError]) -> None:
    plain = kind([PROBLEM], account="marketing", is_running=True)
    joined = improperly_configured(plain)
    again = pickle.loads(pickle.dumps(joined))  # noqa: S301 - our own
    for error in (joined, again, joined.of_account("marketing", is_running=True)):
        assert isinstance(error, kind)
        assert isinstance(error, ImproperlyConfigured)
        assert type(error) is type(joined)
        assert type(error).__name__ == kind.__name__
        assert (error.problems, error.code) == (plain.problems, plain.code)
        assert (error.account, error.is_running) == ("marketing", True)
        assert str(error).splitlines()[:-1] == str(plain).splitlines()[:-1]
        assert str(error).endswith("Check without starting the app: python manage.py check")


def test_several_errors_become_one_with_each_problem_once() -> None:
    other = PROBLEM._replace(code="ST410")
    error = improperly_configured(
        MissingCredentials([PROBLEM]), ConfigurationError([other, PROBLEM])
    )
    assert isinstance(error, MissingCredentials)
    assert codes(error) == ["ST101", "ST410"]
    assert improperly_configured(error).problems == error.problems
