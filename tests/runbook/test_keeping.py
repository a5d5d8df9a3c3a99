"""Between "Twilio showed the secret" and "its place has it": every way in which that can go."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from safetwilio.errors import AccountOperationError, BackendDenied, BackendUnavailable
from safetwilio.problems import Problem
from safetwilio.runbook import keeping
from safetwilio.runbook.keeping import CONFIRMED_WITHIN, PATIENCE, Clock, NotKept, keep
from support import caught

if TYPE_CHECKING:
    from collections.abc import Callable


def unavailable() -> BackendUnavailable:
    return BackendUnavailable([Problem(code="ST331", summary="It does not answer.", fix="Wait.")])


def denied() -> BackendDenied:
    return BackendDenied([Problem(code="ST307", summary="It may not.", fix="Allow it.")])


KEPT = True


class FakeClock(Clock):
    """A clock that goes on only while somebody waits; *at* says what happens then."""

    def __init__(self) -> None:
        """Begin at a time that means nothing."""
        self.time = 1000.0
        self.at: list[tuple[float, Callable[[], object]]] = []

    @property
    def passed(self) -> float:
        """Seconds since the start."""
        return self.time - 1000.0

    def now(self) -> float:
        """Return the time."""
        return self.time

    def wait(self, seconds: float) -> None:
        """Let *seconds* pass, and what is due happen."""
        self.time += seconds
        for when, what in list(self.at):
            if self.passed >= when:
                self.at.remove((when, what))
                what()


class Place:
    """A place that answers one save after the other as *answers* say, the last one for ever.

    An answer is an error to raise, ``True`` to keep, or both for a lost answer.
    """

    def __init__(self, *answers: Exception | bool | tuple[Exception, bool]) -> None:
        """Hold nothing yet."""
        self.holds = False
        self.saves = self.reads = 0
        self.is_readable = True
        self._answers = list(answers)

    def save(self) -> None:
        """Answer."""
        self.saves += 1
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        error, kept = answer if isinstance(answer, tuple) else (answer, answer is True)
        self.holds = self.holds or kept
        if isinstance(error, Exception):
            raise error

    def is_kept(self) -> bool:
        """Return what is there."""
        self.reads += 1
        if not self.is_readable:
            raise unavailable()
        return self.holds


class Seal:
    """Notes at which time of *clock* it was asked to seal."""

    def __init__(self, clock: FakeClock) -> None:
        """Seal nothing yet."""
        self.at: list[float] = []
        self._clock = clock

    def __call__(self) -> None:
        """Note the time."""
        self.at.append(self._clock.passed)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def seal(clock: FakeClock) -> Seal:
    return Seal(clock)


def kept(place: Place, seal: Seal, clock: FakeClock) -> BaseException | None:
    """Return what :func:`keep` raises."""
    said: list[str] = []
    return caught(lambda: keep(place.save, place.is_kept, seal, say=said.append, clock=clock))


def test_a_place_that_takes_it_at_once(seal: Seal, clock: FakeClock) -> None:
    place = Place(KEPT)
    assert kept(place, seal, clock) is None
    assert (place.saves, place.reads, seal.at, clock.passed) == (1, 0, [], 0)


@pytest.mark.parametrize("times", [1, 3, 4])
def test_a_place_that_is_away_for_a_moment(seal: Seal, clock: FakeClock, times: int) -> None:
    place = Place(*[unavailable()] * times, KEPT)
    assert kept(place, seal, clock) is None
    assert place.holds
    assert place.saves == times + 1
    assert seal.at == []
    assert clock.passed < CONFIRMED_WITHIN


@pytest.mark.parametrize("times", [6, 7, 30])
def test_a_place_that_is_away_for_longer_is_waited_for_and_the_secret_sealed_once(
    seal: Seal, clock: FakeClock, times: int
) -> None:
    place = Place(*[unavailable()] * times, KEPT)
    assert kept(place, seal, clock) is None
    assert place.holds
    assert seal.at == [CONFIRMED_WITHIN]


def test_patience_has_an_end(seal: Seal, clock: FakeClock) -> None:
    place = Place(unavailable())
    error = kept(place, seal, clock)
    assert isinstance(error, AccountOperationError)
    assert error.code == "ST625"
    assert "Nothing was deleted" in str(error)
    assert clock.passed == PATIENCE
    assert seal.at == [CONFIRMED_WITHIN]


@pytest.mark.parametrize("error", [unavailable(), denied()], ids=["transient", "definite"])
def test_a_lost_answer_is_noticed_by_reading(
    seal: Seal, clock: FakeClock, error: Exception
) -> None:
    """It was kept though an error came: it must not be taken for lost, nor written twice."""
    place = Place((error, True))
    assert kept(place, seal, clock) is None
    assert place.saves == 1
    assert seal.at == []


def test_our_own_write_that_landed_unseen_is_not_taken_for_somebody_elses(
    seal: Seal, clock: FakeClock
) -> None:
    """The place could not be read after the first error; the second write finds another version."""
    place = Place((unavailable(), True), denied())
    place.is_readable = False
    clock.at.append((0.5, lambda: None))
    calls = iter([False, True])
    original = place.is_kept

    def is_kept() -> bool:
        place.is_readable = next(calls, True)
        return original()

    assert caught(lambda: keep(place.save, is_kept, seal, say=print, clock=clock)) is None
    assert place.saves == 2


def test_a_definite_refusal_is_told_at_once(seal: Seal, clock: FakeClock) -> None:
    refusal = denied()
    place = Place(refusal)
    error = kept(place, seal, clock)
    assert isinstance(error, NotKept)
    assert error.reason is refusal
    assert (place.saves, clock.passed, seal.at) == (1, 0, [])


@pytest.mark.parametrize("lands", [False, True])
def test_a_refusal_is_no_proof_while_an_earlier_write_may_land(
    seal: Seal, clock: FakeClock, *, lands: bool
) -> None:
    """Deleting the key at that moment would leave a dead one in the place."""
    place = Place(unavailable(), denied())
    if lands:
        clock.at.append((CONFIRMED_WITHIN, lambda: setattr(place, "holds", True)))
    error = kept(place, seal, clock)
    assert clock.passed == 1 + CONFIRMED_WITHIN
    if lands:
        assert error is None
        return
    assert isinstance(error, AccountOperationError)
    assert error.code == "ST625"
    assert seal.at == [clock.passed]


@pytest.mark.parametrize("refusal", [denied(), ValueError("a plug-in may raise anything")])
def test_a_refusal_by_a_place_that_cannot_be_read_is_no_proof(
    seal: Seal, clock: FakeClock, refusal: Exception
) -> None:
    place = Place(refusal)
    place.is_readable = False
    error = kept(place, seal, clock)
    assert isinstance(error, AccountOperationError)
    assert error.code == "ST625"


class Hanging(Place):
    """A place that does not come back before ``come_back`` is set; then it keeps, or not."""

    def __init__(self, error: Exception | None = None) -> None:
        """Hang."""
        super().__init__(KEPT)
        self.come_back = threading.Event()
        self._error = error

    def save(self) -> None:
        """Wait, and keep."""
        self.saves += 1
        assert self.come_back.wait(60)
        if self._error:
            raise self._error
        self.holds = True


@pytest.fixture
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not wait five real seconds for a thread; the clock of the test says when that was."""
    outcome = keeping._Attempt.outcome
    monkeypatch.setattr(keeping._Attempt, "outcome", lambda self, _: outcome(self, 0.02))


