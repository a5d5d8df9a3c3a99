"""Whatever fails in a request under asyncio, nothing that is captured holds the secret."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import os
import re
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from leaks import Spotter, caught, new_secret
from test_async_wire import _Redirected, emulated
from test_client_sentry import APPLICATION
from twilio.base.exceptions import TwilioException
from twilio.rest import Client
from wires import Wire, answer, close, dead_port, garbage, half, hang, reset

from safetwilio.clients import Transport, TransportError, TwilioClient
from safetwilio.clients.async_transport import AsyncTransport
from support import Key, key_sid, new_key, write

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from wires import Behaviour

    Connect = Callable[..., TwilioClient]

PROXY_PASSWORD = new_secret()


def send(client: Client) -> Callable[[], object]:
    """Return a call whose frames hold nothing but the client."""
    return lambda: asyncio.run(
        client.messages.create_async(to="+15550100", from_="+15550101", body="hello")
    )


@pytest.fixture
def key() -> Key:
    return emulated()


@pytest.fixture
def spotted() -> Key:
    return new_key()


@pytest.fixture
def spotter(key: Key, spotted: Key) -> Spotter:
    return Spotter(key.secret, spotted.secret, PROXY_PASSWORD)


@pytest.fixture(autouse=True)
def _silent_logs(caplog: pytest.LogCaptureFixture, spotter: Spotter) -> Iterator[None]:
    """Let everything log at DEBUG, asyncio and aiohttp too, and look at it in the end."""
    for name in (None, "asyncio", "aiohttp", "aiohttp.client", "twilio", "urllib3", "safetwilio"):
        caplog.set_level(logging.DEBUG, name)
    yield
    records = [*caplog.get_records("setup"), *caplog.get_records("call")]
    assert spotter.count("\n".join(map(_formatted, records))) == 0


def _formatted(record: logging.LogRecord) -> str:
    return logging.Formatter().format(record) + repr(vars(record))


@pytest.fixture
def direct(spotted: Key) -> Iterator[TwilioClient]:
    """Return a client of the real Twilio, which a proxy in the environment stands for."""
    transport = Transport(timeout=0.3, max_retries=0)
    with closing(transport.session):
        yield TwilioClient(spotted.sid, spotted.secret, spotted.account, http_client=transport)


@pytest.mark.filterwarnings("ignore:BasicAuth is deprecated", "ignore:The 'auth' parameter")
def test_the_spotter_sees_what_twilios_client_leaks(key: Key) -> None:
    """The control: a request of Twilio's own asynchronous client shows the secret in its frames."""

    async def plain() -> None:
        async with _Redirected(f"http://127.0.0.1:{dead_port()}") as http_client:
            client.http_client = http_client
            await client.messages.create_async(to="+15550100", from_="+15550101", body="hello")

    client = Client(key.sid, key.secret, key.account)
    error = caught(lambda: asyncio.run(plain()))
    client.http_client = None
    found = "\n".join(Spotter(key.secret).in_error(error))
    assert "sentry" in found
    assert re.search(r"ClientSession.*_request", found)


