"""``safetwilio init`` in processes of its own: what it asks for, and what it refuses."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest
from newcomer import Here, Newcomer, Terminal

if TYPE_CHECKING:
    from pathlib import Path


IGNORED = "/.env\n/.env.safetwilio-*\n"
CREATE = "POST */Keys.json"
SID_PROMPT = "Account SID: "
TOKEN_PROMPT = "Auth Token (not shown, not stored): "


def test_asked_at_a_terminal_it_makes_a_key_and_shows_no_secret(newcomer: Newcomer) -> None:
    with Terminal(newcomer, "init", "--service", "billing") as terminal:
        terminal.expect(SID_PROMPT)
        terminal.type(f"{newcomer.sid}\n")
        terminal.expect(TOKEN_PROMPT)
        terminal.type(f"{newcomer.token}\n")
        assert terminal.end() == 0
    (key,) = newcomer.made
    assert newcomer.holds(key)
    assert key.friendly_name.startswith("safetwilio/billing/2")
    newcomer.require_no_secret(terminal.shown)
    assert "kind standard" in terminal.shown
    assert "kept in  .env, which .gitignore now lists" in terminal.shown
    assert (newcomer.directory / ".gitignore").read_text() == IGNORED


def test_a_token_from_stdin_leaves_nothing_but_the_key(newcomer: Newcomer, tmp_path: Path) -> None:
    done = newcomer.init("--json")
    assert done.returncode == 0
    (key,) = newcomer.made
    assert newcomer.holds(key)
    said = json.loads(done.stdout)
    assert said.keys() == {
        "changed", "account", "key", "name", "place", "kind", "leftovers", "problems",
    }  # fmt: skip
    assert said["changed"] == ["key", "gitignore"]
    assert (said["name"], said["place"], said["kind"]) == (key.friendly_name, ".env", "standard")
    assert said["leftovers"] == said["problems"] == []
    newcomer.require_private(tmp_path)
    assert sorted(path.name for path in newcomer.directory.iterdir()) == [".env", ".gitignore"]
    assert newcomer.run("doctor", "--verify").returncode == 0


@pytest.mark.parametrize("written", ["{}", "{}\r\n", "  {}  \n", "\ufeff{}\n", "{}\nmore\n"])
def test_white_space_and_marks_around_the_token_do_not_matter(here: Here, written: str) -> None:
    done = here.run(
        "init", "--token-stdin", stdin=written.format(here.token),
        TWILIO_ACCOUNT_SID=f"{here.sid} ",
    )  # fmt: skip
    assert done.returncode == 0
    assert "The Account SID is that of env TWILIO_ACCOUNT_SID." in done.stderr
    assert len(here.made) == 1


def test_at_a_terminal_token_stdin_asks_without_showing(newcomer: Newcomer) -> None:
    with Terminal(newcomer, "init", "--token-stdin", "--account-sid", newcomer.sid) as terminal:
        terminal.expect(TOKEN_PROMPT)
        terminal.type(f"{newcomer.token}\n")
        assert terminal.end() == 0
    newcomer.require_no_secret(terminal.shown)


@pytest.mark.parametrize(
    ("arguments", "advice"),
    [((), "--account-sid SID"), (("--account-sid", "{sid}"), "--token-stdin"),
     (("--token-stdin",), "--account-sid SID")],
)  # fmt: skip
def test_without_a_terminal_it_says_what_to_give(
    here: Here, arguments: tuple[str, ...], advice: str
) -> None:
    given = [argument.format(sid=here.sid) for argument in arguments]
    done = here.run("init", *given)
    assert done.returncode == 2
    assert done.stderr.startswith("[ST908]")
    assert advice in done.stderr
    assert not here.emulator.requests


def test_nothing_on_stdin_is_no_token(here: Here) -> None:
    done = here.run("init", "--account-sid", here.sid, "--token-stdin")
    assert done.returncode == 2
    assert "No Auth Token was given; nothing was changed." in done.stderr


def test_the_end_of_input_at_a_prompt_changes_nothing(newcomer: Newcomer) -> None:
    for sid in ("", newcomer.sid):
        with Terminal(newcomer, "init") as terminal:
            terminal.expect(SID_PROMPT)
            if sid:
                terminal.type(f"{sid}\n")
                terminal.expect(TOKEN_PROMPT)
            terminal.type("\x04")
            assert terminal.end() == 2
        what = "Auth Token" if sid else "Account SID"
        assert f"\n[ST908] No {what} was given; nothing was changed." in terminal.shown
    assert not list(newcomer.directory.iterdir())


def test_an_empty_answer_changes_nothing(newcomer: Newcomer) -> None:
    for sid in ("", newcomer.sid):
        with Terminal(newcomer, "init") as terminal:
            terminal.expect(SID_PROMPT)
            terminal.type(f"{sid}\n")
            if sid:
                terminal.expect(TOKEN_PROMPT)
                terminal.type("\n")
            assert terminal.end() == 2
        assert "was given; nothing was changed." in terminal.shown


def test_control_c_at_a_prompt_changes_nothing(newcomer: Newcomer) -> None:
    for sid in ("", newcomer.sid):
        with Terminal(newcomer, "init") as terminal:
            terminal.expect(SID_PROMPT)
            if sid:
                terminal.type(f"{sid}\n")
                terminal.expect(TOKEN_PROMPT)
            assert terminal.interrupt() == 130
        assert "Traceback" not in terminal.shown
    assert not list(newcomer.directory.iterdir())
    assert not newcomer.emulator.requests


def test_control_c_while_the_key_is_made_says_what_may_exist(newcomer: Newcomer) -> None:
    arrived = newcomer.stop_at(lambda r: r.method == "POST" and r.path.endswith("/Keys.json"))
    with Terminal(newcomer, "init", "--account-sid", newcomer.sid) as terminal:
        terminal.expect(TOKEN_PROMPT)
        terminal.type(f"{newcomer.token}\n")
        assert arrived.wait(30)
        terminal.type("\x03")
        assert terminal.end() == 130
    (key,) = newcomer.made
    assert f"a key called {key.friendly_name} may exist" in terminal.shown
    assert not newcomer.dotenv.exists()
    newcomer.emulator.faults.clear()
    assert f"\n  {key.friendly_name}\n" in newcomer.init().stderr


def test_a_sid_that_cannot_be_one_is_refused_before_the_token_is_asked_for(
    newcomer: Newcomer,
) -> None:
    with Terminal(newcomer, "init") as terminal:
        terminal.expect(SID_PROMPT)
        terminal.type("AC123\n")
        assert terminal.end() == 1
    assert "[ST201]" in terminal.shown
    assert TOKEN_PROMPT not in terminal.shown


def test_a_wrong_token_changes_nothing_and_says_why(newcomer: Newcomer) -> None:
    wrong = os.urandom(16).hex()
    done = newcomer.run("init", "--account-sid", newcomer.sid, "--token-stdin", stdin=f"{wrong}\n")
    assert done.returncode == 1
    assert "[ST610]" in done.stderr
    assert wrong not in done.stdout + done.stderr
    assert not list(newcomer.directory.iterdir())
    assert not newcomer.made


def test_test_credentials_are_told_apart(here: Here) -> None:
    account = here.emulator.create_account(test=True)
    done = here.run(
        "init", "--account-sid", account.sid, "--token-stdin", stdin=f"{account.auth_token}\n"
    )
    assert done.returncode == 1
    assert "[ST611]" in done.stderr
    assert account.auth_token not in done.stdout + done.stderr
    assert not list(here.directory.iterdir())


@pytest.mark.parametrize(
    ("sid", "token", "codes"),
    [
        ("{sid}", "123", ["ST220"]),
        ("{sid}", "your_auth_token_here", ["ST208"]),
        ("{sid}", "0" * 32, ["ST208"]),
        ("{sid}", "AbCdEfGhIjKlMnOpQrStUvWxYz012345", ["ST208"]),
        ("ACxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", "{token}", ["ST208"]),
        ("SK5afe000029cc7e899914dff31d81883e", "{token}", ["ST202"]),
        ("AC123", "123", ["ST201", "ST220"]),
        ("AC29cc7e899914dff31d81883e5a7e0a01", "{token}", ["ST215"]),
        ("", "{token}", ["ST105"]),
    ],
)
def test_what_cannot_be_right_never_reaches_the_network(
    here: Here, sid: str, token: str, codes: list[str]
) -> None:
    typed = token.format(token=here.token)
    done = here.run("init", "--account-sid", sid.format(sid=here.sid), "--token-stdin", stdin=typed)
    assert done.returncode == 1
    assert [code for code in codes if f"[{code}]" in done.stderr] == codes
    assert "cannot start" not in done.stderr  # that is the app's report, and no app was started
    assert len(typed) < 5 or typed not in done.stderr
    assert not here.emulator.requests


def test_bytes_that_are_no_text_are_no_token(newcomer: Newcomer) -> None:
    arguments = ("init", "--account-sid", newcomer.sid, "--token-stdin")
    with newcomer.start(*arguments, PYTHONIOENCODING="utf-8:strict") as process:
        assert process.stdin is not None
        process.stdin.buffer.write(b"\xff\xfe1\x00\n")
        _, stderr = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "Traceback" not in stderr


def test_a_token_on_the_command_line_is_refused_and_not_repeated(newcomer: Newcomer) -> None:
    for words in (["--token", newcomer.token], [f"--token={newcomer.token}"], [newcomer.token]):
        done = newcomer.run("init", *words)
        assert done.returncode == 2
        assert "is not taken from the command line" in done.stderr.replace("\n", " ")
    assert not newcomer.emulator.requests
