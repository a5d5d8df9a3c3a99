"""One file per name, as Docker, Kubernetes and systemd mount them, and never two versions mixed."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from safetwilio.backends import files
from safetwilio.backends.files import FilesBackend
from safetwilio.backends.interface import Absent, Found
from safetwilio.backends.locate import parse
from safetwilio.errors import BackendError
from support import Key, new_key, write

if TYPE_CHECKING:
    from safetwilio.problems import Problem


kubernetes = pytest.mark.skipif(os.name != "posix", reason="links as the kubelet makes them")


def backend(location: object) -> FilesBackend:
    (reference,) = parse(f"files:{location}", place="the test")
    return FilesBackend(reference)


def put(directory: Path, key: Key, name: str | None = None) -> None:
    for variable, value in key.environment(name).items():
        write(directory / variable.lower(), value + "\n")


def loaded(location: object, account: str | None = None) -> tuple[Key, str | None]:
    answer = backend(location).load(account)
    assert isinstance(answer, Found)
    fields = answer.record.fields
    key = Key(*(fields[n].reveal() for n in ("account_sid", "key_sid", "secret")))
    return key, answer.record.version


@pytest.mark.parametrize("spell", [str.lower, str.upper])
def test_reads_names_in_either_case(tmp_path: Path, key: Key, spell) -> None:  # noqa: ANN001
    for variable, value in key.environment().items():
        write(tmp_path / spell(variable), value)

    assert loaded(tmp_path) == (key, None)


def test_account(tmp_path: Path, key: Key) -> None:
    other = new_key()
    put(tmp_path, key)
    put(tmp_path, other, "marketing")

    assert loaded(tmp_path, "marketing")[0] == other
    assert loaded(tmp_path)[0] == key


@pytest.mark.parametrize("make", [None, "file"])
def test_no_directory_is_absent(tmp_path: Path, make: str | None) -> None:
    if make:
        write(tmp_path / "there", "x")
    answer = backend(tmp_path / "there").load(None)

    assert isinstance(answer, Absent)
    assert answer.attempts == (("files", str(tmp_path / "there"), "no such directory"),)


def test_empty_directory_is_absent_and_says_where_it_looked(tmp_path: Path) -> None:
    answer = backend(tmp_path).load(None)

    assert isinstance(answer, Absent)
    assert answer.attempts == (
        (f"files:{tmp_path}", "TWILIO_API_KEY", "no such file"),
        (f"files:{tmp_path}", "TWILIO_API_SECRET", "no such file"),
    )


def test_needs_a_directory() -> None:
    (reference,) = parse("files", place="env SAFETWILIO_BACKEND")
    with pytest.raises(BackendError) as refused:
        FilesBackend(reference)
    assert refused.value.code == "ST302"
    assert refused.value.problems[0].found_in == ("env SAFETWILIO_BACKEND: the reference files",)


def test_location_is_percent_decoded(tmp_path: Path, key: Key) -> None:
    put(tmp_path / "a, b", key)

    assert loaded(f"{tmp_path}/a%2C%20b")[0] == key


def test_every_broken_file_is_reported(tmp_path: Path, key: Key) -> None:
    put(tmp_path, key)
    for name in ("twilio_api_key", "twilio_api_secret"):
        (tmp_path / name).unlink()
        (tmp_path / name).mkdir()
    with pytest.raises(BackendError) as refused:
        backend(tmp_path).load(None)

    assert [p.found_in for p in refused.value.problems] == [
        (f"the file {tmp_path}/twilio_api_key",),
        (f"the file {tmp_path}/twilio_api_secret",),
    ]


def test_directory_that_may_not_be_searched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: Path) -> os.stat_result:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "stat", refuse)
    with pytest.raises(BackendError) as refused:
        backend(tmp_path).load(None)
    assert refused.value.code == "ST303"


def publish(directory: Path, version: str, key: Key) -> None:
    """Write a new directory and turn the link ``..data`` over in one step, as the kubelet does."""
    put(directory / f"..{version}", key)
    fresh = directory / "..data_tmp"
    fresh.symlink_to(f"..{version}")
    fresh.rename(directory / "..data")
    for variable in key.environment():
        link = directory / variable.lower()
        if not link.is_symlink():
            link.symlink_to(f"..data/{variable.lower()}")


@kubernetes
def test_version_is_the_directory_behind_the_link(tmp_path: Path, key: Key) -> None:
    publish(tmp_path, "v1", key)

    assert loaded(tmp_path) == (key, "..v1")


@kubernetes
@pytest.mark.parametrize("after", [1, 2, 3, 4, 5, 6])
@pytest.mark.parametrize("removed", [False, True], ids=["old-kept", "old-removed"])
def test_pair_is_never_mixed_of_two_versions(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    after: int,
    removed: bool,  # noqa: FBT001
) -> None:
    """The link is turned over after any number of the reads: it is all old or all new."""
    old, new = new_key(), new_key()
    publish(tmp_path, "v1", old)
    reads: list[Path] = []
    read_text = files.read_text

    def counting(path: Path, place: str) -> tuple[str, tuple[Problem, ...]] | None:
        answer = read_text(path, place)
        if answer is not None:
            reads.append(path)
            if len(reads) == after:
                publish(tmp_path, "v2", new)
                if removed:
                    for file in (tmp_path / "..v1").iterdir():
                        file.unlink()
        return answer

    monkeypatch.setattr(files, "read_text", counting)
    key, version = loaded(tmp_path)

    assert (key, version) in [(old, "..v1"), (new, "..v2")]
    if after <= 3:
        assert (key, version) == (new, "..v2")


@kubernetes
@pytest.mark.parametrize("name", ["current", "..data", "current/below"])
def test_pair_is_whole_while_links_are_swapped(tmp_path: Path, name: str) -> None:
    """The directory given, one above it or ``..data`` is turned over 2,000 times meanwhile."""
    keys = [new_key(), new_key()]
    for number, key in enumerate(keys):
        put(tmp_path / f"v{number}" / ("below" if "/" in name else ""), key)
    link = tmp_path / name.partition("/")[0]
    link.symlink_to("v0")
    done = threading.Event()

    def swap() -> None:
        for turn in range(2000):
            fresh = tmp_path / "fresh"
            fresh.symlink_to(f"v{turn % 2}")
            fresh.replace(link)
        done.set()

    thread = threading.Thread(target=swap)
    thread.start()
    location = tmp_path if name == "..data" else tmp_path / name
    seen = []
    while not done.is_set():
        seen.append(loaded(location))
    thread.join()
    seen.append(loaded(location))
    assert [key for key, _ in seen if key not in keys] == []
    versions = [None, None] if "/" in name else ["v0", "v1"]
    assert {version for _, version in seen} <= set(versions)
    assert seen[-1] == (keys[1], versions[1])


@kubernetes
@pytest.mark.parametrize("which", ["..data", "itself"])
def test_links_in_a_circle_cannot_be_read(tmp_path: Path, which: str) -> None:
    (tmp_path / which).symlink_to(which)
    with pytest.raises(BackendError) as refused:
        backend(tmp_path if which == "..data" else tmp_path / which).load(None)
    assert [p.code for p in refused.value.problems] == ["ST303"]


def test_two_cases_that_contradict_each_other(tmp_path: Path, key: Key) -> None:
    put(tmp_path, key)
    write(tmp_path / "TWILIO_API_SECRET", new_key().secret)
    if len(list(tmp_path.iterdir())) == 3:
        pytest.skip("upper and lower case are one here")
    answer = backend(tmp_path).load(None)
    assert isinstance(answer, Found)
    (problem,) = answer.record.problems
    assert (problem.code, problem.severity) == ("ST211", "fault")
    assert problem.found_in == (
        f"the file {tmp_path}/TWILIO_API_SECRET",
        f"the file {tmp_path}/twilio_api_secret",
    )


@pytest.mark.parametrize("blank", [True, False])
def test_two_cases_that_do_not_contradict_each_other(
    tmp_path: Path,
    key: Key,
    blank: bool,  # noqa: FBT001
) -> None:
    put(tmp_path, key)
    write(tmp_path / "TWILIO_API_SECRET", "" if blank else key.secret)
    if len(list(tmp_path.iterdir())) == 3:
        pytest.skip("upper and lower case are one here")
    answer = backend(tmp_path).load(None)
    assert isinstance(answer, Found)
    assert answer.record.problems == ()
    assert answer.record.fields["secret"].reveal() == key.secret
