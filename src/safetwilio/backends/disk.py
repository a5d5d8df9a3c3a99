"""Reading small secret files: bounded, whatever stands in their place."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from safetwilio.errors import BackendDenied, BackendError
from safetwilio.problems import Problem

_LARGEST = 256 * 1024
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
