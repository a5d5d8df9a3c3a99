"""Time enough for what has to succeed: a busy machine is no slow service."""

from __future__ import annotations

import pytest

from safetwilio.backends import deadline

BUSY = ("test_aws", "test_doppler", "test_gcp", "test_vault")


@pytest.fixture(autouse=True)
def _time_enough(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the longest deadline where the reference names none; test_deadline.py has the real one.

    A test about a deadline says which: ``timeout=1``.
    """
    if request.path.name.startswith(BUSY):
        monkeypatch.setattr(deadline, "SECONDS", deadline.BOOT_SECONDS)
