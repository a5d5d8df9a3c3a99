"""What people watch and fake HTTP with goes on working, because the transport is ``requests``."""

from __future__ import annotations

import asyncio
import base64
import logging
from typing import TYPE_CHECKING, Any

import pytest
import responses
import vcr
from leaks import Spotter
from opentelemetry.instrumentation.aiohttp_client import AioHttpClientInstrumentor
from opentelemetry.instrumentation.requests import RequestsInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from twilio.base.exceptions import TwilioRestException
from wires import Wire, answer

from safetwilio.clients import Transport, TwilioClient
from support import new_key

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from safetwilio.testing import Emulator
    from support import Key

TO = {"to": "+15551230001", "from_": "+15005550006", "body": "watched"}


@pytest.fixture
def real(key: Key) -> Iterator[TwilioClient]:
    """Make a client of the real Twilio, whose requests must not get there."""
    made = TwilioClient(key.sid, key.secret, key.account, http_client=Transport(max_retries=0))
    yield made
    made.http_client.session.close()


def test_responses_answers_in_twilios_place(real: TwilioClient, key: Key) -> None:
    url = f"https://api.twilio.com/2010-04-01/Accounts/{key.account}/Messages.json"
    with responses.RequestsMock() as mock:
        mock.post(url, json={"sid": "SM1"}, status=201)
        mock.post(url, json={"code": 21211, "message": "no", "status": 400}, status=400)
        assert real.messages.create(**TO).sid == "SM1"
        with pytest.raises(TwilioRestException):
            real.messages.create(**TO)
        sent = mock.calls[0].request
    basic = base64.b64encode(f"{key.sid}:{key.secret}".encode()).decode()
    assert sent.headers["Authorization"] == f"Basic {basic}"
    assert "Body=watched" in sent.body


def test_responses_raises_in_twilios_place(real: TwilioClient, key: Key) -> None:
    import requests

    from safetwilio.clients import TransportError

    with responses.RequestsMock() as mock:
        url = f"https://api.twilio.com/2010-04-01/Accounts/{key.account}/Messages.json"
        mock.post(url, body=requests.ConnectTimeout("x"))
        with pytest.raises(requests.ConnectTimeout) as raised:
            real.messages.create(**TO)
    assert isinstance(raised.value, TransportError)


@pytest.mark.parametrize("recorded", ["as it is", "filtered"])
def test_vcr_records_and_replays(
    client: TwilioClient, emulator: Emulator, tmp_path: Path, recorded: str
) -> None:
    """As with every HTTP client the cassette holds the header unless vcr is told to filter it."""
    cassette = tmp_path / "cassette.yaml"
    filtered = ["authorization"] if recorded == "filtered" else []
    options = {"filter_headers": filtered, "record_mode": "once"}
    with vcr.use_cassette(str(cassette), **options):
        first = client.messages.create(**TO).sid
    with vcr.use_cassette(str(cassette), **options) as tape:
        assert client.messages.create(**TO).sid == first
        assert tape.play_count == 1
    assert len(emulator.messages) == 1
    leaked = Spotter(emulator.standard_key.secret).count(cassette.read_text("utf-8"))
    assert bool(leaked) is (recorded == "as it is")


@pytest.mark.parametrize("instrumentor", [RequestsInstrumentor, AioHttpClientInstrumentor])
def test_opentelemetry_makes_a_span_and_carries_it_on(
    key: Key, monkeypatch: pytest.MonkeyPatch, instrumentor: type[Any]
) -> None:
    """One for each call, child of the caller's; Twilio gets its ``traceparent``, it no secret."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    key = new_key(emulated=True)
    with Wire(lambda _: answer(201, {"sid": "SM1"})) as wire:
        monkeypatch.setenv("SAFETWILIO_EMULATOR", wire.url)
        instrumentor().instrument(tracer_provider=provider)
        try:
            client = TwilioClient(key.sid, key.secret, key.account)
            with provider.get_tracer("test").start_as_current_span("caller") as caller:
                if instrumentor is RequestsInstrumentor:
                    client.messages.create(**TO)
                else:
                    asyncio.run(client.messages.create_async(**TO))
        finally:
            instrumentor().uninstrument()
            provider.shutdown()
        client.http_client.session.close()
    span, _ = exporter.get_finished_spans()
    attributes = span.attributes
    assert attributes["http.method"] == "POST"
    assert attributes["http.status_code"] == 201
    assert span.parent.span_id == caller.get_span_context().span_id
    [request] = wire.requests
    context = span.get_span_context()
    carried = f"00-{context.trace_id:032x}-{context.span_id:016x}-"
    assert request.headers["traceparent"].startswith(carried)
    text = span.to_json()
    assert not Spotter(key.secret).count(text)
    assert "uthorization" not in text
    assert TO["body"] not in text


def test_urllib3_logs_as_ever(
    client: TwilioClient, emulator: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="urllib3")
    client.messages.create(**TO)
    lines = [record.getMessage() for record in caplog.records if record.name.startswith("urllib3")]
    assert any(line.startswith("Starting new HTTP connection") for line in lines)
    assert any('"POST /2010-04-01/Accounts/' in line and '" 201 ' in line for line in lines)
    assert not Spotter(emulator.standard_key.secret).count("\n".join(lines))


def test_hooks_see_every_answer(client: TwilioClient) -> None:
    seen = []
    client.http_client.request_hooks = {"response": [lambda r, *_, **__: seen.append(r)]}
    client.messages.create(**TO)
    assert [each.status_code for each in seen] == [201]
