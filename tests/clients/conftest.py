"""A process without credentials, proxies or redaction, and emulators with clients of ours."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
import twilio
from wires import CERTIFICATE, Wire

import safetwilio
from safetwilio import redaction
from safetwilio.clients import Transport, TwilioClient
from safetwilio.redaction import registry as registry_module
from safetwilio.testing import Emulator, EmulatorServer
from support import new_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from support import Key

_OTHERS = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR")


# What these call came to Twilio's library after the lowest version that we allow.
_NEEDS_NEWER_TWILIO = {
    "test_async_destination.py": ("test_oauth_provider",),
    "test_async_wire.py": (
        "test_json_is_json_where_twilios_client_sends_a_form",
        "test_the_same_bytes[json]",
        "test_the_same_bytes[put]",
    ),
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out what Twilio's library of this environment cannot do."""
    if tuple(map(int, twilio.__version__.split(".")[:2])) >= (9, 11):
        return
    for item in items:
        if item.name in _NEEDS_NEWER_TWILIO.get(item.path.name, ()):
            item.add_marker(pytest.mark.skip(reason="Twilio's library is too old for this call"))


@pytest.fixture(autouse=True)
def _clean_process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    for name in list(os.environ):
        ours = name.startswith(("TWILIO_", "SAFETWILIO_"))
        if ours or name.lower().endswith("_proxy") or name in _OTHERS:
            monkeypatch.delenv(name)
    monkeypatch.setenv("NETRC", str(tmp_path / "no-netrc"))
    safetwilio.reset()
    yield
    safetwilio.reset()
    redaction.uninstall()
    for value in tuple(registry_module.registry._known):
        redaction.retire(value)


@pytest.fixture
def key(request: pytest.FixtureRequest) -> Key:
    """Return a fake API key, the emulator's where the client is led to a loopback address."""
    return new_key(emulated=bool({"connect", "emulator"} & set(request.fixturenames)))


@pytest.fixture
def server() -> Iterator[EmulatorServer]:
    with EmulatorServer() as server:
        yield server


@pytest.fixture
def emulator(server: EmulatorServer, monkeypatch: pytest.MonkeyPatch) -> Emulator:
    """Return an emulator that safetwilio's clients are led to."""
    monkeypatch.setenv("SAFETWILIO_EMULATOR", server.url)
    return server.emulator


@pytest.fixture
def client(emulator: Emulator) -> Iterator[TwilioClient]:
    """Make a client with the emulator's Standard key."""
    key = emulator.standard_key
    made = TwilioClient(key.sid, key.secret, emulator.account.sid)
    yield made
    made.http_client.session.close()


@pytest.fixture
def connect(
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Callable[..., TwilioClient]]:
    """Make clients whose emulator is any base URL; their connections end with the test."""
    transports = []

    def make(url: str, username: str, secret: str, account_sid: str, **options: object) -> object:
        monkeypatch.setenv("SAFETWILIO_EMULATOR", url)
        options = {"max_retries": 0, "timeout": 10.0, **options}
        transports.append(Transport(emulator=url, **options))
        return TwilioClient(username, secret, account_sid, http_client=transports[-1])

    yield make
    for transport in transports:
        if transport.session is not None:
            transport.session.close()


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[Wire]:
    """All of the internet: every host leads here, with a certificate for ``*.twilio.com``."""
    with Wire() as wire:
        monkeypatch.setenv("HTTPS_PROXY", wire.url)
        monkeypatch.setenv("HTTP_PROXY", wire.url)
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(CERTIFICATE))
        yield wire
