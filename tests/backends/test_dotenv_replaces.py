"""Compare-and-set of a ``.env``: what changed meanwhile is never written over, whoever races."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from functools import partial
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

from safetwilio import private_files
from safetwilio.backends.dotenv import DotenvBackend
from safetwilio.backends.interface import Absent, Found
from safetwilio.backends.locate import parse
from safetwilio.errors import BackendDenied
from support import (
    Key,
    assert_silent,
    caught,
    clean_environment,
    codes,
    key_secret,
    leaks,
    new_key,
    refused,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

LOCK = ".env.safetwilio-lock"


def backend(path: Path) -> DotenvBackend:
    return DotenvBackend(parse(f"dotenv:{path}", place="test")[0])


def fields(key: Key) -> Mapping[str, SecretStr]:
    names = ("account_sid", "key_sid", "secret")
    return {name: SecretStr(text) for name, text in zip(names, key, strict=True)}


def saving(env: Path, key: Key, replaces: str | None) -> Callable[[], str]:
    """Return the call; its frames hold no more than a caller's must."""
    return partial(backend(env).save, fields(key), account=None, replaces=replaces)


def save(env: Path, key: Key, replaces: str | None) -> str:
    return saving(env, key, replaces)()


def version(env: Path) -> str:
    answer = backend(env).load(None)
    found = answer.version if isinstance(answer, Absent) else answer.record.version
    assert found
    return found


@pytest.fixture
def env(tmp_path: Path) -> Path:
    return tmp_path / ".env"


def test_the_version_that_was_seen_gives_way(env: Path, key: Key) -> None:
    save(env, new_key(), "")
    save(env, key, version(env))
    assert env.read_text() == key.dotenv()


def test_a_file_without_a_key_has_a_version_too(env: Path, key: Key) -> None:
    assert isinstance(backend(env).load(None), Absent)
    env.write_text("DATABASE_URL=x\n")
    save(env, key, version(env))
    assert env.read_text() == "DATABASE_URL=x\n" + key.dotenv()


@pytest.mark.parametrize("replaces", ["", "0123456789ab"])
def test_what_is_not_what_was_seen_stays(env: Path, key: Key, replaces: str) -> None:
    env.write_text("A=1\n")
    there = version(env)
    error = refused(saving(env, key, replaces))
    assert codes(error) == ["ST338"]
    expected = f"version {replaces}" if replaces else "no file"
    assert error.problems[0].found_in == (
        str(env), f"expected {expected}, found version {there}",
    )  # fmt: skip
    assert_silent(error, [key.secret])
    assert env.read_text() == "A=1\n"
    assert [path.name for path in env.parent.iterdir()] == [".env"]


def test_a_file_that_is_gone_is_not_made_anew(env: Path, key: Key) -> None:
    assert codes(refused(saving(env, key, "0123456789ab"))) == ["ST338"]
    assert not env.exists()


def test_a_version_that_is_none_is_not_shown(env: Path, key: Key) -> None:
    """A program may hand in the secret by mistake."""
    secret = key_secret()
    said = str(refused(saving(env, key, secret)))
    assert "found no file" in said
    assert leaks(said, [secret, key.secret]) == []


_WRITER = """\
import sys
from pathlib import Path
from pydantic import SecretStr
from safetwilio.backends.dotenv import DotenvBackend
from safetwilio.backends.locate import parse
from safetwilio.errors import BackendError
path, replaces, account, sid, secret = sys.argv[1:]
backend = DotenvBackend(parse("dotenv:" + path, place="test")[0])
fields = {"account_sid": account, "key_sid": sid, "secret": secret}
sealed = {name: SecretStr(value) for name, value in fields.items()}
print("ready", flush=True)
sys.stdin.readline()
try:
    backend.save(sealed, account=None, replaces=replaces)
except BackendError as error:
    print(error.code)
else:
    print("kept")
"""


@pytest.mark.parametrize("old", [None, "A=1\n"])
def test_of_processes_at_once_exactly_one_is_kept(env: Path, old: str | None) -> None:
    if old is not None:
        env.write_text(old)
    replaces = version(env) if old else ""
    keys = [new_key() for _ in range(4)]
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", _WRITER, str(env), replaces, *key],
            env=clean_environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for key in keys
    ]  # fmt: skip
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    said = [process.communicate(timeout=60)[0].strip() for process in processes]
    assert sorted(said) == ["ST338", "ST338", "ST338", "kept"]
    assert env.read_text() == (old or "") + keys[said.index("kept")].dotenv()
    assert [path.name for path in env.parent.iterdir()] == [".env"]


def test_writers_without_a_version_lose_nothing_of_each_other(env: Path) -> None:
    """Read, change and write is one step: no account's key is gone because of another's."""
    keys = {f"a{number}": new_key() for number in range(12)}
    threads = [
        threading.Thread(target=backend(env).save, args=(fields(key),), kwargs={"account": name})
        for name, key in keys.items()
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    for name, key in keys.items():
        answer = backend(env).load(name)
        assert isinstance(answer, Found)
        assert answer.record.fields["secret"].reveal() == key.secret


def test_a_lock_that_is_kept_is_waited_for_and_then_reported(
    env: Path, key: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    env.write_text("A=1\n")
    monkeypatch.setattr(private_files, "_LONGEST_WAIT", 0.1)
    with private_files.locked(env):
        error = refused(saving(env, key, None))
    assert isinstance(error, BackendDenied)
    assert codes(error) == ["ST307"]
    assert f"another process has kept {env.parent / LOCK} for too long" in str(error)
    assert_silent(error, [key.secret])
    assert env.read_text() == "A=1\n"
    save(env, key, None)
    assert not (env.parent / LOCK).exists()


def test_a_lock_that_a_killed_process_has_left_is_nobodys(env: Path, key: Key) -> None:
    (env.parent / LOCK).touch(0o600)
    save(env, key, "")
    assert [path.name for path in env.parent.iterdir()] == [".env"]


def test_an_old_lock_is_not_removed_while_somebody_has_it(env: Path, key: Key) -> None:
    """Whoever came next would make another one, and both were let in."""
    with private_files.locked(env):
        os.utime(env.parent / LOCK, (0, 0))
        private_files.write_private(env, key.dotenv().encode())
        assert (env.parent / LOCK).exists()


@pytest.mark.skipif(os.name != "posix", reason="links as POSIX has them")
@pytest.mark.parametrize("kind", ["symbolic", "hard"])
def test_a_link_in_the_place_of_the_lock_leads_nowhere(env: Path, key: Key, kind: str) -> None:
    victim = env.parent / "victim"
    victim.write_text("mine")
    before = victim.stat()
    if kind == "hard":
        os.link(victim, env.parent / LOCK)
    else:
        (env.parent / LOCK).symlink_to(victim)
    caught(saving(env, key, ""))
    after = victim.stat()
    assert victim.read_text() == "mine"
    assert (before.st_uid, before.st_gid, before.st_mode) == (
        after.st_uid, after.st_gid, after.st_mode,
    )  # fmt: skip


def test_the_lock_is_one_for_all_ways_to_the_file(env: Path, tmp_path: Path) -> None:
    """Through a link and by its own name it is the same file."""
    env.touch()
    (tmp_path / "link").symlink_to(env)
    with private_files.locked(tmp_path / "link"):
        assert (env.parent / LOCK).exists()
