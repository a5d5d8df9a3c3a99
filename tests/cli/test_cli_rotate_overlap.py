"""``safetwilio rotate``: its plan says when the old secret goes, as it was chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support import write

if TYPE_CHECKING:
    from pathlib import Path

    from newcomer import Here

CHOICES = [
    ((), "until somebody says when: --overlap", False),
    (("--overlap", "12s"), "12 seconds after", True),
    (("--overlap", "15m"), "15 minutes after", False),
    (("--moved",), "(--moved)", False),
]


@pytest.fixture(autouse=True)
def _kept(here: Here, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep a key and the Auth Token in ``.env``, and a Main key for who rotates."""
    standard, main = here.emulator.standard_key, here.emulator.main_key
    sid, token = f"TWILIO_ACCOUNT_SID={here.sid}\n", f"TWILIO_WEBHOOK_AUTH_TOKEN={here.token}\n"
    pair = "TWILIO_API_KEY={0.sid}\nTWILIO_API_SECRET={0.secret}\n".format
    write(here.dotenv, sid + pair(standard) + token)
    write(tmp_path / "admin.env", sid + pair(main))
    monkeypatch.setenv("SAFETWILIO_ADMIN_BACKEND", f"dotenv:{tmp_path / 'admin.env'}")
    monkeypatch.setenv("SAFETWILIO_JOURNAL", str(tmp_path / "runs"))


def plan(here: Here, *words: str) -> str:
    done = here.run("rotate", *words)
    assert done.returncode == 0, done.stderr
    return " ".join(done.stderr.split())


@pytest.mark.parametrize(("words", "when", "is_soon"), CHOICES)
def test_the_plan_for_a_key(
    here: Here, words: tuple[str, ...], when: str, *, is_soon: bool
) -> None:
    said = plan(here, "key", *words)
    assert "note: the old key " in said
    assert when in said
    assert ("warning: programs with safetwilio look every 5 minutes" in said) is is_soon


def test_the_plan_for_a_key_names_the_heartbeats(here: Here, tmp_path: Path) -> None:
    """Also those of the environment, which nobody typed."""
    (tmp_path / "beats").mkdir()
    said = here.run("rotate", "key", SAFETWILIO_HEARTBEAT=str(tmp_path / "beats")).stderr
    assert f"write to {tmp_path / 'beats'} have the new one" in " ".join(said.split())


@pytest.mark.parametrize(("words", "when", "is_soon"), CHOICES)
def test_the_plan_for_the_token(
    here: Here, words: tuple[str, ...], when: str, *, is_soon: bool
) -> None:
    """Webhooks that are signed with the new one are refused by who has not looked."""
    said = plan(here, "token", *words)
    assert "note: a standby that this run makes is " in said
    assert when in said
    assert ("refuses those that are signed with it meanwhile" in said) is is_soon


def test_what_is_taken_back_waits_for_nobody(here: Here) -> None:
    assert here.run("rotate", "token", "--yes", "--no-wait").returncode == 4
    said = plan(here, "token", "--roll-back", "--overlap", "1s")
    assert "warning: " not in said
    assert "after " not in said
