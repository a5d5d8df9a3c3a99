"""The HTTP transport: Twilio's own client on ``requests``, with the sharp edges taken off.

Kept: sessions, hooks, proxies, the logger, so that ``responses``, vcrpy, OpenTelemetry and ddtrace
work as before. Changed: a timeout by default, retries only where nothing can be sent twice, no
secret in any frame of a failure, no answer shared between threads, and a fresh pool after a fork.
"""

from __future__ import annotations

import copy
import logging
import os
from typing import TYPE_CHECKING, Any

from requests import Request, RequestException, Session
from requests.adapters import HTTPAdapter
from twilio.http.http_client import TwilioHttpClient
from twilio.http.request import Request as TwilioRequest
from twilio.http.response import Response
from urllib3.util.retry import Retry

from safetwilio.clients.auth import HeaderAuth

if TYPE_CHECKING:
    from collections.abc import Mapping

    from requests import PreparedRequest
    from requests import Response as RequestsResponse
    from urllib3.response import BaseHTTPResponse

DEFAULT_TIMEOUT = 30.0
"""Seconds to wait for an answer; the connection itself gets at most CONNECT_TIMEOUT of them."""
CONNECT_TIMEOUT = 5.0
DEFAULT_RETRIES = 2
_LONGEST_RETRY_AFTER = 10.0
_NOTHING_ELSE: dict[str, Any] = {"auth": None, "data": None}
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
            read=0,
            other=0,
            redirect=0,
            status_forcelist=(429,),
            allowed_methods=None,
            backoff_factor=0.5,
            backoff_jitter=0.5,
            raise_on_status=False,
            respect_retry_after_header=True,
        )

    def get_retry_after(self, response: BaseHTTPResponse) -> float | None:
        """Return the seconds that the server asks to wait, at most ten."""
        seconds = super().get_retry_after(response)
        return None if seconds is None else min(seconds, _LONGEST_RETRY_AFTER)


class Transport(TwilioHttpClient):
    """Twilio's HTTP client with the same options; *timeout* is in seconds, never infinite.

    *max_retries* counts retries of requests that Twilio did not process (default 2).
    """

    def __init__(  # noqa: PLR0913, PLR0917 - Twilio's own signature, plus the emulator
        self,
        pool_connections: bool = True,  # noqa: FBT001, FBT002 - Twilio's own signature
        request_hooks: dict[str, Any] | None = None,
        timeout: float | None = None,
        logger: logging.Logger = _logger,
        proxy: dict[str, str] | None = None,
        max_retries: int | None = None,
        *,
        emulator: str | None = None,
    ) -> None:
        """Make the session; *emulator* is the base URL that takes the place of every host."""
        super().__init__(pool_connections, request_hooks, timeout or DEFAULT_TIMEOUT, logger, proxy)
        self.emulator = emulator
        self._retries = DEFAULT_RETRIES if max_retries is None else max_retries
        self._process = os.getpid()
        if self.session is not None:
            self._mount(self.session)

    @classmethod
    def adopt(cls, http_client: TwilioHttpClient, *, emulator: str | None) -> Transport:
        """Return a transport with the options and the session of Twilio's own *http_client*.

        Adapters that were mounted on that session stay, with their own retry rules.
        """
        adopted = cls(
            pool_connections=False,
            request_hooks=http_client.request_hooks,
            timeout=http_client.timeout,
            logger=http_client.logger,
            proxy=http_client.proxy,
            emulator=emulator,
        )
        adopted.session = http_client.session
        return adopted

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
        answer = self._exchange({**call, body: data, "auth": auth}, seconds, allow_redirects)
        if isinstance(answer, BaseException):
            raise answer  # outside any except block: no context, and no frame below this one
        if self.logger.isEnabledFor(logging.INFO):
            self.log_response(answer.status_code, answer)
        result = Response(int(answer.status_code), answer.text, answer.headers)
        # Twilio's own tests look at this; the body stays out, because it may be a new secret.
        self._test_only_last_response = Response(result.status_code, "", answer.headers)
        return result

    def _exchange(
        self,
        call: dict[str, Any],
        seconds: float,
        allow_redirects: bool,  # noqa: FBT001
    ) -> RequestsResponse | BaseException:
        """Return the answer, or the failure with every frame below this one cut off."""
        try:
            session = self._session()
            prepared = session.prepare_request(Request(**self._routed(call)))
            settings = session.merge_environment_settings(
                prepared.url or "", self.proxy, None, None, None
            )
            return self._send(session, prepared, seconds, allow_redirects, settings)
        except RequestException as error:
            from safetwilio.clients.errors import translated

            return translated(error, call["url"])
        except BaseException as error:  # noqa: BLE001 - raised again by the caller
            from safetwilio.clients.errors import without_frames

            return without_frames(error)

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

        ``requests`` would replace the header by ``~/.netrc``, and log lines would show it.
        """
        if auth is not None or not headers or "Authorization" not in headers:
            return headers, auth
        rest = dict(headers)
        ready = rest.pop("Authorization")
        return rest, HeaderAuth(lambda: ready, emulator=self.emulator)

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
            self._process = os.getpid()
            for prefix, adapter in list(self.session.adapters.items()):
                # A copied adapter has the same options and an empty pool.
                self.session.adapters[prefix] = copy.copy(adapter)
        return self.session

    def _mount(self, session: Session) -> None:
        workers = min(32, (os.cpu_count() or 1) + 4)
        retry = SafeRetry.of(self._retries)
        for scheme in ("https://", "http://"):
            session.mount(scheme, HTTPAdapter(pool_maxsize=workers, max_retries=retry))
