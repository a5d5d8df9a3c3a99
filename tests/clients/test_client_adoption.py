"""Whose HTTP client and session are used, with which options of theirs and of the environment."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest
import requests
from hostile import REFUSED
from leaks import Spotter, caught
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from twilio.http import HttpClient
from twilio.http.http_client import TwilioHttpClient
from twilio.http.response import Response
from wires import CERTIFICATE, Wire

from safetwilio.clients import AsyncTransport, Transport, TransportError, TwilioClient
from safetwilio.clients.transport import (
    DEFAULT_CONNECTIONS,
    DEFAULT_RETRIES,
    DEFAULT_TIMEOUT,
    SafeRetry,
)
from safetwilio.errors import RefusedBeforeSending, UsageError
from support import new_key

if TYPE_CHECKING:
    from collections.abc import Callable

    from support import Key

    Connect = Callable[..., TwilioClient]

MESSAGES = "https://api.twilio.com/2010-04-01/Accounts/AC1/Messages.json"


def send(client: TwilioClient) -> Any:
    return client.messages.create(to="+15551230001", from_="+15005550006", body="once")


def test_own_options_of_twilios_http_client_are_kept(key: Key) -> None:
    hook = {"response": [lambda *_, **__: None]}
    given = TwilioHttpClient(
        timeout=9, request_hooks=hook, proxy={"https": "http://127.0.0.1:1"}, max_retries=7
    )
    adapter = given.session.get_adapter("https://x")
    client = TwilioClient(key.sid, key.secret, key.account, http_client=given)
    transport = client.http_client
    assert isinstance(transport, Transport)
    assert transport.session is given.session
    assert (transport.timeout, transport.request_hooks) == (9, hook)
    assert transport.proxy == {"https": "http://127.0.0.1:1"}
    assert transport.session.get_adapter("https://x") is adapter
    given.session.close()


def test_defaults_for_twilios_http_client(key: Key) -> None:
    given = TwilioHttpClient()
    client = TwilioClient(key.sid, key.secret, key.account, http_client=given)
    assert client.http_client.timeout == DEFAULT_TIMEOUT
    given.session.close()


def test_proxy_given_by_hand_is_used(key: Key, proxy: Wire, monkeypatch: Any) -> None:
    for name in ("HTTPS_PROXY", "HTTP_PROXY"):
        monkeypatch.delenv(name)
    given = TwilioHttpClient(proxy={"https": proxy.url})
    client = TwilioClient(key.sid, key.secret, key.account, http_client=given)
    assert client.request("GET", MESSAGES).status_code == 200
    assert proxy.tunnels == ["api.twilio.com:443"]
    assert client.http_client.proxy == {"https": proxy.url}
    given.session.close()


def test_no_proxy_of_the_environment_is_honoured(key: Key, proxy: Wire, monkeypatch: Any) -> None:
    monkeypatch.setenv("NO_PROXY", "twilio.com")
    transport = Transport(max_retries=0, timeout=0.2)
    client = TwilioClient(key.sid, key.secret, key.account, http_client=transport)
    with pytest.raises(TransportError):
        client.request("GET", "https://no-such-host-at-all.twilio.com/")
    assert proxy.tunnels == []
    transport.session.close()


def test_environment_of_proxies_is_not_kept(key: Key, proxy: Wire, monkeypatch: Any) -> None:
    transport = Transport(max_retries=0)
    client = TwilioClient(key.sid, key.secret, key.account, http_client=transport)
    client.request("GET", MESSAGES)
    assert transport.proxy == {}
    with Wire() as other:
        monkeypatch.setenv("HTTPS_PROXY", other.url)
        client.request("GET", MESSAGES)
        assert len(other.tunnels) == len(proxy.tunnels) == 1
        transport.session.close()


def test_bundle_of_the_environment_is_honoured(key: Key, proxy: Wire, monkeypatch: Any) -> None:
    transport = Transport(max_retries=0)
    client = TwilioClient(key.sid, key.secret, key.account, http_client=transport)
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    assert isinstance(caught(lambda: send(client)), requests.exceptions.SSLError)
    assert proxy.requests == []
    monkeypatch.setenv("CURL_CA_BUNDLE", str(CERTIFICATE))
    assert client.request("GET", MESSAGES).status_code == 200
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/no/such/bundle.pem")
    assert isinstance(caught(lambda: client.request("GET", MESSAGES)), OSError)
    transport.session.close()


def test_without_pooled_connections(connect: Connect, key: Key) -> None:
    with Wire() as wire:
        client = connect(wire.url, key.sid, key.secret, key.account, pool_connections=False)
        assert client.http_client.session is None
        for _ in range(3):
            assert client.request("GET", MESSAGES).status_code == 200
        assert wire.connections == 3


def test_pooled_connections_are_used_again(connect: Connect, key: Key) -> None:
    with Wire() as wire:
        client = connect(wire.url, key.sid, key.secret, key.account)
        for _ in range(3):
            client.request("GET", MESSAGES)
        assert wire.connections == 1


class Mine(TwilioHttpClient):
    """A user's own, which looks at each request."""

    def __init__(self) -> None:
        """Remember what was asked for."""
        super().__init__()
        self.seen: list[Any] = []

    def request(self, *args: Any, **kwargs: Any) -> Response:
        """Send as Twilio's does."""
        self.seen.append(kwargs["auth"])
        return super().request(*args, **kwargs)


