"""What all commands share: exit codes, help, and that nothing secret escapes at the end."""

from __future__ import annotations

import getpass
import io
import re
import subprocess
import sys
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from newcomer import COMMAND, Here, Newcomer

from safetwilio import redaction
from safetwilio.cli import doctor as doctor_command
from safetwilio.cli import init as init_command
from safetwilio.cli import prompts
from safetwilio.cli.main import main
from support import auth_token, key_secret

if TYPE_CHECKING:
    from collections.abc import Callable

DOCS = Path(__file__).parents[2] / "docs" / "cli.md"
COMMANDS = ("init", "doctor", "fingerprint", "emulator")
NESTED = ("webhook check", "rotate", "rotate key", "rotate token", "rotate runs")
HELPS = (["--help"], *([*command.split(), "--help"] for command in (*COMMANDS, *NESTED)))


@pytest.mark.parametrize(
    "words",
    [["nonesuch"], ["--nonesuch"], ["init", "--nonesuch"], ["doctor", "extra"],
     ["init", "--token", "x"], ["init", "--acc", "x"]],
)  # fmt: skip
def test_wrong_usage_is_2_and_leads_to_the_help(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert re.search(r"^Try: safetwilio.* --help$", said.err, re.MULTILINE)


@pytest.mark.parametrize("command", ["init", "doctor"])
def test_an_option_that_a_command_does_not_have_leads_to_that_command_s_help(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main([command, "--acount", "x"])
    expected = f"safetwilio {command}: unknown option --acount\nTry: safetwilio {command} --help\n"
    assert capsys.readouterr().err == expected


@pytest.mark.parametrize(
    "form", ["{}", "--token={}", "--token= {}", "-uAC" + "0a" * 16 + ":{}", "{},", "-u{}", "'{}'"]
)
def test_a_token_anywhere_in_a_word_is_refused(
    form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    token = auth_token()
    assert main(["init", form.format(token)]) == 2
    said = capsys.readouterr()
    assert "not taken from the command line" in said.err
    assert token not in said.out + said.err


@pytest.mark.parametrize(
    "form",
    ["dotenv:{}", "dotenv:/srv/{}/.env", "dotenv:{}.env", "dotenv:apps\\{}\\.env", "/srv/{}/x",
     "env,dotenv:/srv/{}/.env"],
)  # fmt: skip
@pytest.mark.parametrize("joined", [True, False])
def test_a_path_with_such_digits_is_not_taken_for_a_token(
    form: str, capsys: pytest.CaptureFixture[str], *, joined: bool
) -> None:
    """Directories are called so by caches, containers and checkouts."""
    reference = form.format(auth_token())
    main(["init", f"--backend={reference}"] if joined else ["init", "--backend", reference])
    assert "not taken from the command line" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "form"),
    [("--backend", "{}"), ("--backend", "x{}"), ("--backend", "nonesuch:{}"), ("--backend", ":{}"),
     ("--backend", "AC" + "0a" * 16 + ":{}"), ("--backend", "dotenv:AC:{}"),
     ("--backend", "vault://user:{}@host/path"), ("--backend", "vault://host/path?token={}"),
     ("--backend", "vault://host/path#{}"), ("--backend", "dotenv:a,{}"),
     ("--service", "a/{}"), ("--account-sid", "/{}"), ("init", "/srv/{}")],
)  # fmt: skip
def test_a_token_that_only_stands_near_a_path_is_refused(
    option: str, form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    token = auth_token()
    assert main(["init", option, form.format(token)]) == 2
    said = capsys.readouterr()
    assert "not taken from the command line" in said.err.replace("\n", " ")
    assert token not in said.out + said.err


@pytest.mark.parametrize("word", ["AC" + "0a" * 16, "AC" + "0a" * 16 + "b", "0a" * 20])
def test_a_sid_is_not_taken_for_a_token(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["init", word])
    assert "an unexpected argument" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["{}"], "invalid choice"),
        (["init", "{}"], "an unexpected argument"),
        (["init", "--secret={}"], "unknown option --secret"),
        (["init", "--secret", "{}"], "unknown option --secret"),
        (["init", "-u{}"], "an unexpected argument"),
        (["init", "--json={}"], "--json: takes no value"),
        (["init", "--{}"], "an unexpected argument"),
    ],
)
def test_what_was_written_is_not_said_again(
    words: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    secret = key_secret()
    with pytest.raises(SystemExit) as ended:
        main([word.format(secret) for word in words])
    said = capsys.readouterr()
    assert ended.value.code == 2
    assert expected in said.err
    assert secret not in said.out + said.err


def test_without_a_command_the_help_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "first steps" in capsys.readouterr().err


def test_the_version_is_the_installed_one(newcomer: Newcomer) -> None:
    done = newcomer.run("--version")
    assert (done.returncode, done.stdout) == (0, f"safetwilio {version('safetwilio')}\n")


def test_the_installed_command_is_this_one(newcomer: Newcomer) -> None:
    script = Path(sys.executable).with_name("safetwilio")
    done = newcomer.start("--version", command=(str(script),))
    with done as process:
        stdout, _ = process.communicate(timeout=60)
    assert stdout.startswith("safetwilio ")


@pytest.mark.parametrize("words", HELPS)
def test_every_help_is_in_the_documentation(newcomer: Newcomer, words: list[str]) -> None:
    """docs/cli.md holds the real texts; when this fails, paste the new one there."""
    done = newcomer.run(*words)
    assert done.returncode == 0
    assert done.stdout.isascii()
    blocks = re.findall(r"```text\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    # argparse breaks lines a little differently from version to version
    assert done.stdout.split() in [block.split() for block in blocks], done.stdout


def test_a_fault_of_ours_is_shown_without_secrets(
    here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = key_secret()
    redaction.register(secret, "secret")

    def fail(_: object) -> int:
        raise ValueError(f"cannot parse {secret}")

    monkeypatch.setattr(doctor_command, "run", fail)
    done = here.run("doctor")
    assert done.returncode == 1
    assert secret not in done.stderr
    assert "ValueError: cannot parse [TWILIO:secret:" in done.stderr
    assert "Please report it" in done.stderr


def test_an_interruption_is_130(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(init_command, "run", interrupted)
    done = here.run("init")
    assert (done.returncode, done.stderr) == (130, "\ninterrupted\n")


@pytest.mark.parametrize(("words", "code"), [(["doctor", "--json"], 1), (["--help"], 0)])
def test_a_reader_that_has_had_enough_is_no_fault(
    newcomer: Newcomer, words: list[str], code: int
) -> None:
    """As ``safetwilio doctor --json | head -1``, with a head that is gone before the first word."""
    reader = subprocess.Popen(["true"], stdin=subprocess.PIPE)
    with reader:
        assert reader.wait(60) == 0
        done = subprocess.run(
            [*COMMAND, *words], cwd=newcomer.directory, check=False, text=True,
            env={**newcomer.env, "PYTHONUNBUFFERED": ""},
            stdin=subprocess.DEVNULL, stdout=reader.stdin, stderr=subprocess.PIPE,
        )  # fmt: skip
    assert (done.returncode, done.stderr) == (code, "")


def test_a_pipe_to_head_is_cut_in_silence(newcomer: Newcomer) -> None:
    done = subprocess.run(
        ["sh", "-c", '"$@" | head -1', "sh", *COMMAND, "doctor", "--json"],
        cwd=newcomer.directory, env=newcomer.env, check=False, capture_output=True, text=True,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "{\n", "")


def test_a_terminal_that_would_show_the_token_is_refused(
    here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fallback(_: str) -> str:
        warnings.warn("Can not control echo on the terminal.", getpass.GetPassWarning, stacklevel=2)
        return here.token

    done = _at_a_terminal(here, monkeypatch, fallback)
    assert done.returncode == 2
    assert "would show the Auth Token" in done.stderr
    assert not here.emulator.requests


def test_prompts_run_in_this_process(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the tests with a real terminal, so that the coverage shows what they reach."""
    assert _at_a_terminal(here, monkeypatch, _refusing(EOFError)).returncode == 2
    assert _at_a_terminal(here, monkeypatch, lambda _: " ").returncode == 2
    assert _at_a_terminal(here, monkeypatch, _refusing(KeyboardInterrupt)).returncode == 130
    assert _at_a_terminal(here, monkeypatch, lambda _: f" {here.token} ").returncode == 0
    assert here.holds(here.made[0])


def _refusing(error: type[BaseException]) -> Callable[[str], str]:
    def ask(_: str) -> str:
        raise error

    return ask


def _at_a_terminal(
    here: Here, monkeypatch: pytest.MonkeyPatch, ask: Callable[[str], str]
) -> subprocess.CompletedProcess[str]:
    monkeypatch.setattr(prompts, "somebody_is_there", lambda: True)
    monkeypatch.setattr(getpass, "getpass", ask)
    monkeypatch.setattr("builtins.input", io.StringIO(f"{here.sid}\n").readline)
    return here.run("init")
