"""Timeouts that hold, and retries only of what Twilio did not process."""

from __future__ import annotations

import asyncio
import gc
import socket
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st
from leaks import caught
from test_async_wire import _Redirected, emulated
from twilio.rest import Client
from wires import Wire, answer, close, dead_port, half, hang, reset

from safetwilio.clients import TransportError
from safetwilio.clients import async_transport as module
from safetwilio.clients.transport import pause_before_retry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from wires import Act, Received

    from safetwilio.clients import TwilioClient
    from support import Key

    Connect = Callable[..., TwilioClient]

URL = "https://api.twilio.com/2010-04-01/x"


def failure(client: Any, method: str = "POST", **more: Any) -> TransportError:
    """Return the error of one request, which must come soon."""
    began = time.monotonic()
    error = caught(lambda: asyncio.run(client.request_async(method, URL, **more)))
    assert isinstance(error, TransportError), error
    assert time.monotonic() - began < 5
    return error


@pytest.fixture
def key() -> Key:
    return emulated()


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Record pauses in place of making them."""
    made: list[float] = []

    async def sleep(seconds: float) -> None:
        made.append(seconds)

    monkeypatch.setattr(module.asyncio, "sleep", sleep)
    return made


@pytest.fixture
def silent() -> Iterator[str]:
    """Return the URL of a listener that reads nothing; its host accepts for it."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.mark.parametrize("act", [hang, half(answer(body="x" * 999), hang)], ids=["never", "body"])
@pytest.mark.parametrize("of", ["client", "request"])
def test_no_answer_in_time(connect: Connect, key: Key, act: Act, of: str) -> None:
    with Wire(lambda _: act) as wire:
        seconds, options = (0.2, {}) if of == "client" else (30.0, {"timeout": 0.2})
        client = connect(wire.url, key.sid, key.secret, key.account, timeout=seconds)
        error = failure(client, **options)
    assert isinstance(error, aiohttp.SocketTimeoutError)
    assert isinstance(error, TimeoutError)
    assert error.sent
    assert len(wire.requests) == 1


def test_slow_body_is_read_as_long_as_it_moves(connect: Connect, key: Key) -> None:
    """The timeout is about silence, as in ``requests``; three times 0.4 s is more than 0.6 s."""
    whole = answer(body="x" * 30)

    def slowly(line: Any) -> None:
        line.connection.sendall(whole[:-3])
        for _ in range(3):
            assert not line.stopping.wait(0.4)
            line.connection.sendall(b"x")

    with Wire(lambda _: slowly) as wire:
        client = connect(wire.url, key.sid, key.secret, key.account, timeout=0.6)
        assert asyncio.run(client.request_async("GET", URL)).text == "x" * 30


