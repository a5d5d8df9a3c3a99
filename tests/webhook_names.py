"""The names of what webhooks are signed with, and what settings made of them hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pytest

    from safetwilio import WebhookSettings

TOKEN, SECONDARY = "TWILIO_WEBHOOK_AUTH_TOKEN", "TWILIO_WEBHOOK_SECONDARY_AUTH_TOKEN"
KEYS, URL = "TWILIO_WEBHOOK_SHARED_KEYS", "TWILIO_WEBHOOK_PUBLIC_URL"
KEY_ID = "webhooks_sharedkey_01"
PUBLIC = "https://example.com"


def held(settings: WebhookSettings) -> tuple[str | None, str | None, dict[str, str]]:
    """Return both tokens and the SharedKeys of *settings*, in clear."""
    tokens = (settings.auth_token, settings.secondary_auth_token)
    primary, secondary = (None if t is None else t.get_secret_value() for t in tokens)
    keys = {name: secret.get_secret_value() for name, secret in settings.shared_keys.items()}
    return primary, secondary, keys


def put(monkeypatch: pytest.MonkeyPatch, environment: Mapping[str, str]) -> None:
    """Set the variables of *environment*."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
