"""Bearers of OAuth apps under asyncio and in threads: fetched once, ahead of time, and hidden."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import jwt
import pytest
from twilio.auth_strategy.token_auth_strategy import TokenAuthStrategy
from twilio.base.exceptions import TwilioException
from twilio.credential.client_credential_provider import ClientCredentialProvider
from wires import Wire, answer

from safetwilio.clients import TransportError, TwilioClient, oauth
from safetwilio.redaction.engine import redact
from support import account_sid, key_secret

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wires import Received

MESSAGES = "https://api.twilio.com/2010-04-01/x"
# Of Twilio's organizations API; older releases of its package ask the preview of it.
TOKEN_ENDPOINTS = ("/v2/token", "/v1/token")


def bearer(seconds: float) -> str:
    """Return a JWT that ends in so many *seconds*, and is no other's."""
    return jwt.encode({"exp": time.time() + seconds, "jti": key_secret()}, key_secret())


class Office(Wire):
    """The token endpoint and Twilio: each fetch gives out a bearer of *lives* seconds."""

    lives = 3600.0
    broken = False
    held: threading.Event | None = None

    def __init__(self) -> None:
        """Give out nothing yet."""
        super().__init__()
        self.given: list[str] = []
        self.behave = self._act

    def _act(self, request: Received) -> bytes:
        if request.target not in TOKEN_ENDPOINTS:
            return answer()
        if self.held is not None:
            assert self.held.wait(20)
        if self.broken:
            return answer(500, {"code": 20500, "message": "x", "status": 500})
        self.given.append(bearer(self.lives))
        return answer(200, {"access_token": self.given[-1], "token_type": "Bearer"})

    @property
    def used(self) -> list[str]:
        """The bearers of the requests, in order."""
        headers = [
            r.headers["authorization"] for r in self.requests if r.target not in TOKEN_ENDPOINTS
        ]
        return [header.removeprefix("Bearer ") for header in headers]


@pytest.fixture
def office(monkeypatch: pytest.MonkeyPatch) -> Iterator[Office]:
    with Office() as office:
        monkeypatch.setenv("SAFETWILIO_EMULATOR", office.url)
        yield office


@pytest.fixture
def client(office: Office) -> Iterator[TwilioClient]:
    assert office.given == []
    provider = ClientCredentialProvider("OQ" + "1" * 32, key_secret())
    client = TwilioClient(account_sid=account_sid(), credential_provider=provider)
    yield client
    client.http_client.session.close()
    provider.token_manager.client.http_client.session.close()


class Clock:
    """What the time is for bearers: so many seconds *ahead*."""

    ahead = 0.0

    def time(self) -> float:
        """Return it."""
        return time.time() + self.ahead


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(oauth, "time", clock)
    return clock


async def status(client: TwilioClient) -> int:
    return (await client.request_async("GET", MESSAGES)).status_code


def test_one_fetch_for_many_tasks_while_the_loop_goes_on(
    client: TwilioClient, office: Office
) -> None:
    """The token endpoint answers only once the loop has turned: it did not wait for it."""
    office.held = threading.Event()

    async def many() -> list[int]:
        tasks = [asyncio.create_task(status(client)) for _ in range(50)]
        given_up = tasks.pop()
        while not any(r.target in TOKEN_ENDPOINTS for r in office.requests):  # noqa: ASYNC110
            await asyncio.sleep(0)
        given_up.cancel()  # one who does not wait takes nothing from the others
        office.held.set()
        return await asyncio.gather(*tasks)

    assert asyncio.run(many()) == [200] * 49
    assert len(office.given) == 1
    assert set(office.used) == set(office.given)
    assert client.credential_provider.auth_strategy._flights == {}


def test_one_fetch_for_many_threads(client: TwilioClient, office: Office) -> None:
    start = threading.Barrier(8)

    def send(_: int) -> int:
        start.wait(20)
        return client.request("GET", MESSAGES).status_code

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(send, range(8))) == [200] * 8
    assert len(office.given) == 1


@pytest.mark.parametrize("under", ["threads", "asyncio"])
@pytest.mark.parametrize("life", [(3600, 1), (61, 1), (50, 1), (0.01, 2)])
def test_a_bearer_is_kept_until_shortly_before_its_end(
    client: TwilioClient, office: Office, clock: Clock, under: str, life: tuple[float, int]
) -> None:
    """The next request comes six seconds later: one that lives for nothing is used for five."""
    office.lives, fetches = life
    for _ in range(2):
        if under == "threads":
            client.request("GET", MESSAGES)
        else:
            asyncio.run(status(client))
        clock.ahead = 6
    assert len(office.given) == fetches


@pytest.mark.parametrize(("later", "fetches"), [(3500, 1), (3545, 2)])
def test_it_is_renewed_ahead_of_its_end(
    client: TwilioClient, office: Office, clock: Clock, later: float, fetches: int
) -> None:
    asyncio.run(status(client))
    clock.ahead = later
    asyncio.run(status(client))
    assert len(office.given) == fetches
    assert office.used[-1] == office.given[-1]


def test_bearers_are_hidden_in_logs_and_old_ones_forgotten(
    client: TwilioClient, office: Office
) -> None:
    strategy = client.credential_provider.auth_strategy
    for _ in range(3):
        client.request("GET", MESSAGES)
        strategy._due = 0.0
    first, second, third = office.given
    assert redact(f"x {third} {second}").count("[TWILIO:secret:") == 2
    assert first.rpartition(".")[2] in redact(f"x {first}")
    assert office.used == office.given


@pytest.mark.parametrize("left", [30, -1])
def test_when_none_can_be_fetched_the_present_one_is_used_while_it_lasts(
    client: TwilioClient,
    office: Office,
    caplog: pytest.LogCaptureFixture,
    clock: Clock,
    left: float,
) -> None:
    asyncio.run(status(client))
    office.broken = True
    clock.ahead = 3600 - left
    if left < 0:
        with pytest.raises(TwilioException):
            asyncio.run(status(client))
        assert len(office.used) == 1
        return
    assert asyncio.run(status(client)) == 200
    [warning] = [each for each in caplog.records if each.levelno == logging.WARNING]
    assert "No new OAuth access token could be fetched" in warning.getMessage()
    assert office.used == office.given * 2


def test_failure_reaches_all_who_wait(client: TwilioClient, office: Office) -> None:
    office.broken = True

    async def many() -> list[Any]:
        tasks = (status(client) for _ in range(5))
        return await asyncio.gather(*tasks, return_exceptions=True)

    failures = asyncio.run(many())
    assert all(isinstance(each, Exception) for each in failures)
    assert not any(isinstance(each, TransportError) for each in failures)
    assert office.used == []


def test_what_a_provider_fetched_before_is_used(client: TwilioClient, office: Office) -> None:
    provider = client.credential_provider
    provider.auth_strategy = theirs = TokenAuthStrategy(provider.token_manager)
    theirs.token = bearer(3600)
    again = TwilioClient(account_sid=account_sid(), credential_provider=provider)
    again.request("GET", MESSAGES)
    assert office.used == [theirs.token]
    assert office.given == []
    assert theirs.token not in redact(theirs.token)
    again.http_client.session.close()
