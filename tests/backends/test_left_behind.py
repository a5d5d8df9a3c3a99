"""What a look leaves behind when its time is up ends soon, and there is never much of it."""

from __future__ import annotations

import base64
import json
import os
import socket
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import pytest
from aws_server import clean as without_aws
from aws_server import some_login
from gcp_server import clean as without_google
from hypothesis import given, settings
from hypothesis import strategies as st

from safetwilio.backends.deadline import MOST_LEFT, Deadline, run, run_noting
from safetwilio.backends.interface import Found
from safetwilio.backends.locate import open_backend, parse
from support import Key, codes, leaks, new_key, refused, run_python

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SLACK = 0.5  # seconds
READING = 3  # seconds that a busy machine may take for botocore's files, which no deadline counts
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
BODY = HEAD + b"Content-Length: 1000000000\r\n\r\n{"
UNIX = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")


class Server:
    """Sends *beginning* and then *piece* again and again, with a *pause*; or *answer* alone."""

    def __init__(self, beginning: bytes, piece: bytes = b" ", pause: float = 0.02) -> None:  # noqa: D107
        self.beginning, self.piece, self.pause = beginning, piece, pause
        self.answer = b""
        self.sent = 0
        self.asked = threading.Semaphore(0)
        self._ended = threading.Event()
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._accepting = threading.Thread(target=self._accept)
        self.address: tuple[str, int] = self._listener.getsockname()
        self.url = f"http://127.0.0.1:{self.address[1]}"

    def __enter__(self) -> Server:  # noqa: PYI034
        self._accepting.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._accepting.join()
        self._listener.close()
        for thread in self._threads:
            thread.join()

    def is_left(self) -> bool:
        """Return whether everybody closes the connection within a few seconds."""
        for thread in self._threads:
            thread.join(5)
        return not any(thread.is_alive() for thread in self._threads)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                thread = threading.Thread(target=self._serve, args=(connection,))
                self._threads.append(thread)
                thread.start()

    def _serve(self, connection: socket.socket) -> None:
        connection.settimeout(10)
        with connection, suppress(OSError):
            connection.recv(65536)
            self.asked.release()
            connection.sendall(self.answer or self.beginning)
            while not self.answer and not self._ended.wait(self.pause):
                connection.sendall(self.piece)
                self.sent += len(self.piece)


@pytest.fixture(autouse=True)
def _surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    without_google(monkeypatch, tmp_path)
    login = some_login().environment
    without_aws(monkeypatch, tmp_path, AWS_DEFAULT_REGION="eu-west-1", **login)


def look(text: str) -> Any:
    (reference,) = parse(text, place="the test")
    return open_backend(reference).load(None)


def aws(server: Server, timeout: float = 1) -> str:
    return f"aws-sm://prod/twilio?timeout={timeout}&endpoint={server.url}"


def google(server: Server, timeout: float = 1) -> str:
    return f"gcp-sm://my-project/twilio?timeout={timeout}&endpoint={server.url}"


def ours() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name == "safetwilio-backend"]


def assert_all_end() -> None:
    """Wait for the threads of the backends: each ends soon."""
    for thread in ours():
        thread.join(5)
    assert ours() == []


def as_aws(key: Key) -> bytes:
    document = {"accountSid": key.account, "apiKeySid": key.sid, "apiKeySecret": key.secret}
    return json.dumps({"VersionId": "a" * 36, "SecretString": json.dumps(document)}).encode()


def as_google(key: Key) -> bytes:
    document = {"account_sid": key.account, "api_key": key.sid, "api_secret": key.secret}
    data = base64.b64encode(json.dumps(document).encode()).decode()
    name = "projects/my-project/secrets/twilio/versions/1"
    return json.dumps({"name": name, "payload": {"data": data}}).encode()


@pytest.mark.parametrize(
    ("reference", "answer"), [(aws, as_aws), (google, as_google)], ids=["aws", "google"]
)
def test_an_answer_that_drips_leaves_no_thread_behind(reference: Any, answer: Any) -> None:
    key = new_key()
    with Server(BODY) as server:
        for _ in range(3):
            began = time.monotonic()
            error = refused(lambda: look(reference(server)))
            assert time.monotonic() - began < 1 + SLACK + READING
            assert codes(error) == ["ST332"]
            assert "within 1 s" in str(error)
            assert server.asked.acquire(timeout=5), "it was connected"
        assert_all_end()
        assert server.is_left()
        body = answer(key)
        server.answer = HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body
        found = look(reference(server, timeout=15))
        assert isinstance(found, Found), "and the next look is as ever"
        assert found.record.fields["key_sid"].reveal() == key.sid
    assert_all_end()


@pytest.mark.parametrize("reference", [aws, google])
def test_an_answer_without_end_is_not_kept(reference: Any) -> None:
    """A fast network brings in a few seconds what no machine has room for."""
    with Server(BODY, piece=b" " * (1 << 20), pause=0) as server:
        error = refused(lambda: look(reference(server, timeout=15)))
        assert codes(error) == ["ST332"]
        assert "its answer is longer than 2 MiB" in " ".join(str(error).split())
        assert server.is_left()
        assert server.sent < 64 << 20, "what the buffers of both ends hold"
    assert_all_end()


