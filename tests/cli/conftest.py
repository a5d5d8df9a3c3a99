"""A newcomer in an empty directory, and this process as it was after each test."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest
from newcomer import Here, Newcomer

from safetwilio import redaction
from safetwilio.redaction import registry as registry_module
from safetwilio.testing import EmulatorServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def server() -> Iterator[EmulatorServer]:
    with EmulatorServer() as server:
        yield server


@pytest.fixture
def newcomer(tmp_path: Path, server: EmulatorServer) -> Newcomer:
    directory = tmp_path / "my app"
    directory.mkdir()
    newcomer = Newcomer(directory, server)
    newcomer.env["HOME"] = str(tmp_path)
    return newcomer


@pytest.fixture
def here(newcomer: Newcomer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Here]:
    """Put this process into the newcomer's place, for commands run without a new process."""
    monkeypatch.setenv("SAFETWILIO_EMULATOR", newcomer.server.url)
    monkeypatch.chdir(newcomer.directory)
    handlers = list(logging.getLogger("safetwilio").handlers)
    yield Here(newcomer.directory, newcomer.server)
    logging.getLogger("safetwilio").handlers[:] = handlers
    redaction.uninstall()
    for value in tuple(registry_module.registry._known):
        redaction.retire(value)
