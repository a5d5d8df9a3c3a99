"""Which process this is, and whether one that was written down is alive still.

A number alone does not say: it is given again to another process, after a restart of the machine,
and in each container.
"""

from __future__ import annotations

import os
import re
import time
from typing import Literal, NamedTuple

Alive = Literal["yes", "no", "unknown"]

_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9_.-]+")
_ANYONE = "app"
_NAMELESS = frozenset({"", "localhost", "localhost.localdomain"})  # any machine may be called so
_BOOT_ID = "/proc/sys/kernel/random/boot_id"
_NAMESPACES = ("/proc/self/ns/pid", "/proc/self/ns/time")
_ENDED = frozenset({"Z", "X", "x"})  # states of a process that only waits to be forgotten
_STARTED = 19  # of the fields of /proc/PID/stat after the name, which may hold anything
_LONGEST = 100


class Process(NamedTuple):
    """One process: *pid* on the machine *host*, as that was started with *boot_id*.

    *namespace* says which numbers of processes and which clock are meant, *started* when it began,
    in ticks of that clock. What the system does not say is ``None``.
    """

    host: str
    boot_id: str | None
    namespace: str | None
    pid: int
    started: int | None


def this_process() -> Process:
    """Return the process that asks."""
    _, started = _state_of("self")
    return Process(_host(), _read(_BOOT_ID), _namespace(), os.getpid(), started)


def is_alive(seen: Process, at: float) -> Alive:
    """Return whether the process *seen* at that time (wall clock) is there; *unknown* if in doubt.

    Of another machine, or of another container, nobody here can say. A machine of the same name
    that was started anew is this one only if it was seen before this one started.
    """
    here = this_process()
    if seen.host != here.host or here.host in _NAMELESS:
        return "unknown"
    if seen.boot_id != here.boot_id:
        if seen.boot_id is None or here.boot_id is None:
            return "unknown"
        return "no" if at < _up_since() else "unknown"
    if seen.namespace != here.namespace:
        return "unknown"
    if seen == here:
        return "yes"
    return _is_running(seen) if os.name == "posix" else "unknown"  # elsewhere to ask is to kill


def service_of(directory: str | None = None) -> str:
    """Return a service name from the name of *directory* (default: the current one)."""
    try:
        where = os.path.abspath(directory or os.getcwd())  # noqa: PTH100, PTH109
    except FileNotFoundError:  # the current directory was deleted
        return _ANYONE
    return os.path.basename(where) or _ANYONE  # noqa: PTH119


def plain(name: str, longest: int = _LONGEST) -> str:
    """Return *name* with dashes for all but letters, digits, ``_``, ``.`` and ``-``; or ``app``."""
    return _NOT_IN_A_NAME.sub("-", name).strip(".-")[:longest] or _ANYONE


def _is_running(seen: Process) -> Alive:
    try:
        os.kill(seen.pid, 0)  # nothing is sent
    except ProcessLookupError:
        return "no"
    except (OSError, OverflowError):  # it is another user's
        pass
    state, started = _state_of(str(seen.pid))
    if state in _ENDED:
        return "no"
    if started is None or seen.started is None:
        return "unknown"  # it may be another one that was given the number
    return "yes" if started == seen.started else "no"


def _state_of(pid: str) -> tuple[str, int | None]:
    """Return the state of the process *pid* and when it started, where the system says so."""
    fields = (_read(f"/proc/{pid}/stat") or "").rpartition(")")[2].split()
    try:
        return fields[0], int(fields[_STARTED])
    except (IndexError, ValueError):
        return "", None


def _up_since() -> float:
    """Return when this machine was started (wall clock); minus infinity if it does not say."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    if clock is None:
        return float("-inf")
    return time.time() - time.clock_gettime(clock)


def _host() -> str:
    import socket

    try:
        name = socket.gethostname()
    except OSError:
        return ""
    return plain(name) if name else ""


def _namespace() -> str | None:
    try:
        return " ".join(os.readlink(path) for path in _NAMESPACES)  # noqa: PTH115
    except (OSError, AttributeError):
        return None


def _read(path: str) -> str | None:
    try:
        with open(path, encoding="ascii", errors="replace") as file:  # noqa: PTH123
            return file.read(4096).strip()
    except OSError:
        return None
