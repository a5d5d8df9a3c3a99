"""A rotation drill: keys replaced under programs that send, with a real Vault behind them.

Four forked workers of eight threads and an asyncio client send 200 messages a second through the
emulator. What fails, what is sent twice and what is asked is counted; a drill that breaks its
promise makes this command fail.
"""

# ruff: noqa: INP001 - a script

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from common.gate import Gate
from common.report import heading, is_quick, line, table

from safetwilio.testing import EmulatorServer

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent / "tests"), str(HERE.parent / "tests" / "backends")]
Bao: Any = import_module("vault_server").Bao  # it is with the tests

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PROCESSES = 5
REFERENCE = "vault://secret/drill"
PATH = "secret/data/drill"
UNAUTHORIZED = 401
WAIT, BACK = 6.5, 1.0  # seconds: of the longest request, and until messages go out again


class Sent(NamedTuple):
    """One message: when it *began* and *ended* (seconds since the epoch), and its *error*."""

    body: str
    began: float
    ended: float
    error: str | None


class Drill:
    """The emulator, the vault behind its gate, and the programs that send."""

    def __init__(self, server: EmulatorServer, bao: Bao, gate: Gate, folder: Path) -> None:
        """Put the first key where the programs look for it."""
        self.emulator, self.bao, self.gate, self._folder = server.emulator, bao, gate, folder
        self.key = server.emulator.standard_key
        self.put(self.key)
        self._server = server

    def put(self, key: Any) -> None:
        """Store *key*, as a rotation does."""
        fields = {"account_sid": key.account_sid, "api_key": key.sid, "api_secret": key.secret}
        self.bao.put(fields, PATH)

    def new_key(self) -> Any:
        """Make a key at Twilio."""
        return self.emulator.account.create_key()

    def replace(self, *, overlap: float) -> None:
        """Rotate: the old key is deleted *overlap* seconds after the new one can be read."""
        new = self.new_key()
        self.put(new)
        time.sleep(overlap)
        self.emulator.account.delete_key(self.key.sid)
        self.key = new

    @contextmanager
    def sending(self, **environment: str) -> Iterator[list[Sent]]:
        """Let the programs send during the block; what they sent is there after it."""
        folder = Path(tempfile.mkdtemp(dir=self._folder))
        env = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("SAFETWILIO", "TWILIO"))},
            "SAFETWILIO_BACKEND": REFERENCE,
            "SAFETWILIO_EMULATOR": self._server.url,
            "VAULT_ADDR": self.gate.url,
            "VAULT_TOKEN": self.bao.root,
            **environment,
        }
        program = subprocess.Popen(  # noqa: S603 - ours
            [sys.executable, str(HERE / "rotation_drill" / "senders.py"), str(folder)], env=env
        )
        found: list[Sent] = []
        try:
            while len(list(folder.glob("*.ready"))) < PROCESSES:
                if program.poll() is not None:
                    raise RuntimeError("the programs that send did not start")
                time.sleep(0.05)
            yield found
        finally:
            (folder / "stop").touch()
            program.wait(120)
        for file in folder.glob("*.json"):
            found += [Sent(*each) for each in json.loads(file.read_text("utf-8"))]


class Outcome(NamedTuple):
    """What a drill showed, and what of it *broke* a promise."""

    name: str
    sent: list[Sent]
    refused: int
    looks: int
    said: str
    broke: list[str]


def watched(drill: Drill, name: str, do: Callable[[], str], **environment: str) -> Outcome:
    """Do *do* while the programs send; count what holds of every drill."""
    refused = _refused(drill)
    before = len(drill.emulator.messages)
    with drill.sending(**environment) as sent:
        looks = drill.gate.asked
        said = do()
        looks = drill.gate.asked - looks
    bodies = Counter(message.body for message in drill.emulator.messages[before:])
    fine = {each.body for each in sent if each.error is None}
    broke = []
    if any(count > 1 for count in bodies.values()):
        broke.append("a message was sent twice")
    if bodies.keys() != fine:
        broke.append(f"{len(bodies.keys() ^ fine)} messages differ from what was told")
    return Outcome(name, sent, _refused(drill) - refused, looks, said, broke)


def overlapping(drill: Drill, rotations: int) -> Outcome:
    """Replace keys and let the old one live until every program has looked."""

    def do() -> str:
        for _ in range(rotations):
            drill.replace(overlap=3)
        return f"{rotations} rotations"

    outcome = watched(drill, "old key deleted later", do, SAFETWILIO_REFRESH_AGE="1")
    return _without_failures(outcome, refusals=0)


