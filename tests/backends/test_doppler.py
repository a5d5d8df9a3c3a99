"""``doppler:`` against Doppler's API on loopback: what is found, and how it is asked for."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from aws_server import key_in
from doppler_server import CONFIG, PROJECT, DopplerServer, backend, clean, load
from hypothesis import given, settings
from hypothesis import strategies as st

import safetwilio
from safetwilio.backends.interface import Absent, WritableBackend
from safetwilio.errors import BackendError
from safetwilio.testing import EmulatorServer
from support import (
    Key,
    caught,
    codes,
    leaks,
    new_key,
    refused,
    run_python,
    write,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LOADS = 300
READERS = 4


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


def one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def test_the_record_is_read_with_its_version(doppler: DopplerServer, text: str, key: Key) -> None:
    doppler.put({**key.environment(), "TWILIO_REGION": "ie1", "DATABASE_URL": "postgres://"})
    record = load(text)
    assert key_in(record) == key
    assert record.source == "doppler"
    assert set(record.fields) == {"account_sid", "key_sid", "secret", "region"}
    etag = doppler.answer(doppler.asked[-1])[2]["ETag"]
    assert f'W/"{record.version}"' == etag


def test_only_our_names_are_asked_for_and_no_lease_is_issued(
    doppler: DopplerServer, text: str, key: Key
) -> None:
    doppler.put(key.environment("marketing"))
    load(text, account="marketing")
    asked = doppler.asked[0].parameters
    names = asked.pop("secrets").split(",")
    assert asked == {
        "project": "", "config": "", "format": "json", "include_dynamic_secrets": "false",
    }  # fmt: skip
    assert all(name.startswith("TWILIO_MARKETING_") for name in names)
    assert not any(name.endswith("_FILE") for name in names)
    assert {"TWILIO_MARKETING_API_KEY", "TWILIO_MARKETING_API_SECRET"} < set(names)


def test_project_and_config_of_the_reference(
    doppler: DopplerServer, key: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    doppler.put(key.environment())
    monkeypatch.setenv("DOPPLER_TOKEN", doppler.token("dp.sa"))
    record = load(f"doppler://{PROJECT}/{CONFIG}?endpoint={doppler.url}/")
    assert key_in(record) == key
    assert record.source == f"doppler://{PROJECT}/{CONFIG}"
    assert doppler.asked[0].parameters["project"] == PROJECT


def test_the_token_may_be_in_a_file(
    doppler: DopplerServer, text: str, key: Key, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    doppler.put(key.environment())
    path = write(tmp_path / "token", os.environ["DOPPLER_TOKEN"] + "\n")
    monkeypatch.delenv("DOPPLER_TOKEN")
    monkeypatch.setenv("DOPPLER_TOKEN_FILE", str(path))
    assert key_in(load(text)) == key
    doppler.say(401)
    assert "asked as the service token in the file of DOPPLER_TOKEN_FILE" in one_line(
        refused(lambda: load(text))
    )
    path.unlink()
    assert codes(refused(lambda: load(text))) == ["ST305"]


def test_nothing_of_ours_is_absent_and_so_is_a_config_that_is_not_there(
    doppler: DopplerServer, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    doppler.put({"DATABASE_URL": "postgres://", "TWILIO_API_KEY_FILE": "/run/secrets/x"})
    answer = backend(text).load(None)
    assert isinstance(answer, Absent)
    assert {each.outcome for each in answer.attempts} == {"not in the config"}
    monkeypatch.setenv("DOPPLER_TOKEN", doppler.token("dp.pt"))
    answer = backend(f"doppler://{PROJECT}/nowhere?endpoint={doppler.url}").load(None)
    assert isinstance(answer, Absent)
    assert [each.outcome for each in answer.attempts] == [
        "no such project or config, or none that this token may know of"
    ]


def test_one_read_per_boot_and_a_message_through_the_emulator(
    doppler: DopplerServer, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with EmulatorServer() as server:
        known = server.emulator
        key = Key(known.account.sid, known.standard_key.sid, known.standard_key.secret)
        doppler.put(key.environment())
        monkeypatch.setenv("SAFETWILIO_EMULATOR", server.url)
        monkeypatch.setenv("SAFETWILIO_BACKEND", text)
        health = safetwilio.boot()
        client = safetwilio.get_client()
        client.messages.create(to="+15005550006", from_="+15005550009", body="from Doppler")
        assert [message.body for message in known.messages] == ["from Doppler"]
    assert doppler.calls == ["GET /download"]
    assert health.accounts[0].source == "doppler"


def test_to_ask_again_costs_one_304(doppler: DopplerServer, text: str, key: Key) -> None:
    doppler.put(key.environment())
    first = load(text)
    again = load(text)
    assert (key_in(again), again.version) == (key, first.version)
    assert "if-none-match" not in doppler.asked[0].headers
    assert doppler.answer(doppler.asked[1])[0] == 304
    other = new_key()
    doppler.put(other.environment())
    assert key_in(load(text)) == other
    assert load(text).version != first.version


def test_what_is_kept_is_kept_for_its_token_alone(
    doppler: DopplerServer, text: str, key: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    doppler.put(key.environment())
    load(text)
    other = doppler.token()
    monkeypatch.setenv("DOPPLER_TOKEN", other)
    load(text)
    assert "if-none-match" not in doppler.asked[-1].headers


def test_nothing_kept_shows_a_token_or_a_value(doppler: DopplerServer, text: str, key: Key) -> None:
    from safetwilio.backends.doppler import _kept

    doppler.put(key.environment())
    load(text)
    shown = repr(vars(_kept))
    assert _kept._answers
    assert leaks(shown, [*key, os.environ["DOPPLER_TOKEN"]]) == []


def test_what_is_kept_does_not_grow(text: str) -> None:
    from safetwilio.backends.doppler import _MOST_KEPT, _kept

    for number in range(_MOST_KEPT + 3):
        assert isinstance(backend(text).load(f"team{number}"), Absent)
    assert len(_kept._answers) == _MOST_KEPT


def test_a_304_that_nobody_asked_for_is_no_answer(doppler: DopplerServer, text: str) -> None:
    doppler.say(304, b"")
    assert codes(refused(lambda: load(text))) == ["ST332"]


def test_without_an_etag_the_content_is_the_version(
    doppler: DopplerServer, text: str, key: Key
) -> None:
    for each, etag in ((key, {}), (new_key(), {}), (key, {"ETag": 'not an "etag" \x7f'})):
        doppler.say(200, each.environment(), **etag)
        assert key_in(load(text)) == each
    versions = set()
    for each in (key, new_key(), key):
        doppler.say(200, each.environment())
        versions.add(load(text).version)
    assert len(versions) == 2
    assert all("if-none-match" not in each.headers for each in doppler.asked)


@pytest.mark.timeout(600)
def test_rotation_never_gives_a_mixed_pair(doppler: DopplerServer, text: str) -> None:
    """The config changes all the time while it is loaded a thousand times."""
    keys = [new_key() for _ in range(20)]
    doppler.put(keys[0].environment())
    ended = threading.Event()

    def rotate() -> None:
        turn = 0
        while not ended.wait(0.001):
            turn += 1
            doppler.put(keys[turn % len(keys)].environment())

    rotator = threading.Thread(target=rotate)
    rotator.start()
    try:
        with ThreadPoolExecutor(READERS) as pool:
            records = list(pool.map(lambda _: load(f"{text}&timeout=15"), range(LOADS)))
    finally:
        ended.set()
        rotator.join()
    by_version: dict[str | None, set[Key]] = {}
    for record in records:
        by_version.setdefault(record.version, set()).add(key_in(record))
    assert len(by_version) > 10, "it did rotate"
    assert all(len(found) == 1 and found <= set(keys) for found in by_version.values())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_each_child_of_a_fork_asks_for_itself(
    doppler: DopplerServer, text: str, key: Key, tmp_path: Path
) -> None:
    doppler.put(key.environment())
    program = f"""
