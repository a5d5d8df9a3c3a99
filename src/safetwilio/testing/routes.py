"""Every route of the emulated Twilio; each resource brings its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from safetwilio.testing.resources import (
    accounts,
    alerts,
    applications,
    available_numbers,
    balance,
    caller_ids,
    calls,
    events,
    iam_keys,
    keys,
    messages,
    messaging_geo,
    numbers,
    services,
    tokens,
    triggers,
    usage,
    voice_geo,
)

if TYPE_CHECKING:
    from safetwilio.testing.route import Route

ROUTES: tuple[Route, ...] = (
    *accounts.ROUTES,
    *keys.ROUTES,
    *iam_keys.ROUTES,
    *messages.ROUTES,
    *usage.ROUTES,
    *triggers.ROUTES,
    *balance.ROUTES,
    *events.ROUTES,
    *alerts.ROUTES,
    *tokens.ROUTES,
    *numbers.ROUTES,
    *available_numbers.ROUTES,
    *applications.ROUTES,
    *caller_ids.ROUTES,
    *services.ROUTES,
    *calls.ROUTES,
    *messaging_geo.ROUTES,
    *voice_geo.ROUTES,
)
