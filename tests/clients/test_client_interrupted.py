"""Exceptions from outside and from hooks, in the middle of a request: no frame shows the secret."""

from __future__ import annotations

import contextlib
import gc
import itertools
import signal
import socket
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests
from leaks import Spotter, caught
from wires import Wire, answer, dead_port, half, hang

from safetwilio.clients import TransportError, TwilioClient

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from support import Key

    Connect = Callable[..., TwilioClient]


def send(client: TwilioClient) -> Callable[[], object]:
    """Return a call whose frames hold nothing but the client."""
    return lambda: client.messages.create(to="+15550100", from_="+15550101", body="hello")


@pytest.fixture
def spotter(key: Key) -> Spotter:
    return Spotter(key.secret)


class SoftTimeLimitExceeded(Exception):
    """As Celery raises it, in a signal handler, wherever the task is."""


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="there is no such timer on Windows")
@pytest.mark.parametrize("kind", [SoftTimeLimitExceeded, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("slow", ["answer", "body"])
def test_exception_from_outside(
    connect: Connect, key: Key, spotter: Spotter, kind: type[BaseException], slow: str
) -> None:
    def interrupt(*_: object) -> None:
        raise kind("out of time")

    def behave(_: object) -> Any:
        signal.setitimer(signal.ITIMER_REAL, 0.05)  # once the request is with the server
        return hang if slow == "answer" else half(answer(201, "x" * 999), hang)

    earlier = signal.signal(signal.SIGALRM, interrupt)
    try:
        with Wire(behave) as wire:
            error = caught(send(connect(wire.url, key.sid, key.secret, key.account)))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, earlier)
    assert type(error) is kind
    assert error.args == ("out of time",)
    assert spotter.in_error(error) == []


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")  # who interrupts breaks clean-up
def test_exception_from_outside_on_any_line(connect: Connect, key: Key, spotter: Spotter) -> None:
    """On each line of ours and of Twilio's, and on some of those below, in the order they run."""
    failed_in = set()
    with Wire(lambda _: answer(201, {"sid": "SM1"})) as wire:
        client = connect(wire.url, key.sid, key.secret, key.account)
        send(client)()
        for number in itertools.count():
            interrupter = _Interrupter(number)
            with interrupter:
                error = caught(lambda: (send(client)(), (_ for _ in ()).throw(Finished)))
            if isinstance(error, Finished):
                break
            failed_in.add(interrupter.where)
            assert isinstance(error, (SoftTimeLimitExceeded, requests.RequestException))
            assert spotter.in_error(error, in_sentry=False) == [], interrupter.where
        _close_all_to(wire.port)
    assert {"_exchange", "__call__", "authorization", "get_auth"} <= failed_in


def _close_all_to(port: int) -> None:
    """Close what an interruption left open in urllib3's pools."""
    for each in gc.get_objects():
        if issubclass(type(each), socket.socket) and each.fileno() >= 0:  # lazy objects lie
            with contextlib.suppress(OSError):
                if each.getpeername()[1] == port:
                    each.close()


class Finished(Exception):
    """There was no line left to interrupt."""


class _Interrupter:
    """Raises on the line *number* of those it counts; by a trace function, so it is exact."""

    def __init__(self, number: int) -> None:
        self.left = number
        self.below = 0
        self.where = ""

    def __enter__(self) -> None:
        self.earlier = sys.gettrace()
        sys.settrace(self.trace)

    def __exit__(self, *_: object) -> None:
        sys.settrace(self.earlier)

    def trace(self, frame: FrameType, event: str, _: object) -> Any:
        if event == "line" and self.counts(frame.f_code.co_filename):
            self.left -= 1
            if self.left < 0 and not self.where:
                self.where = frame.f_code.co_name
                raise SoftTimeLimitExceeded
        return self.trace

    def counts(self, filename: str) -> bool:
        if "twilio" in filename:
            return "tests" not in Path(filename).parts  # an environment may be called tests-3-11
        if "urllib3" in filename or "requests" in filename or "http" in filename:
            self.below += 1
            return self.below % 97 == 0
        return False


class Nosy(RuntimeError):
    """Raised by a hook."""


def test_hook_that_raises(connect: Connect, key: Key, spotter: Spotter) -> None:
    def hook(response: requests.Response, *_: object, **__: object) -> None:
        try:
            response.raise_for_status()
        except requests.HTTPError as error:
            raise Nosy from error

    with Wire(lambda _: answer(500)) as wire:
        client = connect(
            wire.url, key.sid, key.secret, key.account, request_hooks={"response": hook}
        )
        error = caught(send(client))
    assert type(error) is Nosy
    assert isinstance(error.__cause__, requests.HTTPError)
    assert error.__cause__.response.status_code == 500
    error.__cause__.response.close()
    assert spotter.in_error(error) == []


def test_hook_that_raises_the_http_error_itself(
    connect: Connect, key: Key, spotter: Spotter
) -> None:
    def hook(response: requests.Response, *_: object, **__: object) -> None:
        response.raise_for_status()

    def behave(_: object) -> bytes:
        return answer(307, Location="/again") if len(wire.requests) == 1 else answer(503)

    with Wire(behave) as wire:
        client = connect(wire.url, key.sid, key.secret, key.account)
        client.http_client.request_hooks = {"response": hook}
        error = caught(
            lambda: client.request("GET", "https://api.twilio.com/x", allow_redirects=True)
        )
    assert type(error) is requests.HTTPError  # as with Twilio's client: handlers look at .response
    assert error.response.status_code == 503
    error.response.close()
    assert len(wire.requests) == 2
    assert len(wire.authorizations) == 1
    assert spotter.in_error(error) == []


def test_exception_being_handled_keeps_its_frames(connect: Connect, key: Key) -> None:
    """A message sent from an ``except`` block must not cut the traceback of what is handled."""
    with Wire(lambda _: hang) as wire:
        client = connect(wire.url, key.sid, key.secret, key.account, timeout=0.2)
        refused = f"http://127.0.0.1:{dead_port()}/"
        try:
            requests.get(refused, timeout=1, proxies={"http": ""})
        except requests.ConnectionError as first:
            depth = len(traceback.extract_tb(first.__traceback__))
            error = caught(send(client))
            deeper = len(traceback.extract_tb(first.__traceback__))
            context = first
    assert deeper == depth > 3
    assert isinstance(error, TransportError)
    assert error.__context__ is context
    assert error.sent  # the refused connection was not this one
