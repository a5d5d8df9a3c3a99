"""Reading and writing small secret files: bounded, atomic, private."""

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

from safetwilio.errors import BackendDenied, BackendError
from safetwilio.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

_LARGEST = 256 * 1024
_UNFINISHED = ".safetwilio-"
_ABANDONED_SECONDS = 60
_LOCK = "lock"
_LONGEST_WAIT = 10.0
_PAUSE = 0.02
# Orchestrators mount secrets readable inside the container on purpose.
_MOUNTED = ("/run/secrets", "/var/run/secrets", "/mnt/secrets-store")
# So does the kubelet, anywhere: each file is a link through this one to the directory of a version.
KUBERNETES_LINK = "..data"


def read_bytes(path: Path, place: str) -> tuple[bytes, tuple[Problem, ...]] | None:
    """Return the content of *path* and warnings about it, or ``None`` when it does not exist.

    *place* names it in messages. At most 256 KiB are read. Raises
    :class:`safetwilio.errors.BackendDenied` (ST303) when it may not be read, and
    :class:`safetwilio.errors.BackendError` (ST308) when it is no small regular file.
    """
    failure: OSError | None = None
    try:
        # O_NONBLOCK: a FIFO in the secret's place must not hang the boot.
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        try:
            status = os.fstat(handle)
            regular = stat.S_ISREG(status.st_mode)
            data = _read_all(handle) if regular else b""
        finally:
            os.close(handle)
    except (FileNotFoundError, ValueError):  # ValueError: a path with a NUL names nothing
        return None
    except OSError as error:
        failure = error
    if failure is not None:
        if failure.errno == errno.ENOTDIR:
            return None
        raise _unreadable(place, failure)
    if not regular or len(data) > _LARGEST:
        raise _unusable(place, status.st_mode)
    return data, _permission_warning(path, place, status.st_mode)


def is_directory(path: Path, place: str) -> bool:
    """Return whether *path* is a directory; raises ST303 when that may not even be asked."""
    failure: OSError | None = None
    try:
        return stat.S_ISDIR(path.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return False
    except OSError as error:
        failure = error
    raise _unreadable(place, failure)


def read_text(path: Path, place: str) -> tuple[str, tuple[Problem, ...]] | None:
    """Return the text of *path* and warnings, or ``None``; as :func:`read_bytes`.

    A file that is not UTF-8 raises :class:`safetwilio.errors.BackendError` (ST308).
    """
    answer = read_bytes(path, place)
    if answer is None:
        return None
    data, problems = answer
    text = _decoded(data)
    if text is None:
        raise BackendError(
            [
                Problem(
                    code="ST308",
                    summary="A secret file is not UTF-8 text.",
                    found_in=(place,),
                    fix="Save the file as UTF-8. Windows PowerShell's > writes UTF-16; use "
                    "Set-Content -Encoding utf8.",
                )
            ]
        )
    return text, problems


def read_secret_file(path: str, place: str) -> tuple[str, tuple[Problem, ...]]:
    """Return the text of the file that a ``…_FILE`` variable at *place* names.

    Raises :class:`safetwilio.errors.BackendError` (ST305) when it is missing: the variable says
    that the secret is there.
    """
    answer = read_text(Path(path), f"the file named by {place}")
    if answer is None:
        raise BackendError(
            [
                Problem(
                    code="ST305",
                    summary="A file that should hold a secret does not exist.",
                    found_in=(f"the file named by {place}",),
                    fix="Correct the path, mount the file, or remove the variable.",
                )
            ]
        )
    return answer


def is_foreign_link(path: Path) -> bool:
    """Return whether *path* is a link that a user has made who has no say over its directory.

    It may lead to any file of this user's. Linux has such a rule itself, for what is opened.
    """
    if not hasattr(os, "geteuid"):
        return False
    try:
        status, directory = path.lstat(), path.parent.stat()
    except (OSError, ValueError):
        return False
    trusted = {os.geteuid(), directory.st_uid, 0}
    return stat.S_ISLNK(status.st_mode) and status.st_uid not in trusted


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
    _sync_directory(target.parent)


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
        if _take(handle) and os.path.samestat(os.fstat(handle), beside.lstat()):
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


def _take(handle: int) -> bool:
    """Return whether nobody else has the lock on *handle*, which is then this process's."""
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


def _read_all(handle: int) -> bytes:
    chunks: list[bytes] = []
    size = 0
    while size <= _LARGEST and (chunk := os.read(handle, 65536)):
        chunks.append(chunk)
        size += len(chunk)
    return b"".join(chunks)


def _decoded(data: bytes) -> str | None:
    if b"\0" in data:  # UTF-16 without a mark would decode as nonsense
        return None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None


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


def _sync_directory(directory: Path) -> None:
    """Make the new name last; the content is in place already, so that a failure is none."""
    if os.name == "posix":
        with contextlib.suppress(OSError):
            handle = os.open(directory, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)


def _permission_warning(path: Path, place: str, mode: int) -> tuple[Problem, ...]:
    others = mode & (stat.S_IRWXG | stat.S_IRWXO)
    if os.name != "posix" or not others or _is_mounted(path, mode):
        return ()
    return (
        Problem(
            code="ST306",
            summary="Other users of this machine may read a secret file.",
            found_in=(f"{place} (mode {stat.S_IMODE(mode):04o})",),
            fix=f"Run: chmod 600 {path}",
            severity="warning",
        ),
    )


def _is_mounted(path: Path, mode: int) -> bool:
    """Return whether an orchestrator has put *path* there, who lets nobody write to it."""
    absolute = Path(os.path.abspath(path))  # noqa: PTH100 - without .. and with its links
    if any(absolute.is_relative_to(directory) for directory in _MOUNTED):
        return True
    if mode & (stat.S_IWGRP | stat.S_IWOTH):
        return False
    version = Path(os.path.realpath(path)).parent
    link = version.parent / KUBERNETES_LINK
    return version.name.startswith("..") and link.is_symlink() and link.exists()


def _unreadable(place: str, failure: OSError) -> BackendError:
    reason = os.strerror(failure.errno) if failure.errno else type(failure).__name__
    kind = BackendDenied if failure.errno in {errno.EACCES, errno.EPERM} else BackendError
    return kind(
        [
            Problem(
                code="ST303",
                summary="A secret file cannot be read.",
                found_in=(f"{place} ({reason})",),
                fix="Give the user that runs this program read access to the file and to the "
                "directories above it.",
            )
        ]
    )


def _unusable(place: str, mode: int) -> BackendError:
    fix = "Name the file that holds the secret and nothing else."
    what = f"larger than {_LARGEST // 1024} KiB" if stat.S_ISREG(mode) else "not a regular file"
    if stat.S_ISDIR(mode):
        what = "a directory"
        fix = (
            "Name the file itself. Docker makes a directory where the file to mount is missing on "
            "the host: remove it there, make the file, and start the container anew."
        )
    return BackendError(
        [
            Problem(
                code="ST308",
                summary=f"A secret file is {what}.",
                found_in=(place,),
                fix=fix,
            )
        ]
    )