def at_once(drill: Drill, rotations: int) -> Outcome:
    """Delete the old key at the moment when the new one can be read."""

    def do() -> str:
        for _ in range(rotations):
            time.sleep(1.5)
            drill.replace(overlap=0)
        time.sleep(2)
        return f"{rotations} rotations"

    outcome = watched(drill, "old key deleted at once", do, SAFETWILIO_REFRESH_AGE="off")
    if outcome.looks != PROCESSES * rotations:
        outcome.broke.append(f"not one look for each process and rotation: {outcome.looks}")
    return _without_failures(outcome)


def without_vault(drill: Drill, seconds: float) -> Outcome:
    """Close the vault's gate; the key lives."""

    def do() -> str:
        with drill.gate.closed():
            time.sleep(seconds)
        time.sleep(2)
        return f"{seconds:g} s without it"

    outcome = watched(drill, "vault down, key alive", do, SAFETWILIO_REFRESH_AGE="1")
    return _without_failures(outcome, refusals=0)


def late(drill: Drill, seconds: float) -> Outcome:
    """Delete the key, and put the new one *seconds* later."""
    moments: dict[str, float] = {}

    def do() -> str:
        time.sleep(1)
        new = drill.new_key()
        drill.emulator.account.delete_key(drill.key.sid)
        moments["gone"] = time.time()
        time.sleep(seconds)
        drill.put(new)
        moments["back"] = time.time()
        drill.key = new
        time.sleep(4)
        return f"{seconds:g} s without a key"

    outcome = watched(drill, "new key late", do, SAFETWILIO_REFRESH_AGE="off")
    failed = [each for each in outcome.sent if each.error]
    longest = max(each.ended - each.began for each in failed)
    back = min(
        each.ended - moments["back"]
        for each in outcome.sent
        if each.error is None and each.ended > moments["back"]
    )
    if any("[ST342]" not in (each.error or "") for each in failed):
        other = next(each for each in failed if "[ST342]" not in (each.error or ""))
        outcome.broke.append(f"a failure that does not say ST342: {other.error}")
    if longest > WAIT:
        outcome.broke.append(f"a request waited {longest:.1f} s")
    if back > BACK:
        outcome.broke.append(f"{back:.2f} s until the first message went out again")
    if any(each.error and each.began > moments["back"] + BACK for each in outcome.sent):
        outcome.broke.append("failures a second after the key was there")
    said = f"{outcome.said}; waited {longest:.1f} s at most, back after {back:.2f} s"
    return outcome._replace(said=said)


def _without_failures(outcome: Outcome, refusals: int | None = None) -> Outcome:
    failed = [each for each in outcome.sent if each.error]
    if failed:
        outcome.broke.append(f"{len(failed)} failed: {failed[0].error}")
    if refusals is not None and outcome.refused > refusals:
        outcome.broke.append(f"{outcome.refused} requests were refused")
    return outcome


def _refused(drill: Drill) -> int:
    return sum(entry.status == UNAUTHORIZED for entry in drill.emulator.requests)


def main() -> int:
    """Drill, print, and return 1 if a promise was broken."""
    quick = is_quick(__doc__)
    rotations, seconds = (3, 8.0) if quick else (20, 30.0)
    heading(f"Rotation under load: 4 workers of 8 threads and asyncio, {rotations} rotations")
    with (
        tempfile.TemporaryDirectory() as temporary,
        EmulatorServer() as server,
        Bao(Path(temporary)) as bao,
        Gate(bao.port) as gate,
    ):
        drill = Drill(server, bao, gate, Path(temporary))
        outcomes = [
            overlapping(drill, rotations),
            at_once(drill, rotations),
            without_vault(drill, seconds),
            late(drill, seconds),
        ]
    rows = [
        (
            each.name,
            str(len(each.sent)),
            str(sum(one.error is not None for one in each.sent)),
            str(each.refused),
            str(each.looks),
            each.said,
        )
        for each in outcomes
    ]
    table(("drill", "sent", "failed", "refused", "looks", "what"), rows)
    broken = [f"{each.name}: {what}" for each in outcomes for what in each.broke]
    line("\n" + ("\n".join(f"  BROKEN  {each}" for each in broken) or "  Every promise was kept."))
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
