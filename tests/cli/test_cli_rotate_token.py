"""``safetwilio rotate token``: what it asks, does, prints and returns."""

from __future__ import annotations

import json
import logging
import signal
from typing import TYPE_CHECKING, Any

import pytest
from newcomer import DEADLINE, Here, Newcomer, Terminal

from safetwilio.rotation import tokens as tokens_rotation
from safetwilio.testing.faults import drop, status
from support import leaks, write

if TYPE_CHECKING:
    from pathlib import Path

ROTATE = ("rotate", "token")
PROMPT = "type the last 4 characters of the Account SID"
STANDBY = "TWILIO_WEBHOOK_SECONDARY_AUTH_TOKEN"


@pytest.fixture(autouse=True)
def _own_state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep journals in a directory of the test's own, also for the processes it starts."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture
def kept(here: Here) -> Here:
    """Keep the Auth Token in ``.env``."""
    put(here)
    return here


def put(newcomer: Newcomer, **more: str) -> None:
    values = {"ACCOUNT_SID": newcomer.sid, "AUTH_TOKEN": newcomer.token, **more}
    write(newcomer.dotenv, "".join(f"TWILIO_{name}={value}\n" for name, value in values.items()))


def journals(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "state").rglob("*.jsonl"))


def tokens(newcomer: Newcomer) -> set[str]:
    """Return every token there was: the first one, and those of now."""
    account = newcomer.emulator.account
    return {newcomer.token, account.auth_token, account.secondary_auth_token or account.auth_token}


def require_rotated(newcomer: Newcomer) -> None:
    account, held = newcomer.emulator.account, newcomer.kept
    assert held["TWILIO_AUTH_TOKEN"] == account.auth_token != newcomer.token
    assert held[STANDBY] == (account.secondary_auth_token or "")


def test_without_yes_it_is_a_plan_and_nothing_is_written(kept: Here, tmp_path: Path) -> None:
    """At most it reads; there is no journal, and no directory for one."""
    before = kept.dotenv.read_bytes()
    done = kept.run(*ROTATE, "--standby", "--subaccounts")
    assert done.returncode == 0
    assert done.stdout == ""
    assert done.stderr.startswith("Plan: rotate token\n  1. ")
    assert "cannot be undone" in done.stderr
    assert "Nothing was changed. To do it: the same command with --yes" in done.stderr
    assert kept.dotenv.read_bytes() == before
    assert not (tmp_path / "state").exists()
    assert {each.method for each in kept.emulator.requests} <= {"GET"}
    assert max(map(len, done.stderr.splitlines())) <= 92


def test_with_yes_and_moved_it_does_all_of_it(kept: Here, tmp_path: Path) -> None:
    done = kept.run(*ROTATE, "--yes", "--moved")
    assert done.returncode == 0, done.stderr
    require_rotated(kept)
    (journal,) = journals(tmp_path)
    assert f"Done. Journal: {journal}" in done.stderr.replace("\n", " ").replace("  ", " ")
    assert leaks(done.stdout + done.stderr + journal.read_text(), tokens(kept)) == []
    assert journal.stat().st_mode & 0o077 == 0


def test_without_moved_it_ends_with_4_and_the_same_command_goes_on(
    kept: Here, tmp_path: Path
) -> None:
    done = kept.run(*ROTATE, "--yes")
    assert done.returncode == 4
    assert "Both tokens work" in done.stderr
    standby = kept.emulator.account.secondary_auth_token
    assert kept.kept["TWILIO_AUTH_TOKEN"] == kept.token
    assert kept.kept[STANDBY] == standby
    again = kept.run(*ROTATE, "--yes")
    assert again.returncode == 4
    assert "Plan: go on with rotate token, run " in again.stderr
    assert "1. done: " in again.stderr
    assert kept.emulator.account.secondary_auth_token == standby  # not another one
    last = kept.run(*ROTATE, "--yes", "--moved")
    assert last.returncode == 0
    require_rotated(kept)
    assert kept.emulator.account.auth_token == standby
    assert len(journals(tmp_path)) == 1
    assert kept.run("rotate", "runs").returncode == 3


@pytest.mark.parametrize("time", ["15m", "1d"])
def test_a_time_that_has_not_passed(kept: Here, time: str) -> None:
    done = kept.run(*ROTATE, "--yes", "--overlap", time, "--no-wait")
    assert done.returncode == 4
    assert "more seconds" in done.stderr
    assert kept.emulator.account.auth_token == kept.token


