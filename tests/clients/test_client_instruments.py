"""What people watch and fake HTTP with goes on working, because the transport is ``requests``."""

from __future__ import annotations

import base64
import logging
from typing import TYPE_CHECKING

import pytest
import responses
import vcr
from leaks import Spotter
from opentelemetry.instrumentation.requests import RequestsInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from twilio.base.exceptions import TwilioRestException

from safetwilio.clients import Transport, TwilioClient

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


def test_opentelemetry_makes_a_span(client: TwilioClient, emulator: Emulator) -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    instrumentor = RequestsInstrumentor()
    instrumentor.instrument(tracer_provider=provider)
    try:
        client.messages.create(**TO)
    finally:
        instrumentor.uninstrument()
        provider.shutdown()
    (span,) = exporter.get_finished_spans()
    assert span.attributes["http.method"] == "POST"
    assert span.attributes["http.status_code"] == 201
    assert not Spotter(emulator.standard_key.secret).count(span.to_json())


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
