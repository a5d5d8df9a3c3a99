"""Trouble on request, as a client sees it over HTTP."""

from __future__ import annotations

import contextlib
import http.client
import threading
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import TYPE_CHECKING

import pytest
import requests
from asking import RECIPIENT, SENDER, Ask, basic, pair_of, paths
from hypothesis import given, settings
from hypothesis import strategies as st
from twilio.base.exceptions import TwilioRestException

from safetwilio.testing import Emulator, EmulatorServer
from safetwilio.testing.faults import (
    drop,
    duplicate,
    hold,
    latency,
    nothing,
    reset,
    slow_body,
    status,
)

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


def frozen(emulator: Emulator) -> Emulator:
    """Let only ``advance`` move the clock of *emulator*."""
    now = datetime.now(UTC)
    emulator._world.clock = lambda: now
    return emulator


def listing(emulator: Emulator) -> int:
    path, key = paths(emulator.account)["messages"], pair_of(emulator.standard_key)
    return Ask(emulator)("GET", path, key).status


def test_a_duplicate_is_applied_twice_and_answered_once(
    server: EmulatorServer, connect: Callable[..., Client]
) -> None:
    """The answer is that to the second, whose message is another one."""
    server.emulator.faults.add(duplicate())
    sid = connect(server).messages.create(**MESSAGE).sid
    first, second = server.emulator.messages
    assert (first.body, second.body, second.sid) == ("hi", "hi", sid)
    assert first.sid != second.sid
    assert [entry.status for entry in server.emulator.requests] == [201, 201]
    assert connect(server).messages.create(**MESSAGE).sid
    assert len(server.emulator.messages) == 3


class Raw:
    """A connection on which a request is sent now and its answer read later."""

    def __init__(self, server: EmulatorServer) -> None:
        """Ask *server* for its messages."""
        self.connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        path = paths(server.emulator.account)["messages"]
        headers = basic(pair_of(server.emulator.standard_key))
        self.connection.request("GET", path, headers=headers)

    def answer(self) -> http.client.HTTPResponse:
        """Return the answer when it comes."""
        response = self.connection.getresponse()
        response.read()
        self.connection.close()
        return response


def test_an_answer_is_held_until_another_is_given(server: EmulatorServer) -> None:
    """The second is answered while the first, applied before, is still under way."""
    arrived = threading.Event()
    server.emulator.faults.add(hold(), match=lambda _: arrived.set() or True)
    late = Raw(server)
    assert arrived.wait(30)
    overtaking = Raw(server).answer()
    assert overtaking.headers["Twilio-Concurrent-Requests"] == "2"
    answered = late.answer()
    assert (answered.status, answered.headers["Twilio-Concurrent-Requests"]) == (200, "1")


def test_an_answer_is_held_until_a_certain_one_is_given(server: EmulatorServer) -> None:
    emulator, arrived = server.emulator, threading.Event()
    emulator.faults.add(hold(until="POST *"), match=lambda _: arrived.set() or True)
    late = Raw(server)
    assert arrived.wait(30)
    assert [Raw(server).answer().headers["Twilio-Concurrent-Requests"] for _ in "ab"] == ["2", "2"]
    exchanged = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    exchanged.request("POST", "/", headers=basic(pair_of(emulator.standard_key)))
    assert exchanged.getresponse().status == 404
    exchanged.close()
    assert late.answer().status == 200


def test_clearing_gives_held_answers_out(server: EmulatorServer) -> None:
    arrived = threading.Event()
    server.emulator.faults.add(hold(), match=lambda _: arrived.set() or True)
    late = Raw(server)
    assert arrived.wait(30)
    with server.emulator._world.lock:  # what arrived is held by now
        server.emulator.faults.clear()
    assert late.answer().status == 200


def test_in_process_the_caller_is_told_who_waits_for_whom(emulator: Emulator, ask: Ask) -> None:
    emulator.faults.add(hold(until="GET *"))
    path, key = paths(emulator.account)["messages"], pair_of(emulator.standard_key)
    first = ask("POST", path, key, To=RECIPIENT, From=SENDER, Body="hi")
    assert first.held is not None
    assert ask("POST", path, key, To=RECIPIENT, From=SENDER, Body="hi").releases == ()
    assert ask("GET", path, key).releases == (first.held,)
    assert ask("GET", path, key).releases == ()


def test_a_storm_lasts_its_time_by_the_emulators_clock(emulator: Emulator) -> None:
    """Its time begins with the first request that it hits."""
    frozen(emulator).faults.add(status(429, retry_after=2), for_seconds=30)
    emulator.advance(1000)
    assert [listing(emulator) for _ in range(5)] == [429] * 5
    emulator.advance(29.999)
    assert listing(emulator) == 429
    emulator.advance(0.001)
    assert listing(emulator) == 200
    assert len(emulator.faults) == 0


def test_a_storm_may_end_before_its_time(emulator: Emulator) -> None:
    frozen(emulator).faults.add(status(503), for_seconds=30, times=2)
    assert [listing(emulator) for _ in range(3)] == [503, 503, 200]
    with pytest.raises(ValueError, match="longer than"):
        emulator.faults.add(status(503), for_seconds=0)


def test_nothing_lets_requests_pass_before_the_next_fault(emulator: Emulator) -> None:
    emulator.faults.add(nothing(), times=2)
    emulator.faults.add(status(500))
    assert [listing(emulator) for _ in range(4)] == [200, 200, 500, 200]


def test_more_than_so_many_a_second_are_refused(
    server: EmulatorServer, connect: Callable[..., Client]
) -> None:
    emulator = frozen(server.emulator)
    emulator.faults.limit(per_second=2, retry_after=1, match="POST *")
    client = connect(server)
    for _ in range(2):
        assert [client.messages.create(**MESSAGE).sid for _ in range(2)]
        with pytest.raises(TwilioRestException) as caught:
            client.messages.create(**MESSAGE)
        assert (caught.value.status, caught.value.code) == (429, 20429)
        assert listing(emulator) == 200, "others pass"
        emulator.advance(1)
    assert len(emulator.messages) == 4, "what is refused is not processed"
    emulator.faults.clear()
    assert [client.messages.create(**MESSAGE).sid for _ in range(3)]


@given(moments=st.lists(st.floats(0, 0.5)), most=st.integers(1, 5))
@settings(max_examples=60, deadline=None)
def test_no_second_has_more_than_the_limit(moments: list[float], most: int) -> None:
    emulator = frozen(Emulator())
    emulator.faults.limit(per_second=most)
    passed = []
    for pause in moments:
        emulator.advance(pause)
        room = len([at for at in passed if emulator.now() - at < timedelta(seconds=1)]) < most
        assert listing(emulator) == (200 if room else 429)
        passed += [emulator.now()] if room else []


def test_more_than_so_many_at_once_are_refused(server: EmulatorServer) -> None:
    arrived, faults = threading.Event(), server.emulator.faults
    faults.limit(concurrency=1, retry_after=1)
    faults.add(hold(until="POST *"), match=lambda _: arrived.set() or True)
    late = Raw(server)
    assert arrived.wait(30)
    refused = Raw(server).answer()
    assert (refused.status, refused.headers["Twilio-Concurrent-Requests"]) == (429, "2")
    assert refused.headers["Retry-After"] == "1"
    faults.clear()
    assert late.answer().status == 200


def test_a_limit_of_nothing_is_a_mistake(emulator: Emulator) -> None:
    with pytest.raises(ValueError, match="needs per_second"):
        emulator.faults.limit()
    with pytest.raises(ValueError, match="at least one"):
        emulator.faults.limit(concurrency=0)
