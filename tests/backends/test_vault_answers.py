"""``vault:`` and what answers badly, late or never; and references that cannot be meant."""

from __future__ import annotations

import secrets
import threading
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vault_server import (
    REFERENCE,
    Loopback,
    as_document,
    black_hole,
    clean,
)

from safetwilio.backends.interface import Absent, Found
from safetwilio.backends.locate import open_backend, parse
from safetwilio.backends.vault import VaultBackend
from safetwilio.errors import BackendError, BackendUnavailable
from support import Key, assert_silent, codes, refused

if TYPE_CHECKING:
    from pathlib import Path

    from safetwilio.backends.interface import Record


@pytest.fixture(autouse=True)
def _surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    clean(monkeypatch, tmp_path)
    monkeypatch.setenv("VAULT_ADDR", "http://127.0.0.1:9")
    monkeypatch.setenv("VAULT_TOKEN", secrets.token_hex(16))


def backend(text: str = REFERENCE) -> VaultBackend:
    (reference,) = parse(text, place="the test")
    opened = open_backend(reference)
    assert isinstance(opened, VaultBackend)
    return opened


def load(text: str = REFERENCE, account: str | None = None) -> Record:
    answer = backend(text).load(account)
    assert isinstance(answer, Found), answer
    return answer.record


def revealed(record: Record) -> tuple[str, str, str]:
    fields = record.fields
    return (
        fields["account_sid"].reveal(),
        fields["key_sid"].reveal(),
        fields["secret"].reveal(),
    )


def failed(text: str, *values: str) -> BackendError:
    error = refused(lambda: backend(text).load(None))
    assert isinstance(error, BackendError)
    assert_silent(error, values)
    return error


def test_a_refused_port_fails_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with Loopback(lambda *_: (200, {})) as gone:
        monkeypatch.setenv("VAULT_ADDR", gone.url)
    began = time.monotonic()
    error = failed(REFERENCE)
    assert time.monotonic() - began < 1.5
    assert codes(error) == ["ST332"]
    assert isinstance(error, BackendUnavailable)
    assert f"{gone.url}: connection refused" in str(error)


def test_a_black_hole_is_given_up_at_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    with black_hole() as port:
        monkeypatch.setenv("VAULT_ADDR", f"http://127.0.0.1:{port}")
        load_and_time(1.0, "no answer in time")
        monkeypatch.setenv("VAULT_ADDR", f"https://127.0.0.1:{port}")
        load_and_time(1.0, "no answer in time")


def load_and_time(seconds: float, why: str) -> None:
    began = time.monotonic()
    error = failed(f"{REFERENCE}?timeout={seconds}")
    assert time.monotonic() - began < seconds + 0.5
    assert codes(error) == ["ST332"]
    assert why in str(error)


def test_a_host_that_has_no_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAULT_ADDR", "https://vault.invalid:8200")
    load_and_time(2.0, "https://vault.invalid:8200: no ")  # no such host; or no answer in time


