"""The journal of a run: what counts, what is noticed, and what a kill, a full disk, a thief do."""

from __future__ import annotations

import base64
import json
import os
import stat
import subprocess
import sys
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from safetwilio.errors import JournalError
from safetwilio.redaction import register
from safetwilio.runbook import journal
from safetwilio.runbook.journal import Entry, begin, read, reopen
from support import caught, clean_environment, key_secret, key_sid, leaks

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

EVERY_WAY = pytest.mark.parametrize("way", [read, reopen], ids=["read", "reopen"])
LOOKING = settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "runs" / "20261122T000000Z-ab12.jsonl"


def begun(path: Path) -> Path:
    """Write a journal of four lines."""
    with begin(path, "run", verb="rotate key") as made:
        for step in ("one", "two", "three"):
            made.append("done", step=step)
    return path


def refused(call: Callable[[], object]) -> JournalError:
    error = caught(call)
    assert isinstance(error, JournalError), error
    return error


def steps(entries: tuple[Entry, ...]) -> list[object]:
    return [entry.facts.get("step") for entry in entries]


def test_what_is_written_is_read_and_gone_on_with(path: Path) -> None:
    begun(path)
    with reopen(path) as again:
        again.append("finished")
        assert [entry.number for entry in again.entries] == [0, 1, 2, 3, 4]
        assert again.entries == read(path)  # while it is open here
    entries = read(path)
    assert [entry.event for entry in entries] == ["run", "done", "done", "done", "finished"]
    assert entries[0].facts == {"verb": "rotate key"}
    assert all(entry.at.endswith("+00:00") for entry in entries)


