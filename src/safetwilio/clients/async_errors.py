"""The errors of :mod:`safetwilio.clients.errors` as they are raised under asyncio.

Each is also the class of aiohttp that existing handlers of Twilio's asynchronous client catch.
"""

from __future__ import annotations

import aiohttp
from multidict import CIMultiDict, CIMultiDictProxy

from safetwilio.clients.errors import (
    TransportError,
    TwilioBrokenAnswer,
    TwilioConnectionError,
    TwilioConnectTimeout,
    TwilioProxyError,
    TwilioReadTimeout,
    TwilioSSLError,
    causes,
    translated_as,
    without_frames,
)


class AsyncConnectionError(TwilioConnectionError, aiohttp.ClientConnectionError):
    """The connection could not be made, or broke."""


class AsyncSSLError(TwilioSSLError, aiohttp.ClientConnectionError):
    """The TLS handshake failed."""


class AsyncProxyError(TwilioProxyError, aiohttp.ClientConnectionError):
    """The proxy could not be reached or refused."""


class AsyncBrokenAnswer(TwilioBrokenAnswer, aiohttp.ClientPayloadError):
    """The connection broke in the middle of the answer."""


class AsyncConnectTimeout(TwilioConnectTimeout, aiohttp.ConnectionTimeoutError):
    """The connection was not made in time."""


class AsyncReadTimeout(TwilioReadTimeout, aiohttp.SocketTimeoutError):
    """No answer came in time."""


class NotPrepared(Exception):
    """The requests library, which prepares each request, refused to."""


# The most telling class first, each with whether it means that nothing was sent.
_CLASSES: tuple[tuple[type[BaseException], type[TransportError], bool], ...] = (
    (aiohttp.ConnectionTimeoutError, AsyncConnectTimeout, True),
    (aiohttp.SocketTimeoutError, AsyncReadTimeout, False),
    (aiohttp.ClientProxyConnectionError, AsyncProxyError, True),
    (aiohttp.ClientHttpProxyError, AsyncProxyError, True),
    (aiohttp.ClientSSLError, AsyncSSLError, True),
    (aiohttp.ClientConnectorCertificateError, AsyncSSLError, True),
    (aiohttp.ClientConnectorError, AsyncConnectionError, True),
    (aiohttp.ClientPayloadError, AsyncBrokenAnswer, False),
    (aiohttp.ClientError, AsyncConnectionError, False),
    (NotPrepared, AsyncConnectionError, True),
    (TimeoutError, AsyncReadTimeout, False),
)


def without_secrets(
    error: BaseException,
    url: str,
    handled: BaseException | None,
    *,
    redirected: bool,
) -> BaseException:
    """Return what to raise for *error* of a request to *url*: it shows no credential.

    As :func:`safetwilio.clients.errors.without_secrets`, for aiohttp's errors; where a request may
    have been *redirected*, the one before may have been carried out.
    """
    for theirs, ours, unsent in _CLASSES:
        if isinstance(error, theirs):
            # aiohttp's own certificate error lacks what other errors of TLS have.
            told: BaseException = getattr(error, "os_error", error)
            told = getattr(error, "certificate_error", told)
            return translated_as(ours, told, handled, url, sent=redirected or not unsent)
    for link in causes(error, handled):
        if isinstance(link, aiohttp.ClientResponseError):
            _strip(link)
    return without_frames(error, handled)


def _strip(error: aiohttp.ClientResponseError) -> None:
    """Take the ``Authorization`` header out of *error*, which a hook raised."""
    headers = CIMultiDict(error.request_info.headers)
    headers.popall("Authorization", None)
    error.request_info = error.request_info._replace(headers=CIMultiDictProxy(headers))
    error.history = ()
    error.args = (error.request_info, ())
