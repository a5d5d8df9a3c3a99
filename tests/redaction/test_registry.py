"""What is secret: registering, retiring, fingerprints, threads and forks."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import threading
from typing import Any

import pytest

from safetwilio import redaction
from safetwilio.errors import RedactionError
from safetwilio.redaction import engine
from safetwilio.redaction.registry import registry


def test_a_registered_value_is_masked_with_its_kind_and_fingerprint() -> None:
    value = secrets.token_hex(16)
    print_of_it = redaction.register(value, "secret")
    assert redaction.redact(f"is {value}!") == f"is [TWILIO:secret:{print_of_it}]!"
    assert print_of_it == redaction.fingerprint(value)


def test_a_retired_value_is_shown_again_and_retiring_an_unknown_one_is_no_error(token: str) -> None:
    redaction.retire(token)
    redaction.retire(token)
    assert redaction.redact(token) == token


@pytest.mark.parametrize("kind", ["secret", "token", "account", "key"])
@pytest.mark.parametrize("length", [0, 1, 15])
def test_a_short_value_is_refused_without_being_shown(kind: redaction.Kind, length: int) -> None:
    value = "q7Xz" * 4
    with pytest.raises(RedactionError, match=f"of {length} characters") as caught:
        redaction.register(value[:length], kind)
    assert caught.value.code == "ST702"
    assert length == 0 or value[:length] not in str(caught.value).replace("characters", "")


@pytest.mark.parametrize("length", [16, 21])
def test_a_value_below_128_bits_is_masked_without_a_fingerprint(length: int) -> None:
    value = secrets.token_urlsafe(32).replace("-", "x").replace("_", "y")[:length]
    assert redaction.register(value, "secret") == "short"
    assert redaction.redact(f"({value})") == "([TWILIO:secret:short])"


def test_the_last_kind_a_value_was_registered_with_counts(token: str) -> None:
    redaction.register(token, "secret")
    assert redaction.redact(token).startswith("[TWILIO:secret:")


@pytest.mark.parametrize("value", ["", "a" * 21, "0123456789abcdef" * 2 + "", "f" * 31])
def test_a_fingerprint_needs_128_bits(value: str) -> None:
    if len(value) == 32:
        assert len(redaction.fingerprint(value)) == 8
        return
    with pytest.raises(RedactionError) as caught:
        redaction.fingerprint(value)
    assert caught.value.code == "ST703"


def test_the_fingerprint_is_stable_and_depends_on_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    # Written down, because masks in old logs must keep their meaning.
    assert redaction.fingerprint("0123456789abcdef0123456789abcdef") == "PR57HMEC"
    other = redaction.fingerprint("f" * 32)
    monkeypatch.setenv("SAFETWILIO_FINGERPRINT_KEY", secrets.token_hex(8))
    assert redaction.fingerprint("f" * 32) != other


def test_the_repr_shows_counts_and_fingerprints_only(token: str) -> None:
    shown = repr(registry)
    assert "1 values" in shown
    assert redaction.fingerprint(token) in shown
    assert token not in shown


def test_forms_are_made_for_the_first_text_and_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred values cost a hundred times one, not as much as all sums up to a hundred."""
    made: list[int] = []

    class Counted(engine.Grams):
        """Grams that are counted."""

        __slots__ = ()

        def __init__(self, values: Any, extra: Any = ()) -> None:
            """Count, and go on."""
            made.append(len(values))
            super().__init__(values, extra)

    monkeypatch.setattr(engine, "Grams", Counted)
    values = [secrets.token_hex(16) for _ in range(100)]
    for value in values:
        redaction.register(value, "secret")
    assert made == []
    assert all(value not in redaction.redact(f"a {value}") for value in values)
    for value in values:
        redaction.retire(value)
    assert made == [100]


def test_a_matcher_has_no_other_attributes() -> None:
    with pytest.raises(AttributeError, match="other"):
        engine.Matcher().other  # noqa: B018


def test_values_come_and_go_while_other_threads_mask(token: str) -> None:
    stop = threading.Event()
    leaks: list[str] = []

    def mask() -> None:
        while not stop.is_set():
            text = redaction.redact(f"a {token} b")
            if token in text or "redaction-failed" in text:
                leaks.append(text)

    def change() -> None:
        for _ in range(50):
            value = secrets.token_hex(16)
            redaction.register(value, "token")
            if value in redaction.redact(value):
                leaks.append(value)
            redaction.retire(value)

    readers = [threading.Thread(target=mask) for _ in range(3)]
    writers = [threading.Thread(target=change) for _ in range(3)]
    for thread in readers + writers:
        thread.start()
    for thread in writers:
        thread.join()
    stop.set()
    for thread in readers:
        thread.join()
    assert leaks == []
    assert list(registry._known) == [token]


FORK = """
import os, sys
from safetwilio import redaction
from safetwilio.redaction.registry import registry
first, second = os.urandom(16).hex(), os.urandom(16).hex()
redaction.register(first, "token")
registry._lock.acquire()  # as if another thread were registering
child = os.fork()
if not child:
    redaction.register(second, "token")
    os._exit(first in redaction.redact(first) or second in redaction.redact(second))
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
def test_a_forked_child_knows_the_values_and_can_register_more() -> None:
    subprocess.run([sys.executable, "-c", FORK], check=True, timeout=60)
