"""The ``logging`` module of the standard library.

Every record is cleaned in place before the first handler sees it (``Logger.callHandlers``), every
formatted text again before it is written (``Handler.format``: records from a queue or a custom
formatter), and so is what ``Handler.handleError`` prints of a record that could not be written.
A filter could not do that: a logger's filters do not see the records of its children.
A record without a secret is not touched, so its template and arguments stay what they were.
"""

from __future__ import annotations

import io
import logging
import sys
import traceback
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from safetwilio.redaction.engine import FAILED, Known, current, redact, redact_value
from safetwilio.redaction.registry import SHORTEST
from safetwilio.redaction.sinks._patch import Patch

if TYPE_CHECKING:
    from collections.abc import Callable

_ATTRIBUTES = frozenset(vars(logging.LogRecord("", 0, "", 0, "", (), None)))
_RENDERED = _ATTRIBUTES | {"message", "asctime"}
_COUNT = len(_ATTRIBUTES)
# The file's name and the module are parts of the path.
_NAMES: tuple[str, ...] = (
    "name",
    "threadName",
    "processName",
    "pathname",
    "funcName",
    "filename",
    "module",
)
_NAMES += ("taskName",) if "taskName" in _ATTRIBUTES else ()
_names_of = itemgetter(*_NAMES)
_MOST_NAMES = 4096
_TRACEBACK = logging.Formatter()


def available() -> bool:
    """Return ``True``: the module is always there."""
    return True


def install() -> None:
    """Redact every record and every formatted text of this process."""
    for patch in _PATCHES:
        patch.apply()


def uninstall() -> None:
    """Restore the functions and the record factory."""
    for patch in _PATCHES:
        patch.remove()
    if logging.getLogRecordFactory() is _clean_factory:
        logging.setLogRecordFactory(_factories.pop())


def fall_back() -> None:
    """Clean records as they are made; ``extra=`` values and unusual formatters are not seen."""
    if logging.getLogRecordFactory() is not _clean_factory:
        _factories[:] = [logging.getLogRecordFactory()]
        logging.setLogRecordFactory(_clean_factory)


def check() -> bool:
    """Log a random canary to a private buffer, in all ways that once leaked, and look for it."""
    from safetwilio.redaction.sinks import canary

    secret = canary()
    buffer = io.StringIO()
    handler = logging.StreamHandler(buffer)
    handler.setFormatter(logging.Formatter("%(message)s %(extra)s", defaults={"extra": secret}))
    handler.handleError = lambda record: None  # type: ignore[method-assign]  # noqa: ARG005
    # Attached to nothing, and of the one name Sentry's own wrapper never reports.
    logger = logging.Logger("sentry_sdk.errors")  # noqa: LOG001
    logger.addHandler(handler)
    try:
        raise RuntimeError(secret)  # noqa: TRY301
    except RuntimeError:
        record = logging.LogRecord(
            logger.name, 1, __file__, 0, "%s", (secret,), sys.exc_info(), sinfo=secret
        )
    record.extra = secret
    logger.handle(record)
    handler.handle(logging.LogRecord(logger.name, 1, __file__, 0, secret, (), None))
    handler.close()
    seen = buffer.getvalue() + str([v for k, v in vars(record).items() if k != "exc_info"])
    return "[TWILIO:account:" in buffer.getvalue() and secret not in seen


def clean(record: logging.LogRecord) -> None:
    """Mask every secret in *record*, in place; one that cannot be searched loses its content."""
    try:
        attributes = record.__dict__
        known = current().known
        if not _has_clean_names(attributes, known):
            _clean_names(attributes)
        if not _has_clean_message(record, known):
            _clean_message(record)
        if record.exc_info or record.exc_text or record.stack_info:
            _clean_traceback(record)
        if len(attributes) > _COUNT:
            for name in attributes.keys() - _RENDERED:
                attributes[redact(name)] = redact_value(attributes.pop(name))
    except Exception:  # noqa: BLE001 - fail closed, whatever went wrong
        record.msg, record.args = FAILED, ()
        record.exc_info = record.exc_text = record.stack_info = None
        for name in vars(record).keys() - _ATTRIBUTES:
            delattr(record, name)


def _has_clean_names(attributes: dict[str, Any], known: Known) -> bool:
    """Return whether the names in *attributes* hold no secret, which few have to be searched for.

    Loggers, threads and functions are few.
    """
    try:
        names: tuple[object, ...] = _names_of(attributes)
        if names in known.names:
            return True
    except (KeyError, TypeError):  # a record of another Python, or of somebody's own
        return False
    if redact_value(names) is not names:
        return False
    if len(known.names) < _MOST_NAMES:
        known.names.add(names)
    return True


