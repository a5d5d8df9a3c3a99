"""One test for each way a secret once left through the standard library's logging."""

from __future__ import annotations

import collections
import io
import logging
import logging.handlers
import queue
import secrets
import sys
import threading
import urllib.parse
from typing import TYPE_CHECKING

import pytest

from safetwilio import redaction
from safetwilio.redaction.engine import FAILED
from safetwilio.redaction.sinks import stdlib_logging

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.usefixtures("installed")


class Raw(logging.Handler):
    """A handler that keeps the records, as those do that read attributes themselves."""

    def __init__(self) -> None:  # noqa: D107
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep *record*."""
        self.records.append(record)

    def text(self) -> str:
        """Return all that the records hold."""
        return "".join(
            f"{r.getMessage()}{[v for k, v in vars(r).items() if k != 'exc_info']}"
            for r in self.records
        )


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    made = logging.Logger("alone")  # noqa: LOG001 - where pytest adds no handler of its own
    yield made
    for handler in tuple(made.handlers):
        made.removeHandler(handler)
        handler.close()


@pytest.fixture
def raw(logger: logging.Logger) -> Raw:
    handler = Raw()
    logger.addHandler(handler)
    return handler


@pytest.fixture
def output(logger: logging.Logger) -> io.StringIO:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(name)s %(message)s"))
    logger.addHandler(handler)
    return stream


class Holder:
    """An object that shows its secret in ``str`` and ``repr``."""

    def __init__(self, value: str) -> None:  # noqa: D107
        self.value = value

    def __str__(self) -> str:
        return f"<{self.value}>"

    __repr__ = __str__


def child_of(parent: logging.Logger, name: str) -> logging.Logger:
    child = logging.Logger(name)  # noqa: LOG001 - as above
    child.parent = parent
    return child


def is_masked(text: str, token: str) -> bool:
    return token not in text and "[TWILIO:token:" in text


def test_a_child_logger(logger: logging.Logger, output: io.StringIO, raw: Raw, token: str) -> None:
    child_of(logger, "child").warning(f"a {token}")
    assert is_masked(output.getvalue(), token)
    assert is_masked(raw.text(), token)


@pytest.mark.parametrize("kind", [str, Holder, lambda v: [v], lambda v: {"a": (v,)}, str.encode])
def test_arguments(
    logger: logging.Logger, output: io.StringIO, raw: Raw, token: str, kind: object
) -> None:
    logger.info("a %s and %d", kind(token), 7)  # type: ignore[operator]
    assert is_masked(output.getvalue(), token)
    assert is_masked(raw.text(), token)
    assert "and 7" in output.getvalue()


def test_a_template_keeps_its_masked_arguments(
    logger: logging.Logger, raw: Raw, token: str
) -> None:
    logger.info("a %s and %d", token, 7)
    assert raw.records[0].msg == "a %s and %d"
    assert raw.records[0].args == (redaction.redact(token), 7)


def test_a_mapping_of_arguments(logger: logging.Logger, raw: Raw, token: str) -> None:
    logger.info("a %(shown)s", {"shown": 1, "hidden": token})
    assert is_masked(raw.text(), token)


def test_a_secret_put_together_by_the_template(
    logger: logging.Logger, raw: Raw, output: io.StringIO, token: str
) -> None:
    logger.info(f"a {token[:20]}%s", token[20:])  # noqa: G004
    assert is_masked(raw.text(), token)
    assert is_masked(output.getvalue(), token)


def test_a_message_that_is_an_object(logger: logging.Logger, raw: Raw, token: str) -> None:
    logger.error(ValueError(token))
    assert is_masked(raw.text(), token)


@pytest.mark.parametrize("kind", [str, lambda v: [v], lambda v: {"a": {"b": (v, 1)}}, str.encode])
def test_extra(logger: logging.Logger, raw: Raw, token: str, kind: object) -> None:
    given = kind(token)  # type: ignore[operator]
    logger.info("a", extra={"attribute": given, "number": 3})
    assert is_masked(raw.text(), token)
    assert vars(raw.records[0])["number"] == 3
    assert given == kind(token)  # type: ignore[operator] # the caller's own is not changed


def test_extra_in_a_format(logger: logging.Logger, output: io.StringIO, token: str) -> None:
    logger.handlers[0].setFormatter(logging.Formatter("%(holder)s"))
    logger.info("a", extra={"holder": Holder(token)})
    assert is_masked(output.getvalue(), token)


def test_a_traceback(logger: logging.Logger, output: io.StringIO, raw: Raw, token: str) -> None:
    try:
        try:
            raise KeyError(token)  # noqa: TRY301
        except KeyError as error:
            raise RuntimeError("outer") from error
    except RuntimeError:
        logger.exception("a")
    assert is_masked(output.getvalue(), token)
    assert is_masked(str(raw.records[0].exc_text), token)
    assert raw.records[0].exc_info is not None  # Sentry groups by it


def test_a_traceback_cached_before(
    logger: logging.Logger, output: io.StringIO, raw: Raw, token: str
) -> None:
    record = logger.makeRecord("a", logging.INFO, "f", 1, "m", (), None)
    record.exc_text = f"cached {token}"
    logger.handle(record)
    assert is_masked(output.getvalue(), token)
    assert is_masked(raw.text(), token)


def test_a_traceback_cached_by_the_formatter_of_an_earlier_handler(
    logger: logging.Logger, token: str
) -> None:
    class Locals(logging.Formatter):
        def formatException(self, ei: object) -> str:  # noqa: ARG002, N802
            return f"locals: {token}"

    first = io.StringIO()
    handler = logging.StreamHandler(first)
    handler.setFormatter(Locals())
    logger.addHandler(handler)
    raw = Raw()
    logger.addHandler(raw)
    logger.error("a", exc_info=ValueError("x"))
    assert is_masked(first.getvalue(), token)
    assert is_masked(raw.text(), token)


def test_a_stack(logger: logging.Logger, output: io.StringIO, raw: Raw, token: str) -> None:
    record = logger.makeRecord("a", logging.INFO, "f", 1, "m", (), None, sinfo=f"Stack {token}")
    logger.handle(record)
    assert is_masked(output.getvalue(), token)
    assert is_masked(raw.text(), token)


def test_the_name_of_a_logger(output: io.StringIO, logger: logging.Logger) -> None:
    account = "AC" + secrets.token_hex(16)
    child_of(logger, account).info("a")
    assert account not in output.getvalue()


def test_a_queue(logger: logging.Logger, token: str) -> None:
    records: queue.Queue[logging.LogRecord] = queue.Queue()
    logger.addHandler(logging.handlers.QueueHandler(records))
    try:
        raise ValueError(token)  # noqa: TRY301
    except ValueError:
        logger.exception("a %s", token)
    assert is_masked(str(vars(records.get_nowait())), token)


def test_a_record_that_never_went_through_a_logger(
    output: io.StringIO, logger: logging.Logger, token: str
) -> None:
    record = logging.makeLogRecord({"msg": f"from a queue {token}", "exc_text": token})
    logger.handlers[0].handle(record)
    assert is_masked(output.getvalue(), token)
    assert token not in str(vars(record)["exc_text"])


def test_a_formatter_that_returns_a_dict(logger: logging.Logger, raw: Raw, token: str) -> None:
    class Structured(logging.Formatter):
        def format(self, record: logging.LogRecord) -> str:
            return {"message": record.getMessage()}  # type: ignore[return-value]

    raw.setFormatter(Structured())
    formatted = raw.format(logger.makeRecord("a", logging.INFO, "f", 1, token, (), None))
    assert formatted == {"message": redaction.redact(token)}


def test_the_handler_of_last_resort(
    logger: logging.Logger, capsys: pytest.CaptureFixture[str], token: str
) -> None:
    logger.warning("a %s", token)
    assert is_masked(capsys.readouterr().err, token)


@pytest.mark.parametrize("argument", [str, Holder])
def test_a_message_that_does_not_fit_its_arguments(
    logger: logging.Logger,
    output: io.StringIO,
    capsys: pytest.CaptureFixture[str],
    token: str,
    argument: object,
) -> None:
    logger.info("a %d", argument(token))  # type: ignore[operator]
    assert output.getvalue() == ""
    printed = capsys.readouterr().err
    assert "Logging error" in printed
    assert is_masked(printed, token)


def test_a_handler_that_breaks_with_the_secret_in_its_error(
    logger: logging.Logger, capsys: pytest.CaptureFixture[str], token: str
) -> None:
    class Broken(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            try:
                raise ValueError(token)  # noqa: TRY301
            except ValueError:
                self.handleError(record)

    logger.addHandler(Broken())
    logger.info("message")
    printed = capsys.readouterr().err
    assert is_masked(printed, token)
    assert "message" in printed


def test_an_error_without_a_secret_is_reported_as_ever(
    logger: logging.Logger, output: io.StringIO, capsys: pytest.CaptureFixture[str]
) -> None:
    logger.info("a %d", "b")
    printed = capsys.readouterr().err
    assert not output.getvalue()
    assert "Call stack:" in printed
    assert "Arguments: ('b',)" in printed


def test_a_record_without_a_secret_is_not_touched(logger: logging.Logger, raw: Raw) -> None:
    extra = {"list": [1, "b"]}
    argument = Holder("nothing")
    error = ValueError("x")
    logger.info("a %s", argument, exc_info=error, extra=extra)
    record = raw.records[0]
    assert record.msg == "a %s"
    assert record.args == (argument,)
    assert record.exc_text is None
    assert record.exc_info is not None
    assert record.exc_info[1] is error
    assert vars(record)["list"] is extra["list"]


def test_a_record_that_cannot_be_searched_loses_its_content(
    logger: logging.Logger, output: io.StringIO, monkeypatch: pytest.MonkeyPatch, token: str
) -> None:
    def broken(record: logging.LogRecord) -> None:
        raise RuntimeError(record)

    monkeypatch.setattr(stdlib_logging, "_clean_message", broken)
    logger.info("x %s", token, extra={"more": token})
    assert output.getvalue().endswith(f" {FAILED}\n")


def test_a_name_that_was_clean_is_searched_again_for_a_newer_secret(
    logger: logging.Logger, output: io.StringIO
) -> None:
    name = secrets.token_urlsafe(60).replace("-", "a").replace("_", "b")[:32]
    for _ in range(2):
        logger.handle(logging.LogRecord(name, 20, __file__, 1, "x", (), None))
    assert output.getvalue().count(name) == 2
    redaction.register(name, "secret")
    logger.handle(logging.LogRecord(name, 20, __file__, 1, "x", (), None))
    assert output.getvalue().count(name) == 2


@pytest.mark.parametrize("attribute", ["name", "threadName", "funcName"])
def test_a_record_with_something_else_for_a_name(
    logger: logging.Logger, output: io.StringIO, attribute: str, token: str
) -> None:
    odd = logging.LogRecord(logger.name, 20, __file__, 1, "x %s", (token,), None, "f")
    setattr(odd, attribute, [token])
    logger.handle(odd)
    bare = logging.makeLogRecord({"name": logger.name, "msg": token, "levelno": 20})
    delattr(bare, attribute)
    logger.handle(bare)
    assert "x [TWILIO:token:" in output.getvalue()
    assert token not in output.getvalue()


def test_wrappers_of_others_in_both_orders(
    logger: logging.Logger, monkeypatch: pytest.MonkeyPatch, token: str
) -> None:
    """Whoever wraps ``callHandlers`` before or after, as Sentry does, has a clean record."""
    seen: list[str] = []

    def wrap() -> None:
        inner = logging.Logger.callHandlers

        def wrapped(self: logging.Logger, record: logging.LogRecord) -> None:
            inner(self, record)
            if self is logger:
                seen.append(record.getMessage())

        monkeypatch.setattr(logging.Logger, "callHandlers", wrapped)

    def messages() -> list[str]:
        seen.clear()
        logger.error("a %s", token)
        return seen

    clean = f"a {redaction.redact(token)}"
    redaction.uninstall()
    wrap()
    redaction.install(strict=True)
    wrap()
    assert messages() == [clean, clean]
    redaction.install(strict=True)
    assert messages() == [clean, clean]
    wrap()
    redaction.uninstall()  # below somebody's wrapper: it stays, but does nothing
    assert messages() == [f"a {token}"] * 3
    redaction.install(strict=True)
    assert messages() == [clean] * 3


def test_the_fallback_cleans_records_as_they_are_made(
    logger: logging.Logger, raw: Raw, token: str
) -> None:
    redaction.uninstall()
    factory = logging.getLogRecordFactory()
    stdlib_logging.fall_back()
    stdlib_logging.fall_back()
    logger.info("a %s", token)
    stdlib_logging.uninstall()
    assert is_masked(raw.text(), token)
    assert logging.getLogRecordFactory() is factory


def test_the_self_test_shows_nothing_to_anybody(
    raw: Raw, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    logging.getLogger().addHandler(raw)
    try:
        assert stdlib_logging.check()
        logging.disable()
        assert stdlib_logging.check()
    finally:
        logging.disable(logging.NOTSET)
        logging.getLogger().removeHandler(raw)
    assert raw.records == []
    assert caplog.records == []
    assert capsys.readouterr() == ("", "")
    redaction.uninstall()
    assert not stdlib_logging.check()
    assert sys.stderr is not None


def test_arguments_that_the_message_does_not_show(
    logger: logging.Logger, raw: Raw, token: str
) -> None:
    """What a ``SocketHandler`` or ``HTTPHandler`` sends is the record, not the text."""
    logger.info("a %.4s %s", token, 1)
    logger.info("b %(a)s", collections.OrderedDict(a=1, hidden=token))
    deep: list[object] = [token]
    for _ in range(9):
        deep = [deep]
    logger.info("c", extra={"deep": deep, "bytes": bytearray(token.encode()), f"k{token}": 1})
    assert raw.records[0].msg == "a %.4s %s"
    assert is_masked(raw.text(), token)
    assert is_masked(str([vars(record) for record in raw.records]), token)


def test_the_names_in_a_record(logger: logging.Logger, raw: Raw, token: str) -> None:
    thread = threading.Thread(target=logger.info, args=("a",), name=f"thread-{token}")
    thread.start()
    thread.join()
    record = logger.makeRecord(token, logging.INFO, "f", 1, "b", (), None)
    record.processName = f"process-{token}"
    logger.handle(record)
    assert is_masked(str(raw.records[0].threadName), token)
    assert is_masked(record.name, token)
    assert is_masked(record.processName, token)


@pytest.mark.parametrize("send", ["http", "socket"])
def test_handlers_that_send_the_record(logger: logging.Logger, token: str, send: str) -> None:
    sent: list[str] = []

    class Http(logging.handlers.HTTPHandler):
        def emit(self, record: logging.LogRecord) -> None:
            sent.append(urllib.parse.urlencode(self.mapLogRecord(record)))

    class Socket(logging.handlers.SocketHandler):
        def emit(self, record: logging.LogRecord) -> None:
            sent.append(self.makePickle(record).decode("latin-1"))

    logger.addHandler(Http("localhost", "/") if send == "http" else Socket("localhost", 1))
    logger.info("a %.4s", token, extra={"more": {"a": bytearray(token.encode())}})
    assert sent
    assert token not in sent[0]
