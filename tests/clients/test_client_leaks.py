"""Must show 2: whatever fails inside a request, nothing that is captured holds the secret."""

from __future__ import annotations

import gc
import json
import re
from typing import TYPE_CHECKING, Any

import pytest
import requests
from leaks import Spotter, caught, new_secret, sentry_event
from twilio.base.exceptions import TwilioException
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client
from wires import (
    CERTIFICATE,
    Wire,
    answer,
    close,
    dead_port,
    garbage,
    half,
    hang,
    reset,
)

from safetwilio import break_glass
from safetwilio.clients import Transport, TransportError, TwilioClient
from safetwilio.errors import MasterTokenInUse, MissingCredentials
from support import account_sid, auth_token, key_sid

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from wires import Behaviour

    from support import Key

    Connect = Callable[..., TwilioClient]


def send(client: Client) -> Callable[[], object]:
    """Return a call whose frames hold nothing but the client."""
    return lambda: client.messages.create(to="+15550100", from_="+15550101", body="hello")


@pytest.fixture
def spotter(key: Key) -> Spotter:
    return Spotter(key.secret)


@pytest.fixture
def direct(key: Key) -> TwilioClient:
    """Return a client of the real Twilio, which a proxy in the environment stands for."""
    transport = Transport(timeout=0.3, max_retries=0)
    return TwilioClient(key.sid, key.secret, key.account, http_client=transport)


def test_the_spotter_sees_what_the_plain_client_leaks(key: Key, spotter: Spotter) -> None:
    """The control: every way of looking finds the secret where it is known to be."""
    http_client = TwilioHttpClient(proxy={"https": f"http://127.0.0.1:{dead_port()}"})
    client = Client(key.sid, key.secret, key.account, http_client=http_client)
    error = caught(send(client))
    found = "\n".join(spotter.in_error(error))
    assert "sentry" in found
    assert "traceback of error" in found
    assert re.search(r"urlopen headers.*authorization", found)
    assert any(".password" in path for path in spotter.in_object(client))
    http_client.session.close()


@pytest.mark.parametrize("shift", range(3))
def test_the_spotter_knows_base64_at_any_alignment(shift: int) -> None:
    import base64

    secret = new_secret()
    encoded = base64.b64encode(b"x" * shift + b":" + secret.encode() + b"yz").decode()
    assert Spotter(secret).count(encoded)
    assert Spotter(secret).count(secret[11:23]) == 1
    assert not Spotter(secret).count(secret[:11] + "?" + secret[12:23])


@pytest.mark.parametrize(
    ("behave", "kind"),
    [
        pytest.param(lambda _: reset, requests.ConnectionError, id="reset"),
        pytest.param(lambda _: close, requests.ConnectionError, id="closed"),
        pytest.param(lambda _: half(answer(201, "x" * 999)), requests.ConnectionError, id="half"),
        pytest.param(
            lambda _: half(answer(201, "x" * 999), reset), requests.ConnectionError, id="half-reset"
        ),
        pytest.param(
            lambda _: half(answer(201, "x" * 999), hang), requests.ConnectionError, id="half-hang"
        ),
        pytest.param(lambda _: hang, requests.ReadTimeout, id="read-timeout"),
        pytest.param(lambda _: b"SSH-2.0-x\r\n\r\n", requests.ConnectionError, id="no-http"),
        pytest.param(lambda _: answer(201, "{broken"), json.JSONDecodeError, id="broken-json"),
        pytest.param(lambda _: answer(200, "[]"), AttributeError, id="no-object"),
        pytest.param(
            lambda _: answer(200, "x" * 99, Content_Encoding="gzip"), TransportError, id="no-gzip"
        ),
        pytest.param(lambda _: answer(500, "<html>"), TwilioException, id="500"),
        pytest.param(
            lambda _: answer(401, {"code": 20003, "message": "Authenticate", "status": 401}),
            TwilioException,
            id="401",
        ),
    ],
)
def test_trouble_of_the_wire(
    connect: Connect,
    key: Key,
    spotter: Spotter,
    behave: Behaviour,
    kind: type[Exception],
) -> None:
    with Wire(behave) as wire:
        client = connect(wire.url, key.sid, key.secret, key.account, timeout=0.3)
        error = caught(send(client))
        assert len(wire.authorizations) == 1  # it was on the wire
    assert isinstance(error, kind)
    assert spotter.in_error(error) == []
    assert spotter.in_object(client) == []


def test_connection_refused(connect: Connect, key: Key, spotter: Spotter) -> None:
    client = connect(f"http://127.0.0.1:{dead_port()}", key.sid, key.secret, key.account)
    error = caught(send(client))
    assert isinstance(error, requests.ConnectionError)
    assert spotter.in_error(error) == []


def test_host_name_that_does_not_resolve(direct: TwilioClient, spotter: Spotter) -> None:
    error = caught(lambda: direct.request("GET", "https://no such host.twilio.com/"))
    assert isinstance(error, TransportError)
    assert spotter.in_error(error) == []
    error = caught(lambda: direct.request("GET", f"https://{'x' * 64}.twilio.com/"))
    assert spotter.in_error(error) == []


