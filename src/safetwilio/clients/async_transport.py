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
import sys
import time
import weakref
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import aiohttp
from multidict import CIMultiDict
from requests.exceptions import RequestException
from twilio.http.response import Response
from yarl import URL

from safetwilio.clients.prepare import prepare
from safetwilio.clients.transport import CONNECT_TIMEOUT, Transport, pause_before_retry
from safetwilio.clients.ways import Ways
from safetwilio.errors import MissingExtra
from safetwilio.problems import Problem

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from twilio.http.async_http_client import AsyncTwilioHttpClient

_TOO_MANY_REQUESTS = 429
_OLDEST_AIOHTTP = "3.11"  # those before it cannot be kept from sending a PUT or DELETE twice
_BUFFERED = 16384  # bytes of a body that are written at once, whoever reads them
_NO_HEADERS_OF_AIOHTTP = ("Accept", "Content-Type", "User-Agent")
_logger = logging.getLogger("twilio.async_http_client")

if tuple(map(int, aiohttp.__version__.split(".")[:2])) < (3, 11):  # Twilio's is content with 3.8
    raise MissingExtra(
        [
            Problem(
                code="ST901",
                summary=f"Requests under asyncio need aiohttp {_OLDEST_AIOHTTP} or newer.",
                found_in=(f"aiohttp {aiohttp.__version__}",),
                fix=f'python -m pip install "aiohttp>={_OLDEST_AIOHTTP}"',
            )
        ]
    )


