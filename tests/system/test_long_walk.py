"""Twilio's own library understands every answer: the long way, another one each time.

2,000 calls, and more until every route has answered; ``WALK_CALLS=10000`` takes so many. The seed
follows from pytest-randomly's, which is printed at the start: ``--randomly-seed=N`` walks the same
way again.
"""

from __future__ import annotations

import os
import random
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "testing"))

from walker import documents_are_there, kinds, walk

from safetwilio.testing.routes import ROUTES

CALLS = int(os.environ.get("WALK_CALLS", "2000"))


@pytest.mark.timeout(900)
def test_the_library_understands_every_answer() -> None:
    seed = random.randrange(10**6)  # noqa: S311
    print(f"seed {seed}, held against the OpenAPI documents: {documents_are_there()}")  # noqa: T201
    emulator, outcomes = walk(seed, CALLS)
    print(*kinds(outcomes), sep="\n")  # noqa: T201
    assert sum(outcomes.values()) >= CALLS
    assert set(emulator.succeeded) == set(ROUTES)
