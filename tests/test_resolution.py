"""What the chain, the environment and arguments mean together, and every problem at once."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest

from safetwilio.errors import (
    BackendDenied,
    BackendError,
    InvalidCredentials,
    MasterTokenInUse,
    MissingCredentials,
)
from safetwilio.policy import break_glass
from safetwilio.resolution import resolve
from safetwilio.settings import TwilioSettings
from support import (
    Key,
    account_sid,
    auth_token,
    codes,
    key_secret,
    key_sid,
    leaks,
    new_key,
    refused,
    write,
)


def set_all(monkeypatch: pytest.MonkeyPatch, **variables: str) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


def held(settings: TwilioSettings) -> Key:
    return Key(settings.account_sid, settings.api_key, settings.api_secret.get_secret_value())


def test_environment_first(configured: Key) -> None:
    write(Path(".env"), new_key().dotenv())
    settings = TwilioSettings()

    assert held(settings) == configured
    assert (settings.source, settings.version, settings.warnings) == ("env", None, ())


def test_dotenv_next(key: Key) -> None:
    write(Path(".env"), key.dotenv())
    settings = TwilioSettings()

    assert held(settings) == key
    assert settings.source == "dotenv:.env"
    assert settings.version


def test_dotenv_is_not_read_in_production(monkeypatch: pytest.MonkeyPatch, key: Key) -> None:
    monkeypatch.setenv("SAFETWILIO_ENV", "production")
    write(Path(".env"), key.dotenv())
    error = refused(TwilioSettings)

    assert type(error) is MissingCredentials
    assert codes(error) == ["ST104", "ST103"]
    assert error.problems[0].looked_in[-1][:2] == ("dotenv", ".env")

    monkeypatch.setenv("SAFETWILIO_BACKEND", "dotenv:.env")
    assert held(TwilioSettings()) == key


def test_named_backend_replaces_the_default(monkeypatch: pytest.MonkeyPatch, key: Key) -> None:
    set_all(monkeypatch, SAFETWILIO_BACKEND="files:secrets")
    write(Path(".env"), new_key().dotenv())
    assert codes(refused(TwilioSettings)) == ["ST104", "ST103"]
    for name, value in key.environment().items():
        write(Path("secrets") / name, value)
    assert held(TwilioSettings()) == key


def test_reader_is_told_of_a_key_in_the_environment_that_nobody_looks_at(
    configured: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAFETWILIO_BACKEND", "dotenv:.env")
    (problem,) = refused(TwilioSettings).problems

    assert problem.code == "ST104"
    assert problem.looked_in[-1] == (
        "env",
        "TWILIO_API_KEY",
        "set, but not looked at: SAFETWILIO_BACKEND does not name env",
    )
    assert configured


@pytest.mark.parametrize("name", ["SAFETWILIO_BACKEND", "SAFETWILIO_ENV", "SAFETWILIO_EMULATOR"])
def test_our_own_switches_are_not_read_from_a_dotenv(name: str, key: Key) -> None:
    write(Path(".env"), f"{name}=production\n{key.dotenv()}")

    assert held(TwilioSettings()) == key


def test_account_region_and_edge_come_from_the_environment_whatever_the_backend(
    monkeypatch: pytest.MonkeyPatch, key: Key
) -> None:
    set_all(
        monkeypatch,
        TWILIO_ACCOUNT_SID=key.account,
        TWILIO_REGION="ie1",
        TWILIO_EDGE="dublin",
        SAFETWILIO_BACKEND="dotenv:.env",
    )
    write(Path(".env"), f"TWILIO_API_KEY={key.sid}\nTWILIO_API_SECRET={key.secret}\n")
    settings = TwilioSettings()

    assert held(settings) == key
    assert (settings.region, settings.edge) == ("ie1", "dublin")


def test_what_the_document_says_of_region_wins(monkeypatch: pytest.MonkeyPatch, key: Key) -> None:
    monkeypatch.setenv("TWILIO_REGION", "au1")
    monkeypatch.setenv("SAFETWILIO_BACKEND", "dotenv:.env")
    write(Path(".env"), f"{key.dotenv()}TWILIO_REGION=ie1\n")

    assert TwilioSettings().region == "ie1"


@pytest.mark.parametrize(
    ("outside", "inside", "missing"),
    [("TWILIO_API_KEY", "SECRET", "ST102"), ("TWILIO_API_SECRET", "KEY", "ST101")],
)
def test_pair_is_not_split_over_backends(
    monkeypatch: pytest.MonkeyPatch, key: Key, outside: str, inside: str, missing: str
) -> None:
    set_all(monkeypatch, SAFETWILIO_BACKEND="dotenv:.env", **{outside: "x"})
    monkeypatch.setenv(outside, key.environment()[outside])
    write(
        Path(".env"),
        f"TWILIO_ACCOUNT_SID={key.account}\n"
        f"TWILIO_API_{inside}={key.environment()[f'TWILIO_API_{inside}']}\n",
    )
    error = refused(TwilioSettings)

    assert codes(error) == [missing]
    assert error.problems[0].looked_in[0].place == "dotenv:.env"


def test_half_a_pair_in_the_first_place_stops(monkeypatch: pytest.MonkeyPatch, key: Key) -> None:
    monkeypatch.setenv("TWILIO_API_KEY", key.sid)
    monkeypatch.setenv("TWILIO_ACCOUNT_SID", key.account)
    write(Path(".env"), key.dotenv())

    assert codes(refused(TwilioSettings)) == ["ST101"]


def test_contradicting_accounts(monkeypatch: pytest.MonkeyPatch, key: Key) -> None:
    write(Path(".env"), key.dotenv())
    monkeypatch.setenv("TWILIO_ACCOUNT_SID", account_sid())
    error = refused(TwilioSettings)

    assert type(error) is InvalidCredentials
    assert codes(error) == ["ST217"]
    assert error.problems[0].found_in == (
        ".env, line 1, TWILIO_ACCOUNT_SID",
        "env TWILIO_ACCOUNT_SID",
    )
    monkeypatch.setenv("TWILIO_ACCOUNT_SID", key.account)
    assert held(TwilioSettings()) == key


@pytest.mark.parametrize("where", ["environment", "file"])
def test_blank_account_sid_is_one_problem_or_none(
    monkeypatch: pytest.MonkeyPatch, key: Key, where: str
) -> None:
    """A blank one contradicts nothing; in the environment it gives way to the document's."""
    monkeypatch.setenv("TWILIO_ACCOUNT_SID", "" if where == "environment" else key.account)
    inside = key if where == "environment" else key._replace(account="")
    write(Path(".env"), inside.dotenv())
    if where == "environment":
        assert held(TwilioSettings()) == key
    else:
        assert codes(refused(TwilioSettings)) == ["ST105"]


