"""``python manage.py safetwilio``: the command line with the settings of this project."""

from __future__ import annotations

import sys
from argparse import REMAINDER
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.core.management.base import BaseCommand, CommandError, CommandParser

from safetwilio.cli.main import main

if TYPE_CHECKING:
    from collections.abc import Sequence


class Command(BaseCommand):
    """Runs ``safetwilio`` with the backend that ``settings.SAFETWILIO`` names."""

    help = "The command line of safetwilio, with the BACKEND of settings.SAFETWILIO."
    requires_system_checks: Any = ()

    def run_from_argv(self, argv: Sequence[str]) -> None:
        """Hand *argv* over as it is, without Django's own options, and exit with the code."""
        own = CommandParser(add_help=False, allow_abbrev=False)
        own.add_argument("--settings")
        own.add_argument("--pythonpath")
        _, words = own.parse_known_args(list(argv[2:]))
        sys.exit(_run(words))

    def add_arguments(self, parser: CommandParser) -> None:
        """Take everything, for ``call_command("safetwilio", "doctor")``."""
        parser.add_argument("words", nargs=REMAINDER)

    def handle(self, *args: Any, words: Sequence[str] = (), **_: Any) -> None:
        """Run the command.

        :raises CommandError: if its exit code is not 0.
        """
        code = _run([*args, *words])
        if code:
            raise CommandError(f"safetwilio ended with exit code {code}.", returncode=code)


def _run(words: Sequence[str]) -> int:
    with apps.get_app_config("safetwilio").start.switched_on():
        try:
            return main(words)
        except SystemExit as end:  # of --help, or of a word that is no option
            return end.code if isinstance(end.code, int) else 1
