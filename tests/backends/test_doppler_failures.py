"""What ``doppler:`` says when Doppler refuses, does not answer, or is somebody else."""

from __future__ import annotations

import json
import logging
import os
import socketserver
import ssl
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
import trustme
from aws_server import black_hole, full_backlog, key_in, refused_port
from doppler_server import CONFIG, DOWNLOAD, HTML, PROJECT, DopplerServer, clean, load
from hypothesis import given, settings
from hypothesis import strategies as st

import safetwilio
from support import (
    Key,
    assert_silent,
    auth_token,
    codes,
    new_key,
    refused,
    write,
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


def one_line(error: Exception) -> str:
    return " ".join(str(error).split())


WITHIN = 2  # seconds, with a deadline of 0.5: other tests keep the machine busy
REFUSALS = [
    (401, "ST331", "the token is not valid: revoked, expired, or not copied whole"),
    (403, "ST330", "tokens create safetwilio --plain --access read. A list of trusted IPs"),
    (400, "ST302", "Doppler does not take this project and config. Write doppler://PROJECT/CONFIG"),
    (422, "ST302", "Write doppler://PROJECT/CONFIG"),
    (418, "ST332", "it answered with HTTP 418"),
]


@pytest.mark.parametrize(("status", "code", "words"), REFUSALS)
def test_each_refusal_is_told_apart_and_quotes_nothing(
    doppler: DopplerServer, text: str, status: int, code: str, words: str
) -> None:
    key, token = new_key(), doppler.token()
    doppler.say(status, {"messages": [f"{key.secret} {token}"], "success": False})
    error = refused(lambda: load(text))
    assert codes(error) == [code]
    assert words in one_line(error)
    assert_silent(error.with_traceback(None), [*key, token, os.environ["DOPPLER_TOKEN"]])


def test_what_the_server_itself_refuses(
    doppler: DopplerServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOPPLER_TOKEN", doppler.token("dp.sa", projects=("other",)))
    there = f"doppler://{PROJECT}/{CONFIG}?endpoint={doppler.url}"
    error = refused(lambda: load(there))
    assert codes(error) == ["ST330"]
    assert "asked as the service account token in DOPPLER_TOKEN" in one_line(error)
    monkeypatch.setenv("DOPPLER_TOKEN", "dp.said." + auth_token())
    error = refused(lambda: load(there))
    assert codes(error) == ["ST331"]
    assert "asked as the service account identity token in DOPPLER_TOKEN" in one_line(error)
    monkeypatch.setenv("DOPPLER_TOKEN", doppler.token("dp.ct"))
    assert codes(refused(lambda: load(f"doppler:?endpoint={doppler.url}"))) == ["ST302"]


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("", "DOPPLER_TOKEN and env DOPPLER_TOKEN_FILE are not set"),
        (" \n", "are not set"),
        ("dp.st.prd.two words", "19 characters that are no token"),
        ("dp.st.prd.a\r\nX-Header: b", "characters that are no token"),
        ("dp.st.prd.übermut", "characters that are no token"),
        ("short", "5 characters that are no token"),
    ],
)
def test_no_token_is_said_before_anything_is_sent(
    doppler: DopplerServer, text: str, monkeypatch: pytest.MonkeyPatch, value: str, words: str
) -> None:
    monkeypatch.setenv("DOPPLER_TOKEN", value)
    error = refused(lambda: load(text))
    assert codes(error) == ["ST331"]
    assert words in one_line(error)
    assert not value.strip() or value not in str(error)
    assert doppler.asked == []


def test_busy_is_asked_again_after_the_pause_that_doppler_wants(
    doppler: DopplerServer, text: str, key: Key
) -> None:
    doppler.put(key.environment())
    doppler.say(429, Retry_After="1")
    began = time.monotonic()
    assert key_in(load(text)) == key
    assert time.monotonic() - began >= 1
    doppler.say(503)
    doppler.say(500, HTML)
    assert key_in(load(text)) == key


@pytest.mark.parametrize("pause", ["60", "9999999999", "soon", "-1", "1e9"])
def test_busy_for_too_long_fails_at_the_deadline(
    doppler: DopplerServer, text: str, pause: str
) -> None:
    doppler.say(429, times=50, Retry_After=pause)
    began = time.monotonic()
    error = refused(lambda: load(f"{text}&timeout=0.5"))
    assert time.monotonic() - began < WITHIN
    assert codes(error) == ["ST332"]
    assert "too many requests (429)" in one_line(error)


def test_an_answer_that_is_not_dopplers(doppler: DopplerServer, text: str, key: Key) -> None:
    for status in (200, 401, 403, 404):
        doppler.say(status, HTML)
        error = refused(lambda: load(text))
        assert codes(error) == ["ST332"]
        assert f"what answered (HTTP {status}) is not Doppler's API" in one_line(error)
    doppler.say(503, HTML, times=50)
    error = refused(lambda: load(f"{text}&timeout=0.5"))
    assert (codes(error), "HTTP 503" in str(error)) == (["ST332"], True)
    doppler.say_no_more()
    # More than once: one may go to a request of before that was under way at its deadline.
    doppler.say(302, "", times=9, Location=f"http://{key.secret}@elsewhere.invalid/{key.secret}")
    error = refused(lambda: load(text))
    assert codes(error) == ["ST332"]
    assert "it redirects to http://elsewhere.invalid, and a token is not" in one_line(error)
    assert_silent(error.with_traceback(None), key)
    assert all(each.path == DOWNLOAD for each in doppler.asked)