def changed(original: bytes, how: str, at: int, what: bytes) -> bytes:
    lines = original.splitlines(keepends=True)
    one, other = at % len(lines), (at // len(lines)) % len(lines)
    match how:
        case "alter":
            return original[: at % len(original)] + what + original[at % len(original) + 1 :]
        case "insert":
            return original[: at % len(original)] + what + original[at % len(original) :]
        case "cut":
            return original[: at % len(original)]
        case "remove":
            del lines[one]
        case "swap":
            lines[one], lines[other] = lines[other], lines[one]
        case "repeat":
            lines.insert(other, lines[one])
    return b"".join(lines)


@given(
    how=st.sampled_from(["alter", "insert", "cut", "remove", "swap", "repeat"]),
    at=st.integers(0, 10**6),
    what=st.binary(min_size=1, max_size=3) | st.sampled_from([b"\n", b"\r", b" ", b"0", b"\x00"]),
)
@LOOKING
def test_whatever_is_changed_is_noticed(tmp_path: Path, how: str, at: int, what: bytes) -> None:
    """Only lines at the end can be missing: that is what the words above the module say."""
    path = tmp_path / "x.jsonl"
    path.unlink(missing_ok=True)
    original = begun(path).read_bytes()
    known = read(path)
    data = changed(original, how, at, what)
    path.write_bytes(data)
    whole = data[: data.rfind(b"\n") + 1]
    if original.startswith(whole):
        assert read(path) == known[: whole.count(b"\n")]
        return
    for way in (read, reopen):
        assert refused(lambda way=way: way(path)).code == "ST950"  # type: ignore[misc]
    assert path.read_bytes() == data  # and nothing of it is cut away


def test_a_line_of_another_journal_does_not_fit(tmp_path: Path) -> None:
    one, other = begun(tmp_path / "one.jsonl"), begun(tmp_path / "other.jsonl")
    lines = one.read_bytes().splitlines(keepends=True)
    theirs = other.read_bytes().splitlines(keepends=True)
    one.write_bytes(b"".join([*lines[:2], theirs[2], *lines[3:]]))
    assert refused(lambda: read(one)).code == "ST950"


@EVERY_WAY
@pytest.mark.parametrize(
    "content",
    [b"\n", b"null\n", b"[]\n", b"{}\n", b"\xff\n", b"[" * 100_000 + b"\n", b"1" * 5000 + b"\n"],
)
def test_what_is_no_journal_is_refused_and_not_shown(
    tmp_path: Path, way: Callable[[Path], object], content: bytes
) -> None:
    secret = key_secret()
    path = tmp_path / "x.jsonl"
    path.write_bytes(content + secret.encode() + b"\n")
    error = refused(lambda: way(path))
    assert error.code == "ST950"
    assert "Nothing was done" in str(error)
    assert error.__context__ is None
    assert leaks(f"{error} {error!r}", [secret]) == []


@pytest.mark.parametrize("torn", [b"{", b'{"after": "x"', b"\x00\x00", b"{}"])
def test_what_was_left_of_a_last_line_is_taken_away_and_gone_on_with(
    path: Path, torn: bytes
) -> None:
    whole = begun(path).read_bytes()
    path.write_bytes(whole + torn)
    assert len(read(path)) == 4
    assert path.read_bytes() == whole + torn  # who only looks takes nothing away
    with reopen(path) as again:
        assert path.read_bytes() == whole
        again.append("done", step="four")
    assert steps(read(path)) == [None, "one", "two", "three", "four"]


def child(code: str, path: Path) -> subprocess.Popen[str]:
    program = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from safetwilio.errors import JournalError\n"
        "from safetwilio.runbook import journal\n"
        f"path = Path(sys.argv[1])\n{code}"
    )
    return subprocess.Popen(
        [sys.executable, "-c", program, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=clean_environment(),
        text=True,
    )


@pytest.mark.parametrize("kept", ["1", "len(data) // 2", "len(data) - 1", "len(data)"])
def test_a_process_killed_while_it_writes_leaves_what_counts(path: Path, kept: str) -> None:
    """The kill comes between the bytes of a line; one that is whole but for its end is none."""
    with child(
        "made = journal.begin(path, 'run')\n"
        "made.append('done', step='one')\n"
        "def half(handle, data):\n"
        f"    os.write(handle, data[:{kept}])\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "journal._write_all = half\n"
        "made.append('done', step='two')\n",
        path,
    ) as process:
        process.communicate(timeout=60)
    assert process.returncode == -9
    with reopen(path) as again:
        again.append("done", step="after")
    found = steps(read(path))
    assert found == [None, "one", *(["two"] if kept == "len(data)" else []), "after"]


def test_of_two_processes_one_goes_on_and_the_other_is_told(path: Path) -> None:
    begun(path)
    with child(
        "made = journal.reopen(path)\nprint('open', flush=True)\ninput()\n", path
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        error = refused(lambda: reopen(path))
        assert error.code == "ST951"
        assert str(path) in str(error)
        assert len(read(path)) == 4  # to look is allowed
        process.communicate("\n", timeout=60)
    reopen(path).close()


def test_who_was_told_so_does_not_keep_others_out_afterwards(path: Path) -> None:
    begun(path)
    with reopen(path):
        assert refused(lambda: reopen(path)).code == "ST951"
    path.write_bytes(b"no journal\n")
    for _ in range(2):  # no handle is left behind that has the lock
        assert refused(lambda: reopen(path)).code == "ST950"


def test_on_a_full_disk_nothing_follows_half_a_line(path: Path) -> None:
    path.parent.mkdir(parents=True)
    with child(
        "import resource\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "made = journal.begin(path, 'run')\n"
        "hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))\n"
        "for _ in range(100):\n"
        "    try:\n"
        "        made.append('done', step='x')\n"
        "    except JournalError as error:\n"
        "        print(error.code)\n"
        "        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))  # there is room again\n",
        path,
    ) as process:
        said, _ = process.communicate(timeout=60)
    assert set(said.split()) == {"ST952"}
    data = path.read_bytes()
    assert len(data) == 1000
    assert not data.endswith(b"\n")
    known = read(path)
    assert len(known) == data.count(b"\n") > 1
    assert said.count("ST952") == 100 - (len(known) - 1)  # the first failure is the last word
    with reopen(path) as again:
        again.append("done", step="there is room again")
    assert read(path)[:-1] == known


@pytest.mark.parametrize("umask", [0, 0o777])
def test_nobody_else_may_read_it_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    directory = tmp_path / "runs"
    if umask:  # or nobody can make anything below it
        directory.mkdir(mode=0o700)
    before = os.umask(umask)
    try:
        begun(directory / "x.jsonl")
    finally:
        os.umask(before)
    assert stat.S_IMODE((directory / "x.jsonl").stat().st_mode) == 0o600
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700


@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o703])
def test_a_directory_that_anybody_may_write_to_is_not_used(path: Path, mode: int) -> None:
    """There somebody else could put a journal whose name for our keys is one of theirs."""
    begun(path)
    path.parent.chmod(mode)
    for call in (lambda: read(path), lambda: reopen(path), lambda: begin(path.with_stem("y"), "x")):
        error = refused(call)
        assert error.code == "ST952"
        assert "anybody may write to its directory (chmod o-w)" in str(error)
    assert not path.with_stem("y").exists()


