"""How the commands speak: to people on stderr, to programs as JSON on stdout, never a secret."""

from __future__ import annotations

import json
import os
import sys
import textwrap
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from safetwilio.problems import faults_first, render_one, visible
from safetwilio.redaction.engine import redact

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from safetwilio.problems import Problem

_WIDTH = 92


@contextmanager
def standard_streams() -> Iterator[None]:
    """Let standard output and standard error be there within it, and nothing fail at its end.

    One that was closed (``2>&-``) leads nowhere, for ``print`` takes stdout for it, and the next
    file that is opened has its number. What cannot be written does so at the end, or the
    interpreter would complain and exit with a code of its own.
    """
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(_nowhere(), "w", encoding="utf-8", closefd=False))
    try:
        yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except OSError:
                os.dup2(nowhere := _nowhere(), stream.fileno())
                os.close(nowhere)


def _nowhere() -> int:
    return os.open(os.devnull, os.O_WRONLY)


@contextmanager
def to_programs() -> Iterator[None]:
    """Let people know if what is written to stdout within it cannot be: the work is done.

    So the exit code stays that of the work. A reader that has had enough (``| head -1``) knows.
    """
    try:
        yield
    except BrokenPipeError:
        pass
    except OSError as error:
        why = error.strerror or type(error).__name__
        say(f"The result could not be written to standard output: {why}.")


def say(line: str) -> None:
    """Tell people the one *line*: an end of a line in it comes from a name, and makes none."""
    say_text(visible(line))


def say_text(text: str) -> None:
    """Tell people *text*, whose lines are ours.

    Whether they can be told changes nothing: half of a rotation is worse than one in silence.
    """
    with suppress(OSError):
        print(visible(redact(text), besides="\n"), file=sys.stderr, flush=True)


def say_wrapped(text: str) -> None:
    """Tell people the one long line *text*, broken between words."""
    say_text(textwrap.fill(text, _WIDTH, break_long_words=False, break_on_hyphens=False))


def say_lines(lines: Iterable[str]) -> None:
    """Tell people *lines*, each broken between words and going on where it began."""
    for line in lines:
        indent = " " * (len(line) - len(line.lstrip(" 0123456789.")))
        say_text(
            textwrap.fill(
                line,
                _WIDTH,
                subsequent_indent=indent,
                break_long_words=False,
                break_on_hyphens=False,
            )
        )


def say_problems(problems: Sequence[Problem]) -> None:
    """Tell people *problems*, of which there is at least one, and where to read on."""
    ordered = faults_first(problems)
    say_text("\n\n".join([*map(render_one, ordered), f"Docs: {ordered[0].url}"]))


def show_json(document: Mapping[str, Any]) -> None:
    """Give programs *document*; see :func:`to_programs`."""
    with to_programs():
        print(json.dumps(document, indent=2), flush=True)
