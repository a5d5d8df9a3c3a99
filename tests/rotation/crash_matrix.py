"""Every rotation, killed at each of its points, and gone on with.

    python tests/rotation/crash_matrix.py [--jobs N] [--only NAME] [--defaults] [--step N]

A rotation is run once to count its points: before and after each exchange by HTTP, whoever it is
with, each write to the journal, and each step of a file's replacement. Then it is run anew for each
point, in a world of its own, killed there, and the same command is given again until it says that
it is finished. So is what an answer does that does not arrive. All of it happens under each choice
of the emulator's that any of these runs has asked for.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import signal
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import local
from typing import TYPE_CHECKING, NamedTuple, Self

from crash_child import Order, Zygote
from crash_keys import SCENARIOS as OF_KEYS
from crash_scenarios import Expected, Scenario, Services, World, started
from crash_tokens import SCENARIOS as OF_TOKENS

from safetwilio.testing import EmulatorServer
from safetwilio.testing.assumptions import ASSUMPTIONS, Choice
from safetwilio.testing.faults import Fault, drop, nothing, reset, status

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

RESUMES = 3  # so often at most the command is given again after the trouble
_TWICE = 6  # one of so many killed runs is killed a second time
_PARTIAL, _FAILED = 4, 1
FAULTS = {
    "dropped, applied": drop(applied=True),
    "dropped, not applied": drop(applied=False),
    "reset, applied": reset(applied=True),
    "reset, not applied": reset(applied=False),
    "500, applied": status(500, applied=True),
    "500, not applied": status(500, applied=False),
    "429": status(429),
}


class Trouble(NamedTuple):
    """What happens to a rotation: killed at the point numbered *stop* of its command *command*.

    With *lose* the connection breaks there; *again* is a point of the next command that is killed,
    too. Or the *fault* happens to the emulator's request numbered *request*.
    """

    about: str = "none"
    command: int = 0
    stop: int = 0
    lose: bool = False
    again: int = 0
    fault: Fault | None = None
    request: int = 0


class Seen(NamedTuple):
    """What a whole rotation came by: *points* of each command, and *statuses* of the emulator."""

    points: tuple[tuple[str, ...], ...]
    statuses: tuple[int, ...]

    def troubles(self, seed: str) -> Iterator[Trouble]:
        """Yield every trouble that there can be."""
        chance = random.Random(seed)  # noqa: S311 - always the same
        for command, names in enumerate(self.points):
            for stop, name in enumerate(names, start=1):
                second = chance.randint(1, len(names)) if chance.randrange(_TWICE) == 0 else 0
                about = f"killed at {stop} ({name})" + (f", then at {second}" if second else "")
                yield Trouble(about, command, stop, again=second)
                if _is_elsewhere(name):
                    yield Trouble(f"lost at {stop} ({name})", command, stop, lose=True)
        for name, fault in FAULTS.items():
            for request in range(1, len(self.statuses) + 1):
                yield Trouble(f"request {request} {name}", fault=fault, request=request)


class Outcome(NamedTuple):
    """How an attempt went: *complaints*, what was *seen* if nothing happened, switches *asked*."""

    complaints: tuple[str, ...]
    seen: Seen
    asked: frozenset[str]


class Machine:
    """A zygote and an emulator's server, for one attempt after the other."""

    def __init__(self, zygote: Zygote, server: EmulatorServer, services: Services) -> None:
        """Use these; see :func:`machine`."""
        self._zygote = zygote
        self._server = server
        self._services = services
        self._learned: set[str] = set()

    def attempt(
        self, scenario: Scenario, choices: Mapping[str, Choice], trouble: Trouble
    ) -> Outcome:
        """Let *trouble* happen to *scenario* under *choices*, and bring it to its end."""
        outside = tempfile.mkdtemp(prefix="crash-")
        folder = Path(outside, "app")
        folder.mkdir()
        try:
            world = World(folder, {**scenario.assumptions, **choices}, self._services)
            self._server.emulator = world.emulator
            world.environment["SAFETWILIO_EMULATOR"] = self._server.url
            expected = scenario.prepare(world)
            world.begin()
            if trouble.fault:
                before = trouble.request - 1
                if before:
                    world.emulator.faults.add(nothing(), times=before)
                world.emulator.faults.add(trouble.fault)
            attempt = _Attempt(self, scenario, world, expected, trouble)
            attempt.run()
            world.emulator.callbacks.stop()
        finally:
            shutil.rmtree(outside)
        seen = Seen(tuple(attempt.points), tuple(each.status for each in world.emulator.requests))
        return Outcome(tuple(attempt.complaints), seen, frozenset(world.asked))

    def command(
        self, world: World, arguments: tuple[str, ...], stop: int, *, lose: bool
    ) -> tuple[int, tuple[str, ...]]:
        """Return the exit code of a command in *world*, and the points of one that has ended."""
        report = world.folder / "report"
        report.unlink(missing_ok=True)
        order = Order(
            cwd=str(world.folder),
            environment=world.environment,
            arguments=arguments,
            output=str(world.output),
            report=str(report),
            url=self._server.url,
            stop=stop,
            lose=lose,
        )
        code = self._zygote.run(order)
        if not report.exists():
            return code, ()
        found = json.loads(report.read_text(encoding="utf-8"))
        unknown = set(found["modules"]) - self._learned
        if unknown:  # imported by the zygote once, rather than by each child
            self._zygote.learn(sorted(unknown))
            self._learned |= unknown
        return code, tuple(found["points"])


