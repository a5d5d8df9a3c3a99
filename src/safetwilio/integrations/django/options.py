"""``settings.SAFETWILIO``, which :mod:`safetwilio.integrations.options` reads."""

from __future__ import annotations

from django.conf import settings

from safetwilio.errors import ConfigurationError
from safetwilio.integrations import options
from safetwilio.integrations.django.errors import NoWebhooks, improperly_configured
from safetwilio.integrations.options import BOOL, OPTIONS, SETTING, TEXTS, Options, Webhooks

FORMS = {**OPTIONS, "BOOT": BOOL, "SKIP_COMMANDS": TEXTS}

_is_tolerated = False


def read() -> Options:
    """Return what ``settings.SAFETWILIO`` says.

    :raises ConfigurationError: ST940, also an ``ImproperlyConfigured``, with all that is wrong.
    """
    failure: ConfigurationError
    try:
        return options.read(getattr(settings, SETTING, {}), f"settings.{SETTING}", FORMS)
    except ConfigurationError as error:
        failure = error.with_traceback(None)
    raise improperly_configured(failure)


def tolerate() -> None:
    """Let views be imported although the setting is not right: a system check will say so."""
    global _is_tolerated  # noqa: PLW0603
    _is_tolerated = True


def require_webhooks() -> Webhooks:
    """Return what the settings say of webhooks.

    :raises NoWebhooks: ST941, if they say nothing.
    :raises ConfigurationError: ST940, as :func:`read`.
    """
    if _is_tolerated:
        return Webhooks()
    webhooks = read().webhooks
    if webhooks is None:
        raise NoWebhooks(
            "This project has a view for Twilio's webhooks, and settings.SAFETWILIO has no "
            'WEBHOOKS, so nothing could tell Twilio\'s requests from others. Add "WEBHOOKS": '
            '{"PUBLIC_URL": "https://example.com"} with what your URLs at Twilio begin with.'
        )
    return webhooks
