"""What every sink has to do: restore exactly, test itself in private, fall back, come anew."""

from __future__ import annotations

import asyncio
import http.client
import importlib
import io
import json
import logging
import pickle
import sys
import threading
import warnings
from typing import TYPE_CHECKING, Any

import pytest

from safetwilio import redaction
from safetwilio.redaction.sinks import (
    SINKS,
    console,
    django,
    exceptions,
    http_client,
    loguru,
    otel_logs,
    otel_metrics,
    otel_spans,
    structlog,
)
from safetwilio.redaction.sinks import warnings as warnings_sink
from safetwilio.redaction.sinks._objects import cleaned
from safetwilio.redaction.sinks._stderr import Guard, guarded
from support import account_sid, run_python

if TYPE_CHECKING:
    from pathlib import Path

PLACES = {
    "exceptions": ("sys", "excepthook"),
    "warnings": ("warnings", "_showwarnmsg"),
    "http.client": ("http.client", "print"),
    "structlog": ("structlog._base:BoundLoggerBase", "_process_event"),
    "loguru": ("loguru._handler", "Message"),
    "opentelemetry spans": ("opentelemetry.sdk.trace:Span", "_readable_span"),
    "opentelemetry logs": (
        "opentelemetry.sdk._logs._internal:SynchronousMultiLogRecordProcessor",
        "on_emit",
    ),
    "opentelemetry metrics": (
        "opentelemetry.sdk.metrics._internal.metric_reader_storage:MetricReaderStorage",
        "collect",
    ),
    "django": ("django.views.debug:ExceptionReporter", "get_traceback_html"),
}
LIBRARIES = [name for name in PLACES if hasattr(SINKS[name], "MODULE")]


def now_at(name: str) -> object:
    """Return what stands at the place that the sink *name* changes."""
    path, attribute = PLACES[name]
    module, _, member = path.partition(":")
    owner = importlib.import_module(module)
    return vars(getattr(owner, member) if member else owner).get(attribute)


@pytest.fixture(autouse=True)
def _imported() -> None:
    for name in LIBRARIES:
        sink: Any = SINKS[name]
        importlib.import_module(sink.MODULE)


@pytest.mark.parametrize("name", PLACES)
def test_installing_twice_and_uninstalling(name: str) -> None:
    before, sink = now_at(name), SINKS[name]
    assert sink.available()
    sink.install()
    once = now_at(name)
    assert once is not before
    sink.install()
    assert now_at(name) is once
    sink.uninstall()
    assert now_at(name) is before
    sink.uninstall()