class _Attempt:
    """One rotation from its beginning to its end, whatever happens to it."""

    def __init__(
        self,
        machine: Machine,
        scenario: Scenario,
        world: World,
        expected: Expected,
        trouble: Trouble,
    ) -> None:
        self.complaints: list[str] = []
        self.points: list[tuple[str, ...]] = []
        self._machine = machine
        self._scenario = scenario
        self._world = world
        self._expected = expected
        self._trouble = trouble

    def run(self) -> None:
        """Give the command until it is finished, and look at the world in between and after."""
        arguments = self._scenario.arguments
        stops = {self._trouble.command: self._trouble.stop} if self._trouble.stop else {}
        if self._trouble.again:
            stops[self._trouble.command + 1] = self._trouble.again
        resumes, moved = 0, False
        for number in range(2 * RESUMES + len(stops)):
            code = self._command(arguments, number, stops.get(number, 0))
            if code == 0:
                break
            if code == _PARTIAL and not moved:
                arguments, moved = (*arguments, *self._scenario.then), True
                continue
            resumes += 1
            self.complaints += self._expected.between()
        if code != 0 or resumes > RESUMES + len(stops) - 1:
            self.complaints.append(f"not finished after {resumes} resumes: exit code {code}")
        self.complaints += self._expected.after()
        self.complaints += [*self._world.journals(), *self._world.leaks()]
        if self.complaints:
            said = self._world.output.read_text(encoding="utf-8", errors="replace")
            self.complaints.append(f"what was printed:\n{said}")

    def _command(self, arguments: tuple[str, ...], number: int, stop: int) -> int:
        lose = self._trouble.lose and number == self._trouble.command
        code, points = self._machine.command(self._world, arguments, stop, lose=lose)
        self.points.append(points)
        was_killed = code == -signal.SIGKILL
        if code not in {0, _FAILED, _PARTIAL} and not was_killed:
            self.complaints.append(f"command {number + 1} ended with {code}")
        is_first = number == self._trouble.command
        if stop and is_first and not lose and not was_killed:
            self.complaints.append("the point where it was to be killed was not there")
        return code


@contextmanager
def machine(services: Services | None = None) -> Iterator[Machine]:
    """Start what attempts need."""
    with Zygote() as zygote, EmulatorServer() as server:
        yield Machine(zygote, server, services or Services())


def choices_of(asked: Iterable[str]) -> list[dict[str, Choice]]:
    """Return each choice that is no default of the switches that were *asked* for, alone."""
    return [
        {each.name: choice}
        for each in ASSUMPTIONS
        if each.name in set(asked)
        for choice in each.choices
        if choice != each.default
    ]


def _is_elsewhere(name: str) -> bool:
    """Return whether the connection may be lost at the point *name*, where no fault can do it."""
    is_twilio = any(path in name for path in ("/2010-04-01/", "/v1/AuthTokens/"))
    return not is_twilio and name.endswith(("not sent", "answer not read"))


class _Line(NamedTuple):
    scenario: str
    choices: Mapping[str, Choice]
    seen: Seen
    points: int
    attempts: int
    failures: tuple[str, ...]
    asked: frozenset[str]


