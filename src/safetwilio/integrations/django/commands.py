"""Which management command this process runs, and which of them need nothing of Twilio's.

An image build runs ``collectstatic`` without any secret, and must not fail for that.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from django.utils.autoreload import DJANGO_AUTORELOAD_ENV

if TYPE_CHECKING:
    from types import FrameType

CHECK, OURS = "check", "safetwilio"
_RUNSERVER, _TEST = "runserver", "test"

# They look at the code or at the tables, and call nobody. docs/django.md lists them.
SKIPPED = frozenset(
    {CHECK, OURS, "--help", "--version", "-h", "help", "version"}
    | {"collectstatic", "findstatic", "compilemessages", "makemessages", "diffsettings"}
    | {"makemigrations", "optimizemigration", "squashmigrations", "migrate", "showmigrations"}
    | {"sqlflush", "sqlmigrate", "sqlsequencereset", "inspectdb", "dbshell", "createcachetable"}
    | {"startapp", "startproject"}
)


def running() -> tuple[str, ...]:
    """Return the words of the management command that is starting; empty in a server or a shell.

    ``sys.argv`` alone does not tell ``manage.py check`` from a server that is called so.
    """
    management = sys.modules.get("django.core.management")
    if management is None:
        return ()
    frame: FrameType | None = sys._getframe()  # noqa: SLF001 - there is no other way to the caller
    while frame is not None:
        if frame.f_code.co_name == "execute":
            utility = frame.f_locals.get("self")
            if isinstance(utility, management.ManagementUtility):
                return tuple(utility.argv[1:]) or ("help",)
        frame = frame.f_back
    return ()


def needs_nothing(command: tuple[str, ...], more: tuple[str, ...]) -> bool:
    """Return whether *command* is one of those that load nothing, or of *more*."""
    return bool(command) and (command[0] in SKIPPED or command[0] in more)


def loads_later(command: tuple[str, ...]) -> bool:
    """Return whether *command* loads at the first use: tests bring credentials of their own."""
    return command[:1] == (_TEST,) or _only_watches(command)


def is_reloaded(command: tuple[str, ...]) -> bool:
    """Return whether this is the process that ``runserver`` starts anew when a file changes."""
    return _has_reloader(command) and os.environ.get(DJANGO_AUTORELOAD_ENV) == "true"


def _only_watches(command: tuple[str, ...]) -> bool:
    """Return whether this is the process that watches the one that serves."""
    return _has_reloader(command) and os.environ.get(DJANGO_AUTORELOAD_ENV) != "true"


def _has_reloader(command: tuple[str, ...]) -> bool:
    return command[:1] == (_RUNSERVER,) and "--noreload" not in command
