"""``safetwilio rotate key`` says what is left, and who else may hold the old key."""

from __future__ import annotations

import json
import os
import pty
import sys
from typing import TYPE_CHECKING

import pytest
from newcomer import Here, keys_of

from safetwilio.cli import sealing
from safetwilio.credentials import mask
from safetwilio.rotation import keys as rotation
from safetwilio.rotation.places import Place
from safetwilio.testing.faults import drop
from support import write

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pydantic import SecretStr

    from safetwilio.testing.records import Key

ROTATE = ("rotate", "key", "--yes")


@pytest.fixture(autouse=True)
def _admin(here: Here, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a Main key where only who rotates looks."""
    put(tmp_path / "admin.env", here.emulator.main_key)
    monkeypatch.setenv("SAFETWILIO_ADMIN_BACKEND", f"dotenv:{tmp_path / 'admin.env'}")
    monkeypatch.setenv("SAFETWILIO_JOURNAL", str(tmp_path / "runs"))
    monkeypatch.setattr(rotation, "LANDS_WITHIN", 0.0)  # nothing here is on its way


def put(path: Path, key: Key, name: str = "") -> Path:
    pair = f"TWILIO_{name}API_KEY={key.sid}\nTWILIO_{name}API_SECRET={key.secret}\n"
    return write(path, f"TWILIO_{name}ACCOUNT_SID={key.account_sid}\n{pair}")


def old_key(here: Here, *names: str) -> Key:
    """Return a new key, in the files *names*."""
    key = here.emulator.account.create_key("standard", friendly_name="old")
    here._seeded.append(key)
    for name in names:
        put(here.directory / name, key)
    return key


def two_services(here: Here) -> None:
    text = "[services.one]\nbackend='dotenv:one.env'\n[services.two]\nbackend='dotenv:two.env'\n"
    write(here.directory / "safetwilio.toml", text)


def is_alive(here: Here, key: Key) -> bool:
    return key in keys_of(here.emulator.account)


def plain(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize("options", ["place", "account", "both"])
def test_options_do_not_hide_the_services_of_the_file(here: Here, options: str) -> None:
    """The old key is theirs, too, whatever the command line names."""
    name, words, env = "", ["--backend", "dotenv:one.env"], {}
    if options != "place":
        name, words = "EU_", ["--account", "eu"]
        env["SAFETWILIO_ADMIN_BACKEND_EU"] = "dotenv:eu.env"
        put(here.directory / "eu.env", here.emulator.main_key, name)
        if options == "both":
            words += ["--backend", "dotenv:one.env"]
        else:
            env["SAFETWILIO_BACKEND_EU"] = "dotenv:one.env"
    old = old_key(here, "two.env")
    put(here.directory / "one.env", old, name)
    two_services(here)
    done = here.run(*ROTATE, "--moved", *words, **env)
    assert done.returncode == 1
    assert "[ST626]" in done.stderr
    assert is_alive(here, old)
    said = plain(done.stderr)
    assert "deleted if none of these holds it: " in said
    assert "two (dotenv:two.env). Those of safetwilio.toml are among them." in said


def test_a_file_that_is_not_right_is_said_before_anything_is_changed(here: Here) -> None:
    old = old_key(here, "one.env")
    write(here.directory / "safetwilio.toml", "[services")
    done = here.run(*ROTATE, "--moved", "--backend", "dotenv:one.env")
    assert done.returncode == 2
    assert "[ST955]" in done.stderr
    assert here.made == []
    assert is_alive(here, old)


def test_without_the_file_nobody_else_is_known(here: Here) -> None:
    old_key(here, ".env")
    assert "No safetwilio.toml is here" in plain(here.run("rotate", "key").stderr)


def test_after_an_old_run_comes_a_new_one_for_the_others(here: Here) -> None:
    one, two = old_key(here, "one.env"), old_key(here, "two.env")
    two_services(here)
    assert here.run(*ROTATE, "--service", "one").returncode == 4
    plan = json.loads(here.run("rotate", "key", "--json").stdout)
    assert (plan["changed"], plan["left"]) == ([], ["one", "two"])
    waits = here.run(*ROTATE, "--no-wait", "--overlap", "1d", "--json")
    assert waits.returncode == 4
    said = json.loads(waits.stdout)
    assert said["changed"] == said["left"] == ["one", "two"]
    assert len({key["run"] for key in said["keys"]}) == 2
    done = here.run(*ROTATE, "--moved", "--json")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert (said["changed"], said["left"]) == (["one", "two"], [])
    assert not is_alive(here, one)
    assert not is_alive(here, two)
    assert len(here.made) == 2
    assert here.run("rotate", "runs").returncode == 3


def test_a_key_that_the_others_hold_goes_when_they_have_moved(here: Here) -> None:
    """The old run cannot end before the new one has."""
    old = old_key(here, "one.env", "two.env")
    two_services(here)
    assert here.run(*ROTATE, "--service", "one").returncode == 4
    done = here.run(*ROTATE, "--moved")
    assert done.returncode == 0, done.stderr
    assert not is_alive(here, old)
    assert len(here.made) == 2
    assert here.run("rotate", "runs").returncode == 3


def test_a_key_in_a_later_place_of_another_service_is_not_deleted(here: Here) -> None:
    """Here its first place holds a key; where the service runs, that may be another or none."""
    old, other = old_key(here, "one.env", "two.env"), old_key(here)
    places = "[services.one]\nbackend='dotenv:one.env'\n[services.two]\nbackend="
    write(here.directory / "safetwilio.toml", f"{places}'env,dotenv:two.env'\n")
    pair = {"TWILIO_API_KEY": other.sid, "TWILIO_API_SECRET": other.secret}
    around = {"TWILIO_ACCOUNT_SID": other.account_sid, **pair}
    done = here.run(*ROTATE, "--moved", "--service", "one", **around)
    assert done.returncode == 1
    assert "[ST626]" in done.stderr
    assert is_alive(here, old)


def test_a_run_that_was_overtaken_is_not_listed(
    here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two commands at once: the second's key has no place, and nobody needs to take it back."""
    old = old_key(here, ".env")
    theirs: list[Key] = []
    keep = Place.keep

    def overtaken(place: Place, fields: Mapping[str, SecretStr], replaces: str | None) -> str:
        if not theirs:
            theirs.append(old_key(here, ".env"))
        return keep(place, fields, replaces)

    monkeypatch.setattr(Place, "keep", overtaken)
    done = here.run(*ROTATE, "--moved")
    assert done.returncode == 1
    assert "[ST338]" in done.stderr
    assert here.holds(theirs[0])
    assert here.run("rotate", "runs").returncode == 3
    assert is_alive(here, old)
    assert here.made == []


def test_services_that_share_a_key_may_be_rotated_one_by_one(here: Here) -> None:
    old = old_key(here, "one.env", "two.env")
    two_services(here)
    assert here.run(*ROTATE, "--moved", "--service", "one").returncode == 1
    assert here.run(*ROTATE, "--moved", "--service", "two").returncode == 0
    assert not is_alive(here, old)


@pytest.mark.parametrize("is_kept", [True, False])
def test_the_same_command_in_another_directory_is_refused(
    here: Here, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_kept: bool
) -> None:
    old = old_key(here, ".env")
    words = (*ROTATE, "--backend", f"dotenv:{here.dotenv}")
    if not is_kept:
        monkeypatch.setattr(rotation, "_PAUSE", 0.0)
        here.emulator.faults.add(drop(applied=True), match="POST */Keys.json", times=3)
    assert here.run(*words).returncode == (4 if is_kept else 1)
    before = here.made
    (run,) = json.loads(here.run("rotate", "runs", "--json").stdout)["runs"]
    assert run["directory"] == str(here.directory)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    done = here.run(*words, "--moved")
    assert done.returncode == 2
    said = plain(done.stderr)
    assert f"of the unfinished run {run['run']}, begun for {here.directory.name} in" in said
    assert f"in the directory {here.directory}. Nothing was changed." in said
    assert here.made == before
    assert is_alive(here, old)
    monkeypatch.chdir(here.directory)
    assert here.run(*words, "--moved").returncode == 0
    assert not is_alive(here, old)
    assert len(here.made) == 1


def test_another_spelling_of_the_place_is_the_same_run(here: Here) -> None:
    old = old_key(here, ".env")
    assert here.run(*ROTATE).returncode == 4
    assert here.run(*ROTATE, "--moved", "--backend", f"dotenv:{here.dotenv}").returncode == 0
    assert len(here.made) == 1
    assert not is_alive(here, old)


def test_the_run_of_another_place_is_not_taken(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the same name and with the same key: to go on there would delete what is in use here."""
    old = old_key(here, ".env", "copy.env")
    monkeypatch.setattr(rotation, "_PAUSE", 0.0)
    here.emulator.faults.add(drop(applied=True), match="POST */Keys.json", times=3)
    assert here.run(*ROTATE).returncode == 1
    assert here.run(*ROTATE, "--moved", "--backend", "dotenv:copy.env").returncode == 2
    assert is_alive(here, old)
    assert here.made == []


@pytest.mark.parametrize("how", ["option", "variable"])
def test_heartbeats_that_cannot_be_listed_change_nothing(here: Here, how: str) -> None:
    old_key(here, ".env")
    words = ("--heartbeats", "nowhere") if how == "option" else ()
    env = {} if words else {"SAFETWILIO_HEARTBEAT": "nowhere"}
    done = here.run(*ROTATE, *words, **env)
    assert done.returncode == 2
    assert "[ST957]" in done.stderr
    assert here.made == []
    assert not here.emulator.requests
    if not words:  # nobody needs them then
        assert here.run(*ROTATE, "--moved", **env).returncode == 0


def test_there_is_nothing_to_take_back(here: Here) -> None:
    old_key(here, ".env")
    done = here.run("rotate", "key", "--roll-back", "--json")
    assert done.returncode == 3
    assert "There is no run to take back." in done.stderr
    assert json.loads(done.stdout)["changed"] == []


def test_a_run_is_listed_with_its_beginning_its_places_and_what_is_next(
    here: Here, tmp_path: Path
) -> None:
    old_key(here, ".env")
    assert here.run(*ROTATE).returncode == 4
    (run,) = json.loads(here.run("rotate", "runs", "--json").stdout)["runs"]
    assert run["places"] == [["dotenv:.env"]]
    assert run["began"].startswith(f"{run['run'][:4]}-{run['run'][4:6]}-{run['run'][6:8]}T")
    listed = plain(here.run("rotate", "runs").stderr)
    assert f"{run['run']} rotate key, begun {run['began']} in {here.directory}" in listed
    assert f"{here.directory.name}: dotenv:.env" in listed
    assert "Next: safetwilio rotate key as it was begun, with --moved once nothing uses" in listed
    (journal,) = (tmp_path / "runs").iterdir()
    journal.rename(journal.with_name("renamed.jsonl"))
    (run,) = json.loads(here.run("rotate", "runs", "--json").stdout)["runs"]
    assert (run["run"], run["began"]) == ("renamed", None)


def test_who_closes_a_run_learns_which_key_it_has_left(
    here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The old one where the new one is in its place, and else what may have been made."""
    old = old_key(here, "one.env")
    assert here.run(*ROTATE, "--backend", "dotenv:one.env").returncode == 4
    (run,) = json.loads(here.run("rotate", "runs", "--json").stdout)["runs"]
    said = plain(here.run("rotate", "runs", "--close", run["run"]).stderr)
    assert f"Closed {run['run']}. Nothing was changed." in said
    assert f"the old one, {mask('key', old.sid)}, works still. Delete it in the Console" in said
    monkeypatch.setattr(rotation, "_PAUSE", 0.0)
    here.emulator.faults.add(drop(applied=True), match="POST */Keys.json", times=3)
    assert here.run(*ROTATE, "--backend", "dotenv:one.env").returncode == 1
    (run,) = json.loads(here.run("rotate", "runs", "--json").stdout)["runs"]
    said = plain(here.run("rotate", "runs", "--close", run["run"]).stderr)
    assert f"look in the Console for keys called safetwilio/my-app/{run['run']}, which" in said
    assert "Delete it in the Console" not in said


@pytest.mark.parametrize("stderr", ["a file", "a terminal", None])
def test_the_identity_is_shown_on_a_terminal_and_nowhere_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stderr: str | None
) -> None:
    """A log would keep it, beside what it opens."""
    pytest.importorskip("pyrage")
    monkeypatch.setattr(sealing, "somebody_is_there", lambda: True)
    kept = sealing.FileSealed(tmp_path / "run.jsonl", "one", recipient=None)
    ends = pty.openpty()
    log = tmp_path / "log"
    with log.open("w") as file, os.fdopen(ends[1], "w") as terminal:
        streams = {"a file": file, "a terminal": terminal, None: None}
        monkeypatch.setattr(sys, "__stderr__", streams[stderr])
        kept.seal({})
    shown = os.read(ends[0], 4096) if stderr == "a terminal" else b""
    os.close(ends[0])
    assert log.read_text() == ""
    assert shown.startswith(b"AGE-SECRET-KEY-1") is (stderr == "a terminal")
    assert (tmp_path / "run.one.age").exists() is (stderr == "a terminal")
