"""Real servers for tests: started on a free port, waited for, and stopped by the block."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import tempfile
import threading
import time
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, NamedTuple

from support import clean_environment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

PORT = "{port}"  # stands in the arguments for the port that was found
READY_SECONDS = 60.0
STOP_SECONDS = 20.0


class Ended(NamedTuple):
    """A server that stopped by itself: its exit *code*, and its *output*."""

    code: int
    output: str


class Served:
    """A running server: its *address* (host and port), its *url*, and what it has printed."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, log: IO[bytes]) -> None:
        """Know *process*, which writes to *log*."""
        self.process = process
        self.address = ("127.0.0.1", port)
        self.url = f"http://127.0.0.1:{port}"
        self._log = log

    def output(self) -> str:
        """Return what it has printed so far, on both streams."""
        size = os.fstat(self._log.fileno()).st_size
        return os.pread(self._log.fileno(), size, 0).decode(errors="replace")

    def wait_for_output(self, text: str) -> str:
        """Wait until *text* has been printed, and return the whole output."""
        until(lambda: text in self.output(), self._ended)
        return self.output()

    def wait_until_ready(self, ready_url: str) -> None:
        """Wait until a GET of *ready_url*, a path, has an answer, whatever it says."""
        until(lambda: _answers(self.address, ready_url), self._ended)

    def _ended(self) -> str:
        return "" if self.process.poll() is None else f"it ended:\n{self.output()}"


def free_port() -> int:
    """Return a port on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def until(is_true: Callable[[], bool], failed: Callable[[], str] = str) -> None:
    """Wait until *is_true*; fail when *failed* says why, or when it takes too long."""
    end = time.monotonic() + READY_SECONDS
    pause = threading.Event()
    while not is_true():
        assert not failed(), failed()
        assert time.monotonic() < end, "not in time"
        pause.wait(0.02)


@contextmanager
def served(
    argv: Sequence[str],
    ready_url: str = "/",
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    *,
    port: int | None = None,
) -> Iterator[Served]:
    """Start *argv*, in which ``{port}`` is a free port, and stop it with all that it started.

    It has nothing of ours in its environment but *env*. *ready_url* is a path; any answer to it
    means that the server is ready.
    """
    port = port or free_port()
    with tempfile.TemporaryFile() as log, tempfile.TemporaryDirectory() as home:
        process = _started(argv, port, _environment(env, home), cwd, log)
        try:
            running = Served(process, port, log)
            running.wait_until_ready(ready_url)
            yield running
        finally:
            _stop(process)


def ended(
    argv: Sequence[str],
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    *,
    seconds: float = READY_SECONDS,
) -> Ended:
    """Start *argv* as :func:`served` does, and return how it ended; one that stays is a failure."""
    with tempfile.TemporaryFile() as log, tempfile.TemporaryDirectory() as home:
        process = _started(argv, free_port(), _environment(env, home), cwd, log)
        running = Served(process, 0, log)
        try:
            code = process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it did not end:\n{running.output()}") from None
        finally:
            _stop(process)
        return Ended(code, running.output())


def _environment(env: Mapping[str, str] | None, home: str) -> dict[str, str]:
    """Return this process's environment without our names, with a *home* of its own, and *env*.

    gunicorn keeps a socket to be controlled by in the home directory, one for all of them.
    """
    own = {"HOME": home, "XDG_RUNTIME_DIR": home, "PYTHONUNBUFFERED": "1"}
    return clean_environment(**{**own, **(env or {})})


def _started(
    argv: Sequence[str],
    port: int,
    env: Mapping[str, str],
    cwd: Path | None,
    log: IO[bytes],
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [argument.replace(PORT, str(port)) for argument in argv],
        env=env,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        start_new_session=True,
    )


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End *process*, and what is left of its group if it does not go as it should."""
    if process.poll() is None:
        process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(STOP_SECONDS)
    if hasattr(os, "killpg"):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)  # a worker whose parent is gone


def _answers(address: tuple[str, int], path: str) -> bool:
    connection = http.client.HTTPConnection(*address, timeout=5)
    try:
        connection.request("GET", path)
        connection.getresponse().read()
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
    return True
