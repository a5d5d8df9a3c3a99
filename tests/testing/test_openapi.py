"""Every answer of every route is what Twilio's OpenAPI documents describe, under every choice."""

from __future__ import annotations

from typing import Any

import pytest
from asking import RECIPIENT, SENDER, Ask, pair_of, paths
from openapi import FOLDER, Checked, validator
from walks import everything

from safetwilio.testing import Emulator
from safetwilio.testing.assumptions import every_choice
from safetwilio.testing.routes import ROUTES

pytestmark = pytest.mark.skipif(
    not FOLDER.is_dir(),
    reason=f"no OpenAPI documents in {FOLDER}; set SAFETWILIO_TWILIO_OAI to twilio-oai's spec/json",
)


@pytest.mark.parametrize("overrides", every_choice(), ids=str)
def test_every_answer_of_every_route(overrides: dict[str, Any]) -> None:
    ask = Checked(Emulator(assumptions=overrides))
    for response in everything(ask):
        assert response.headers["Twilio-Request-Id"].startswith("RQ")
        kind = "application/json" if response.body else None
        assert response.headers.get("Content-Type") == kind
    assert ask.succeeded == set(ROUTES)


def test_the_check_would_notice() -> None:
    """A field too few, one too many, or one of another form does not pass."""
    emulator = Emulator()
    path, key = paths(emulator.account)["messages"], pair_of(emulator.standard_key)
    body = Ask(emulator)("POST", path, key, To=RECIPIENT, From=SENDER, Body="hi").json()
    create = [each for each in ROUTES if each.path.endswith("Messages.json")][1]
    check = validator(create, 201)
    assert check
    assert check.is_valid(body)
    for change in ({"extra": 1}, {"date_created": "2026-01-01"}, {"status": "done"}, {"to": 1}):
        assert not check.is_valid({**body, **change})
    del body["num_media"]
    assert not check.is_valid(body)
