"""The ways out of a process, each through its real library; run by ``leak_matrix.py``.

A way is a generator: what it does first is set up, then it takes one text after the other and
yields all that has left the process since.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import http.client
import io
import json
import logging
import logging.handlers
import queue
import secrets
import sys
import threading
import warnings
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

urlpatterns: list[object] = []  # for Django
LOG_FILTERS: list[logging.Filter] = []  # of another kind of protection, for every handler here
SENTRY_SCRUBS: list[bool] = []
WAYS: dict[str, Callable[[], Generator[str, str, None]]] = {}


def way(name: str) -> Callable[[Any], Any]:
    """Note a function as the way *name*."""

    def note(function: Any) -> Any:
        WAYS[name] = function
        return function

    return note


class Server:
    """A server on loopback that keeps what it receives, and answers as Sentry and OTLP would."""

    def __init__(self) -> None:  # noqa: D107
        received = self.received = list[str]()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"] or 0))
                encoding = self.headers["Content-Encoding"]
                if encoding == "gzip":
                    body = gzip.decompress(body)
                elif encoding == "deflate":
                    body = zlib.decompress(body)
                elif encoding == "br":
                    import brotli  # type: ignore[import-not-found]

                    body = brotli.decompress(body)
                received.append(f"{self.headers}\n{body.decode('utf-8', 'replace')}")
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            do_GET = do_POST  # noqa: N815 - its name

            def log_message(self, *args: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_port
        self.url = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        )
        self._thread.start()

    def take(self) -> str:
        """Return what has come since."""
        taken = "\n".join(self.received)
        self.received.clear()
        return taken

    def stop(self) -> None:
        """Stop, and wait for it."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


SERVERS: dict[str, Server] = {}


def server(name: str) -> Server:
    """Return the server *name*, started with the first way that needs it."""
    if name not in SERVERS:
        SERVERS[name] = Server()
    return SERVERS[name]


def take(stream: io.StringIO) -> str:
    """Return what is in *stream*, and empty it."""
    text = stream.getvalue()
    stream.seek(0)
    stream.truncate()
    return text


def fail(text: str) -> None:
    """Fail with *text* in the message and in local variables."""
    holder = {"text": text}
    raise RuntimeError(f"failed {text}, {len(holder)}")


def caught(text: str) -> BaseException:
    """Return the error of :func:`fail`."""
    try:
        fail(text)
    except RuntimeError as error:
        return error
    raise AssertionError


@contextlib.contextmanager
def console() -> Iterator[io.StringIO]:
    """Collect what is written to the console."""
    stream = io.StringIO()
    before, sys.stderr = sys.stderr, stream
    try:
        with contextlib.redirect_stdout(stream):
            yield stream
    finally:
        sys.stderr = before


def logger_of(handler: logging.Handler, name: str) -> logging.Logger:
    """Return a logger that has *handler* only."""
    logger = logging.getLogger(f"ways.{name}")
    logger.propagate = False
    logger.setLevel(logging.DEBUG)
    for each in LOG_FILTERS:
        handler.addFilter(each)
    logger.addHandler(handler)
    return logger


@way("logging: message, arguments, child logger")
def logged() -> Generator[str, str, None]:
    stream = io.StringIO()
    logger_of(logging.StreamHandler(stream), "logged")
    child = logging.getLogger("ways.logged.child")
    text = yield ""
    while True:
        child.warning("a %s %s", text, [text])
        child.warning(f"b {text}")
        text = yield take(stream)


@way("logging: extra, traceback and stack as JSON")
def logged_json() -> Generator[str, str, None]:
    class Json(logging.Formatter):
        def format(self, record: logging.LogRecord) -> str:
            return json.dumps(vars(record) | {"exc": super().format(record)}, default=repr)

    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(Json())
    logger = logger_of(handler, "json")
    text = yield ""
    while True:
        logger.error("a", exc_info=caught(text), stack_info=True, extra={"more": {"a": [text]}})
        text = yield take(stream)


