"""Must show 5: it imports, boots and runs its commands where POSIX's modules and calls are missing.

What Windows has not is taken away from the running Python, in a process of its own, before
anything of ours is imported.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from safetwilio.testing import EmulatorServer
from support import Key, leaks, run_python, write

if TYPE_CHECKING:
    from pathlib import Path
    from subprocess import CompletedProcess

MODULES = ("fcntl", "grp", "pwd", "resource")
CALLS = ("O_NONBLOCK", "fork", "geteuid", "register_at_fork")
# subprocess and tempfile stand on what is left, so that only our own use is in question.
WITHOUT = f"""
import os, signal, subprocess, sys, tempfile
for name in {MODULES}:
    sys.modules[name] = None
for name in {CALLS}:
    if hasattr(os, name):
        delattr(os, name)
if hasattr(signal, "SIGHUP"):
    del signal.SIGHUP
"""
PROOF = f"""
for name in {MODULES}:
    try:
        __import__(name)
    except ImportError:
        continue
    raise SystemExit(name + " is still there")
assert not [name for name in {CALLS} if hasattr(os, name)]
assert not hasattr(signal, "SIGHUP")
"""


def run(code: str, cwd: Path, environment: dict[str, str], *words: str) -> CompletedProcess[str]:
    done = run_python("-c", f"{WITHOUT}{code}{PROOF}", *words, cwd=cwd, environment=environment)
    assert "Traceback" not in done.stderr, done.stderr
    return done


def command(cwd: Path, environment: dict[str, str], *words: str) -> CompletedProcess[str]:
    code = "from safetwilio.cli.main import main\nstatus = main()\n"
    return run(f"{code}", cwd, environment, *words)


BOOT = "from safetwilio import client\nprint(client.account_sid)\n"


def test_they_are_really_gone(tmp_path: Path) -> None:
    assert run("", tmp_path, {}).returncode == 0


def test_every_module_imports(tmp_path: Path) -> None:
    code = """
import importlib, pkgutil, safetwilio
names = [m.name for m in pkgutil.walk_packages(safetwilio.__path__, "safetwilio.")]
for name in names:
    importlib.import_module(name)
print(len(names))
"""
    done = run(code, tmp_path, {})

    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 30


def test_boots_from_the_environment(tmp_path: Path, key: Key) -> None:
    assert run(BOOT, tmp_path, key.environment()).stdout == f"{key.account}\n"


def test_boots_from_dotenv(tmp_path: Path, key: Key) -> None:
    write(tmp_path / ".env", key.dotenv())

    assert run(BOOT, tmp_path, {}).stdout == f"{key.account}\n"


def test_boots_from_files(tmp_path: Path, key: Key) -> None:
    for name, value in key.environment().items():
        write(tmp_path / "secrets" / name, value)

    done = run(BOOT, tmp_path, {"SAFETWILIO_BACKEND": "files:secrets"})
    assert done.stdout == f"{key.account}\n"


@pytest.mark.parametrize("good", [True, False])
def test_doctor(tmp_path: Path, key: Key, good: bool) -> None:  # noqa: FBT001
    environment = key.environment() if good else {}
    code = "from safetwilio.cli.main import main\nprint(main(), file=sys.stderr)\n"
    done = run(code, tmp_path, environment, "doctor", "--json")
    report = json.loads(done.stdout)

    assert report["ok"] is good
    assert done.stderr.split()[-1] == ("0" if good else "1")
    assert [p["code"] for p in report["problems"]] == ([] if good else ["ST104", "ST103"])


SEND = """
from safetwilio import client
sent = client.messages.create(to="+15005550006", from_="+15005550001", body="hello")
print(sent.sid)
"""


def test_init_and_a_message(tmp_path: Path) -> None:
    """The newcomer's whole way, against the emulator: a key is made, kept, loaded and used."""
    with EmulatorServer() as server:
        account = server.emulator.account
        environment = {"SAFETWILIO_EMULATOR": server.url}
        code = (
            "import io\n"
            "sys.stdin = io.StringIO(open('token').read())\n"
            "from safetwilio.cli.main import main\nprint(main())\n"
        )
        write(tmp_path / "token", account.auth_token + "\n")
        made = run(
            code, tmp_path, environment, "init", "--account-sid", account.sid, "--token-stdin"
        )
        assert made.stdout == "0\n", made.stderr
        sent = run(SEND, tmp_path, environment)
        assert sent.returncode == 0, sent.stderr
        messages = list(server.emulator.messages)

    assert [message.sid for message in messages] == [sent.stdout.strip()]
    kept = (tmp_path / ".env").read_text()
    assert leaks(kept, [account.auth_token]) == []
    assert leaks(made.stderr + made.stdout, [account.auth_token]) == []
    if os.name == "posix":
        assert (tmp_path / ".env").stat().st_mode & 0o777 == 0o600
