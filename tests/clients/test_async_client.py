"""The client under asyncio: errors that existing handlers catch, other HTTP clients, copies."""

from __future__ import annotations

import asyncio
import copy
import logging
import pickle
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
import requests
from leaks import Spotter, caught
from test_async_loops import sessions, status
from test_async_wire import _Redirected, emulated
from twilio.base.exceptions import TwilioException, TwilioRestException
from twilio.http.async_http_client import AsyncTwilioHttpClient
from wires import Wire, answer, close, dead_port, half, hang

import safetwilio
from safetwilio import break_glass
from safetwilio.clients import Transport, TransportError, TwilioClient, async_errors
from safetwilio.errors import RefusedBeforeSending
from support import Key, auth_token

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from wires import Act

    from safetwilio.testing import Emulator

    Connect = Callable[..., TwilioClient]

URL = "https://api.twilio.com/2010-04-01/x"
REFUSED = {"code": 20003, "message": "Authenticate", "status": 401}
KINDS = [
    kind
    for kind in vars(async_errors).values()
    if isinstance(kind, type) and kind.__name__.startswith("Async")
]


@pytest.fixture
def key() -> Key:
    return emulated()


@pytest.fixture
def wire() -> Iterator[Wire]:
    with Wire() as wire:
        yield wire


@pytest.fixture
def client(connect: Connect, key: Key, wire: Wire) -> TwilioClient:
    return connect(wire.url, key.sid, key.secret, key.account)


def test_ready_client_is_the_same_object_for_both(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def send() -> Any:
        return await safetwilio.async_client.messages.create_async(
            to="+15005550006", from_="+15005550010", body="hello"
        )

    key = emulator.standard_key
    monkeypatch.setenv("TWILIO_ACCOUNT_SID", emulator.account.sid)
    monkeypatch.setenv("TWILIO_API_KEY", key.sid)
    monkeypatch.setenv("TWILIO_API_SECRET", key.secret)
    monkeypatch.setenv("SAFETWILIO_BACKEND", "env")
    assert safetwilio.async_client is safetwilio.client
    sent = asyncio.run(send())
    assert [each.sid for each in emulator.messages] == [sent.sid]
    asyncio.run(safetwilio.async_client.aclose())
    safetwilio.client.http_client.session.close()


def test_lists_and_streams(client: TwilioClient, wire: Wire) -> None:
    async def read() -> list[str]:
        listed = await client.messages.list_async(limit=3)
        stream = await client.messages.stream_async()
        return [each.sid for each in listed] + [each.sid async for each in stream]

    wire.behave = lambda _: answer(200, {"messages": [{"sid": "SM1"}, {"sid": "SM2"}]})
    assert asyncio.run(read()) == ["SM1", "SM2"] * 2


@pytest.mark.parametrize(
    ("act", "kinds", "sent"),
    [
        (hang, (aiohttp.SocketTimeoutError, TimeoutError, requests.ReadTimeout), True),
        (close, (aiohttp.ClientConnectionError, requests.ConnectionError), True),
        (half(answer(body="x" * 99)), (aiohttp.ClientPayloadError,), True),
        (None, (aiohttp.ClientConnectionError, requests.ConnectionError), False),
    ],
    ids=["timeout", "closed", "half", "dead"],
)
def test_errors_are_caught_by_what_catches_them_today(
    connect: Connect, key: Key, act: Act | None, kinds: tuple[type[Exception], ...], *, sent: bool
) -> None:
    with Wire(lambda _: act or b"") as wire:
        url = wire.url if act else f"http://127.0.0.1:{dead_port()}"
        client = connect(url, key.sid, key.secret, key.account, timeout=0.3)
        error = caught(lambda: asyncio.run(status(client)))
    assert isinstance(error, TransportError)
    assert error.sent is sent
    assert error.code == ("ST602" if sent else "ST601")
    assert error.request is error.response is None
    for kind in (*kinds, aiohttp.ClientError, TwilioException, requests.RequestException):
        assert isinstance(error, kind)
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own
    assert (type(again), again.args, again.code) == (type(error), error.args, error.code)
    assert error.__cause__ is error.__context__ is None


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("code", ["ST601", "ST602"])
def test_every_error_survives_pickle_and_copy(kind: type[TransportError], code: str) -> None:
    error = kind("told", code=code)
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):  # noqa: S301
        assert type(again) is kind
        assert str(again) == f"[{code}] told"
        assert again.sent is (code == "ST602")
    assert issubclass(kind, aiohttp.ClientError)
    assert issubclass(kind, TimeoutError) is ("Timeout" in kind.__name__)


def test_refusal_is_explained(client: TwilioClient, wire: Wire) -> None:
    wire.behave = lambda _: answer(401, REFUSED)
    calls: list[Callable[[], Any]] = [
        lambda: client.messages("SM1").fetch_async(),
        client.messages.list_async,
        lambda: client.messages.create_async(to="+1", from_="+2", body="x"),
    ]
    for call in calls:
        with pytest.raises(TwilioException, match="Twilio refused the API key"):
            asyncio.run(call())


