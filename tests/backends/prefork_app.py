"""What gunicorn serves in test_prefork.py: it boots before the fork, and refreshes after it."""

from __future__ import annotations

import hashlib
import json
import os
from typing import TYPE_CHECKING, Any

import safetwilio
from safetwilio._boot import get_account

if TYPE_CHECKING:
    from collections.abc import Callable


def digest(sid: str, secret: str) -> str:
    return hashlib.sha256(f"{sid}:{secret}".encode()).hexdigest()


def make() -> Callable[..., list[bytes]]:
    """Boot, and return the application; with ``--preload`` this happens before the fork."""
    safetwilio.boot()
    parent = os.getpid()

    def app(_: dict[str, Any], start: Callable[..., object]) -> list[bytes]:
        safetwilio.refresh()
        key = get_account(None).store.current()
        record = [key.version, digest(key.sid, key.reveal())]
        start("200 OK", [("Content-Type", "application/json")])
        return [json.dumps({"parent": parent, "pid": os.getpid(), "record": record}).encode()]

    return app