import os, sys
from safetwilio.backends import doppler
from safetwilio.backends.locate import open_backend, parse
backend = open_backend(parse("{text}&timeout=15", place="here")[0])
def right():
    return backend.load(None).record.fields["key_sid"].reveal() == {key.sid!r}
assert right() and doppler._kept._answers
children = []
for _ in range(4):
    child = os.fork()
    if child == 0:
        os._exit(0 if not doppler._kept._answers and all(right() for _ in range(5)) else 1)
    children.append(child)
sys.exit(any(os.waitpid(child, 0)[1] for child in children) or not right())
"""
    done = run_python("-c", program, cwd=tmp_path, environment={})
    assert done.returncode == 0, done.stderr
    without = [each for each in doppler.asked if "if-none-match" not in each.headers]
    assert (len(doppler.asked), len(without)) == (22, 5)


def test_requests_is_not_imported_before_it_is_used(tmp_path: Path) -> None:
    program = (
        "import sys\nfrom safetwilio.backends.locate import open_backend, parse\n"
        "open_backend(parse('doppler:', place='here')[0])\n"
        "print([name for name in sys.modules if name.startswith(('requests', 'urllib3'))])"
    )
    done = run_python("-c", program, cwd=tmp_path, environment={})
    assert done.stdout.strip() == "[]", done.stderr


def test_it_can_be_written(text: str) -> None:
    assert isinstance(backend(text), WritableBackend)


@pytest.mark.parametrize(
    "reference",
    [
        "doppler://shop", "doppler://shop/prd/more", "doppler://shop/", "doppler:///prd",
        "doppler://shop/p rd", "doppler://shop/prd%26x=1", "doppler:?region=eu",
        "doppler:#field", "doppler:?timeout=soon", "doppler:?endpoint=https://host/%3Fx",
    ],
)  # fmt: skip
def test_a_reference_that_cannot_be_read(reference: str) -> None:
    assert codes(refused(lambda: load(reference))) == ["ST302"]


@given(st.text(max_size=40))
@settings(max_examples=200, deadline=None)
def test_any_location_is_taken_whole_or_refused(location: str) -> None:
    reference = f"doppler://{quote(location, safe='')}"
    error = caught(lambda: backend(reference))
    if error is None:
        opened = backend(reference)
        assert f"{opened._project}/{opened._config}".strip("/") == location
    else:
        assert isinstance(error, BackendError)
        assert codes(error) == ["ST302"]


@pytest.mark.parametrize(
    "endpoint",
    ["http://doppler.invalid", "http://localhost:1", "ftp://127.0.0.1", "", "https://a:b@c"],
)
def test_plain_http_goes_to_this_machine_only(endpoint: str) -> None:
    assert codes(refused(lambda: backend(f"doppler:?endpoint={endpoint}"))) == ["ST339"]
