"""The HTTP transport for asyncio: the same requests, hosts, retries and failures, on aiohttp.

A request is prepared as in :class:`Transport`, by ``requests``: JSON bodies are JSON, the
credential is attached at the last moment and only for Twilio, proxies and CA bundles come from the
same places. Only the sending differs. There is one session for each event loop, made when it is
first needed and closed with the loop, so a client may be made outside of any loop.
"""

from __future__ import annotations

import asyncio
import logging
import os
import ssl
import sys
import weakref
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import aiohttp
from requests import PreparedRequest
from requests.exceptions import InvalidProxyURL, RequestException
from requests.structures import CaseInsensitiveDict
from requests.utils import prepend_scheme_if_needed, select_proxy
from twilio.http.response import Response
from yarl import URL

from safetwilio.clients.transport import CONNECT_TIMEOUT, Transport, pause_before_retry

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from requests import Session

DEFAULT_CONNECTIONS = 100
_TOO_MANY_REQUESTS = 429
_MOST_WAYS = 100
_PROXY_NAMES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "request_method")
_READ_BY_REQUESTS = (
    *_PROXY_NAMES,
    *(name.upper() for name in _PROXY_NAMES),
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
)
_logger = logging.getLogger("twilio.async_http_client")


class AsyncTransport(Transport):
    """As :class:`Transport`, for the ``…_async`` methods; *connections* bounds the pool of a loop.

    A loop that is shut down in the usual way (``asyncio.run``) closes its session itself;
    ``await transport.close()`` does it sooner.
    """

    def __init__(  # noqa: PLR0913 - Twilio's own options
        self,
        *,
        timeout: float | None = None,
        logger: logging.Logger = _logger,
        proxy: dict[str, str] | None = None,
        max_retries: int | None = None,
        connections: int = DEFAULT_CONNECTIONS,
        trace_configs: list[aiohttp.TraceConfig] | None = None,
        emulator: str | None = None,
    ) -> None:
        """Take Twilio's options by name; no event loop is needed yet."""
        super().__init__(
            timeout=timeout,
            logger=logger,
            proxy=proxy,
            max_retries=max_retries,
            emulator=emulator,
        )
        self.is_async = True
        self._connections = connections
        self._trace_configs = trace_configs
        self._start_empty()

    async def request(  # type: ignore[override]  # noqa: PLR0913, PLR0917 - Twilio's own signature
        self,
        method: str,
        url: str,
        params: dict[str, object] | None = None,
        data: dict[str, object] | None = None,
        headers: dict[str, str] | None = None,
        auth: Any = None,
        timeout: float | None = None,  # noqa: ASYNC109 - Twilio's own signature
        allow_redirects: bool = False,  # noqa: FBT001, FBT002 - Twilio's own signature
    ) -> Response:
        """Send one request and return the answer, as :meth:`Transport.request` does.

        Raises the same errors, which are here also those of aiohttp
        (:mod:`safetwilio.clients.async_errors`).
        """
        call, seconds = self._begin(method, url, params, data, headers, auth, timeout)
        answer = await self._exchange_async(call, seconds, allow_redirects=allow_redirects)
        return self._finish(answer)

    def for_asyncio(self) -> AsyncTransport:
        """Return this transport."""
        return self

    async def close(self) -> None:
        """Close the session of the running loop; the next request makes a new one."""
        kept = self._sessions.pop(asyncio.get_running_loop(), None)
        if kept is not None:
            await kept.keeper.aclose()

    async def _exchange_async(
        self, call: dict[str, Any], seconds: float, *, allow_redirects: bool
    ) -> Response | BaseException:
        """Return the answer, or the failure with every frame below this one cut off."""
        handled = sys.exception()  # by the caller, before there was a request
        try:
            return await self._repeated(call, seconds, allow_redirects=allow_redirects)
        except BaseException as error:  # noqa: BLE001 - raised again by the caller
            from safetwilio.clients.async_errors import without_secrets

            return without_secrets(error, call["url"], handled, redirected=allow_redirects)

    async def _repeated(
        self, call: dict[str, Any], seconds: float, *, allow_redirects: bool
    ) -> Response:
        """Return the answer; ask again only where Twilio did not process the request."""
        # Connecting and answering have their limits, at each hop; sending a body has none.
        longest = None if allow_redirects else 3 * seconds
        for attempt in range(self._retries + 1):
            last = attempt == self._retries
            try:
                async with (
                    (await self._of_loop()).turns,
                    asyncio.timeout(longest) as until_headers,
                    (await self._of_loop()).session.request(
                        **self._arguments(call, seconds), allow_redirects=allow_redirects
                    ) as answer,
                ):
                    until_headers.reschedule(None)
                    # What was redirected to here may follow a request that was carried out.
                    if answer.status != _TOO_MANY_REQUESTS or last or answer.history:
                        text = await answer.text(errors="replace")
                        return Response(answer.status, text, CaseInsensitiveDict(answer.headers))
                    pause = pause_before_retry(attempt, answer.headers.get("Retry-After"))
            except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
                if last or allow_redirects:  # the hop before it was sent
                    raise
                pause = pause_before_retry(attempt, None)
            await asyncio.sleep(pause)
        raise AssertionError  # pragma: no cover - the last attempt returns or raises

    def _arguments(self, call: dict[str, Any], seconds: float) -> dict[str, Any]:
        """Return what aiohttp needs to send *call*, as requests would.

        That takes longer than anything else here, so it is done when it is this request's turn.
        """
        session = self._session()
        try:
            prepared = _prepared(session, self._routed(call))
            proxy, tls = self._way(session, prepared.url or "")
        except RequestException as error:
            from safetwilio.clients.async_errors import NotPrepared

            raise NotPrepared from error
        return {
            "method": prepared.method,
            "url": URL(prepared.url or "", encoded=True),
            "data": prepared.body,
            # What aiohttp can always decode; requests offers what urllib3 can.
            "headers": {**prepared.headers, "Accept-Encoding": "gzip, deflate"},
            "skip_auto_headers": ("Accept", "Content-Type", "User-Agent"),
            "proxy": proxy,
            "ssl": tls,
            "timeout": aiohttp.ClientTimeout(
                total=None, connect=min(seconds, CONNECT_TIMEOUT), sock_read=seconds
            ),
        }

    def _way(self, session: Session, url: str) -> tuple[str | None, ssl.SSLContext | bool]:
        """Return the proxy and the TLS context for *url*.

        They are kept for as long as nothing changes that requests, which takes long, would read.
        """
        origin = "/".join(url.split("/", 3)[:3])
        read = tuple(map(os.environ.get, _READ_BY_REQUESTS))
        own = (session.trust_env, session.verify, *session.proxies.items(), *self.proxy.items())
        # Hashed and in a function: these may hold the password of a proxy.
        key = hash((origin, read, own))
        known = self._ways.get(key)
        if known is None:
            if len(self._ways) >= _MOST_WAYS:
                self._ways.clear()
            settings = session.merge_environment_settings(url, dict(self.proxy), None, None, None)
            # The emulator is on this machine, and a proxy would see the header.
            proxy = None if self.emulator is not None else _proxy(url, settings["proxies"])
            tls = _tls(settings["verify"]) if origin.startswith("https:") else True
            known = self._ways[key] = (lambda: proxy, tls)
        return known[0](), known[1]

    async def _of_loop(self) -> _LoopSession:
        """Return what the running loop has in this process."""
        loop = asyncio.get_running_loop()
        kept = self._sessions.get(loop)
        if kept is None or kept.process != os.getpid() or kept.session.closed:
            _forget_closed_loops(self._sessions)
            if kept is not None and kept.process != os.getpid():
                _of_parents.append(kept)  # to close it here would disturb the parent
            session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0),  # the turns are the limit
                trace_configs=self._trace_configs,
                cookie_jar=aiohttp.DummyCookieJar(),
            )
            session._retry_connection = False  # noqa: SLF001 - or GET, PUT, DELETE are sent twice
            keeper = _closing(session, loop, self._sessions)
            turns = asyncio.Semaphore(self._connections)
            self._sessions[loop] = kept = _LoopSession(session, keeper, turns, os.getpid())
            await anext(keeper)
        return kept

    def _start_empty(self) -> None:
        self._ways: dict[int, tuple[Callable[[], str | None], ssl.SSLContext | bool]] = {}
        self._sessions: dict[asyncio.AbstractEventLoop, _LoopSession] = {}
        weakref.finalize(self, _forget_closed_loops, self._sessions)

    def __getstate__(self) -> dict[str, Any]:
        """Return what a copy has: not the sessions of event loops, nor TLS contexts."""
        return {k: v for k, v in vars(self).items() if k not in {"_sessions", "_ways"}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Start as a copy with the options in *state*."""
        vars(self).update(state)
        self._start_empty()


class _LoopSession(NamedTuple):
    """The *session* of one loop, the *keeper* that closes it with the loop, and its process.

    One of its *turns* is one connection. Waiting for a turn is no part of connecting: aiohttp's own
    limit would count it, and without a limit on connecting a silent proxy would be waited for.
    """

    session: aiohttp.ClientSession
    keeper: AsyncGenerator[None, None]
    turns: asyncio.Semaphore
    process: int


_of_parents: list[_LoopSession] = []
_Sessions = dict[asyncio.AbstractEventLoop, _LoopSession]


async def _closing(
    session: aiohttp.ClientSession, loop: asyncio.AbstractEventLoop, sessions: _Sessions
) -> AsyncGenerator[None, None]:
    """Close *session* when the loop shuts down its asynchronous generators, as asyncio.run does.

    It also goes from *sessions*, for it would keep the loop in memory.
    """
    try:
        yield
    finally:
        if loop in sessions and sessions[loop].session is session:
            del sessions[loop]
        await session.close()


def _forget_closed_loops(sessions: _Sessions) -> None:
    """Drop those of *sessions* whose loops were closed without closing them."""
    for loop in list(sessions):
        if loop.is_closed() and (kept := sessions.pop(loop, None)):
            with suppress(StopIteration, RuntimeError):
                kept.session.close().send(None)  # a closed loop leaves nothing to wait for


def _prepared(session: Session, call: dict[str, Any]) -> PreparedRequest:
    """Return *call* prepared as *session* would, without its cookies, hooks and parameters.

    requests takes more time to merge those than for all the rest.
    """
    headers = CaseInsensitiveDict({**session.headers})
    headers.update(call["headers"] or {})
    prepared = PreparedRequest()
    prepared.prepare_method(call["method"])
    prepared.prepare_url(call["url"], call["params"])
    prepared.prepare_headers({k: v for k, v in headers.items() if v is not None})
    prepared.prepare_body(call.get("data") or {}, None, call.get("json"))
    prepared.prepare_auth(call["auth"], call["url"])
    return prepared


def _proxy(url: str, proxies: Any) -> str | None:
    """Return the proxy for *url*, as requests reads it; aiohttp knows only those of HTTP."""
    chosen = select_proxy(url, proxies)
    if not chosen:
        return None
    try:
        proxy: str = prepend_scheme_if_needed(chosen, "http")  # type: ignore[no-untyped-call]
        host, scheme = URL(proxy).host, URL(proxy).scheme
    except (ValueError, TypeError):  # it quotes the URL, which may hold a password
        host = scheme = None
    if not host or scheme not in {"http", "https"}:
        raise InvalidProxyURL
    return proxy


@lru_cache(maxsize=8)
def _tls(verify: bool | str | None) -> ssl.SSLContext:  # noqa: FBT001 - as requests has it
    """Return the TLS context for the CA bundle *verify*, or for certifi's, as in requests."""
    import certifi

    bundle = verify if isinstance(verify, str) else certifi.where()
    if os.path.isdir(bundle):  # noqa: PTH112 - a text from requests
        return ssl.create_default_context(capath=bundle)
    return ssl.create_default_context(cafile=bundle)
