"""When the old key may go: time, heartbeats, what somebody said, and what is no proof."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from safetwilio.errors import UsageError
from safetwilio.heartbeat import beat, writing
from safetwilio.processes import this_process
from safetwilio.rotation import overlap as overlaps
from safetwilio.rotation.overlap import OF_A_KEY, OF_A_TOKEN, Answer, Overlap, announced
from safetwilio.runbook.keeping import Clock
from support import caught, clean_environment, new_key
from test_store import api_key

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import tzinfo

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


class Times:
    """Two clocks: one that only grows, and the one on the wall, which may jump."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Begin with both right."""
        self.passed = self.jumped = 0.0
        times = self

        class Wall(datetime):
            @classmethod
            def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
                ahead = timedelta(seconds=times.passed + times.jumped)
                return datetime.now(tz) + ahead

        now, wall = Clock.now, time.time
        monkeypatch.setattr(Clock, "now", lambda clock: now(clock) + self.passed)
        monkeypatch.setattr(overlaps, "datetime", Wall)
        monkeypatch.setattr(time, "time", lambda: wall() + self.passed + self.jumped)


@pytest.fixture
def times(monkeypatch: pytest.MonkeyPatch) -> Times:
    return Times(monkeypatch)


def ago(seconds: float) -> str:
    return (datetime.now(UTC) - timedelta(seconds=seconds)).isoformat()


def asked(overlap: Overlap, old: Key, new: Key, kept_at: str | None = None) -> Answer:
    return overlap.ask(old.sid, new.sid, kept_at or ago(0))


def moved_elsewhere(directory: Path, **changes: object) -> Path:
    """Let the only heartbeat be one of another host."""
    (path,) = directory.glob("*.json")
    there = {"host": "elsewhere", "boot_id": "0" * 8, **changes}
    path.write_text(json.dumps(json.loads(path.read_text()) | there))
    return path.rename(directory / "elsewhere.json")


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


def test_a_clock_that_is_behind_makes_no_process_idle(
    directory: Path, old: Key, new: Key, times: Times
) -> None:
    """It looks as silent as one that is, until it is seen to be."""
    uses(old)
    path = moved_elsewhere(directory, told_at=time.time() - 660)
    uses(new)
    overlap = Overlap(heartbeats=directory)
    answer = asked(overlap, old, new)
    assert not answer.is_over
    assert "; silent; waiting 600 more seconds to be sure)" in answer.why
    times.passed += 400
    assert "waiting 200 more" in asked(overlap, old, new).why
    told = json.loads(path.read_text())
    path.write_text(json.dumps(told | {"told_at": time.time() - 660}))
    assert "waiting 600 more" in asked(overlap, old, new).why, "it has looked"
    times.passed += 590
    assert not asked(overlap, old, new).is_over
    assert not asked(Overlap(heartbeats=directory), old, new).is_over, "another has not watched"
    times.passed += 11
    assert asked(overlap, old, new).is_over


def test_our_own_clock_that_jumps_makes_no_process_elsewhere_idle(
    directory: Path, old: Key, new: Key, times: Times
) -> None:
    uses(old)
    moved_elsewhere(directory)
    uses(new)
    overlap = Overlap(heartbeats=directory)
    assert "silent" not in asked(overlap, old, new).why
    times.jumped += 10_000
    answer = asked(overlap, old, new)
    assert not answer.is_over
    assert "silent; waiting" in answer.why


@pytest.mark.skipif(this_process().boot_id is None, reason="the system does not say it")
def test_a_process_of_our_own_clock_is_idle_at_once(
    directory: Path, old: Key, new: Key, times: Times
) -> None:
    uses(old)
    moved_elsewhere(directory, host="container", boot_id=this_process().boot_id)
    times.passed += 601
    uses(new)
    assert asked(Overlap(heartbeats=directory), old, new).is_over


def test_a_process_that_never_looks_by_age_is_never_idle(
    directory: Path, old: Key, new: Key, times: Times
) -> None:
    uses(old)
    moved_elsewhere(directory, refresh_age=None)
    uses(new)
    overlap = Overlap(heartbeats=directory)
    assert not asked(overlap, old, new).is_over
    times.passed += 10**6
    assert not asked(overlap, old, new).is_over


@pytest.mark.parametrize("jump", [901, -10_000])
def test_a_clock_that_jumps_ends_no_overlap_of_a_run_that_goes_on(
    old: Key, new: Key, times: Times, jump: float
) -> None:
    overlap = Overlap(seconds=900)
    kept_at = ago(0)
    assert not asked(overlap, old, new, kept_at).is_over
    times.jumped += jump
    times.passed += 300
    assert not asked(overlap, old, new, kept_at).is_over
    times.jumped = 0.0
    times.passed += 601
    assert asked(overlap, old, new, kept_at).is_over


def test_a_clock_that_jumps_before_the_first_question_counts_for_nothing(
    old: Key, new: Key, times: Times
) -> None:
    overlap = Overlap(seconds=900)
    kept_at = ago(0)
    times.jumped += 901
    assert asked(overlap, old, new, kept_at).why == "900 more seconds"


def test_a_run_that_is_gone_on_with_believes_the_wall_only_of_before(
    old: Key, new: Key, times: Times
) -> None:
    overlap = Overlap(seconds=900)
    kept_at = ago(600)
    assert asked(overlap, old, new, kept_at).why == "300 more seconds"
    times.jumped += 300
    assert asked(overlap, old, new, kept_at).why == "300 more seconds"
    times.passed += 301
    assert asked(overlap, old, new, kept_at).is_over


SOON = "may not have the new one by then"


@pytest.mark.parametrize(
    ("given", "when", "is_soon"),
    [
        (Overlap(), "the old key stays until somebody says when: --overlap, --heartbeats", False),
        (Overlap(0.0), "the old key goes 0 seconds after the new one is in its place", True),
        (Overlap(12.0), "the old key goes 12 seconds after the new one is in its place", True),
        (Overlap(90.0), "goes 90 seconds after", True),
        (Overlap(60.0), "goes 1 minute after", True),
        (Overlap(300.0), "goes 5 minutes after", False),
        (Overlap(7200.0), "goes 2 hours after", False),
        (Overlap(86400.0), "goes 1 day after", False),
        (Overlap(said=True), "goes as soon as the new one is in its place (--moved)", False),
        (Overlap(5.0, said=True), "goes as soon as the new one is in its place (--moved)", False),
        (Overlap(heartbeats=Path("x")), "once all processes that write to x have the new", False),
        (Overlap(5.0, Path("x")), "have the new one, and at the earliest 5 seconds after", False),
    ],
)
def test_a_plan_says_when_and_whether_that_is_too_soon(
    given: Overlap, when: str, *, is_soon: bool
) -> None:
    """Who looks every five minutes may be late for less; heartbeats and people wait for them."""
    note, *warnings = announced(given, OF_A_KEY)
    assert note.startswith("  note: ")
    assert when in note
    assert [SOON in each and "every 5 minutes" in each for each in warnings] == [True] * is_soon


def test_a_plan_says_the_same_of_a_token() -> None:
    note, warning = announced(Overlap(12.0), OF_A_TOKEN)
    assert "a standby that this run makes is promoted 12 seconds after it is in its places" in note
    assert warning.startswith("  warning: ")
    assert warning.endswith(
        "what verifies webhooks refuses those that are signed with it meanwhile"
    )
    assert "is not promoted until somebody" in next(announced(Overlap(), OF_A_TOKEN))