@pytest.mark.parametrize(
    ("behave", "kind"),
    [
        pytest.param(lambda _: reset, aiohttp.ClientConnectionError, id="reset"),
        pytest.param(lambda _: close, aiohttp.ClientConnectionError, id="closed"),
        pytest.param(lambda _: half(answer(201, "x" * 999)), aiohttp.ClientPayloadError, id="half"),
        pytest.param(
            lambda _: half(answer(201, "x" * 999), reset), aiohttp.ClientError, id="half-reset"
        ),
        pytest.param(lambda _: half(answer(201, "x" * 999), hang), TimeoutError, id="half-hang"),
        pytest.param(lambda _: hang, TimeoutError, id="read-timeout"),
        pytest.param(lambda _: b"SSH-2.0-x\r\n\r\n", aiohttp.ClientError, id="no-http"),
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
    connect: Connect, key: Key, spotter: Spotter, behave: Behaviour, kind: type[Exception]
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
    assert isinstance(error, aiohttp.ClientConnectionError)
    assert spotter.in_error(error) == []


@pytest.mark.parametrize("host", ["no such host", "x" * 64, "[", "a\u2100b"])
def test_host_name_that_does_not_resolve(direct: TwilioClient, spotter: Spotter, host: str) -> None:
    error = caught(lambda: asyncio.run(direct.request_async("GET", f"https://{host}.twilio.com/")))
    assert isinstance(error, (TransportError, ValueError))
    assert spotter.in_error(error) == []


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
    assert isinstance(error, TransportError)
    assert isinstance(error, aiohttp.ClientConnectionError)
    assert error.sent is (how == "after-sending")
    assert len(proxy.requests) == (how == "after-sending")
    assert spotter.in_error(error) == []


@pytest.mark.parametrize("how", ["refuses", "dead", "silent"])
def test_trouble_with_the_proxy(
    direct: TwilioClient, spotter: Spotter, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """Its own password does not show either."""
    with _Silent() if how == "silent" else Wire(refuse_tunnels=True) as wire:
        port = dead_port() if how == "dead" else wire.port
        monkeypatch.setenv("HTTPS_PROXY", f"http://me:{PROXY_PASSWORD}@127.0.0.1:{port}")
        error = caught(send(direct))
    assert isinstance(error, TransportError)
    assert isinstance(error, aiohttp.ClientConnectionError)
    assert not error.sent
    assert type(error).__name__ == ("AsyncConnectTimeout" if how == "silent" else "AsyncProxyError")
    assert spotter.in_error(error) == []


class _Silent(Wire):
    """A proxy that never answers a CONNECT."""

    def _tunnel(self, connection: Any, target: str) -> Any:
        from wires import Line

        self.tunnels.append(target)
        hang(Line(connection, self._stopping))


@pytest.mark.parametrize("address", ["socks5://me:{}@127.0.0.1:1", "http://me:{}@", "me:{}@a:b:c"])
def test_proxy_that_aiohttp_cannot_use(
    direct: TwilioClient, spotter: Spotter, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", address.format(PROXY_PASSWORD))
    error = caught(send(direct))
    assert isinstance(error, TransportError)
    assert not error.sent
    assert spotter.in_error(error) == []


def test_ca_bundle_that_is_not_there(
    direct: TwilioClient, spotter: Spotter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere")
    error = caught(send(direct))
    assert isinstance(error, OSError)
    assert spotter.in_error(error) == []


@pytest.mark.parametrize("body", [b'{"secret": "%s", "x": "\xff"}', b'{"secret": "%s'])
def test_new_secret_in_an_answer_that_cannot_be_read(
    connect: Connect, key: Key, body: bytes
) -> None:
    new = new_secret()
    broken = answer(201, body % new.encode() + b" " * 300)
    with Wire(lambda _: half(broken, reset) if b"\xff" not in body else broken) as wire:
        client = connect(wire.url, key.sid, key.secret, key.account)
        error = caught(lambda: _made(client))
    if isinstance(error, TransportError):
        assert Spotter(key.secret, new).in_error(error) == []
    else:
        assert error.args == (new,)  # it could be read after all


def _made(client: TwilioClient) -> None:
    raise LookupError(asyncio.run(client.new_keys.create_async(friendly_name="x")).secret)


def test_failure_after_a_new_secret_was_answered(connect: Connect, key: Key) -> None:
    new = new_secret()
    made = {"sid": key_sid(), "friendly_name": "x", "secret": new}
    with Wire(lambda r: answer(201, made) if r.target.endswith("/Keys.json") else hang) as wire:
        client = connect(wire.url, key.sid, key.secret, key.account, timeout=0.3)
        assert asyncio.run(client.new_keys.create_async(friendly_name="x")).secret == new
        error = caught(send(client))
    both = Spotter(key.secret, new)
    assert both.in_error(error) == []
    assert both.in_object(client) == []


class Nosy(RuntimeError):
    """Raised by a hook."""


async def _raise_from_response(*arguments: Any) -> None:
    try:
        arguments[-1].response.raise_for_status()
    except aiohttp.ClientResponseError as error:
        raise Nosy("seen") from error


async def _raise_response(*arguments: Any) -> None:
    arguments[-1].response.raise_for_status()


async def _raise_with_headers(*arguments: Any) -> None:
    headers = dict(arguments[-1].headers)
    raise Nosy(f"{len(headers)} headers")


@pytest.mark.parametrize(
    "hooked",
    [
        ("on_request_end", _raise_from_response),
        ("on_request_end", _raise_response),
        ("on_request_end", _raise_with_headers),
        ("on_request_start", _raise_with_headers),
        ("on_request_exception", _raise_with_headers),
        ("on_request_headers_sent", _raise_with_headers),
    ],
)
@pytest.mark.parametrize("redirected", [False, True])
def test_hook_that_raises(
    connect: Connect, key: Key, spotter: Spotter, hooked: tuple[str, Any], *, redirected: bool
) -> None:
    event, hook = hooked

    def behave(request: Any) -> Any:
        if redirected and request.target != "/y":
            return answer(307, Location="/y")
        return close if event == "on_request_exception" else answer(500)

    traces = aiohttp.TraceConfig()
    getattr(traces, event).append(hook)
    with Wire(behave) as wire:
        client = connect(wire.url, key.sid, key.secret, key.account)
        client.http_client = AsyncTransport(
            emulator=wire.url, max_retries=0, trace_configs=[traces]
        )
        url = "https://api.twilio.com/x"
        error = caught(
            lambda: asyncio.run(client.request_async("GET", url, allow_redirects=redirected))
        )
    if hook is _raise_response:
        assert isinstance(error, TransportError)
        assert error.sent
    else:
        assert type(error) is Nosy
    if hook is _raise_from_response:
        cause = error.__cause__
        assert isinstance(cause, aiohttp.ClientResponseError)
        assert cause.status == 500
        assert "Host" in cause.request_info.headers
        assert "Authorization" not in cause.request_info.headers
    assert spotter.in_error(error) == []


def test_error_that_is_being_handled_keeps_its_frames(connect: Connect, key: Key) -> None:
    async def send_from_except() -> tuple[BaseException, BaseException, Any]:
        try:
            _fail()
        except KeyError as first:
            trace = first.__traceback__
            try:
                await client.request_async("GET", "https://api.twilio.com/x")
            except TransportError as error:
                return first, error, trace
        raise AssertionError

    with Wire(lambda _: close) as wire:
        client = connect(wire.url, key.sid, key.secret, key.account)
        first, error, trace = asyncio.run(send_from_except())
    assert first.__traceback__ is trace
    assert error.__context__ is first


def _fail() -> None:
    raise KeyError("mine")


IN_ASYNCIO = APPLICATION.replace("def work():", "async def work():").replace(
    "client.messages.create(", "await client.messages.create_async("
)
IN_ASYNCIO = re.sub(
    r"^( *)work\(\)", r"\1asyncio.run(work(), debug=True)", IN_ASYNCIO, flags=re.MULTILINE
)


@pytest.mark.parametrize(
    "behave", [lambda _: hang, lambda _: reset, None], ids=["hang", "reset", "dead"]
)
def test_whole_sentry_in_a_process_of_its_own(
    key: Key, tmp_path: Path, behave: Behaviour | None
) -> None:
    """Sentry's own integrations of aiohttp and asyncio are on, and no redaction of ours."""
    with Wire(behave or (lambda _: answer())) as wire:
        environment = {
            **os.environ,
            "SAFETWILIO_EMULATOR": wire.url if behave else f"http://127.0.0.1:{dead_port()}",
            "KEY": key.sid,
            "ACCOUNT": key.account,
            "KEPT": str(tmp_path / "kept"),
            "SECRET_FILE": str(write(tmp_path / "secret", key.secret)),
        }
        code = "import asyncio, logging\nlogging.basicConfig(level=1)\n" + IN_ASYNCIO
        done = subprocess.run(
            [sys.executable, "-c", code],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
    kept = (tmp_path / "kept").read_text("utf-8")
    assert done.returncode == 1
    assert done.stderr.count("ST60") >= 1, done.stderr
    assert '"handled":true' in kept
    assert '"handled":false' in kept
    assert '"vars"' in kept
    assert "request_async" in kept
    secret = Spotter(key.secret)
    assert secret.count(kept) == secret.count(done.stderr) == 0
    assert secret.count(base64.b64encode(f"{key.sid}:{key.secret}".encode()).decode())
