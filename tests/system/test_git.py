"""The questions that tests/test_worktree.py asks a stand-in, asked of the real git."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from safetwilio import worktree
from safetwilio.testing import EmulatorServer

if TYPE_CHECKING:
    from pathlib import Path

_ODD_NAMES = (".env", "a[1]*?.env", "back\\slash.env", "end ", "#env", "!env", ":(top)env", "ü.env")


def git(directory: Path, *arguments: str) -> str:
    identity = {
        f"GIT_{who}_{what}": "nobody@example.org"
        for who in ("AUTHOR", "COMMITTER")
        for what in ("NAME", "EMAIL")
    }
    done = subprocess.run(
        ["git", "-C", str(directory), *arguments],
        env={**os.environ, **identity}, check=True, capture_output=True, text=True,
    )  # fmt: skip
    return done.stdout


@pytest.fixture
def top(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a new repository; nothing outside *tmp_path* counts."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    path = tmp_path / "work tree"
    path.mkdir()
    git(path, "init", "-q")
    return path


@pytest.mark.parametrize("name", _ODD_NAMES)
def test_tracked_and_ignored_mean_the_very_file(top: Path, name: str) -> None:
    path = top / name
    path.touch()
    assert worktree.is_tracked(path) is False
    assert worktree.ignore(path) is True
    assert worktree.ignore(path) is False
    git(top, "add", ".")
    assert git(top, "ls-files", "-z") == ".gitignore\0"
    git(top, "--literal-pathspecs", "add", "--force", "--", name)
    assert worktree.is_tracked(path) is True
    assert worktree.is_tracked(top / "x.env") is False
    git(top, "--literal-pathspecs", "rm", "-q", "--cached", "--", name)
    assert worktree.is_tracked(path) is False


def test_a_tracked_file_that_was_deleted_is_still_tracked(top: Path) -> None:
    (top / ".env").touch()
    git(top, "add", ".env")
    (top / ".env").unlink()
    assert worktree.is_tracked(top / ".env") is True


def test_a_rule_that_takes_it_back_is_overruled(top: Path) -> None:
    (top / ".gitignore").write_text("/.env\n!.env\n")
    assert worktree.ignore(top / ".env") is True
    assert git(top, "check-ignore", ".env") == ".env\n"
    assert worktree.ignore(top / ".env") is False


def test_a_rule_of_a_directory_above_is_enough(top: Path) -> None:
    (top / "sub").mkdir()
    (top / ".gitignore").write_text(".env\r\n.env.*\r\n")
    assert worktree.ignore(top / "sub" / ".env") is False
    assert not (top / "sub" / ".gitignore").exists()


def test_a_rule_above_that_leaves_unfinished_files_out_is_not_enough(top: Path) -> None:
    (top / "sub").mkdir()
    (top / ".gitignore").write_text(".env\n")
    assert worktree.ignore(top / "sub" / ".env") is True
    assert git(top, "check-ignore", f"sub/.env{worktree.UNFINISHED}x")


def test_a_nested_repository_decides_for_itself(top: Path) -> None:
    inner = top / "inner"
    inner.mkdir()
    git(inner, "init", "-q")
    (top / ".gitignore").write_text(".env\n")
    (inner / ".env").touch()
    assert worktree.ignore(inner / ".env") is True
    git(inner, "add", "--force", ".env")
    assert worktree.is_tracked(inner / ".env") is True


def test_a_link_to_a_tracked_file_counts(top: Path) -> None:
    (top / "real.env").touch()
    (top / ".env").symlink_to("real.env")
    assert worktree.is_tracked(top / ".env") is False
    git(top, "add", "real.env")
    assert worktree.is_tracked(top / ".env") is True


def test_a_hook_s_variables_lead_nowhere_else(
    top: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (top / ".env").touch()
    git(top, "add", ".env")
    other = tmp_path / "other"
    other.mkdir()
    git(other, "init", "-q")
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(other / ".git" / "index"))
    assert worktree.is_tracked(top / ".env") is True


def test_a_work_tree_that_git_distrusts_is_not_taken_for_a_no(
    top: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (top / ".env").touch()
    git(top, "add", ".env")
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    assert worktree.is_tracked(top / ".env") is None


def test_init_refuses_and_doctor_reports_a_tracked_file(top: Path) -> None:
    (top / ".env").touch()
    git(top, "add", ".env")
    with EmulatorServer() as server:
        account = server.emulator.account
        environment = {**os.environ, "SAFETWILIO_EMULATOR": server.url}

        def run(*words: str) -> subprocess.CompletedProcess[str]:
            return subprocess.run(
                [sys.executable, "-m", "safetwilio.cli.main", *words], cwd=top, env=environment,
                input=account.auth_token, capture_output=True, text=True, check=False,
            )  # fmt: skip

        init = ("init", "--account-sid", account.sid, "--token-stdin")
        refused = run(*init)
        assert (refused.returncode, "[ST309]" in refused.stderr) == (1, True)
        assert not server.emulator.requests
        git(top, "rm", "-q", "--cached", ".env")
        assert run(*init).returncode == 0
        assert run("doctor").returncode == 0
        git(top, "add", "--force", ".env")
        found = run("doctor")
        assert (found.returncode, "[ST309]" in found.stderr) == (1, True)
