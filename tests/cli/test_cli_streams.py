"""Standard output and standard error that take nothing, and names that would write there."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING

import pytest
from newcomer import COMMAND, DEADLINE, Newcomer, keys_of

from support import write

if TYPE_CHECKING:
    from pathlib import Path

    from safetwilio.testing.records import Key

ROTATE = ("rotate", "key", "--yes")
FULL = "The result could not be written to standard output: No space left on device.\n"
FORGED = "x\x1b[31m\nDone. All keys are fine"
SHOWN = r"x\x1b[31m\nDone. All keys are fine"


@pytest.fixture(autouse=True)
def old(newcomer: Newcomer, tmp_path: Path) -> Key:
    """Put a key into the .env, and a Main key where only who rotates looks."""
    key = newcomer.emulator.account.create_key("standard", friendly_name="old")
    newcomer._seeded.append(key)
    put(newcomer.dotenv, key)
    put(tmp_path / "admin.env", newcomer.emulator.main_key)
    newcomer.env["SAFETWILIO_ADMIN_BACKEND"] = f"dotenv:{tmp_path / 'admin.env'}"
    newcomer.env["SAFETWILIO_JOURNAL"] = str(tmp_path / "runs")
    newcomer.env["PYTHONUNBUFFERED"] = ""
    return key


def put(path: Path, key: Key) -> None:
    pair = f"TWILIO_API_KEY={key.sid}\nTWILIO_API_SECRET={key.secret}\n"
    write(path, f"TWILIO_ACCOUNT_SID={key.account_sid}\n{pair}")


def run_to(
    newcomer: Newcomer, streams: str, *words: str, stdout: int = subprocess.PIPE
) -> subprocess.CompletedProcess[str]:
    """Run ``safetwilio`` *words* with the redirections *streams* of a shell."""
    done = subprocess.run(
        ["sh", "-c", f'exec "$@" {streams}', "sh", *COMMAND, *words],
        cwd=newcomer.directory, env=newcomer.env, check=False, text=True, timeout=DEADLINE,
        stdin=subprocess.DEVNULL, stdout=stdout, stderr=subprocess.PIPE,
    )  # fmt: skip
    newcomer.require_no_secret((done.stdout or "") + done.stderr)
    return done


def test_what_is_for_people_is_not_given_to_programs(newcomer: Newcomer) -> None:
    done = run_to(newcomer, "2>&-", "rotate", "key", "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout)["changed"] == []


@pytest.mark.parametrize(("words", "code"), [(["--moved"], 0), (["--no-wait"], 4)])
def test_a_result_that_nobody_can_read_does_not_change_the_exit_code(
    newcomer: Newcomer, words: list[str], code: int
) -> None:
    done = run_to(newcomer, ">/dev/full", *ROTATE, "--json", *words)
    assert done.returncode == code
    assert FULL in done.stderr
    assert "Traceback" not in done.stderr
    assert newcomer.holds(newcomer.made[0])


def test_a_reader_that_is_gone_does_not_change_it_either(newcomer: Newcomer) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = run_to(newcomer, "", *ROTATE, "--json", "--moved", stdout=writer)
    os.close(writer)
    assert done.returncode == 0
    assert done.stderr.splitlines()[-1].startswith("Done. Journal: ")


@pytest.mark.parametrize("streams", ["2>/dev/full", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_a_rotation_that_nobody_hears_of_is_carried_out(
    newcomer: Newcomer, old: Key, streams: str
) -> None:
    done = run_to(newcomer, streams, *ROTATE, "--moved")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert newcomer.holds(newcomer.made[0])
    assert old not in keys_of(newcomer.emulator.account)


@pytest.mark.parametrize("words", [["--version"], ["rotate", "key", "--help"]])
@pytest.mark.parametrize(("streams", "said"), [(">&-", ""), (">/dev/full", FULL)])
def test_a_help_that_nobody_can_read(
    newcomer: Newcomer, words: list[str], streams: str, said: str
) -> None:
    done = run_to(newcomer, streams, *words)
    assert (done.returncode, done.stderr) == (0, said)


def test_an_emulator_that_cannot_say_where_it_is_does_not_run(newcomer: Newcomer) -> None:
    done = run_to(newcomer, ">/dev/full", "emulator", "--json")
    assert done.returncode == 1
    assert done.stderr.startswith("[ST923] The emulator does not run: standard output cannot be")
    assert "Traceback" not in done.stderr


def test_the_name_of_a_directory_writes_no_line(newcomer: Newcomer, tmp_path: Path) -> None:
    newcomer.directory = tmp_path / FORGED
    newcomer.directory.mkdir()
    newcomer.dotenv.rename(newcomer.directory / ".env")
    begun = newcomer.run(*ROTATE)
    assert begun.returncode == 4, begun.stderr
    listed = newcomer.run("rotate", "runs")
    assert listed.returncode == 0
    assert f"{tmp_path}/{SHOWN}\n" in listed.stderr
    empty = newcomer.run("rotate", "runs", "--journal", FORGED)
    assert empty.stderr == f"No run in {SHOWN} is unfinished.\n"
    missing = newcomer.run("rotate", "key", "--backend", f"dotenv:{FORGED}")
    assert missing.stderr.startswith("[ST621] ")
    broken = newcomer.run("doctor", SAFETWILIO_BACKEND=f"files:{FORGED}")
    assert broken.returncode == 1
    for each in (begun, listed, empty, missing, broken):
        assert "\x1b" not in each.stderr
        assert not [line for line in each.stderr.splitlines() if line.startswith("Done.")]
