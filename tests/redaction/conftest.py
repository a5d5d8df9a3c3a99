"""Fresh fake secrets, and a process without redaction after each test."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from safetwilio import redaction

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _clean_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("SAFETWILIO_REDACT", raising=False)
    monkeypatch.delenv("SAFETWILIO_FINGERPRINT_KEY", raising=False)
    yield
    redaction.uninstall()


@pytest.fixture
def token() -> str:
    """Return a registered Auth Token."""
    value = os.urandom(16).hex()
    redaction.register(value, "token")
    return value


@pytest.fixture
def installed() -> None:
    """Install the sinks."""
    states = {h.name: h.state for h in redaction.install(strict=True)}
    assert states.pop("streams") == "off"
    assert set(states.values()) <= {"active", "waiting"}
