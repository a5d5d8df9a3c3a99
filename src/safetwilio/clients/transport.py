"""The HTTP transport: Twilio's own client on ``requests``, with the sharp edges taken off.

Kept: sessions, hooks, proxies, the logger, so that ``responses``, vcrpy, OpenTelemetry and ddtrace
work as before. Changed: a timeout by default, retries only where nothing can be sent twice, no
secret in any frame of a failure, no answer shared between threads, and a fresh pool after a fork.
"""

from __future__ import annotations

import copy
import logging
import os
import random
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from requests import Request, Session
from requests.adapters import HTTPAdapter
from twilio.http.http_client import TwilioHttpClient
from twilio.http.request import Request as TwilioRequest
from twilio.http.response import Response
from urllib3.exceptions import InvalidHeader
from urllib3.util.retry import Retry

from safetwilio.clients import record
from safetwilio.clients.auth import HeaderAuth, NoAuth
from safetwilio.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from requests import PreparedRequest
    from requests import Response as RequestsResponse
    from urllib3.response import BaseHTTPResponse

    from safetwilio.clients.async_transport import AsyncTransport

DEFAULT_TIMEOUT = 30.0
"""Seconds to wait for an answer; the connection itself gets at most CONNECT_TIMEOUT of them."""
CONNECT_TIMEOUT = 5.0
DEFAULT_RETRIES = 2
DEFAULT_CONNECTIONS = 100
"""To one host: so many are kept for the next requests of threads, or open in an event loop."""
_LONGEST_RETRY_AFTER = 10.0
_JITTER = 0.5
_NOTHING_ELSE: dict[str, Any] = {"auth": None, "data": None}
BUNDLES_OF_OPENSSL = ("SSL_CERT_FILE", "SSL_CERT_DIR")
_JSON_TYPES = frozenset({"application/json", "application/scim+json"})
_logger = logging.getLogger("twilio.http_client")


class SafeRetry(Retry):
    """Retries only what Twilio did not process: no connection made, or 429.

    Twilio answers 429 before it looks at a request, so even a POST is not sent twice.
    """

    @classmethod
    def of(cls, attempts: int) -> SafeRetry:
        """Return a policy of at most *attempts* retries, with exponential back-off and jitter."""
        return cls(
            total=None,
            connect=attempts,
            status=attempts,
            read=False,  # raised as it is, so that a read timeout stays one
            other=0,
            redirect=0,
            status_forcelist=(429,),
            allowed_methods=None,
            backoff_factor=0.5,
            raise_on_status=False,
            respect_retry_after_header=True,
        )

    def get_retry_after(self, response: BaseHTTPResponse) -> float | None:
        """Return the seconds that the server asks to wait, at most ten; nonsense counts as none."""
        try:
            seconds = super().get_retry_after(response)
        except (InvalidHeader, ValueError, OverflowError):  # the latter for dates out of range
            return None
        return None if seconds is None else min(seconds, _LONGEST_RETRY_AFTER)

    def get_backoff_time(self) -> float:
        """Return the seconds to wait; jitter is added here because urllib3 1.26 has none."""
        seconds = super().get_backoff_time()
        return seconds and seconds + random.random() * _JITTER  # noqa: S311 - no secret


def pause_before_retry(attempt: int, retry_after: str | None) -> float:
    """Return the seconds to wait after *attempt* (0 is the first): as asked for, else by back-off.

    For a transport that does not go through urllib3; *retry_after* is the header, if there is one.
    """
    from urllib3 import HTTPResponse

    policy = SafeRetry.of(attempt)
    headers = {"Retry-After": retry_after} if retry_after else None
    asked = policy.get_retry_after(HTTPResponse(headers=headers))
    if asked is not None:
        return asked
    return (policy.backoff_factor * 2**attempt + random.random() * _JITTER) if attempt else 0.0  # noqa: S311


