"""The permissions that a Restricted key's policy can name, as far as anybody has published them."""

from __future__ import annotations

from functools import cache
from importlib.resources import files


@cache
def known_permissions() -> frozenset[str]:
    """Return all permissions in ``data/permissions.txt``, which names its sources."""
    text = files("safetwilio.testing").joinpath("data", "permissions.txt").read_text("utf-8")
    return frozenset(line for line in text.splitlines() if line.startswith("/"))
