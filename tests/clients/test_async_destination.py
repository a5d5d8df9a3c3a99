"""Where the credential goes under asyncio: to Twilio or the emulator, by the way requests takes."""

from __future__ import annotations

import asyncio
import base64
import logging
import ssl
import threading
from typing import TYPE_CHECKING, Any

import aiohttp
import certifi
import jwt
import pytest
import trustme
from leaks import Spotter, caught
from test_async_wire import emulated
from twilio.credential.client_credential_provider import ClientCredentialProvider
from wires import CERTIFICATE, Wire, answer

from safetwilio.clients import Transport, TransportError, TwilioClient
from safetwilio.clients.async_transport import AsyncTransport
from safetwilio.errors import RefusedBeforeSending
from support import Key, new_key, write

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

URL = "https://api.twilio.com/2010-04-01/x"
ELSEWHERE = ["http://api.twilio.com/", "https://twilio.com.evil.example/", "https://127.0.0.1/"]


@pytest.fixture
def live() -> Key:
    return new_key()


@pytest.fixture
def direct(live: Key) -> Iterator[TwilioClient]:
    """Return a client of the real Twilio, which a proxy in the environment stands for."""
    transport = Transport(timeout=5, max_retries=0)
    yield TwilioClient(live.sid, live.secret, live.account, http_client=transport)
    transport.session.close()


def basic(key: Key) -> str:
    return "Basic " + base64.b64encode(f"{key.sid}:{key.secret}".encode()).decode()


def ask(client: TwilioClient, url: str = URL, **more: Any) -> Any:
    return asyncio.run(client.request_async("GET", url, **more))


@pytest.mark.parametrize("url", ELSEWHERE)
def test_other_hosts_are_refused(direct: TwilioClient, live: Key, proxy: Wire, url: str) -> None:
    error = caught(lambda: ask(direct, url))
    assert isinstance(error, RefusedBeforeSending)
    assert error.code == "ST801"
    assert Spotter(live.secret).in_error(error) == []
    assert not proxy.connections


def test_live_credentials_stay_away_from_the_emulator(
    live: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Wire() as wire:
        monkeypatch.setenv("SAFETWILIO_EMULATOR", wire.url)
        transport = Transport(emulator=wire.url)
        client = TwilioClient(live.sid, live.secret, live.account, http_client=transport)
        with pytest.raises(RefusedBeforeSending, match="ST802"):
            ask(client)
    assert not wire.authorizations


def test_proxy_of_the_environment_sees_no_credential(
    direct: TwilioClient, live: Key, proxy: Wire
) -> None:
    assert ask(direct).status_code == 200
    assert proxy.tunnels == ["api.twilio.com:443"]
    assert proxy.authorizations == {basic(live)}  # inside the tunnel
    [request] = proxy.requests
    assert request.tunnel == "api.twilio.com:443"


class Careful(Wire):
    """A proxy that remembers the whole CONNECT."""

    heads: list[Any]

    @classmethod
    def made(cls) -> Careful:
        """Return one that has not been started."""
        made = cls()
        made.heads = []
        read = made._read

        def remember(*arguments: Any) -> Any:
            request = read(*arguments)
            if request and request.method == "CONNECT":
                made.heads.append(request.headers)
            return request

        made._read = remember  # type: ignore[method-assign]
        return made


@pytest.mark.parametrize("form", ["http://{}@127.0.0.1:{}", "{}@127.0.0.1:{}"])
@pytest.mark.parametrize("given", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "option", "session"])
def test_every_way_to_name_a_proxy(
    live: Key, monkeypatch: pytest.MonkeyPatch, form: str, given: str
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(CERTIFICATE))
    with Careful.made() as wire:
        address = form.format("us%40er:p%3Ass", wire.port)
        transport = Transport(proxy={"https": address} if given == "option" else None, timeout=5)
        if given.lower().endswith("_proxy"):
            monkeypatch.setenv(given, address)
        elif given == "session":
            transport.session.proxies["https://api.twilio.com"] = address
        client = TwilioClient(live.sid, live.secret, live.account, http_client=transport)
        assert ask(client).status_code == client.request("GET", URL).status_code == 200
        transport.session.close()
    first, second = wire.heads
    expected = "Basic " + base64.b64encode(b"us@er:p:ss").decode()
    assert first["proxy-authorization"] == second["proxy-authorization"] == expected
    assert "authorization" not in first
    assert not Spotter(live.secret).count(repr(first))


