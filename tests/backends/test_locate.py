"""References: parsed, shown without userinfo, and opened."""

from __future__ import annotations

import re

import pytest

from safetwilio.backends.dotenv import DotenvBackend
from safetwilio.backends.env import EnvBackend
from safetwilio.backends.files import FilesBackend
from safetwilio.backends.interface import WritableBackend
from safetwilio.backends.locate import (
    Reference,
    names_backend,
    open_backend,
    parse,
    passed_over,
    references,
    require_options,
)
from safetwilio.errors import BackendError, ConfigurationError
from support import assert_silent, auth_token, codes, key_secret, leaks, refused


def one(text: str) -> Reference:
    (reference,) = parse(text, place="the test")
    return reference


def test_default_chain() -> None:
    assert [str(r) for r in references(None, {})] == ["env", "dotenv:.env"]


@pytest.mark.parametrize("value", ["production", " Production\n"])
def test_no_dotenv_in_production_unless_named(value: str) -> None:
    production = {"SAFETWILIO_ENV": value}

    assert [str(r) for r in references(None, production)] == ["env"]
    named = {**production, "SAFETWILIO_BACKEND": "dotenv:.env"}
    assert [str(r) for r in references(None, named)] == ["dotenv:.env"]


def test_other_environments_are_not_production() -> None:
    assert len(references(None, {"SAFETWILIO_ENV": "staging"})) == 2


def test_reader_is_told_of_the_dotenv_that_production_leaves_out() -> None:
    production = {"SAFETWILIO_ENV": "production"}
    (attempt,) = passed_over(None, production)

    assert (attempt.place, attempt.name) == ("dotenv", ".env")
    assert "SAFETWILIO_ENV is production" in attempt.outcome
    assert passed_over(None, {}) == ()
    assert passed_over(None, {**production, "SAFETWILIO_BACKEND": "env"}) == ()


def test_backend_variable_replaces_the_default() -> None:
    chain = references(None, {"SAFETWILIO_BACKEND": " files:/run/secrets , env "})

    assert [str(r) for r in chain] == ["files:/run/secrets", "env"]
    assert {r.place for r in chain} == {"env SAFETWILIO_BACKEND"}


def test_blank_backend_variable_is_none() -> None:
    assert len(references(None, {"SAFETWILIO_BACKEND": "  "})) == 2
    assert not names_backend(None, {"SAFETWILIO_BACKEND": "  "})


def test_account_has_a_variable_of_its_own_and_only_that() -> None:
    environment = {"SAFETWILIO_BACKEND": "files:/a", "SAFETWILIO_BACKEND_MARKETING": "files:/b"}

    assert [str(r) for r in references("marketing", environment)] == ["files:/b"]
    assert [str(r) for r in references("sales", environment)] == ["env", "dotenv:.env"]
    assert names_backend("marketing", environment)
    assert not names_backend("sales", environment)


def test_every_part_is_decoded() -> None:
    reference = one("vault://secret/my%2Capp%23x?version=3&flag=#api%20key")

    assert reference.scheme == "vault"
    assert reference.location == "//secret/my,app#x"
    assert reference.options == {"version": "3", "flag": ""}
    assert reference.field == "api key"
    assert str(reference) == repr(reference) == "vault://secret/my%2Capp%23x"


def test_parts_may_be_left_out() -> None:
    reference = one("env")

    assert reference == ("env", "", {}, None, "env", "the test")


@pytest.mark.parametrize("text", ["/run/secrets", "", ",", "env,", "Env", "1x:y", ":x", "a b:c"])
def test_unreadable(text: str) -> None:
    with pytest.raises(BackendError) as refused:
        parse(text, place="the test")
    assert refused.value.code == "ST302"
    assert refused.value.problems[0].found_in == ("the test",)


@pytest.mark.parametrize(
    "text",
    [
        "vault://user:{}@host/path",
        "vault://{}@host/path",
        "vault:{}@host/path",
        "vault://user:a/{}@host/path",
        "vault://user:a@{}@host/path",
        "vault://user:{}#x@host/path",
        "vault://user:{}?x@host/path",
        "vault://host/path?token={}",
        "vault://host/path#{}",
    ],
)
def test_userinfo_options_and_field_are_never_shown(text: str) -> None:
    """Also when somebody forgot to percent-encode a reserved character of the password."""
    secret = key_secret()
    reference = one(text.format(secret))

    assert leaks(f"{reference} {reference!r}", [secret]) == []
    assert "host/path" in str(reference)