def test_refusal_of_another_pair_is_not(client: TwilioClient, wire: Wire) -> None:
    wire.behave = lambda _: answer(401, REFUSED)
    other = (emulated().sid, "y" * 32)
    got = asyncio.run(client.request_async("GET", URL, auth=other))
    assert got.text == '{"code": 20003, "message": "Authenticate", "status": 401}'


def test_other_errors_are_twilios(client: TwilioClient, wire: Wire) -> None:
    wire.behave = lambda _: answer(404, {"code": 20404, "message": "not found", "status": 404})
    with pytest.raises(TwilioRestException) as caught_here:
        asyncio.run(client.messages("SM1").fetch_async())
    assert (caught_here.value.status, caught_here.value.code) == (404, 20404)


@pytest.mark.filterwarnings("ignore:BasicAuth is deprecated", "ignore:The 'auth' parameter")
def test_twilios_asynchronous_http_client_still_works(
    key: Key, wire: Wire, caplog: pytest.LogCaptureFixture
) -> None:
    async def send() -> int:
        async with _Redirected(wire.url) as http_client:
            client = TwilioClient(key.sid, key.secret, key.account, http_client=http_client)
            assert client.http_client is http_client
            found = [await status(client) for _ in range(3)]
            await client.aclose()  # it is not ours to close
            return found.count(await status(client))

    assert asyncio.run(send()) == 3
    warnings = [r for r in caplog.records if r.levelno >= logging.WARNING]
    assert [r.name for r in warnings] == ["safetwilio.clients"]
    assert "it gets the plain API key and secret" in warnings[0].getMessage()
    assert key.secret not in caplog.text
    assert len(wire.authorizations) == 1
    assert issubclass(_Redirected, AsyncTwilioHttpClient)


class Mine(Transport):
    """A user's own, which overrides who knows what."""


def test_own_subclass_of_the_transport_is_not_bypassed(key: Key, wire: Wire) -> None:
    client = TwilioClient(key.sid, key.secret, key.account, http_client=Mine(emulator=wire.url))
    with pytest.raises(RuntimeError, match="must be asynchronous"):
        asyncio.run(status(client))
    asyncio.run(client.aclose())
    assert not wire.requests


def test_token_is_not_used_after_its_block(
    connect: Connect, wire: Wire, spotted: Callable[..., Spotter]
) -> None:
    sid, token = emulated().account, auth_token()
    with break_glass(reason="test"):
        client = connect(wire.url, sid, token, sid)
        assert asyncio.run(status(client)) == 200
    error = caught(lambda: asyncio.run(status(client)))
    assert isinstance(error, RefusedBeforeSending)
    assert error.code == "ST805"
    assert spotted(token).in_error(error) == []
    assert len(wire.requests) == 1
    for each in (copy.copy(client), copy.deepcopy(client)):
        assert isinstance(caught(lambda each=each: asyncio.run(status(each))), RefusedBeforeSending)


@pytest.fixture
def spotted() -> Callable[..., Spotter]:
    return Spotter


def test_copies_start_without_connections(client: TwilioClient, wire: Wire) -> None:
    async def copy_and_use() -> None:
        assert await status(client) == 200
        copies = [copy.deepcopy(client), copy.copy(client), copy.deepcopy(copy.copy(client))]
        assert [await status(each) for each in copies] == [200] * 3
        assert copies[0].http_client.for_asyncio() is not client.http_client.for_asyncio()
        assert copies[1].http_client is client.http_client
        client.http_client = client.http_client.for_asyncio()
        deep = copy.deepcopy(client)
        assert await status(deep) == 200
        assert sessions(deep).keys() == sessions(client).keys()
        assert [*sessions(deep).values()] != [*sessions(client).values()]

    asyncio.run(copy_and_use())
    assert len(wire.authorizations) == 1
    state = Transport(emulator=wire.url, timeout=7).for_asyncio().__getstate__()
    assert "_sessions" not in state
    assert "_for_asyncio" not in Transport(emulator=wire.url).__getstate__()


def test_asynchronous_transport_is_made_once_and_has_the_same_options(wire: Wire) -> None:
    logger = logging.getLogger("mine")
    transport = Transport(timeout=7, max_retries=4, proxy={"https": "http://p"}, logger=logger)
    first = transport.for_asyncio()
    assert first is transport.for_asyncio() is first.for_asyncio()
    assert (first.timeout, first._retries, first.proxy) == (7, 4, {"https": "http://p"})
    assert first.logger is logger
    assert first.session is transport.session
    assert first.is_async
    assert not transport.is_async
    assert Transport().for_asyncio().logger.name == "twilio.async_http_client"
    assert Transport(emulator=wire.url).for_asyncio().emulator == wire.url


def test_pickle_is_refused_after_use(client: TwilioClient) -> None:
    asyncio.run(status(client))
    with pytest.raises(RefusedBeforeSending, match="ST803"):
        pickle.dumps(client)
