"""What all commands share that carry out a plan: their options, and where runs are noted."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from safetwilio.cli.output import say
from safetwilio.redaction.engine import redact

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from safetwilio.rotation.overlap import Waiting
    from safetwilio.runbook.journal import Entry
    from safetwilio.runbook.runs import Run

NOTHING, PARTIAL = 3, 4
_LONGEST_WAIT = 3600.0


class Subject(Protocol):
    """What a journal says of one key or token when its run begins."""

    def _asdict(self) -> Mapping[str, Any]: ...


class Rotation(Protocol):
    """What a run of rotations can do."""

    def carry_out(self, seconds: float, /) -> Sequence[Waiting]:
        """Do what is left, and return what is waited for still after so many *seconds*."""
        ...  # pragma: no cover - a protocol has no body

    def take_back(self) -> object:
        """Take back what was made."""
        ...  # pragma: no cover - a protocol has no body


def add_how(parser: argparse.ArgumentParser) -> None:
    """Add to *parser* how a plan is carried out."""
    how = parser.add_argument_group("how")
    how.add_argument("--yes", action="store_true", help="do it; otherwise the plan is printed")
    how.add_argument(
        "--roll-back", action="store_true", help="take back what an unfinished run has made"
    )
    how.add_argument("--reason", metavar="TEXT", help="goes into the log if the token is used")
    how.add_argument(
        "--seal-to",
        metavar="RECIPIENT",
        type=_recipient,
        help="an age public key, for a secret whose place does not answer (safetwilio[handoff])",
    )
    add_journal(how)
    how.add_argument("--json", action="store_true", help="print the result as JSON on stdout")


def add_journal(parser: argparse._ActionsContainer) -> None:
    """Add ``--journal`` to *parser*."""
    parser.add_argument(
        "--journal",
        metavar="DIR",
        help="where runs are noted (default: SAFETWILIO_JOURNAL, or the user's state directory)",
    )


def journals(arguments: argparse.Namespace) -> Path:
    """Return the directory of journals that *arguments* mean."""
    from safetwilio.runbook.runs import directory_of_journals

    return Path(arguments.journal) if arguments.journal else directory_of_journals(os.environ)


def begin(arguments: argparse.Namespace, name: str, verb: str, subjects: Iterable[Subject]) -> Run:
    """Return the new run *name* of *verb*, about *subjects*.

    Raises :class:`safetwilio.errors.JournalError` (ST952).
    """
    from safetwilio.runbook.runs import start

    about = [subject._asdict() for subject in subjects]
    return start(journals(arguments), name, verb=verb, subjects=about, begun_in=_directory_here())


def begun(
    arguments: argparse.Namespace, verb: str
) -> Iterator[tuple[Path, Mapping[str, Any], tuple[Entry, ...]]]:
    """Yield the journal of each unfinished run of *verb*, what it is about, and its entries.

    The oldest comes first. Raises :class:`safetwilio.errors.JournalError` (ST950, ST952).
    """
    from safetwilio.runbook.runs import unfinished

    for path, entries in unfinished(journals(arguments)):
        facts = entries[0].facts
        if facts.get("verb") == verb:
            yield path, facts, entries


def _directory_here() -> str:
    """Return where the command was given, for who asks later; nothing if that looks secret."""
    here = str(Path.cwd())
    return here if redact(here) == here else ""


def carry_out(arguments: argparse.Namespace, rotation: Rotation, current: Run) -> Sequence[Waiting]:
    """Carry out *rotation*, or take it back, and return what the run *current* waits for."""
    try:
        if arguments.roll_back:
            rotation.take_back()
            return ()
        return rotation.carry_out(0.0 if arguments.no_wait else _LONGEST_WAIT)
    except KeyboardInterrupt:
        say(f"Stopped half-way; the same command goes on with run {current.id}.")
        raise


def say_nothing_to_take_back() -> int:
    """Say so, and return the exit code."""
    say("There is no run to take back. Nothing was changed.")
    return NOTHING


def _recipient(text: str) -> str:
    from safetwilio.runbook.sealing import check_recipient

    return check_recipient(text)
