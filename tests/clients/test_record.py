"""One line at DEBUG for each call, with what is needed to find it again and no secret in it."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import pytest
from leaks import Spotter, caught
from wires import Wire, answer, close, dead_port

from safetwilio.clients import record as module
from safetwilio.errors import RefusedBeforeSending

if TYPE_CHECKING:
    from collections.abc import Callable

    from safetwilio.clients import TwilioClient
    from support import Key

    Connect = Callable[..., TwilioClient]

LOG = "safetwilio.http"
NUMBER = "RQ" + "0123456789abcdef" * 2
Way = pytest.mark.parametrize("under", ["threads", "asyncio"])


def send(client: TwilioClient, under: str, **more: Any) -> Any:
    options: dict[str, Any] = {"method": "POST", "data": {"To": "+15550100", "Body": "hello"}}
    options |= {"uri": f"https://api.twilio.com/2010-04-01/Accounts/{client.account_sid}/X.json"}
    options |= more
    if under == "threads":
        return client.request(**options)
    return asyncio.run(client.request_async(**options))


def lines(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [each for each in caplog.records if each.name == LOG]


@Way
def test_one_line_for_each_call(
    connect: Connect, key: Key, caplog: pytest.LogCaptureFixture, under: str
) -> None:
    caplog.set_level(logging.DEBUG, LOG)
    with Wire(lambda _: answer(201, Twilio_Request_Id=NUMBER)) as wire:
        client = connect(wire.url, key.sid, key.secret, key.account)
        send(client, under, params={"From": "+15550101"})
    [line] = lines(caplog)
    assert line.levelno == logging.DEBUG
    text, fields = line.getMessage(), vars(line)
    assert fields["http.request.method"] == "POST"
    assert fields["server.address"] == "api.twilio.com"
    assert fields["url.path"].startswith("/2010-04-01/Accounts/[TWILIO:account:")
    assert fields["http.response.status_code"] == 201
    assert fields["twilio.request_id"] == NUMBER
    assert 0 < fields["twilio.duration_ms"] < 10_000
    assert "error.type" not in fields
    path = fields["url.path"]
    assert text.startswith(f"POST api.twilio.com{path}: 201 ({NUMBER}) in ")
    everything = text + repr(fields)
    for hidden in (key.account, key.sid, "15550100", "15550101", "hello", "Basic "):
        assert hidden not in everything
    assert not Spotter(key.secret).count(everything)


@Way
@pytest.mark.parametrize("how", ["broken", "dead", "refused"])
def test_failures_say_of_what_class_they_are(
    connect: Connect, key: Key, caplog: pytest.LogCaptureFixture, under: str, how: str
) -> None:
    caplog.set_level(logging.DEBUG, LOG)
    with Wire(lambda _: close) as wire:
        url = wire.url if how != "dead" else f"http://127.0.0.1:{dead_port()}"
        client = connect(url, key.sid, key.secret, key.account)
        more = {"auth": (key.account, "x" * 32)} if how == "refused" else {}
        error = caught(lambda: send(client, under, **more))
    if how == "refused":  # before there is a request, there is none to tell about
        assert not lines(caplog)
        return
    [line] = lines(caplog)
    assert vars(line)["error.type"] == type(error).__name__
    assert "http.response.status_code" not in vars(line)
    assert f": {type(error).__name__} in " in line.getMessage()
    assert not isinstance(error, RefusedBeforeSending)


@Way
def test_nothing_is_done_for_a_line_that_nobody_wants(
    connect: Connect, key: Key, monkeypatch: pytest.MonkeyPatch, under: str
) -> None:
    def fail(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(module, "write", fail)
    assert not module.log.isEnabledFor(logging.DEBUG)
    with Wire() as wire:
        client = connect(wire.url, key.sid, key.secret, key.account)
        assert send(client, under).status_code == 200


@pytest.mark.parametrize("url", ["https://[", "", "https://", "x"])
def test_address_that_cannot_be_read(url: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, LOG)
    module.write("GET", url, ValueError("secret"), 0.1)
    [line] = lines(caplog)
    assert line.getMessage().startswith("GET ?")
    assert "secret" not in line.getMessage()


def test_userinfo_and_query_of_an_address_stay_out(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, LOG)
    module.write("GET", "https://me:hidden@api.twilio.com/x?To=hidden#hidden", OSError(), 0.1)
    [line] = lines(caplog)
    assert line.getMessage() == "GET api.twilio.com/x: OSError in 100.0 ms"
    assert "hidden" not in repr(vars(line))
