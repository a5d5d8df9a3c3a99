"""Callbacks: what is sent, where, how it is signed, and how it ends."""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from receiving import Receiver, receiving
from twilio.request_validator import RequestValidator

from safetwilio.testing import Emulator, EmulatorServer, callbacks
from safetwilio.testing.callbacks import Callback, signature, why_not_sent

if TYPE_CHECKING:
    from collections.abc import Iterator

NAMES = st.text("abcXYZ_0", min_size=1, max_size=6)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


def callback(emulator: Emulator, url: str, method: str = "POST") -> Callback:
    parameters = {"AccountSid": emulator.account.sid, "Recurring": "", "Text": "a b&c=ü+"}
    about = "UT" + 32 * "0"
    return Callback(emulator.account.sid, about, method, url, parameters, emulator.now())


def send(emulator: Emulator, url: str, method: str = "POST", retries: int = 0) -> Callback:
    """Send a callback and return what became of it."""
    emulator.callbacks.send(emulator.account, callback(emulator, url, method), retries=retries)
    assert emulator.callbacks.wait()
    return emulator.callbacks[-1]


@given(st.dictionaries(NAMES, st.text(max_size=8), max_size=5), st.text("abc/?&=", max_size=9))
def test_the_signature_is_the_one_of_twilios_library(form: dict[str, str], path: str) -> None:
    """Whatever the parameters and the URL, once each name is there once."""
    url, secret = f"http://127.0.0.1:8000/{path}", "0" * 32
    assert RequestValidator(secret).compute_signature(url, form) == signature(secret, url, form)


def test_a_post_has_its_parameters_in_a_signed_form(emulator: Emulator, receiver: Receiver) -> None:
    sent = send(emulator, f"{receiver.url}/hook?tenant=1")
    [got] = receiver.received
    assert (got.method, got.url) == ("POST", f"{receiver.url}/hook?tenant=1")
    assert got.form == dict(sent.parameters)
    check = RequestValidator(emulator.account.auth_token)
    assert check.validate(got.url, got.form, got.signature)
    assert not check.validate(got.url, {**got.form, "Text": "other"}, got.signature)
    assert (sent.state, sent.status, sent.attempts, sent.reason) == ("answered", 204, 1, "")


@pytest.mark.parametrize("query", ["", "?tenant=1"])
def test_a_get_has_its_parameters_in_the_signed_query(
    emulator: Emulator, receiver: Receiver, query: str
) -> None:
    sent = send(emulator, f"{receiver.url}/hook{query}#part", "GET")
    [got] = receiver.received
    assert sent.parameters.items() <= got.parameters.items()
    assert ("tenant" in got.parameters) == bool(query)
    check = RequestValidator(emulator.account.auth_token)
    assert check.validate(got.url, {}, got.signature)


def test_the_token_of_the_moment_signs(emulator: Emulator, receiver: Receiver) -> None:
    """After a promotion the new primary token does, as the facts say of the real Twilio."""
    old = emulator.account.auth_token
    emulator.account.auth_token = "f" * 32
    send(emulator, receiver.url)
    [got] = receiver.received
    for token, valid in (("f" * 32, True), (old, False)):
        assert RequestValidator(token).validate(receiver.url, got.form, got.signature) is valid


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:1/",
        "http://127.1.2.3/a",
        "http://[::1]:8000/a?b",
        "http://localhost:8000",
        "http://LOCALHOST/",
    ],
)
def test_loopback_is_called(url: str) -> None:
    assert why_not_sent(url) == ""


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/",
        "http://192.0.2.1/",
        "http://[2001:db8::1]/",
        "http://0.0.0.0/",
        "http://2130706433/",
        "http://127.0.0.1.example.com/",
        "http://127.0.0.1@example.com/",
        "http://example.com#@127.0.0.1/",
        "http://localhost.example.com/",
        "http://[::1",
        "http://127.0.0.1:99999/",
        "https://127.0.0.1/",
        "ftp://127.0.0.1/",
        "http://user:word@127.0.0.1/",
        "",
    ],
)
def test_nothing_else_is_called(emulator: Emulator, url: str) -> None:
    """It is kept with the reason, and no thread is started."""
    before = threading.active_count()
    emulator.callbacks.send(emulator.account, callback(emulator, url), retries=3)
    [kept] = emulator.callbacks
    assert (kept.state, kept.attempts) == ("not sent", 0)
    assert kept.reason
    assert threading.active_count() == before


@given(st.text(max_size=30))
def test_any_text_is_called_only_if_it_is_loopback(text: str) -> None:
    for url in (text, f"http://{text}", f"http://{quote(text)}/"):
        assert why_not_sent(url) or "127." in url or "::" in url or "localhost" in url.lower()


def test_an_address_elsewhere_is_not_even_looked_up(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **_: asked.append(args))
    send(emulator, "http://example.com/")
    assert asked == []


