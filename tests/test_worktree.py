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
    monkeypatch.setenv("SAFETWILIO_BACKEND", "env")
    monkeypatch.setenv("GIT_DIR", "/elsewhere/.git")
    monkeypatch.setenv("GIT_AUTHOR_NAME", "kept")
    worktree.is_tracked(top / ".env")
    (arguments, environment), *_ = git.calls()
    assert {"core.fsmonitor=", "core.hooksPath=/dev/null"} < set(arguments)
    assert "TWILIO_API_SECRET" not in environment
    assert "SAFETWILIO_BACKEND" not in environment
    assert "GIT_DIR" not in environment
    assert environment["GIT_AUTHOR_NAME"] == "kept"


@pytest.mark.usefixtures("git")
@pytest.mark.parametrize("inside", [True, False])
def test_ignoring_writes_two_lines(git: FakeGit, top: Path, inside: bool) -> None:  # noqa: FBT001
    if inside:
        git.init(top)
    assert worktree.ignore(top / ".env") is True
    assert (top / ".gitignore").read_bytes() == b"/.env\n/.env.safetwilio-*\n"
    assert worktree.ignore(top / ".env") is False
    assert (top / ".gitignore").read_bytes() == b"/.env\n/.env.safetwilio-*\n"


@pytest.mark.parametrize(
    ("before", "added"),
    [
        (b"*.pyc\n", b"/.env\n/.env.safetwilio-*\n"),
        (b"*.pyc", b"\n/.env\n/.env.safetwilio-*\n"),
        (b"*.pyc\r\n\xff\r\n", b"/.env\n/.env.safetwilio-*\n"),
        (b"", b"/.env\n/.env.safetwilio-*\n"),
        (b"/.env\n!/.env\n", b"/.env\n/.env.safetwilio-*\n"),
        (b"!/.env\n/.env\n", b"/.env.safetwilio-*\n"),
        (b"a\n/.env", b"\n/.env.safetwilio-*\n"),
        (b"/.env.safetwilio-*\n/.env\n", b""),
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
    assert (top / ".gitignore").read_bytes() == line + b"\n" + line + b".safetwilio-*\n"


def test_the_file_that_a_link_names_is_ignored_where_it_is(top: Path) -> None:
    (top / "conf").mkdir()
    (top / ".env").symlink_to("conf/real.env")
    worktree.ignore(top / ".env")
    assert sorted(path.name for path in top.iterdir()) == [".env", "conf"]
    assert (top / "conf" / ".gitignore").read_bytes() == b"/real.env\n/real.env.safetwilio-*\n"


def test_a_list_that_cannot_be_written_raises(top: Path) -> None:
    (top / ".gitignore").mkdir()
    with pytest.raises(OSError, match="directory"):
        worktree.ignore(top / ".env")
    assert os.listdir(top) == [".gitignore"]  # noqa: PTH208 - names only


posix = pytest.mark.skipif(os.name != "posix", reason="links, FIFOs and devices are POSIX")


@posix
def test_a_new_list_belongs_to_whom_the_directory_belongs(
    top: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the ``.env`` does when root runs ``safetwilio init``; one that is there stays as it is."""
    given: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "fchown", lambda _, user, group: given.append((user, group)))
    assert worktree.ignore(top / ".env")
    assert worktree.ignore(top / "other.env")
    assert given == [(top.stat().st_uid, top.stat().st_gid)]


@posix
def test_a_list_that_another_made_meanwhile_is_given_to_nobody(
    top: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be a second name of any file of root's."""
    victim = tmp_path / "victim"
    victim.write_text("root's own\n")
    real = worktree._open
    given: list[int] = []

    def meanwhile(listing: Path, flags: int) -> int:
        if flags & os.O_CREAT and not listing.exists():
            os.link(victim, listing)
        return real(listing, flags)

    monkeypatch.setattr(worktree, "_open", meanwhile)
    monkeypatch.setattr(os, "fchown", lambda handle, *_: given.append(handle))
    with pytest.raises(OSError, match="another name"):
        worktree.ignore(top / ".env")
    assert given == []
    assert victim.read_text() == "root's own\n"


@posix
@pytest.mark.parametrize("there", [True, False])
def test_a_list_that_is_a_link_is_not_followed(top: Path, tmp_path: Path, there: bool) -> None:  # noqa: FBT001
    """Somebody else's directory must not make us append to ~/.bashrc."""
    profile = tmp_path / ".bashrc"
    if there:
        profile.write_text("mine\n")
    (top / ".gitignore").symlink_to(profile)
    with pytest.raises(OSError, match="symbolic link"):
        worktree.ignore(top / ".env")
    assert profile.exists() is there
    assert not there or profile.read_text() == "mine\n"


@posix
def test_a_list_that_becomes_a_link_meanwhile_is_not_followed(
    top: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (top / ".gitignore").symlink_to(tmp_path / ".bashrc")
    monkeypatch.setattr("pathlib.Path.is_symlink", lambda _: False)
    with pytest.raises(OSError, match=r"\.gitignore"):
        worktree.ignore(top / ".env")
    assert not (tmp_path / ".bashrc").exists()


@posix
@pytest.mark.timeout(60)
def test_a_list_that_is_a_fifo_is_refused_at_once(top: Path) -> None:
    os.mkfifo(top / ".gitignore")
    with pytest.raises(OSError, match="no file"):
        worktree.ignore(top / ".env")


@posix
@pytest.mark.timeout(60)
def test_a_list_that_is_a_device_is_not_read(top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    open_it = os.open

    def swapped(path: str, flags: int, *mode: int) -> int:
        return open_it("/dev/zero" if str(path).endswith(".gitignore") else path, flags, *mode)

    monkeypatch.setattr(worktree.os, "open", swapped)
    with pytest.raises(OSError, match="no file"):
        worktree.ignore(top / ".env")


def test_a_list_that_is_too_large_is_left_alone(top: Path) -> None:
    (top / ".gitignore").write_bytes(b"x" * (256 * 1024 + 1))
    with pytest.raises(OSError, match="256 KiB"):
        worktree.ignore(top / ".env")
    assert (top / ".gitignore").stat().st_size == 256 * 1024 + 1


@posix
@pytest.mark.parametrize("name", ["$(touch PWNED)", "`id`", "a;b", "a|b", "a\nb", "\x1b[2J", "a&b"])
def test_a_name_that_a_shell_would_act_on_is_not_written(top: Path, name: str) -> None:
    (top / ".env").symlink_to(name)
    with pytest.raises(OSError, match="characters that are not written") as refused:
        worktree.ignore(top / ".env")
    assert refused.value.strerror
    assert name not in str(refused.value)
    assert not (top / ".gitignore").exists()


@posix
def test_a_list_that_is_another_file_as_well_is_left_alone(top: Path, tmp_path: Path) -> None:
    (tmp_path / ".bashrc").write_text("mine\n")
    (top / ".gitignore").hardlink_to(tmp_path / ".bashrc")
    with pytest.raises(OSError, match="another name"):
        worktree.ignore(top / ".env")
    assert (tmp_path / ".bashrc").read_text() == "mine\n"
