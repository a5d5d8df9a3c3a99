"""``safetwilio``: the entry point, and what all commands share."""

from __future__ import annotations

import argparse
import sys
import traceback
from typing import TYPE_CHECKING, Protocol

from safetwilio import __version__
from safetwilio.errors import SafeTwilioError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

DONE, FAILED, USAGE = 0, 1, 2
_INTERRUPTED = 130

_EPILOG = """\
first steps:
  safetwilio init       make an API key and keep it in .env
  safetwilio doctor     check what the app would load, without starting it

exit codes:
  0 done   1 failed   2 wrong usage
Reports for people go to stderr; --json goes to stdout. No secret goes to either.
"""


class Command(Protocol):
    """A module of this package: it adds its parser and runs."""

    def add_parser(self, commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
        """Add the command's own parser to *commands*."""

    def run(self, arguments: argparse.Namespace) -> int:
        """Do it and return the exit code."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line *argv* (default: the process's) and return the exit code."""
    arguments = _parser().parse_args(argv)
    try:
        return int(arguments.run(arguments))
    except UsageError as error:
        print(error, file=sys.stderr)
        return USAGE
    except SafeTwilioError as error:
        print(error, file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return _INTERRUPTED
    except Exception:  # noqa: BLE001 - the last resort must not print a secret either
        from safetwilio.redaction.engine import redact

        print(redact(traceback.format_exc()), file=sys.stderr)
        return FAILED


def _parser() -> argparse.ArgumentParser:
    from safetwilio.cli import doctor, init

    parser = argparse.ArgumentParser(
        prog="safetwilio",
        description="The safe way to hold Twilio credentials.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"safetwilio {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    command: Command
    for command in (init, doctor):
        command.add_parser(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
