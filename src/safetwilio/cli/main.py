"""``safetwilio``: the entry point, and what all commands share."""

from __future__ import annotations

import argparse
import logging
import re
import sys
import traceback
from itertools import pairwise
from typing import TYPE_CHECKING, NoReturn, Protocol

from safetwilio import __version__
from safetwilio.cli.output import (
    say,
    say_problems,
    say_text,
    say_wrapped,
    standard_streams,
    to_programs,
)
from safetwilio.errors import ConfigurationError, SafeTwilioError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

FAILED, USAGE = 1, 2
_INTERRUPTED = 130
# After two capitals they are a SID's, and with more such digits they are something else.
_TOKEN = re.compile(r"(?<![A-Z]{2})(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])")
# Where a reference may hold more than a path: userinfo, options, a field, another reference.
_NO_PATH = re.compile(r"[@?#,=:]")
_SEPARATOR = re.compile(r"[/\\]")
_OPTION = re.compile(r"--?[a-z][a-z-]{0,18}")
# What argparse says with a value in it, and what is said without.
_WITHOUT_VALUES = (
    (re.compile(r"invalid choice: .*(\(choose from )", re.DOTALL), r"invalid choice \1"),
    (re.compile(r"ignored explicit argument .*", re.DOTALL), "takes no value"),
    (re.compile(r"(invalid \w+ value|ambiguous option): .*", re.DOTALL), r"\1"),
)
_UNRECOGNIZED = "unrecognized arguments: "

_DESCRIPTION = """\
The safe way to hold Twilio credentials: API keys instead of the master Auth Token, and a report
of everything that is wrong before the app starts.
"""
_EPILOG = """\
first steps, in the app's directory:
  safetwilio init       make an API key and keep it in .env
  safetwilio doctor     check what the app would load, without starting it

Each command has its own help: safetwilio init --help

exit codes:
  0    done, also when there was nothing to do
  1    failed; the report says why and what to do
  2    wrong usage
  3    nothing found
  4    done in part: something is left to do by hand
  130  interrupted
Reports for people go to stderr, --json goes to stdout. No secret goes to either.
"""


class Command(Protocol):
    """A module of this package: it adds a parser, with what it runs as the default of ``run``."""

    def add_parser(self, commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
        """Add the command's own parser to *commands*."""


class _Parser(argparse.ArgumentParser):
    """The parser of the whole, and of each command in it.

    Options are never abbreviated: ``--token X`` is no ``--token-stdin X``. Help is printed as it is
    written, and of two parsers the inner one explains what is wrong.
    """

    def __init__(self, **options: object) -> None:
        super().__init__(
            **options,  # type: ignore[arg-type]
            allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        self.set_defaults(parser=self)

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        with to_programs():  # what cannot be written is noticed now rather than at the very end
            sys.stdout.flush()
        super().exit(status, message)

    def error(self, message: str) -> NoReturn:
        say_text(f"{self.prog}: {_without_values(message)}\nTry: {self.prog} --help")
        self.exit(USAGE)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line *argv* (default: the process's) and return the exit code."""
    words = sys.argv[1:] if argv is None else list(argv)
    # Warnings for programs' logs; the commands say the same in their own words.
    logging.getLogger("safetwilio").addHandler(logging.NullHandler())
    with standard_streams():
        return _run(words)


def _run(words: Sequence[str]) -> int:
    try:
        return _obey(words)
    except SafeTwilioError as error:
        return _explain(error)
    except KeyboardInterrupt:
        say_text("\ninterrupted")
        return _INTERRUPTED
    except Exception:  # noqa: BLE001 - the last resort must not print a secret either
        say_text(traceback.format_exc())
        say("This is a fault in safetwilio. Please report it with the lines above.")
        return FAILED


def _obey(words: Sequence[str]) -> int:
    _require_no_token(words)
    arguments, unknown = _parser().parse_known_args(words)
    if unknown:  # argparse would say so in the name of the whole, and lead to the wrong help
        arguments.parser.error(_UNRECOGNIZED + " ".join(unknown))
    if arguments.run is None:
        arguments.parser.print_help(sys.stderr)
        return USAGE
    return int(arguments.run(arguments))


def _explain(error: SafeTwilioError) -> int:
    if isinstance(error, ConfigurationError):
        say_problems(error.problems)
    else:
        say_wrapped(str(error))
    return USAGE if isinstance(error, UsageError) else FAILED


def _require_no_token(words: Sequence[str]) -> None:
    for before, word in pairwise(("", *words)):
        if _TOKEN.search(word) and not _is_path(before, word):
            raise UsageError(
                "The Auth Token is not taken from the command line: other users of this machine "
                "can read it there, and your shell has written it to its history. Let safetwilio "
                "init ask for it, or pipe it in with --token-stdin. If that was the real token, "
                "rotate it in the Console.",
                code="ST908",
            )


def _is_path(before: str, word: str) -> bool:
    """Return whether *word* is a reference for ``--backend`` whose digits are a part of its path.

    A bare word is none: whoever writes the token there takes the option for another one.
    """
    from safetwilio.backends.locate import is_scheme

    option, _, value = word.partition("=") if word.startswith("--") else (before, "", word)
    if option != "--backend":
        return False
    scheme, _, location = value.partition(":")
    named = bool(location) and is_scheme(scheme)
    parts = _SEPARATOR.split(location if named else value)
    if not named and len(parts) == 1:
        return False
    return not any(_TOKEN.search(part) and _NO_PATH.search(part) for part in parts)


def _without_values(message: str) -> str:
    """Return argparse's *message* without the words of the command line: one may be a secret."""
    _, found, words = message.partition(_UNRECOGNIZED)
    if found:
        names = [word.partition("=")[0] for word in words.split()]
        options = dict.fromkeys(name for name in names if _OPTION.fullmatch(name))
        return f"unknown option {', '.join(options)}" if options else "an unexpected argument"
    for pattern, replacement in _WITHOUT_VALUES:
        message = pattern.sub(replacement, message)
    return message


def _parser() -> argparse.ArgumentParser:
    from safetwilio.cli import doctor, emulator, fingerprint, init, rotate, webhook

    parser = _Parser(
        prog="safetwilio",
        description=_DESCRIPTION,
        epilog=_EPILOG,
    )
    parser.set_defaults(run=None)
    parser.add_argument("--version", action="version", version=f"safetwilio {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    command: Command
    for command in (init, doctor, rotate, fingerprint, webhook, emulator):
        command.add_parser(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