@pytest.mark.parametrize("bundle", [None, CERTIFICATE], ids=["untrusted", "another name"])
def test_trouble_with_tls_without_a_proxy(
    monkeypatch: pytest.MonkeyPatch, bundle: Path | None
) -> None:
    if bundle:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(bundle))
    transport = Transport(max_retries=0)
    with Wire(tls=True) as wire:
        error = caught(lambda: transport.request("POST", wire.url))
        assert wire.requests == []
    assert isinstance(error, requests.exceptions.SSLError)
    assert isinstance(error, TransportError)
    assert not error.sent
    assert "TLS: certificate verify failed" in str(error)


def test_host_name_that_nobody_has() -> None:
    transport = Transport(max_retries=0)
    error = caught(lambda: transport.request("GET", "https://safetwilio.invalid/"))
    assert str(error).startswith(
        "[ST601] safetwilio.invalid could not be reached (the host name was not found)."
    )


@pytest.mark.filterwarnings("ignore:unclosed <ssl:ResourceWarning")  # Python's, in a cut handshake
@pytest.mark.parametrize("how", ["untrusted", "plain", "cut", "after-sending"])
def test_trouble_with_tls(
    direct: TwilioClient, spotter: Spotter, proxy: Wire, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    if how == "untrusted":
        monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    if how in {"plain", "cut"}:
        monkeypatch.setattr(proxy, "tunnelled", hang if how == "plain" else reset)
    proxy.behave = lambda _: garbage
    error = caught(send(direct))
    assert isinstance(error, requests.RequestException)
    assert isinstance(error, TransportError)
    assert error.sent is (how == "after-sending")
    assert spotter.in_error(error) == []
    gc.collect()


@pytest.mark.parametrize("how", ["refuses", "dead"])
def test_trouble_with_the_proxy(
    direct: TwilioClient, spotter: Spotter, proxy: Wire, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    proxy.refuse_tunnels = True
    if how == "dead":
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{dead_port()}")
    error = caught(send(direct))
    assert isinstance(error, requests.exceptions.ProxyError)
    assert isinstance(error, TransportError)
    assert not error.sent
    assert spotter.in_error(error) == []


def test_failure_after_a_new_secret_was_answered(connect: Connect, key: Key) -> None:
    new = new_secret()
    made = {"sid": key_sid(), "friendly_name": "x", "secret": new}

    def behave(request: Any) -> Any:
        if request.target.endswith("/Keys.json"):
            return answer(201, made)
        return hang

    with Wire(behave) as wire:
        client = connect(wire.url, key.sid, key.secret, key.account, timeout=0.3)
        assert client.new_keys.create(friendly_name="x").secret == new
        error = caught(send(client))
    both = Spotter(key.secret, new)
    assert both.in_error(error) == []
    assert both.in_object(client) == []


def test_new_secret_in_an_answer_that_breaks_off(connect: Connect, key: Key) -> None:
    new = new_secret()
    whole = answer(201, {"secret": new, "sid": "x" * 300})
    with Wire(lambda _: half(whole, reset)) as wire:
        client = connect(wire.url, key.sid, key.secret, key.account)
        error = caught(lambda: client.new_keys.create(friendly_name="x"))
    assert isinstance(error, requests.exceptions.ChunkedEncodingError)
    assert Spotter(key.secret, new).in_error(error) == []


@pytest.mark.parametrize("arguments", ["token", "token-as-secret", "nothing", "no-account"])
def test_refused_constructor_shows_neither_pair_nor_environment(
    arguments: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    token, hidden, secret = auth_token(), auth_token(), new_secret()
    monkeypatch.setenv("TWILIO_AUTH_TOKEN", hidden)
    monkeypatch.setenv("SOME_DATABASE", hidden)
    given = {
        "token": (account_sid(), token),
        "token-as-secret": (key_sid(), token, account_sid()),
        "nothing": (),
        "no-account": (key_sid(), secret),
    }[arguments]
    error = caught(lambda: TwilioClient(*given))
    assert isinstance(error, (MasterTokenInUse, MissingCredentials))
    error.__traceback__ = error.__traceback__.tb_next.tb_next  # the frames of this test hold them
    assert error.__traceback__.tb_frame.f_code.co_qualname == "TwilioClient.__init__"
    assert repr(error.__traceback__.tb_frame.f_locals["self"])  # reports show it
    assert Spotter(token, hidden, secret).in_error(error) == []


def test_token_under_break_glass(connect: Connect, key: Key) -> None:
    sid, token = key.account, auth_token()
    with Wire(lambda _: hang) as wire, break_glass(reason="test"):
        client = connect(wire.url, sid, token, sid, timeout=0.3)
        error = caught(send(client))
    assert Spotter(token).in_error(error) == []
    assert Spotter(token).in_object(client) == []


def test_sentry_event_shows_locals() -> None:
    error = caught(lambda: 1 / 0)
    assert "division by zero" in sentry_event(error)