def test_a_time_that_has_passed(kept: Here) -> None:
    assert kept.run(*ROTATE, "--yes", "--overlap", "0s", "--no-wait").returncode == 0
    require_rotated(kept)


def test_the_standby_of_the_last_time_needs_no_word(kept: Here) -> None:
    """Made at the end of one run, it is promoted at once by the next."""
    assert kept.run(*ROTATE, "--yes", "--moved", "--standby").returncode == 0
    require_rotated(kept)
    standby = kept.emulator.account.secondary_auth_token
    assert standby is not None
    assert kept.run(*ROTATE, "--yes", "--standby").returncode == 0
    assert kept.emulator.account.auth_token == standby
    require_rotated(kept)
    assert kept.emulator.account.secondary_auth_token not in {None, standby}


def test_the_subaccounts(kept: Here) -> None:
    below = kept.emulator.create_account(kept.emulator.account)
    old = below.auth_token
    done = kept.run(*ROTATE, "--yes", "--moved", "--subaccounts")
    assert done.returncode == 0
    assert below.auth_token != old
    assert leaks(done.stderr, {old, below.auth_token}) == []
    assert below.sid not in done.stderr


@pytest.mark.parametrize(
    ("begun", "given", "words"),
    [
        ([], ["--subaccounts"], "without --standby and without --subaccounts"),
        ([], ["--standby"], "without --standby and without --subaccounts"),
        (["--subaccounts"], [], "without --standby and with --subaccounts"),
        (["--standby"], ["--subaccounts"], "with --standby and without --subaccounts"),
    ],
)
def test_a_run_is_not_gone_on_with_for_something_else(
    kept: Here, tmp_path: Path, begun: list[str], given: list[str], words: str
) -> None:
    assert kept.run(*ROTATE, "--yes", *begun).returncode == 4
    (journal,) = journals(tmp_path)
    before = journal.read_bytes(), kept.dotenv.read_bytes(), len(tokens(kept))
    done = kept.run(*ROTATE, "--yes", "--moved", *given)
    assert done.returncode == 2
    said = " ".join(done.stderr.split())
    assert f"[ST907] The unfinished run {journal.stem} was begun {words}." in said
    assert f"safetwilio rotate runs --close {journal.stem}" in said
    assert (journal.read_bytes(), kept.dotenv.read_bytes(), len(tokens(kept))) == before
    assert kept.run(*ROTATE, "--yes", "--moved", *begun).returncode == 0


@pytest.mark.parametrize("is_kept", [True, False])
def test_the_same_words_in_another_directory_are_about_another_place(
    kept: Here, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_kept: bool
) -> None:
    """To go on there would leave a dead token here, and no run that knows of it."""
    if not is_kept:
        monkeypatch.setattr(tokens_rotation, "_CREATIONS", 1)
        kept.emulator.faults.add(drop(applied=True), match="POST */Secondary")
    assert kept.run(*ROTATE, "--yes").returncode == (4 if is_kept else 1)
    (journal,) = journals(tmp_path)
    before = journal.read_bytes(), kept.dotenv.read_bytes(), tokens(kept)
    (tmp_path / "elsewhere").mkdir()
    write(tmp_path / "elsewhere" / ".env", kept.dotenv.read_text())
    monkeypatch.chdir(tmp_path / "elsewhere")
    for words in (("--moved",), ("--roll-back",)):
        done = kept.run(*ROTATE, "--yes", *words)
        assert done.returncode == 2
        said = " ".join(done.stderr.split())
        assert f"is about the token in dotenv:.env of the directory {kept.directory}, not" in said
        assert (journal.read_bytes(), kept.dotenv.read_bytes(), tokens(kept)) == before
    monkeypatch.chdir(kept.directory)
    assert (
        kept.run(*ROTATE, "--yes", "--moved", "--backend", f"dotenv:{kept.dotenv}").returncode == 0
    )
    require_rotated(kept)


def test_a_run_is_listed_with_its_beginning_its_places_and_what_is_next(kept: Here) -> None:
    assert kept.run(*ROTATE, "--yes").returncode == 4
    (run,) = document(kept.run("rotate", "runs", "--json").stdout)["runs"]
    assert run["places"] == [["dotenv:.env"]]
    assert run["directory"] == str(kept.directory)
    listed = " ".join(kept.run("rotate", "runs").stderr.split())
    assert f"rotate token, begun {run['began']} in {kept.directory}" in listed
    assert "the default account: dotenv:.env" in listed
    assert "Next: safetwilio rotate token as it was begun, with --moved once" in listed


