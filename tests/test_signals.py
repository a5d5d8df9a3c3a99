"""A signal makes the next request look for the key, in whatever the process was doing."""

from __future__ import annotations

import os
import signal
import threading
from typing import TYPE_CHECKING

import pytest

import safetwilio
from safetwilio.errors import UsageError
from safetwilio.testing import EmulatorServer
from support import Key, caught, write

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="no SIGHUP")


@pytest.fixture(autouse=True)
def _handlers() -> Iterator[None]:
    kept = {number: signal.getsignal(number) for number in (signal.SIGHUP, signal.SIGUSR2)}
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)


def test_the_next_request_goes_with_the_new_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with EmulatorServer() as server:
        account = server.emulator.account
        monkeypatch.setenv("SAFETWILIO_EMULATOR", server.url)
        monkeypatch.setenv("SAFETWILIO_BACKEND", f"dotenv:{tmp_path / 'keys.env'}")
        for key in (server.emulator.standard_key, account.create_key()):
            write(tmp_path / "keys.env", Key(account.sid, key.sid, key.secret).dotenv())
            safetwilio.refresh_on_signal()
            os.kill(os.getpid(), signal.SIGHUP)
            safetwilio.get_client().messages.list(limit=1)
        assert server.emulator.requests[-1].username == key.sid


def test_a_handler_that_was_there_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    del monkeypatch
    seen: list[int] = []
    signal.signal(signal.SIGUSR2, lambda number, _: seen.append(number))
    for _ in range(2):
        safetwilio.refresh_on_signal(signal.SIGUSR2)
    os.kill(os.getpid(), signal.SIGUSR2)
    assert seen == [signal.SIGUSR2]


@pytest.mark.parametrize("number", [signal.SIGKILL, -1, 4096, "HUP"])
def test_what_is_no_signal(number: int) -> None:
    error = caught(lambda: safetwilio.refresh_on_signal(number))
    assert isinstance(error, UsageError)
    assert error.code == "ST900"


def test_another_thread_cannot() -> None:
    errors: list[BaseException | None] = []
    thread = threading.Thread(target=lambda: errors.append(caught(safetwilio.refresh_on_signal)))
    thread.start()
    thread.join()
    assert isinstance(errors[0], UsageError)
