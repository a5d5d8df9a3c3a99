"""Faults as a file: a sequence of troubles for tests in any language.

In TOML, one table for each fault, in the order in which they happen; in JSON the same, as
``{"faults": [{…}]}``:

[[faults]]
kind = "status"
code = 429
retry_after = 1
match = "POST */Messages.json"
times = 2
"""

from __future__ import annotations

import json
import math
import re
import tomllib
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple

from safetwilio.errors import UsageError
from safetwilio.testing import faults

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from safetwilio.testing.faults import Fault, Faults

LARGEST_SCRIPT = 1 << 20  # bytes

_ERRORS = range(400, 600)
_PLAN = ("match", "times", "for_seconds")


class _Kind(NamedTuple):
    """What makes a fault, and its keys: those that it *needs*, those that it *takes*."""

    make: Callable[..., Fault] | None
    needs: tuple[str, ...] = ()
    takes: tuple[str, ...] = _PLAN


_KINDS = {
    "nothing": _Kind(faults.nothing),
    "latency": _Kind(faults.latency, ("seconds",)),
    "status": _Kind(faults.status, ("code",), ("retry_after", "applied", *_PLAN)),
    "drop": _Kind(faults.drop, ("applied",)),
    "reset": _Kind(faults.reset, ("applied",)),
    "slow_body": _Kind(faults.slow_body, ("seconds",)),
    "duplicate": _Kind(faults.duplicate),
    "hold": _Kind(faults.hold, (), ("until", *_PLAN)),
    "limit": _Kind(None, (), ("per_second", "concurrency", "retry_after", "match")),
}


def _is_number(value: object, above: float) -> bool:
    return isinstance(value, int | float) and math.isfinite(value) and value >= above


def _is_seconds(value: object) -> bool:
    return not isinstance(value, bool) and _is_number(value, 0)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _is_error(value: object) -> bool:
    return value in _ERRORS and value in {*HTTPStatus} and not isinstance(value, float)


_SECONDS = (_is_seconds, "a number of seconds")
_COUNT = (_is_count, "a whole number from 1")
_PATTERN = (lambda value: isinstance(value, str) and bool(value), "a pattern such as 'POST *'")
_FORMS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "seconds": _SECONDS,
    "retry_after": _SECONDS,
    "for_seconds": (lambda value: _is_seconds(value) and value > 0, "seconds, more than 0"),
    "code": (_is_error, "an HTTP status from 400 to 599"),
    "applied": (lambda value: isinstance(value, bool), "true or false"),
    "times": _COUNT,
    "per_second": _COUNT,
    "concurrency": _COUNT,
    "match": _PATTERN,
    "until": _PATTERN,
}


class Step(NamedTuple):
    """One fault of a script: its *kind* and its other keys, all checked."""

    kind: str
    keys: dict[str, Any]

    def plan(self, on: Faults) -> None:
        """Add the fault to those of an emulator."""
        make = _KINDS[self.kind].make
        if make is None:
            on.limit(**self.keys)
            return
        plan = {name: value for name, value in self.keys.items() if name in _PLAN}
        own = {name: value for name, value in self.keys.items() if name not in _PLAN}
        on.add(make(**own), **plan)


class _Wrong(Exception):
    """What is wrong with a script, before it is said from a frame that does not hold the script."""


def read(path: Path) -> list[Step]:
    """Return the steps of the script at *path*, TOML if its name ends so and else JSON.

    Raises :class:`safetwilio.errors.UsageError` (ST921), which names the file, the fault and the
    key or the line, and nothing else of what is in the file.
    """
    try:
        return _steps(_load(path))
    except _Wrong as error:
        problem = str(error)
    raise UsageError(f"{path}: {problem}.", code="ST921")


def parse_json(content: bytes, name: str) -> list[Step]:
    """Return the steps of the script with JSON *content*; errors (ST921) call it *name*."""
    try:
        return _steps(_json(content))
    except _Wrong as error:
        problem = str(error)
    del content
    raise UsageError(f"{name}: {problem}.", code="ST921")


def _load(path: Path) -> object:
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_SCRIPT + 1)
    except OSError as error:
        raise _Wrong(f"cannot be read: {error.strerror or type(error).__name__}") from None
    if len(content) > LARGEST_SCRIPT:
        raise _Wrong(f"is larger than {LARGEST_SCRIPT} bytes")
    return _toml(content) if path.suffix.lower() == ".toml" else _json(content)


def _json(content: bytes) -> object:
    try:
        return json.loads(content)
    except json.JSONDecodeError as error:
        raise _Wrong(f"line {error.lineno}, column {error.colno}: {error.msg}") from None
    except (ValueError, RecursionError):  # other bytes than UTF-8; a number of 5,000 digits
        raise _Wrong("is not JSON") from None


def _toml(content: bytes) -> object:
    try:
        return tomllib.loads(content.decode("utf-8"))
    except tomllib.TOMLDecodeError as error:
        place = re.search(r"\(at (.*)\)$", str(error))  # what stands before may quote the file
        raise _Wrong(f"is not TOML{f', at {place[1]}' if place else ''}") from None
    except (ValueError, RecursionError):
        raise _Wrong("is not TOML") from None


def _steps(document: object) -> list[Step]:
    listed = document.get("faults") if isinstance(document, dict) and len(document) == 1 else None
    if not isinstance(listed, list):
        raise _Wrong("holds one list called faults, and nothing else")
    return [_step(table, f"fault {number}") for number, table in enumerate(listed, 1)]


def _step(table: object, place: str) -> Step:
    if not isinstance(table, dict):
        raise _Wrong(f"{place}: is a table with a kind")
    keys = dict(table)
    named = keys.pop("kind", None)
    kind = _KINDS.get(named) if isinstance(named, str) else None
    if kind is None:
        raise _Wrong(f"{place}: kind is one of {', '.join(_KINDS)}")
    for key in kind.needs:
        if key not in keys:
            raise _Wrong(f"{place}: {named} needs {key}, {_FORMS[key][1]}")
    for key, value in keys.items():
        if key not in {*kind.needs, *kind.takes}:
            known = ", ".join([*kind.needs, *kind.takes])
            raise _Wrong(f"{place}: {named} takes no {_shown(key)}; it takes {known}")
        if not _FORMS[key][0](value):
            raise _Wrong(f"{place}: {key} is {_FORMS[key][1]}")
    if keys.get("code") == HTTPStatus.TOO_MANY_REQUESTS and keys.get("applied"):
        raise _Wrong(f"{place}: Twilio never processes a request that it answers with 429")
    if named == "limit" and not {"per_second", "concurrency"} & set(keys):
        raise _Wrong(f"{place}: limit needs per_second, concurrency or both")
    return Step(str(named), keys)


def _shown(key: object) -> str:
    return key if isinstance(key, str) and re.fullmatch(r"[a-z_]{1,20}", key) else "such key"
