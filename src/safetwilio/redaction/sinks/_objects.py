"""Copies without secrets of a library's plain objects.

What OpenTelemetry exports and what pytest reports are objects with nothing but data in them, so one
walk serves all of them, and those of later versions too.
"""

from __future__ import annotations

import copy
from collections import OrderedDict, deque
from types import MappingProxyType
from typing import Any

from safetwilio.redaction.engine import FAILED, redact, redact_bytes

_DEPTH = 32
_PLAIN = (dict, OrderedDict, MappingProxyType)
_SEQUENCES = (list, tuple, deque)


def cleaned(value: Any, modules: str, depth: int = _DEPTH) -> Any:
    """Return *value* with every secret in it masked: the same object, or a copy of it.

    What is nested too deep is replaced by ``[TWILIO:redaction-failed]``. Of objects, only those
    whose class is of a module that begins with *modules* are looked into.
    """
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, bytes):
        return redact_bytes(value)
    kind = type(value)
    if kind in _PLAIN or kind in _SEQUENCES:
        return _members(value, modules, depth) if depth else FAILED
    if kind.__module__.startswith(modules):
        return _object(value, modules, depth) if depth else FAILED
    return value


def _members(value: Any, modules: str, depth: int) -> Any:
    kind: Any = type(value)
    if kind in _SEQUENCES:
        members = [cleaned(each, modules, depth - 1) for each in value]
        same = all(old is new for old, new in zip(value, members, strict=True))
        if same:
            return value
        return deque(members, value.maxlen) if kind is deque else kind(members)
    pairs = [
        (cleaned(k, modules, depth - 1), cleaned(v, modules, depth - 1))
        for k, v in tuple(value.items())
    ]
    same = all(k is a and v is b for (k, v), (a, b) in zip(value.items(), pairs, strict=True))
    return value if same else kind(dict(pairs))


def _object(value: Any, modules: str, depth: int) -> Any:
    changed = {
        name: new
        for name, old in _attributes(value)
        if (new := cleaned(old, modules, depth - 1)) is not old
    }
    if not changed:
        return value
    value = copy.copy(value)
    for name, new in changed.items():
        object.__setattr__(value, name, new)  # also where it is frozen
    return value


def _attributes(value: Any) -> list[tuple[str, Any]]:
    slots = getattr(type(value), "__slots__", ())
    found = [(name, getattr(value, name)) for name in slots if hasattr(value, name)]
    return [*found, *getattr(value, "__dict__", {}).items()]
