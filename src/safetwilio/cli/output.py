"""How the commands speak: to people on stderr, to programs as JSON on stdout, never a secret."""

from __future__ import annotations

import json
import sys
import textwrap
from typing import TYPE_CHECKING, Any

from safetwilio.problems import faults_first, render_one
from safetwilio.redaction.engine import redact

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from safetwilio.problems import Problem

_WIDTH = 92


def say(text: str) -> None:
    """Tell people *text*."""
    print(redact(text), file=sys.stderr, flush=True)


def say_wrapped(text: str) -> None:
    """Tell people the one long line *text*, broken between words."""
    say(textwrap.fill(text, _WIDTH, break_long_words=False, break_on_hyphens=False))


def say_lines(lines: Iterable[str]) -> None:
    """Tell people *lines*, each broken between words and going on where it began."""
    for line in lines:
        indent = " " * (len(line) - len(line.lstrip(" 0123456789.")))
        say(
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
    say("\n\n".join([*map(render_one, ordered), f"Docs: {ordered[0].url}"]))


def show_json(document: Mapping[str, Any]) -> None:
    """Give programs *document*."""
    print(json.dumps(document, indent=2), flush=True)
