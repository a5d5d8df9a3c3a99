"""What this process writes: which key it uses, atomically, and never in a program's way."""

from __future__ import annotations

import atexit
import contextlib
import json
import logging
import os
import tempfile
import threading
import time
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from safetwilio.problems import Problem, render_one
from safetwilio.processes import Process, plain, service_of, this_process
from safetwilio.redaction import redact
from safetwilio.redaction.fingerprints import fingerprint

if TYPE_CHECKING:
    from collections.abc import Callable

VARIABLE = "SAFETWILIO_HEARTBEAT"
SERVICE = "SAFETWILIO_SERVICE"
FORMAT = 1
SUFFIX = ".json"
UNFINISHED = ".safetwilio-heartbeat-"
LONGEST_VERSION = 200
_MODE = 0o640
_NO_KEY = "safetwilio heartbeat: a text that is no key"

_log = logging.getLogger("safetwilio")


class _Key(Protocol):
    @property
    def sid(self) -> str: ...

    version: str | None


class _Home(NamedTuple):
    """Where this process writes, settled once: it may change its directory later on."""

    text: str
    directory: Path
    service: str


class _Writer:
    """What this process has written; a forked child has written nothing yet."""

    def __init__(self) -> None:
        self.home: _Home | None = None
        self.problem: Problem | None = None
        self.is_over = False
        self.forget_threads()

    def forget_threads(self) -> None:
        """Begin anew in a forked child, where its parent would write."""
        self.lock = threading.RLock()  # a signal handler of the same thread may write, too
        self.files: set[Path] = set()

    def write(self, account: str, current: Callable[[], _Key], refresh_age: float) -> None:
        """Write what *current* returns now: with the lock, or an older key might come last."""
        text = os.environ.get(VARIABLE, "").strip()
        if not text:
            return
        with self.lock:
            if self.is_over:
                return
            if self.home is None or self.home.text != text:
                service = os.environ.get(SERVICE, "").strip() or service_of()
                self.home = _Home(text, Path(text).absolute(), plain(redact(service)))
            process = this_process()
            path = self.home.directory / _file_name(self.home.service, process, account)
            self.files.add(path)
            _replace(path, content_of(self.home.service, process, account, current(), refresh_age))

    def remove(self) -> None:
        """Remove what this process has written, at its end."""
        self.is_over = True
        if not self.lock.acquire(timeout=1.0):  # a disk that hangs must not hang the end
            return
        for path in self.files:
            with contextlib.suppress(OSError):
                path.unlink()


_writer = _Writer()
atexit.register(_writer.remove)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_writer.forget_threads)


def beat(account: str, current: Callable[[], _Key], refresh_age: float) -> None:
    """Write which key *account* uses, if ``SAFETWILIO_HEARTBEAT`` says where; never raise.

    *current* returns the key, which is looked for again at *refresh_age*. That it cannot be
    written is logged once, until it can again.
    """
    try:
        _writer.write(account, current, refresh_age)
    except Exception as error:  # noqa: BLE001 - a program must not stop for this
        problem = _unwritten(error)
    else:
        _writer.problem = None
        return
    is_known, _writer.problem = _writer.problem is not None, problem
    if not is_known:
        _log.warning("%s", render_one(problem))


def problems() -> tuple[Problem, ...]:
    """Return why the last heartbeat could not be written (ST957), nothing if it could."""
    return (_writer.problem,) if _writer.problem else ()


def measure() -> str:
    """Return what is the same in processes whose fingerprints can be compared."""
    return fingerprint(_NO_KEY)


def _file_name(service: str, process: Process, account: str) -> str:
    """Return a name that no other process has, also in a container that is called the same."""
    host = process.host or "unnamed"
    tag = sha256(repr(process).encode()).hexdigest()[:8]
    return f"{service}.{host}.{process.pid}-{tag}.{account}{SUFFIX}"


def content_of(
    service: str, process: Process, account: str, key: _Key, refresh_age: float
) -> bytes:
    """Return what the file says: of *key* no more than its fingerprint and version."""
    version = (key.version or "")[:LONGEST_VERSION]
    document = {
        "format": FORMAT,
        "service": service,
        **process._asdict(),
        "account": account,
        "key": fingerprint(key.sid),
        "measure": measure(),
        "version": "".join(c if c.isprintable() else "?" for c in version) or None,
        "told_at": round(time.time(), 3),
        "refresh_age": refresh_age if refresh_age < float("inf") else None,
    }
    return redact(json.dumps(document)).encode("ascii")  # a plug-in's version may be anything


def _replace(path: Path, data: bytes) -> None:
    """Replace *path* by *data* in one step; it need not outlive the machine."""
    handle, name = tempfile.mkstemp(prefix=UNFINISHED, dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as stream:
            if hasattr(os, "fchmod"):
                os.fchmod(stream.fileno(), _MODE)
            stream.write(data)
        Path(name).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise


def _unwritten(error: Exception) -> Problem:
    return Problem(
        code="ST957",
        summary="The heartbeat of this process could not be written.",
        found_in=(f"env {VARIABLE} ({reason_of(error)})",),
        fix="Let it name a directory where the user that runs this program may make files. The "
        "program goes on; who rotates keys does not see that it uses one.",
        severity="warning",
    )


def reason_of(error: Exception) -> str:
    """Return why the system refused, in its own words; an error's text may hold anything."""
    number = getattr(error, "errno", None)
    return os.strerror(number) if isinstance(number, int) else type(error).__name__
