"""Where a secret may show: in an error and all it drags along, in its frames, and in logs."""

from __future__ import annotations

import base64
import json
import logging
import pickle
import traceback
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_FRAGMENT = 8  # so many characters of a secret in a row are a leak


def caught(call: Callable[[], object]) -> BaseException | None:
    """Return what *call* raises; this frame, the outermost of its traceback, holds no secret."""
    try:
        call()
    except Exception as error:  # noqa: BLE001 - whatever comes is looked at
        return error
    return None


def told(error: BaseException) -> dict[str, str]:
    """Return what consoles, logs and error trackers may show of *error*, by where it stands."""
    trace = traceback.TracebackException.from_exception(error, capture_locals=True)
    problems = getattr(error, "problems", ())
    return {
        "str()": str(error),
        "repr()": repr(error),
        "args": repr(error.args),
        "attributes": repr(vars(error)),
        "problems": json.dumps([problem.as_dict() for problem in problems]),
        "__cause__": repr(error.__cause__),
        "__context__": repr(error.__context__),
        "the locals of its frames": "".join(trace.format()),
        "its pickle": _pickled(error),
    }


def leaks(text: str, secrets: Iterable[str]) -> bool:
    """Return whether one of *secrets* stands in *text*: whole, in part, or in base64."""
    return any(window in text for secret in secrets for window in _windows(secret))


@contextmanager
def overheard() -> Iterator[list[str]]:
    """Collect all that is logged within the block, at any level, with its arguments and extras."""
    lines: list[str] = []
    ear = _Ear(lines)
    root = logging.getLogger()
    level = root.level
    root.addHandler(ear)
    root.setLevel(logging.DEBUG)
    try:
        yield lines
    finally:
        root.removeHandler(ear)
        root.setLevel(level)


class _Ear(logging.Handler):
    def __init__(self, lines: list[str]) -> None:
        super().__init__(logging.NOTSET)
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        self._lines.append(f"{self.format(record)} {vars(record)!r}")


def _pickled(error: BaseException) -> str:
    try:
        return pickle.dumps(error).decode("latin-1")
    except Exception as failure:  # noqa: BLE001 - what cannot be pickled shows nothing there
        return type(failure).__name__


def _windows(secret: str) -> set[str]:
    raw = secret.encode()
    forms = [secret, base64.b64encode(raw).decode().rstrip("=")]
    # base64 of "SK…:secret" holds the secret shifted by one or two bytes
    forms += [base64.b64encode(b"x" * n + raw).decode()[4:-4] for n in (1, 2)]
    return {form[i : i + _FRAGMENT] for form in forms for i in range(len(form) - _FRAGMENT + 1)}