@pytest.mark.parametrize(
    ("statuses", "attempts", "state"),
    [
        ([500, 503, 200], 3, "answered"),
        ([500], 4, "failed"),
        ([404], 1, "failed"),
        ([200], 1, "answered"),
    ],
)
def test_only_5xx_is_tried_again(
    emulator: Emulator, receiver: Receiver, statuses: list[int], attempts: int, state: str
) -> None:
    receiver.statuses = statuses
    sent = send(emulator, receiver.url, retries=3)
    assert (sent.attempts, sent.state, len(receiver.received)) == (attempts, state, attempts)
    assert sent.status == statuses[min(attempts, len(statuses)) - 1]


def test_redirects_are_not_followed(emulator: Emulator, receiver: Receiver) -> None:
    receiver.statuses, receiver.location = [302], f"{receiver.url}/elsewhere"
    sent = send(emulator, receiver.url, retries=3)
    assert (sent.state, sent.status, sent.reason) == ("failed", 302, "answered with 302")
    assert len(receiver.received) == 1


@pytest.mark.parametrize(
    "answer",
    [b"", b"hello\r\n\r\n", b"HTTP/1.1 2x0 OK\r\n\r\n", b"HTTP/1.1 999 No\r\n\r\n"],
)
def test_what_is_not_http_fails(emulator: Emulator, answer: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def reply() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(1 << 16)
                connection.sendall(answer)

        thread = threading.Thread(target=reply)
        thread.start()
        sent = send(emulator, f"http://127.0.0.1:{server.getsockname()[1]}/")
        thread.join()
    assert (sent.state, sent.status, sent.reason) == ("failed", None, "no HTTP answer")


def test_a_kept_connection_does_not_hold_up(emulator: Emulator) -> None:
    """An answer is whole at its Content-Length, though the server leaves the connection open."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        done = threading.Event()

        def reply() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(1 << 16)
                connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n")
                connection.sendall(b"ok")
                done.wait(30)

        thread = threading.Thread(target=reply)
        thread.start()
        sent = send(emulator, f"http://127.0.0.1:{server.getsockname()[1]}/")
        done.set()
        thread.join()
    assert sent.state == "answered"


def test_a_server_that_is_not_there(emulator: Emulator) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    sent = send(emulator, f"http://127.0.0.1:{port}/", retries=3)
    assert (sent.state, sent.attempts, sent.status) == ("failed", 1, None)
    assert "refused" in sent.reason


def test_the_deadline_is_for_the_whole_answer(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that says a bit now and then does not get more time."""
    monkeypatch.setattr(callbacks, "DEADLINE", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as server:
        stopped = threading.Event()

        def drip() -> None:
            connection, _ = server.accept()
            with connection:
                while not stopped.wait(0.02):
                    try:
                        connection.sendall(b"x")
                    except OSError:
                        return

        thread = threading.Thread(target=drip)
        thread.start()
        sent = send(emulator, f"http://127.0.0.1:{server.getsockname()[1]}/")
        stopped.set()
        thread.join()
    assert (sent.state, sent.reason) == ("failed", "timed out")


def test_stop_ends_what_is_under_way_and_what_waits(receiver: Receiver) -> None:
    """No thread stays, nothing else is sent, and a later callback is sent again."""
    emulator = Emulator()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        with EmulatorServer(emulator):
            for each in (url, receiver.url, receiver.url):
                emulator.callbacks.send(emulator.account, callback(emulator, each), retries=3)
            connection, _ = silent.accept()
        connection.close()
    assert [each.state for each in emulator.callbacks] == ["failed", "not sent", "not sent"]
    assert {each.reason for each in emulator.callbacks} == {"the emulator stopped"}
    assert "safetwilio-callbacks" not in {thread.name for thread in threading.enumerate()}
    assert receiver.received == []
    assert send(emulator, receiver.url).state == "answered"
    emulator.callbacks.stop()


def test_one_thread_sends_them_all_in_order(emulator: Emulator, receiver: Receiver) -> None:
    for number in range(20):
        url = f"{receiver.url}/{number}"
        emulator.callbacks.send(emulator.account, callback(emulator, url), retries=0)
        names = [thread.name for thread in threading.enumerate()]
        assert names.count("safetwilio-callbacks") <= 1
    assert emulator.callbacks.wait()
    assert [got.url for got in receiver.received] == [f"{receiver.url}/{n}" for n in range(20)]
    assert len(emulator.callbacks[:5]) == 5
    assert repr(emulator.callbacks) == "<Callbacks: 20>"


def test_a_reset_forgets_them(emulator: Emulator, receiver: Receiver) -> None:
    send(emulator, receiver.url)
    emulator.reset()
    assert list(emulator.callbacks) == []
    assert send(emulator, receiver.url).state == "answered"


def test_no_repr_shows_the_url_or_the_signature(emulator: Emulator, receiver: Receiver) -> None:
    """A webhook's URL may hold a password."""
    shown = repr(send(emulator, f"{receiver.url}/?password=hunter2"))
    assert "hunter2" not in shown
    assert receiver.received[0].signature not in shown
