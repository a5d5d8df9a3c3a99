"""The Twilio client: :class:`TwilioClient`, a subclass of :class:`twilio.rest.Client`."""

from safetwilio.clients.errors import (
    TransportError,
    TwilioConnectionError,
    TwilioConnectTimeout,
    TwilioProxyError,
    TwilioReadTimeout,
    TwilioSSLError,
)
from safetwilio.clients.rest import TwilioClient
from safetwilio.clients.transport import Transport

__all__ = [
    "Transport",
    "TransportError",
    "TwilioClient",
    "TwilioConnectTimeout",
    "TwilioConnectionError",
    "TwilioProxyError",
    "TwilioReadTimeout",
    "TwilioSSLError",
]
