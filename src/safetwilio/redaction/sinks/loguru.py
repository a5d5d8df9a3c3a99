"""loguru: the record is cleaned before a handler formats it, the text once more when it has.

The record is what callable sinks, filters and dynamic formats read. The text also holds the
values of variables that ``diagnose=True``, the default, writes beside a traceback, and the
JSON of ``serialize=True``; a patcher, the public hook, sees neither.
"""

from __future__ import annotations

import io
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from safetwilio.redaction.engine import FAILED, redact, redact_value
from safetwilio.redaction.sinks._library import Library
from safetwilio.redaction.sinks._patch import Patch
from safetwilio.redaction.sinks._stderr import guarded

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import ModuleType

MODULE = "loguru"
_DEPTH = 32
_OBJECTS = frozenset({"elapsed", "exception", "level", "time"})  # loguru's own, no text of others
_fallen_back = False


def available() -> bool:
    """Return whether the application has imported ``loguru``."""
    return _library.available()


def is_stale() -> bool:
    """Return whether it was imported anew since."""
    return _library.is_stale()


def install() -> None:
    """Redact every record and every text of this process."""
    _library.apply()


def uninstall() -> None:
    """Restore the functions, and take back the patcher."""
    global _fallen_back  # noqa: PLW0603
    _library.remove()
    if _fallen_back and MODULE in sys.modules:
        sys.modules[MODULE].logger.configure(patcher=_nothing)
    _fallen_back = False


def fall_back() -> None:
    """Clean records in a patcher (the application's own gives way); variables are not seen."""
    global _fallen_back  # noqa: PLW0603
    import loguru

    loguru.logger.configure(patcher=clean)
    _fallen_back = True


def clean(record: Any) -> None:
    """Mask every secret in *record*, in place; one that cannot be searched loses its content."""
    try:
        for name in record.keys() - _OBJECTS:
            value = record[name]
            if name in {"file", "process", "thread"}:
                record[name] = _cleaned_place(value)
            else:
                record[name] = redact_value(value, _DEPTH)
    except Exception:  # noqa: BLE001 - fail closed, whatever went wrong
        record["message"], record["extra"], record["exception"] = FAILED, {}, None


def check() -> bool:
    """Log a random canary to a private buffer, in the message, ``extra`` and a local variable."""
    from safetwilio.redaction.sinks import canary

    secret, texts, records = canary(), io.StringIO(), list[str]()
    internals: Any = import_module("loguru._logger")

    def keep(message: Any) -> None:
        texts.write(message)
        records.append(str({k: v for k, v in message.record.items() if k != "exception"}))

    # A logger of its own: what the application has added hears nothing of it.
    logger = internals.Logger(
        core=internals.Core(), exception=None, depth=0, record=False, lazy=False, colors=False,
        raw=False, capture=True, patchers=[], extra={},
    )  # fmt: skip
    logger.add(keep, format="{message} {extra}", diagnose=True, catch=False, colorize=False)
    try:
        raise RuntimeError(secret)  # noqa: TRY301
    except RuntimeError:
        logger.bind(holder=[secret]).exception(f"a {secret}")
    logger.remove()
    seen = texts.getvalue() + "".join(records)
    return secret not in seen and seen.count("[TWILIO:account:") > 3  # noqa: PLR2004 - as above


def _cleaned_place(value: Any) -> Any:
    """Return loguru's small object with a name (and a path), a copy when either is a secret."""
    import copy

    found = {k: redact(v) for k, v in _attributes(value).items() if isinstance(v, str)}
    if all(getattr(value, k) is v for k, v in found.items()):
        return value
    value = copy.copy(value)
    for name, text in found.items():
        setattr(value, name, text)
    return value


def _attributes(value: Any) -> dict[str, Any]:
    """Return the attributes of *value*, which has a ``__dict__`` or ``__slots__``."""
    slots = getattr(type(value), "__slots__", ())
    return {name: getattr(value, name) for name in slots} or vars(value)


def _nothing(record: object) -> None:
    """Do nothing with *record*: loguru's patcher cannot be set to none again."""


def _emit(
    original: Callable[..., None], handler: object, record: Any, *args: Any, **kw: Any
) -> None:
    clean(record)
    original(handler, record, *args, **kw)


class _MessagePatch(Patch):
    """The class of texts, replaced by one that redacts, of the same name for queues to take it."""

    def apply(self) -> None:
        """Put the class in place, unless it is there."""
        original = vars(self._owner)[self._name]
        if original is self._replacement:
            return

        class Message(original):  # type: ignore[misc, valid-type]
            """A text of loguru's, redacted."""

            __slots__ = ()

            def __new__(cls, text: str) -> Any:
                return super().__new__(cls, redact(text))

        Message.__module__, Message.__qualname__ = original.__module__, original.__qualname__
        self._original, self._replacement = original, Message
        setattr(self._owner, self._name, Message)


def _report(original: Callable[..., None], *args: Any, **kwargs: Any) -> None:
    with guarded():
        original(*args, **kwargs)


def _patches(loguru: ModuleType) -> Sequence[Patch]:
    handler, interceptor = loguru._handler, loguru._error_interceptor  # noqa: SLF001
    return [
        Patch(handler.Handler, "emit", _emit),
        _MessagePatch(handler, "Message", lambda original, *args: original(*args)),
        Patch(interceptor.ErrorInterceptor, "print", _report),
    ]


_library = Library(MODULE, _patches)
