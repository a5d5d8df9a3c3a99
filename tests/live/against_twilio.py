"""The probes against the real Twilio: ``nox -s live``. Never collected by an ordinary run.

A probe that sees another choice than the emulator's default fails: change the default, name this
as its source, and delete the switch.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from live.results import FILE, PROBES, Results, plan
from live.service import PREFIX, NotObservedError, Service

if TYPE_CHECKING:
    from collections.abc import Iterator

    from live.probe import Probe

# tests/conftest.py takes these variables away before each test
GIVEN = {name: value for name, value in os.environ.items() if name.startswith(PREFIX)}


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    """Say what will be done, and clean up in the end, whatever happened."""
    try:
        service = Service(GIVEN)
    except NotObservedError as why:
        pytest.skip(f"{why} docs/testing.md says more.")
    yield service
    left = service.close()
    assert left is None, left


@pytest.fixture(scope="module")
def results(service: Service, request: pytest.FixtureRequest) -> Iterator[Results]:
    """Keep what is seen, and write it down in the end."""
    with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        print("", *plan(service), sep="\n")  # noqa: T201
    results = Results()
    yield results
    path = Path(GIVEN.get(f"{PREFIX}RESULTS", FILE))
    if service.stand_in is None or path != FILE:
        results.write(path, stand_in=service.stand_in is not None)


@pytest.mark.parametrize("probe", PROBES.values(), ids=PROBES)
def test_what_is_assumed_is_so(probe: Probe, service: Service, results: Results) -> None:
    try:
        seen = results.run(probe, service)
    except NotObservedError as why:
        pytest.skip(str(why))
    default = probe.assumption.default
    assert seen == default, f"Twilio: {seen!r}, the emulator by default: {default!r}"
