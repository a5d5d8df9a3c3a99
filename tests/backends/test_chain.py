"""The chain: only *absent* goes on, *broken* stops and says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from safetwilio.backends.chain import load
from safetwilio.backends.interface import Absent, Found
from safetwilio.backends.locate import parse
from safetwilio.errors import BackendError
from support import Key, auth_token, new_key, write


def chain(text: str, account: str | None = None) -> Found | Absent:
    return load(parse(text, place="the test"), account)


def source(answer: Found | Absent) -> str:
    assert isinstance(answer, Found)
    return answer.record.source


def test_first_that_holds_a_key(configured: Key) -> None:
    write(Path(".env"), new_key().dotenv())

    assert source(chain("env,dotenv:.env")) == "env"
    assert source(chain("dotenv:.env,env")) == "dotenv:.env"
    assert configured


def test_absent_goes_on(key: Key) -> None:
    write(Path("a"), "OTHER=1\n")
    write(Path("c"), key.dotenv())

    assert source(chain("env,dotenv:a,dotenv:b,files:d,dotenv:c")) == "dotenv:c"


def test_half_a_pair_stops(key: Key, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWILIO_API_KEY", key.sid)
    write(Path(".env"), key.dotenv())
    answer = chain("env,dotenv:.env")

    assert source(answer) == "env"
    assert isinstance(answer, Found)
    assert list(answer.record.fields) == ["key_sid"]


def test_broken_stops(key: Key) -> None:
    Path("a").mkdir()
    write(Path("b"), key.dotenv())

    with pytest.raises(BackendError):
        chain("dotenv:a,dotenv:b")


def test_unknown_backend_is_noticed_when_it_is_reached(key: Key) -> None:
    write(Path("a"), key.dotenv())

    assert source(chain("dotenv:a,nonsense:x")) == "dotenv:a"
    with pytest.raises(BackendError, match="ST301"):
        chain("dotenv:b,nonsense:x")


def test_every_attempt_and_sighting_is_kept(key: Key, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWILIO_AUTH_TOKEN", auth_token())
    write(Path("a"), f"TWILIO_AUTH_TOKEN={auth_token()}\n", mode=0o644)
    answer = chain("env,dotenv:a,dotenv:b")

    assert isinstance(answer, Absent)
    assert [attempt.place for attempt in answer.attempts] == ["env", "env", "a", "a", "dotenv"]
    assert answer.token_places == ("env TWILIO_AUTH_TOKEN", "a, line 1, TWILIO_AUTH_TOKEN")
    assert [p.code for p in answer.problems] == ["ST306"]
    assert answer.account_sid is None

    write(Path("b"), key.dotenv())
    answer = chain("env,dotenv:a,dotenv:b")
    assert isinstance(answer, Found)
    assert len(answer.record.token_places) == 2
    assert [p.code for p in answer.record.problems] == ["ST306"]


def test_first_account_sid_met_is_kept(key: Key) -> None:
    write(Path("a"), "OTHER=1\n")
    write(Path("b"), f"TWILIO_ACCOUNT_SID={key.account}\n")
    answer = chain("dotenv:a,dotenv:b")

    assert isinstance(answer, Absent)
    assert answer.account_sid is not None
    assert answer.account_sid.reveal() == key.account
