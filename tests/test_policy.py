"""Break-glass, and where a credential may travel."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import logging
import threading

import pytest

from safetwilio.errors import InvalidCredentials, RefusedBeforeSending, UsageError
from safetwilio.policy import (
    BrokenGlass,
    break_glass,
    broken_glass,
    emulator_url,
    require_destination,
    require_twilio_host,
)

EMULATOR = "http://127.0.0.1:8910"


def reason_now() -> str | None:
    glass = broken_glass()
    return glass and glass.reason


def test_only_inside_the_block() -> None:
    assert broken_glass() is None
    with break_glass(reason="ticket 1"):
        assert reason_now() == "ticket 1"
    assert broken_glass() is None


def test_nested_blocks_give_back_the_outer_one() -> None:
    with break_glass(reason="outer"):
        with break_glass(reason="inner"):
            assert reason_now() == "inner"
        assert reason_now() == "outer"


def test_ends_with_an_error_too() -> None:
    glasses: list[BrokenGlass | None] = []

    def fail() -> None:
        glasses.append(broken_glass())
        raise KeyError

    with pytest.raises(KeyError), break_glass(reason="r"):
        fail()
    assert glasses[0] is not None
    assert not glasses[0].open
    assert broken_glass() is None


@pytest.mark.parametrize("reason", ["", " ", "\n\t"])
def test_needs_a_reason(reason: str, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(UsageError) as refused, break_glass(reason=reason):
        pass
    assert refused.value.code == "ST905"
    assert caplog.records == []


def test_warning_names_caller_and_reason(caplog: pytest.LogCaptureFixture) -> None:
    with break_glass(reason="ticket 4711"):
        pass
    (record,) = caplog.records
    message = record.getMessage()

    assert record.levelno == logging.WARNING
    assert "by test_warning_names_caller_and_reason (" in message
    assert __file__ in message
    assert "Reason: ticket 4711" in message


def test_as_a_decorator_it_opens_a_block_for_each_call_and_names_the_caller(
    caplog: pytest.LogCaptureFixture,
) -> None:
    @break_glass(reason="decorated")
    def operation() -> str | None:
        return reason_now()

    assert [operation(), operation()] == ["decorated", "decorated"]
    assert broken_glass() is None
    assert len(caplog.records) == 2
    assert "by test_as_a_decorator" in caplog.records[0].getMessage()
    assert "contextlib" not in caplog.text


def test_on_an_exit_stack_the_caller_is_still_named(caplog: pytest.LogCaptureFixture) -> None:
    with contextlib.ExitStack() as stack:
        stack.enter_context(break_glass(reason="stacked"))
        assert reason_now() == "stacked"
    assert "by test_on_an_exit_stack" in caplog.text


def test_another_thread_has_no_part_in_it() -> None:
    seen: list[str | None] = []
    with break_glass(reason="mine"):
        thread = threading.Thread(target=lambda: seen.append(reason_now()))
        thread.start()
        thread.join()
    assert seen == [None]


def test_tasks_have_blocks_of_their_own() -> None:
    seen: list[tuple[str, str | None]] = []

    async def worker(name: str, opened: asyncio.Event, other: asyncio.Event) -> None:
        with break_glass(reason=name):
            opened.set()
            await other.wait()  # both blocks are open now
            seen.append((name, reason_now()))

    async def main() -> None:
        one, two = asyncio.Event(), asyncio.Event()
        await asyncio.gather(worker("a", one, two), worker("b", two, one))
        assert broken_glass() is None

    asyncio.run(main())
    assert sorted(seen) == [("a", "a"), ("b", "b")]


def test_a_task_that_outlives_the_block_has_no_permission_left() -> None:
    """The task copied the context while the glass was broken; afterwards it is whole again."""

    async def main() -> list[str | None]:
        ended, seen = asyncio.Event(), []

        async def straggler() -> None:
            seen.append(reason_now())
            await ended.wait()
            seen.append(reason_now())

        with break_glass(reason="short"):
            task = asyncio.create_task(straggler())
            await asyncio.sleep(0)
        ended.set()
        await task
        return seen

    assert asyncio.run(main()) == ["short", None]


def test_a_context_copied_in_the_inner_block_falls_back_to_the_outer_one() -> None:
    with break_glass(reason="outer"):
        with break_glass(reason="inner"):
            copied = contextvars.copy_context()
        assert copied.run(reason_now) == "outer"
    assert copied.run(reason_now) is None


def test_a_framework_may_end_the_block_in_another_context() -> None:
    """Generators of dependency injectors are entered and left in different contexts."""
    block = break_glass(reason="dependency")
    entered = contextvars.copy_context()
    entered.run(block.__enter__)
    contextvars.copy_context().run(block.__exit__, None, None, None)

    assert entered.run(broken_glass) is None


def test_a_closed_block_refuses() -> None:
    glass = BrokenGlass("r")
    glass.require_open()
    glass.open = False

    with pytest.raises(RefusedBeforeSending) as refused:
        glass.require_open()
    assert refused.value.code == "ST805"


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("", None),
        ("  ", None),
        (EMULATOR, EMULATOR),
        (f" {EMULATOR}/\n", EMULATOR),
        ("http://[::1]:8910", "http://[::1]:8910"),
        ("http://127.8.9.1:1", "http://127.8.9.1:1"),
    ],
)
def test_emulator_address(text: str, url: str | None) -> None:
    assert emulator_url({"SAFETWILIO_EMULATOR": text}) == url


def test_emulator_address_comes_from_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    assert emulator_url() is None
    monkeypatch.setenv("SAFETWILIO_EMULATOR", EMULATOR)
    assert emulator_url() == EMULATOR


@pytest.mark.parametrize(
    "text",
    [
        "http://localhost:8910",
        "https://127.0.0.1:8910",
        "http://127.0.0.1",
        "http://127.0.0.1:0",
        "http://127.0.0.1:99999",
        "http://127.0.0.1:x",
        "http://10.0.0.1:8910",
        "http://0.0.0.0:8910",
        "http://127.1:8910",
        "http://2130706433:8910",
        "http://127.0.0.1:8910/path",
        "http://127.0.0.1:8910?q",
        "http://127.0.0.1:8910/#f",
        "http://user:pass@127.0.0.1:8910",
        "http://127.0.0.1:8910@evil.example:80",
        "http://[::1",
        "127.0.0.1:8910",
    ],
)
def test_emulator_elsewhere_is_refused(text: str) -> None:
    """A name could resolve to another machine, which would be sent the key."""
    with pytest.raises(InvalidCredentials) as refused:
        emulator_url({"SAFETWILIO_EMULATOR": text})
    assert refused.value.code == "ST216"
    assert "evil" not in str(refused.value)
    assert "pass@" not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "emulator"),
    [
        ("https://api.twilio.com/2010-04-01/Accounts.json", None),
        ("https://api.dublin.ie1.twilio.com:443/x", None),
        ("HTTPS://API.TWILIO.COM/x", None),
        (EMULATOR, EMULATOR),
        (f"{EMULATOR}/2010-04-01", EMULATOR),
    ],
)
def test_destination(url: str, emulator: str | None) -> None:
    require_destination(url, emulator)


@pytest.mark.parametrize(
    ("url", "emulator"),
    [
        (None, None),
        ("", None),
        ("http://api.twilio.com/x", None),
        ("https://twilio.com/x", None),
        ("https://eviltwilio.com/x", None),
        ("https://api.twilio.com.evil.example/x", None),
        ("https://api.twilio.com:444/x", None),
        ("https://api.twilio.com:port/x", None),
        ("https://user@api.twilio.com/x", None),
        ("https://evil.example\\.twilio.com/x", None),
        ("https://evil.example%2f.twilio.com/x", None),
        ("https://[::1/x", None),
        ("ftp://api.twilio.com/x", None),
        (EMULATOR, None),
        ("https://api.twilio.com/x", EMULATOR),
        ("http://127.0.0.1:89101/x", EMULATOR),
        (f"{EMULATOR}.evil.example/x", EMULATOR),
        (f"{EMULATOR}@evil.example/x", EMULATOR),
    ],
)
def test_no_destination(url: str | None, emulator: str | None) -> None:
    with pytest.raises(RefusedBeforeSending) as refused:
        require_destination(url, emulator)
    assert refused.value.code == "ST801"


def test_refusal_shows_the_host_without_userinfo_path_or_query() -> None:
    with pytest.raises(RefusedBeforeSending) as refused:
        require_destination("https://user:pass@evil.example/path?token=1", None)

    assert "https://evil.example " in str(refused.value)
    for hidden in ("user", "pass@", "/path", "token=1"):
        assert hidden not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "sealed", "broken"),
    [
        ("https://api.twilio.com/x", True, True),
        ("/2010-04-01/x", True, True),
        ("http://api.twilio.com/x", False, True),
        ("https://api.twilio.com:8443/x", False, True),
        ("https://evil.example/x", False, False),
        ("https://evil.example\\.twilio.com/x", False, False),
        ("https://evil.example%2f.twilio.com/x", False, False),
        ("https://eviltwilio.com/x", False, False),
        ("https://[::1/x", False, False),
    ],
)
def test_plain_credentials_go_to_twilio_or_to_no_host(
    url: str, *, sealed: bool, broken: bool
) -> None:
    """What is allowed while the glass is whole, and within a block."""
    assert _may_go(url) is sealed
    with break_glass(reason="r"):
        assert _may_go(url) is broken


def _may_go(url: str) -> bool:
    try:
        require_twilio_host(url)
    except RefusedBeforeSending:
        return False
    return True
