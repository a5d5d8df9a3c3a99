"""What git is asked about secret files, and what follows from its answers."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from fake_git import FakeGit
from safetwilio import worktree

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeGit:
    git = FakeGit(tmp_path / "bin")
    monkeypatch.setenv("PATH", git.path)
    return git


@pytest.fixture
def top(tmp_path: Path) -> Path:
    path = tmp_path / "work tree"
    path.mkdir()
    return path


def test_a_tracked_file_is_known(git: FakeGit, top: Path) -> None:
    git.init(top, top / ".env")
    (top / "sub").mkdir()
    assert worktree.is_tracked(top / ".env") is True
    assert worktree.is_tracked(top / "other.env") is False
    assert worktree.is_tracked(top / "sub" / ".env") is False
    assert worktree.is_tracked(top / "missing" / ".env") is False


def test_a_relative_path_is_that_of_the_current_directory(
    git: FakeGit, top: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pathlib import Path as RelativePath

    git.init(top, top / ".env")
    monkeypatch.chdir(top)
    assert worktree.is_tracked(RelativePath(".env")) is True


def test_a_link_is_tracked_if_the_file_it_names_is(git: FakeGit, top: Path) -> None:
    git.init(top, top / "secrets.env")
    (top / "secrets.env").touch()
    (top / ".env").symlink_to("secrets.env")
    assert worktree.is_tracked(top / ".env") is True


def test_outside_a_work_tree_nothing_is_tracked(
    git: FakeGit, top: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert worktree.is_tracked(top / ".env") is False
    assert git.calls()
    monkeypatch.setenv("PATH", "")
    assert worktree.is_tracked(top / ".env") is False


def test_no_answer_within_a_work_tree_is_not_taken_for_a_no(
    git: FakeGit, top: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    git.init(top, top / ".env", broken=True)
    assert worktree.is_tracked(top / ".env") is None
    monkeypatch.setenv("PATH", "")
    assert worktree.is_tracked(top / ".env") is None


@pytest.mark.parametrize("failure", [OSError(), subprocess.TimeoutExpired("git", 1)])
def test_a_git_that_does_not_run_is_no_answer(
    git: FakeGit, top: Path, monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    git.init(top)

    def run(*_: object, **__: object) -> None:
        raise failure

    monkeypatch.setattr(worktree.subprocess, "run", run)
    assert worktree.is_tracked(top / ".env") is None


def test_git_gets_no_credentials_and_no_other_repository(
    git: FakeGit, top: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    git.init(top)
    monkeypatch.setenv("TWILIO_API_SECRET", "s" * 32)
    monkeypatch.setenv("GIT_DIR", "/elsewhere/.git")
    monkeypatch.setenv("GIT_AUTHOR_NAME", "kept")
    worktree.is_tracked(top / ".env")
    (_, environment), *_ = git.calls()
    assert "TWILIO_API_SECRET" not in environment
    assert "GIT_DIR" not in environment
    assert environment["GIT_AUTHOR_NAME"] == "kept"


@pytest.mark.usefixtures("git")
@pytest.mark.parametrize("inside", [True, False])
def test_ignoring_writes_one_line(git: FakeGit, top: Path, inside: bool) -> None:  # noqa: FBT001
    if inside:
        git.init(top)
    assert worktree.ignore(top / ".env") is True
    assert (top / ".gitignore").read_bytes() == b"/.env\n"
    assert worktree.ignore(top / ".env") is False
    assert (top / ".gitignore").read_bytes() == b"/.env\n"


@pytest.mark.parametrize(
    ("before", "added"),
    [
        (b"*.pyc\n", b"/.env\n"),
        (b"*.pyc", b"\n/.env\n"),
        (b"*.pyc\r\n\xff\r\n", b"/.env\n"),
        (b"", b"/.env\n"),
        (b"/.env\n!/.env\n", b"/.env\n"),
        (b"!/.env\n/.env\n", b""),
        (b"a\n/.env", b""),
    ],
)
def test_what_the_list_says_already_stays(top: Path, before: bytes, added: bytes) -> None:
    (top / ".gitignore").write_bytes(before)
    assert worktree.ignore(top / ".env") is bool(added)
    assert (top / ".gitignore").read_bytes() == before + added


@pytest.mark.parametrize(
    ("name", "line"),
    [("a[1]*?.env", b"/a\\[1]\\*\\?.env"), ("back\\slash", b"/back\\\\slash"), ("end ", b"/end\\ "),
     ("#env", b"/#env"), ("!env", b"/!env"), ("\u00fc.env", "/\u00fc.env".encode())],
)  # fmt: skip
def test_a_name_is_meant_literally(top: Path, name: str, line: bytes) -> None:
    worktree.ignore(top / name)
    assert (top / ".gitignore").read_bytes() == line + b"\n"


def test_the_file_that_a_link_names_is_ignored_where_it_is(top: Path) -> None:
    (top / "conf").mkdir()
    (top / ".env").symlink_to("conf/real.env")
    worktree.ignore(top / ".env")
    assert sorted(path.name for path in top.iterdir()) == [".env", "conf"]
    assert (top / "conf" / ".gitignore").read_bytes() == b"/real.env\n"


def test_a_list_that_cannot_be_written_raises(top: Path) -> None:
    (top / ".gitignore").mkdir()
    with pytest.raises(OSError, match="directory"):
        worktree.ignore(top / ".env")
    assert os.listdir(top) == [".gitignore"]  # noqa: PTH208 - names only
