"""What a failed exchange with Twilio raises, without the frames that held the credentials.

Each class is also the class of ``requests`` that existing handlers catch, and Twilio's own
``TwilioException``. The message says the one thing that matters at night: whether Twilio may have
carried the request out.
"""

from __future__ import annotations

import os
import socket
import ssl
import traceback
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import requests
from requests import exceptions as requests_errors
from twilio.base.exceptions import TwilioException
from urllib3 import exceptions as urllib3_errors

from safetwilio.errors import SafeTwilioError

if TYPE_CHECKING:
    from collections.abc import Iterator

_NOT_SENT = "ST601"
_UNKNOWN = "ST602"


class TransportError(SafeTwilioError, TwilioException, requests.RequestException):
    """The exchange with Twilio failed: ST601 nothing was sent, ST602 it may have been carried out.

    ``request`` and ``response`` are always ``None``: they would hold the credentials.
    """

    code = _UNKNOWN

    def __init__(self, message: str, *, code: str | None = None) -> None:
        """Say *message*; *code* is ST601 or ST602."""
        self.request = None
        self.response = None
        SafeTwilioError.__init__(self, message, code=code)

    @property
    def sent(self) -> bool:
        """Whether Twilio may have received the request."""
        return self.code != _NOT_SENT


class TwilioConnectionError(TransportError, requests.ConnectionError):
    """The connection could not be made, or broke."""


class TwilioSSLError(TwilioConnectionError, requests_errors.SSLError):
    """The TLS handshake failed."""


class TwilioProxyError(TwilioConnectionError, requests_errors.ProxyError):
    """The proxy could not be reached or refused."""


class TwilioBrokenAnswer(TwilioConnectionError, requests_errors.ChunkedEncodingError):
    """The connection broke in the middle of the answer."""


class TwilioConnectTimeout(TwilioConnectionError, requests.ConnectTimeout):
    """The connection was not made in time."""


class TwilioReadTimeout(TransportError, requests.ReadTimeout):
    """No answer came in time."""


# The most telling class first.
_CLASSES: tuple[tuple[type[requests.RequestException], type[TransportError]], ...] = (
    (requests.ConnectTimeout, TwilioConnectTimeout),
    (requests.ReadTimeout, TwilioReadTimeout),
    (requests_errors.SSLError, TwilioSSLError),
    (requests_errors.ProxyError, TwilioProxyError),
    (requests_errors.ChunkedEncodingError, TwilioBrokenAnswer),
    (requests.ConnectionError, TwilioConnectionError),
)
_NEVER_CONNECTED = (
    urllib3_errors.ConnectTimeoutError,
    urllib3_errors.NewConnectionError,
    urllib3_errors.ProxyError,
)
# Where requests and urllib3 are before they send anything. The class of an error does not tell:
# TLS, for one, can also break after the request was sent.
_BEFORE_SENDING = frozenset(
    {
        "prepare_request",
        "get_adapter",
        "get_connection_with_tls_context",
        "_prepare_proxy",
        "_validate_conn",  # the TLS handshake
    }
)
_AFTER_AN_ANSWER = "resolve_redirects"


def without_secrets(error: BaseException, url: str, handled: BaseException | None) -> BaseException:
    """Return what to raise for *error* of a request to *url*: it shows no credential.

    That is one of the classes above if there was no answer, else *error* itself: what a hook
    raised, or what came from outside in the middle of the request, such as Celery's soft time
    limit. Its frames would show the ``Authorization`` header, and an ``HTTPError`` carries it.
    *handled* is what the caller was handling when it sent the request, which has no part in this.
    """
    if isinstance(error, requests.RequestException) and not isinstance(error, requests.HTTPError):
        return _translated(error, list(causes(error, handled)), url)
    return without_frames(error, handled)


def without_frames(error: BaseException, handled: BaseException | None) -> BaseException:
    """Return *error* without the frames and ``Authorization`` headers of its chain.

    The chain ends before *handled*, which the caller was handling already.
    """
    for link in causes(error, handled):
        link.__traceback__ = None
        if isinstance(link, requests.RequestException):
            for request in (link.request, getattr(link.response, "request", None)):
                if request is not None:
                    request.headers.pop("Authorization", None)
    return error


def _translated(
    error: requests.RequestException, chain: list[BaseException], url: str
) -> TransportError:
    kind = next((ours for theirs, ours in _CLASSES if isinstance(error, theirs)), TransportError)
    return _in_words(kind, chain, url, sent=not _was_not_sent(chain))


def translated_as(
    kind: type[TransportError],
    error: BaseException,
    handled: BaseException | None,
    url: str,
    *,
    sent: bool,
) -> TransportError:
    """Return a *kind* for *error* of another HTTP library; *sent*: Twilio may have the request."""
    return _in_words(kind, list(causes(error, handled)), url, sent=sent)


def _in_words(
    kind: type[TransportError], chain: list[BaseException], url: str, *, sent: bool
) -> TransportError:
    host = _host(url)
    reason = _reason(chain)
    if not sent:
        return kind(
            f"{host} could not be reached ({reason}). Nothing was sent; it is safe to try again.",
            code=_NOT_SENT,
        )
    return kind(
        f"{host} gave no whole answer ({reason}). The request may have been carried out: look "
        "before you send it again.",
        code=_UNKNOWN,
    )


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or "Twilio"
    except ValueError:
        return "Twilio"


def _was_not_sent(chain: list[BaseException]) -> bool:
    passed = {
        frame.f_code.co_name for link in chain for frame, _ in traceback.walk_tb(link.__traceback__)
    }
    never_connected = any(isinstance(link, _NEVER_CONNECTED) for link in chain)
    return (never_connected or bool(passed & _BEFORE_SENDING)) and _AFTER_AN_ANSWER not in passed


def causes(error: BaseException, handled: BaseException | None) -> Iterator[BaseException]:
    """Yield *error* and all it wraps: causes, contexts, and what urllib3 keeps as reason.

    Not so *handled*, nor what only that leads to.
    """
    pending: list[BaseException] = [error]
    seen: set[int] = {id(handled)}
    while pending:
        link = pending.pop(0)
        if id(link) in seen:
            continue
        seen.add(id(link))
        yield link
        inner = (link.__cause__, link.__context__, getattr(link, "reason", None), *link.args)
        pending += [each for each in inner if isinstance(each, BaseException)]


def _reason(chain: list[BaseException]) -> str:
    """Return why, from the system's own words or a class name: messages may quote a URL."""
    for link in chain:
        if isinstance(link, socket.gaierror):
            return "the host name was not found"
        if isinstance(link, ssl.SSLError):  # its errno is none of the system's
            return f"TLS: {(link.reason or type(link).__name__).lower().replace('_', ' ')}"
    for link in chain:
        if isinstance(link, OSError) and link.errno:
            return os.strerror(link.errno).lower()
    for link in chain:
        if isinstance(link, (requests.Timeout, urllib3_errors.TimeoutError, TimeoutError)):
            return "no answer in time"
        if isinstance(link, urllib3_errors.ProxyError):
            return "the proxy refused"
    return type(chain[-1]).__name__
