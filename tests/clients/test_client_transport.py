"""Timeouts, retries, and that nothing is ever sent twice; whose session and options are used."""

from __future__ import annotations

import socket
import time
from email.utils import formatdate
from typing import TYPE_CHECKING, Any

import pytest
import requests
from leaks import caught
from twilio.base.exceptions import TwilioRestException
from wires import Wire, answer, close, dead_port, half, hang, reset

from safetwilio.clients import (
    Transport,
    TransportError,
    TwilioClient,
    TwilioConnectionError,
    TwilioReadTimeout,
)
from safetwilio.clients.transport import CONNECT_TIMEOUT, DEFAULT_TIMEOUT, SafeRetry
from safetwilio.testing import faults

if TYPE_CHECKING:
    from collections.abc import Callable

    from wires import Behaviour

    from safetwilio.testing import Emulator
    from support import Key

    Connect = Callable[..., TwilioClient]

BUSY = {"code": 20429, "message": "Too Many Requests", "status": 429}
MESSAGES = "https://api.twilio.com/2010-04-01/Accounts/AC1/Messages.json"


def send(client: TwilioClient) -> Any:
    return client.messages.create(to="+15551230001", from_="+15005550006", body="once")


class Recorder(requests.Session):
    """A session that writes down with which options it sends."""

    def __init__(self) -> None:
        """Begin with nothing sent."""
        super().__init__()
        self.options: list[dict[str, Any]] = []

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        """Send *request*."""
        self.options.append(options)
        return super().send(request, **options)


# Timeouts.


@pytest.mark.parametrize(
    ("of_client", "of_request", "expected"),
    [
        (None, None, (CONNECT_TIMEOUT, DEFAULT_TIMEOUT)),
        (60, None, (CONNECT_TIMEOUT, 60)),
        (2, None, (2, 2)),
        (None, 3.5, (3.5, 3.5)),
        (60, 7, (CONNECT_TIMEOUT, 7)),
    ],
)
def test_which_timeouts_hold(
    connect: Connect,
    key: Key,
    of_client: float | None,
    of_request: float | None,
    expected: tuple[float, float],
) -> None:
    with Wire() as wire:
        client = connect(wire.url, key.sid, key.secret, key.account, timeout=of_client)
        client.http_client.session.close()
        client.http_client.session = session = Recorder()
        client.request("GET", MESSAGES, timeout=of_request)
        session.close()
    assert session.options[0]["timeout"] == expected
    assert (CONNECT_TIMEOUT, DEFAULT_TIMEOUT) == (5.0, 30.0)


@pytest.mark.parametrize("seconds", [0, -1, 0.0])
def test_timeout_that_is_none_is_refused(key: Key, connect: Connect, seconds: float) -> None:
    with pytest.raises(ValueError, match=str(seconds)):
        Transport(timeout=seconds)
    client = connect("http://127.0.0.1:1", key.sid, key.secret, key.account)
    with pytest.raises(ValueError, match=str(seconds)):
        client.request("GET", MESSAGES, timeout=seconds)
    client.http_client.timeout = None
    with pytest.raises(ValueError, match="None"):
        client.request("GET", MESSAGES)


def test_server_that_never_answers(connect: Connect, key: Key) -> None:
    with Wire(lambda _: hang) as wire:
        client = connect(wire.url, key.sid, key.secret, key.account, max_retries=None)
        start = time.monotonic()
        error = caught(lambda: client.request("POST", MESSAGES, timeout=0.2))
        assert time.monotonic() - start < 5
        assert len(wire.requests) == 1
    assert isinstance(error, TwilioReadTimeout)
    assert isinstance(error, requests.ReadTimeout)
    assert error.sent


