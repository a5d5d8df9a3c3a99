"""``safetwilio init`` killed at every step, watched from outside, and run twice at a time."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from newcomer import COMMAND, DEADLINE, Newcomer, Run

from fake_git import FakeGit
from support import leaks

if TYPE_CHECKING:
    from safetwilio.testing.exchange import EmulatedRequest

# The requests of an init in their order; whether a key exists, and whether the .env holds it.
IGNORED = "/.env\n/.env.safetwilio-*\n"
STEPS = {
    "list the keys": ("GET", "/Keys.json", False, False),
    "make the key": ("POST", "/Keys.json", True, False),
    "prove the key": ("GET", "/Messages.json", True, True),
    "learn its kind": ("GET", "{sid}.json", True, True),
}


def begin(newcomer: Newcomer, *more: str, **env: str) -> Run:
    """Start an init that has read its token, on which nobody waits."""
    arguments = ("init", "--service", "app", "--account-sid", newcomer.sid, "--token-stdin", *more)
    process = newcomer.start(*arguments, **env)
    assert process.stdin is not None
    process.stdin.write(f"{newcomer.token}\n")
    process.stdin.close()
    process.stdin = None
    return process


@pytest.mark.parametrize("replace", [False, True])
@pytest.mark.parametrize("step", STEPS)
def test_killed_at_any_request_the_file_is_whole_and_the_next_run_works(
    newcomer: Newcomer,
    tmp_path: Path,
    step: str,
    replace: bool,  # noqa: FBT001
) -> None:
    if replace:
        assert newcomer.init("--service", "app").returncode == 0
    earlier = newcomer.made
    before = newcomer.dotenv.read_bytes() if replace else None
    method, path, made, kept = STEPS[step]
    ending = path.format(sid=newcomer.sid)

    def match(request: EmulatedRequest) -> bool:
        return request.method == method and request.path.endswith(ending)

    arrived = newcomer.stop_at(match)
    with begin(newcomer, "--replace") as process:
        assert arrived.wait(DEADLINE)
        process.kill()
    assert process.returncode == -9
    newcomer.emulator.faults.clear()

    new = [key for key in newcomer.made if key not in earlier]
    assert bool(new) is made
    if kept:
        assert newcomer.holds(new[0])
    else:
        assert (newcomer.dotenv.read_bytes() if newcomer.dotenv.exists() else None) == before
    newcomer.require_private(tmp_path)
    # what may be committed by mistake is ignored before it holds a secret
    assert not made or (newcomer.directory / ".gitignore").read_text() == IGNORED

    again = newcomer.init("--service", "app", "--replace")
    assert again.returncode == 0, again.stderr
    assert newcomer.holds(newcomer.made[-1])
    for key in (*earlier, *new):
        assert f"\n  {key.friendly_name}\n" in again.stderr


def test_nobody_can_watch_the_token(newcomer: Newcomer, tmp_path: Path) -> None:
    git = FakeGit(tmp_path / "bin")
    git.init(newcomer.directory)

    def is_creation(request: EmulatedRequest) -> bool:
        return request.method == "POST"

    arrived = newcomer.stop_at(is_creation)
    with begin(newcomer, PATH=git.path) as process:
        assert arrived.wait(DEADLINE)
        seen = Path(f"/proc/{process.pid}")
        for name in ("cmdline", "environ"):
            assert leaks((seen / name).read_bytes().decode("latin-1"), newcomer.secrets()) == []
        newcomer.require_private(tmp_path)
    assert len(git.calls()) >= 2  # is it tracked? is it ignored?
    for arguments, environment in git.calls():
        assert leaks(f"{arguments} {environment}", newcomer.secrets()) == []


def test_two_at_the_same_time_leave_one_whole_file(newcomer: Newcomer, tmp_path: Path) -> None:
    assert newcomer.init("--service", "app").returncode == 0
    for _ in range(3):
        before = newcomer.made
        processes = [begin(newcomer, "--replace") for _ in range(2)]
        kept = 0
        for process in processes:
            with process:
                _, said = process.communicate(timeout=DEADLINE)
            # the one that came first may see the other's key, and says so
            assert process.returncode in {0, 1, 4}, said
            assert ("[ST338]" in said) is (process.returncode == 1)
            kept += process.returncode != 1
            newcomer.require_no_secret(said)
        new = [key for key in newcomer.made if key not in before]
        assert len(new) == kept >= 1  # the key of one that came too late is gone
        assert sum(map(newcomer.holds, new)) == 1
        assert len(newcomer.dotenv.read_text().splitlines()) == 3
        assert stat.S_IMODE(newcomer.dotenv.stat().st_mode) == 0o600
    assert sorted(os.listdir(newcomer.directory)) == [".env", ".gitignore"]  # noqa: PTH208
    newcomer.require_private(tmp_path)


def test_a_file_that_git_tracks_is_refused_before_anything_is_asked(
    newcomer: Newcomer, tmp_path: Path
) -> None:
    git = FakeGit(tmp_path / "bin")
    git.init(newcomer.directory, newcomer.dotenv)
    done = newcomer.init(PATH=git.path)
    assert done.returncode == 1
    assert "[ST309]" in done.stderr
    assert "git rm --cached .env" in done.stderr
    assert not newcomer.emulator.requests
    assert not newcomer.dotenv.exists()


def test_a_file_that_git_ignores_already_stays_out_of_the_list(
    newcomer: Newcomer, tmp_path: Path
) -> None:
    git = FakeGit(tmp_path / "bin")
    git.init(newcomer.directory)
    (newcomer.directory / ".gitignore").write_text("*.pyc\n/.env\n/.env.safetwilio-*\n")
    done = newcomer.init(PATH=git.path)
    assert done.returncode == 0
    assert "which .gitignore now lists" not in done.stderr
    assert (newcomer.directory / ".gitignore").read_text() == "*.pyc\n/.env\n/.env.safetwilio-*\n"


def test_a_closed_stdin_is_nobody_to_ask(newcomer: Newcomer) -> None:
    for arguments in ((), ("--account-sid", newcomer.sid, "--token-stdin")):
        done = subprocess.run(
            ["sh", "-c", '"$@" <&-', "sh", *COMMAND, "init", *arguments],
            cwd=newcomer.directory, env=newcomer.env, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 2
        assert "[ST908]" in done.stderr