def test_account_sid_of_a_place_without_a_key_is_not_called_missing(key: Key) -> None:
    write(Path(".env"), f"TWILIO_ACCOUNT_SID={key.account}\n")
    assert codes(refused(TwilioSettings)) == ["ST104"]

    write(Path(".env"), f"TWILIO_ACCOUNT_SID={key.sid}\n")
    assert codes(refused(TwilioSettings)) == ["ST202", "ST104"][::-1]


@pytest.mark.parametrize("source", ["environment", "arguments", "file"])
def test_contradiction_in_the_environment_is_seen_whatever_the_backend(
    monkeypatch: pytest.MonkeyPatch, key: Key, source: str
) -> None:
    path = write(Path("account"), account_sid())
    set_all(monkeypatch, TWILIO_ACCOUNT_SID=key.account, TWILIO_ACCOUNT_SID_FILE=str(path))
    arguments = {}
    if source == "environment":
        set_all(monkeypatch, **key.environment())
    elif source == "arguments":
        arguments = {"api_key": key.sid, "api_secret": key.secret}
    else:
        write(Path(".env"), key.dotenv())
        monkeypatch.setenv("SAFETWILIO_BACKEND", "dotenv:.env")

    assert codes(refused(lambda: TwilioSettings(**arguments))) == ["ST211"]


