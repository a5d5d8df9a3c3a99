"""``safetwilio doctor --sources``: where each field came from, and what was tried; no values."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from safetwilio import TwilioSettings, redaction
from safetwilio.backends.trace import traced
from safetwilio.cli.main import main
from safetwilio.redaction import registry as registry_module
from support import Key, leaks, refused, write

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _no_redaction_left() -> Iterator[None]:
    yield
    redaction.uninstall()
    for value in tuple(registry_module.registry._known):
        redaction.retire(value)


def sources(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    main(["doctor", "--sources", "--json", *words])
    said = capsys.readouterr().out
    return dict(json.loads(said)["sources"])


def told(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    main(["doctor", "--sources", *words])
    return capsys.readouterr().err


def places(found: dict[str, Any]) -> dict[str, tuple[str | None, str | None]]:
    return {source["field"]: (source["place"], source["version"]) for source in found["fields"]}


def outcomes(found: dict[str, Any]) -> list[tuple[str, str]]:
    return [(tried["reference"], tried["outcome"]) for tried in found["tried"]]


@pytest.mark.usefixtures("configured")
def test_without_the_option_nothing_is_said_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--json"]) == 0
    assert "sources" not in json.loads(capsys.readouterr().out)


def test_each_field_has_its_place_and_version(
    key: Key, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TWILIO_REGION", "ie1")
    write(Path(".env"), key.dotenv())
    found = sources(capsys)
    version = found["tried"][1]["version"]
    assert version
    assert places(found) == {
        "region": ("env TWILIO_REGION", None),
        "account_sid": (".env, line 1, TWILIO_ACCOUNT_SID", version),
        "api_key": (".env, line 2, TWILIO_API_KEY", version),
        "api_secret": (".env, line 3, TWILIO_API_SECRET", version),
    }
    assert outcomes(found) == [("env", "absent"), ("dotenv:.env", "found")]
    assert found["tried"][0]["attempts"] == [
        {"place": "env", "name": "TWILIO_API_KEY", "outcome": "not set"},
        {"place": "env", "name": "TWILIO_API_SECRET", "outcome": "not set"},
    ]


def test_for_people(key: Key, capsys: pytest.CaptureFixture[str]) -> None:
    write(Path(".env"), key.dotenv())
    said = told(capsys)
    version = sources(capsys)["tried"][1]["version"]
    assert (
        f"""
Each field and its source:
  account_sid  .env, line 1, TWILIO_ACCOUNT_SID (version {version})
  api_key      .env, line 2, TWILIO_API_KEY (version {version})
  api_secret   .env, line 3, TWILIO_API_SECRET (version {version})

Tried, in this order:
  env          absent (named by the default)
                 TWILIO_API_KEY: not set
                 TWILIO_API_SECRET: not set
  dotenv:.env  found, version {version} (named by the default)

"""
        in said
    )
    assert leaks(said, key) == []


@pytest.mark.usefixtures("configured")
def test_what_comes_after_the_one_that_answers_is_not_asked(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert outcomes(sources(capsys)) == [("env", "found"), ("dotenv:.env", "not asked")]


def test_a_boot_that_fails_is_told_too(key: Key, capsys: pytest.CaptureFixture[str]) -> None:
    write(Path(".env"), f"TWILIO_API_SECRET={key.secret}\n")
    found = sources(capsys)
    assert outcomes(found) == [("env", "absent"), ("dotenv:.env", "half")]
    assert {name: place for name, (place, _) in places(found).items()} == {
        "api_secret": ".env, line 1, TWILIO_API_SECRET", "account_sid": None, "api_key": None,
    }  # fmt: skip
    said = told(capsys)
    assert "  account_sid  nowhere\n" in said
    assert leaks(said, [key.secret]) == []


def test_a_broken_place_is_named_with_its_code(
    key: Key, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SAFETWILIO_BACKEND", "files:nowhere,dotenv:.env,env")
    monkeypatch.setenv("TWILIO_ACCOUNT_SID", key.account)
    write(Path(".env"), f"TWILIO_API_SECRET='{key.secret}\n")
    found = sources(capsys)
    assert outcomes(found) == [
        ("files:nowhere", "absent"), ("dotenv:.env", "broken"), ("env", "not asked"),
    ]  # fmt: skip
    assert found["tried"][1]["codes"] == ["ST304"]
    assert {tried["named"] for tried in found["tried"]} == {"env SAFETWILIO_BACKEND"}
    assert places(found)["account_sid"] == ("env TWILIO_ACCOUNT_SID", None)
    said = told(capsys)
    assert "  dotenv:.env    broken: ST304, see below (named by env SAFETWILIO_BACKEND)\n" in said
    assert leaks(said, key) == []


def test_an_account_sid_alone_has_a_source(key: Key, capsys: pytest.CaptureFixture[str]) -> None:
    write(Path(".env"), f"TWILIO_ACCOUNT_SID={key.account}\n")
    assert places(sources(capsys)) == {
        "account_sid": (".env, line 1, TWILIO_ACCOUNT_SID", None),
        "api_key": (None, None), "api_secret": (None, None),
    }  # fmt: skip


@pytest.mark.usefixtures("configured")
def test_what_production_leaves_out_is_listed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SAFETWILIO_ENV", "production")
    found = sources(capsys)
    assert outcomes(found) == [("env", "found"), ("dotenv:.env", "not asked")]
    assert "SAFETWILIO_ENV is production" in found["tried"][1]["attempts"][0]["outcome"]


def test_a_reference_that_cannot_be_read_leaves_nothing_to_try(
    key: Key, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SAFETWILIO_BACKEND", f"{key.secret}:{key.secret}")
    assert sources(capsys)["tried"] == []
    said = told(capsys)
    assert "\nNothing was tried.\n" in said
    assert leaks(said, key) == []


def test_a_named_account_has_its_own(
    key: Key, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in key.environment("marketing").items():
        monkeypatch.setenv(name, value)
    found = places(sources(capsys, "--account", "marketing"))
    assert found["api_secret"] == ("env TWILIO_MARKETING_API_SECRET", None)


@pytest.mark.usefixtures("configured")
def test_nothing_is_watched_outside() -> None:
    """A program's own start leaves nothing behind."""
    with traced() as trace:
        pass
    TwilioSettings()
    assert (trace.asked, trace.fields) == ([], {})


def test_arguments_are_a_source(key: Key) -> None:
    with traced() as trace:
        TwilioSettings(account_sid=key.account, api_key=key.sid, api_secret=key.secret)
    assert {name: value.place for name, (value, _) in trace.fields.items()} == {
        "account_sid": "the argument account_sid",
        "key_sid": "the argument api_key",
        "secret": "the argument api_secret",
    }
    assert leaks(repr(vars(trace)), [key.secret]) == []


def test_a_trace_is_kept_of_what_is_refused() -> None:
    with traced() as trace:
        refused(lambda: TwilioSettings(_backend="files:nowhere"))
    assert [str(asked.reference) for asked in trace.asked] == ["files:nowhere"]
