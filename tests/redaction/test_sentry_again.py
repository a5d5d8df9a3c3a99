"""Sentry's SDK imported anew: a reloader or a test tool has purged ``sys.modules``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support import run_python

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("sentry_sdk")

# In a process of its own: what is purged here others still hold.
PROGRAM = """
import io, sys
import sentry_sdk
from safetwilio import redaction
from safetwilio.redaction.sinks import canary

def state():
    return next(sink.state for sink in redaction.health() if sink.name == "sentry")

def leaks():
    from sentry_sdk.envelope import Envelope
    secret, buffer = canary(), io.BytesIO()
    Envelope(headers={"x": secret}).serialize_into(buffer)
    return secret.encode() in buffer.getvalue()

def purge():
    for name in [name for name in sys.modules if name.partition(".")[0] == "sentry_sdk"]:
        del sys.modules[name]

redaction.install(strict=True)
first = sys.modules["sentry_sdk.envelope"].Envelope
original = first.serialize_into.__wrapped__
assert (state(), leaks()) == ("active", False)
"""


@pytest.mark.parametrize(
    "then",
    [
        "purge(); import sentry_sdk; assert leaks(); "
        'assert (state(), leaks()) == ("active", False)',
        'purge(); assert state() == "waiting"; import sentry_sdk; assert not leaks(); '
        'assert state() == "active"',
        "purge(); import sentry_sdk; redaction.install(strict=True); assert not leaks()",
        "purge(); import sentry_sdk; state(); redaction.uninstall(); assert leaks(); "
        "assert first.serialize_into is original",
        'purge(); sys.modules["sentry_sdk"] = None; assert state() == "waiting"',
        'assert (state(), leaks()) == ("active", False)',
    ],
    ids=["health renews", "waits again", "install renews", "uninstalls", "blocked", "untouched"],
)
def test_a_library_imported_anew_is_noticed(tmp_path: Path, then: str) -> None:
    """Health used to say active while everything that was sent went out as it was."""
    done = run_python("-c", PROGRAM + then.replace("; ", "\n"), cwd=tmp_path, environment={})

    assert (done.returncode, done.stderr) == (0, "")
