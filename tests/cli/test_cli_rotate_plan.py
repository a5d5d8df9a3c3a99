"""``safetwilio rotate key``: which services and runs it takes, two at once, and what goes back."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING

import pytest
from newcomer import DEADLINE, Here, keys_of

from safetwilio.credentials import mask
from safetwilio.rotation import keys as rotation
from safetwilio.testing.faults import drop, hold
from support import key_secret, leaks, write

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from newcomer import Newcomer

    from safetwilio.testing.exchange import EmulatedRequest
    from safetwilio.testing.records import Key

ROTATE = ("rotate", "key", "--yes")
FILE = "safetwilio.toml"


@pytest.fixture(autouse=True)
def _admin(newcomer: Newcomer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a Main key where only who rotates looks."""
    put(tmp_path / "admin.env", newcomer.emulator.main_key)
    variables = {
        "SAFETWILIO_ADMIN_BACKEND": f"dotenv:{tmp_path / 'admin.env'}",
        "SAFETWILIO_JOURNAL": str(tmp_path / "runs"),
    }
    newcomer.env.update(variables)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(rotation, "LANDS_WITHIN", 0.0)  # nothing here is on its way


def put(path: Path, key: Key) -> Path:
    pair = f"TWILIO_API_KEY={key.sid}\nTWILIO_API_SECRET={key.secret}\n"
    return write(path, f"TWILIO_ACCOUNT_SID={key.account_sid}\n{pair}")


def old_key(newcomer: Newcomer, *names: str) -> Key:
    """Return a new key, in the files *names*."""
    key = newcomer.emulator.account.create_key("standard", friendly_name="old")
    newcomer._seeded.append(key)
    for name in names or (".env",):
        put(newcomer.directory / name, key)
    return key


def is_alive(newcomer: Newcomer, key: Key) -> bool:
    return key in keys_of(newcomer.emulator.account)


def services(here: Newcomer, **backends: str) -> None:
    tables = (f"[services.{name}]\nbackend = '{text}'\n" for name, text in backends.items())
    write(here.directory / FILE, "".join(tables))


def unfinished(here: Here) -> list[str]:
    """Return the runs that are listed."""
    found = json.loads(here.run("rotate", "runs", "--json").stdout)["runs"]
    return [run["run"] for run in found]


def is_creation(request: EmulatedRequest) -> bool:
    return request.method == "POST" and request.path.endswith("/Keys.json")


def interrupt(here: Here, *words: str, times: int = 3) -> None:
    """Begin a run that ends before its key is kept, with nothing left at Twilio."""
    here.emulator.faults.add(drop(applied=True), match=is_creation, times=times)
    monkey = pytest.MonkeyPatch()
    monkey.setattr(rotation, "_PAUSE", 0.0)
    done = here.run(*ROTATE, *words)
    monkey.undo()
    assert done.returncode == 1
    assert "[ST622]" in done.stderr
    here.emulator.faults.clear()


