"""Writing to a real OpenBao: what stands there stays, and nobody's change is lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from functools import partial
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr
from vault_server import PATH, REFERENCE, Bao, as_document, clean, until

from safetwilio.backends.interface import Found
from safetwilio.backends.locate import parse
from safetwilio.backends.vault import VaultBackend
from support import Key, assert_silent, caught, clean_environment, codes, new_key, refused

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

OLD = "vault://old/app/twilio"
both = pytest.mark.parametrize("reference", [REFERENCE, OLD], ids=["kv2", "kv1"])


@pytest.fixture(scope="module")
def bao(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bao]:
    with Bao(tmp_path_factory.mktemp("bao")) as server:
        server.call("POST", "sys/mounts/old", {"type": "kv"})
        yield server


@pytest.fixture(autouse=True)
def _surroundings(bao: Bao, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    clean(monkeypatch, tmp_path)
    monkeypatch.setenv("VAULT_ADDR", bao.url)
    monkeypatch.setenv("VAULT_TOKEN", bao.root)
    yield
    bao.exchange("DELETE", "secret/metadata/app/twilio")
    bao.exchange("DELETE", "old/app/twilio")


def backend(text: str = REFERENCE) -> VaultBackend:
    (reference,) = parse(text, place="the test")
    return VaultBackend(reference)


def fields(key: Key) -> dict[str, SecretStr]:
    return {
        "account_sid": SecretStr(key.account),
        "key_sid": SecretStr(key.sid),
        "secret": SecretStr(key.secret),
    }


def loaded(text: str, account: str | None = None) -> tuple[tuple[str, ...], str | None]:
    answer = backend(text).load(account)
    assert isinstance(answer, Found), answer
    record = answer.record
    names = ("account_sid", "key_sid", "secret")
    return tuple(record.fields[name].reveal() for name in names), record.version


def raw(bao: Bao, reference: str) -> dict[str, object]:
    return bao.read() if reference == REFERENCE else bao.call("GET", "old/app/twilio")["data"]


@both
def test_the_first_key_makes_the_secret(bao: Bao, key: Key, reference: str) -> None:
    backend(reference).require_writable()
    assert bao.status("GET", PATH) == 404  # nothing was made by asking
    said = backend(reference).save(fields(key), account=None, replaces="")
    assert said.startswith(reference)
    assert loaded(reference)[0] == key
    assert raw(bao, reference) == as_document(key)


def test_it_says_which_version_it_made(key: Key) -> None:
    assert backend().save(fields(key), account=None) == f"{REFERENCE} ({PATH}, version 1)"


@both
def test_what_is_not_ours_stays(bao: Bao, key: Key, reference: str) -> None:
    foreign = {"password": "x", "nested": {"a": [1, None, "é"]}, "TWILIO_API_KEY": "SKold"}
    backend(reference).save(fields(new_key()), account=None)
    document = {"data": foreign} if reference == REFERENCE else foreign
    bao.call("POST", PATH if reference == REFERENCE else "old/app/twilio", document)
    backend(reference).save(fields(key), account=None)
    found = raw(bao, reference)
    assert (found["password"], found["nested"]) == ("x", {"a": [1, None, "é"]})
    assert found["TWILIO_API_KEY"] == key.sid
    assert loaded(reference)[0] == key


def test_two_accounts_in_one_secret(key: Key) -> None:
    other = new_key()
    backend().save(fields(key), account="billing")
    backend().save(fields(other), account="support")
    assert (loaded(REFERENCE, "billing")[0], loaded(REFERENCE, "support")[0]) == (key, other)


def test_into_a_field(bao: Bao, key: Key) -> None:
    bao.put({"twilio": {"note": "x"}, "other": "y"})
    backend(f"{REFERENCE}#twilio").save(fields(key), account=None)
    assert bao.read() == {"twilio": {"note": "x", **as_document(key)}, "other": "y"}


@both
def test_a_version_that_is_still_there_is_replaced(key: Key, reference: str) -> None:
    backend(reference).save(fields(new_key()), account=None)
    version = loaded(reference)[1]
    backend(reference).save(fields(key), account=None, replaces=version)
    assert loaded(reference)[0] == key


@both
@pytest.mark.parametrize("replaces", ["", "999"])
def test_another_version_is_left_alone(key: Key, reference: str, replaces: str) -> None:
    backend(reference).save(fields(key), account=None)
    before = loaded(reference)
    intruder = new_key()
    # No lambda: its frame would hold the keys.
    save = partial(backend(reference).save, fields(intruder), account=None, replaces=replaces)
    error = refused(save)
    assert codes(error) == ["ST338"]
    assert f"found {before[1]}" in str(error)
    assert_silent(error, [key.secret, intruder.secret])
    assert loaded(reference) == before


def test_a_deleted_secret_is_not_written_over_without_a_word(bao: Bao, key: Key) -> None:
    backend().save(fields(key), account=None)
    bao.call("DELETE", PATH)
    assert codes(refused(lambda: backend().save(fields(key), account=None))) == ["ST335"]
    assert codes(refused(backend().require_writable)) == ["ST335"]


def test_of_many_writers_at_once_one_wins(bao: Bao) -> None:
    """Compare-and-set is the server's own: eight threads see version 1, one writes version 2."""
    bao.put(as_document(new_key()))
    start = threading.Barrier(8)
    errors: list[BaseException | None] = []
    keys = [new_key() for _ in range(8)]

    def write(key: Key) -> None:
        start.wait()
        errors.append(caught(lambda: backend().save(fields(key), account=None, replaces="1")))

    threads = [threading.Thread(target=write, args=(key,)) for key in keys]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lost = [error for error in errors if error is not None]
    assert len(lost) == 7
    assert {getattr(error, "code", "") for error in lost} == {"ST338"}
    assert loaded(REFERENCE)[1] == "2"
    assert loaded(REFERENCE)[0] in keys


