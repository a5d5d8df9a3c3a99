"""A run does each step once, again what was only begun, and is found until it is finished."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from unittest.mock import Mock

import pytest

from safetwilio.errors import AccountOperationError, JournalError
from safetwilio.redaction import register
from safetwilio.runbook import runs
from safetwilio.runbook.journal import begin, read
from safetwilio.runbook.runs import directory_of_journals, new_run_id, resume, start, unfinished
from support import caught, key_secret

if TYPE_CHECKING:
    from safetwilio.runbook.runs import Run


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return start(tmp_path / "runs", "one", verb="rotate key", subjects=[{"target": "app"}])


def again(run: Run) -> Run:
    """Return *run* as another process finds it."""
    run.close()
    return resume(run.path)


def events(run: Run) -> list[str]:
    return [entry.event for entry in read(run.path)]


class Deed:
    """Something to do, which counts how often it was done."""

    def __init__(self, error: BaseException | None = None, **facts: Any) -> None:
        """Return *facts*, or raise *error*."""
        self.times = 0
        self._error = error
        self._facts = facts

    def __call__(self) -> dict[str, Any]:
        """Do it."""
        self.times += 1
        if self._error:
            raise self._error
        return self._facts


def test_a_run_says_what_it_is_about(run: Run) -> None:
    assert run.id == "one"
    assert run.path.name == "one.jsonl"
    assert run.subject == {"verb": "rotate key", "subjects": [{"target": "app"}]}
    assert run.done == frozenset()
    assert again(run).subject == run.subject


def test_what_is_done_is_not_done_again_in_this_process_or_another(run: Run) -> None:
    deed = Deed(sid="SK1")
    run.perform("replace", deed)
    run.perform("replace", deed)
    later = again(run)
    later.perform("replace", deed)
    assert deed.times == 1
    assert later.done == {"replace"}
    assert events(later) == ["run", "began", "done"]
    assert later.noted("done", step="replace")[0].facts == {"step": "replace", "sid": "SK1"}


def test_what_was_begun_only_is_done_again(run: Run) -> None:
    """As after a kill, which leaves no word about its reason."""
    killed = Deed(KeyboardInterrupt())
    assert isinstance(caught(lambda: run.perform("replace", killed)), KeyboardInterrupt)
    later = again(run)
    deed = Deed()
    later.perform("replace", deed)
    assert deed.times == 1
    assert events(later) == ["run", "began", "began", "done"]


def test_a_failure_is_noted_and_goes_on_to_who_asked(run: Run) -> None:
    error = AccountOperationError("words that are not noted", code="ST624")
    assert caught(lambda: run.perform("replace", Deed(error))) is error
    assert run.noted("failed")[0].facts == {"step": "replace", "code": "ST624"}
    assert "words" not in run.path.read_text()
    assert run.done == frozenset()
    run.perform("replace", Deed())
    assert run.done == {"replace"}


def test_a_failure_that_cannot_be_noted_is_still_what_is_raised(run: Run) -> None:
    error = AccountOperationError("x", code="ST624")

    def fail() -> dict[str, Any]:
        run.close()  # as after a full disk
        raise error

    assert caught(lambda: run.perform("replace", fail)) is error
    assert events(run) == ["run", "began"]


def test_nothing_is_done_that_cannot_be_noted_before(run: Run) -> None:
    run.close()
    deed = Deed()
    error = caught(lambda: run.perform("replace", deed))
    assert isinstance(error, JournalError)
    assert error.code == "ST952"
    assert deed.times == 0


def test_a_secret_among_the_facts_of_a_step_is_not_written(run: Run) -> None:
    secret = key_secret()
    register(secret, "secret")
    error = caught(lambda: run.perform("replace", Deed(secret=secret)))
    assert isinstance(error, JournalError)
    assert error.code == "ST950"
    assert secret not in run.path.read_text()


def test_notes_are_found_by_their_facts(run: Run) -> None:
    run.note("kept", target="app", sid="SK1")
    run.note("kept", target="other", sid="SK2")
    run.note("created", target="app", sid="SK1")
    assert [entry.facts["sid"] for entry in run.noted("kept")] == ["SK1", "SK2"]
    assert [entry.facts["sid"] for entry in run.noted("kept", target="other")] == ["SK2"]
    assert run.noted("kept", target="nobody") == ()
    assert run.noted("kept", other="app") == ()


def test_runs_are_unfinished_until_they_say_so(tmp_path: Path, run: Run) -> None:
    directory = tmp_path / "runs"
    two = start(directory, "two", verb="rotate key")
    two.finish()
    three = start(directory, "three", verb="other")
    left = [(path, entries[0].facts) for path, entries in unfinished(directory)]
    assert left == [(run.path, run.subject), (three.path, {"verb": "other"})]
    run.finish(rolled_back=True)
    three.close()
    assert [path for path, _ in unfinished(directory)] == [three.path]


def test_where_there_is_nothing_no_run_is_unfinished(tmp_path: Path) -> None:
    assert unfinished(tmp_path / "nowhere") == []
    (tmp_path / "empty.jsonl").touch()  # a process was killed before it had begun
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "one.app.age").write_text("sealed")
    assert unfinished(tmp_path) == []


def test_a_directory_that_cannot_be_listed_is_not_an_empty_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: Path) -> None:
        raise PermissionError(13, "Permission denied")

    (tmp_path / "file").touch()
    error = caught(lambda: unfinished(tmp_path / "file"))
    assert isinstance(error, JournalError)
    assert error.code == "ST952"
    monkeypatch.setattr(Path, "iterdir", refuse)
    error = caught(lambda: unfinished(tmp_path))
    assert isinstance(error, JournalError)
    assert error.code == "ST952"


def test_a_run_whose_first_line_was_torn_was_never_begun(tmp_path: Path) -> None:
    begin(tmp_path / "one.jsonl", "run", verb="x").close()
    with (tmp_path / "one.jsonl").open("r+") as file:
        file.truncate(20)
    assert unfinished(tmp_path) == []


def test_an_altered_journal_is_not_passed_over(tmp_path: Path, run: Run) -> None:
    start(tmp_path / "runs", "two").close()
    run.path.write_text("altered\n")
    error = caught(lambda: unfinished(tmp_path / "runs"))
    assert isinstance(error, JournalError)
    assert error.code == "ST950"
    assert str(run.path) in str(error)


def test_the_same_run_is_begun_once(run: Run) -> None:
    error = caught(lambda: start(run.path.parent, "one"))
    assert isinstance(error, JournalError)
    assert error.code == "ST952"
    assert events(run) == ["run"]


def test_names_of_runs_differ_sort_by_time_and_are_names_of_files() -> None:
    names = [new_run_id() for _ in range(20)]
    assert len(set(names)) > 1  # of one second
    assert all(re.fullmatch(r"\d{8}T\d{6}Z-[0-9a-f]{4}", name) for name in names)


HOME = Path.home() / ".local" / "state" / "safetwilio" / "runs"


@pytest.mark.parametrize(
    ("platform", "environment", "directory"),
    [
        ("posix", {}, HOME),
        ("posix", {"XDG_STATE_HOME": ""}, HOME),
        ("posix", {"XDG_STATE_HOME": "/state"}, Path("/state/safetwilio/runs")),
        ("posix", {"XDG_STATE_HOME": "state"}, HOME),
        ("posix", {"XDG_STATE_HOME": "/state", "HOME": ""}, Path("/state/safetwilio/runs")),
        ("posix", {"LOCALAPPDATA": "/windows"}, HOME),
        ("nt", {"LOCALAPPDATA": "/local"}, Path("/local/safetwilio/runs")),
        ("nt", {"XDG_STATE_HOME": "/state"}, HOME),
        ("nt", {}, HOME),
        ("posix", {"SAFETWILIO_JOURNAL": " /here ", "XDG_STATE_HOME": "/state"}, Path("/here")),
        ("nt", {"SAFETWILIO_JOURNAL": "here", "LOCALAPPDATA": "/local"}, Path("here")),
        ("posix", {"SAFETWILIO_JOURNAL": "  "}, HOME),
    ],
)
def test_where_journals_are_kept(
    monkeypatch: pytest.MonkeyPatch, platform: str, environment: dict[str, str], directory: Path
) -> None:
    monkeypatch.setattr(runs, "os", SimpleNamespace(name=platform))
    assert directory_of_journals(environment) == directory


@pytest.mark.parametrize("home", ["", "relative", None])
def test_without_a_home_directory_it_is_to_be_named(
    monkeypatch: pytest.MonkeyPatch, home: str | None
) -> None:
    """An empty one would be the root directory, and a relative one another one each time."""
    if home is None:
        monkeypatch.setattr(Path, "home", Mock(side_effect=RuntimeError))
        environment = {}
    else:
        monkeypatch.setenv("HOME", home)
        environment = {"HOME": home, "XDG_STATE_HOME": "relative"}
    error = caught(lambda: directory_of_journals(environment))
    assert isinstance(error, JournalError)
    assert error.code == "ST952"
    assert "--journal DIR" in str(error)


def test_a_run_whose_directory_goes_away_says_so(run: Run) -> None:
    run.close()
    shutil.rmtree(run.path.parent)
    error = caught(lambda: resume(run.path))
    assert isinstance(error, JournalError)
    assert error.code == "ST952"