def test_json_that_is_cut_off_or_no_record(doppler: DopplerServer, text: str, key: Key) -> None:
    whole = json.dumps(key.environment())
    for body in (whole[:-9], "[]", "null", '"text"', "[" * 100_000, b"\xff{}", ""):
        doppler.say(200, body)
        error = refused(lambda: load(text))
        assert codes(error) == ["ST333"], body[:20]
        assert_silent(error.with_traceback(None), key)
    doppler.say(200, {**key.environment(), "TWILIO_API_SECRET": {"a": key.secret}})
    error = refused(lambda: load(text))
    assert codes(error) == ["ST333"]
    assert "TWILIO_API_SECRET is a dict, not a text" in str(error)
    assert_silent(error.with_traceback(None), key)
    doppler.say(200, whole, Content_Length=str(len(whole) + 10))
    error = refused(lambda: load(text))
    assert codes(error) == ["ST332"]
    assert "its answer was cut off" in str(error)


def test_a_part_of_the_answer_is_never_a_record(doppler: DopplerServer, text: str) -> None:
    @given(st.data())
    @settings(max_examples=60, deadline=None)
    def cut_anywhere(data: st.DataObject) -> None:
        key = new_key()
        whole = json.dumps(key.environment())
        doppler.say(200, whole[: data.draw(st.integers(0, len(whole) - 1))])
        error = refused(lambda: load(text))
        assert codes(error) == ["ST333"]
        assert_silent(error.with_traceback(None), key)

    cut_anywhere()


def test_an_answer_without_end_is_left(doppler: DopplerServer, text: str) -> None:
    doppler.say(200, b" " * (3 << 20))
    error = refused(lambda: load(text))
    assert codes(error) == ["ST332"]
    assert "longer than 2 MiB" in str(error)


@pytest.mark.parametrize("place", [black_hole, full_backlog])
def test_nothing_that_answers_fails_at_the_deadline(place: type) -> None:
    with place() as nowhere:
        began = time.monotonic()
        error = refused(lambda: load(f"doppler:?endpoint={nowhere}&timeout=0.5"))
    assert time.monotonic() - began < WITHIN
    assert codes(error) == ["ST332"]
    assert f"{nowhere}: no" in str(error)


def test_a_refused_port_and_no_such_host() -> None:
    nowhere = refused_port()
    error = refused(lambda: load(f"doppler:?endpoint={nowhere}"))
    assert (codes(error), f"{nowhere}: connection refused" in str(error)) == (["ST332"], True)
    error = refused(lambda: load("doppler:?endpoint=https://doppler.invalid"))
    assert (codes(error), "no such host" in str(error)) == (["ST332"], True)


class _Drip(socketserver.BaseRequestHandler):
    """Sends a byte, and another, and has no end."""

    def handle(self) -> None:
        self.request.recv(65536)
        self.request.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
        pause = threading.Event()
        with suppress(OSError):
            while not pause.wait(0.01):
                self.request.sendall(b" ")


def test_a_slow_drip_ends_with_the_deadline_and_so_does_its_thread() -> None:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Drip) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,)).start()
        address = f"http://127.0.0.1:{server.server_address[1]}"
        began = time.monotonic()
        error = refused(lambda: load(f"doppler:?endpoint={address}&timeout=0.5"))
        assert time.monotonic() - began < WITHIN
        assert codes(error) == ["ST332"]
        for thread in threading.enumerate():
            if thread.name == "safetwilio-backend":
                thread.join(5)
                assert not thread.is_alive()
        server.shutdown()


def test_a_certificate_is_checked(
    key: Key, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    path = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(str(path))
    with DopplerServer(context) as doppler:
        doppler.put(key.environment())
        monkeypatch.setenv("DOPPLER_TOKEN", doppler.token())
        text = f"doppler:?endpoint={doppler.url}"
        monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
        monkeypatch.delenv("CURL_CA_BUNDLE", raising=False)
        error = refused(lambda: load(text))
        assert codes(error) == ["ST332"]
        assert "its TLS certificate was not accepted" in one_line(error)
        assert doppler.asked == []
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(path))
        assert key_in(load(text)) == key
        monkeypatch.setenv("HTTPS_PROXY", refused_port())
        error = refused(lambda: load(text))
        assert codes(error) == ["ST332"]
        assert "the proxy named in the environment" in one_line(error)


def test_neither_a_netrc_nor_a_proxy_comes_between(
    doppler: DopplerServer, text: str, key: Key, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    doppler.put(key.environment())
    path = write(tmp_path / "netrc", f"machine 127.0.0.1 login a password {auth_token()}\n")
    monkeypatch.setenv("NETRC", str(path))
    monkeypatch.setenv("HTTP_PROXY", refused_port())
    assert key_in(load(text)) == key
    assert doppler.asked[0].headers["authorization"] == f"Bearer {os.environ['DOPPLER_TOKEN']}"


def test_nothing_is_logged_while_it_is_fetched(
    doppler: DopplerServer, text: str, key: Key, caplog: pytest.LogCaptureFixture
) -> None:
    doppler.put(key.environment())
    with caplog.at_level(logging.DEBUG):
        load(text)
    assert [each for each in caplog.records if each.name.startswith(("urllib3", "requests"))] == []


def test_half_a_pair_is_said_by_the_boot(
    doppler: DopplerServer, text: str, key: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    doppler.put({"TWILIO_ACCOUNT_SID": key.account, "TWILIO_API_KEY": key.sid})
    monkeypatch.setenv("SAFETWILIO_BACKEND", text)
    error = refused(safetwilio.boot)
    assert codes(error) == ["ST203"] or "TWILIO_API_SECRET" in str(error)
    assert_silent(error.with_traceback(None), key)