def document(text: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(text)
    return found


def test_json_is_one_document_about_what_was_done(kept: Here) -> None:
    plan = document(kept.run(*ROTATE, "--json").stdout)
    assert (plan["changed"], plan["run"], plan["done"]) == ([], None, [])
    part = document(kept.run(*ROTATE, "--json", "--yes").stdout)
    assert part["changed"] == part["places"] == ["dotenv:.env"]
    assert part["done"] == ["stand by"]
    assert "--moved" in part["waiting_for"]
    whole = document(kept.run(*ROTATE, "--json", "--yes", "--moved").stdout)
    assert whole["done"] == ["promote", "settle", "stand by"]
    assert whole["run"] == part["run"]
    assert whole["waiting_for"] is None
    assert whole["account"].startswith("[TWILIO:account:")


def test_roll_back_deletes_the_standby_as_long_as_it_is_none(kept: Here, tmp_path: Path) -> None:
    before = kept.kept
    assert kept.run(*ROTATE, "--yes").returncode == 4
    gone = kept.emulator.account.secondary_auth_token
    assert kept.run(*ROTATE, "--roll-back").returncode == 0  # a plan
    assert kept.emulator.account.secondary_auth_token == gone
    done = kept.run(*ROTATE, "--roll-back", "--yes")
    assert done.returncode == 0
    assert "Taken back" in done.stderr
    assert kept.emulator.account.secondary_auth_token is None
    assert {**kept.kept, STANDBY: ""} == {**before, STANDBY: ""}
    assert leaks(done.stderr, [str(gone)]) == []
    assert kept.run("rotate", "runs").returncode == 3
    again = kept.run(*ROTATE, "--roll-back")  # nobody is asked
    assert again.returncode == 3
    assert again.stderr == "There is no run to take back. Nothing was changed.\n"
    assert len(journals(tmp_path)) == 1


def test_roll_back_after_the_promotion_is_refused(kept: Here) -> None:
    kept.emulator.create_account(kept.emulator.account)
    kept.emulator.faults.add(status(400), match="GET */Accounts.json")
    assert kept.run(*ROTATE, "--yes", "--moved", "--subaccounts").returncode == 1
    held = kept.kept
    done = kept.run(*ROTATE, "--roll-back", "--yes")
    assert done.returncode == 1
    assert "nothing can be taken back" in done.stderr.replace("\n", " ")
    assert kept.kept == held
    assert kept.run(*ROTATE, "--yes", "--subaccounts").returncode == 0
    require_rotated(kept)


def test_a_failure_ends_with_1_and_the_same_command_goes_on(kept: Here, tmp_path: Path) -> None:
    kept.emulator.faults.add(status(418), match="POST */Promote")
    done = kept.run(*ROTATE, "--yes", "--moved")
    assert done.returncode == 1
    assert kept.kept["TWILIO_AUTH_TOKEN"] == kept.token
    kept.emulator.faults.clear()
    assert kept.run(*ROTATE, "--yes", "--moved").returncode == 0
    require_rotated(kept)
    assert len(journals(tmp_path)) == 1


def test_nothing_to_rotate(here: Here) -> None:
    done = here.run(*ROTATE, "--yes")
    assert done.returncode == 1
    assert "[ST631]" in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [("--overlap", "soon"), ("--account", "a-b"), ("--seal-to", "nobody"), ("now",), ("--token",)],
)
def test_wrong_usage_changes_nothing(kept: Here, arguments: tuple[str, ...]) -> None:
    try:
        code: object = kept.run(*ROTATE, "--yes", "--moved", *arguments).returncode
    except SystemExit as left:  # argparse leaves in its own way
        code = left.code
    assert code == 2
    assert not kept.emulator.requests


