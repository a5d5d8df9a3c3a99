"""safetwilio: the safe way to hold Twilio credentials.

::

    from safetwilio import client

    client.messages.create(to="+15550100", from_="+15550101", body="hello")

The import loads an API key from the environment, a ``.env`` file or a named backend, checks it,
hides it from logs and Sentry, and gives a real Twilio client, or stops with a report that says what
is wrong. Nothing else is imported before one of these names is asked for.
"""

# Not from typing, which alone would double the cost of this import; checkers know the name.
TYPE_CHECKING = False

__version__ = "0.1.0.dev0"

# "client" and "async_client" are not listed: a star import or a documentation tool must not boot.
__all__ = [
    "TwilioSettings",
    "WebhookSettings",
    "access_token",
    "boot",
    "break_glass",
    "configure",
    "get_client",
    "health",
    "redact",
    "refresh",
    "refresh_on_signal",
    "reset",
]

if TYPE_CHECKING:  # a visible __getattr__ would make misspelt names pass
    from safetwilio import redaction as redact
    from safetwilio._boot import boot, configure, health, refresh, reset
    from safetwilio._proxy import get_client
    from safetwilio.access_tokens import access_token
    from safetwilio.clients.rest import TwilioClient
    from safetwilio.policy import break_glass
    from safetwilio.settings import TwilioSettings
    from safetwilio.signals import refresh_on_signal
    from safetwilio.webhook_settings import WebhookSettings

    client: TwilioClient
    async_client: TwilioClient
else:
    _HOMES = {
        "TwilioSettings": "safetwilio.settings",
        "WebhookSettings": "safetwilio.webhook_settings",
        "access_token": "safetwilio.access_tokens",
        "boot": "safetwilio._boot",
        "break_glass": "safetwilio.policy",
        "configure": "safetwilio._boot",
        "get_client": "safetwilio._proxy",
        "health": "safetwilio._boot",
        "refresh": "safetwilio._boot",
        "refresh_on_signal": "safetwilio.signals",
        "reset": "safetwilio._boot",
    }

    def __getattr__(name):  # noqa: ANN001, ANN202 - hidden from type checkers, see above
        from importlib import import_module

        if name in {"client", "async_client"}:  # one object: its …_async methods need no other
            try:
                return import_module("safetwilio._proxy").default_client()
            except AttributeError as error:  # Python would say "cannot import name 'client'"
                fault = import_module("safetwilio.errors").internal_fault(error)
            raise fault
        if name == "redact":
            return import_module("safetwilio.redaction")
        if name in _HOMES:
            return getattr(import_module(_HOMES[name]), name)
        raise AttributeError(f"module 'safetwilio' has no attribute {name!r}")

    def __dir__():  # noqa: ANN202
        return sorted({*globals(), *__all__} - {"TYPE_CHECKING"})
