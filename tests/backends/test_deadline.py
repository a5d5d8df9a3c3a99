"""A deadline binds whatever the call does, and retries stay inside it."""

from __future__ import annotations

import threading
import time

import pytest

from safetwilio.backends import deadline as module
from safetwilio.backends.budget import BOOT_SECONDS, boot_budget
from safetwilio.backends.deadline import (
    SECONDS,
    Deadline,
    deadline_of,
    run,
    run_noting,
)
from safetwilio.backends.locate import Reference, parse
from safetwilio.errors import BackendError
from support import key_secret, leaks


def one(text: str) -> Reference:
    (reference,) = parse(text, place="the test")
    return reference


def test_the_answer_comes_back() -> None:
    assert run(Deadline(5), lambda: 42) == (42, None)


def test_an_error_is_handed_over_and_not_raised() -> None:
    error = OSError()

    def fail() -> None:
        raise error

    assert run(Deadline(5), fail) == (None, error)


def test_a_call_that_never_returns_is_left_behind() -> None:
    released, ended = threading.Event(), threading.Event()

    def hang() -> None:
        released.wait()
        ended.set()

    began = time.monotonic()
    answer, error = run(Deadline(0.2), hang)
    took = time.monotonic() - began
    assert answer is None
    assert isinstance(error, TimeoutError)
    assert 0.2 <= took < 0.7
    released.set()
    assert ended.wait(5)


def test_nothing_is_called_when_the_time_is_over() -> None:
    called: list[int] = []
    error = run(Deadline(0), lambda: called.append(1)).error
    assert isinstance(error, TimeoutError)
    assert called == []


def test_what_may_pass_is_tried_again_until_it_does(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(module.time, "sleep", pauses.append)
    attempts: list[int] = []

    def third_time() -> str:
        attempts.append(1)
        if len(attempts) < 3:
            raise ConnectionError
        return "there"

    assert run(Deadline(5), third_time, again=lambda e: isinstance(e, ConnectionError)) == (
        "there",
        None,
    )
    assert len(attempts) == 3
    assert 0.1 <= pauses[0] <= 0.2 <= pauses[1] <= 0.4, "longer each time, with jitter"


def test_what_will_not_pass_is_tried_once() -> None:
    attempts: list[int] = []

    def fail() -> None:
        attempts.append(1)
        raise PermissionError

    error = run(Deadline(5), fail, again=lambda e: isinstance(e, ConnectionError)).error
    assert isinstance(error, PermissionError)
    assert len(attempts) == 1


def test_retries_end_with_the_deadline() -> None:
    began = time.monotonic()
    error = run(Deadline(0.5), _refuse, again=lambda _: True).error
    assert isinstance(error, ConnectionRefusedError)
    assert time.monotonic() - began < 1


def test_a_try_that_is_cut_short_leaves_the_word_of_the_one_before() -> None:
    released, attempts = threading.Event(), []

    def hang_then(note: list[int]) -> None:
        attempts.append(1)
        note.append(len(attempts))
        if len(attempts) > 1:
            released.wait()
        raise ConnectionRefusedError

    outcome, note = run_noting(Deadline(0.6), list, hang_then, again=lambda _: True)
    released.set()
    assert len(attempts) == 2
    assert isinstance(outcome.error, ConnectionRefusedError)
    assert note == [1], "what the other one met does not explain it"


def _refuse() -> None:
    raise ConnectionRefusedError


def test_five_seconds_unless_the_reference_says_otherwise() -> None:
    assert deadline_of(one("vault://kv/x")).seconds == SECONDS == 5
    assert deadline_of(one("vault://kv/x?timeout=0.5")).seconds == 0.5
    assert deadline_of(one("vault://kv/x?timeout=15")).seconds == BOOT_SECONDS == 15


@pytest.mark.parametrize("text", ["", "soon", "0", "-1", "nan", "inf", "16", "1e9"])
def test_a_timeout_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(BackendError, match=r"from 0\.1 to 15") as refused:
        deadline_of(one(f"vault://kv/x?timeout={text}"))
    assert [p.code for p in refused.value.problems] == ["ST302"]


def test_the_clock_starts_with_the_first_question(monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes before, a slow import above all, says nothing about who is asked."""
    clock = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    alone = Deadline(5)
    with boot_budget(15):
        booting = deadline_of(one("vault://kv/x"))
    clock[0] += 12
    assert (alone.remaining(), booting.remaining()) == (5, 3)
    clock[0] += 4
    assert (alone.remaining(), booting.remaining()) == (1, 0)


def test_backends_share_the_time_of_the_boot() -> None:
    with boot_budget(1):
        assert deadline_of(one("vault://kv/x")).seconds <= 1
        with boot_budget(0):
            late = deadline_of(one("vault://kv/x?timeout=9"))
    assert late.remaining() == 0
    assert deadline_of(one("vault://kv/x")).seconds == SECONDS, "and only within the boot"


def test_a_thread_left_behind_names_no_secret() -> None:
    secret, released = key_secret(), threading.Event()
    run(Deadline(0.1), lambda: (secret, released.wait()))
    names = [thread.name for thread in threading.enumerate()]
    assert "safetwilio-backend" in names
    assert leaks(" ".join(names), [secret]) == []
    released.set()


def test_what_is_no_exception_is_told_by_its_class_alone(
    capfd: pytest.CaptureFixture[str],
) -> None:
    """As a panic in a library of Rust: the thread would print what it says."""
    secret = key_secret()

    class Panic(BaseException):
        pass

    def panic() -> None:
        raise Panic(secret)

    error = run(Deadline(5), panic).error
    assert type(error).__name__ == "Panic"
    assert leaks(repr(error) + "".join(capfd.readouterr()), [secret]) == []