class _Matrix:
    """All attempts, some at a time: each thread has a machine of its own."""

    def __init__(self, jobs: int, services: Services, step: int) -> None:
        self._step = step
        self._stack = ExitStack()
        self._pool = ThreadPoolExecutor(jobs)
        self._mine = local()
        self._services = services

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown()
        self._stack.close()

    def _attempt(
        self, scenario: Scenario, choices: Mapping[str, Choice], trouble: Trouble
    ) -> Outcome:
        if not hasattr(self._mine, "machine"):
            self._mine.machine = self._stack.enter_context(machine(self._services))
        found: Machine = self._mine.machine
        return found.attempt(scenario, choices, trouble)

    def whole(self, scenario: Scenario, choices: Mapping[str, Choice]) -> Outcome:
        """Let nothing happen to *scenario* under *choices*."""
        return self._pool.submit(self._attempt, scenario, choices, Trouble()).result()

    def line(self, scenario: Scenario, choices: Mapping[str, Choice]) -> _Line:
        """Let every trouble happen to *scenario* under *choices*."""
        whole = self.whole(scenario, choices)
        troubles = [*whole.seen.troubles(f"{scenario.name} {choices}")][:: self._step]
        outcomes = [*self._pool.map(lambda each: self._attempt(scenario, choices, each), troubles)]
        failures = [
            f"{each.about}: {complaint}"
            for each, outcome in zip([Trouble(), *troubles], [whole, *outcomes], strict=True)
            for complaint in outcome.complaints
        ]
        asked = whole.asked.union(*(outcome.asked for outcome in outcomes))
        points = sum(map(len, whole.seen.points))
        return _Line(
            scenario.name, choices, whole.seen, points, 1 + len(troubles), tuple(failures), asked
        )


def _lines(matrix: _Matrix, scenario: Scenario, *, defaults: bool) -> Iterator[_Line]:
    """Yield a line for the defaults, one for each choice that is seen, one for all others."""
    first = matrix.line(scenario, {})
    yield first
    together: dict[str, Choice] = {}
    for choices in [] if defaults else choices_of(first.asked - scenario.assumptions.keys()):
        if matrix.whole(scenario, choices).seen == first.seen:
            together |= choices
        else:
            yield matrix.line(scenario, choices)
    if together:
        yield matrix.line(scenario, together)


def main(arguments: list[str]) -> int:
    """Go through the matrix and print it; return 1 if anything failed."""
    parser = argparse.ArgumentParser(description="Kill every rotation at every point.")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--only", metavar="NAME", help="scenarios with this in their name")
    parser.add_argument("--defaults", action="store_true", help="no other choice of the emulator")
    parser.add_argument("--step", type=int, default=1, metavar="N", help="each Nth trouble only")
    chosen = parser.parse_args(arguments)
    scenarios = [each for each in (*OF_KEYS, *OF_TOKENS) if (chosen.only or "") in each.name]
    began, attempts, failures = time.monotonic(), 0, 0
    print(f"{'scenario':32} {'choice':34} {'points':>6} {'attempts':>8} {'failed':>6} seconds")  # noqa: T201
    with (
        tempfile.TemporaryDirectory() as folder,
        started({each.needs for each in scenarios}, Path(folder)) as services,
        _Matrix(chosen.jobs, services, chosen.step) as matrix,
    ):
        for scenario in scenarios:
            before = time.monotonic()
            for line in _lines(matrix, scenario, defaults=chosen.defaults):
                _show(line, time.monotonic() - before)
                before = time.monotonic()
                attempts += line.attempts
                failures += len(line.failures)
    print(f"{attempts} attempts, {failures} complaints, {time.monotonic() - began:.0f} seconds")  # noqa: T201
    return 1 if failures or not attempts else 0


def _show(line: _Line, seconds: float) -> None:
    some = [f"{name}={value}" for name, value in line.choices.items()] or ["the defaults"]
    choice = some[0] if len(some) == 1 else f"{len(some)} that do not show"
    print(  # noqa: T201
        f"{line.scenario:32} {choice:34} {line.points:6} {line.attempts:8} "
        f"{len(line.failures):6} {seconds:7.0f}",
        flush=True,
    )
    for failure in line.failures:
        print(f"    {failure}", flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
