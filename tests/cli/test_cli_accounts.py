"""Named accounts and suspended ones on the command line: each report leads on as it should."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from newcomer import Here, Newcomer

from safetwilio.testing import Emulator, EmulatorServer
from safetwilio.testing.faults import status
from support import new_key

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAMED = ("--account", "marketing")
OPTION = " --account marketing"


def plain(text: str) -> str:
    """Return *text* in one line."""
    return " ".join(text.split())


def test_init_leads_on_to_the_program_s_own_words(here: Here) -> None:
    assert 'Next: python -c "from safetwilio import client; print(client)"\n' in (
        here.init().stderr
    )
    named = here.init(*NAMED).stderr
    program = "from safetwilio import get_client; print(get_client('marketing'))"
    assert f'Next: python -c "{program}"\n' in named


def test_what_is_there_already_is_said_with_the_account_s_commands(here: Here) -> None:
    assert here.init(*NAMED).returncode == 0
    said = plain(here.run("init", *NAMED).stderr)
    assert f"Check it with safetwilio doctor{OPTION} --verify, or make a new one with" in said
    assert f"safetwilio init{OPTION} --replace." in said


def test_a_key_that_is_not_proven_is_said_with_the_account_s_commands(here: Here) -> None:
    here.emulator.faults.add(status(503), match="GET */Messages.json")
    done = here.init(*NAMED)
    assert done.returncode == 1
    assert f"to ask again later: safetwilio doctor{OPTION} --verify\n" in done.stderr


@pytest.mark.parametrize("account", [None, "marketing"])
def test_half_a_pair_that_goes_first_keeps_the_program_from_starting(
    here: Here, account: str | None
) -> None:
    key = new_key(emulated=True)
    half = {name: v for name, v in key.environment(account).items() if name.endswith("API_KEY")}
    options = NAMED if account else ()
    done = here.init(*options, "--json", **half)
    assert done.returncode == 4
    assert "\nThe program would not start with it yet:\n\n[ST101] The API key secret" in done.stderr
    assert [p["code"] for p in json.loads(done.stdout)["problems"]] == ["ST101"]
    lost = f"if it is lost: safetwilio init{OPTION if account else ''} Or remove "
    assert lost in plain(done.stderr)
    assert "Next:" not in done.stderr


@pytest.mark.parametrize(
    "words", [("doctor",), ("doctor", "--verify"), ("init", "--account-sid", "AC1")]
)
def test_every_fix_names_the_account(newcomer: Newcomer, words: tuple[str, ...]) -> None:
    newcomer.dotenv.write_text(f"TWILIO_MARKETING_AUTH_TOKEN={newcomer.token}\n")
    newcomer.dotenv.chmod(0o600)
    done = newcomer.run(*words, *NAMED, stdin=newcomer.token)
    said = plain(done.stderr)
    for command in ("safetwilio init", "safetwilio doctor"):
        assert said.count(command) == said.count(command + OPTION)


def test_doctor_names_the_emulator_that_it_asks(here: Here) -> None:
    assert here.init().returncode == 0
    assert f"\nemulator   {here.server.url}\n" in here.run("doctor").stderr


@pytest.fixture
def suspended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Here]:
    """Put this process beside a Twilio that says 403/20403 for a suspended account."""
    with EmulatorServer(Emulator(assumptions={"suspended_status": 403})) as server:
        monkeypatch.setenv("SAFETWILIO_EMULATOR", server.url)
        monkeypatch.chdir(tmp_path)
        yield Here(tmp_path, server)


def test_a_suspended_account_is_not_the_network_s_fault(suspended: Here) -> None:
    assert suspended.init().returncode == 0
    suspended.emulator.account.suspend()
    done = suspended.run("doctor", "--verify")
    assert done.returncode == 1
    assert "[ST322]" in done.stderr
    assert "is suspended or not active." in done.stderr
    assert "status.twilio.com" not in done.stderr


def test_init_says_that_the_account_is_suspended(suspended: Here) -> None:
    suspended.emulator.account.suspend()
    done = suspended.init()
    assert done.returncode == 1
    assert "[ST615]" in done.stderr
    assert "the account is suspended or not active (20403)" in plain(done.stderr)
    assert not list(suspended.directory.iterdir())


def test_an_account_suspended_while_its_key_is_made_is_not_asked_again(suspended: Here) -> None:
    """The key is made and kept; waiting for it to be known everywhere would not help."""

    def match(request: object) -> bool:
        if str(getattr(request, "path", "")).endswith("/Messages.json"):
            suspended.emulator.account.suspend()
        return False

    suspended.emulator.faults.add(status(500), match=match)
    before = len(suspended.emulator.requests)
    done = suspended.init()
    assert done.returncode == 1
    assert "The key stays in .env" in done.stderr
    assert "[ST322]" in done.stderr
    asked = [r.path for r in list(suspended.emulator.requests)[before:]]
    assert sum(path.endswith("/Messages.json") for path in asked) == 1
