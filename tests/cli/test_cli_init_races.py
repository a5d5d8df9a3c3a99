"""Two ``safetwilio init`` at once, and others who write meanwhile: no key is lost silently."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
from newcomer import DEADLINE

from safetwilio.testing.faults import hold
from support import new_key

if TYPE_CHECKING:
    from newcomer import Newcomer, Run

    from safetwilio.testing.exchange import EmulatedRequest


class Pause:
    """Holds the first answer to the list of keys back: who asked has looked at the place."""

    def __init__(self, newcomer: Newcomer) -> None:
        """Wait for that request."""
        self.arrived = threading.Event()
        self._faults = newcomer.emulator.faults
        self._faults.add(hold(until="nothing"), match=self._match)

    def _match(self, request: EmulatedRequest) -> bool:
        is_list = request.method == "GET" and request.path.endswith("/Keys.json")
        if is_list:
            self.arrived.set()
        return is_list

    def end(self) -> None:
        """Let it go on."""
        self._faults.clear()


def begin(newcomer: Newcomer, *words: str) -> Run:
    process = newcomer.start("init", "--account-sid", newcomer.sid, "--token-stdin", *words)
    assert process.stdin is not None
    process.stdin.write(f"{newcomer.token}\n")
    process.stdin.flush()
    return process


@pytest.mark.parametrize("before", [None, "DATABASE_URL=x\n"])
@pytest.mark.parametrize("words", [[], ["--replace"]])
def test_of_two_at_once_one_keeps_its_key_and_the_other_says_so(
    newcomer: Newcomer, before: str | None, words: list[str]
) -> None:
    """Each has looked at the place before either has written."""
    if before is not None:
        newcomer.dotenv.write_text(before)
        newcomer.dotenv.chmod(0o600)
    pause = Pause(newcomer)
    with begin(newcomer, *words) as late:
        assert pause.arrived.wait(DEADLINE)
        early = newcomer.init(*words)
        pause.end()
        _, stderr = late.communicate(timeout=DEADLINE)
    assert early.returncode == 0, early.stderr
    assert late.returncode == 1
    assert "[ST338] The .env file was changed by somebody else meanwhile." in stderr
    assert "The key could not be kept, so it was deleted again" in stderr
    (kept,) = newcomer.made  # at Twilio, too: the other one's is gone
    assert newcomer.holds(kept)
    newcomer.require_no_secret(stderr)


def test_what_somebody_else_writes_meanwhile_stays(newcomer: Newcomer) -> None:
    theirs = new_key()
    pause = Pause(newcomer)
    with begin(newcomer) as process:
        assert pause.arrived.wait(DEADLINE)
        newcomer.dotenv.write_text(theirs.dotenv())
        pause.end()
        process.communicate(timeout=DEADLINE)
    assert process.returncode == 1
    assert newcomer.dotenv.read_text() == theirs.dotenv()
    assert not newcomer.made


def test_a_reference_that_cannot_be_meant_is_refused_before_a_key_is_made(
    newcomer: Newcomer,
) -> None:
    done = newcomer.init("--backend", "dotenv:.env?x=1")
    assert done.returncode == 1
    assert "[ST302]" in done.stderr
    assert not newcomer.made


@pytest.mark.parametrize("place", ["env", "files:secrets"])
def test_a_place_that_can_only_be_read_is_refused_with_what_to_name(
    newcomer: Newcomer, place: str
) -> None:
    done = newcomer.init("--backend", place)
    assert done.returncode == 2
    said = " ".join(done.stderr.split())
    assert f"safetwilio cannot write to {place}. Name another place with --backend" in said
    assert not newcomer.made
