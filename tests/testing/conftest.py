"""An emulator, its server, and clients for both."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from asking import Ask, Credentials, ToEmulator, pair_of
from twilio.rest import Client

from safetwilio.testing import Emulator, EmulatorServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def emulator() -> Emulator:
    return Emulator()


@pytest.fixture
def ask(emulator: Emulator) -> Ask:
    return Ask(emulator)


@pytest.fixture
def server() -> Iterator[EmulatorServer]:
    with EmulatorServer() as server:
        yield server


@pytest.fixture
def connect() -> Iterator[Callable[..., Client]]:
    """Make plain Twilio clients of a server; their connections are closed after the test."""
    made = []

    def client(server: EmulatorServer, credentials: Credentials | None = None) -> Client:
        emulator = server.emulator
        username, password = credentials or pair_of(emulator.standard_key)
        http_client = ToEmulator(server.url)
        made.append(http_client)
        return Client(username, password, emulator.account.sid, http_client=http_client)

    yield client
    for http_client in made:
        http_client.session.close()