def test_a_foreign_field_written_meanwhile_is_not_lost(bao: Bao, key: Key) -> None:
    """Without replaces= too the document is merged into what is there when it is written."""
    bao.put({"counter": 0})
    done = threading.Event()
    last: list[int] = []

    def count() -> None:
        number = 0
        while not done.is_set():
            version = bao.call("GET", PATH)["data"]
            now = {**version["data"], "counter": number + 1}
            cas = {"options": {"cas": version["metadata"]["version"]}, "data": now}
            if bao.status("POST", PATH, data=cas) == 200:
                number += 1
            last[:] = [number]
            done.wait(0.01)

    counter = threading.Thread(target=count)
    counter.start()
    try:
        saves = 0
        while saves < 20 or not last or not last[0]:  # a busy machine lets one of them wait
            backend().save(fields(key), account=None)
            saves += 1
    finally:
        done.set()
        counter.join()
    assert bao.read()["counter"] == last[0] > 0
    assert loaded(REFERENCE)[0] == key


def test_a_mount_that_requires_compare_and_set(bao: Bao, key: Key) -> None:
    bao.call("POST", "secret/config", {"cas_required": True})
    try:
        backend().save(fields(new_key()), account=None)
        backend().save(fields(key), account=None)
    finally:
        bao.call("POST", "secret/config", {"cas_required": False})
    assert loaded(REFERENCE) == (key, "2")


def test_who_may_only_read_is_told_before_a_key_is_made(
    bao: Bao, key: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    bao.policy("reader")
    monkeypatch.setenv("VAULT_TOKEN", bao.token("reader"))
    early = refused(backend().require_writable)
    late = refused(partial(backend().save, fields(key), account=None))
    for error in (early, late):
        assert codes(error) == ["ST330"]
        assert "does not let us write the secret" in str(error)
        assert f'path "{PATH}" {{ capabilities = ["create", "read", "update"] }}' in str(error)
        assert_silent(error, [key.secret])
    assert bao.status("GET", PATH) == 404


def test_the_policy_that_the_report_names_is_enough(
    bao: Bao, key: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    bao.policy("writer", f'path "{PATH}" {{ capabilities = ["create", "read", "update"] }}')
    monkeypatch.setenv("VAULT_TOKEN", bao.token("writer"))
    for _ in range(2):
        backend().require_writable()
        backend().save(fields(key), account=None)
    assert loaded(REFERENCE) == (key, "2")


def test_a_reference_to_one_version_is_not_written(key: Key) -> None:
    for call in (
        backend(f"{REFERENCE}?version=1").require_writable,
        lambda: backend(f"{REFERENCE}?version=1").save(fields(key), account=None),
    ):
        assert codes(refused(call)) == ["ST340"]


def test_what_is_too_large_for_the_server_is_not_written(bao: Bao, key: Key) -> None:
    bao.put({"api_key": "x"})
    bao.call("POST", "secret/config", {"max_versions": 3})
    big = {name: SecretStr("x" * (33 << 20)) for name in fields(key)}
    error = refused(lambda: backend(f"{REFERENCE}?timeout=15").save(big, account=None))
    assert codes(error)[0] in {"ST332", "ST340"}
    assert bao.read() == {"api_key": "x"}


PROGRAM = """
import sys
from pydantic import SecretStr
from safetwilio.backends.locate import parse
from safetwilio.backends.vault import VaultBackend
[reference] = parse(sys.argv[1], place="the test")
number = 0
while True:
    number += 1
    fields = {"key_sid": SecretStr(f"SK{number:032x}"), "secret": SecretStr(f"{number:032x}")}
    VaultBackend(reference).save(fields, account=None)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no kill -9 here")
def test_a_writer_killed_at_any_moment_leaves_a_whole_pair(bao: Bao) -> None:
    for _ in range(3):
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, REFERENCE],
            env=clean_environment(VAULT_ADDR=bao.url, VAULT_TOKEN=bao.root),
        )
        written = bao.exchange("GET", PATH)[1].get("data", {}).get("metadata", {}).get("version", 0)
        until(
            lambda: bao.exchange("GET", PATH)[1].get("data", {}).get("metadata", {})
            .get("version", 0) > written + 5  # noqa: B023 - called before the next round
        )  # fmt: skip
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        found = bao.read()
        assert found["api_key"][2:] == found["api_secret"]