def _has_clean_message(record: logging.LogRecord, known: Known) -> bool:
    """Return whether the message and the arguments are texts and numbers without a secret."""
    args = record.args
    if args and not _is_plain(args):
        return False
    try:
        message = record.getMessage()
    except Exception:  # noqa: BLE001 - the handler will meet it again and report it
        return False
    if redact(message) is not message:
        return False
    if type(message) is str:  # no other, which may say of any text that it is the same
        known.text = message
    return True


def _clean_names(attributes: dict[str, Any]) -> None:
    for name in _NAMES:
        if name in attributes:
            attributes[name] = redact_value(attributes[name])


def _clean_message(record: logging.LogRecord) -> None:
    # Some handlers send the arguments themselves, which may hold more than the message shows.
    args: Any = record.args if _is_plain(record.args) else redact_value(record.args)
    try:
        message = record.getMessage()
    except Exception:  # noqa: BLE001 - the handler will meet it again and report it
        record.msg, record.args = redact_value(record.msg), args
        return
    if redact(message) is message and args is record.args:
        return
    record.msg, record.args = redact_value(record.msg), args
    message = record.getMessage()
    cleaned = redact(message)
    if cleaned is not message:  # an object's text, or a secret put together by the template
        record.msg, record.args = cleaned, ()


def _is_plain(args: object) -> bool:
    """Return whether *args* are only numbers and texts too short for a secret (the usual case)."""
    if type(args) is not tuple:
        return not args
    for arg in args:
        kind = type(arg)
        if kind is not int and kind is not float and (kind is not str or len(arg) >= SHORTEST):
            return False
    return True


def _clean_traceback(record: logging.LogRecord) -> None:
    if record.exc_info and not record.exc_text:
        text = _TRACEBACK.formatException(record.exc_info)
        cleaned = redact(text)
        if cleaned is not text:  # formatters use the cached text instead of making their own
            record.exc_text = cleaned
    elif record.exc_text:
        record.exc_text = redact(record.exc_text)
    if record.stack_info:
        record.stack_info = redact(record.stack_info)


class _Before(Patch):
    """A method of one record, which the wrapper has before."""

    def _replacing(self, original: Callable[..., Any]) -> Callable[..., Any]:
        wrapper = self._wrapper

        def replacement(this: object, record: Any) -> Any:
            if self._replacement is replacement:
                wrapper(record)
            return original(this, record)

        return replacement


class _After(Patch):
    """A method of one record, whose result the wrapper has afterwards."""

    def _replacing(self, original: Callable[..., Any]) -> Callable[..., Any]:
        wrapper = self._wrapper

        def replacement(this: object, record: Any) -> Any:
            text = original(this, record)
            return wrapper(record, text) if self._replacement is replacement else text

        return replacement


def _clean_text(record: Any, text: object) -> object:
    if type(text) is str:
        if text == current().known.text:
            return text
        cleaned: object = redact(text)
    else:
        cleaned = redact_value(text)
    if cleaned is not text:
        # What the formatter has left on the record is for other handlers to see.
        for name in ("message", "exc_text"):
            if name in vars(record):
                setattr(record, name, redact_value(getattr(record, name)))
    return cleaned


def _handle_error(original: Callable[..., None], handler: object, record: Any) -> None:
    import copy

    record = copy.copy(record)
    try:
        shown = f"Message: {record.msg!r}\nArguments: {record.args}"
    except Exception:  # noqa: BLE001 - as the original does
        shown = FAILED
    error = traceback.format_exc()
    printed = "".join((shown, error, *traceback.format_stack()))
    if redact(printed) is printed:
        original(handler, record)
    elif logging.raiseExceptions and sys.stderr:
        try:
            sys.stderr.write(redact(f"--- Logging error ---\n{error}{shown}\n"))
        except OSError:
            return


def _clean_factory(*args: Any, **kwargs: Any) -> logging.LogRecord:
    record = _factories[-1](*args, **kwargs)
    clean(record)
    return record


_factories: list[Callable[..., logging.LogRecord]] = []
_PATCHES = (
    _Before(logging.Logger, "callHandlers", clean),
    _After(logging.Handler, "format", _clean_text),
    Patch(logging.Handler, "handleError", _handle_error),
)
