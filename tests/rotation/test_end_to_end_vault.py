"""A rotation in a real Vault, while programs go on sending through it."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import pytest
from clouds import rotate_key
from vault_server import Bao, as_document, clean, clean_environment, until

from safetwilio.testing import EmulatorServer
from support import OURS, Key, leaks, write

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PATH = "secret/data/shop/twilio"
REFERENCE = "vault://secret/shop/twilio?timeout=15"
_PROGRAM = """
import sys, threading
from pathlib import Path
import safetwilio
folder = Path(sys.argv[1])
sent, failures = 0, []
pause = threading.Event()
while not (folder / "stop").exists():
    try:
        safetwilio.client.messages.create(to="+15005550006", from_="+15005550009", body="x")
        sent += 1
    except Exception as error:
        failures.append(repr(error))
    (folder / "sent").write_text(str(sent))
    pause.wait(0.02)
(folder / "report").write_text(f"{sent}\\n" + "\\n".join(failures))
"""


class Program:
    """A process of its own that sends one message after another through the place of the key."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        """Send from *folder* in this *environment*."""
        folder.mkdir()
        self._folder = folder
        self._environment = environment

    def __enter__(self) -> Self:
        with (self._folder / "output").open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _PROGRAM, str(self._folder)],
                cwd=self._folder,
                env=self._environment,
                stdout=output,
                stderr=output,
            )
        self.wait_for_more()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        self._process.wait()

    @property
    def sent(self) -> int:
        """How many messages it has sent so far."""
        with contextlib.suppress(OSError, ValueError):
            return int((self._folder / "sent").read_text())
        return 0

    def wait_for_more(self, number: int = 5) -> None:
        """Wait until it has sent so many more messages."""
        wanted = self.sent + number
        until(lambda: self.sent >= wanted, lambda: self._process.poll() is not None and self.said)

    def stop(self) -> tuple[int, list[str]]:
        """End it, and return how many messages it sent and which failures it had."""
        (self._folder / "stop").touch()
        assert self._process.wait(30) == 0, self.said
        sent, *failures = (self._folder / "report").read_text().splitlines()
        return int(sent), failures

    @property
    def said(self) -> str:
        """All that it printed."""
        return (self._folder / "output").read_text()


class Shop(NamedTuple):
    """A key in a Vault, the Twilio that it is of, and programs that use it."""

    bao: Bao
    server: EmulatorServer
    folder: Path
    environment: dict[str, str]

    @property
    def held(self) -> dict[str, Any]:
        """What is in the Vault."""
        return self.bao.read(PATH)

    @property
    def keys(self) -> set[str]:
        """The SIDs of the keys that there are, but for the Main key."""
        emulator = self.server.emulator
        found = {key.sid for _, key in emulator.account.keys.newest_first()}
        return found - {emulator.main_key.sid}

    def require_alive(self) -> str:
        """Check that what is in the Vault works, and return its key's SID."""
        held = self.held
        key = self.server.emulator.account.keys.get(held["api_key"])
        assert key is not None
        assert key.secret == held["api_secret"]
        assert held["owner"] == "shop"
        return key.sid

    @contextlib.contextmanager
    def programs(self, number: int = 2, **more: str) -> Iterator[list[Program]]:
        """Yield so many programs that are sending."""
        ambient = {k: v for k, v in os.environ.items() if not k.startswith(OURS)}
        environment = {**ambient, **self.environment, **more}
        with contextlib.ExitStack() as stack:
            yield [
                stack.enter_context(Program(self.folder / f"program-{n}", environment))
                for n in range(number)
            ]


@pytest.fixture(scope="module")
def bao(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bao]:
    with Bao(tmp_path_factory.mktemp("bao")) as server:
        server.policy("shop", f'path "{PATH}" {{ capabilities = ["read"] }}')
        server.policy("rotate", f'path "{PATH}" {{ capabilities = ["read", "create", "update"] }}')
        yield server


