"""Secret files and git: whether a file is tracked, and whether it is ignored.

``git`` is asked where it is installed; nothing is passed to it but paths.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

_SECONDS = 10
_YES, _NO = 0, 1
# Set inside git's hooks, where they would lead git to another repository than the file's.
_NOT_FOR_GIT = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_PREFIX")
_NOT_LITERAL = re.compile(rb"[\\*?\[]| $")


def is_tracked(path: Path) -> bool | None:
    """Return whether git has *path* in its index, so that the next push would publish it.

    A symbolic link counts as tracked if the file it names is. ``None`` means that *path* lies in
    a work tree, but git is not installed or does not answer there.
    """
    places = dict.fromkeys((Path(os.path.abspath(path)), _real(path)))  # noqa: PTH100 - keeps links
    answers = [
        _git(place, "--literal-pathspecs", "ls-files", "--error-unmatch") for place in places
    ]
    return True if True in answers else None if None in answers else False


def ignore(path: Path) -> bool:
    """Add *path* to the ``.gitignore`` beside it unless it is ignored; return whether it was added.

    Outside a git work tree the line is written too: the first ``git init`` comes later. Of a
    symbolic link the file it names is meant. Raises ``OSError`` if the list cannot be written.
    """
    target = _real(path)
    if _git(target, "check-ignore", "-q"):
        return False
    listing = target.parent / ".gitignore"
    line = b"/" + _NOT_LITERAL.sub(rb"\\\g<0>", os.fsencode(target.name))
    text = listing.read_bytes() if listing.exists() else b""
    lines = text.splitlines()
    if line in lines and not any(later.startswith(b"!") for later in lines[lines.index(line) :]):
        return False
    with listing.open("ab") as stream:
        stream.write(b"\n" * (text != b"" and not text.endswith(b"\n")) + line + b"\n")
    return True


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))


def _git(path: Path, *arguments: str) -> bool | None:
    """Return git's yes or no to *arguments* about *path*, ``None`` if it gives none in a work tree.

    git gets none of Twilio's variables, for it may start programs of its own.
    """
    if not os.path.isdir(path.parent):  # noqa: PTH112 - False if not allowed to look
        return False
    git = shutil.which("git")
    status: int | None = None
    if git is not None:
        environment = {
            name: value
            for name, value in os.environ.items()
            if name not in _NOT_FOR_GIT and not name.startswith("TWILIO_")
        }
        try:
            status = subprocess.run(  # noqa: S603 - a fixed command without a shell
                # "./": a name may start with a colon, which means something else to git
                [git, "-C", str(path.parent), *arguments, "--", f"./{path.name}"],
                capture_output=True,
                check=False,
                env=environment,
                stdin=subprocess.DEVNULL,
                timeout=_SECONDS,
            ).returncode
        except (OSError, subprocess.TimeoutExpired):
            status = None
    if status in {_YES, _NO}:
        return status == _YES
    return None if _in_a_work_tree(path) else False


def _in_a_work_tree(path: Path) -> bool:
    return any(os.path.exists(parent / ".git") for parent in path.parents)  # noqa: PTH110 - as above
