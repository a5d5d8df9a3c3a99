"""Twilio's own library understands every answer, whatever it is told to ask.

2,000 calls here; ``nox -s system`` takes 10,000 (tests/system/test_long_walk.py).
"""

from __future__ import annotations

import pytest
from walker import documents_are_there, kinds, walk

from safetwilio.testing.routes import ROUTES

SEED, CALLS = 1, 2_000


@pytest.mark.timeout(600)
def test_the_library_understands_every_answer() -> None:
    print(f"seed {SEED}, held against the OpenAPI documents: {documents_are_there()}")  # noqa: T201
    emulator, outcomes = walk(SEED, CALLS)
    print(*kinds(outcomes), sep="\n")  # noqa: T201
    assert sum(outcomes.values()) >= CALLS
    assert set(emulator.succeeded) == set(ROUTES)
