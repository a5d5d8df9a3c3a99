"""A directory, an emulated Twilio, and ``safetwilio`` processes, with or without a terminal."""

from __future__ import annotations

import contextlib
import fcntl
import io
import os
import pty
import select
import signal
import stat
import subprocess
import sys
import termios
import threading
import time
from typing import TYPE_CHECKING, Self

import pytest
from dotenv import dotenv_values

from safetwilio.cli.main import main
from safetwilio.testing.faults import latency
from support import clean_environment, leaks

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from safetwilio.testing import EmulatorServer
    from safetwilio.testing.exchange import EmulatedRequest
    from safetwilio.testing.records import Key
    from safetwilio.testing.state import Account

COMMAND = (sys.executable, "-m", "safetwilio.cli.main")
DEADLINE = 60.0


def keys_of(account: Account) -> list[Key]:
    """Return the keys of *account*, the oldest first."""
    return [key for _, key in account.keys.newest_first()][::-1]


class Newcomer:
    """Someone in an empty *directory*, with the SID and Auth Token of an account of *server*."""

    def __init__(self, directory: Path, server: EmulatorServer) -> None:
        """Take a place in *directory*."""
        self.directory = directory
        self.server = server
        self.emulator = server.emulator
        self.sid = server.emulator.account.sid
        self.token = server.emulator.account.auth_token
        self.env = clean_environment(SAFETWILIO_EMULATOR=server.url, COLUMNS="92")
        self.dotenv = directory / ".env"
        self._seeded = keys_of(self.emulator.account)

    @property
    def made(self) -> list[Key]:
        """The keys that exist at Twilio and were made here."""
        return [key for key in keys_of(self.emulator.account) if key not in self._seeded]

    @property
    def kept(self) -> dict[str, str | None]:
        """What the .env says."""
        return dotenv_values(self.dotenv)

    def holds(self, key: Key) -> bool:
        """Return whether the .env holds *key* whole."""
        said = self.kept
        pair = (said.get("TWILIO_API_KEY"), said.get("TWILIO_API_SECRET"))
        return pair == (key.sid, key.secret) and said.get("TWILIO_ACCOUNT_SID") == self.sid

    def start(self, *arguments: str, command: tuple[str, ...] = COMMAND, **env: str) -> Run:
        """Start ``safetwilio`` without a terminal."""
        return Run(
            [*command, *arguments],
            cwd=self.directory,
            env={**self.env, **env},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, *arguments: str, stdin: str = "", **env: str) -> subprocess.CompletedProcess[str]:
        """Run ``safetwilio`` without a terminal to its end; nothing it says is a secret."""
        with self.start(*arguments, **env) as process:
            stdout, stderr = process.communicate(stdin, timeout=DEADLINE)
        done = subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)
        self.require_no_secret(stdout + stderr)
        return done

    def init(self, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        """Run ``safetwilio init`` with the right SID and token."""
        return self.run(
            "init", "--account-sid", self.sid, "--token-stdin", *arguments,
            stdin=f"{self.token}\n", **env,
        )  # fmt: skip

    def stop_at(self, match: Callable[[EmulatedRequest], bool]) -> threading.Event:
        """Let the next request that *match*es wait for its answer; return the sign that it came."""
        arrived = threading.Event()

        def came(request: EmulatedRequest) -> bool:
            if match(request):
                arrived.set()
            return match(request)

        self.emulator.faults.add(latency(10 * DEADLINE), match=came)
        return arrived

    def secrets(self) -> list[str]:
        """Return every secret of the account."""
        return [self.token, *(key.secret for key in keys_of(self.emulator.account))]

    def require_no_secret(self, text: str) -> None:
        """Fail if *text* holds a secret, plain or in base64, or a part of one."""
        assert leaks(text, self.secrets()) == []

    def require_private(self, above: Path) -> None:
        """Fail if the token is in any file under *above*, or a secret where others may read."""
        for path in above.rglob("*"):
            if path.is_file():
                content = path.read_bytes().decode("latin-1")
                assert leaks(content, [self.token]) == [], path
                if leaks(content, self.secrets()):
                    assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


class Here(Newcomer):
    """A newcomer whose commands run in this process, with this process's environment."""

    def run(self, *arguments: str, stdin: str = "", **env: str) -> subprocess.CompletedProcess[str]:
        """Run ``safetwilio`` to its end; nothing it says is a secret."""
        stdout, stderr = io.StringIO(), io.StringIO()
        with (
            pytest.MonkeyPatch.context() as patch,
            contextlib.redirect_stdout(stdout),
            contextlib.redirect_stderr(stderr),
        ):
            patch.setattr("sys.stdin", io.StringIO(stdin))
            for name, value in env.items():
                patch.setenv(name, value)
            code = main(arguments)
        self.require_no_secret(stdout.getvalue() + stderr.getvalue())
        return subprocess.CompletedProcess(arguments, code, stdout.getvalue(), stderr.getvalue())


class Run(subprocess.Popen[str]):
    """A process that does not outlive its test."""

    def __enter__(self) -> Self:
        return super().__enter__()

    def __exit__(self, *problem: object) -> None:
        if self.poll() is None:
            self.kill()
        super().__exit__(*problem)  # type: ignore[arg-type]


def _sit_down() -> None:
    """Take the terminal, and heed Ctrl-C, which a job in the background of a shell is to ignore."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    signal.signal(signal.SIGINT, signal.default_int_handler)


class Terminal:
    """A process at a terminal of its own: ``expect`` what it says, ``type`` an answer."""

    def __init__(self, newcomer: Newcomer, *arguments: str, **env: str) -> None:
        """Start ``safetwilio`` with *arguments*."""
        self.shown = ""
        self._master, slave = pty.openpty()
        self.process = subprocess.Popen(
            [*COMMAND, *arguments],
            cwd=newcomer.directory,
            env={**newcomer.env, **env},
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            preexec_fn=_sit_down,  # noqa: PLW1509
        )
        os.close(slave)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self._master)

    def expect(self, text: str) -> None:
        """Wait until *text* is shown."""
        self._read(lambda: text in self.shown)
        assert text in self.shown, self.shown

    def type(self, text: str) -> None:
        """Type *text*."""
        os.write(self._master, text.encode())

    def interrupt(self) -> int:
        """Press Ctrl-C at a prompt and return the exit code.

        It is pressed again if nothing happens: Python notes one that comes after the prompt, and
        before it waits for the line, only when it has got the line.
        """
        while self.process.poll() is None:
            self.type("\x03")
            self._read(lambda: False, seconds=2.0)
        return self.end()

    def end(self) -> int:
        """Wait for the end and return the exit code."""
        self._read(lambda: False)
        return self.process.wait(DEADLINE)

    def _read(self, enough: Callable[[], bool], seconds: float = DEADLINE) -> None:
        end = time.monotonic() + seconds
        while not enough() and (left := end - time.monotonic()) > 0:
            if not select.select([self._master], [], [], left)[0]:
                break
            try:
                data = os.read(self._master, 65536)
            except OSError:  # Linux says so when the last process has closed the terminal
                break
            if not data:
                break
            self.shown += data.decode().replace("\r\n", "\n")