def test_another_place_and_another_account(here: Here) -> None:
    other = here.emulator.create_account()
    old = other.auth_token
    text = f"TWILIO_MARKETING_ACCOUNT_SID={other.sid}\nTWILIO_MARKETING_AUTH_TOKEN={old}\n"
    place = write(here.directory / "conf" / "m.env", text)
    done = here.run(
        *ROTATE, "--yes", "--moved", "--account", "marketing", "--backend", "dotenv:conf/m.env"
    )
    assert done.returncode == 0, done.stderr
    assert f"TWILIO_MARKETING_AUTH_TOKEN={other.auth_token}\n" in place.read_text()
    assert other.auth_token != old
    assert here.emulator.account.auth_token == here.token
    assert leaks(done.stderr, [old, other.auth_token]) == []


def test_the_reason_is_in_the_log_and_nothing_secret_is(
    kept: Here, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    """With everything logged that there is: Twilio's library, HTTP, and our own."""
    caplog.set_level(logging.DEBUG)
    kept.emulator.create_account(kept.emulator.account)
    arguments = ("--yes", "--moved", "--standby", "--subaccounts", "--reason", "ticket 4711")
    done = kept.run(*ROTATE, *arguments)
    assert done.returncode == 0
    (warning,) = [each for each in caplog.records if "Break-glass" in each.getMessage()]
    assert warning.levelno == logging.WARNING
    assert "safetwilio rotate token: ticket 4711" in warning.getMessage()
    text = "\n".join(each.getMessage() + repr(each.__dict__) for each in caplog.records)
    for path in journals(tmp_path):
        text += path.read_text()
    secrets = kept.emulator.secrets() | tokens(kept)
    assert leaks(text + done.stdout + done.stderr, secrets) == []


def test_help_at_80_columns(newcomer: Newcomer) -> None:
    done = newcomer.run(*ROTATE, "--help", COLUMNS="80")
    assert done.returncode == 0
    for word in ("--overlap", "--moved", "--no-wait", "--roll-back", "exit codes:", "examples:"):
        assert word in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_typed_at_a_terminal_it_is_done(newcomer: Newcomer) -> None:
    put(newcomer)
    with Terminal(newcomer, *ROTATE, "--moved") as terminal:
        terminal.expect(PROMPT)
        assert newcomer.emulator.account.auth_token == newcomer.token
        terminal.type(f"{newcomer.sid[-4:].upper()}\n")
        assert terminal.end() == 0, terminal.shown
    require_rotated(newcomer)
    assert leaks(terminal.shown, tokens(newcomer)) == []


@pytest.mark.parametrize("typed", ["\n", "0000x\n", "\x04", None])
def test_anything_else_typed_changes_nothing(newcomer: Newcomer, typed: str | None) -> None:
    put(newcomer)
    before = newcomer.dotenv.read_bytes()
    with Terminal(newcomer, *ROTATE, "--moved") as terminal:
        terminal.expect(PROMPT)
        if typed is None:
            assert terminal.interrupt() == 130
        else:
            terminal.type(typed)
            assert terminal.end() == (2 if typed.strip("\n\x04") else 0)
    assert newcomer.dotenv.read_bytes() == before
    assert not [each for each in newcomer.emulator.requests if each.method != "GET"]


def test_interrupted_it_says_so_and_the_same_command_goes_on(newcomer: Newcomer) -> None:
    put(newcomer)
    arrived = newcomer.stop_at(lambda each: each.path.endswith("/Promote"))
    with newcomer.start(*ROTATE, "--yes", "--moved") as process:
        assert arrived.wait(DEADLINE)
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=DEADLINE)
    assert process.returncode == 130
    assert "Stopped half-way; the same command goes on with run " in stderr
    assert "Traceback" not in stderr
    assert leaks(stdout + stderr, tokens(newcomer)) == []
    newcomer.emulator.faults.clear()
    assert newcomer.run(*ROTATE, "--yes", "--moved").returncode == 0
    require_rotated(newcomer)


def test_two_at_the_same_time(newcomer: Newcomer) -> None:
    """The second one sees that another process is at it, and leaves it alone."""
    put(newcomer)
    arrived = newcomer.stop_at(lambda each: each.path.endswith("/Promote"))
    with newcomer.start(*ROTATE, "--yes", "--moved") as process:
        assert arrived.wait(DEADLINE)
        second = newcomer.run(*ROTATE, "--yes", "--moved")
        assert second.returncode == 1
        assert "[ST951]" in second.stderr
        process.kill()
    newcomer.emulator.faults.clear()
    assert newcomer.run(*ROTATE, "--yes", "--moved").returncode == 0
    require_rotated(newcomer)
