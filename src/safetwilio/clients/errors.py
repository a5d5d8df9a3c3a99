"""What a failed exchange with Twilio raises, without the frames that held the credentials.

Each class is also the class of ``requests`` that existing handlers catch, and Twilio's own
``TwilioException``. The message says the one thing that matters at night: whether Twilio may have
carried the request out.
"""

from __future__ import annotations

import os
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
    (requests.ConnectionError, TwilioConnectionError),
)
_NEVER_CONNECTED = (
    urllib3_errors.ConnectTimeoutError,
    urllib3_errors.NewConnectionError,
    urllib3_errors.ProxyError,
    urllib3_errors.SSLError,
)


def translated(error: requests.RequestException, url: str) -> TransportError:
    """Return *error* of a request to *url* as ours: plain words, no frames, no request."""
    kind = next((ours for theirs, ours in _CLASSES if isinstance(error, theirs)), TransportError)
    host = urlsplit(url).hostname or "Twilio"
    chain = list(_causes(error))
    reason = _reason(chain)
    if any(isinstance(link, _NEVER_CONNECTED) for link in chain) or isinstance(
        error, (requests.ConnectTimeout, requests_errors.InvalidURL, requests_errors.InvalidSchema)
    ):
        return kind(
            f"{host} could not be reached ({reason}). Nothing was sent; it is safe to try again.",
            code=_NOT_SENT,
        )
    return kind(
        f"{host} gave no whole answer ({reason}). The request may have been carried out: look "
        "before you send it again.",
        code=_UNKNOWN,
    )


def without_frames(error: BaseException) -> BaseException:
    """Return *error* with the tracebacks of its whole chain cut off.

    For what may be raised in the middle of a request from outside, such as Celery's soft time
    limit or an alarm: its frames would show the ``Authorization`` header.
    """
    for link in _causes(error):
        link.__traceback__ = None
    return error


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield *error* and all it wraps: causes, contexts, and what urllib3 keeps as reason."""
    pending: list[BaseException] = [error]
    seen: set[int] = set()
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
        if isinstance(link, OSError) and link.errno:
            return os.strerror(link.errno).lower() or type(link).__name__
    for link in chain:
        if isinstance(link, urllib3_errors.NameResolutionError):
            return "the host name was not found"
    for link in chain:
        if isinstance(link, (requests.Timeout, urllib3_errors.TimeoutError)):
            return "no answer in time"
    return type(chain[-1]).__name__
