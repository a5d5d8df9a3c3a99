"""What a run is going to do, before it does it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator


class Step(NamedTuple):
    """One step: its *name* in the journal, what it *does*, how it is undone, who may do it.

    Without *undo* it cannot be undone; a step that only looks *changes* nothing.
    """

    name: str
    does: str
    needs: str
    undo: str = ""
    changes: bool = True


class Plan(NamedTuple):
    """The *steps* of *verb*, with the identities *found* for what the steps need, and *notes*.

    *resumes* is the run that it goes on with, ``None`` for a new one; *done* are the names of the
    steps which that run has behind it.
    """

    verb: str
    steps: tuple[Step, ...]
    found: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()
    resumes: str | None = None
    done: frozenset[str] = frozenset()

    def lines(self) -> Iterator[str]:
        """Yield the plan as people read it."""
        if self.resumes:
            yield f"Plan: go on with {self.verb}, run {self.resumes}"
        else:
            yield f"Plan: {self.verb}"
        for number, step in enumerate(self.steps, start=1):
            state = "done: " if step.name in self.done else ""
            yield f"  {number}. {state}{step.does}"
            if step.changes and step.name not in self.done:
                yield f"     {'undone by ' + step.undo if step.undo else 'cannot be undone'}"
        for needs, found in self.found:
            yield f"  needs {needs}: {found}"
        for note in self.notes:
            yield f"  note: {note}"

    def as_dict(self) -> dict[str, Any]:
        """Return the plan as plain JSON types."""
        return {
            "verb": self.verb,
            "run": self.resumes,
            "steps": [
                {**step._asdict(), "undo": step.undo or None, "done": step.name in self.done}
                for step in self.steps
            ],
            "identities": dict(self.found),
            "notes": list(self.notes),
        }
