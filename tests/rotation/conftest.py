"""The servers of ``tests/backends`` stand behind rotations, too; an account whose keys rotate."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from key_world import World

from safetwilio.testing import Emulator, EmulatorServer

if TYPE_CHECKING:
    from collections.abc import Iterator

sys.path.append(str(Path(__file__).parents[1] / "backends"))


@pytest.fixture
def server(request: pytest.FixtureRequest) -> Iterator[EmulatorServer]:
    assumptions = getattr(request, "param", {})
    with EmulatorServer(Emulator(assumptions=assumptions)) as server:
        yield server


@pytest.fixture
def world(
    server: EmulatorServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[World]:
    world = World(server, tmp_path, monkeypatch)
    yield world
    world.require_no_secret()