@way("logging: a queue and its listener")
def logged_queue() -> Generator[str, str, None]:
    stream, records = io.StringIO(), queue.Queue[Any]()
    logger = logger_of(logging.handlers.QueueHandler(records), "queue")
    text = yield ""
    while True:
        logger.error("a %s", text, exc_info=caught(text))
        listener = logging.handlers.QueueListener(records, logging.StreamHandler(stream))
        listener.start()
        listener.stop()
        text = yield take(stream)


@way("logging: last resort, and a handler that fails")
def logged_last() -> Generator[str, str, None]:
    class Broken(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            try:
                fail(record.getMessage())
            except RuntimeError:
                self.handleError(record)

    broken = logger_of(Broken(), "broken")
    last = logging.getLogger("ways.last")
    last.propagate = False
    text = yield ""
    while True:
        with console() as stream:
            last.warning("a %s", text)
            broken.warning("a %s", text)
        text = yield stream.getvalue()


@way("exceptions: program")
def excepthook() -> Generator[str, str, None]:
    text = yield ""
    while True:
        error = caught(text)
        with console() as stream:
            sys.excepthook(type(error), error, error.__traceback__)
        text = yield stream.getvalue()


@way("exceptions: thread")
def thread() -> Generator[str, str, None]:
    text = yield ""
    while True:
        with console() as stream:
            running = threading.Thread(target=fail, args=(text,))
            running.start()
            running.join()
        text = yield stream.getvalue()


@way("exceptions: destructor")
def unraisable() -> Generator[str, str, None]:
    class Bad:
        def __init__(self, text: str) -> None:
            self.text = text

        def __del__(self) -> None:
            fail(self.text)

    text = yield ""
    while True:
        with console() as stream:
            Bad(text)
        text = yield stream.getvalue()


@way("exceptions: asyncio")
def task() -> Generator[str, str, None]:
    async def main(text: str) -> None:
        asyncio.get_running_loop().call_soon(fail, text)
        await asyncio.sleep(0)

    text = yield ""
    while True:
        with console() as stream:
            asyncio.run(main(text))
        text = yield stream.getvalue()


@way("warnings: printed, and to logging")
def warned() -> Generator[str, str, None]:
    stream = io.StringIO()
    logger_of(logging.StreamHandler(stream), "py")
    text = yield ""
    while True:
        with console() as printed, warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.warn(f"a {text}", stacklevel=1)
            logging.captureWarnings(capture=True)
            warnings.warn(f"b {text}", stacklevel=1)
            logging.captureWarnings(capture=False)
        text = yield printed.getvalue() + take(stream)


@way("warnings: shown by the application")
def warned_own() -> Generator[str, str, None]:
    text = yield ""
    while True:
        seen: list[str] = []
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.showwarning = lambda message, *_, to=seen, **__: to.append(repr(message))
            warnings.warn(f"a {text}", stacklevel=1)
        text = yield "".join(seen)


@way("http.client: debuglevel")
def debuglevel() -> Generator[str, str, None]:
    to = server("debuglevel")
    text = yield ""
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", to.port)
        connection.set_debuglevel(1)
        with console() as stream:
            connection.request("GET", "/", headers={"X-Text": text.replace("\n", " ")})
            connection.getresponse().read()
        connection.close()
        to.take()
        text = yield stream.getvalue()


@way("structlog: JSON, with local variables")
def structlog_json() -> Generator[str, str, None]:
    import structlog

    stream = io.StringIO()
    logger = structlog.wrap_logger(
        structlog.WriteLogger(stream),
        processors=[structlog.processors.dict_tracebacks, structlog.processors.JSONRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger(0),
    )
    text = yield ""
    while True:
        logger.bind(bound=text).error(f"a {text}", more=[text], exc_info=caught(text))
        text = yield take(stream)


@way("structlog: console")
def structlog_console() -> Generator[str, str, None]:
    import structlog

    stream = io.StringIO()
    render = structlog.dev.ConsoleRenderer(
        exception_formatter=structlog.dev.plain_traceback, colors=True
    )
    logger = structlog.wrap_logger(structlog.PrintLogger(stream), processors=[render])
    text = yield ""
    while True:
        logger.error(f"a {text}", more=[text], exc_info=caught(text))  # noqa: G004 - not logging
        text = yield take(stream)


@way("structlog: through logging")
def structlog_stdlib() -> Generator[str, str, None]:
    import structlog

    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(processor=structlog.processors.JSONRenderer())
    )
    logger = structlog.wrap_logger(
        logger_of(handler, "structlog"),
        processors=[structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    text = yield ""
    while True:
        logger.error(f"a {text}", more=[text])  # noqa: G004 - not logging
        text = yield take(stream)


def loguru_with(**options: Any) -> tuple[Any, io.StringIO]:
    """Return loguru's logger, with one more handler, and what that one writes to."""
    import loguru

    with contextlib.suppress(ValueError):
        loguru.logger.remove(0)  # the console
    stream = io.StringIO()
    name = str(len(options)) + "".join(sorted(options))
    options = {"format": "{message} {extra}"} | options
    loguru.logger.add(stream, filter=lambda record: record["extra"].get("way") == name, **options)
    return loguru.logger.bind(way=name), stream


@way("loguru: text, with local variables")
def loguru_text() -> Generator[str, str, None]:
    logger, stream = loguru_with(diagnose=True, backtrace=True, colorize=True)
    text = yield ""
    while True:
        logger.opt(exception=caught(text)).bind(more=[text]).error("a {}", text)
        logger.opt(raw=True).error(text)
        text = yield take(stream)


@way("loguru: serialized, from a queue")
def loguru_json() -> Generator[str, str, None]:
    logger, stream = loguru_with(serialize=True, enqueue=True)
    text = yield ""
    while True:
        logger.opt(exception=caught(text)).bind(more=[text]).error("a {}", text)
        logger.complete()
        text = yield take(stream)


@way("loguru: records read by a function, and one that fails")
def loguru_record() -> Generator[str, str, None]:
    import loguru

    seen: list[str] = []

    def sink(message: Any) -> None:
        if message.record["extra"].get("way") == "record":
            seen.append(str({k: v for k, v in message.record.items() if k != "exception"}))
            fail(message.record["message"])

    loguru.logger.add(sink, format="{message}")
    logger = loguru.logger.bind(way="record")
    text = yield ""
    while True:
        seen.clear()
        with console() as stream:
            logger.bind(more={"a": [text]}).error("a {}", text)
        text = yield "".join(seen) + stream.getvalue()


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
    from sentry_sdk.scrubber import EventScrubber

    to = server("sentry")
    sentry_sdk.init(
        dsn=f"http://public@127.0.0.1:{to.port}/1",
        traces_sample_rate=1.0,
        enable_logs=True,
        event_scrubber=EventScrubber(recursive=True) if SENTRY_SCRUBS else None,
        auto_enabling_integrations=False,  # they import whatever is installed
        disabled_integrations=[ModulesIntegration()],  # reads all metadata of it
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


@way("Django: the page and the mail of an error")
def django() -> Generator[str, str, None]:
    from django.conf import settings

    if not settings.configured:
        settings.configure(DEBUG=True, SECRET_KEY=secrets.token_hex(), ROOT_URLCONF=__name__)
    import django as package
    from django.test import RequestFactory
    from django.views.debug import ExceptionReporter

    package.setup(set_prefix=False)
    text = yield ""
    while True:
        error = caught(text)
        request = RequestFactory().get("/", {"text": text}, headers={"x-text": "a"})
        settings.TWILIO = {"nested": [text]}
        reporter = ExceptionReporter(request, type(error), error, error.__traceback__)
        text = yield str(reporter.get_traceback_html()) + str(reporter.get_traceback_text())
