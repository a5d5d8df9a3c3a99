"""Django: the boot at the start of the process, system checks, and views for Twilio's requests.

::

    INSTALLED_APPS = ["safetwilio.integrations.django", ...]
    SAFETWILIO = {"WEBHOOKS": {"PUBLIC_URL": "https://example.com"}}
"""

from safetwilio.integrations.django.errors import Misused, NoWebhooks, SuspiciousWebhook
from safetwilio.integrations.django.views import health
from safetwilio.integrations.django.webhooks import (
    TwilioWebhookMixin,
    receiver,
    twilio_webhook,
    verify_webhook,
)

__all__ = [
    "Misused",
    "NoWebhooks",
    "SuspiciousWebhook",
    "TwilioWebhookMixin",
    "health",
    "receiver",
    "twilio_webhook",
    "verify_webhook",
]
