"""The start of any framework's application, and what a readiness probe is told."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

import safetwilio
from safetwilio.errors import ConfigurationError, MissingCredentials
from safetwilio.integrations.receiver import Receiver
from safetwilio.integrations.starting import load, readiness
from support import auth_token, codes, leaks, refused

if TYPE_CHECKING:
    from support import Key


@pytest.fixture
def token(monkeypatch: pytest.MonkeyPatch) -> str:
    """Put an Auth Token into the environment, as that of the webhooks."""
    token = auth_token()
    monkeypatch.setenv("TWILIO_WEBHOOK_AUTH_TOKEN", token)
    return token


def test_nothing_loaded_is_not_ready() -> None:
    ok, state = readiness()
    assert (ok, state["ok"], state["booted"], state["webhooks"]) == (False, False, False, [])


def test_who_only_receives_is_ready_with_the_signing_secrets(token: str) -> None:
    receiver = Receiver()
    receiver.load()
    ok, state = readiness()
    assert ok
    (said,) = state["webhooks"]
    expected = {"source": "env", "version": None, "auth_tokens": 1, "shared_keys": 0}
    assert {name: said[name] for name in expected} == expected
    assert leaks(json.dumps(state), [token]) == []
    assert readiness(client=True)[0] is False, "unless it was said that it needs a key"


def test_who_sends_is_ready_with_a_key(configured: Key) -> None:
    safetwilio.boot()
    ok, state = readiness()
    assert ok
    assert state["accounts"][0]["source"] == "env"
    assert leaks(json.dumps(state), [configured.secret]) == []


def test_all_problems_of_a_start_are_in_one_report() -> None:
    error = refused(lambda: load(safetwilio.boot, None, Receiver().load))
    assert isinstance(error, MissingCredentials)
    assert codes(error) == ["ST104", "ST103", "ST410"]


def test_one_problem_stays_the_error_that_it_was(token: str) -> None:
    assert token
    error = refused(lambda: load(safetwilio.boot, Receiver().load))
    assert codes(error) == ["ST104", "ST103"]
    assert type(error) is not ConfigurationError
