"""The Twilio client: :class:`TwilioClient`, a subclass of :class:`twilio.rest.Client`.

The names below are loaded when they are first used; a process that works never needs the errors.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from safetwilio.clients.async_transport import AsyncTransport
    from safetwilio.clients.errors import (
        TransportError,
        TwilioBrokenAnswer,
        TwilioConnectionError,
        TwilioConnectTimeout,
        TwilioProxyError,
        TwilioReadTimeout,
        TwilioSSLError,
    )
    from safetwilio.clients.rest import TwilioClient
    from safetwilio.clients.transport import Transport

__all__ = [
    "AsyncTransport",
    "Transport",
    "TransportError",
    "TwilioBrokenAnswer",
    "TwilioClient",
    "TwilioConnectTimeout",
    "TwilioConnectionError",
    "TwilioProxyError",
    "TwilioReadTimeout",
    "TwilioSSLError",
]

if not TYPE_CHECKING:
    _HOMES = {
        "AsyncTransport": "async_transport",
        "Transport": "transport",
        "TwilioClient": "rest",
    }

    def __getattr__(name: str) -> Any:
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f"{__name__}.{_HOMES.get(name, 'errors')}"), name)