@pytest.mark.skipif(os.name != "posix", reason="files have no owner")
def test_what_another_user_left_there_is_not_believed(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A group may share the directory: one of them could name a key for us to delete."""
    begun(path)
    owner = path.stat().st_uid
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    monkeypatch.setattr(journal, "_ROOT", owner + 2)
    for call in (lambda: read(path), lambda: reopen(path)):
        error = refused(call)
        assert error.code == "ST952"
        assert f"it is another user's (uid {owner})" in str(error)
    monkeypatch.setattr(journal, "_ROOT", owner)
    assert read(path)


def forms(secret: str) -> dict[str, str]:
    sid = key_sid()
    return {
        "plain": secret,
        "within": f"https://{sid}:{secret}@api.twilio.com/",
        "base64": base64.b64encode(secret.encode()).decode(),
        "basic": base64.b64encode(f"{sid}:{secret}".encode()).decode(),
        "url": quote(secret, safe=""),
    }


@pytest.mark.parametrize("form", forms("x"))
def test_a_secret_is_no_fact(path: Path, form: str) -> None:
    secret = "p/" + key_secret(28) + "+="
    register(secret, "secret")
    fact = forms(secret)[form]
    with begin(path, "run") as made:
        before = path.read_bytes()
        for call in (
            lambda: made.append("done", fact=fact),
            lambda: made.append("done", facts={"deep": [fact]}),
            lambda: made.append(fact),
        ):
            error = refused(call)
            assert error.code == "ST950"
            assert fact not in str(error)
            assert error.__context__ is None
        assert path.read_bytes() == before
        made.append("done", step="and it can go on")
    assert len(read(path)) == 2


def test_a_text_that_cannot_be_searched_for_secrets_is_no_fact(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with begin(path, "run") as made:
        monkeypatch.setattr(journal, "redact", lambda _: "[TWILIO:redaction-failed]")
        assert refused(lambda: made.append("done")).code == "ST950"


def test_a_secret_in_the_first_line_keeps_no_lock(path: Path) -> None:
    secret = key_secret()
    register(secret, "secret")
    assert refused(lambda: begin(path, "run", fact=secret)).code == "ST950"
    assert path.read_bytes() == b""
    reopen(path).close()


def test_the_sid_of_a_key_is_no_secret(path: Path) -> None:
    sid = key_sid()
    begin(path, "run", sid=sid).close()
    assert read(path)[0].facts == {"sid": sid}


def test_an_empty_file_is_a_journal_without_entries(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.touch()
    assert read(path) == ()
    with reopen(path) as made:
        assert made.entries == ()
        made.append("run")
    assert len(read(path)) == 1


def test_what_is_too_large_to_be_ours_is_not_read(path: Path) -> None:
    whole = begun(path).read_bytes()
    os.truncate(path, 64 << 20)
    for way in (read, reopen):
        assert refused(lambda way=way: way(path)).code == "ST950"  # type: ignore[misc]
    assert path.stat().st_size == 64 << 20
    assert path.read_bytes()[: len(whole)] == whole


def place(what: str, path: Path) -> None:
    """Put *what* at *path*, where a journal should be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    match what:
        case "a directory":
            path.mkdir()
        case "a FIFO":
            os.mkfifo(path)
        case "a link":
            path.symlink_to(begun(path.with_stem("elsewhere")))
        case "a link to nothing":
            path.symlink_to(path.with_stem("nothing"))
        case "a link to itself":
            path.symlink_to(path)


PLACES = ["nothing", "a directory", "a FIFO", "a link", "a link to nothing", "a link to itself"]


@EVERY_WAY
@pytest.mark.parametrize("what", PLACES)
def test_what_is_no_file_of_ours_is_not_read(
    path: Path, way: Callable[[Path], object], what: str
) -> None:
    """A FIFO lets nobody wait, and a link leads nowhere."""
    place(what, path)
    error = refused(lambda: way(path))
    assert error.code == "ST952"
    assert "--journal or SAFETWILIO_JOURNAL" in str(error)
    assert error.__context__ is None


@pytest.mark.parametrize("what", PLACES[1:])
def test_what_is_in_the_place_of_a_new_journal_stays(path: Path, what: str) -> None:
    place(what, path)
    before = sorted(path.parent.iterdir())
    assert refused(lambda: begin(path, "run")).code == "ST952"
    assert sorted(path.parent.iterdir()) == before


def test_a_directory_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    error = refused(lambda: begin(tmp_path / "file" / "runs" / "x.jsonl", "run"))
    assert error.code == "ST952"
    assert "Not a directory" in str(error)


def test_a_line_is_on_disk_before_append_returns(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda _: synced.append(path.stat().st_size))
    with begin(path, "run") as made:
        made.append("done")
    assert synced[-1] == path.stat().st_size
    lines = path.read_text().splitlines()
    assert all(json.loads(line)["number"] == number for number, line in enumerate(lines))
