"""What a directory of heartbeats says, of which nothing is trusted."""

from __future__ import annotations

import contextlib
import json
import os
import re
import stat
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from safetwilio.errors import UsageError
from safetwilio.heartbeat.writing import (
    FORMAT,
    LONGEST_VERSION,
    SUFFIX,
    UNFINISHED,
    measure,
    reason_of,
)
from safetwilio.processes import Alive, Process, is_alive, this_process

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Self

LARGEST = 16 * 1024
_ABANDONED_SECONDS = 60
_IDLE = 2.0  # times the age: then a key is not used before a look
_LONGEST_NAME = 200
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,100}")
_FINGERPRINT = re.compile(r"[A-Z2-7]{8}")
_BOOT_ID = re.compile(r"[0-9a-f-]{1,64}")
_NAMESPACE = re.compile(r"[a-z0-9:\[\] _]{1,200}")
_ODD = re.compile(r"[^A-Za-z0-9_.@+-]")


class Heartbeat(NamedTuple):
    """What one process wrote of one *account*: the fingerprint of its *key*, at *told_at*.

    *version* is the document's, if it has one. The process looks for another key at *refresh_age*
    seconds, never by age without one. *measure* is the same where fingerprints can be compared.
    *is_alive* says whether the *process* is there, as far as can be known here.
    """

    service: str
    process: Process
    account: str
    key: str
    measure: str
    version: str | None
    told_at: float
    refresh_age: float | None
    file: str
    is_alive: Alive

    def is_idle(self, now: float | None = None) -> bool:
        """Return whether the process looks for the key before it sends a request again.

        It has not looked for :attr:`idle_after` until *now* (wall clock), as the parent of a
        server's workers, which sends none: it holds the old key, but would find the new one. That
        is known only :attr:`by_our_clock`: another host's may be slow. There, the file has to stay
        as it is for so long.
        """
        age = (time.time() if now is None else now) - self.told_at
        return self.idle_after is not None and age >= self.idle_after

    @property
    def idle_after(self) -> float | None:
        """The seconds without a look after which the process looks before it sends."""
        return None if self.refresh_age is None else _IDLE * self.refresh_age

    @property
    def by_our_clock(self) -> bool:
        """Whether the process has this one's clock: it runs on the same machine, not restarted."""
        boot_id = self.process.boot_id
        return boot_id is not None and boot_id == this_process().boot_id

    @property
    def host(self) -> str:
        """The machine that the process is on, as it calls itself."""
        return self.process.host

    @property
    def pid(self) -> int:
        """The number of the process there."""
        return self.process.pid


class Skipped(NamedTuple):
    """A file that is no heartbeat: its *name*, without odd characters, and *why* it is none."""

    name: str
    why: str


class Heartbeats(tuple[Heartbeat, ...]):  # noqa: SLOT001 - a tuple can have none
    """The heartbeats in a directory, and the files there that could not be read as one.

    Behind each of *skipped* there may be a process: only its own user, or nobody, can say.
    """

    skipped: tuple[Skipped, ...]

    def __new__(cls, found: Iterable[Heartbeat], skipped: Iterable[Skipped] = ()) -> Self:
        """Hold what was *found*, and what was *skipped*."""
        made = super().__new__(cls, found)
        made.skipped = tuple(skipped)
        return made

    def using(self, key: str) -> Heartbeats:
        """Return those that use the key of the fingerprint *key*, and are not known to be dead.

        One whose fingerprints were made with another ``SAFETWILIO_FINGERPRINT_KEY`` may use it.
        """
        ours = measure()
        return Heartbeats(
            (
                each
                for each in self
                if each.is_alive != "no" and (each.key == key or each.measure != ours)
            ),
            self.skipped,
        )


def read_heartbeats(directory: str | os.PathLike[str]) -> Heartbeats:
    """Return the heartbeats in *directory*, sorted by file name, with what was skipped there.

    What the files hold is not trusted: no link is followed, nothing but small regular files is
    read, and none makes this fail.

    :raises UsageError: ST957, if *directory* cannot be listed: nobody may take that for "no
        process uses the key".
    """
    found: list[Heartbeat] = []
    skipped: list[Skipped] = []
    for name in sorted(_names(directory)):
        if not name.endswith(SUFFIX) or name.startswith("."):
            continue
        outcome = _read(Path(directory) / name)
        if isinstance(outcome, Heartbeat):
            found.append(outcome)
        elif outcome:
            skipped.append(Skipped(_shown(name), outcome))
    return Heartbeats(found, skipped)