@pytest.mark.parametrize("name", PLACES)
def test_the_self_test_is_private_and_needs_the_patch(
    name: str, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    sink = SINKS[name]
    assert not sink.check()
    sink.install()
    assert sink.check()
    sink.uninstall()
    assert capsys.readouterr() == ("", "")
    assert caplog.records == []


@pytest.mark.parametrize("name", LIBRARIES)
def test_the_library_is_waited_for_and_noticed_when_it_comes_anew(
    name: str, tmp_path: Path
) -> None:
    """In a process of its own, because others here hold what is purged."""
    sink: Any = SINKS[name]
    done = run_python("-c", ANEW, name, sink.MODULE, cwd=tmp_path, environment={})
    assert (done.returncode, done.stderr) == (0, "")


ANEW = """
import importlib, sys
from safetwilio import redaction
name, module = sys.argv[1:]
def state():
    return next(h.state for h in redaction.health() if h.name == name)
assert state() == "off"
for loaded in [m for m in sys.modules if m == module or m.startswith(module + ".")]:
    del sys.modules[loaded]
redaction.install(strict=True)
assert state() == "waiting", state()
importlib.import_module(module)
assert state() == "active", state()
assert redaction.SINKS[name].check()
for loaded in [m for m in sys.modules if m.partition(".")[0] == module.partition(".")[0]]:
    del sys.modules[loaded]
assert state() == "waiting", state()
importlib.import_module(module)
assert state() == "active", state()
redaction.uninstall()
assert not redaction.SINKS[name].check()
"""


def test_installed_in_the_middle_of_the_import_it_is_noticed(tmp_path: Path) -> None:
    """The finder has been asked already, so it is the next look at the health that sees it."""
    (tmp_path / "half.py").write_text(HALF)
    done = run_python("-c", "import half", cwd=tmp_path, environment={"PYTHONPATH": str(tmp_path)})
    assert (done.returncode, done.stderr) == (0, "")


HALF = """
import sys
from safetwilio import redaction

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "structlog._base" and "structlog" in sys.modules:
            sys.meta_path.remove(self)
            redaction.install(strict=True)

def state():
    return {h.name: h.state for h in redaction.health()}["structlog"]

sys.meta_path.insert(0, Finder())
import structlog
assert redaction._health["structlog"].state == "waiting"
assert state() == "active", state()
"""


@pytest.mark.parametrize("name", PLACES)
def test_a_self_test_that_fails_is_an_error_and_not_the_end(
    name: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(SINKS[name], "check", lambda: False)
    redaction.install()
    (bad,) = [h for h in redaction.health() if h.state in {"fallback", "failed"}]
    assert bad.name == name
    assert [r.getMessage().partition(" does")[0] for r in caplog.records] == [
        f"[ST701] Redaction of {name}"
    ]


def test_the_fallback_of_structlog(token: str) -> None:
    from structlog import get_config, get_logger

    before = list(get_config()["processors"])
    structlog.fall_back()
    structlog.fall_back()
    stream = io.StringIO()
    import structlog as library

    library.wrap_logger(library.PrintLogger(stream)).error("a", holder=token)
    assert get_logger() is not None
    structlog.uninstall()
    assert token not in stream.getvalue()
    assert "[TWILIO:token:" in stream.getvalue()
    assert get_config()["processors"] == before


def test_the_fallback_of_loguru(token: str) -> None:
    from loguru import logger

    seen: list[str] = []
    handler = logger.add(lambda m: seen.append(f"{m}{m.record['extra']}"), format="{message}")
    try:
        loguru.fall_back()
        logger.bind(more=[token]).error(token)
        assert "[TWILIO:token:" in seen[0]
        assert token not in seen[0]
        loguru.uninstall()
        logger.error(token)
        assert token in seen[1]
    finally:
        logger.remove(handler)


@pytest.mark.parametrize(
    "sink", [exceptions, http_client, otel_spans, otel_logs, otel_metrics, django, console]
)
def test_where_there_is_no_other_hook_the_sink_has_failed(
    sink: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = next(name for name, each in SINKS.items() if each.check is sink.check)
    monkeypatch.setattr(sink, "available", lambda: True)
    monkeypatch.setattr(sink, "check", lambda: False)
    monkeypatch.setattr(sink, "install", lambda: None)
    redaction.install(streams=True)
    found = {each.name: each for each in redaction.health()}[name]
    assert found.state == "failed"
    assert found.detail == "its self-test found a canary unmasked; nothing else can cover it"


def test_the_fallback_of_warnings(token: str) -> None:
    before = warnings.formatwarning
    warnings_sink.fall_back()
    text = warnings.formatwarning(UserWarning(token), UserWarning, "f", 1, "")
    warnings_sink.uninstall()
    assert token not in text
    assert "[TWILIO:token:" in text
    assert warnings.formatwarning is before


class Awkward(UserWarning):
    """A warning that cannot be made anew from its arguments."""

    def __init__(self, *, holder: str) -> None:  # noqa: D107
        super().__init__(holder)
        self.holder = holder

    def __str__(self) -> str:
        return self.holder


@pytest.mark.usefixtures("installed")
def test_a_warning_keeps_its_class_where_it_can(token: str) -> None:
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        warnings.warn(DeprecationWarning(token), stacklevel=1)
        warnings.warn(Awkward(holder=token), stacklevel=1)
        warnings.warn("nothing", stacklevel=1)
    assert [type(w.message) for w in seen] == [DeprecationWarning, UserWarning, UserWarning]
    assert [str(w.message) for w in seen] == [redaction.redact(token)] * 2 + ["nothing"]
    assert [w.category for w in seen] == [DeprecationWarning, Awkward, UserWarning]


def test_a_print_of_the_applications_own_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[object] = []
    monkeypatch.setitem(vars(http.client), "print", lambda *a: lines.append(a))
    own = vars(http.client)["print"]
    redaction.install(strict=True)
    assert vars(http.client)["print"] is own
    redaction.uninstall()
    assert vars(http.client)["print"] is own
    assert lines == []


@pytest.mark.usefixtures("installed")
def test_a_message_of_loguru_survives_a_queue_and_uninstalling(token: str) -> None:
    import loguru._handler as handler  # what its multiprocessing queue pickles

    message = handler.Message(f"a {token}")
    message.record = {"a": 1}
    pickled = pickle.dumps(message)
    assert pickle.loads(pickled) == redaction.redact(f"a {token}")  # noqa: S301 - our own
    redaction.uninstall()
    back = pickle.loads(pickled)  # noqa: S301 - as above
    assert type(back) is handler.Message
    assert back.record == {"a": 1}


def test_a_guard_goes_when_the_last_thread_does(
    monkeypatch: pytest.MonkeyPatch, token: str
) -> None:
    stderr = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stderr)
    inside, go = threading.Event(), threading.Event()

    def other() -> None:
        with guarded():
            inside.set()
            assert go.wait(20)
            sys.stderr.write(f"thread {token[:16]}")
            sys.stderr.write(token[16:])

    thread = threading.Thread(target=other)
    with guarded():
        thread.start()
        assert inside.wait(20)
        sys.stderr.write("a")
    assert isinstance(sys.stderr, Guard)
    sys.stderr.writelines([f"between {token}\n"])
    go.set()
    thread.join()
    assert sys.stderr is stderr
    masked = redaction.redact(token)
    assert stderr.getvalue() == f"abetween {masked}\nthread {masked}"


def test_without_a_console_a_guard_does_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    with guarded():
        assert sys.stderr is None


def test_a_hook_of_the_applications_own_is_called(
    monkeypatch: pytest.MonkeyPatch, token: str
) -> None:
    """It has the exception itself; what it prints is redacted, and it stays the one below."""
    stderr = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stderr)
    errors: list[object] = []

    def own(kind: type, error: BaseException, trace: object) -> None:  # noqa: ARG001
        errors.append(error)
        print("own", error, file=sys.stderr)  # noqa: T201

    monkeypatch.setattr(sys, "excepthook", own)
    exceptions.install()
    error = RuntimeError(token)
    sys.excepthook(RuntimeError, error, None)
    exceptions.uninstall()
    assert sys.excepthook is own
    assert errors == [error]
    assert stderr.getvalue() == f"own {redaction.redact(token)}\n"


@pytest.mark.usefixtures("installed")
def test_asyncios_own_handler_is_logging(caplog: pytest.LogCaptureFixture, token: str) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.call_exception_handler({"message": f"a {token}", "exception": ValueError(token)})

    asyncio.run(main())
    (record,) = [r for r in caplog.records if r.name == "asyncio"]
    assert token not in record.getMessage() + str(record.exc_text)
    assert "[TWILIO:token:" in str(record.exc_text)


@pytest.mark.usefixtures("installed")
def test_the_place_of_a_record() -> None:
    sid = account_sid()
    record = logging.LogRecord("a", logging.INFO, f"/srv/{sid}/app.py", 1, "b", (), None, f"f{sid}")
    logging.Logger("alone").handle(record)  # noqa: LOG001
    assert sid not in str(vars(record))
    assert record.pathname.startswith("/srv/[TWILIO:account:")


def test_a_copy_is_made_only_of_what_holds_a_secret(token: str) -> None:
    from opentelemetry.sdk.resources import Resource

    clean, dirty = Resource({"a": "b"}), Resource({"a": token, "b": [token]})
    assert cleaned(clean, "opentelemetry.") is clean
    copy = cleaned(dirty, "opentelemetry.")
    assert dict(copy.attributes) == {
        "a": redaction.redact(token),
        "b": (redaction.redact(token),),
    }
    assert dirty.attributes["a"] == token
    assert cleaned(dirty, "elsewhere.") is dirty
    deep: Any = token
    for _ in range(40):
        deep = [deep]
    assert token not in json.dumps(cleaned(deep, ""))


LATE = """
import sys
from safetwilio import redaction
from safetwilio.redaction.sinks import SINKS

redaction.install()
files = ("sentry", "structlog", "loguru", "otel_spans", "otel_logs", "otel_metrics", "django")
print(*[file for file in files if f"safetwilio.redaction.sinks.{file}" in sys.modules])
import loguru
print(*[file for file in files if f"safetwilio.redaction.sinks.{file}" in sys.modules])
print({each.name: each.state for each in redaction.health()}["loguru"])
for name, sink in SINKS.items():
    if hasattr(sink, "_sink") and sink.MODULE:
        print(sink.MODULE == sink._sink().MODULE, end=" ")
"""


def test_the_file_of_a_library_s_sink_is_loaded_with_the_library(tmp_path: Path) -> None:
    done = run_python("-c", LATE, cwd=tmp_path, environment={})
    assert done.stdout.splitlines() == ["", "loguru", "active", "True " * 7], done.stderr
