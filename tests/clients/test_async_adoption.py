"""Twilio's own asynchronous HTTP client, handed in: its options go on, its traps do not."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from leaks import Spotter, caught
from test_async_loops import status
from test_async_timing import pauses
from twilio.http.async_http_client import AsyncTwilioHttpClient
from wires import CERTIFICATE, Wire, answer, hang

from safetwilio.clients import AsyncTransport, Transport, TwilioClient
from safetwilio.clients.transport import DEFAULT_RETRIES, DEFAULT_TIMEOUT
from support import new_key

if TYPE_CHECKING:
    from collections.abc import Callable

    from support import Key

__all__ = ["pauses"]  # a fixture
TO = {"to": "+15005550006", "from_": "+15005550010", "body": "once"}


@pytest.fixture
def key() -> Key:
    return new_key(emulated=True)


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Any:
    with Wire() as wire:
        monkeypatch.setenv("SAFETWILIO_EMULATOR", wire.url)
        yield wire


class WithOptions(AsyncTwilioHttpClient):
    """A user's own that only sets options."""

    def __init__(self) -> None:
        """Set them."""
        super().__init__(timeout=7, max_retries=4)


def make_with(key: Key, http_client: Any, *, later: bool) -> TwilioClient:
    client = TwilioClient(
        key.sid, key.secret, key.account, http_client=None if later else http_client
    )
    if later:
        client.http_client = http_client
    return client


@pytest.mark.parametrize("later", [False, True])
@pytest.mark.parametrize("kind", [AsyncTwilioHttpClient, WithOptions])
def test_all_options_are_kept(
    key: Key, caplog: pytest.LogCaptureFixture, kind: Any, *, later: bool
) -> None:
    logger, traces = logging.getLogger("mine"), aiohttp.TraceConfig()

    async def make() -> Any:
        options: dict[str, Any] = {}
        if kind is AsyncTwilioHttpClient:
            options = {
                "timeout": 7,
                "max_retries": 4,
                "logger": logger,
                "proxy_url": "http://127.0.0.1:1",
                "trace_configs": [traces],
            }
        async with kind(**options) as given:
            return make_with(key, given, later=later).http_client

    made = asyncio.run(make())
    assert type(made) is AsyncTransport
    assert (made.timeout, made._retries) == (7, 4)
    assert made.is_async
    if kind is AsyncTwilioHttpClient:
        assert made.logger is logger
        assert made.proxy["https"] == "http://127.0.0.1:1"
        assert made._trace_configs == [traces]
    assert not caplog.records


@pytest.mark.parametrize("pooled", [True, False])
def test_defaults(key: Key, wire: Wire, *, pooled: bool) -> None:
    async def make_and_use() -> AsyncTransport:
        async with AsyncTwilioHttpClient(pool_connections=pooled) as given:
            client = make_with(key, given, later=False)
            assert [await status(client) for _ in range(3)] == [200] * 3
            return client.http_client

    made = asyncio.run(make_and_use())
    assert (made.timeout, made._retries) == (DEFAULT_TIMEOUT, DEFAULT_RETRIES)
    assert wire.connections == 1


@pytest.mark.parametrize("answered", [500, 503])
def test_a_message_that_may_have_been_sent_is_not_sent_again(
    key: Key, wire: Wire, answered: int
) -> None:
    """Twilio's own client repeats it; the control is the number that it makes of it."""
    wire.behave = lambda _: answer(answered, {"code": 20500, "message": "x", "status": answered})

    async def send(client: Callable[[Any], Any]) -> int:
        wire.requests.clear()
        async with AsyncTwilioHttpClient(max_retries=3) as given:
            made = client(given)
            await made.request("POST", f"{wire.url}/x", data={"To": "+1"})
            if isinstance(made, AsyncTransport):
                await made.close()
        return len(wire.requests)

    assert asyncio.run(send(lambda given: given)) == 3
    assert asyncio.run(send(lambda given: make_with(key, given, later=False).http_client)) == 1


def test_too_many_requests_are_asked_again(key: Key, wire: Wire, pauses: list[float]) -> None:
    wire.behave = lambda _: (
        answer(201, {"sid": "SM1"}) if len(wire.requests) > 2 else answer(429, Retry_After="1")
    )

    async def send() -> str:
        async with AsyncTwilioHttpClient(max_retries=2) as given:
            client = make_with(key, given, later=False)
            return (await client.messages.create_async(**TO)).sid

    assert asyncio.run(send()) == "SM1"
    assert len(wire.requests) == 3
    assert pauses == [1.0, 1.0]


def test_its_timeout_counts_and_nothing_shows_in_frames(key: Key, wire: Wire) -> None:
    """Twilio's own ignores the timeout and waits five minutes."""
    wire.behave = lambda _: hang

    async def send() -> None:
        async with AsyncTwilioHttpClient(timeout=0.3) as given:
            await make_with(key, given, later=True).messages.create_async(**TO)

    error = caught(lambda: asyncio.run(send()))
    assert isinstance(error, TimeoutError)
    assert isinstance(error, aiohttp.ClientError)
    assert len(wire.requests) == 1
    found = Spotter(key.secret).in_error(error, in_sentry=False)
    of_this_test = ("traceback of", ".send ")  # its own frames hold the key
    found = [each for each in found if not any(part in each for part in of_this_test)]
    assert found in ([], ["!r"])  # of all frames together


def test_its_proxy_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twilio's own takes ``proxy_url`` and forgets it."""
    live = new_key()
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(CERTIFICATE))
    with Wire() as wire:

        async def send() -> int:
            async with AsyncTwilioHttpClient(proxy_url=wire.url) as given:
                return await status(make_with(live, given, later=False))

        assert asyncio.run(send()) == 200
        assert wire.tunnels == ["api.twilio.com:443"]


@pytest.mark.parametrize("how", ["close", "aclose", "block"])
def test_closing_closes_both(key: Key, wire: Wire, how: str) -> None:
    """Who only closes ``client.http_client``, as with Twilio's, leaves nothing open."""

    async def use() -> Any:
        given = AsyncTwilioHttpClient()
        client = make_with(key, given, later=False)
        assert await status(client) == 200
        if how == "block":
            async with client.http_client as entered:
                assert entered is client.http_client
        else:
            await (client.http_client.close() if how == "close" else client.aclose())
        assert client.http_client._sessions == {}
        return given.session.closed

    assert asyncio.run(use()) is True
    assert len(wire.requests) == 1


@pytest.mark.filterwarnings("ignore:BasicAuth is deprecated", "ignore:The 'auth' parameter")
def test_one_that_overrides_is_used_as_it_is(
    key: Key, wire: Wire, caplog: pytest.LogCaptureFixture
) -> None:
    class Mine(AsyncTwilioHttpClient):
        async def request(self, method: str, _: str, *args: Any, **kwargs: Any) -> Any:  # type: ignore[override]
            seen.append(kwargs["auth"])
            return await super().request(method, f"{wire.url}/x", *args, **kwargs)

    seen: list[Any] = []

    async def send() -> int:
        async with Mine() as given:
            client = make_with(key, given, later=True)
            assert client.http_client is given
            return await status(client)

    assert asyncio.run(send()) == 200
    assert seen == [(key.sid, key.secret)]
    [record] = [each for each in caplog.records if each.levelno >= logging.WARNING]
    assert "Mine does things of its own" in record.getMessage()
    assert not issubclass(Mine, Transport)
