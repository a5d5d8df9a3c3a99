"""Killed anywhere, a rotation that a cloud began ends with a key that works, and is done once.

Some points are here; ``SAFETWILIO_TEST_EVERY=1`` takes them all, which lasts long.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from aws_world import STEPS
from test_end_to_end_aws import server, world  # noqa: F401 - fixtures
from test_end_to_end_gcp import all_servers  # noqa: F401 - a fixture
from test_end_to_end_gcp import world as google_world  # noqa: F401 - a fixture

from support import run_python

if TYPE_CHECKING:
    from aws_world import Rotated as InAws
    from test_end_to_end_gcp import Rotated as InGoogle


pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no SIGKILL here")

KILLED = -9
POINTS = 50  # there are more
SCRIPT = str(Path(__file__).with_name("killed_function.py"))
EVERY = int(os.environ.get("SAFETWILIO_TEST_EVERY", "37"))


def run(cloud: str, stop: int, events: list[Any]) -> int:
    """Return the exit code of a process that is killed at the point *stop*, if it gets there."""
    ours = {k: v for k, v in os.environ.items() if k.startswith("SAFETWILIO")}
    done = run_python(
        SCRIPT, cloud, str(stop), json.dumps(events), cwd=Path.cwd(), environment=ours
    )
    assert done.returncode in {0, KILLED}, done.stderr
    return done.returncode


def test_a_function_of_aws(world: InAws, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    monkeypatch.setenv("SAFETWILIO_BACKEND", "aws-sm://prod/twilio?timeout=15")
    world.rotate()
    stop, code = 1, KILLED
    while code == KILLED:
        world.grow_older()
        token, old = world.begin(), world.require_alive()
        events = [
            {"Step": step, "SecretId": world.arn, "ClientRequestToken": token} for step in STEPS
        ]
        code = run("aws", stop, events)
        world.require_alive()
        for event in events:
            world.step(event["Step"], token)
        new = world.require_alive()
        assert new != old, stop
        assert world.twilio.keys.keys() == {old, new}, stop
        stop += EVERY


def test_a_function_of_google(google_world: InGoogle) -> None:  # noqa: F811
    google_world.twilio.make_key()
    stop, code = 1, KILLED
    while code == KILLED:
        google_world.grow_older()
        message = google_world.message()
        old = google_world.require_alive()
        code = run("gcp", stop, [message])
        google_world.require_alive()
        run("gcp", 0, [message])
        new = google_world.require_alive()
        assert new != old, stop
        assert {old, new} <= google_world.twilio.keys.keys(), stop
        stop += EVERY
    assert stop > POINTS
