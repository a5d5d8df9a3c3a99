"""Every route of the emulated Twilio; each resource brings its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from safetwilio.testing.resources import accounts, iam_keys, keys, messages, tokens, usage

if TYPE_CHECKING:
    from safetwilio.testing.route import Route

ROUTES: tuple[Route, ...] = (
    *accounts.ROUTES,
    *keys.ROUTES,
    *iam_keys.ROUTES,
    *messages.ROUTES,
    *usage.ROUTES,
    *tokens.ROUTES,
)
