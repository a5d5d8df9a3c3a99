"""Reading small secret files: bounded, whatever stands in their place."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path

import pytest

from safetwilio.backends import disk
from safetwilio.errors import BackendDenied, BackendError
from support import write

PLACE = "the file of the test"
posix = pytest.mark.skipif(os.name != "posix", reason="modes and FIFOs are POSIX")


def test_text_and_no_warning(tmp_path: Path) -> None:
    assert disk.read_text(write(tmp_path / "s", "value\n"), PLACE) == ("value\n", ())


@pytest.mark.parametrize("name", ["missing", "file/below", "nul\0"])
def test_nothing_there(tmp_path: Path, name: str) -> None:
    write(tmp_path / "file", "x")

    assert disk.read_bytes(tmp_path / name, PLACE) is None


@pytest.mark.parametrize(
    "data", [b"\xef\xbb\xbfvalue", b"value"], ids=["with-byte-order-mark", "without"]
)
def test_byte_order_mark_is_no_part_of_the_text(tmp_path: Path, data: bytes) -> None:
    assert disk.read_text(write(tmp_path / "s", data), PLACE) == ("value", ())


@pytest.mark.parametrize(
    "data",
    ["value".encode("utf-16"), "value".encode("utf-16-le"), b"\xff\xfe\xfd", b"val\0ue"],
    ids=["utf-16", "utf-16-without-mark", "no-text", "nul"],
)
def test_what_is_no_utf8_is_refused(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(BackendError) as refused:
        disk.read_text(write(tmp_path / "s", data), PLACE)
    (problem,) = refused.value.problems
    assert (problem.code, problem.found_in) == ("ST308", (PLACE,))
    assert "UTF-8" in problem.summary


@posix
def test_fifo_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "s")
    found: list[BaseException] = []

    def read() -> None:
        try:
            disk.read_bytes(tmp_path / "s", PLACE)
        except BackendError as error:
            found.append(error)

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    thread.join(10)

    assert not thread.is_alive()
    assert "not a regular file" in str(found[0])


def test_directory_is_named_as_such(tmp_path: Path) -> None:
    """Docker makes one where the file to mount is missing on the host."""
    with pytest.raises(BackendError) as refused:
        disk.read_bytes(tmp_path, PLACE)
    (problem,) = refused.value.problems
    assert problem.code in {"ST308", "ST303"}  # Windows refuses to open it
    if os.name == "posix":
        assert problem.summary == "A secret file is a directory."
        assert "Docker" in problem.fix


@pytest.mark.parametrize(("size", "good"), [(256 * 1024, True), (256 * 1024 + 1, False)])
def test_size_is_bounded(tmp_path: Path, size: int, good: bool) -> None:  # noqa: FBT001
    path = write(tmp_path / "s", b"x" * size)
    if good:
        assert disk.read_bytes(path, PLACE) == (b"x" * size, ())
        return
    with pytest.raises(BackendError) as refused:
        disk.read_bytes(path, PLACE)
    assert refused.value.problems[0].summary == "A secret file is larger than 256 KiB."


def test_endless_file_is_read_no_further(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that grows while it is read, or says that it is empty, as those in /proc do."""
    read: list[int] = []

    def endless(_: int, size: int) -> bytes:
        read.append(size)
        return b"x" * size

    path = write(tmp_path / "s", "x")
    monkeypatch.setattr(os, "read", endless)
    with pytest.raises(BackendError, match="256 KiB"):
        disk.read_bytes(path, PLACE)
    assert sum(read) <= 2 * 256 * 1024


@pytest.mark.parametrize(
    ("number", "kind"),
    [(errno.EACCES, BackendDenied), (errno.EPERM, BackendDenied), (errno.EIO, BackendError)],
)
def test_unreadable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, kind: type[BackendError]
) -> None:
    """Forced, because tests may run as root, whom no mode keeps out."""

    def refuse(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(BackendError) as refused:
        disk.read_bytes(tmp_path / "s", PLACE)
    assert type(refused.value) is kind
    assert refused.value.code == "ST303"
    assert refused.value.problems[0].found_in == (f"{PLACE} ({os.strerror(number)})",)
    assert refused.value.__context__ is None


def test_failure_without_a_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise OSError

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(BackendError, match=r"\(OSError\)"):
        disk.read_bytes(tmp_path / "s", PLACE)


@posix
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads all")
def test_really_unreadable(tmp_path: Path) -> None:
    with pytest.raises(BackendDenied):
        disk.read_bytes(write(tmp_path / "s", "x", mode=0o000), PLACE)


@posix
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o660, 0o601])
def test_warns_of_other_readers(tmp_path: Path, mode: int) -> None:
    path = write(tmp_path / "s", "x", mode=mode)
    answer = disk.read_bytes(path, PLACE)

    assert answer is not None
    (warning,) = answer[1]
    assert (warning.code, warning.severity) == ("ST306", "warning")
    assert warning.found_in == (f"{PLACE} (mode {mode:04o})",)
    assert warning.fix == f"Run: chmod 600 {path}"


