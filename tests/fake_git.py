"""A stand-in for git, for the tests that must run where none is installed.

tests/system/test_git.py asks the real one the same questions.
"""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_PROGRAM = """\
#!{python} -IS
import json, os, sys
_, directory, *command, dashes, name = sys.argv[1:]
assert (dashes, name[:2]) == ("--", "./"), sys.argv
name = name[2:]
with open({calls!r}, "a") as calls:
    print(json.dumps([sys.argv, dict(os.environ)]), file=calls)
top = os.path.realpath(directory)
while not os.path.isdir(top + "/.git"):
    if top == "/":
        sys.exit(128)
    top = os.path.dirname(top)
if os.path.exists(top + "/.git/broken"):
    sys.exit(128)
if "ls-files" in command:
    listing, line = top + "/.git/tracked", os.path.realpath(directory) + "/" + name
else:
    listing, line = directory + "/.gitignore", "/" + name
lines = open(listing).read().splitlines() if os.path.exists(listing) else []
sys.exit(0 if line in lines else 1)
"""


class FakeGit:
    """A ``git`` in *directory* that knows ``ls-files`` and ``check-ignore``."""

    def __init__(self, directory: Path) -> None:
        """Write the program."""
        directory.mkdir()
        self.directory = directory
        self._calls = directory / "calls"
        program = directory / "git"
        program.write_text(_PROGRAM.format(python=sys.executable, calls=str(self._calls)))
        program.chmod(0o755)

    @property
    def path(self) -> str:
        """A PATH that finds this git first."""
        return os.pathsep.join([str(self.directory), os.environ["PATH"]])

    def init(self, top: Path, *tracked: Path, broken: bool = False) -> None:
        """Make *top* a work tree with the files *tracked*; a *broken* one answers nothing."""
        (top / ".git").mkdir()
        (top / ".git" / "tracked").write_text("".join(f"{path}\n" for path in tracked))
        if broken:
            (top / ".git" / "broken").touch()

    def calls(self) -> list[tuple[list[str], dict[str, str]]]:
        """Return arguments and environment of each call."""
        text = self._calls.read_text() if self._calls.exists() else ""
        return [(arguments, env) for arguments, env in map(json.loads, text.splitlines())]
