"""The chain: backends tried in order; only *absent* goes on, *broken* stops and says so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from safetwilio.backends import trace
from safetwilio.backends.budget import boot_budget
from safetwilio.backends.documents import is_whole
from safetwilio.backends.interface import Absent, Found, WritableBackend
from safetwilio.backends.locate import open_backend
from safetwilio.errors import ConfigurationError
from safetwilio.problems import Attempt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from safetwilio.backends.interface import Record
    from safetwilio.backends.locate import Reference


def load(references: Sequence[Reference], account: str | None) -> Found | Absent:
    """Return the first record that *references* hold for *account*, or every attempt made.

    Warnings and sightings of the master Auth Token from the backends passed over are kept.
    All of them together have 15 seconds. Raises what a broken backend raises
    (:class:`safetwilio.errors.BackendError`, ST3xx).
    """
    with boot_budget():
        return _first_found(references, account)


def _first_found(references: Sequence[Reference], account: str | None) -> Found | Absent:
    passed: list[Absent] = []
    for position, reference in enumerate(references, start=1):
        answer = _ask(reference, account)
        if isinstance(answer, Found):
            record = _with_sightings(answer.record, passed)
            return Found(record._replace(unasked=_unasked(record, references[position:])))
        passed.append(answer)
    return Absent(
        attempts=tuple(attempt for absent in passed for attempt in absent.attempts),
        token_places=tuple(place for absent in passed for place in absent.token_places),
        problems=tuple(problem for absent in passed for problem in absent.problems),
        account_sid=next((a.account_sid for a in passed if a.account_sid), None),
    )


def _ask(reference: Reference, account: str | None) -> Found | Absent:
    try:
        answer = open_backend(reference).load(account)
    except ConfigurationError as error:
        trace.asked(reference, None, error.problems)
        raise
    trace.asked(reference, answer)
    return answer


def can_be_written(references: Sequence[Reference]) -> bool:
    """Return whether ``safetwilio init`` can keep a key in one of *references*."""
    return any(isinstance(open_backend(reference), WritableBackend) for reference in references)


def _unasked(record: Record, later: Sequence[Reference]) -> tuple[Attempt, ...]:
    if is_whole(record.fields):
        return ()
    why = f"not asked: {record.source} holds half a key"
    return tuple(Attempt(r.scheme, str(r).partition(":")[2], why) for r in later)


def _with_sightings(record: Record, passed: Sequence[Absent]) -> Record:
    return record._replace(
        problems=(*(p for absent in passed for p in absent.problems), *record.problems),
        token_places=(
            *(place for absent in passed for place in absent.token_places),
            *record.token_places,
        ),
    )