@pytest.mark.parametrize("when", ["constructor", "later"])
def test_subclass_that_overrides_gets_the_pair_and_one_true_warning(
    key: Key, proxy: Wire, caplog: pytest.LogCaptureFixture, when: str
) -> None:
    mine = Mine()
    first = mine if when == "constructor" else None
    client = TwilioClient(key.sid, key.secret, key.account, http_client=first)
    client.http_client = mine
    client.http_client = mine
    assert client.http_client is mine
    client.request("GET", MESSAGES)
    client.request("GET", MESSAGES, auth=(key.sid, key.secret))
    assert mine.seen == [(key.sid, key.secret)] * 2
    assert len(proxy.authorizations) == 1
    [record] = caplog.records
    assert "Mine does things of its own" in record.getMessage()
    assert "safetwilio.clients.Transport" in record.getMessage()
    assert key.secret not in caplog.text
    mine.session.close()


class WithOptions(TwilioHttpClient):
    """A user's own that only sets options, as many projects have one."""

    def __init__(self) -> None:
        """Set them."""
        super().__init__(timeout=9, max_retries=3)


@pytest.mark.parametrize("kind", [TwilioHttpClient, WithOptions])
def test_twilios_http_client_set_later_is_taken_in_too(
    key: Key, kind: type[TwilioHttpClient], caplog: pytest.LogCaptureFixture
) -> None:
    client = TwilioClient(key.sid, key.secret, key.account)
    client.http_client = given = kind()
    assert type(client.http_client) is Transport
    assert client.http_client.session is given.session
    assert client.http_client.timeout == (9 if kind is WithOptions else DEFAULT_TIMEOUT)
    under_asyncio = client.http_client.for_asyncio()
    # twilio 9.4.1 itself mounts a second adapter over the one that holds its retries.
    kept = given.session.get_adapter("https://api.twilio.com/").max_retries.total
    assert under_asyncio._retries == (kept or DEFAULT_RETRIES)
    assert under_asyncio.timeout == client.http_client.timeout
    error = caught(lambda: client.request("GET", "https://no such host.twilio.com/"))
    assert Spotter(key.secret).in_error(error) == []
    assert not caplog.records
    given.session.close()


def test_a_replaced_request_method_is_an_override(
    key: Key, caplog: pytest.LogCaptureFixture
) -> None:
    given = TwilioHttpClient()
    given.request = lambda *_, **__: Response(299, "{}")  # type: ignore[method-assign]
    client = TwilioClient(key.sid, key.secret, key.account, http_client=given)
    assert client.request("GET", MESSAGES).status_code == 299
    assert len(caplog.records) == 1
    given.session.close()


def test_http_client_can_be_patched_for_a_while(key: Key) -> None:
    """As tests of users do; the attribute is a plain one of the object."""
    client = TwilioClient(key.sid, key.secret, key.account)
    before = client.http_client
    with mock.patch.object(client, "http_client") as fake:
        assert client.http_client is fake
    assert client.http_client is before


