"""Secret files and git: whether a file is tracked, and whether it is ignored.

``git`` is asked where it is installed; nothing is passed to it but paths. A work tree may be
somebody else's, so that nothing in it is trusted: neither its ``.gitignore`` nor its settings.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import stat
import subprocess
from pathlib import Path

_SECONDS = 10
_YES, _NO = 0, 1
# Set inside git's hooks, where they would lead git to another repository than the file's.
_NOT_FOR_GIT = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_PREFIX")
# Settings of the work tree that would start programs of its choice; empty, because a git before
# 2.36 takes "false" for the name of one.
_HARMLESS = ("-c", "core.fsmonitor=", "-c", f"core.hooksPath={os.devnull}")
_OURS = ("TWILIO_", "SAFETWILIO_")
_LARGEST_LIST = 256 * 1024
# Only where the system knows them: no link is followed, and no FIFO waited for.
_CAREFULLY = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
_BINARY = getattr(os, "O_BINARY", 0)
_MEANT_FOR_A_SHELL = frozenset("$`\"';&|<>{}")
# What a killed process may leave is called so: the name of the file, this, and anything.
UNFINISHED = ".safetwilio-"
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

    So is what a process that was killed while it wrote *path* may leave beside it: the same secret.
    Outside a git work tree the line is written too: the first ``git init`` comes later. Of a
    symbolic link the file it names is meant. Raises ``OSError`` if the list cannot be written, is
    no regular file of at most 256 KiB, or if the name holds what a shell would act on.
    """
    target = _real(path)
    unfinished = target.with_name(f"{target.name}{UNFINISHED}x")
    if _git(target, "check-ignore", "-q") and _git(unfinished, "check-ignore", "-q"):
        return False
    listing = target.parent / ".gitignore"
    line = b"/" + _NOT_LITERAL.sub(rb"\\\g<0>", os.fsencode(target.name))
    text = _content(listing)
    lines = text.splitlines()
    missing = [
        each
        for each in (line, line + os.fsencode(UNFINISHED) + b"*")
        if each not in lines or any(n.startswith(b"!") for n in lines[lines.index(each) :])
    ]
    if not missing:
        return False
    if not target.name.isprintable() or not _MEANT_FOR_A_SHELL.isdisjoint(target.name):
        raise OSError(errno.EINVAL, "the name of the file holds characters that are not written")
    with os.fdopen(_open_or_make(listing), "ab") as stream:
        if os.fstat(stream.fileno()).st_nlink > 1:  # the other one may be anywhere
            raise OSError(errno.EMLINK, "the file has another name, too")
        first = b"\n" * (text != b"" and not text.endswith(b"\n"))
        stream.write(first + b"".join(each + b"\n" for each in missing))
    return True


def _open_or_make(listing: Path) -> int:
    """Open *listing* at its end; a new one belongs to whom its directory belongs."""
    append = os.O_WRONLY | os.O_APPEND
    try:
        handle = _open(listing, append | os.O_CREAT | os.O_EXCL)
    except FileExistsError:
        return _open(listing, append | os.O_CREAT)
    if hasattr(os, "fchown"):
        with contextlib.suppress(OSError):  # only root may give files away
            status = listing.parent.stat()
            os.fchown(handle, status.st_uid, status.st_gid)
    return handle


def _content(listing: Path) -> bytes:
    try:
        handle = _open(listing, os.O_RDONLY)
    except FileNotFoundError:
        return b""
    with os.fdopen(handle, "rb") as stream:
        text = stream.read(_LARGEST_LIST + 1)
    if len(text) > _LARGEST_LIST:
        raise OSError(errno.EFBIG, f"it is larger than {_LARGEST_LIST // 1024} KiB")
    return text


def _open(listing: Path, flags: int) -> int:
    """Open *listing* if it is a regular file; git, too, follows no link of that name."""
    if listing.is_symlink():
        raise OSError(errno.ELOOP, "it is a symbolic link")
    handle = os.open(listing, flags | _CAREFULLY | _BINARY, 0o666)
    mode = os.fstat(handle).st_mode
    if not stat.S_ISREG(mode):
        os.close(handle)
        raise OSError(errno.EINVAL, f"it is {'a directory' if stat.S_ISDIR(mode) else 'no file'}")
    return handle


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))


def _git(path: Path, *arguments: str) -> bool | None:
    """Return git's yes or no to *arguments* about *path*, ``None`` if it gives none in a work tree.

    git gets none of Twilio's variables nor of ours, for it may start programs of its own.
    """
    if not os.path.isdir(path.parent):  # noqa: PTH112 - False if not allowed to look
        return False
    git = shutil.which("git")
    status: int | None = None
    if git is not None:
        environment = {
            name: value
            for name, value in os.environ.items()
            if name not in _NOT_FOR_GIT and not name.startswith(_OURS)
        }
        try:
            status = subprocess.run(  # noqa: S603 - a fixed command without a shell
                # "./": a name may start with a colon, which means something else to git
                [git, "-C", str(path.parent), *_HARMLESS, *arguments, "--", f"./{path.name}"],
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