def test_connection_that_is_never_made(
    connect: Connect, key: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full backlog: the handshake of TCP gets no answer."""
    monkeypatch.setattr(module, "CONNECT_TIMEOUT", 0.3)
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        port = listener.getsockname()[1]
        waiting = []
        for _ in range(4):
            each = socket.socket()
            each.setblocking(False)  # noqa: FBT003
            each.connect_ex(("127.0.0.1", port))
            waiting.append(each)
        client = connect(f"http://127.0.0.1:{port}", key.sid, key.secret, key.account)
        error = failure(client)
        for each in waiting:
            each.close()
    assert isinstance(error, aiohttp.ConnectionTimeoutError)
    assert not error.sent


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")  # asyncio still has data to send
@pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")
def test_body_that_nobody_reads(connect: Connect, key: Key, silent: str) -> None:
    client = connect(silent, key.sid, key.secret, key.account, timeout=0.2)
    error = failure(client, data={"Body": "x" * (16 << 20)})
    assert isinstance(error, TimeoutError)
    assert error.sent
    gc.collect()  # so that the warnings come here


def test_waiting_for_a_turn_is_not_waiting_for_an_answer(connect: Connect, key: Key) -> None:
    def slow(line: Any) -> None:
        assert not line.stopping.wait(0.2)
        line.connection.sendall(answer())

    async def many() -> list[Any]:
        return await asyncio.gather(*(client.request_async("GET", URL) for _ in range(10)))

    with Wire(lambda _: slow) as wire:
        client = connect(wire.url, key.sid, key.secret, key.account, timeout=0.5)
        client.http_client = module.AsyncTransport(emulator=wire.url, timeout=1.0, connections=1)
        assert [each.status_code for each in asyncio.run(many())] == [200] * 10


@pytest.mark.parametrize("seconds", [0, -1, 0.0, -0.5])
def test_timeout_that_is_none(connect: Connect, key: Key, seconds: float) -> None:
    with Wire() as wire:
        client = connect(wire.url, key.sid, key.secret, key.account)
        with pytest.raises(ValueError, match=f"^{seconds}$"):
            asyncio.run(client.request_async("GET", URL, timeout=seconds))
    assert not wire.connections


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "HEAD"])
@pytest.mark.parametrize("act", [reset, close, hang, half(answer(body="x" * 99))])
def test_nothing_is_sent_twice_when_the_answer_is_missing(
    connect: Connect, key: Key, act: Act, method: str
) -> None:
    """By itself aiohttp would send GET, PUT and DELETE once more over a new connection."""
    with Wire(lambda _: act) as wire:
        client = connect(wire.url, key.sid, key.secret, key.account, timeout=0.2, max_retries=5)
        if method == "HEAD" and act not in {reset, close, hang}:
            pytest.skip("a HEAD has no body to cut")
        assert failure(client, method).sent
    assert len(wire.requests) == 1


def test_nor_on_a_connection_that_worked_before(connect: Connect, key: Key) -> None:
    async def twice() -> None:
        await client.request_async("GET", URL)
        with pytest.raises(TransportError) as caught_here:
            await client.request_async("GET", URL)
        assert caught_here.value.sent

    with Wire(lambda _: answer() if len(wire.requests) == 1 else close) as wire:
        client = connect(wire.url, key.sid, key.secret, key.account, max_retries=5)
        asyncio.run(twice())
    assert len(wire.requests) == 2
    assert wire.connections == 1


@pytest.mark.parametrize("status", [400, 401, 403, 404, 408, 409, 425, 500, 502, 503, 504])
def test_no_other_status_is_tried_again(connect: Connect, key: Key, status: int) -> None:
    with Wire(lambda _: answer(status, Retry_After="0")) as wire:
        client = connect(wire.url, key.sid, key.secret, key.account, max_retries=5)
        assert asyncio.run(client.request_async("POST", URL)).status_code == status
    assert len(wire.requests) == 1


@pytest.mark.filterwarnings("ignore:BasicAuth is deprecated", "ignore:The 'auth' parameter")
def test_twilios_own_client_sends_a_message_twice(key: Key) -> None:
    async def send() -> None:
        async with _Redirected(wire.url, max_retries=2) as http_client:
            client = Client(key.sid, key.secret, key.account, http_client=http_client)
            await client.request_async("POST", URL, data={"Body": "hello"})

    with Wire(lambda _: answer(503)) as wire:
        asyncio.run(send())
    assert [r.method for r in wire.requests] == ["POST", "POST"]


@pytest.mark.parametrize("retries", [0, 1, 2])
def test_429_is_tried_again(connect: Connect, key: Key, pauses: list[float], retries: int) -> None:
    with Wire(lambda _: answer(429, {"code": 20429}, Retry_After="3")) as wire:
        client = connect(wire.url, key.sid, key.secret, key.account, max_retries=retries)
        got = asyncio.run(client.request_async("POST", URL, data={"Body": "hello"}))
    assert got.status_code == 429
    assert [r.form for r in wire.requests] == [{"Body": "hello"}] * (retries + 1)
    assert pauses == [3.0] * retries


def test_429_passes(connect: Connect, key: Key, pauses: list[float]) -> None:
    def behave(_: Received) -> bytes:
        return answer(201) if len(wire.requests) == 3 else answer(429, Retry_After="3600")

    with Wire(behave) as wire:
        client = connect(wire.url, key.sid, key.secret, key.account, max_retries=2)
        assert asyncio.run(client.request_async("POST", URL)).status_code == 201
    assert pauses == [10.0, 10.0]


@pytest.mark.parametrize("said", ["", "soon", "-5", "9" * 5000, "Wed, 21 Oct 99999 07:28:00 GMT"])
def test_nonsense_in_retry_after(
    connect: Connect, key: Key, pauses: list[float], said: str
) -> None:
    with Wire(lambda _: answer(429, Retry_After=said)) as wire:
        client = connect(wire.url, key.sid, key.secret, key.account, max_retries=2)
        assert asyncio.run(client.request_async("POST", URL)).status_code == 429
    assert all(0 <= pause <= 1.5 for pause in pauses)
    assert len(wire.requests) == 3


@given(st.integers(0, 4), st.none() | st.text() | st.integers().map(str) | st.from_regex(r"[\d ]+"))
def test_every_pause_is_short(attempt: int, retry_after: str | None) -> None:
    assert 0 <= pause_before_retry(attempt, retry_after) <= 10


def test_back_off_grows() -> None:
    assert pause_before_retry(0, None) == 0
    assert 1 <= pause_before_retry(1, None) <= 1.5
    assert 2 <= pause_before_retry(2, None) <= 2.5
    assert pause_before_retry(2, "1") == 1


def test_connection_refused_is_tried_again(
    connect: Connect, key: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until somebody listens: nothing was sent before."""
    port = dead_port()
    wires = []

    async def sleep(_: float) -> None:
        if not wires:
            wires.append(None)
        else:
            monkeypatch.setattr(socket, "create_server", _on(port, socket.create_server))
            wires.append(Wire().__enter__())

    monkeypatch.setattr(module.asyncio, "sleep", sleep)
    client = connect(f"http://127.0.0.1:{port}", key.sid, key.secret, key.account, max_retries=2)
    assert asyncio.run(client.request_async("POST", URL)).status_code == 200
    wires[1].__exit__(None, None, None)
    assert len(wires[1].requests) == 1


def _on(port: int, create: Callable[..., socket.socket]) -> Callable[..., socket.socket]:
    return lambda _, **more: create(("127.0.0.1", port), **more)


def test_connection_refused_for_good(connect: Connect, key: Key, pauses: list[float]) -> None:
    url = f"http://127.0.0.1:{dead_port()}"
    client = connect(url, key.sid, key.secret, key.account, max_retries=2)
    assert not failure(client).sent
    assert len(pauses) == 2


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("then", ["429", "dead"])
def test_what_a_redirection_follows_is_not_sent_again(
    connect: Connect, key: Key, status: int, then: str, pauses: list[float]
) -> None:
    def behave(request: Received) -> bytes:
        if request.target != "/2010-04-01/x":
            return answer(429, Retry_After="0")
        return answer(status, Location="/y" if then == "429" else f"http://127.0.0.1:{dead_port()}")

    with Wire(behave) as wire:
        client = connect(wire.url, key.sid, key.secret, key.account, max_retries=5)
        if then == "dead":
            assert failure(client, allow_redirects=True).sent
        else:
            got = asyncio.run(client.request_async("POST", URL, allow_redirects=True))
            assert got.status_code == 429
    assert [r.target for r in wire.requests] == ["/2010-04-01/x", "/y"][: len(wire.requests)]
    assert pauses == []


def test_redirections_are_not_followed_by_default(connect: Connect, key: Key) -> None:
    with Wire(lambda _: answer(307, Location="/y")) as wire:
        client = connect(wire.url, key.sid, key.secret, key.account)
        assert asyncio.run(client.request_async("POST", URL)).status_code == 307
    assert len(wire.requests) == 1


def test_429_before_any_redirection_is_tried_again(
    connect: Connect, key: Key, pauses: list[float]
) -> None:
    with Wire(lambda _: answer(429 if len(wire.requests) == 1 else 200)) as wire:
        client = connect(wire.url, key.sid, key.secret, key.account, max_retries=1)
        got = asyncio.run(client.request_async("POST", URL, allow_redirects=True))
    assert got.status_code == 200
    assert pauses == [0.0]