def test_transport_without_an_emulator_is_led_to_the_declared_one(
    key: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = new_key(emulated=True)
    with Wire() as wire:
        monkeypatch.setenv("SAFETWILIO_EMULATOR", wire.url)
        transport = Transport(connections=3, timeout=5)
        asynchronous = transport.for_asyncio()
        client = TwilioClient(key.sid, key.secret, key.account, http_client=transport)
        assert client.http_client is transport
        assert client.request("GET", MESSAGES).status_code == 200
        assert asynchronous.emulator == wire.url
        assert len(wire.authorizations) == 1
        transport.session.close()


@pytest.mark.parametrize("connections", [None, 1, 7])
def test_number_of_kept_connections(connections: int | None) -> None:
    transport = Transport(connections=connections)
    for scheme in ("https://", "http://"):
        adapter = transport.session.get_adapter(scheme)
        assert adapter._pool_maxsize == (connections or DEFAULT_CONNECTIONS)
    assert transport.for_asyncio().connections == (connections or DEFAULT_CONNECTIONS)


@pytest.mark.parametrize("kind", [Transport, AsyncTransport])
def test_no_connections_at_all_are_refused(kind: type[Transport]) -> None:
    with pytest.raises(UsageError, match="ST900"):
        kind(connections=0)


@pytest.mark.usefixtures("connect")  # the key is one of the emulator's
def test_explicit_pair_reaches_the_emulator_through_a_subclass(
    key: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Led(TwilioHttpClient):
        def request(self, method: str, url: str, *args: Any, **kwargs: Any) -> Response:
            return super().request(method, url.replace(MESSAGES, wire.url + "/"), *args, **kwargs)

    with Wire() as wire:
        monkeypatch.setenv("SAFETWILIO_EMULATOR", wire.url)
        led = Led()
        client = TwilioClient(key.sid, key.secret, key.account, http_client=led)
        client.request("GET", MESSAGES)
        client.request("GET", MESSAGES, auth=(key.sid, key.secret))
        assert len(wire.authorizations) == 1
        assert len(wire.requests) == 2
        led.session.close()


def test_foreign_http_client_gets_the_pair_and_a_warning(
    key: Key, caplog: pytest.LogCaptureFixture
) -> None:
    class Foreign(HttpClient):
        def __init__(self) -> None:
            self.seen: list[Any] = []

        def request(self, method: str, uri: str, **kwargs: Any) -> Response:  # type: ignore[override]
            self.seen.append((method, uri, kwargs["auth"]))
            return Response(200, "{}")

    foreign = Foreign()
    client = TwilioClient(key.sid, key.secret, key.account, http_client=foreign)
    client.request("GET", MESSAGES)
    client.request("GET", MESSAGES, auth=("SKother", "given" * 5))
    assert [each[2] for each in foreign.seen] == [
        (key.sid, key.secret),
        ("SKother", "given" * 5),
    ]
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "Foreign" in caplog.text
    assert key.secret not in caplog.text


@pytest.mark.parametrize("url", [each for each in REFUSED if "//" in each[:8]])
def test_foreign_http_client_is_asked_only_for_twilio(key: Key, url: str) -> None:
    """It gets the plain pair, and might parse the address in its own way."""
    asked: list[str] = []

    class Foreign(HttpClient):
        def __init__(self) -> None:
            """Need nothing."""

        def request(self, _: str, uri: str, **__: Any) -> Response:  # type: ignore[override]
            asked.append(uri)
            return Response(200, "{}")

    client = TwilioClient(key.sid, key.secret, key.account, http_client=Foreign())
    with contextlib.suppress(RefusedBeforeSending):
        client.request("GET", url)
    assert asked in ([], ["https://"], ["file:///etc/passwd"])  # these name no host
    client.request("GET", "/relative")
    client.request("GET", MESSAGES)
    assert asked[-2:] == ["/relative", MESSAGES]


def test_json_bodies_are_sent_as_json(connect: Connect, key: Key) -> None:
    with Wire() as wire:
        client = connect(wire.url, key.sid, key.secret, key.account)
        headers = {"Content-Type": "application/json"}
        client.request("POST", MESSAGES, data={"a": [1]}, headers=headers)
        client.request("POST", MESSAGES, data={"a": "1"})
        assert [each.body for each in wire.requests] == [b'{"a": [1]}', b"a=1"]


def test_adapters_put_on_later_stay(connect: Connect, key: Key) -> None:
    class Counting(HTTPAdapter):
        sent = 0

        def send(self, *args: Any, **kwargs: Any) -> requests.Response:
            type(self).sent += 1
            return super().send(*args, **kwargs)

    with Wire() as wire:
        client = connect(wire.url, key.sid, key.secret, key.account)
        client.http_client.session.mount("http://", Counting())
        client.request("GET", MESSAGES)
    assert Counting.sent == 1
    assert os.getpid() == client.http_client._process


class Signed(AuthBase):
    """An authentication of the user's own."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Sign *request*."""
        request.headers["Authorization"] = "Signed"
        return request


def test_authentication_of_another_kind_is_the_users_affair(connect: Connect, key: Key) -> None:
    with Wire() as wire:
        client = connect(wire.url, key.sid, key.secret, key.account)
        client.request("GET", MESSAGES, auth=Signed())
        assert wire.authorizations == {"Signed"}


def test_pools_are_new_in_another_process(connect: Connect, key: Key) -> None:
    """As after a fork; the options of the adapters stay, and so do the parent's connections."""
    with Wire() as wire:
        client = connect(wire.url, key.sid, key.secret, key.account, max_retries=5)
        transport = client.http_client
        client.request("GET", MESSAGES)
        before = dict(transport.session.adapters)
        transport._process = -1
        client.request("GET", MESSAGES)
        client.request("GET", MESSAGES)
        after = transport.session.adapters
        assert list(after) == list(before)
        assert not {id(each) for each in after.values()} & {id(each) for each in before.values()}
        assert all(isinstance(each.max_retries, SafeRetry) for each in after.values())
        assert {each.max_retries.connect for each in after.values()} == {5}
        assert wire.connections == 2
        for each in before.values():
            each.close()