def sweep(directory: str | os.PathLike[str]) -> tuple[str, ...]:
    """Remove from *directory* what processes of this host left that are known to be dead.

    Returns the names of the heartbeats that are gone. One that may not be removed stays.

    :raises UsageError: ST957, if *directory* cannot be listed.
    """
    gone: list[str] = []
    for each in read_heartbeats(directory):
        if each.is_alive == "no":
            with contextlib.suppress(OSError):
                (Path(directory) / each.file).unlink()
                gone.append(each.file)
    for name in _names(directory):
        if name.startswith(UNFINISHED):
            _remove_abandoned(Path(directory) / name)
    return tuple(gone)


def _names(directory: str | os.PathLike[str]) -> set[str]:
    try:
        # Twice: a name that is replaced just now may be passed over, on some file systems.
        return {*os.listdir(directory), *os.listdir(directory)}  # noqa: PTH208
    except (OSError, ValueError) as error:
        reason = reason_of(error)
    raise UsageError(f"The directory of heartbeats cannot be listed: {reason}.", code="ST957")


def _read(path: Path) -> Heartbeat | str:
    """Return the heartbeat in *path*, or why it is none; an empty text if it is gone."""
    try:
        if path.is_symlink():  # where O_NOFOLLOW is missing
            return "a symbolic link"
        handle = os.open(path, _FLAGS)
        try:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                return "not a regular file"
            data = _all_of(handle)
        finally:
            os.close(handle)
    except FileNotFoundError:
        return ""
    except (OSError, ValueError) as error:
        return reason_of(error)
    if len(data) > LARGEST:
        return f"larger than {LARGEST // 1024} KiB"
    return _parsed(data, path.name)


_FLAGS = os.O_RDONLY
for _flag in ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_BINARY"):
    _FLAGS |= getattr(os, _flag, 0)  # a FIFO must keep nobody waiting


def _all_of(handle: int) -> bytes:
    data = b""
    while len(data) <= LARGEST and (more := os.read(handle, LARGEST + 1 - len(data))):
        data += more
    return data


def _parsed(data: bytes, name: str) -> Heartbeat | str:
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return "not JSON"
    if not isinstance(document, dict) or type(document.get("format")) is not int:
        return "not a heartbeat"
    if document["format"] != FORMAT:
        return "of another format"
    values: dict[str, Any] = {field: document.get(field) for field in _RULES}
    if not all(_RULES[field](value) for field, value in values.items()):
        return "not a heartbeat"
    process = Process(**{field: values.pop(field) for field in Process._fields})
    alive = is_alive(process, values["told_at"])
    return Heartbeat(process=process, file=name, is_alive=alive, **values)


def _text(pattern: re.Pattern[str]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and pattern.fullmatch(value) is not None


def _whole(least: int, end: int) -> Callable[[Any], bool]:
    return lambda value: type(value) is int and least <= value < end


def _seconds(value: Any) -> bool:
    return type(value) in {int, float} and 0 <= value < 1e11  # noqa: PLR2004 - the year 5138


def _version(value: Any) -> bool:
    return isinstance(value, str) and value.isprintable() and len(value) <= LONGEST_VERSION


def _or_none(rule: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: value is None or rule(value)


_RULES: dict[str, Callable[[Any], bool]] = {
    "service": _text(_NAME),
    "host": lambda value: value == "" or _text(_NAME)(value),
    "boot_id": _or_none(_text(_BOOT_ID)),
    "namespace": _or_none(_text(_NAMESPACE)),
    "pid": _whole(1, 2**31),
    "started": _or_none(_whole(0, 2**63)),
    "account": _text(_NAME),
    "key": _text(_FINGERPRINT),
    "measure": _text(_FINGERPRINT),
    "version": _or_none(_version),
    "told_at": _seconds,
    "refresh_age": _or_none(_seconds),
}


def _remove_abandoned(path: Path) -> None:
    """Remove what a killed process left half-written; a young file may be another's at work."""
    with contextlib.suppress(OSError):
        if time.time() - path.lstat().st_mtime > _ABANDONED_SECONDS:
            path.unlink()


def _shown(name: str) -> str:
    return _ODD.sub("?", name)[:_LONGEST_NAME]
