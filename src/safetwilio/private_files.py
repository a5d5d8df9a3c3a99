"""Small private files: written in one step, and changed by one process at a time."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_UNFINISHED = ".safetwilio-"
_ABANDONED_SECONDS = 60
_LOCK = "lock"
_LONGEST_WAIT = 10.0
_PAUSE = 0.02


def write_private(path: Path, data: bytes) -> None:
    """Replace *path* by *data* in one step, mode 0600; after a crash it is the old or the new.

    A symbolic link is followed, so that the file it names is replaced and the link stays. The
    owner stays, too: an administrator's command must not lock the program out. A new file gets
    the directory's owner, and so does one in a directory that others may write to, where the old
    one may be anybody's. What a killed process may leave is a file ``NAME.safetwilio-…`` beside
    it, of mode 0600; a later call removes it.
    """
    target = Path(os.path.realpath(path))
    prefix = f"{target.name}{_UNFINISHED}"
    _remove_abandoned(target.parent, prefix)
    handle, name = tempfile.mkstemp(prefix=prefix, dir=target.parent)  # mode 0600
    try:
        with os.fdopen(handle, "wb") as stream:
            _keep_owner(target, stream.fileno())
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        Path(name).replace(target)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise
    sync_directory(target.parent)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Keep other processes that change *path* out of the block, for as long as it takes.

    The lock is on a file ``NAME.safetwilio-lock`` beside it, which is gone afterwards; one that a
    killed process has left is nobody's, and taken over. Raises :class:`OSError`, in particular
    ``EBUSY`` when another process keeps it for 10 seconds.
    """
    target = Path(os.path.realpath(path))
    beside = target.with_name(f"{target.name}{_UNFINISHED}{_LOCK}")
    end = time.monotonic() + _LONGEST_WAIT
    while (handle := _try_to_lock(beside, target)) is None:
        if time.monotonic() > end:
            raise OSError(errno.EBUSY, f"another process has kept {beside} for too long")
        time.sleep(_PAUSE)
    try:
        yield
    finally:
        _unlock(beside, handle)


def _try_to_lock(beside: Path, target: Path) -> int | None:
    """Return the handle of *beside*, locked; ``None`` if another has it, or has removed it."""
    try:
        handle = _open_lock(beside, target)
    except (FileExistsError, FileNotFoundError):
        return None  # made or removed by another just now
    except PermissionError:
        if os.name == "posix":
            raise
        return None  # Windows: the one who has it is about to remove it
    try:
        # Removed since it was opened, it is no longer the one that others look at.
        if take(handle) and os.path.samestat(os.fstat(handle), beside.lstat()):
            return handle
    except FileNotFoundError:
        pass
    except BaseException:
        os.close(handle)
        raise
    os.close(handle)
    return None


def _open_lock(beside: Path, target: Path) -> int:
    # Never written to, not followed, and its owner changed only if it is ours: whoever may make
    # files here may have made a link to one of this user's.
    flags = os.O_RDWR | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    if os.path.lexists(beside):
        return os.open(beside, flags)
    handle = os.open(beside, flags | os.O_CREAT | os.O_EXCL, stat.S_IRUSR | stat.S_IWUSR)
    _keep_owner(target, handle)
    return handle


def take(handle: int) -> bool:
    """Return whether nobody else has the lock on *handle*, which is this process's till its end."""
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except ImportError:  # WebAssembly: there is no other process
        return True
    except OSError as error:
        if error.errno in {errno.EACCES, errno.EAGAIN, errno.EDEADLK}:
            return False
        raise
    return True


def _unlock(beside: Path, handle: int) -> None:
    """Remove *beside*, which is locked by *handle*, and let the next one in."""
    if os.name == "posix":  # while it is ours still: the next one's must not be removed
        with contextlib.suppress(OSError):
            beside.unlink()
    os.close(handle)
    if os.name != "posix":  # elsewhere an open file cannot be removed, ours or the next one's
        with contextlib.suppress(OSError):
            beside.unlink()


def _remove_abandoned(directory: Path, prefix: str) -> None:
    """Remove what killed processes left in *directory*; a young file may be another's at work."""
    with contextlib.suppress(OSError):
        for entry in directory.iterdir():
            with contextlib.suppress(OSError):
                age = time.time() - entry.lstat().st_mtime
                mine = entry.name.startswith(prefix) and entry.name != f"{prefix}{_LOCK}"
                if mine and age > _ABANDONED_SECONDS:
                    entry.unlink()


def _keep_owner(target: Path, handle: int) -> None:
    """Give the new file behind *handle* the owner that *target* has or should have.

    By its handle: whoever may write to the directory may have put a link in the place of its name.
    """
    if hasattr(os, "fchown"):
        with contextlib.suppress(OSError):  # only root may give files away
            owner = _owner(target)
            os.fchown(handle, owner.st_uid, owner.st_gid)


def _owner(target: Path) -> os.stat_result:
    """Return the status of *target*, or of its directory if that is none or may be anybody's."""
    directory = target.parent.stat()
    try:
        status = target.lstat()
    except FileNotFoundError:
        return directory
    shared = directory.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    return directory if shared else status


def sync_directory(directory: Path) -> None:
    """Make the new name last; the content is in place already, so that a failure is none."""
    if os.name == "posix":
        with contextlib.suppress(OSError):
            handle = os.open(directory, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