@pytest.mark.usefixtures("_soon")
def test_a_write_that_lands_late_is_waited_for_and_never_repeated(
    seal: Seal, clock: FakeClock
) -> None:
    place = Hanging()
    clock.at.append((20, place.come_back.set))
    assert kept(place, seal, clock) is None
    assert place.holds
    assert place.saves == 1
    assert place.reads == 0
    assert seal.at == [CONFIRMED_WITHIN]


@pytest.mark.usefixtures("_soon")
def test_a_write_that_never_comes_back_is_neither_kept_nor_lost(
    seal: Seal, clock: FakeClock
) -> None:
    place = Hanging()
    error = kept(place, seal, clock)
    place.come_back.set()
    assert isinstance(error, AccountOperationError)
    assert error.code == "ST625"
    assert place.saves == 1
    assert seal.at == [CONFIRMED_WITHIN]


@pytest.mark.usefixtures("_soon")
@pytest.mark.parametrize("error", [unavailable(), denied()], ids=["transient", "definite"])
def test_a_write_that_fails_late(seal: Seal, clock: FakeClock, error: Exception) -> None:
    place = Hanging(error)
    clock.at.append((2, place.come_back.set))
    clock.at.append((4, lambda: setattr(place, "_error", None)))
    raised = kept(place, seal, clock)
    if isinstance(error, BackendUnavailable):
        assert raised is None
        assert place.holds
    else:
        assert isinstance(raised, NotKept)
        assert raised.reason is error
    assert seal.at == []


def test_a_seal_that_fails_is_said_and_its_place_is_tried_on(clock: FakeClock) -> None:
    """The secret would be lost if a full disk here ended it while the place is coming back."""
    said: list[str] = []

    def seal() -> None:
        raise OSError(28, "No space left on device")

    place = Place(*[unavailable()] * 10, KEPT)
    keep(place.save, place.is_kept, seal, say=said.append, clock=clock)
    assert place.holds
    assert said.count("The new secret could not be sealed: No space left on device") == 1


def test_an_error_keeps_no_frame_that_held_the_secret(seal: Seal, clock: FakeClock) -> None:
    refusal = denied()
    error = kept(Place(refusal), seal, clock)
    assert isinstance(error, NotKept)
    assert error.reason.__traceback__ is None


def test_an_interrupt_while_it_waits_goes_out(seal: Seal, clock: FakeClock) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    clock.at.append((2, interrupt))
    assert isinstance(kept(Place(unavailable()), seal, clock), KeyboardInterrupt)