class Transport(TwilioHttpClient):
    """Twilio's HTTP client with the same options; *timeout* is in seconds, never infinite.

    *max_retries* counts retries of requests that Twilio did not process (default 2). Of the
    *connections* to one host (default 100) that threads need at once so many are kept for later,
    and an event loop has no more. *ca_bundle* is the path of a file or directory of certificates
    to trust in place of those of the environment. With *proxy* (``{"https": url}``) the proxies of
    the environment are not asked.
    """

    _for_asyncio: AsyncTransport

    def __init__(  # noqa: PLR0913, PLR0917 - Twilio's own signature, plus the emulator
        self,
        pool_connections: bool = True,  # noqa: FBT001, FBT002 - Twilio's own signature
        request_hooks: dict[str, Any] | None = None,
        timeout: float | None = None,
        logger: logging.Logger = _logger,
        proxy: dict[str, str] | None = None,
        max_retries: int | None = None,
        *,
        connections: int | None = None,
        ca_bundle: str | None = None,
        emulator: str | None = None,
    ) -> None:
        """Make the session; *emulator* is the base URL that takes the place of every host.

        A client fills it in from ``SAFETWILIO_EMULATOR``. *connections* below 1 raise
        :class:`safetwilio.errors.UsageError` (ST900).
        """
        if connections is not None and connections < 1:
            raise UsageError("A transport needs at least one connection.", code="ST900")
        seconds = DEFAULT_TIMEOUT if timeout is None else timeout
        super().__init__(pool_connections, request_hooks, seconds, logger, proxy)
        self.emulator = emulator
        self.connections = DEFAULT_CONNECTIONS if connections is None else connections
        self.ca_bundle = ca_bundle
        self._retries = DEFAULT_RETRIES if max_retries is None else max_retries
        self._process = os.getpid()
        if self.session is not None:
            self._mount(self.session)

    @classmethod
    def adopt(cls, http_client: TwilioHttpClient, *, emulator: str | None) -> Transport:
        """Return a transport with the options and the session of Twilio's own *http_client*.

        Adapters that were mounted on that session stay, with their own retry rules; asyncio takes
        their number of retries.
        """
        adopted = cls(
            pool_connections=False,
            request_hooks=http_client.request_hooks,
            timeout=http_client.timeout,
            logger=http_client.logger,
            proxy=http_client.proxy,
            max_retries=_retries_of(http_client.session),
            emulator=emulator,
        )
        adopted.session = http_client.session
        return adopted

    def for_asyncio(self) -> AsyncTransport:
        """Return the asynchronous transport with this one's options, made when first asked for."""
        if "_for_asyncio" not in vars(self):
            from safetwilio.clients.async_transport import AsyncTransport

            made = AsyncTransport(
                timeout=self.timeout,
                proxy=self.proxy,
                max_retries=self._retries,
                connections=self.connections,
                ca_bundle=self.ca_bundle,
                emulator=self.emulator,
            )
            made.session = self.session  # with the CA bundle, proxies and headers set on it
            if self.logger is not _logger:
                made.logger = self.logger
            # Of two threads that come at once the first wins; the other's has no connection yet.
            vars(self).setdefault("_for_asyncio", made)
        return self._for_asyncio

    def lead_to(self, emulator: str | None) -> None:
        """Send every request to *emulator*, a base URL, in place of its host."""
        self.emulator = emulator
        made = vars(self).get("_for_asyncio")
        if made is not None:
            made.lead_to(emulator)

    def request(  # noqa: PLR0913, PLR0917 - Twilio's own signature
        self,
        method: str,
        url: str,
        params: dict[str, object] | None = None,
        data: dict[str, object] | None = None,
        headers: dict[str, str] | None = None,
        auth: Any = None,
        timeout: float | None = None,
        allow_redirects: bool = False,  # noqa: FBT001, FBT002 - Twilio's own signature
    ) -> Response:
        """Send one request and return the answer, whatever its status.

        *timeout* in seconds overrides the client's for this request. Raises
        :class:`safetwilio.clients.TransportError` (ST601, ST602) when there is no answer, and
        :class:`safetwilio.errors.RefusedBeforeSending` (ST801) for a host that is not Twilio's.
        """
        began = time.perf_counter()
        call, seconds = self._begin(method, url, params, data, headers, auth, timeout)
        return self._finish(self._exchange(call, seconds, allow_redirects), call, began)

    def _begin(  # noqa: PLR0913, PLR0917 - the arguments of request()
        self,
        method: str,
        url: str,
        params: dict[str, object] | None,
        data: dict[str, object] | None,
        headers: dict[str, str] | None,
        auth: Any,
        timeout: float | None,
    ) -> tuple[dict[str, Any], float]:
        """Return what to prepare, and the seconds to wait; log and remember the request."""
        seconds = self.timeout if timeout is None else timeout
        if seconds is None or seconds <= 0:
            raise ValueError(timeout)
        headers, auth = self._auth_apart(headers, auth)
        call: dict[str, Any] = {
            "method": method.upper(),
            "url": url,
            "params": params,
            "headers": headers,
            "hooks": self.request_hooks,
        }
        self._note(call)
        body = "json" if headers and headers.get("Content-Type") in _JSON_TYPES else "data"
        return {**call, body: data, "auth": auth}, seconds

    def _finish(
        self, answer: Response | BaseException, call: dict[str, Any], began: float
    ) -> Response:
        """Return *answer* to *call*, logged, or raise it."""
        if record.log.isEnabledFor(logging.DEBUG):
            record.write(call["method"], call["url"], answer, time.perf_counter() - began)
        if isinstance(answer, BaseException):
            raise answer  # outside any except block: no context, and no frame below this one
        if self.logger.isEnabledFor(logging.INFO):
            self.log_response(answer.status_code, answer)  # type: ignore[arg-type]  # its headers
        # Twilio's own tests look at this; the body stays out, because it may be a new secret.
        self._test_only_last_response = Response(answer.status_code, "", answer.headers)
        return answer

    def _exchange(
        self,
        call: dict[str, Any],
        seconds: float,
        allow_redirects: bool,  # noqa: FBT001
    ) -> Response | BaseException:
        """Return the answer, or the failure with every frame below this one cut off.

        What ``requests`` answers stays in here: it holds the request with its credentials.
        """
        handled = sys.exception()  # by the caller, before there was a request
        try:
            session = self._session()
            prepared, settings = self._prepared(session, call)
            answer = self._send(session, prepared, seconds, allow_redirects, settings)
            return Response(int(answer.status_code), answer.text, answer.headers)
        except BaseException as error:  # noqa: BLE001 - raised again by the caller
            from safetwilio.clients.errors import without_secrets

            return without_secrets(error, call["url"], handled)

    def __getstate__(self) -> dict[str, Any]:
        """Return what a copy has: not the connections of event loops."""
        return {name: value for name, value in vars(self).items() if name != "_for_asyncio"}

    def _prepared(
        self, session: Session, call: dict[str, Any]
    ) -> tuple[PreparedRequest, dict[str, Any]]:
        """Return the request with its credential, and the proxies and CA bundle it goes by."""
        prepared = session.prepare_request(Request(**self._routed(call)))
        return prepared, self.settings(session, prepared.url or "")

    def settings(self, session: Session, url: str) -> dict[str, Any]:
        """Return the proxies, CA bundle and client certificate for *url*, as requests reads them.

        Where it would take its own bundle, that of OpenSSL's variables is taken if it is there.
        """
        settings = session.merge_environment_settings(
            url, dict(self.proxy), None, self.ca_bundle, None
        )
        if settings["verify"] is True and session.trust_env:
            bundles = filter(None, map(os.environ.get, BUNDLES_OF_OPENSSL))
            settings["verify"] = next((path for path in bundles if Path(path).exists()), True)
        if self.emulator is not None:
            settings["proxies"] = {}  # it is on this machine, and a proxy would see the header
        return dict(settings)

    @staticmethod
    def _send(
        session: Session,
        prepared: PreparedRequest,
        seconds: float,
        allow_redirects: bool,  # noqa: FBT001
        settings: Mapping[str, Any],
    ) -> RequestsResponse:
        connect = min(seconds, CONNECT_TIMEOUT)
        return session.send(
            prepared, timeout=(connect, seconds), allow_redirects=allow_redirects, **settings
        )

    def _routed(self, call: dict[str, Any]) -> dict[str, Any]:
        """Return *call* with its URL led to the emulator, if one is declared.

        The host it was meant for travels in the ``Host`` header.
        """
        if self.emulator is None:
            return call
        _, _, rest = call["url"].partition("://")
        host, slash, path = rest.partition("/")
        headers = {**(call["headers"] or {}), "Host": host.partition(":")[0]}
        return {**call, "url": f"{self.emulator}{slash}{path}", "headers": headers}

    def _auth_apart(self, headers: dict[str, str] | None, auth: Any) -> tuple[Any, Any]:
        """Return headers and auth with a ready ``Authorization`` header turned into auth.

        ``requests`` would replace the header by ``~/.netrc``, and send that where there is none;
        log lines would show the header, and so would the frame of the caller whose dict it is in.
        """
        if auth is not None:
            return headers, auth
        if not headers or "Authorization" not in headers:
            return headers, NoAuth()
        ready = headers.pop("Authorization")
        return headers, HeaderAuth(lambda: ready, emulator=self.emulator)

    def _note(self, call: dict[str, Any]) -> None:
        """Log the request as Twilio does; remember it for Twilio's tests, without its body."""
        if self.logger.isEnabledFor(logging.INFO):
            self.log_request(call)
        self._test_only_last_response = None
        self._test_only_last_request = TwilioRequest(**call, **_NOTHING_ELSE)

    def _session(self) -> Session:
        """Return the session of this process; after a fork its connections are the parent's."""
        if self.session is None:
            session = Session()
            self._mount(session)
            return session
        if self._process != os.getpid():
            for prefix, adapter in list(self.session.adapters.items()):
                # A copied adapter has the same options and an empty pool.
                self.session.adapters[prefix] = copy.copy(adapter)
            self._process = os.getpid()  # last: no thread may pass before the pools are new
        return self.session

    def _mount(self, session: Session) -> None:
        retry = SafeRetry.of(self._retries)
        for scheme in ("https://", "http://"):
            adapter = HTTPAdapter(pool_maxsize=self.connections, max_retries=retry)
            session.mount(scheme, adapter)


def _retries_of(session: Session | None) -> int | None:
    """Return the number of retries that Twilio's client put on *session*, if that is one."""
    if session is None:
        return None
    retries = getattr(session.adapters.get("https://"), "max_retries", None)
    total = getattr(retries, "total", None)
    return total if isinstance(total, int) and total > 0 else None