def test_the_services_of_the_file_each_get_a_key(here: Here) -> None:
    one, two = old_key(here, "one.env"), old_key(here, "two.env")
    services(here, one="dotenv:one.env", two="dotenv:two.env")
    done = here.run(*ROTATE, "--moved", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["changed"] == ["one", "two"]
    first, second = here.made
    assert first.friendly_name.startswith("safetwilio/one/")
    assert first.secret in (here.directory / "one.env").read_text()
    assert second.secret in (here.directory / "two.env").read_text()
    assert not is_alive(here, one)
    assert not is_alive(here, two)


def test_only_one_of_them(here: Here) -> None:
    one, two = old_key(here, "one.env"), old_key(here, "two.env")
    services(here, one="dotenv:one.env", two="dotenv:two.env")
    assert here.run(*ROTATE, "--moved", "--service", "two").returncode == 0
    assert is_alive(here, one)
    assert not is_alive(here, two)
    assert len(here.made) == 1


def test_a_service_that_is_not_there(here: Here) -> None:
    services(here, one="dotenv:one.env")
    secret = key_secret()
    done = here.run(*ROTATE, "--service", secret)
    assert done.returncode == 2
    assert "[ST956]" in done.stderr
    assert leaks(done.stderr, [secret]) == []


def test_a_key_that_a_service_outside_of_the_run_has_is_not_deleted(here: Here) -> None:
    old = old_key(here, "one.env", "two.env")
    services(here, one="dotenv:one.env", two="dotenv:two.env")
    done = here.run(*ROTATE, "--moved", "--service", "one")
    assert done.returncode == 1
    assert "[ST626]" in done.stderr
    assert is_alive(here, old)
    (new,) = here.made
    put(here.directory / "two.env", new)
    assert here.run(*ROTATE, "--moved", "--service", "one").returncode == 0
    assert not is_alive(here, old)
    assert here.made == [new]


def test_a_service_that_cannot_be_written_or_has_no_key_holds_nothing_up(here: Here) -> None:
    """What it has is only looked at."""
    old = old_key(here, "one.env")
    services(here, one="dotenv:one.env", two="env", three="dotenv:nothing.env")
    done = here.run(*ROTATE, "--moved", "--service", "one")
    assert done.returncode == 0, done.stderr
    assert not is_alive(here, old)


def test_a_service_whose_place_cannot_be_read_may_have_the_old_key(here: Here) -> None:
    old = old_key(here, "one.env")
    (here.directory / "two.env").mkdir()
    services(here, one="dotenv:one.env", two="dotenv:two.env")
    assert here.run(*ROTATE, "--moved", "--service", "one").returncode == 1
    assert is_alive(here, old)


@pytest.mark.parametrize("spelling", ["dotenv:.env", "dotenv", "dotenv:./.env"])
def test_two_services_with_one_place_are_one(here: Here, spelling: str) -> None:
    """The second would find the first one's new key, and the run would never end."""
    old = old_key(here)
    services(here, one="dotenv:.env", two=spelling)
    done = here.run(*ROTATE, "--moved")
    assert done.returncode == 2
    assert "[ST955] one and two keep their key in the same place" in " ".join(done.stderr.split())
    assert here.holds(old)
    assert here.made == []


def test_a_run_goes_on_though_only_one_of_its_services_is_named(here: Here) -> None:
    one, two = old_key(here, "one.env"), old_key(here, "two.env")
    services(here, one="dotenv:one.env", two="dotenv:two.env")
    assert here.run(*ROTATE).returncode == 4
    assert here.run(*ROTATE, "--moved", "--service", "one").returncode == 0
    assert not is_alive(here, one)
    assert is_alive(here, two)
    assert len(unfinished(here)) == 1  # two waits
    assert here.run(*ROTATE, "--moved").returncode == 0
    assert not is_alive(here, two)
    assert unfinished(here) == []
    assert len(here.made) == 2


def test_the_run_of_another_service_is_not_taken(here: Here) -> None:
    old_key(here)
    assert here.run(*ROTATE, "--service", "one").returncode == 4
    (run,) = unfinished(here)
    old_key(here)
    assert here.run(*ROTATE, "--service", "two", "--moved").returncode == 0
    assert unfinished(here) == [run]


def test_the_run_of_another_project_of_the_same_name_is_not_taken(
    here: Here, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A copy of it: to go on there, or to begin anew, would delete the key that is in use here."""
    old = old_key(here)
    assert here.run(*ROTATE).returncode == 4
    (new,) = here.made
    (run,) = unfinished(here)
    copy = tmp_path / "copy" / here.directory.name
    put(copy / ".env", old)
    monkeypatch.chdir(copy)
    for words in ((), ("--yes", "--moved"), ("--yes", "--roll-back")):
        done = here.run("rotate", "key", *words)
        assert done.returncode == 2
        said = " ".join(done.stderr.split())
        assert f"of the unfinished run {run}, begun for {here.directory.name}" in said
        assert f"in the directory {here.directory}." in said
        assert f"safetwilio rotate runs --close {run}" in said
    assert here.made == [new]
    assert is_alive(here, old)
    assert unfinished(here) == [run]
    put(copy / ".env", old_key(here, "another.env"))
    assert "Plan: rotate key" in here.run("rotate", "key").stderr
    monkeypatch.chdir(here.directory)
    assert "Plan: go on" in here.run("rotate", "key").stderr


def test_roll_back_takes_back_what_is_not_in_use(here: Here) -> None:
    old = old_key(here)
    interrupt(here)
    assert len(unfinished(here)) == 1
    plan = here.run("rotate", "key", "--roll-back")
    assert "Plan: take back what run" in plan.stderr
    assert f"{here.directory.name}: there is no new key to delete" in plan.stderr
    assert len(unfinished(here)) == 1
    done = here.run("rotate", "key", "--roll-back", "--yes")
    assert done.returncode == 0, done.stderr
    assert "Taken back" in done.stderr
    assert unfinished(here) == []
    assert here.holds(old)
    assert here.made == []
    again = here.run("rotate", "key", "--roll-back", "--yes")
    assert again.returncode == 3
    assert again.stderr == "There is no run to take back. Nothing was changed.\n"


def test_roll_back_leaves_what_is_in_its_place(here: Here) -> None:
    """The plan knows it already."""
    old_key(here)
    assert here.run(*ROTATE).returncode == 4
    for words in ((), ("--yes",), ("--json",)):
        done = here.run("rotate", "key", "--roll-back", *words)
        assert done.returncode == 1
        assert done.stderr.startswith("[ST627]")
    (new,) = here.made
    assert here.holds(new)
    assert len(unfinished(here)) == 1


def test_a_run_whose_place_somebody_else_has_changed_can_be_closed(here: Here) -> None:
    """It is not gone on with, and its orphan goes when it is taken back."""
    old_key(here)
    interrupt(here)
    (run,) = unfinished(here)
    orphan = here.emulator.account.create_key("standard", friendly_name=f"safetwilio/my-app/{run}")
    theirs = old_key(here)
    assert "Plan: rotate key" in here.run("rotate", "key").stderr
    plan = here.run("rotate", "key", "--roll-back")
    assert plan.returncode == 0
    assert f": delete the new key {mask('key', orphan.sid)}, which is in no place" in plan.stderr
    assert is_alive(here, orphan)
    assert here.run("rotate", "key", "--roll-back", "--yes").returncode == 0
    assert unfinished(here) == []
    assert not is_alive(here, orphan)
    assert here.holds(theirs)


def test_our_old_key_goes_also_after_another_rotation(here: Here) -> None:
    old = old_key(here)
    assert here.run(*ROTATE).returncode == 4
    (ours,) = here.made
    theirs = old_key(here)  # from another machine, say
    done = here.run(*ROTATE, "--moved")
    assert done.returncode == 0, done.stderr
    assert not is_alive(here, old)
    assert here.made == [ours]  # it may be in use until they say otherwise
    assert here.holds(theirs)
    assert unfinished(here) == []


def test_an_old_key_that_was_put_back_is_rotated_anew(here: Here) -> None:
    """As by a backup: to go on would end with "it is in use" for ever."""
    old = old_key(here)
    assert here.run(*ROTATE).returncode == 4
    put(here.dotenv, old)
    assert here.run(*ROTATE, "--moved").returncode == 0
    assert here.run(*ROTATE, "--moved").returncode == 0
    assert not is_alive(here, old)
    assert unfinished(here) == []


def test_who_reads_the_plan_does_not_wait_for_ever_for_a_process_that_goes_on(
    newcomer: Newcomer,
) -> None:
    old_key(newcomer)
    arrived = newcomer.stop_at(is_creation)
    with newcomer.start(*ROTATE, "--moved") as process:
        assert arrived.wait(DEADLINE)
        done = newcomer.run("rotate", "key")
        assert done.returncode == 1
        assert "[ST951]" in done.stderr
        assert newcomer.run("rotate", "runs").returncode == 0
        process.kill()


def lists_keys(request: EmulatedRequest) -> bool:
    return request.method == "GET" and request.path.endswith("/Keys.json")


def proves(request: EmulatedRequest) -> bool:
    return request.path.endswith("/Messages.json")


@pytest.mark.parametrize("match", [lists_keys, is_creation, proves])
def test_of_two_at_once_one_key_is_left_and_it_lives(
    newcomer: Newcomer, match: Callable[[EmulatedRequest], bool]
) -> None:
    """The late one has looked, or made a key, when the other one does all of it."""
    old = old_key(newcomer)
    arrived = threading.Event()

    def came(request: EmulatedRequest) -> bool:
        if match(request):
            arrived.set()
        return match(request)

    newcomer.emulator.faults.add(hold(until="nothing"), match=came)
    words = (*ROTATE, "--overlap", "0s")
    with newcomer.start(*words, "--journal", "late") as late:
        assert arrived.wait(DEADLINE)
        early = newcomer.run(*words)
        newcomer.emulator.faults.clear()
        _, stderr = late.communicate(timeout=DEADLINE)
    assert early.returncode == 0, early.stderr
    assert late.returncode == 1, stderr
    (new,) = newcomer.made
    assert newcomer.holds(new)
    assert not is_alive(newcomer, old)
    newcomer.require_no_secret(stderr)


def test_two_that_begin_at_the_same_moment(newcomer: Newcomer) -> None:
    old = old_key(newcomer)
    words = (*ROTATE, "--overlap", "0s")
    with newcomer.start(*words) as one, newcomer.start(*words) as two:
        said = [process.communicate(timeout=DEADLINE)[1] for process in (one, two)]
    assert 0 in {one.returncode, two.returncode}, said
    (new,) = newcomer.made
    assert newcomer.holds(new)
    assert not is_alive(newcomer, old)