class AsyncTransport(Transport):
    """As :class:`Transport`, for the ``…_async`` methods only; a ``Transport`` serves both kinds.

    *connections* (default 100) bounds the pool of a loop: more requests wait for their turn. A loop
    that is shut down in the usual way (``asyncio.run``) closes its session itself;
    ``await transport.close()`` and ``async with transport`` do it sooner.
    """

    def __init__(  # noqa: PLR0913 - Twilio's own options
        self,
        *,
        timeout: float | None = None,
        logger: logging.Logger = _logger,
        proxy: dict[str, str] | None = None,
        max_retries: int | None = None,
        connections: int | None = None,
        ca_bundle: str | None = None,
        trace_configs: list[aiohttp.TraceConfig] | None = None,
        emulator: str | None = None,
    ) -> None:
        """Take Twilio's options by name; no event loop is needed yet.

        *connections* below 1 raise :class:`safetwilio.errors.UsageError` (ST900).
        """
        super().__init__(
            timeout=timeout,
            logger=logger,
            proxy=proxy,
            max_retries=max_retries,
            connections=connections,
            ca_bundle=ca_bundle,
            emulator=emulator,
        )
        self.is_async = True
        self._trace_configs = trace_configs
        self._adopted: AsyncTwilioHttpClient | None = None
        self._start_empty()

    @classmethod
    def adopt(  # type: ignore[override]  # each adopts its own kind
        cls, http_client: AsyncTwilioHttpClient, *, emulator: str | None
    ) -> AsyncTransport:
        """Return a transport with the options of Twilio's own asynchronous *http_client*.

        ``proxy_url`` and ``timeout``, which Twilio's ignores, are honoured, and of its retries
        those of answered requests are left out. Its session is closed with this transport.
        """
        address = http_client.proxy_url
        retries = getattr(http_client.session, "retry_options", None)
        adopted = cls(
            timeout=http_client.timeout,
            logger=http_client.logger,
            proxy={"http": address, "https": address} if address else None,
            max_retries=getattr(retries, "attempts", None),
            trace_configs=http_client.trace_configs,
            emulator=emulator,
        )
        adopted._adopted = http_client
        return adopted

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
        began = time.perf_counter()
        call, seconds = self._begin(method, url, params, data, headers, auth, timeout)
        answer = await self._exchange_async(call, seconds, allow_redirects=allow_redirects)
        return self._finish(answer, call, began)

    def for_asyncio(self) -> AsyncTransport:
        """Return this transport."""
        return self

    async def close(self) -> None:
        """Close the session of the running loop; the next request makes a new one."""
        kept = self._sessions.pop(asyncio.get_running_loop(), None)
        if kept is not None:
            await kept.keeper.aclose()
        if self._adopted is not None:
            await self._adopted.close()  # type: ignore[no-untyped-call]

    async def __aenter__(self) -> Self:
        """Return this transport, whose session is closed at the end of the block."""
        return self

    async def __aexit__(self, *error: object) -> None:
        """Close the session of the running loop."""
        await self.close()

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
        for attempt in range(self._retries + 1):
            last = attempt == self._retries
            try:
                async with self._of_loop().turns:
                    arguments = await self._arguments(call, seconds)
                    # Connecting and answering have their limits, at each hop; sending a body that
                    # fills the buffers has none.
                    stalls = len(arguments["data"] or b"") > _BUFFERED and not allow_redirects
                    async with (
                        asyncio.timeout(3 * seconds if stalls else None) as until_headers,
                        self._of_loop().session.request(
                            **arguments, allow_redirects=allow_redirects
                        ) as answer,
                    ):
                        until_headers.reschedule(None)
                        # What was redirected to here may follow a request that was carried out.
                        if answer.status != _TOO_MANY_REQUESTS or last or answer.history:
                            text = await answer.text(errors="replace")
                            return Response(answer.status, text, CIMultiDict(answer.headers))
                        pause = pause_before_retry(attempt, answer.headers.get("Retry-After"))
            except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
                if last or allow_redirects:  # the hop before it was sent
                    raise
                pause = pause_before_retry(attempt, None)
            await asyncio.sleep(pause)
        raise AssertionError  # pragma: no cover - the last attempt returns or raises

    async def _arguments(self, call: dict[str, Any], seconds: float) -> dict[str, Any]:
        """Return what aiohttp needs to send *call*, as requests would.

        That takes longer than anything else here, so it is done when it is this request's turn.
        """
        session = self._session()
        try:
            prepared = prepare(session, self._routed(call))
            way = await self._ways.find(self, session, prepared.url)
        except RequestException as error:
            from safetwilio.clients.async_errors import NotPrepared

            raise NotPrepared from error
        headers = prepared.headers
        headers["Accept-Encoding"] = "gzip, deflate"  # what aiohttp can always decode
        return {
            "method": prepared.method,
            "url": URL(prepared.url, encoded=True),
            "data": prepared.body,
            "headers": headers,
            "skip_auto_headers": _NO_HEADERS_OF_AIOHTTP,
            "proxy": way.proxy(),
            "ssl": way.tls,
            "timeout": _limits(min(seconds, CONNECT_TIMEOUT), seconds),
        }

    def _of_loop(self) -> _LoopSession:
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
            _send_once(session)
            keeper = _closing(session, loop, self._sessions)
            turns = asyncio.Semaphore(self.connections)
            self._sessions[loop] = kept = _LoopSession(session, keeper, turns, os.getpid())
            with suppress(StopIteration):  # it yields at once, and the loop knows it from then on
                anext(keeper).__await__().send(None)
        return kept

    def _start_empty(self) -> None:
        self._ways = Ways()
        self._sessions: dict[asyncio.AbstractEventLoop, _LoopSession] = {}
        weakref.finalize(self, _forget_closed_loops, self._sessions)

    def __getstate__(self) -> dict[str, Any]:
        """Return what a copy has: not the sessions of event loops, nor TLS contexts."""
        kept = {k: v for k, v in vars(self).items() if k not in {"_sessions", "_ways"}}
        return {**kept, "_adopted": None}

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


def _send_once(session: aiohttp.ClientSession) -> None:
    """Keep *session* from sending GET, PUT or DELETE again on a connection that broke.

    aiohttp has no public way to say so, and may lose this one.
    """
    if hasattr(session, "_retry_connection"):
        session._retry_connection = False  # noqa: SLF001


@lru_cache(maxsize=32)
def _limits(connect: float, silence: float) -> aiohttp.ClientTimeout:
    """Return aiohttp's timeouts, both in seconds."""
    return aiohttp.ClientTimeout(total=None, connect=connect, sock_read=silence)
