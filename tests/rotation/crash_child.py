"""The processes that are killed: one forks all others, and each counts the points it comes by.

To start an interpreter takes as long as ten rotations, so one process imports everything and then
forks a child for each order (a line of JSON on its standard input). A child runs the command line
and is killed at the point that the order names, where nothing else gets a chance to be tidied up.
"""

from __future__ import annotations

import contextlib
import errno
import gc
import http.client
import importlib
import json
import os
import re
import select
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

TESTS = Path(__file__).resolve().parents[1]
LONGEST = 120  # seconds of one child; no command takes so long whose waits are not waited for
_ANSWERED_WITHIN = 30.0
# What differs from one attempt to the next, in a SID and in the name of a secret of its own.
_CHANGING = re.compile(r"(?<=\bAC)[0-9a-f]{32}\b|(?<=\bSK)[0-9a-f]{32}\b|(?<=/place-)[0-9]+\b")
_MANY = 16
_PAUSE = 1.0


class Order(NamedTuple):
    """What a child is to do: *arguments* of the command line, until the point numbered *stop*.

    There it is killed, or with *lose* the connection is broken. *report* is the file that gets the
    points of a child that comes to its end, *url* that of the emulator, whose clock it moves.
    """

    cwd: str
    environment: dict[str, str]
    arguments: tuple[str, ...]
    output: str
    report: str
    url: str
    stop: int = 0
    lose: bool = False


class Zygote:
    """The process that forks the children; ``with Zygote() as zygote: zygote.run(order)``."""

    def __enter__(self) -> Self:
        # Coverage would follow into each child, which has no time to write down what it saw.
        environment = {k: v for k, v in os.environ.items() if not k.startswith("COVERAGE")}
        self._process = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            text=True,
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def run(self, order: Order) -> int:
        """Return the exit code of a new child, negative for a signal."""
        return int(self._ask(order._asdict()))

    def learn(self, modules: Iterable[str]) -> None:
        """Import *modules* once and for all children that come."""
        self._ask({"modules": [*modules]})

    def _ask(self, order: dict[str, Any]) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return self._process.stdout.readline()


class Points:
    """The points of this process, and what happens at the one that was chosen."""

    def __init__(self, stop: int, *, lose: bool) -> None:
        """Be killed at the point numbered *stop* (from 1), or *lose* a connection there."""
        self.names: list[str] = []
        self._stop = stop
        self._lose = lose
        self._lock = threading.Lock()

    def pass_by(self, name: str, just_before: Callable[[], object] = bool) -> None:
        """Count the point called *name*; if it is the chosen one, do *just_before*, and end."""
        with self._lock:
            self.names.append(name)
            if len(self.names) != self._stop:
                return
        just_before()
        if not self._lose:
            os.kill(os.getpid(), signal.SIGKILL)
        raise ConnectionResetError(errno.ECONNRESET, "lost on request")


def watch(points: Points) -> None:
    """Let every exchange, journal write and step of a file's replacement pass by *points*."""
    _watch_exchanges(points)
    _watch_journal(points)
    _watch_files(points)


def _watch_exchanges(points: Points) -> None:
    """Whatever library it is (requests, hvac, botocore), it sends by ``http.client``."""
    connection: Any = http.client.HTTPConnection
    begin, read = connection.putrequest, connection.getresponse

    def putrequest(self: Any, method: str, url: str, *rest: Any, **more: Any) -> None:
        path = _CHANGING.sub("…", url.partition("?")[0])
        self.watched = f"{method} {path}"
        points.pass_by(f"{self.watched}: not sent")
        begin(self, method, url, *rest, **more)

    def getresponse(self: Any) -> Any:
        # The server answers when it is done, so a byte of the answer says that it is.
        select.select([self.sock], [], [], _ANSWERED_WITHIN)
        points.pass_by(f"{self.watched}: done, answer not read")
        answer = read(self)
        points.pass_by(f"{self.watched}: answered")
        return answer

    connection.putrequest, connection.getresponse = putrequest, getresponse