@posix
@pytest.mark.parametrize("mode", [0o600, 0o400, 0o700])
def test_owner_alone_is_fine(tmp_path: Path, mode: int) -> None:
    assert disk.read_bytes(write(tmp_path / "s", "x", mode=mode), PLACE) == (b"x", ())


@posix
@pytest.mark.parametrize(
    "directory", ["/run/secrets", "/var/run/secrets/app", "/mnt/secrets-store", "/x/../run/secrets"]
)
def test_mounted_secrets_are_readable_on_purpose(directory: str) -> None:
    assert disk._permission_warning(Path(directory) / "s", PLACE, 0o100444) == ()


@posix
@pytest.mark.parametrize("directory", ["/run/secrets-of-mine", "/run/secrets/../other"])
def test_what_only_sounds_like_it_is_warned_of(directory: str) -> None:
    assert disk._permission_warning(Path(directory) / "s", PLACE, 0o100444)


def test_no_modes_on_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    path = Path("s")
    monkeypatch.setattr(os, "name", "nt")

    assert disk._permission_warning(path, PLACE, 0o100666) == ()


def test_file_named_by_a_variable(tmp_path: Path) -> None:
    path = write(tmp_path / "s", "value\n")

    assert disk.read_secret_file(str(path), "env X_FILE") == ("value\n", ())


def test_file_named_by_a_variable_must_be_there_and_its_path_is_not_shown(tmp_path: Path) -> None:
    """People put the secret itself into the variable that should name its file."""
    with pytest.raises(BackendError) as refused:
        disk.read_secret_file(str(tmp_path / "no-such-name"), "env X_FILE")
    assert refused.value.code == "ST305"
    assert refused.value.problems[0].found_in == ("the file named by env X_FILE",)
    assert "no-such-name" not in str(refused.value)


def test_is_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write(tmp_path / "file", "x")

    assert disk.is_directory(tmp_path, PLACE)
    for other in (file, tmp_path / "missing", file / "below", Path("nul\0")):
        assert not disk.is_directory(other, PLACE)

    def refuse(_: Path) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Path, "stat", refuse)
    with pytest.raises(BackendDenied) as refused:
        disk.is_directory(tmp_path, PLACE)
    assert refused.value.code == "ST303"


@posix
@pytest.mark.parametrize(
    ("mode", "link", "warned"),
    [
        (0o644, "..2026_11_22", False),
        (0o440, "..2026_11_22", False),
        (0o664, "..2026_11_22", True),
        (0o646, "..2026_11_22", True),
        (0o644, "nowhere", True),
        (0o644, None, True),
    ],
)
def test_a_secret_mounted_by_kubernetes_is_readable_on_purpose(
    tmp_path: Path, mode: int, link: str | None, *, warned: bool
) -> None:
    """Wherever it is mounted: the kubelet's layout says so, and nobody may write there."""
    mount = tmp_path / "etc" / "twilio"
    write(mount / "..2026_11_22" / "api-secret", "x", mode=mode)
    if link is None:
        (mount / "api-secret").symlink_to("..2026_11_22/api-secret")
    else:
        (mount / "..data").symlink_to(link)
        (mount / "api-secret").symlink_to("..2026_11_22/api-secret")
    for path in (mount / "api-secret", mount / "..2026_11_22" / "api-secret"):
        answer = disk.read_bytes(path, PLACE)
        assert answer is not None
        assert bool(answer[1]) is warned


@posix
def test_an_ordinary_file_beside_a_mounted_one_is_warned_of(tmp_path: Path) -> None:
    (tmp_path / "..1").mkdir()
    (tmp_path / "..data").symlink_to("..1")
    answer = disk.read_bytes(write(tmp_path / "s", "x", mode=0o644), PLACE)

    assert answer is not None
    assert [problem.code for problem in answer[1]] == ["ST306"]
