"""``safetwilio rotate key``: nothing without a word, and then all of it, whoever interrupts."""

from __future__ import annotations

import json
import os
import signal
from typing import TYPE_CHECKING

import pytest
from newcomer import DEADLINE, Here, Terminal, keys_of

from safetwilio.credentials import mask
from support import auth_token, key_secret, leaks, write

if TYPE_CHECKING:
    from pathlib import Path

    from newcomer import Newcomer

    from safetwilio.testing.records import Key


@pytest.fixture(autouse=True)
def old(newcomer: Newcomer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Key:
    """Put a key into the .env, and a Main key where only who rotates looks."""
    emulator = newcomer.emulator
    key = emulator.account.create_key("standard", friendly_name="old")
    newcomer._seeded.append(key)
    put(newcomer.dotenv, key)
    put(tmp_path / "admin.env", emulator.main_key)
    variables = {
        "SAFETWILIO_ADMIN_BACKEND": f"dotenv:{tmp_path / 'admin.env'}",
        "XDG_STATE_HOME": str(tmp_path / "state"),
    }
    newcomer.env.update(variables)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return key


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """Return where the journals are."""
    return tmp_path / "state" / "safetwilio" / "runs"


def put(path: Path, key: Key, name: str = "") -> Path:
    infix = f"TWILIO_{name}"
    text = f"{infix}ACCOUNT_SID={key.account_sid}\n{infix}API_KEY={key.sid}\n"
    return write(path, f"OTHER=1\n{text}{infix}API_SECRET={key.secret}\n")


def methods(newcomer: Newcomer) -> set[str]:
    return {request.method for request in newcomer.emulator.requests}


def is_alive(newcomer: Newcomer, key: Key) -> bool:
    return key in keys_of(newcomer.emulator.account)


def require_untouched(here: Newcomer, old: Key, state: Path) -> None:
    """Fail if anything at all was changed."""
    assert methods(here) <= {"GET"}
    assert here.holds(old)
    assert is_alive(here, old)
    assert here.made == []
    assert not state.parent.exists()


def test_without_a_word_it_only_shows_the_plan(here: Here, old: Key, state: Path) -> None:
    done = here.run("rotate", "key", "--overlap", "0s")
    assert done.returncode == 0
    assert done.stdout == ""
    assert "Plan: rotate key" in done.stderr
    assert "make a Standard key" in done.stderr
    assert "cannot be undone" in done.stderr
    assert "Nothing was changed. To do it: the same command with --yes" in done.stderr
    require_untouched(here, old, state)


def test_the_plan_as_json(here: Here, old: Key, state: Path) -> None:
    said = json.loads(here.run("rotate", "key", "--json").stdout)
    assert said["changed"] == []
    assert said["run"] is None
    assert [key["place"] for key in said["keys"]] == ["dotenv:.env"]
    assert said["keys"][0]["new"] is None
    require_untouched(here, old, state)


def test_it_waits_for_a_word_before_the_old_key_goes(here: Here, old: Key, state: Path) -> None:
    done = here.run("rotate", "key", "--yes")
    assert done.returncode == 4
    assert done.stdout == ""
    (new,) = here.made
    assert here.holds(new)
    assert is_alive(here, old)
    assert "Both keys work." in done.stderr
    assert f"{new.friendly_name}" in done.stderr
    listed = here.run("rotate", "runs", "--json")
    assert listed.returncode == 0
    (run,) = json.loads(listed.stdout)["runs"]
    assert run["verb"] == "rotate key"
    assert run["targets"] == ["my app"]
    again = here.run("rotate", "key", "--yes", "--no-wait", "--overlap", "1d")
    assert again.returncode == 4
    assert "more seconds" in again.stderr
    last = here.run("rotate", "key", "--yes", "--moved", "--json")
    assert last.returncode == 0
    said = json.loads(last.stdout)
    assert said["run"] == run["run"]
    assert said["changed"] == ["my app"]
    assert said["keys"][0]["waiting_for"] is None
    assert here.made == [new]
    assert not is_alive(here, old)
    assert here.run("rotate", "runs").returncode == 3
    (journal,) = state.iterdir()
    assert said["journal"] == str(journal)
    assert leaks(journal.read_text(), [*here.secrets(), old.secret]) == []
    assert journal.stat().st_mode & 0o777 == 0o600
    assert here.kept["OTHER"] == "1"


def test_in_one_go(here: Here, old: Key) -> None:
    done = here.run("rotate", "key", "--yes", "--overlap", "0s")
    assert done.returncode == 0
    (new,) = here.made
    assert here.holds(new)
    assert not is_alive(here, old)
    assert leaks(done.stderr, [old.secret, new.secret]) == []
    assert here.run("doctor", "--verify").returncode == 0


@pytest.mark.parametrize("answer", ["", "no", "0000x", "yes"])
def test_another_answer_than_the_end_of_the_sid_changes_nothing(
    newcomer: Newcomer, old: Key, state: Path, answer: str
) -> None:
    with Terminal(newcomer, "rotate", "key") as terminal:
        terminal.expect("type the last 4 characters of the Account SID")
        terminal.type(f"{answer}\n" if answer else "\x04")
        assert terminal.end() == (2 if answer else 0)
    shown = " ".join(terminal.shown.split())
    assert f"The Account SID of {mask('account', newcomer.sid)} is on the first page of" in shown
    assert "and where the secret is: dotenv:.env" in shown
    assert ("That is not it. Nothing was changed." in shown) is bool(answer)
    assert "Nothing was changed." in shown
    require_untouched(newcomer, old, state)


def test_the_end_of_the_sid_is_the_word(newcomer: Newcomer, old: Key) -> None:
    with Terminal(newcomer, "rotate", "key", "--overlap", "0s") as terminal:
        terminal.expect("(Enter: stop): ")
        terminal.type(f"{newcomer.sid[-4:].upper()}\n")
        assert terminal.end() == 0
    (new,) = newcomer.made
    assert newcomer.holds(new)
    newcomer.require_no_secret(terminal.shown)
    assert leaks(terminal.shown, [old.secret]) == []


@pytest.mark.parametrize(
    "words",
    [
        ["--older-than", "90"],
        ["--older-than", "-1d"],
        ["--overlap", "soon"],
        ["--nothing"],
        ["--config", "x.toml", "--backend", "env"],
        ["--config", "x.toml"],
        ["--service", "a", "--service", "b"],
        ["--service", "a/b"],
        ["--account", "a b"],
        ["--seal-to", "nobody"],
    ],
)
def test_wrong_words_change_nothing(here: Here, old: Key, state: Path, words: list[str]) -> None:
    code: object
    try:
        code = here.run("rotate", "key", "--yes", *words).returncode
    except SystemExit as stopped:
        code = stopped.code
    assert code == 2
    assert here.emulator.requests == ()
    require_untouched(here, old, state)


@pytest.mark.parametrize(
    "option",
    [
        "--service",
        "--account",
        "--config",
        "--backend",
        "--seal-to",
        "--older-than",
        "--overlap",
        "--journal",
        "--token",
    ],
)
@pytest.mark.parametrize("make", [auth_token, key_secret])
def test_a_secret_in_the_place_of_a_word_is_not_repeated(
    here: Here, old: Key, capsys: pytest.CaptureFixture[str], option: str, make: object
) -> None:
    """Whatever comes of it, it does not stand on the screen, and nothing is made with it."""
    assert callable(make)
    secret = make()
    try:
        done = here.run("rotate", "key", option, secret)
        said = done.stdout + done.stderr
    except SystemExit:
        captured = capsys.readouterr()
        said = captured.out + captured.err
    assert leaks(said, [secret]) == []
    assert methods(here) <= {"GET"}
    assert is_alive(here, old)


def test_keys_that_are_young_are_left_alone(here: Here, old: Key, state: Path) -> None:
    done = here.run("rotate", "key", "--yes", "--older-than", "90d", "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout)["changed"] == []
    assert "Nothing to rotate." in done.stderr
    require_untouched(here, old, state)
    assert here.run("rotate", "key", "--yes", "--older-than", "0s", "--moved").returncode == 0
    assert len(here.made) == 1


def test_a_place_and_an_account_by_name(here: Here, old: Key) -> None:
    account = here.emulator.account
    other = account.create_key("standard", friendly_name="other")
    here._seeded.append(other)
    path = put(here.directory / "other.env", other, "EU_")
    admin = put(here.directory / "eu.env", here.emulator.main_key, "EU_")
    done = here.run(
        "rotate", "key", "--yes", "--moved", "--backend", "dotenv:other.env", "--account", "eu",
        SAFETWILIO_ADMIN_BACKEND_EU=f"dotenv:{admin}",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (new,) = here.made
    assert "@eu/" in new.friendly_name
    assert new.secret in path.read_text()
    assert here.holds(old)
    assert not is_alive(here, other)


def test_the_token_is_taken_from_stdin_and_asked_for_otherwise(here: Here, old: Key) -> None:
    words = ("rotate", "key", "--yes", "--moved")
    done = here.run(*words, SAFETWILIO_ADMIN_BACKEND="")
    assert done.returncode == 2
    assert "[ST908]" in done.stderr
    assert here.emulator.requests == ()
    done = here.run(*words, "--token-stdin", stdin=f"{here.token}\n", SAFETWILIO_ADMIN_BACKEND="")
    assert done.returncode == 0, done.stderr
    (new,) = here.made
    assert here.holds(new)
    assert not is_alive(here, old)


@pytest.mark.parametrize("token", ["", "123", "your_auth_token_here"])
def test_a_token_that_cannot_be_one_is_refused(
    here: Here, old: Key, state: Path, token: str
) -> None:
    done = here.run(
        "rotate", "key", "--yes", "--token-stdin", stdin=f"{token}\n", SAFETWILIO_ADMIN_BACKEND=""
    )
    assert done.returncode == (1 if token else 2)
    require_untouched(here, old, state)


@pytest.mark.parametrize("backend", ["env", "files:secrets"])
def test_a_place_that_cannot_be_written_is_named(
    here: Here, old: Key, state: Path, backend: str
) -> None:
    names = {"ACCOUNT_SID": old.account_sid, "API_KEY": old.sid, "API_SECRET": old.secret}
    environment = {f"TWILIO_{name}": value for name, value in names.items()}
    if backend != "env":
        for name, value in environment.items():
            write(here.directory / "secrets" / name, value)
        environment = {}
    done = here.run("rotate", "key", "--yes", "--backend", backend, **environment)
    assert done.returncode == 2
    assert "which safetwilio cannot write" in " ".join(done.stderr.split())
    require_untouched(here, old, state)


def test_a_directory_that_may_not_be_written_to(
    here: Here, old: Key, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("safetwilio.backends.dotenv.os.access", lambda *_: False)
    done = here.run("rotate", "key", "--yes", "--moved")
    assert done.returncode == 1
    assert "[ST307]" in done.stderr
    require_untouched(here, old, state)


@pytest.mark.parametrize("what", ["a file", "a link to nothing", "anybody's", "altered"])
def test_without_a_journal_nothing_is_changed(
    here: Here, old: Key, tmp_path: Path, what: str
) -> None:
    runs = tmp_path / "runs"
    match what:
        case "a file":
            runs.touch()
        case "a link to nothing":
            runs.symlink_to(tmp_path / "nothing" / "below")
        case "anybody's":
            runs.mkdir()
            runs.chmod(0o1777)
        case _:
            write(runs / "20260101T000000Z-0000.jsonl", '{"event": "run"}\n')
    done = here.run("rotate", "key", "--yes", "--moved", "--journal", str(runs))
    assert done.returncode == 1
    assert ("[ST950]" if what == "altered" else "[ST952]") in done.stderr
    assert methods(here) <= {"GET"}
    assert here.made == []
    assert is_alive(here, old)


def test_twilio_that_cannot_be_reached(here: Here, old: Key) -> None:
    here.server.stop()
    done = here.run("rotate", "key", "--yes")
    assert done.returncode == 1
    assert "[ST601]" in done.stderr
    assert here.holds(old)


def test_an_interrupted_run_is_gone_on_with_by_the_same_command(
    newcomer: Newcomer, old: Key
) -> None:
    arrived = newcomer.stop_at(lambda r: r.method == "POST" and r.path.endswith("/Keys.json"))
    with newcomer.start("rotate", "key", "--yes", "--moved") as process:
        assert arrived.wait(DEADLINE)
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=DEADLINE)
    assert process.returncode == 130
    assert "the same command goes on with run" in stderr
    (orphan,) = newcomer.made
    assert newcomer.holds(old)
    newcomer.emulator.faults.clear()
    plan = newcomer.run("rotate", "key")
    assert "Plan: go on with rotate key" in plan.stderr
    done = newcomer.run("rotate", "key", "--yes", "--moved")
    assert done.returncode == 0, done.stderr
    (new,) = newcomer.made
    assert new.friendly_name == orphan.friendly_name
    assert new != orphan
    assert newcomer.holds(new)
    assert not is_alive(newcomer, old)
    newcomer.require_no_secret(stderr)


def test_help_fits_on_a_narrow_terminal(
    here: Here, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    for words in (["rotate"], ["rotate", "key"], ["rotate", "runs"]):
        with pytest.raises(SystemExit):
            here.run(*words, "--help")
        text = capsys.readouterr().out
        assert [line for line in text.splitlines() if len(line) > 80] == []
    assert here.run("rotate").returncode == 2


def test_a_broken_umask_opens_nothing(here: Here, old: Key, state: Path) -> None:
    before = os.umask(0)
    try:
        assert here.run("rotate", "key", "--yes", "--moved").returncode == 0
    finally:
        os.umask(before)
    assert not is_alive(here, old)
    modes = {path: path.stat().st_mode & 0o777 for path in (here.dotenv, *state.iterdir(), state)}
    assert set(modes.values()) == {0o600, 0o700}