def test_an_at_sign_deep_in_a_path_is_shown() -> None:
    assert str(one("dotenv:/srv/app@2/.env")) == "dotenv:/srv/app@2/.env"


@pytest.mark.parametrize(
    ("text", "kind", "writable"),
    [
        ("env", EnvBackend, False),
        ("dotenv:.env", DotenvBackend, True),
        ("files:/x", FilesBackend, False),
    ],
)
def test_shipped_backends(text: str, kind: type, writable: bool) -> None:  # noqa: FBT001
    backend = open_backend(one(text))

    assert type(backend) is kind
    assert isinstance(backend, WritableBackend) is writable


def test_unknown_backend_names_those_there_are() -> None:
    with pytest.raises(BackendError) as refused:
        open_backend(one("dotnev:.env"))
    (problem,) = refused.value.problems
    assert problem.code == "ST301"
    assert problem.found_in == ("the test: the reference dotnev:.env",)
    assert "aws-sm, doppler, dotenv, dotenv-vault, env, files, gcp-sm, vault" in problem.fix


def test_an_option_or_field_that_nothing_reads_is_refused_by_its_name() -> None:
    accepted = one("vault://kv/x?version=3&timeout=2#twilio")
    require_options(accepted, "version", "timeout", field=True)
    assert accepted.path == "kv/x"
    for text, said in [
        ("vault://kv/x?verison=3", 'nothing reads: "verison". Known: version, timeout.'),
        ("vault://kv/x#twilio", "Remove the part after #"),
    ]:
        with pytest.raises(BackendError, match=re.escape(said)) as refused:
            require_options(one(text), "version", "timeout")
        assert [p.code for p in refused.value.problems] == ["ST302"]


def test_an_option_that_may_be_a_secret_is_not_shown() -> None:
    secret = key_secret()
    with pytest.raises(BackendError) as refused:
        require_options(one(f"vault://kv/x?{secret}=1"))
    assert_silent(refused.value.with_traceback(None), [secret])
    assert "one of 32 characters" in str(refused.value)


@pytest.mark.parametrize(
    "text", ["vault://a?version=1&version=2", "x:y?a&a", "x:y?a=1&b=2&%61=1", "x?a=1&a=1"]
)
def test_an_option_twice_is_refused(text: str) -> None:
    """Two values, and nobody can tell which one is meant."""
    error = refused(lambda: one(text))

    assert codes(error) == ["ST302"]
    assert "twice" in error.problems[0].fix


def test_an_option_twice_shows_neither_name_nor_value() -> None:
    secret = key_secret()
    error = refused(lambda: one(f"x:y?{secret}={secret}&{secret}={secret}"))

    assert leaks(str(error), [secret]) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("env?timeout=1", '"timeout"'),
        ("env#field", "after #"),
        ("env:TWILIO", "Write env alone"),
        ("dotenv:.env?encoding=utf-8", '"encoding"'),
        ("dotenv:.env#TWILIO", "after #"),
        ("files:/run/secrets?mode=1", '"mode"'),
        ("files:/run/secrets#field", "after #"),
    ],
)
def test_local_backends_take_no_options(text: str, said: str) -> None:
    """One that nothing reads would have no effect, and nobody would know."""
    error = refused(lambda: open_backend(one(text)))

    assert codes(error) == ["ST302"]
    assert said in error.problems[0].fix


@pytest.mark.parametrize(
    "text",
    ["{token}", "{token}:x", "env:{token}", "dotenv:{secret}", "files:{token}", "vault://{token}",
     "vault://secret/{token}/x", "aws-sm://{secret}", "gcp-sm://{secret}/{token}",
     "doppler://dp.st.prd.{secret}", "doppler://{secret}/{token}", "dotenv-vault:{secret}",
     "vault://hvs.{secret}@secret/x", "keyring://{secret}"],
)  # fmt: skip
def test_a_secret_in_the_place_of_a_name_is_shown_nowhere(text: str) -> None:
    secret, token = key_secret(), auth_token()
    shown = []
    try:
        reference = one(text.format(secret=secret, token=token))
        shown += [str(reference), repr(reference), reference.shown_path]
        shown.append(repr(open_backend(reference).load(None)))
    except ConfigurationError as error:
        shown.append(str(error))
    assert leaks(" ".join(shown), [secret, token]) == []
