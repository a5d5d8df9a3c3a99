"""Trouble on request, as a client sees it over HTTP."""

from __future__ import annotations

import contextlib
import http.client
import threading
from time import monotonic
from typing import TYPE_CHECKING

import pytest
import requests
from asking import RECIPIENT, SENDER, basic, pair_of, paths
from twilio.base.exceptions import TwilioRestException

from safetwilio.testing import Emulator, EmulatorServer
from safetwilio.testing.faults import drop, latency, reset, slow_body, status

if TYPE_CHECKING:
    from collections.abc import Callable

    from twilio.rest import Client

MESSAGE = {"to": RECIPIENT, "from_": SENDER, "body": "hi"}


def get(server: EmulatorServer) -> tuple[http.client.HTTPResponse, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    emulator = server.emulator
    headers = basic(pair_of(emulator.standard_key))
    connection.request("GET", paths(emulator.account)["messages"], headers=headers)
    try:
        response = connection.getresponse()
        return response, response.read()
    finally:
        connection.close()


def test_a_429_is_not_processed_and_says_when_to_come_back(
    server: EmulatorServer, connect: Callable[..., Client]
) -> None:
    faults = server.emulator.faults
    faults.add(status(429, retry_after=2), match="POST api.twilio.com/*/Messages.json")
    faults.add(status(429, retry_after=0.5), match="GET *")
    with pytest.raises(TwilioRestException) as caught:
        connect(server).messages.create(**MESSAGE)
    assert (caught.value.status, caught.value.code) == (429, 20429)
    assert not server.emulator.messages
    assert get(server)[0].headers["Retry-After"] == "0.5"
    assert connect(server).messages.create(**MESSAGE).sid
    with pytest.raises(ValueError, match="never processes"):
        status(429, applied=True)


@pytest.mark.parametrize(("code", "error"), [(500, 20500), (503, 503)])
@pytest.mark.parametrize("applied", [True, False])
def test_a_500_may_or_may_not_have_been_processed(
    server: EmulatorServer,
    connect: Callable[..., Client],
    code: int,
    error: int,
    applied: bool,  # noqa: FBT001
) -> None:
    server.emulator.faults.add(status(code, applied=applied))
    with pytest.raises(TwilioRestException) as caught:
        connect(server).messages.create(**MESSAGE)
    assert (caught.value.status, caught.value.code) == (code, error)
    assert len(server.emulator.messages) == applied


@pytest.mark.parametrize("fault", [drop, reset])
@pytest.mark.parametrize("applied", [True, False])
def test_a_connection_that_breaks_before_the_answer(
    server: EmulatorServer,
    connect: Callable[..., Client],
    fault: Callable[..., object],
    applied: bool,  # noqa: FBT001
) -> None:
    server.emulator.faults.add(fault(applied=applied))
    with pytest.raises(requests.ConnectionError):
        connect(server).messages.create(**MESSAGE)
    assert len(server.emulator.messages) == applied
    assert len(server.emulator.requests) == 1


def test_a_reset_is_a_reset_and_a_drop_is_an_end(server: EmulatorServer) -> None:
    server.emulator.faults.add(drop(applied=False))
    with pytest.raises(http.client.RemoteDisconnected):
        get(server)
    server.emulator.faults.add(reset(applied=False))
    with pytest.raises(ConnectionResetError) as caught:
        get(server)
    assert not isinstance(caught.value, http.client.RemoteDisconnected)


@pytest.mark.parametrize("fault", [latency(0.05), slow_body(0.05)])
def test_an_answer_that_takes_its_time_is_whole(server: EmulatorServer, fault: object) -> None:
    server.emulator.faults.add(fault)
    started = monotonic()
    response, body = get(server)
    assert monotonic() - started >= 0.05
    assert (response.status, body[:1], body[-1:]) == (200, b"{", b"}")


def test_stop_does_not_wait_for_latency() -> None:
    arrived = threading.Event()
    server = EmulatorServer().start()
    server.emulator.faults.add(latency(3600), match=lambda _: arrived.set() or True)

    def client() -> None:
        with contextlib.suppress(OSError, http.client.HTTPException):
            get(server)  # the answer may win the race against the end, or not

    thread = threading.Thread(target=client)
    thread.start()
    assert arrived.wait(30)
    started = monotonic()
    server.stop()
    thread.join(30)
    assert monotonic() - started < 30
    assert not thread.is_alive()


def test_faults_happen_to_matching_requests_as_often_as_asked(server: EmulatorServer) -> None:
    faults = server.emulator.faults
    faults.add(status(500), match="POST *")
    faults.add(status(503), match=lambda request: request.path.endswith("Messages.json"), times=2)
    assert [get(server)[0].status for _ in range(3)] == [503, 503, 200]
    assert "1" in repr(faults)
    faults.add(status(500))
    faults.clear()
    assert get(server)[0].status == 200
    with pytest.raises(ValueError, match="at least once"):
        faults.add(status(500), times=0)


def test_in_process_nothing_waits(emulator: Emulator, ask: Callable[..., object]) -> None:
    emulator.faults.add(latency(3600))
    path, key = paths(emulator.account)["messages"], pair_of(emulator.standard_key)
    assert ask("GET", path, key).delay == 3600