@pytest.mark.parametrize("name", ["NO_PROXY", "no_proxy"])
def test_no_proxy_is_honoured_and_a_change_is_noticed(
    direct: TwilioClient, proxy: Wire, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    assert ask(direct).status_code == 200
    monkeypatch.setenv(name, "twilio.com")
    transport = direct.http_client.for_asyncio()
    way = asyncio.run(transport._ways.find(transport, transport.session, URL))
    assert way.proxy() is None
    monkeypatch.delenv(name)
    assert ask(direct).status_code == 200
    assert len(proxy.tunnels) == 2


def test_what_is_kept_of_proxies_is_bounded(direct: TwilioClient) -> None:
    async def find() -> None:
        for number in range(250):
            url = f"https://api{number}.twilio.com/"
            await transport._ways.find(transport, transport.session, url)

    transport = direct.http_client.for_asyncio()
    asyncio.run(find())
    assert len(transport._ways) <= 100


def test_the_emulator_is_reached_without_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    key = emulated()
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere")  # nor is there any TLS
    with Wire() as wire, Wire() as other:
        monkeypatch.setenv("HTTP_PROXY", other.url)
        monkeypatch.setenv("SAFETWILIO_EMULATOR", wire.url)
        client = TwilioClient(key.sid, key.secret, key.account)
        assert ask(client).status_code == 200
        client.http_client.session.close()
    assert wire.authorizations == {basic(key)}
    assert not other.connections


@pytest.mark.parametrize("bundle", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "session", "folder"])
def test_ca_bundles(
    direct: TwilioClient, proxy: Wire, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, bundle: str
) -> None:
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    with pytest.raises(aiohttp.ClientConnectionError, match="certificate verify failed"):
        ask(direct)
    if bundle == "session":
        direct.http_client.session.verify = str(CERTIFICATE)
    elif bundle == "folder":
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path))
        with pytest.raises(TransportError):  # it holds no certificate under its hash
            ask(direct)
        return
    else:
        monkeypatch.setenv(bundle, str(CERTIFICATE))
    assert ask(direct).status_code == 200
    assert len(proxy.requests) == 1


