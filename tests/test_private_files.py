"""Whom a private file belongs to; backends/test_dotenv_save.py has what a killed process leaves."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import pytest

from safetwilio import private_files
from support import write

posix = pytest.mark.skipif(os.name != "posix", reason="owners and links as POSIX has them")


@posix
@pytest.mark.parametrize(
    ("mode", "same_owner", "kept"),
    [(0o755, True, True), (0o755, False, True), (0o775, True, True), (0o777, False, False),
     (0o775, False, False), (0o1777, False, False), (0o1777, True, True), (0o1770, False, False)],
)  # fmt: skip
def test_owner_is_kept_where_nobody_else_can_have_put_the_file(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    mode: int,
    same_owner: bool,  # noqa: FBT001
    kept: bool,  # noqa: FBT001
) -> None:
    """A foreign file laid out beforehand must not make root hand the secret to its owner.

    Where others may write, the directory's owner gets it, who has the program there.
    """
    path = write(tmp_path / "shared" / "s", "old")
    path.parent.chmod(mode)
    given: list[tuple[int, int]] = []
    real = Path.lstat

    def foreign(self: Path) -> os.stat_result:
        status = real(self)
        if self.name != "s" or same_owner:
            return status
        return os.stat_result((*status[:4], status.st_uid + 1, *status[5:]))

    owner = path.parent.stat().st_uid + (0 if same_owner or not kept else 1)
    monkeypatch.setattr(Path, "lstat", foreign)
    monkeypatch.setattr(os, "fchown", lambda _, user, group: given.append((user, group)))
    private_files.write_private(path, b"new")
    assert path.read_bytes() == b"new"
    assert [user for user, _ in given] == [owner]


@posix
@pytest.mark.parametrize("mode", [0o755, 0o775, 0o777, 0o1777])
def test_a_new_file_belongs_to_whom_the_directory_belongs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int
) -> None:
    """``sudo safetwilio init`` must not leave a file that the program cannot read."""
    directory = tmp_path / "app"
    directory.mkdir()
    directory.chmod(mode)
    status = directory.stat()
    given: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "fchown", lambda _, user, group: given.append((user, group)))
    private_files.write_private(directory / ".env", b"new")

    assert given == [(status.st_uid, status.st_gid)]


@posix
def test_a_link_put_into_the_new_files_place_is_given_to_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever may write to the directory sees the name of the new file before it is written."""
    victim = write(tmp_path / "victim", "root's own")
    directory = tmp_path / "app"
    directory.mkdir()
    changed: list[int] = []
    real = tempfile.mkstemp

    def swapped(**options: Any) -> tuple[int, str]:
        handle, name = real(**options)
        Path(name).unlink()
        Path(name).symlink_to(victim)
        return handle, name

    monkeypatch.setattr(tempfile, "mkstemp", swapped)
    monkeypatch.setattr(os, "fchown", lambda handle, *_: changed.append(os.fstat(handle).st_ino))
    monkeypatch.setattr(os, "chown", lambda path, *_: changed.append(Path(path).stat().st_ino))
    private_files.write_private(directory / ".env", b"new")

    assert len(changed) == 1
    assert victim.stat().st_ino not in changed
    assert victim.read_text() == "root's own"