class Stuck:
    """Calls that nothing can end, as the question to a name server, until they are *released*."""

    def __init__(self, place: str) -> None:  # noqa: D107
        self.place = place
        self.begun = 0
        self.released = threading.Event()
        self._before = set(ours())

    def hang(self) -> None:
        """Do not return."""
        self.begun += 1
        self.released.wait()

    def leave(self, times: int) -> None:
        """Leave so many behind, as far as that is allowed."""
        for _ in range(times):
            outcome = run(Deadline(0.01, place=self.place), self.hang)
            assert type(outcome.error) is TimeoutError

    def release(self) -> None:
        """Let all of them end, and wait for it."""
        self.released.set()
        for thread in set(ours()) - self._before:
            thread.join(5)
        self.released.clear()


@contextmanager
def stuck(place: str) -> Iterator[Stuck]:
    """Yield such calls to *place*, and let them end."""
    calls = Stuck(place)
    try:
        yield calls
    finally:
        calls.release()


def test_no_more_than_a_few_are_left_behind() -> None:
    with stuck("hung") as calls:
        calls.leave(MOST_LEFT + 5)
        assert calls.begun == MOST_LEFT == len(ours())
        began = time.monotonic()
        outcome = run(Deadline(9, place="hung"), calls.hang, again=lambda _: True)
        assert type(outcome.error) is TimeoutError
        assert time.monotonic() - began < SLACK, "at once"
        assert run(Deadline(5, place="another"), lambda: 1).answer == 1
        calls.release()
        assert run(Deadline(5, place="hung"), lambda: 2).answer == 2


@settings(max_examples=25, deadline=None)
@given(st.lists(st.sampled_from(["hang", "answer", "fail", "release"]), max_size=40))
def test_the_bound_holds_whatever_comes(steps: list[str]) -> None:
    """At most so many live; a call is begun exactly if there are fewer."""
    with stuck("whatever") as calls:
        left = 0
        for step in steps:
            before, room = calls.begun, left < MOST_LEFT
            if step == "hang":
                calls.leave(1)
                assert calls.begun - before <= room
                left += calls.begun - before
            elif step == "release":
                calls.release()
                left = 0
            elif step == "answer":
                assert run(Deadline(5, place="whatever"), lambda: 1).answer == (room or None)
            else:
                error = run(Deadline(5, place="whatever"), _fail).error
                assert type(error) is (PermissionError if room else TimeoutError)
            assert len(ours()) <= MOST_LEFT


def _fail() -> None:
    raise PermissionError


def test_an_error_before_the_last_was_left_behind_is_told_and_not_tried_again() -> None:
    with stuck("hung") as calls:
        calls.leave(MOST_LEFT - 1)

        def leave_one_and_fail(note: list[int]) -> None:
            note.append(1)
            calls.leave(1)
            raise ConnectionRefusedError

        outcome, note = run_noting(
            Deadline(9, place="hung"), list, leave_one_and_fail, again=lambda _: True
        )
        assert isinstance(outcome.error, ConnectionRefusedError)
        assert note == [1]


@pytest.mark.parametrize(("scheme", "reference"), [("aws-sm", aws), ("gcp-sm", google)])
def test_a_look_that_is_not_begun_says_what_one_says_that_timed_out(
    scheme: str, reference: Any
) -> None:
    with Server(BODY) as server, stuck(scheme) as calls:
        calls.leave(MOST_LEFT)
        error = refused(lambda: look(reference(server, timeout=9)))
        assert codes(error) == ["ST332"]
        assert "no answer within 9 s" in " ".join(str(error).split())
        assert not server.asked.acquire(blocking=False), "nobody was asked"


@UNIX
def test_a_child_does_not_inherit_the_number(tmp_path: Path) -> None:
    program = """
import os, sys, threading
from safetwilio.backends.deadline import MOST_LEFT, Deadline, run
never = threading.Event()
for _ in range(MOST_LEFT):
    run(Deadline(0.05, place="hung"), never.wait)
assert run(Deadline(9, place="hung"), lambda: 1).answer is None
child = os.fork()
if child == 0:
    os._exit(0 if run(Deadline(9, place="hung"), lambda: 1).answer == 1 else 1)
sys.exit(os.waitpid(child, 0)[1] != 0)
"""
    done = run_python("-c", program, cwd=tmp_path, environment={})
    assert done.returncode == 0, done.stderr


def test_what_is_cut_off_says_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    """No thread that ends so prints a traceback, which would hold what it read."""
    secret = new_key().secret
    with Server(BODY + secret.encode()) as server:
        refused(lambda: look(aws(server)))
        refused(lambda: look(google(server)))
        assert_all_end()
    said = "".join(capfd.readouterr())
    assert leaks(said, [secret]) == []
    assert "Traceback" not in said