def test_an_answer_that_drips_is_given_up_at_the_deadline(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The header promises more than ever comes; neither this thread nor the other one hangs."""
    reply = (200, {"__headers__": {"Content-Length": "1000"}})
    with Loopback(lambda *_: (reply[0], {**reply[1]})) as server:
        monkeypatch.setenv("VAULT_ADDR", server.url)
        load_and_time(1.0, "no answer in time")
    for thread in threading.enumerate():
        if thread.name == "safetwilio-backend":
            thread.join(5)
            assert not thread.is_alive()


@pytest.mark.parametrize(
    ("status", "answer", "why"),
    [
        (200, b"<html>sign in</html>", "no Vault"),
        (404, b"<html>not here</html>", "no Vault"),
        (200, b"[" * 100_000, "no Vault"),
        (200, b"[1]", "no Vault"),
        (200, b"x" * (3 << 20), "longer than 2 MiB"),
        (307, {"__headers__": {"Location": "http://user:pass@198.51.100.7/v1/x"}},
         "redirects to http://198.51.100.7"),
        (418, {"errors": []}, "it answered 418"),
    ],
)  # fmt: skip
def test_a_hostile_answer(
    monkeypatch: pytest.MonkeyPatch, status: int, answer: object, why: str
) -> None:
    def reply(*_: object) -> tuple[int, object]:
        return status, dict(answer) if isinstance(answer, dict) else answer

    with Loopback(reply) as server:
        monkeypatch.setenv("VAULT_ADDR", server.url)
        error = failed(REFERENCE)
        paths = [path for _, path, _, _ in server.asked]
    assert codes(error) == ["ST332"]
    assert why in str(error)
    assert all(path.startswith("/v1/s") for path in paths)


def test_busy_is_asked_again(monkeypatch: pytest.MonkeyPatch, key: Key) -> None:
    left = [429, 502, 503]

    def reply(*_: object) -> tuple[int, object]:
        if left:
            return left.pop(), {"errors": ["later"]}
        return 200, {"data": {"data": as_document(key), "metadata": {"version": 1}}}

    with Loopback(reply) as server:
        monkeypatch.setenv("VAULT_ADDR", server.url)
        assert revealed(load(f"{REFERENCE}?kv=2")) == key
    assert left == []


@pytest.mark.parametrize(
    ("health", "code", "why"),
    [
        ({"initialized": True, "sealed": False, "standby": True}, "ST332", "a standby"),
        ({"initialized": False, "sealed": True, "standby": True}, "ST335", "never initialised"),
        ({"initialized": True, "sealed": True, "standby": True}, "ST335", "it is sealed"),
        (
            {"initialized": True, "sealed": False, "standby": False},
            "ST332",
            "mounts/secret/app/twilio answered with 500",
        ),
    ],
)
def test_down_standby_and_sealed_are_told_apart(
    monkeypatch: pytest.MonkeyPatch, health: dict[str, bool], code: str, why: str
) -> None:
    def reply(_: str, path: str, *__: object) -> tuple[int, object]:
        return (503, dict(health)) if path == "/v1/sys/health" else (500, {"errors": ["no"]})

    with Loopback(reply) as server:
        monkeypatch.setenv("VAULT_ADDR", server.url)
        error = failed(f"{REFERENCE}?timeout=1")
    assert codes(error) == [code]
    assert why in str(error)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "data",
                    "metadata",
                    "version",
                    "path",
                    "type",
                    "options",
                    "errors",
                    "api_key",
                    "auth",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


def test_no_answer_whatever_breaks_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any JSON, at any status, is a record, absent, or an error of ours."""
    now: list[tuple[int, object]] = []
    with Loopback(lambda *_: now[0]) as server:
        monkeypatch.setenv("VAULT_ADDR", server.url)

        @given(st.sampled_from([200, 400, 403, 404]), JSON, st.sampled_from(["", "?kv=2", "?kv=1"]))
        def holds(status: int, answer: object, options: str) -> None:
            now[:] = [(status, answer)]
            try:
                found = backend(REFERENCE + options).load(None)
            except BackendError as error:
                assert error.__context__ is None  # noqa: PT017 - which one it is does not matter
            else:
                assert isinstance(found, (Found, Absent))

        holds()


@pytest.mark.parametrize(
    "text",
    [
        "vault:", "vault://", "vault://secret", "vault://secret/", "vault:///app", "vault://a//b",
        "vault://secret/../sys/mounts", "vault://secret/a/./b", "vault://secret/%0aapp",
        f"{REFERENCE}?version=0", f"{REFERENCE}?version=latest", f"{REFERENCE}?version=-1",
        f"{REFERENCE}?version=1e3", f"{REFERENCE}?version=", f"{REFERENCE}?kv=3",
        f"{REFERENCE}?auth=ldap", f"{REFERENCE}?auth=kubernetes", f"{REFERENCE}?role=app",
        f"{REFERENCE}?token=x", f"{REFERENCE}?timeout=1h", f"{REFERENCE}?mount=other",
        f"{REFERENCE}?auth=approle&auth_path=../x", f"{REFERENCE}?auth=approle&wrapped=no",
        f"{REFERENCE}?auth=aws&role=a&region=x", f"{REFERENCE}?auth=approle&role=",
        f"{REFERENCE}?file=",
    ],
)  # fmt: skip
def test_references_that_cannot_be_meant(text: str) -> None:
    error = refused(lambda: backend(text).load(None))
    assert codes(error) == ["ST302"]


@given(st.text(max_size=40))
def test_no_path_whatever_leaves_its_mount(text: str) -> None:
    """Whatever the path: it is refused, or none of its steps leads elsewhere."""
    try:
        (reference,) = parse(f"vault://secret/{text}", place="the test")
        opened = VaultBackend(reference)
    except (BackendError, ValueError):
        return
    assert len(opened._segments) >= 2
    assert not {"", ".", ".."} & set(opened._segments)