@pytest.mark.parametrize("name", ["SSL_CERT_FILE", "option", "option over environment"])
def test_ca_bundles_of_both_kinds_of_requests(
    live: Key, proxy: Wire, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """By themselves aiohttp and requests disagree about these."""
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    if name == "SSL_CERT_FILE":
        monkeypatch.setenv(name, str(CERTIFICATE))
    elif name == "option over environment":
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", certifi.where())
    bundle = str(CERTIFICATE) if "option" in name else None
    transport = Transport(timeout=5, max_retries=0, ca_bundle=bundle)
    client = TwilioClient(live.sid, live.secret, live.account, http_client=transport)
    assert client.request("GET", URL).status_code == ask(client).status_code == 200
    assert len(proxy.requests) == 2
    transport.session.close()


def test_a_bundle_of_openssl_that_is_not_there_counts_for_nothing(
    direct: TwilioClient, proxy: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere")
    assert direct.request("GET", URL).status_code == ask(direct).status_code == 200
    assert len(proxy.requests) == 2


@pytest.mark.parametrize("form", ["one file", "two files"])
def test_client_certificate(
    direct: TwilioClient, proxy: Wire, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, form: str
) -> None:
    """The server asks for one; without it the request fails in both ways."""
    authority = trustme.CA()
    issued = authority.issue_cert("client.example")
    parts = [part.bytes() for part in (issued.private_key_pem, *issued.cert_chain_pems)]
    key, chain = tmp_path / "key.pem", tmp_path / "chain.pem"
    write(key, parts[0])
    write(chain, b"".join(parts[1:]))
    both = write(tmp_path / "both.pem", b"".join(parts))
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")

    def over_tls(connection: Any) -> Any:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(CERTIFICATE)
        context.load_verify_locations(tmp_path / "authority.pem")
        context.verify_mode = ssl.CERT_REQUIRED
        wrapped = context.wrap_socket(connection, server_side=True)
        with proxy._lock:
            proxy._open[threading.current_thread()] = wrapped
        return wrapped

    monkeypatch.setattr(proxy, "_over_tls", over_tls)
    for send in (lambda: direct.request("GET", URL), lambda: ask(direct)):
        assert isinstance(caught(send), TransportError)
    direct.http_client.session.cert = str(both) if form == "one file" else (str(chain), str(key))
    assert direct.request("GET", URL).status_code == ask(direct).status_code == 200


def test_verification_cannot_be_switched_off(direct: TwilioClient, proxy: Wire) -> None:
    direct.http_client.session.verify = False
    direct.http_client.session.trust_env = False
    direct.http_client.session.proxies["https"] = proxy.url
    with pytest.raises(aiohttp.ClientConnectionError, match="certificate verify failed"):
        ask(direct)
    assert not proxy.requests


@pytest.mark.parametrize("host", ["https://www.evil.example", "https://api.twilio.com"])
def test_redirection_takes_the_credential_to_no_other_host(
    direct: TwilioClient, proxy: Wire, host: str
) -> None:
    proxy.behave = lambda r: answer(307, Location=host + "/y") if r.target != "/y" else answer()
    url = "https://studio.twilio.com/x"
    assert ask(direct, url, allow_redirects=True).status_code == 200
    first, second = proxy.requests
    assert "authorization" in first.headers
    assert second.tunnel == host.removeprefix("https://") + ":443"
    assert "authorization" not in second.headers


@pytest.mark.parametrize("with_credential", [True, False])
def test_netrc_is_ignored(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *, with_credential: bool
) -> None:
    key = emulated()
    netrc = "default login netrc password fromTheNetrcFile1\n"
    monkeypatch.setenv("NETRC", str(write(tmp_path / "netrc", netrc)))
    with Wire() as wire:
        monkeypatch.setenv("SAFETWILIO_EMULATOR", wire.url)
        transport = AsyncTransport(emulator=wire.url)
        client = TwilioClient(key.sid, key.secret, key.account, http_client=transport)
        if with_credential:
            ask(client)
        else:
            asyncio.run(transport.request("GET", URL))
        transport.session.close()
    assert wire.authorizations == ({basic(key)} if with_credential else set())


def test_headers_of_the_session_are_sent_too(monkeypatch: pytest.MonkeyPatch) -> None:
    key = emulated()
    with Wire() as wire:
        monkeypatch.setenv("SAFETWILIO_EMULATOR", wire.url)
        transport = Transport(emulator=wire.url)
        transport.session.headers.update({"X-Mine": "1", "X-None": None, "User-Agent": "lost"})
        client = TwilioClient(key.sid, key.secret, key.account, http_client=transport)
        ask(client, headers={"x-mine": "2"})
        transport.session.close()
    [request] = wire.requests
    assert request.headers["x-mine"] == "2"
    assert "x-none" not in request.headers
    assert request.headers["user-agent"].startswith("twilio-python/")


def test_oauth_provider(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    token = jwt.encode({"exp": 4_000_000_000}, "x" * 32)
    app_secret = new_key().secret
    caplog.set_level(logging.DEBUG)

    def behave(request: Any) -> bytes:
        if request.target == "/v2/token":
            return answer(200, {"access_token": token, "token_type": "Bearer"})
        return answer(200, {"sid": "SM1"})

    with Wire(behave) as wire:
        monkeypatch.setenv("SAFETWILIO_EMULATOR", wire.url)
        client = TwilioClient(
            credential_provider=ClientCredentialProvider("OQ1", app_secret),
            account_sid=emulated().account,
        )

        async def both() -> list[str]:
            messages = [client.messages("SM1").fetch_async() for _ in range(2)]
            return [each.sid for each in await asyncio.gather(*messages)]

        assert asyncio.run(both()) == ["SM1", "SM1"]
        client.http_client.session.close()
        client.credential_provider.token_manager.client.http_client.session.close()
    assert wire.authorizations == {f"Bearer {token}"}
    assert [r.target for r in wire.requests].count("/v2/token") == 1
    assert Spotter(token, app_secret).count(caplog.text) == 0
