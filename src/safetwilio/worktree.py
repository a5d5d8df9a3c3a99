"""Secret files and git: whether a file is tracked, and whether it is ignored.

``git`` is asked where it is installed; nothing is passed to it but paths.
"""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_SECONDS = 10


def is_tracked(path: Path) -> bool:
    """Return whether git has *path* in its index, so that the next push would publish it."""
    return _git(path, "ls-files", "--error-unmatch", "--", path.name) == 0


def is_ignored(path: Path) -> bool:
    """Return whether git would leave *path* out of ``git add .``."""
    return _git(path, "check-ignore", "-q", "--", path.name) == 0


def ignore(path: Path) -> bool:
    """Add *path* to the ``.gitignore`` beside it unless it is ignored; return whether it was added.

    Outside a git work tree the line is written too: the first ``git init`` comes later.
    """
    if is_ignored(path):
        return False
    listing = path.parent / ".gitignore"
    text = listing.read_text(encoding="utf-8") if listing.exists() else ""
    line = f"/{path.name}"
    if line in text.splitlines():
        return False
    if text and not text.endswith("\n"):
        text += "\n"
    listing.write_text(f"{text}{line}\n", encoding="utf-8")
    return True


def _git(path: Path, *arguments: str) -> int | None:
    """Return git's exit status in the directory of *path*, or ``None`` where there is no git."""
    git = shutil.which("git")
    if git is None or not path.parent.is_dir():
        return None
    try:
        done = subprocess.run(  # noqa: S603 - a fixed command without a shell
            [git, "-C", str(path.parent), *arguments],
            capture_output=True,
            check=False,
            timeout=_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.returncode
