"""What was asked and what came of it, for ``safetwilio doctor --sources``.

A program that starts does not need it; whoever wants to see it opens :func:`traced` around the
start, which is then watched while it happens rather than done a second time.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from safetwilio.backends.interface import Absent, Found, Record, Value
    from safetwilio.backends.locate import Reference
    from safetwilio.problems import Problem


class Asked(NamedTuple):
    """One *reference* that was asked: its *answer*, or else the *problems* that it raised."""

    reference: Reference
    answer: Found | Absent | None
    problems: Sequence[Problem] = ()


class Trace:
    """What was seen so far: who was *asked*, and each of the *fields* with its version."""

    def __init__(self) -> None:
        """Start with nothing."""
        self.asked: list[Asked] = []
        self.fields: dict[str, tuple[Value, str | None]] = {}


_trace: ContextVar[Trace | None] = ContextVar("safetwilio_trace", default=None)


@contextmanager
def traced() -> Iterator[Trace]:
    """Watch all that is loaded within this block."""
    trace = Trace()
    token = _trace.set(trace)
    try:
        yield trace
    finally:
        _trace.reset(token)


def asked(
    reference: Reference, answer: Found | Absent | None, problems: Sequence[Problem] = ()
) -> None:
    """Note what came of asking *reference*."""
    trace = _trace.get()
    if trace is not None:
        trace.asked.append(Asked(reference, answer, problems))


def used(fields: Mapping[str, Value], record: Record | None = None) -> None:
    """Note the *fields* that were settled on; those of *record* have its version."""
    trace = _trace.get()
    if trace is not None:
        theirs = record.fields if record else {}
        trace.fields = {
            name: (value, record.version if record and theirs.get(name) is value else None)
            for name, value in fields.items()
        }
