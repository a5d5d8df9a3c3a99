"""Authorization goes to ``https://*.twilio.com`` or the declared emulator, over real sockets."""

from __future__ import annotations

import base64
import contextlib
from typing import TYPE_CHECKING, Any

import pytest
from hostile import NEVER_SENT, REFUSED
from leaks import caught
from twilio.http.http_client import TwilioHttpClient
from wires import Wire, answer

from safetwilio.clients import Transport, TransportError, TwilioClient
from safetwilio.clients.auth import HeaderAuth
from safetwilio.errors import RefusedBeforeSending, SafeTwilioError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from support import Key

    Connect = Callable[..., TwilioClient]

EVIL = "www.evil.example"
MAIL = "https://api.twilio.com/2010-04-01/Accounts/AC1/Messages.json"


@pytest.fixture
def client(key: Key) -> Iterator[TwilioClient]:
    """Make a client of the real Twilio, which the proxy stands for."""
    made = TwilioClient(
        key.sid, key.secret, key.account, http_client=Transport(timeout=10, max_retries=0)
    )
    yield made
    made.http_client.session.close()


def basic(username: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()


def test_the_proxy_stands_for_twilio(client: TwilioClient, proxy: Wire, key: Key) -> None:
    """The control: over a CONNECT, with the CA bundle of the environment, the key gets there."""
    proxy.behave = lambda _: answer(201, {"sid": "SM1"})
    assert client.messages.create(to="+15550100", body="x").sid == "SM1"
    assert proxy.tunnels == ["api.twilio.com:443"]
    assert proxy.authorizations == {basic(key.sid, key.secret)}


def test_no_hostile_address_gets_the_header_on_the_wire(client: TwilioClient, proxy: Wire) -> None:
    for url in REFUSED:
        with contextlib.suppress(SafeTwilioError, UnicodeError):
            client.request("GET", url)
        with contextlib.suppress(SafeTwilioError, UnicodeError):
            client.request("POST", url, data={"a": "b"}, auth=("SKx", "y"))
    for request in proxy.requests:
        if "authorization" in request.headers:
            assert request.tunnel
            assert request.tunnel.endswith(".twilio.com:443")


@pytest.mark.parametrize(
    "page",
    [
        {"meta": {"key": "messages", "next_page_url": f"https://{EVIL}/next"}},
        {"meta": {"key": "messages", "next_page_url": "http://api.twilio.com/next"}},
        {"meta": {"key": "messages", "next_page_url": f"https://api.twilio.com@{EVIL}/next"}},
        {"next_page_uri": f"https://{EVIL}/next"},
        {"next_page_uri": f".{EVIL}/next"},
        {"next_page_uri": f"@{EVIL}/next"},
        {"next_page_uri": f"//{EVIL}/next"},
        {"next_page_uri": f":443@{EVIL}/next"},
    ],
    ids=str,
)
def test_next_page_elsewhere(client: TwilioClient, proxy: Wire, page: dict[str, Any]) -> None:
    first = {"messages": [{"sid": "SM1"}], "page": 0, "page_size": 1, **page}
    proxy.behave = lambda _: answer(200, first if len(proxy.requests) == 1 else {"messages": []})
    error = caught(lambda: (list(client.messages.stream()), 1 / 0))
    assert isinstance(error, (RefusedBeforeSending, TransportError, ZeroDivisionError))
    assert all(EVIL not in str(request.tunnel) for request in proxy.requests)
    assert all(request.tunnel == "api.twilio.com:443" for request in proxy.requests)
    if "meta" in page:
        assert isinstance(error, RefusedBeforeSending)
        assert len(proxy.requests) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_redirect_to_another_host(
    client: TwilioClient, proxy: Wire, status: int, method: str
) -> None:
    def behave(request: Any) -> bytes:
        if request.tunnel == "api.twilio.com:443":
            return answer(status, Location=f"https://{EVIL}/a")
        if request.tunnel == f"{EVIL}:443":
            return answer(status, Location=f"http://api.twilio.com/{EVIL}")
        return answer(200)

    proxy.behave = behave
    result = client.request(method, MAIL, data={"a": "b"}, allow_redirects=True)
    assert result.status_code == 200
    first, second, third = proxy.requests
    assert [r.tunnel for r in proxy.requests] == ["api.twilio.com:443", f"{EVIL}:443", None]
    assert third.target.startswith("http://")
    assert "authorization" in first.headers
    assert "authorization" not in second.headers
    assert "authorization" not in third.headers


def test_redirect_is_not_followed_by_itself(client: TwilioClient, proxy: Wire) -> None:
    proxy.behave = lambda _: answer(307, Location=f"https://{EVIL}/a")
    assert client.request("GET", MAIL).status_code == 307
    assert len(proxy.requests) == 1


def test_redirect_from_the_emulator_to_another_port(connect: Connect, key: Key) -> None:
    with (
        Wire() as other,
        Wire(lambda _: answer(302, Location=f"http://127.0.0.1:{other.port}/")) as wire,
    ):
        client = connect(wire.url, key.sid, key.secret, key.account)
        assert client.request("GET", MAIL, allow_redirects=True).status_code == 200
        assert len(wire.authorizations) == 1
        assert len(other.requests) == 1
        assert other.authorizations == set()


@pytest.fixture
def netrc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Put credentials for every host into a ``.netrc``, and return their header."""
    path = tmp_path / "netrc"
    path.write_text("default login AC_of_netrc password token_of_netrc\n")
    path.chmod(0o600)
    monkeypatch.setenv("NETRC", str(path))
    return basic("AC_of_netrc", "token_of_netrc")


def test_netrc_does_not_take_the_keys_place(
    client: TwilioClient, proxy: Wire, key: Key, netrc: str
) -> None:
    client.request("GET", MAIL)
    client.request("GET", MAIL, auth=(key.sid, key.secret))
    assert proxy.authorizations == {basic(key.sid, key.secret)} != {netrc}


def test_netrc_does_not_take_the_place_of_a_bearer(proxy: Wire, netrc: str) -> None:
    transport = Transport()
    transport.request("GET", MAIL, headers={"Authorization": "Bearer abc"})
    transport.request("GET", MAIL)
    assert proxy.authorizations == {"Bearer abc"} != {netrc}
    assert ["authorization" in each.headers for each in proxy.requests] == [True, False]
    transport.session.close()


def test_netrc_control(proxy: Wire, netrc: str) -> None:
    """It would be taken: Twilio's own client sends it in place of the bearer."""
    plain = TwilioHttpClient()
    plain.request("GET", MAIL, headers={"Authorization": "Bearer abc"})
    assert proxy.authorizations == {netrc}
    plain.session.close()


def test_bearer_goes_to_twilio_only(proxy: Wire) -> None:
    transport = Transport()
    headers = {"Authorization": "Bearer abc"}
    with pytest.raises(RefusedBeforeSending):
        transport.request("GET", f"https://{EVIL}/", headers=headers)
    assert "Authorization" not in headers  # nor in the frames of the caller
    assert proxy.requests == []
    assert HeaderAuth(lambda: "x", emulator=None) != HeaderAuth(lambda: "x", emulator=None)
    transport.session.close()


def test_emulator_gets_the_header_whatever_proxies_there_are(
    connect: Connect, key: Key, proxy: Wire
) -> None:
    with Wire() as wire:
        connect(wire.url, key.sid, key.secret, key.account).request("GET", MAIL)
        assert len(wire.authorizations) == 1
        assert wire.requests[0].headers["host"] == "api.twilio.com"
        assert wire.requests[0].target == "/2010-04-01/Accounts/AC1/Messages.json"
    assert proxy.requests == []


def test_every_address_leads_to_the_emulator_where_one_is_declared(
    connect: Connect, key: Key, proxy: Wire
) -> None:
    with Wire() as wire:
        client = connect(wire.url, key.sid, key.secret, key.account)
        for url in REFUSED:
            with contextlib.suppress(SafeTwilioError, UnicodeError):
                client.request("GET", url)
        assert wire.requests
    assert proxy.requests == []
    assert proxy.tunnels == []


@pytest.mark.parametrize(
    ("region", "edge", "host"),
    [
        ("ie1", None, "api.ie1.twilio.com:443"),
        ("ie1", "dublin", "api.dublin.ie1.twilio.com:443"),
        ("x@evil.example#", None, None),
        ("evil.example/", None, None),
        (None, "evil.example:443/#", None),
    ],
)
def test_region_and_edge(
    key: Key, proxy: Wire, region: str | None, edge: str | None, host: str | None
) -> None:
    transport = Transport(max_retries=0)
    client = TwilioClient(
        key.sid, key.secret, key.account, region, edge=edge, http_client=transport
    )
    caught(lambda: (client.request("GET", MAIL), 1 / 0))
    assert proxy.tunnels == ([host] if host else [])
    transport.session.close()


@pytest.mark.parametrize("url", NEVER_SENT)
def test_address_that_requests_refuses(client: TwilioClient, proxy: Wire, url: str) -> None:
    assert isinstance(caught(lambda: client.request("GET", url)), (TransportError, UnicodeError))
    assert proxy.requests == []