def test_server_that_never_accepts(connect: Connect, key: Key) -> None:
    """A full backlog: the connection is never made."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        fillers = [socket.socket() for _ in range(4)]
        for each in fillers:
            each.settimeout(0)
            each.connect_ex(listener.getsockname())
        client = connect(url, key.sid, key.secret, key.account, timeout=0.2)
        error = caught(lambda: send(client))
        for each in fillers:
            each.close()
    assert isinstance(error, requests.ConnectTimeout)
    assert isinstance(error, TransportError)
    assert not error.sent


def test_tls_handshake_that_never_ends(key: Key, proxy: Wire) -> None:
    proxy.tunnelled = hang
    transport = Transport(timeout=0.2, max_retries=0)
    client = TwilioClient(key.sid, key.secret, key.account, http_client=transport)
    error = caught(lambda: send(client))
    assert isinstance(error, requests.RequestException)
    assert isinstance(error, TransportError)
    assert not error.sent
    transport.session.close()


# Retries.


@pytest.mark.parametrize("after", ["0", "soon", "0.5", "-3", "", formatdate(0, usegmt=True), None])
def test_429_is_asked_again(connect: Connect, key: Key, after: str | None) -> None:
    """Whatever Retry-After says, and if it says nonsense."""
    headers = {} if after is None else {"Retry_After": after}

    def behave(_: object) -> bytes:
        tries = len(wire.requests)
        return answer(429, BUSY, **headers) if tries < 2 else answer(201, {"sid": "SM1"})

    with Wire(behave) as wire:
        client = connect(wire.url, key.sid, key.secret, key.account, max_retries=None)
        assert send(client).sid == "SM1"
        assert len(wire.requests) == 2
        assert wire.requests[0].form == wire.requests[1].form


@pytest.mark.parametrize(("retries", "seen"), [(None, 3), (0, 1), (1, 2), (3, 4)])
def test_429_for_ever(connect: Connect, key: Key, retries: int | None, seen: int) -> None:
    with Wire(lambda _: answer(429, BUSY, Retry_After="0")) as wire:
        client = connect(wire.url, key.sid, key.secret, key.account, max_retries=retries)
        error = caught(lambda: send(client))
        assert len(wire.requests) == seen
    assert isinstance(error, TwilioRestException)
    assert (error.status, error.code) == (429, 20429)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("3", 3.0), ("10", 10.0), ("11", 10.0), ("86400", 10.0), ("soon", None), (None, None)],
)
def test_retry_after_is_capped(header: str | None, seconds: float | None) -> None:
    from urllib3 import HTTPResponse

    headers = {} if header is None else {"Retry-After": header}
    assert SafeRetry.of(2).get_retry_after(HTTPResponse(headers=headers)) == seconds


def test_back_off_grows_with_jitter() -> None:
    from urllib3 import HTTPResponse

    retry = SafeRetry.of(5)
    waits = []
    for _ in range(4):
        retry = retry.increment("POST", "/", HTTPResponse(status=429))
        waits.append(retry.get_backoff_time())
    assert waits[0] == 0
    assert all(base <= wait <= base + 0.5 for base, wait in zip((1, 2, 4), waits[1:], strict=True))


@pytest.mark.parametrize("method", ["POST", "GET", "DELETE", "PUT"])
@pytest.mark.parametrize(
    "behave",
    [
        pytest.param(lambda _: reset, id="reset"),
        pytest.param(lambda _: close, id="closed"),
        pytest.param(lambda _: hang, id="read-timeout"),
        pytest.param(lambda _: half(answer(200, "x" * 999)), id="half"),
        pytest.param(lambda _: half(answer(200, "x" * 999), reset), id="half-reset"),
        pytest.param(lambda _: answer(500), id="500"),
        pytest.param(lambda _: answer(502, "<html>"), id="502"),
        pytest.param(lambda _: answer(503, Retry_After="0"), id="503"),
        pytest.param(lambda _: answer(413, Retry_After="0"), id="413"),
        pytest.param(lambda _: answer(504), id="504"),
        pytest.param(lambda _: answer(408), id="408"),
        pytest.param(lambda _: b"nonsense\r\n\r\n", id="no-http"),
    ],
)
def test_nothing_is_sent_twice(connect: Connect, key: Key, method: str, behave: Behaviour) -> None:
    """With the default retries on; a request that may have been processed is never repeated."""
    with Wire(behave) as wire:
        client = connect(wire.url, key.sid, key.secret, key.account, max_retries=None, timeout=0.3)
        try:
            status = client.request(method, MESSAGES).status_code
        except TransportError as error:
            status = 0
            sent = error.sent
            assert sent
        assert status == 0 or status >= 400
        assert len(wire.requests) == 1


@pytest.mark.parametrize(
    "fault",
    [faults.drop(applied=True), faults.reset(applied=True), faults.status(500, applied=True)],
    ids=["drop", "reset", "500"],
)
def test_message_whose_answer_is_lost_exists_once(
    client: TwilioClient, emulator: Emulator, fault: faults.Fault
) -> None:
    emulator.faults.add(fault, match="POST */Messages.json", times=5)
    with pytest.raises((TwilioConnectionError, TwilioRestException)):
        send(client)
    assert [message.body for message in emulator.messages] == ["once"]
    assert len(emulator.requests) == 1


def test_emulator_says_429_and_the_message_is_sent_once(
    client: TwilioClient, emulator: Emulator
) -> None:
    emulator.faults.add(faults.status(429, retry_after=0), match="POST */Messages.json", times=2)
    assert send(client).sid == emulator.messages[0].sid
    assert len(emulator.messages) == 1
    assert [entry.status for entry in emulator.requests] == [429, 429, 201]


@pytest.mark.usefixtures("connect")  # the key is one of the emulator's
def test_connection_never_made_is_tried_again(key: Key, monkeypatch: pytest.MonkeyPatch) -> None:
    """The port opens only after the first attempt was refused; nothing is mocked in between."""
    port = dead_port()
    monkeypatch.setenv("SAFETWILIO_EMULATOR", f"http://127.0.0.1:{port}")
    client = TwilioClient(key.sid, key.secret, key.account)
    attempts = []

    class Late(socket.socket):
        pass

    with pytest.MonkeyPatch.context() as patched:
        connect_ = socket.socket.connect

        def noting(self: socket.socket, address: Any) -> None:
            attempts.append(address)
            connect_(self, address)

        patched.setattr(Late, "connect", noting)
        patched.setattr(socket, "socket", Late)
        error = caught(lambda: send(client))
    assert isinstance(error, TwilioConnectionError)
    assert not error.sent
    assert len(attempts) == 3
    client.http_client.session.close()


def test_redirect_that_ends_nowhere_may_have_been_carried_out(connect: Connect, key: Key) -> None:
    """The first hop did answer, so the connection refused at the second is not the whole story."""
    location = f"http://127.0.0.1:{dead_port()}/"
    with Wire(lambda _: answer(303, Location=location)) as wire:
        client = connect(wire.url, key.sid, key.secret, key.account)
        error = caught(lambda: client.request("POST", MESSAGES, allow_redirects=True))
    assert isinstance(error, TransportError)
    assert error.sent
