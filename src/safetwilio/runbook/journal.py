"""What a run did, on disk before it goes on: lines of JSON, each chained to the one before.

A line counts once it is whole and on disk. What a killed process left of a last line never
counted, and is taken away by who goes on with the run. The chain shows that a line was altered or
taken out; it is no signature, and does not show that lines are missing at the end.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from safetwilio.errors import JournalError
from safetwilio.private_files import sync_directory, take
from safetwilio.redaction.engine import redact

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path
    from types import TracebackType
    from typing import Self

SUFFIX = ".jsonl"
_ROOT = 0
_LARGEST = 4 << 20  # bytes; a run writes a few kilobytes
_FIRST = hashlib.sha256(b"safetwilio journal 1").hexdigest()
# A SID is none.
_SECRETS = ("[TWILIO:secret:", "[TWILIO:token:", "[TWILIO:hidden]", "[TWILIO:redaction-failed]")


class Entry(NamedTuple):
    """One line: its *number* from 0, *at* which time (ISO 8601, UTC), what happened, the facts."""

    number: int
    at: str
    event: str
    facts: Mapping[str, Any]


class Journal:
    """The journal of one run, open in this process and in no other."""

    def __init__(self, path: Path, handle: int, entries: list[Entry], chain: str) -> None:
        """Go on after *entries*, the last of which has the hash *chain*; see :func:`begin`."""
        self.path = path
        self._handle = handle
        self._entries = entries
        self._chain = chain

    @property
    def entries(self) -> tuple[Entry, ...]:
        """What happened so far."""
        return tuple(self._entries)

    def append(self, event: str, **facts: Any) -> None:
        """Write that *event* happened, with its *facts*; it is on disk when this returns.

        Raises :class:`JournalError`: ST952 if the disk does not take it, ST950 for a fact that is
        a secret.
        """
        entry = Entry(len(self._entries), datetime.now(UTC).isoformat(), event, facts)
        line, chain = _written(entry, self._chain)
        if any(mark in redact(line) for mark in _SECRETS):
            del line, entry, facts
            raise JournalError("A secret was about to be written to the journal.", code="ST950")
        failure: OSError | None = None
        try:
            _write_all(self._handle, f"{line}\n".encode())
            os.fsync(self._handle)
        except OSError as error:
            failure = error
        if failure is not None:
            self.close()  # nothing may follow half a line
            raise _stopped(self.path, failure)
        self._entries.append(entry)
        self._chain = chain

    def close(self) -> None:
        """Let other processes have it."""
        handle, self._handle = self._handle, -1
        _close(handle)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def begin(path: Path, event: str, **facts: Any) -> Journal:
    """Return a new journal at *path*, mode 0600, whose first entry is *event*.

    Raises :class:`JournalError` (ST952) if it cannot be made, or is there already.
    """
    failure: OSError | None = None
    journal = Journal(path, -1, [], _FIRST)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        journal = Journal(path, _created(path), [], _FIRST)
        sync_directory(path.parent)
    except OSError as error:
        failure = error
    if failure is not None:
        journal.close()
        raise _not_written(path, failure)
    try:
        journal.append(event, **facts)
    except JournalError:
        journal.close()
        raise
    return journal


def reopen(path: Path) -> Journal:
    """Return the journal at *path*, to go on with; what was left of a last line is taken away.

    Raises :class:`JournalError`: ST950 if it was altered, ST951 if another process has it, ST952
    if it cannot be read or written.
    """
    failure: OSError | JournalError
    handle = -1
    try:
        handle = _open(path, os.O_RDWR | os.O_APPEND)
        _require_alone(path, handle)
        data = _read_all(handle)
        whole = data.rfind(b"\n") + 1
        entries, chain = _understood(path, data)  # or it is none of ours to cut
        if whole < len(data):
            os.ftruncate(handle, whole)
            os.fsync(handle)
        return Journal(path, handle, entries, chain)
    except (OSError, JournalError) as error:
        failure = error
    _close(handle)
    raise _not_written(path, failure) if isinstance(failure, OSError) else failure


def read(path: Path) -> tuple[Entry, ...]:
    """Return the entries of the journal at *path*, which another process may be writing.

    Raises :class:`JournalError`: ST950 if it was altered, ST952 if it cannot be read.
    """
    failure: OSError | None = None
    data = b""
    handle = -1
    try:
        handle = _open(path, os.O_RDONLY)
        data = _read_all(handle)
    except OSError as error:
        failure = error
    _close(handle)
    if failure is not None:
        raise _not_written(path, failure)
    return tuple(_understood(path, data)[0])


def journals_in(directory: Path) -> list[Path]:
    """Return the journals in *directory*, the oldest first; none if it is not there.

    Raises :class:`JournalError` (ST952) if it cannot be listed: nobody may take that for none.
    """
    failure: OSError
    try:
        return sorted(path for path in directory.iterdir() if path.name.endswith(SUFFIX))
    except FileNotFoundError:
        return []
    except OSError as error:
        failure = error
    raise _not_written(directory, failure)


def entries_of(entries: Iterable[Entry], event: str, facts: Mapping[str, Any]) -> tuple[Entry, ...]:
    """Return those of *entries* that are of *event* and have these *facts*."""
    return tuple(e for e in entries if e.event == event and facts.items() <= e.facts.items())


def _understood(path: Path, data: bytes) -> tuple[list[Entry], str]:
    """Return the entries in the whole lines of *data*, and the hash of the last; raise ST950."""
    entries: list[Entry] = []
    chain = _FIRST
    for number, line in enumerate(data.split(b"\n")[:-1] if len(data) <= _LARGEST else [b""]):
        entry = None
        try:
            found = json.loads(line)
            entry = Entry(found["number"], found["at"], found["event"], found["facts"])
            written, chain = _written(entry, chain)
            sound = entry.number == number and written.encode() == line
        except (ValueError, TypeError, KeyError, RecursionError):
            sound = False
        if entry is None or not sound:
            raise JournalError(
                f"The journal {path} was altered: its line {number + 1} does not follow from the "
                "one before. Nothing was done. Look in the Console which API keys there are, and "
                "move the journal away to begin anew.",
                code="ST950",
            )
        entries.append(entry)
    return entries, chain


def _written(entry: Entry, chain: str) -> tuple[str, str]:
    """Return the line of *entry*, which follows the one with the hash *chain*, and its own hash."""
    body = {**entry._asdict(), "after": chain}
    own = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
    return json.dumps({**body, "hash": own}, sort_keys=True), own


def _require_alone(path: Path, handle: int) -> None:
    """Lock *handle* until it is closed, or raise ST951."""
    if not take(handle):
        raise JournalError(
            f"Another process goes on with this run just now ({path}). Wait for its end; or stop "
            "it there with Ctrl-C, which loses nothing, and give the command again.",
            code="ST951",
        )


def _created(path: Path) -> int:
    """Return a handle of the new file at *path*, locked."""
    handle = _open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_APPEND)
    try:
        if hasattr(os, "fchmod"):
            os.fchmod(handle, stat.S_IRUSR | stat.S_IWUSR)  # a umask may have taken that away
        _require_alone(path, handle)
    except BaseException:
        os.close(handle)
        raise
    return handle


def _open(path: Path, flags: int) -> int:
    """Return a handle of *path*, where only who may act for this user can have put something.

    Who may write to the directory could still leave a journal there that names keys to delete. No
    link is followed, and a FIFO keeps nobody waiting.
    """
    if os.name == "posix" and path.parent.stat().st_mode & stat.S_IWOTH:
        raise OSError(errno.EPERM, "anybody may write to its directory (chmod o-w)")
    for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_BINARY"):
        flags |= getattr(os, name, 0)
    handle = os.open(path, flags, stat.S_IRUSR | stat.S_IWUSR)
    found = os.fstat(handle)
    failure = ""
    if not stat.S_ISREG(found.st_mode):
        failure = "it is no regular file"
    elif os.name == "posix" and found.st_uid not in {os.geteuid(), _ROOT}:
        failure = f"it is another user's (uid {found.st_uid}), who has to go on with it"
    if not failure:
        return handle
    os.close(handle)
    raise OSError(errno.EPERM, failure)


def _close(handle: int) -> None:
    if handle >= 0:
        os.close(handle)


def _read_all(handle: int) -> bytes:
    os.lseek(handle, 0, os.SEEK_SET)
    data = b""
    while len(data) <= _LARGEST and (part := os.read(handle, 1 << 16)):
        data += part
    return data


def _write_all(handle: int, data: bytes) -> None:
    while data:
        data = data[os.write(handle, data) :]


def _stopped(path: Path, failure: OSError) -> JournalError:
    return JournalError(
        f"The journal {path} takes no more: {failure.strerror}. The run has begun, and stopped "
        "here. Make room, and give the same command with the same journal: it goes on.",
        code="ST952",
    )


def _not_written(path: Path, failure: OSError) -> JournalError:
    return JournalError(
        f"The journal {path} cannot be written or read: {failure.strerror}. Nothing is changed "
        "without one. Name another directory with --journal or SAFETWILIO_JOURNAL.",
        code="ST952",
    )
