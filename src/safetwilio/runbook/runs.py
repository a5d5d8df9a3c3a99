"""A run: the steps of a plan, each written to the journal before and after it is done.

A step that a killed process left half-way is done again, so each step looks first at what is there
and does only what is missing. What has to be known for that beyond the run's beginning is noted.
"""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from safetwilio.errors import JournalError, SafeTwilioError
from safetwilio.runbook.journal import (
    SUFFIX,
    Journal,
    begin,
    entries_of,
    journals_in,
    read,
    reopen,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from safetwilio.runbook.journal import Entry

DIRECTORY_VARIABLE = "SAFETWILIO_JOURNAL"
_BEGAN, _FINISHED = "run", "finished"
_SUFFIX_BYTES = 2


def directory_of_journals(environment: Mapping[str, str]) -> Path:
    """Return where journals are kept: ``SAFETWILIO_JOURNAL``, or the user's directory of states.

    Raises :class:`JournalError` (ST952) if the user has no home directory.
    """
    named = environment.get(DIRECTORY_VARIABLE, "").strip()
    if named:
        return Path(named)
    states = Path(environment.get("LOCALAPPDATA" if os.name == "nt" else "XDG_STATE_HOME", ""))
    if not states.is_absolute():  # then it is to be ignored, says the specification of XDG
        states = _home(environment) / ".local" / "state"
    if states.is_absolute():
        return states / "safetwilio" / "runs"
    raise JournalError(
        f"There is no home directory for the journal of the run. Name one: {DIRECTORY_VARIABLE}, "
        "or --journal DIR",
        code="ST952",
    )


def _home(environment: Mapping[str, str]) -> Path:
    """Return the user's home directory, or a relative path if there is none."""
    if environment.get("HOME") != "":  # which pathlib takes for the root directory
        with suppress(RuntimeError):  # a container whose user has no home
            return Path.home()
    return Path()


def new_run_id() -> str:
    """Return a name for a run that begins now; two of the same second differ."""
    now = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    return f"{now}-{secrets.token_hex(_SUFFIX_BYTES)}"


class Notes(Protocol):
    """What a step may be told by an earlier process, and tells a later one."""

    def note(self, event: str, **facts: Any) -> None:
        """Write that *event* happened within a step."""
        ...  # pragma: no cover - a protocol has no body

    def noted(self, event: str, **facts: Any) -> tuple[Entry, ...]:
        """Return the entries of *event* with these *facts*."""
        ...  # pragma: no cover - a protocol has no body


class Run:
    """One run, open in this process alone."""

    def __init__(self, journal: Journal) -> None:
        """Go on with *journal*; see :func:`start` and :func:`resume`."""
        self._journal = journal

    @property
    def id(self) -> str:
        """The run's name, which is also that of its journal."""
        return self._journal.path.name.removesuffix(SUFFIX)

    @property
    def path(self) -> Path:
        """The journal's file."""
        return self._journal.path

    @property
    def subject(self) -> Mapping[str, Any]:
        """What the run was begun for."""
        return self._journal.entries[0].facts

    @property
    def done(self) -> frozenset[str]:
        """The names of the steps that are done."""
        entries = self._journal.entries
        return frozenset(e.facts["step"] for e in entries if e.event == "done")

    def perform(self, step: str, do: Callable[[], Mapping[str, Any]]) -> None:
        """Let *do* happen, unless the journal says that *step* is done; its facts are written."""
        if step in self.done:
            return
        self._journal.append("began", step=step)
        try:
            facts = do()
        except SafeTwilioError as error:
            with suppress(JournalError):  # what it failed with matters more
                self._journal.append("failed", step=step, code=error.code)
            raise
        self._journal.append("done", step=step, **facts)

    def note(self, event: str, **facts: Any) -> None:
        """Write that *event* happened within a step."""
        self._journal.append(event, **facts)

    def noted(self, event: str, **facts: Any) -> tuple[Entry, ...]:
        """Return the entries of *event* with these *facts*."""
        return entries_of(self._journal.entries, event, facts)

    def finish(self, **facts: Any) -> None:
        """Write that nothing is left to do."""
        self._journal.append(_FINISHED, **facts)

    def close(self) -> None:
        """Let other processes go on with it."""
        self._journal.close()


def start(directory: Path, run: str, **subject: Any) -> Run:
    """Return the new *run* about *subject*, with its journal in *directory*.

    Raises :class:`JournalError` (ST952).
    """
    return Run(begin(directory / f"{run}{SUFFIX}", _BEGAN, **subject))


def resume(path: Path) -> Run:
    """Return the run whose journal is at *path*, to go on with it.

    Raises :class:`JournalError` (ST950 to ST952).
    """
    return Run(reopen(path))


def unfinished(directory: Path) -> list[tuple[Path, tuple[Entry, ...]]]:
    """Return the journals in *directory* whose runs are not finished, and their entries.

    The oldest comes first. The first entry's facts are what a run is about; where there is none,
    nothing was begun. Raises :class:`JournalError` (ST950, ST952).
    """
    runs = [(path, entries) for path in journals_in(directory) if (entries := read(path))]
    left = [(path, entries) for path, entries in runs if entries[-1].event != _FINISHED]
    return sorted(left, key=lambda run: run[1][0].at)
