"""Ways out over the wire: OpenTelemetry and Sentry."""

from __future__ import annotations

import http.client
import io
from typing import TYPE_CHECKING

from ways.base import caught, protection, server, take, way

if TYPE_CHECKING:
    from collections.abc import Generator


@way("OpenTelemetry: spans over OTLP, and to the console")
def spans() -> Generator[str, str, None]:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor
    from opentelemetry.trace import Link, Status, StatusCode

    to, stream = server("spans"), io.StringIO()
    otlp = OTLPSpanExporter(endpoint=f"{to.url}/v1/traces")
    text = yield ""
    while True:
        provider = TracerProvider(resource=Resource({"service": text}), shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(otlp))
        provider.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter(out=stream)))
        tracer = provider.get_tracer(text)
        with tracer.start_as_current_span("parent") as parent:
            links = [Link(parent.get_span_context(), {"link": text})]
            span = tracer.start_span(f"GET {text}", links=links, attributes={"list": [text]})
            span.add_event(text, {"holder": text})
            span.record_exception(caught(text))
            span.set_status(Status(StatusCode.ERROR, text))
            span.end()
        text = yield to.take() + take(stream)


@way("OpenTelemetry: logs over OTLP")
def otel_logs() -> Generator[str, str, None]:
    from opentelemetry._logs import LogRecord
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor

    to = server("logs")
    provider = LoggerProvider(shutdown_on_exit=False)
    provider.add_log_record_processor(
        SimpleLogRecordProcessor(OTLPLogExporter(endpoint=f"{to.url}/v1/logs"))
    )
    logger = provider.get_logger("ways")
    text = yield ""
    while True:
        attributes = {"holder": text, "list": [text]}
        logger.emit(LogRecord(body={"a": [text]}, attributes=attributes, severity_text=text))
        text = yield to.take()


@way("OpenTelemetry: metrics over OTLP")
def otel_metrics() -> Generator[str, str, None]:
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

    to = server("metrics")
    exporter = OTLPMetricExporter(endpoint=f"{to.url}/v1/metrics")
    reader = PeriodicExportingMetricReader(exporter, export_interval_millis=float("inf"))
    provider = MeterProvider([reader], shutdown_on_exit=False)
    meter = provider.get_meter("ways")
    counter = meter.create_counter("sent")
    text = yield ""
    try:
        while True:
            counter.add(1, {"holder": text})
            provider.force_flush()
            text = yield to.take()
    finally:
        provider.shutdown()


@way("Sentry: every kind of item, on the wire")
def sentry() -> Generator[str, str, None]:
    import sentry_sdk
    from sentry_sdk.integrations.modules import ModulesIntegration

    to = server("sentry")
    sentry_sdk.init(
        dsn=f"http://public@127.0.0.1:{to.port}/1",
        traces_sample_rate=1.0,
        enable_logs=True,
        auto_enabling_integrations=False,  # they import whatever is installed
        disabled_integrations=[ModulesIntegration()],  # reads all metadata of it
        **protection().sentry(),
    )
    text = yield ""
    while True:
        scope = sentry_sdk.get_isolation_scope()
        scope.clear()
        scope.set_tag("tag", text)
        scope.add_attachment(bytes=text.encode(), filename=f"{text}.bin")
        with sentry_sdk.start_transaction(name=text) as transaction:
            transaction.set_data("data", {"a": text})
            with sentry_sdk.start_span(op="http", name=text):
                sentry_sdk.add_breadcrumb(message=text)
                sentry_sdk.capture_exception(caught(text))
        sentry_sdk.logger.info("a {text}", text=text)
        sentry_sdk.metrics.count("sent", 1, attributes={"holder": text})
        sentry_sdk.crons.capture_checkin(monitor_slug=text, status="ok")
        sentry_sdk.flush(20)
        text = yield to.take()


@way("Sentry: the baggage of outgoing requests")
def baggage() -> Generator[str, str, None]:
    import sentry_sdk

    to = server("elsewhere")
    text = yield ""
    while True:
        with sentry_sdk.start_transaction(name=text):
            headers = dict(sentry_sdk.get_current_scope().iter_trace_propagation_headers())
            connection = http.client.HTTPConnection("127.0.0.1", to.port)
            connection.request("POST", "/elsewhere", headers=headers)
            connection.getresponse().read()
            connection.close()
        sentry_sdk.flush(20)
        server("sentry").take()
        text = yield to.take()
