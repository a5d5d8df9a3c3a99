"""What ``doppler:`` writes, what it leaves alone, and what a write that fails leaves behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from aws_server import black_hole, key_in
from doppler_server import CONFIG, PROJECT, DopplerServer, backend, clean, load
from pydantic import SecretStr

from safetwilio.backends.interface import Absent
from safetwilio.testing import EmulatorServer
from support import (
    Key,
    assert_silent,
    clean_environment,
    codes,
    leaks,
    new_key,
    refused,
    run_python,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def doppler() -> Iterator[DopplerServer]:
    with DopplerServer() as server:
        yield server


@pytest.fixture(autouse=True)
def _surroundings(doppler: DopplerServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    clean(monkeypatch, tmp_path, DOPPLER_TOKEN=doppler.token())


@pytest.fixture
def text(doppler: DopplerServer) -> str:
    return f"doppler:?endpoint={doppler.url}"


def fields(key: Key) -> dict[str, SecretStr]:
    names = ("account_sid", "key_sid", "secret")
    return {name: SecretStr(value) for name, value in zip(names, key, strict=True)}


def save(text: str, key: Key, account: str | None = None, **how: str) -> str:
    return backend(text).save(fields(key), account=account, **how)


def test_the_first_key_is_written_beside_what_is_there(
    doppler: DopplerServer, text: str, key: Key
) -> None:
    doppler.put({"DATABASE_URL": "postgres://"})
    assert save(text, key, replaces="") == "doppler"
    assert key_in(load(text)) == key
    assert doppler.contents == {"DATABASE_URL": "postgres://", **key.environment()}
    other = new_key()
    save(text, other, account="billing")
    assert doppler.contents == {
        "DATABASE_URL": "postgres://", **key.environment(), **other.environment("billing"),
    }  # fmt: skip


def test_each_value_is_written_only_in_the_place_of_the_one_read(
    doppler: DopplerServer, text: str, key: Key
) -> None:
    old = new_key()
    doppler.put(old.environment())
    save(text, key)
    sent = doppler.asked[-1].body["change_requests"]
    assert [(each["name"], each["originalName"]) for each in sent] == [
        (name, name) for name in old.environment()
    ]
    assert [each["originalValue"] for each in sent] == list(old)


def test_other_names_of_the_same_field_go(doppler: DopplerServer, text: str, key: Key) -> None:
    old = new_key()
    doppler.put({**old.environment(), "TWILIO_API_KEY_SID": old.sid})
    save(text, key)
    assert doppler.contents == key.environment()
    doppler.put({"TWILIO_API_KEY_SID": old.sid, "TWILIO_API_KEY_SECRET": old.secret})
    save(text, key)
    assert doppler.contents == {
        "TWILIO_API_KEY_SID": key.sid,
        "TWILIO_API_KEY_SECRET": key.secret,
        "TWILIO_ACCOUNT_SID": key.account,
    }
    assert key_in(load(text)) == key


def test_nothing_of_ours_has_a_version_as_well(doppler: DopplerServer, text: str, key: Key) -> None:
    doppler.put({"DATABASE_URL": "postgres://"})
    answer = backend(text).load(None)
    assert isinstance(answer, Absent)
    save(text, key, replaces=str(answer.version))
    assert key_in(load(text)) == key


def test_compare_and_set(doppler: DopplerServer, text: str, key: Key) -> None:
    old = new_key()
    doppler.put(old.environment())
    version = str(load(text).version)
    for wrong in ("", "0" * 16, key.secret + "\n"):
        error = refused(lambda wrong=wrong: save(text, key, replaces=wrong))  # type: ignore[misc]
        assert codes(error) == ["ST338"]
        if wrong.strip("0"):
            assert_silent(error.with_traceback(None), [*key, *old])
    assert doppler.contents == old.environment()
    save(text, key, replaces=version)
    assert doppler.contents == key.environment()


def test_somebody_quicker_wins(doppler: DopplerServer, text: str, key: Key) -> None:
    doppler.put(new_key().environment())
    quicker = new_key()
    doppler.before_write = lambda: doppler.put(quicker.environment())
    error = refused(lambda: save(text, key))
    assert codes(error) == ["ST338"]
    assert doppler.contents == quicker.environment()
    assert_silent(error.with_traceback(None), [*key, *quicker])


def test_a_part_that_was_kept_is_said(doppler: DopplerServer, text: str, key: Key) -> None:
    """Doppler does not document whether it refuses all if one value has changed."""
    old = new_key()
    doppler.put(old.environment())
    doppler.before_write = lambda: doppler.put({**old.environment(), "TWILIO_API_KEY": key.sid})
    error = refused(lambda: save(text, key))
    assert codes(error) == ["ST340"]
    assert "it kept a part of it only" in str(error)
    assert_silent(error.with_traceback(None), [*key, *old])


def test_a_value_that_refers_to_another_config_is_not_written_over(
    doppler: DopplerServer, text: str, key: Key
) -> None:
    old = new_key()
    doppler.put(old.environment())
    doppler.raw["TWILIO_API_SECRET"] = "${shared.prd.TWILIO_API_SECRET}"
    error = refused(lambda: save(text, key))
    assert codes(error) == ["ST340"]
    assert "is a reference to another config" in " ".join(str(error).split())
    assert doppler.contents == old.environment()


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "ST340"),
        (401, "ST331"),
        (403, "ST330"),
        (404, "ST340"),
        (422, "ST340"),
        (500, "ST332"),
    ],
)
def test_a_write_that_fails_leaves_what_was_there(
    doppler: DopplerServer, text: str, key: Key, status: int, code: str
) -> None:
    old = new_key()
    doppler.put(old.environment())
    doppler.say(status, {"messages": [key.secret], "success": False}, method="POST")
    error = refused(lambda: save(text, key))
    assert codes(error) == [code]
    assert_silent(error.with_traceback(None), [*key, *old])
    assert doppler.contents == old.environment()
    assert doppler.calls.count("POST") == 1, "a write is not repeated"


def test_an_answer_that_says_nothing_of_a_write(
    doppler: DopplerServer, text: str, key: Key
) -> None:
    doppler.put(new_key().environment())
    for body in ("", "<html>", "[]"):
        doppler.say(200, body, method="POST")
        error = refused(lambda: save(text, key))
        assert codes(error) == ["ST332"]
        assert "It is not known whether the key was written" in " ".join(str(error).split())


def test_too_many_requests_are_not_a_write(doppler: DopplerServer, text: str, key: Key) -> None:
    doppler.say(429, method="POST", Retry_After="0")
    save(text, key)
    assert doppler.contents == key.environment()


def test_a_token_that_only_reads_is_told_what_to_grant(
    doppler: DopplerServer, text: str, key: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOPPLER_TOKEN", doppler.token(writes=False))
    backend(text).require_writable()
    error = refused(lambda: save(text, key))
    assert codes(error) == ["ST330"]
    words = " ".join(str(error).split())
    assert "does not let us write the secret" in words
    assert "--access read/write" in words
    assert doppler.contents == {}


def test_no_config_is_made(
    doppler: DopplerServer, key: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOPPLER_TOKEN", doppler.token("dp.sa"))
    there = f"doppler://{PROJECT}/nowhere?endpoint={doppler.url}"
    for call in (lambda: backend(there).require_writable(), lambda: save(there, key)):
        error = refused(call)
        assert codes(error) == ["ST340"]
        assert "doppler configs create" in str(error)
    assert set(doppler.configs) == {(PROJECT, CONFIG)}


def test_a_write_that_gets_no_answer_ends_with_its_deadline(key: Key) -> None:
    with black_hole() as nowhere:
        error = refused(lambda: save(f"doppler:?endpoint={nowhere}&timeout=0.5", key))
    assert codes(error) == ["ST332"]


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL here")
def test_killed_while_it_writes_the_config_is_whole(
    doppler: DopplerServer, text: str, key: Key
) -> None:
    """Doppler takes all changes of a request or none: the pair is the old one or the new one."""
    old = new_key()
    doppler.put(old.environment())
    program = (
        "import json, sys\nfrom pydantic import SecretStr\n"
        "from safetwilio.backends.locate import open_backend, parse\n"
        f"backend = open_backend(parse('{text}&timeout=15', place='here')[0])\n"
        "new = {name: SecretStr(value) for name, value in json.load(sys.stdin).items()}\n"
        "backend.save(new, account=None)\n"
    )
    writer = subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        env=clean_environment(),
        text=True,
    )
    doppler.before_write = lambda: os.kill(writer.pid, signal.SIGKILL)
    writer.communicate(json.dumps({k: v.get_secret_value() for k, v in fields(key).items()}), 60)
    assert writer.returncode == -signal.SIGKILL
    assert key_in(load(text)) in {old, key}


def init(server: EmulatorServer, cwd: Path, text: str, *more: str) -> tuple[int, str]:
    """Run ``safetwilio init`` as a person without a terminal would."""
    account = server.emulator.account
    done = subprocess.run(
        [
            *(sys.executable, "-m", "safetwilio.cli.main", "init", "--token-stdin"),
            *("--account-sid", account.sid, "--backend", text, *more),
        ],
        cwd=cwd,
        env=clean_environment(SAFETWILIO_EMULATOR=server.url, COLUMNS="200"),
        input=account.auth_token,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert leaks(done.stdout + done.stderr, [account.auth_token, account.sid]) == []
    return done.returncode, done.stderr


def test_init_writes_there_and_the_program_starts_with_it(
    doppler: DopplerServer, text: str, tmp_path: Path
) -> None:
    with EmulatorServer() as server:
        status, words = init(server, tmp_path, text)
        assert status == 0, words
        made = key_in(load(text))
        assert leaks(words, [made.secret, made.sid, os.environ["DOPPLER_TOKEN"]]) == []
        program = (
            "from safetwilio import client\n"
            "client.messages.create(to='+15005550006', from_='+15005550009', body='hello')"
        )
        surroundings = {"SAFETWILIO_BACKEND": text, "SAFETWILIO_EMULATOR": server.url}
        done = run_python("-c", program, cwd=tmp_path, environment=surroundings)
        assert done.returncode == 0, done.stderr
        assert [message.body for message in server.emulator.messages] == ["hello"]
        status, words = init(server, tmp_path, text)
        assert "holds an API key already; nothing was changed" in words
        status, words = init(server, tmp_path, text, "--replace")
        assert status == 0, words
        assert key_in(load(text)).sid != made.sid
    assert set(doppler.contents) == set(made.environment())


def test_init_that_may_not_write_leaves_no_key_behind(
    doppler: DopplerServer, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOPPLER_TOKEN", doppler.token(writes=False))
    with EmulatorServer() as server:
        before = sum(1 for _ in server.emulator.account.keys.newest_first())
        status, words = init(server, tmp_path, text)
        after = sum(1 for _ in server.emulator.account.keys.newest_first())
    assert status == 1
    assert "[ST330] Doppler does not let us write the secret." in words
    assert after == before
