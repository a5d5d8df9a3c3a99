"""Twilio's own library understands every answer, whatever it is told to ask.

500 calls here, always the same; ``nox -s system`` goes further (tests/system/test_long_walk.py).
"""

from __future__ import annotations

from walker import documents_are_there, kinds, walk

from safetwilio.testing.routes import ROUTES

SEED, CALLS = 1, 500
MANY = 0.8  # of the routes: a short walk does not come everywhere


def test_the_library_understands_every_answer() -> None:
    print(f"seed {SEED}, held against the OpenAPI documents: {documents_are_there()}")  # noqa: T201
    emulator, outcomes = walk(SEED, CALLS, everywhere=False)
    print(*kinds(outcomes), sep="\n")  # noqa: T201
    assert sum(outcomes.values()) >= CALLS
    assert len(set(emulator.succeeded)) > MANY * len(ROUTES)
