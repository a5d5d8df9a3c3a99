"""What the probes saw, as the file that docs/assumptions.md is written from; it has no SID."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from live import changing, reading, sending
from live.probe import PROBES, Probe
from live.service import NEEDS, NotObservedError, Service

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["PROBES", "Results", "plan"]

FILE = Path(__file__).parents[2] / "docs" / "assumptions-live.json"
_IN_ORDER = (reading, sending, changing)  # each brings its probes


class Results:
    """Collects what was *seen*, and why other things were not (*unseen*), by assumption."""

    def __init__(self) -> None:
        """Start empty."""
        self.seen: dict[str, Any] = {}
        self.unseen: dict[str, str] = {}

    def run(self, probe: Probe, service: Service) -> Any:
        """Run *probe* and keep what it saw; raises ``NotObservedError`` if it cannot tell."""
        name = probe.assumption.name
        try:
            self.seen[name] = probe.run(service)
        except NotObservedError as why:
            self.unseen[name] = str(why)
            raise
        return self.seen[name]

    def write(self, path: Path, *, stand_in: bool) -> None:
        """Write the file; what was seen before stays, if *path* is of the same service."""
        service = "emulator" if stand_in else "twilio"
        before = read(path, service)
        today = f"{datetime.now(UTC):%Y-%m-%d}"
        new = {name: {"choice": choice, "on": today} for name, choice in self.seen.items()}
        document = {"service": service, "seen": dict(sorted({**before, **new}.items()))}
        path.write_text(json.dumps(document, indent=2) + "\n", "utf-8")


def read(path: Path = FILE, service: str = "twilio") -> dict[str, dict[str, Any]]:
    """Return what *path* says was seen of *service*, by assumption; nothing without the file."""
    if not path.exists():
        return {}
    document: Mapping[str, Any] = json.loads(path.read_text("utf-8"))
    return dict(document["seen"]) if document["service"] == service else {}


def plan(service: Service) -> Iterator[str]:
    """Yield what will be done at *service*, before anything is."""
    yield f"Asked is {service.stand_in or 'Twilio'}, about account {service.account_sid}."
    yield "Nothing is bought, sent or called; writes go to test credentials and to a subaccount"
    yield "that is made for this run and closed at its end, if that is switched on."
    for probe in PROBES.values():
        missing = service.lacks(probe.needs)
        what = f"left out, {missing}" if missing else probe.asks
        yield f"  {probe.assumption.name}: {what}"


def who(probe: Probe) -> str:
    """Return with which credentials *probe* asks, in a word or two."""
    words = {
        "reader": "a key",
        "main": "a Main key",
        "owner": "the Auth Token, reading",
        "test": "test credentials",
        "subaccount": "a throw-away subaccount",
    }
    assert words.keys() == NEEDS.keys()
    return ", ".join(words[each] for each in probe.needs)