@pytest.fixture
def shop(bao: Bao, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Shop]:
    clean(monkeypatch, tmp_path)
    with EmulatorServer() as server:
        emulator = server.emulator
        key, main = emulator.standard_key, emulator.main_key
        bao.put({**as_document(Key(key.account_sid, key.sid, key.secret)), "owner": "shop"}, PATH)
        admin = write(tmp_path / "admin.env", Key(main.account_sid, main.sid, main.secret).dotenv())
        both = {
            "VAULT_ADDR": bao.url,
            "SAFETWILIO_BACKEND": REFERENCE,
            "SAFETWILIO_EMULATOR": server.url,
        }
        mine = {
            "VAULT_TOKEN": bao.token("rotate"),
            "SAFETWILIO_ADMIN_BACKEND": f"dotenv:{admin}",
            "SAFETWILIO_JOURNAL": str(tmp_path / "journal"),
        }
        for name, value in {**both, **mine}.items():
            monkeypatch.setenv(name, value)
        theirs = {**clean_environment(tmp_path), **both, "VAULT_TOKEN": bao.token("shop")}
        yield Shop(bao, server, tmp_path, theirs)


def require_success(shop: Shop, programs: list[Program], *, before: int) -> None:
    """Check that all was sent, and with the new key in the end."""
    secrets = shop.server.emulator.secrets() | {str(shop.held["api_secret"])}
    sent = 0
    for program in programs:
        number, failures = program.stop()
        assert failures == []
        assert leaks(program.said, secrets) == []
        sent += number
    messages = shop.server.emulator.messages
    assert len(messages) == sent > before
    assert messages[-1].key_sid == shop.require_alive()


@pytest.mark.parametrize("when", [("--moved",), ("--overlap", "2s")])
def test_no_request_fails_while_the_key_is_replaced(
    shop: Shop, capsys: pytest.CaptureFixture[str], when: tuple[str, ...]
) -> None:
    """The old key goes while they use it: its refusal makes them look for the new one."""
    with shop.programs() as programs:
        for _ in range(3):
            old = shop.require_alive()
            before = len(shop.server.emulator.messages)
            assert rotate_key(*when) == 0
            assert shop.keys == {shop.require_alive()} != {old}
            for program in programs:
                program.wait_for_more()
        require_success(shop, programs, before=before)
    said = capsys.readouterr()
    assert leaks(said.out + said.err, shop.server.emulator.secrets()) == []


def test_the_old_key_goes_when_every_heartbeat_says_so(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    beats = shop.folder / "beats"
    beats.mkdir(mode=0o700)
    monkeypatch.setenv("SAFETWILIO_HEARTBEAT", str(beats))
    old = shop.require_alive()
    with shop.programs(SAFETWILIO_HEARTBEAT=str(beats), SAFETWILIO_REFRESH_AGE="3") as programs:
        until(lambda: len([*beats.iterdir()]) >= len(programs))
        before = len(shop.server.emulator.messages)
        assert rotate_key() == 0
        assert shop.keys == {shop.require_alive()}
        refused = [
            entry
            for entry in shop.server.emulator.requests
            if entry.method == "POST" and entry.status == 401
        ]
        assert refused == []  # they had moved before it went
        for program in programs:
            program.wait_for_more()
        require_success(shop, programs, before=before)
    assert old not in shop.keys
    capsys.readouterr()


def test_killed_half_way_the_same_command_goes_on(
    shop: Shop, capsys: pytest.CaptureFixture[str]
) -> None:
    with shop.programs(1) as programs:
        old = shop.require_alive()
        before = len(shop.server.emulator.messages)
        assert rotate_key("--no-wait") == 4
        new = shop.require_alive()
        assert shop.keys == {old, new}
        programs[0].wait_for_more()
        assert rotate_key("--moved", "--json") == 0
        assert shop.keys == {new}
        programs[0].wait_for_more()
        require_success(shop, programs, before=before)
    assert json.loads(capsys.readouterr().out)["changed"]


def test_two_commands_at_once_end_with_a_key_that_works(shop: Shop) -> None:
    with shop.programs(1) as programs:
        before = len(shop.server.emulator.messages)
        codes: list[int] = []
        threads = [
            threading.Thread(target=lambda: codes.append(rotate_key("--moved"))) for _ in range(2)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert 0 in codes
        while rotate_key("--moved") != 0:  # what one of them left is finished or taken back
            assert rotate_key("--roll-back") in {0, 3}  # 3: there is no run to take back
        assert shop.keys == {shop.require_alive()}
        programs[0].wait_for_more()
        require_success(shop, programs, before=before)
