"""Taking in a user's HTTP client: Twilio's own go on as ours, others as they are."""

from __future__ import annotations

import logging
import sys
from typing import Any

from twilio.http.http_client import TwilioHttpClient

from safetwilio.clients.transport import Transport

_log = logging.getLogger("safetwilio.clients")
_TWILIOS_ASYNC = "twilio.http.async_http_client"
# What a class may have of its own and still do what its base does.
_HARMLESS = frozenset(
    {
        "__annotations__",
        "__annotate_func__",
        "__annotations_cache__",
        "__dict__",
        "__doc__",
        "__firstlineno__",
        "__init__",
        "__module__",
        "__orig_bases__",
        "__parameters__",
        "__qualname__",
        "__static_attributes__",
        "__weakref__",
    }
)


def hosted(http_client: Any, emulator: str | None) -> Any:
    """Return what does the work of *http_client*, led to *emulator* if one is declared.

    Twilio's own clients, and subclasses that only set options, become ours with their options. Any
    other is returned as it is, and a warning says what that means.
    """
    if is_ours(http_client):
        if http_client.emulator is None:
            http_client.lead_to(emulator)
        return http_client
    if _does_as(http_client, TwilioHttpClient):
        return Transport.adopt(http_client, emulator=emulator)
    module = sys.modules.get(_TWILIOS_ASYNC)
    if module is not None and _does_as(http_client, module.AsyncTwilioHttpClient):
        from safetwilio.clients.async_transport import AsyncTransport

        return AsyncTransport.adopt(http_client, emulator=emulator)
    _log.warning(
        "The HTTP client %s does things of its own, so it is used as it is: it gets the plain "
        "API key and secret, and itself has to keep them out of errors and logs, set timeouts and "
        "send nothing twice. For that to be done for it, hand in safetwilio.clients.Transport (or "
        "AsyncTransport), or one of Twilio's HTTP clients with nothing overridden.",
        type(http_client).__qualname__,
    )
    return http_client


def is_ours(http_client: object) -> bool:
    """Return whether *http_client* really is a :class:`Transport`; a mock of one only says so."""
    return issubclass(type(http_client), Transport)


def _does_as(http_client: object, twilios: type) -> bool:
    """Return whether *http_client* is one of *twilios*, or of a subclass that adds only options."""
    kinds = type(http_client).__mro__
    if twilios not in kinds:
        return False
    own = set().union(*(vars(kind) for kind in kinds[: kinds.index(twilios)]))
    patched = vars(http_client).keys() & vars(twilios).keys()
    return own <= _HARMLESS and not patched
