"""When the old key may go: time, heartbeats, what somebody said, and what is no proof."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from safetwilio.errors import UsageError
from safetwilio.heartbeat import beat, writing
from safetwilio.rotation.overlap import Answer, Overlap
from support import caught, clean_environment, new_key
from test_store import api_key

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support import Key

INFINITE = float("inf")


@pytest.fixture(autouse=True)
def _writes_nothing_more() -> Iterator[None]:
    yield
    writing._writer.files.clear()
    writing._writer.problem = None
    writing._writer.home = None


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    made = tmp_path / "beats"
    made.mkdir()
    monkeypatch.setenv("SAFETWILIO_HEARTBEAT", str(made))
    monkeypatch.setenv("SAFETWILIO_SERVICE", "billing")
    return made


@pytest.fixture
def old() -> Key:
    return new_key()


@pytest.fixture
def new() -> Key:
    return new_key()


def ago(seconds: float) -> str:
    return (datetime.now(UTC) - timedelta(seconds=seconds)).isoformat()


def asked(overlap: Overlap, old: Key, new: Key, kept_at: str | None = None) -> Answer:
    return overlap.ask(old.sid, new.sid, kept_at or ago(0))


def uses(key: Key, account: str = "default") -> None:
    """Let this process say that it uses *key*."""
    beat(account, lambda: api_key(key), 300.0)


def test_nobody_knows_without_being_told(old: Key, new: Key) -> None:
    assert not Overlap().can_end
    answer = asked(Overlap(), old, new, ago(10**9))
    assert not answer.is_over
    assert "--moved" in answer.why


def test_what_somebody_said_is_enough(old: Key, new: Key, directory: Path) -> None:
    uses(old)
    overlap = Overlap(seconds=10**6, heartbeats=directory, said=True)
    assert overlap.can_end
    assert asked(overlap, old, new).is_over


@pytest.mark.parametrize(
    ("seconds", "passed", "is_over"),
    [(0, 0, True), (900, 899, False), (900, 901, True), (900, -60, False), (0, -60, False)],
)
def test_time(old: Key, new: Key, seconds: float, passed: float, *, is_over: bool) -> None:
    """A clock that was put back makes it wait longer, never shorter."""
    overlap = Overlap(seconds=seconds)
    assert overlap.can_end
    assert asked(overlap, old, new, ago(passed)).is_over is is_over


def test_how_long_is_said(old: Key, new: Key) -> None:
    assert asked(Overlap(seconds=900), old, new, ago(840)).why == "60 more seconds"


def test_a_process_with_the_old_key_is_waited_for_by_its_name(
    directory: Path, old: Key, new: Key
) -> None:
    overlap = Overlap(heartbeats=directory)
    uses(old)
    answer = asked(overlap, old, new)
    assert not answer.is_over
    assert answer.why.startswith("1 with the old key: billing on ")
    assert f"(process {os.getpid()})" in answer.why
    uses(new)
    answer = asked(overlap, old, new)
    assert answer.is_over
    assert answer.why == "1 processes use the new key, none the old one"


def test_an_account_of_the_process_with_the_old_key_is_enough(
    directory: Path, old: Key, new: Key
) -> None:
    uses(new)
    uses(old, "eu")
    assert not asked(Overlap(heartbeats=directory), old, new).is_over


def test_silence_is_no_proof(directory: Path, old: Key, new: Key) -> None:
    """The wrong directory is empty, too."""
    overlap = Overlap(heartbeats=directory)
    assert "a first heartbeat with the new key" in asked(overlap, old, new).why
    uses(new_key())
    assert not asked(overlap, old, new).is_over


def test_a_directory_that_is_not_there_is_an_error(tmp_path: Path, old: Key, new: Key) -> None:
    error = caught(lambda: asked(Overlap(heartbeats=tmp_path / "nowhere"), old, new))
    assert isinstance(error, UsageError)
    assert error.code == "ST957"


@pytest.mark.parametrize("content", ["", "{", "[]", '{"format": 2}'])
def test_a_file_that_cannot_be_read_may_be_of_a_process_with_the_old_key(
    directory: Path, old: Key, new: Key, content: str
) -> None:
    uses(new)
    (directory / "other.json").write_text(content)
    answer = asked(Overlap(heartbeats=directory), old, new)
    assert not answer.is_over
    assert "other.json" in answer.why


def test_a_process_that_is_dead_holds_nothing_up(directory: Path, old: Key, new: Key) -> None:
    program = (
        "import os, sys\n"
        "from safetwilio.credentials import ApiKey\n"
        "from safetwilio.heartbeat import beat\n"
        "beat('default', lambda: ApiKey(*sys.argv[1:], source='x'), 300.0)\n"
        "os._exit(0)\n"
    )
    environment = clean_environment(SAFETWILIO_HEARTBEAT=str(directory))
    subprocess.run([sys.executable, "-c", program, *old], env=environment, check=True, timeout=60)
    uses(new)
    assert len(list(directory.glob("*.json"))) == 2
    assert asked(Overlap(heartbeats=directory), old, new).is_over


def test_a_process_elsewhere_that_nobody_can_ask_about_is_waited_for(
    directory: Path, old: Key, new: Key
) -> None:
    uses(old)
    (path,) = directory.glob("*.json")
    elsewhere = json.loads(path.read_text()) | {"host": "elsewhere"}
    path.write_text(json.dumps(elsewhere))
    (directory / "mine").mkdir()
    uses_new = Overlap(heartbeats=directory)
    answer = asked(uses_new, old, new)
    assert not answer.is_over
    assert "billing on elsewhere" in answer.why


def test_fingerprints_that_cannot_be_compared_may_be_of_the_old_key(
    directory: Path, old: Key, new: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    uses(new)
    monkeypatch.setenv("SAFETWILIO_FINGERPRINT_KEY", "another one, of enough characters")
    assert not asked(Overlap(heartbeats=directory), old, new).is_over


@pytest.mark.parametrize(
    ("passed", "key", "is_over"),
    [(901, "new", True), (1, "new", False), (901, "old", False), (1, "old", False)],
)
def test_all_that_is_given_has_to_be(
    directory: Path, passed: float, key: str, *, is_over: bool
) -> None:
    old, new = new_key(), new_key()
    uses(new if key == "new" else old)
    answer = asked(Overlap(900, directory), old, new, ago(passed))
    assert answer.is_over is is_over
    if passed == 1:
        assert "more seconds" in answer.why
    if key == "old":
        assert "1 with the old key" in answer.why