def test_token_alone(monkeypatch: pytest.MonkeyPatch, key: Key) -> None:
    set_all(monkeypatch, TWILIO_ACCOUNT_SID=key.account, TWILIO_AUTH_TOKEN=auth_token())
    error = refused(TwilioSettings)

    assert type(error) is MasterTokenInUse
    assert codes(error) == ["ST501"]
    assert "safetwilio init" in error.problems[0].fix


def test_token_in_both_places_is_one_problem(monkeypatch: pytest.MonkeyPatch, key: Key) -> None:
    set_all(monkeypatch, TWILIO_ACCOUNT_SID=key.account, TWILIO_AUTH_TOKEN=auth_token())
    write(Path(".env"), f"TWILIO_AUTH_TOKEN={auth_token()}\n")

    (problem,) = refused(TwilioSettings).problems
    assert problem.found_in == ("env TWILIO_AUTH_TOKEN", ".env, line 1, TWILIO_AUTH_TOKEN")


@pytest.mark.parametrize("missing", ["TWILIO_API_KEY", "TWILIO_API_SECRET"])
def test_token_with_half_a_pair(
    configured: Key, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    monkeypatch.delenv(missing)
    monkeypatch.setenv("TWILIO_AUTH_TOKEN", auth_token())
    error = refused(TwilioSettings)

    assert type(error) is MasterTokenInUse
    assert codes(error)[1:] == ["ST501"]
    assert configured


@pytest.mark.parametrize("where", ["env", "dotenv"])
def test_token_beside_a_pair_is_a_warning_and_never_used(
    monkeypatch: pytest.MonkeyPatch, key: Key, where: str
) -> None:
    token = auth_token()
    write(Path(".env"), key.dotenv() + (f"TWILIO_AUTH_TOKEN={token}\n" if where != "env" else ""))
    if where == "env":
        monkeypatch.setenv("TWILIO_AUTH_TOKEN", token)
    settings = TwilioSettings()

    assert held(settings) == key
    assert [(p.code, p.severity) for p in settings.warnings] == [("ST502", "warning")]


def test_token_beside_a_broken_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    set_all(monkeypatch, TWILIO_AUTH_TOKEN=auth_token(), TWILIO_REGION="IE1")
    Path(".env").mkdir()
    error = refused(TwilioSettings)

    assert type(error) is MasterTokenInUse
    assert codes(error) == ["ST308", "ST501", "ST213"]


def test_class_that_a_backend_raised_reaches_the_caller(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def deny(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setenv("SAFETWILIO_BACKEND", "dotenv:.env")
    monkeypatch.setattr(os, "open", deny)

    assert type(refused(TwilioSettings)) is BackendDenied


def test_all_problems_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    set_all(
        monkeypatch,
        TWILIO_ACCOUNT_SID=key_sid(),
        TWILIO_API_KEY=account_sid(),
        TWILIO_API_SECRET=auth_token(),
        TWILIO_API_KEY_SECRET=key_secret(),
        TWILIO_REGION="../x",
        TWILIO_EDGE="X",
        TWILIO_AUTH_TOKEN=auth_token(),
        SAFETWILIO_EMULATOR="http://example.com",
    )

    assert sorted(codes(refused(TwilioSettings))) == sorted(
        ["ST202", "ST203", "ST206", "ST211", "ST213", "ST213", "ST216", "ST502"]
    )


def test_no_problem_twice(configured: Key, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment is looked at as a backend and once more for account, region and edge."""
    monkeypatch.setenv("TWILIO_ACCOUNT_SID_FILE", "missing")
    assert codes(refused(TwilioSettings)) == ["ST305"]

    write(Path("account"), configured.account, mode=0o644)
    monkeypatch.setenv("TWILIO_ACCOUNT_SID_FILE", "account")
    expected = ["ST306"] if os.name == "posix" else []
    assert [p.code for p in TwilioSettings().warnings] == expected


def test_emulator(monkeypatch: pytest.MonkeyPatch, key: Key) -> None:
    emulated = Key("AC5afe0000" + key.account[10:], "SK5afe0000" + key.sid[10:], key.secret)
    set_all(monkeypatch, **emulated.environment())
    assert codes(refused(TwilioSettings)) == ["ST214"]

    monkeypatch.setenv("SAFETWILIO_EMULATOR", "http://127.0.0.1:8910")
    assert TwilioSettings().emulator == "http://127.0.0.1:8910"

    set_all(monkeypatch, **key.environment())
    assert codes(refused(TwilioSettings)) == ["ST215"]


@pytest.mark.parametrize("kind", ["main", "MAIN"])
def test_main_key_counts_as_master(configured: Key, kind: str) -> None:
    arguments = {"api_key": configured.sid, "api_secret": configured.secret, "key_type": kind}
    error = refused(lambda: TwilioSettings(**arguments))

    assert type(error) is MasterTokenInUse
    assert codes(error) == ["ST503"]
    with break_glass(reason="a test"):
        assert TwilioSettings(**arguments).key_type == "main"


@pytest.mark.parametrize(
    ("given", "kept"), [("restricted", "restricted"), ("Standard", "standard"), ("new", None)]
)
def test_kinds_that_twilio_may_invent_are_unknown(
    configured: Key, given: str, kept: str | None
) -> None:
    settings = TwilioSettings(api_key=configured.sid, api_secret=configured.secret, key_type=given)

    assert settings.key_type == kept


def test_validation_url(configured: Key) -> None:
    pair = {"api_key": configured.sid, "api_secret": configured.secret}
    url = "https://api.twilio.com/2010-04-01/x.json"

    assert TwilioSettings(**pair, validation_url=url).validation_url == url
    error = refused(lambda: TwilioSettings(**pair, validation_url="https://evil.example"))
    assert codes(error) == ["ST218"]


def test_broken_reference_is_a_problem_like_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAFETWILIO_BACKEND", "/run/secrets")
    error = refused(TwilioSettings)

    assert type(error) is BackendError
    assert codes(error) == ["ST302"]


def test_a_fault_leaves_no_field_in_the_clear(monkeypatch: pytest.MonkeyPatch, key: Key) -> None:
    """The secret in the SID's place would else be a plain ``str`` in whatever frame holds it."""
    set_all(monkeypatch, **key._replace(sid=key.secret, secret=key.sid).environment())
    resolved = resolve(None, None, {})

    assert resolved.fields == {}
    assert leaks(repr(resolved), key) == []


def test_half_a_pair_names_what_was_not_asked(monkeypatch: pytest.MonkeyPatch, key: Key) -> None:
    set_all(monkeypatch, TWILIO_API_KEY=key.sid, TWILIO_API_SECRET_KEY="x")
    write(Path(".env"), key.dotenv())
    (problem,) = refused(TwilioSettings).problems  # the account SID may be in the .env

    assert problem.code == "ST101"
    assert [tuple(attempt) for attempt in problem.looked_in[1:]] == [
        ("env", "TWILIO_API_SECRET_KEY", "set, but not a name that is read"),
        ("dotenv", ".env", "not asked: env holds half a key"),
    ]
    assert "remove TWILIO_API_KEY from the environment, so that the next place" in problem.fix


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("SAFETWILIO_ENV", "production", "Set TWILIO_ACCOUNT_SID, TWILIO_API_KEY and"),
        ("SAFETWILIO_BACKEND", "files:/run/secrets", "Mount the files TWILIO_ACCOUNT_SID"),
    ],
)
def test_where_nothing_can_be_written_init_alone_is_no_advice(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, words: str
) -> None:
    monkeypatch.setenv(name, value)
    fix = refused(TwilioSettings).problems[0].fix

    assert words in fix
    assert "safetwilio init --backend dotenv:PATH" in fix


@pytest.mark.usefixtures("configured")
def test_environment_that_means_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAFETWILIO_ENV", "prod")
    assert [w.code for w in TwilioSettings().warnings] == ["ST221"]


def test_a_named_account_has_a_doctor_of_its_own() -> None:
    error = refused(lambda: TwilioSettings(_account="marketing"))
    assert str(error).endswith("safetwilio doctor --account marketing")
    assert str(pickle.loads(pickle.dumps(error))) == str(error)  # noqa: S301