def _watch_journal(points: Points) -> None:
    from safetwilio.runbook import journal

    write = journal._write_all

    def write_all(handle: int, data: bytes) -> None:
        entry = json.loads(data)
        name = f"journal {entry['event']} {entry['facts'].get('step', '')}".rstrip()
        points.pass_by(f"{name}: not written")
        points.pass_by(f"{name}: torn", partial(os.write, handle, data[: len(data) // 2]))
        write(handle, data)

    journal._write_all = write_all


def _watch_files(points: Points) -> None:
    sync, put, remove = os.fsync, os.replace, os.unlink

    def fsync(handle: int) -> None:
        what = "directory" if stat.S_ISDIR(os.fstat(handle).st_mode) else "file"
        points.pass_by(f"{what}: not synced")
        sync(handle)
        points.pass_by(f"{what}: synced")

    def replace(old: Any, new: Any, **more: Any) -> None:
        points.pass_by(f"{Path(new).name}: not replaced")
        put(old, new, **more)
        points.pass_by(f"{Path(new).name}: replaced")

    def unlink(path: Any, **more: Any) -> None:
        points.pass_by(f"{Path(path).suffix}: not removed")
        remove(path, **more)

    os.fsync, os.replace, os.unlink = fsync, replace, unlink  # type: ignore[assignment]


def hurry(url: str) -> None:
    """Let what is waited for be the clock of the emulator at *url*, and nobody wait.

    A pause between two looks is longer each time: a minute of them would be a hundred points that
    are all alike.
    """
    from safetwilio.runbook.keeping import Clock

    port = int(url.rpartition(":")[2])
    ahead, pauses = 0.0, 0

    def wait(_: Clock, seconds: float) -> None:
        nonlocal ahead, pauses
        pauses += 1
        if seconds <= _PAUSE:
            seconds *= pauses
        ahead += seconds
        body = json.dumps({"seconds": seconds})
        head = (
            f"POST /_emulator/advance HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\n"
            f"Safetwilio-Emulator: control\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        with socket.create_connection(("127.0.0.1", port)) as plain:  # this exchange is no point
            plain.sendall(f"{head}{body}".encode())
            assert plain.recv(_MANY).startswith(b"HTTP/1.1 200"), "the clock was not moved"

    clock: Any = Clock
    clock.wait, clock.now = wait, lambda _: time.monotonic() + ahead


def _child(order: Order) -> int:
    from safetwilio.cli.main import main

    signal.alarm(LONGEST)
    os.chdir(order.cwd)
    os.environ.clear()
    os.environ.update(order.environment)
    output = os.open(order.output, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(source, target)
    points = Points(order.stop, lose=order.lose)
    watch(points)
    hurry(order.url)
    code = main(order.arguments)
    sys.stdout.flush()
    sys.stderr.flush()
    report = {"points": points.names, "modules": sorted(sys.modules)}
    Path(order.report).write_text(json.dumps(report), encoding="utf-8")
    return code


def _prepare() -> None:
    """Do once what every child would do."""
    from safetwilio.cli import main, rotate_key  # noqa: F401
    from safetwilio.redaction.engine import redact
    from safetwilio.rotation import service_keys  # noqa: F401

    main._parser()
    redact("AC5afe")


def _read_models(modules: list[str]) -> None:
    """Read once what botocore reads of its own files for each client, if it is in use."""
    if "botocore.loaders" not in modules:
        return
    loaders: Any = importlib.import_module("botocore.loaders")
    loader = loaders.create_loader()
    loader.load_data("endpoints")
    for kind in ("service-2", "endpoint-rule-set-1"):
        loader.load_service_model("secretsmanager", kind)
    loaders.create_loader = lambda *_: loader


def _serve() -> None:
    orders, answers = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w")
    _prepare()
    gc.disable()  # no child lives long enough, and to collect is to copy what it was forked with
    for line in orders:
        order = json.loads(line)
        code = 0
        if "modules" in order:
            for name in order["modules"]:
                with contextlib.suppress(Exception):  # some are made while others are imported
                    importlib.import_module(name)
            _read_models(order["modules"])
        else:
            child = os.fork()
            if child == 0:
                code = 99
                try:
                    code = _child(Order(**order))
                finally:
                    os._exit(code)
            code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        print(code, file=answers, flush=True)


if __name__ == "__main__":
    _serve()
