"""The start and the end of an application, and what its endpoints are given."""

import asyncio
import json
import logging
import os
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from fastapi import FastAPI, Request

import safetwilio
from integrations.fastapi.asgi import ask, running
from safetwilio.clients import TwilioClient
from safetwilio.errors import ConfigurationError, UsageError
from safetwilio.integrations.fastapi import (
    AsyncClient,
    Client,
    Settings,
    TwilioWebhook,
    health_response,
    twilio_lifespan,
)
from safetwilio.testing import Emulator
from support import Key, assert_silent, auth_token, caught, codes, refused

URL = "https://example.com"
EVENTS: list[str] = []


@asynccontextmanager
async def mine(app: FastAPI) -> AsyncGenerator[dict[str, Any]]:
    """Note the order of things; the client is there already."""
    EVENTS.append(f"start {app.title}, booted: {safetwilio.health().booted}")
    yield {"mine": 1}
    EVENTS.append("stop")


@pytest.fixture(autouse=True)
def _nothing_noted() -> None:
    EVENTS.clear()


def start(app: FastAPI) -> dict[str, Any]:
    async def run() -> dict[str, Any]:
        async with running(app) as state:
            return dict(state)

    return asyncio.run(run())


def test_it_boots_loads_the_webhooks_and_runs_the_applications_own_within(
    configured: Key, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("TWILIO_WEBHOOK_AUTH_TOKEN", auth_token())
    app = FastAPI(title="shop", lifespan=twilio_lifespan(TwilioWebhook(), inner=mine))

    with caplog.at_level(logging.INFO):
        state = start(app)

    assert state == {"mine": 1}
    assert EVENTS == ["start shop, booted: True", "stop"]
    assert safetwilio.client.account_sid == configured.account
    assert any(said.startswith("Webhooks are verified with") for said in caplog.messages)


def test_every_problem_is_in_one_report_and_the_applications_own_is_not_started(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TWILIO_WEBHOOK_AUTH_TOKEN", bad := "Q" * 31)
    broken = TwilioWebhook(public_url="example.com")
    app = FastAPI(lifespan=twilio_lifespan(TwilioWebhook(), broken, inner=mine))

    error = refused(lambda: start(app))

    assert codes(error) == ["ST104", "ST103", "ST411", "ST411", "ST412"]
    assert EVENTS == []
    assert_silent(error, [bad])


def test_one_error_stays_what_it_is(configured: Key) -> None:
    app = FastAPI(lifespan=twilio_lifespan(TwilioWebhook()))

    assert codes(refused(lambda: start(app))) == ["ST410"]
    assert safetwilio.client.account_sid == configured.account


def test_an_application_that_only_receives_needs_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWILIO_WEBHOOK_AUTH_TOKEN", auth_token())

    start(FastAPI(lifespan=twilio_lifespan(TwilioWebhook(), client=False)))

    assert not safetwilio.health().booted


def test_a_demand_without_a_client_is_refused() -> None:
    with pytest.raises(UsageError, match=r"\[ST900\].*loads no key"):
        twilio_lifespan(client=False, require="restricted")


@pytest.mark.usefixtures("safetwilio_emulator")
def test_what_is_demanded_of_the_key_is_found_out() -> None:
    app = FastAPI(lifespan=twilio_lifespan(verify=True, require="restricted"))

    assert codes(refused(lambda: start(app))) == ["ST504"]


def test_with_the_boot_switched_off_nothing_is_loaded(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("SAFETWILIO_BOOT", "off")

    state = start(FastAPI(lifespan=twilio_lifespan(TwilioWebhook(), inner=mine)))

    assert state == {"mine": 1}
    assert "SAFETWILIO_BOOT=off: nothing was loaded or verified" in caplog.messages


@pytest.mark.usefixtures("configured")
def test_an_error_of_the_applications_own_goes_through() -> None:
    @asynccontextmanager
    async def broken(_: FastAPI) -> AsyncGenerator[None]:
        yield
        raise LookupError("mine")

    error = caught(lambda: start(FastAPI(lifespan=twilio_lifespan(inner=broken))))

    assert isinstance(error, LookupError)


def test_its_end_closes_the_connections_of_every_account(
    monkeypatch: pytest.MonkeyPatch, safetwilio_emulator: Emulator
) -> None:
    for name in ("ACCOUNT_SID", "API_KEY", "API_SECRET"):
        monkeypatch.setenv(f"TWILIO_SHOP_{name}", os.environ[f"TWILIO_{name}"])
    app = FastAPI(lifespan=twilio_lifespan())
    clients = [safetwilio.get_client(), safetwilio.get_client("shop")]
    open_before: list[int] = []

    @app.post("/tell")
    async def tell(client: AsyncClient) -> None:
        message = {"to": "+15005550010", "from_": "+15005550006", "body": "hello"}
        await client.messages.create_async(**message)
        await clients[1].messages.create_async(**message)

    async def run() -> None:
        async with running(app):
            assert (await ask(app, f"{URL}/tell", {})).status == 200
            open_before.extend(_sessions(clients))
        assert _sessions(clients) == [0, 0]

    asyncio.run(run())
    assert open_before == [1, 1]
    assert len(safetwilio_emulator.messages) == 2
    for client in clients:
        client.http_client.session.close()


@pytest.mark.usefixtures("configured")
def test_a_start_and_an_end_without_requests_load_no_aiohttp(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delitem(sys.modules, "safetwilio.clients.async_transport", raising=False)

    start(FastAPI(lifespan=twilio_lifespan()))

    assert "safetwilio.clients.async_transport" not in sys.modules


def test_endpoints_are_given_the_client_and_the_settings(configured: Key) -> None:
    app = FastAPI()
    given: list[Any] = []

    @app.post("/")
    async def endpoint(client: Client, same: AsyncClient, settings: Settings) -> None:
        given.extend([client, same, settings])

    assert asyncio.run(ask(app, URL + "/", {})).status == 200
    client, same, settings = given
    assert client is same is safetwilio.client
    assert isinstance(client, TwilioClient)
    assert settings.account_sid == configured.account
    assert settings.source == "env"


def test_settings_may_be_a_part_of_the_applications_own(key: Key) -> None:
    """As docs/fastapi.md has it."""
    safetwilio.configure(
        safetwilio.TwilioSettings(account_sid=key.account, api_key=key.sid, api_secret=key.secret)
    )
    app = FastAPI(lifespan=twilio_lifespan())

    @app.post("/")
    async def endpoint(settings: Settings) -> str:
        return settings.account_sid

    assert start(app) == {}
    assert asyncio.run(ask(app, URL + "/", {})).body.decode() == f'"{key.account}"'


def test_an_endpoint_without_a_key_fails_with_the_report() -> None:
    app = FastAPI()

    @app.post("/")
    async def endpoint(client: Client, request: Request) -> None: ...

    assert isinstance(caught(lambda: asyncio.run(ask(app, URL + "/", {}))), ConfigurationError)


def test_readiness_says_whether_the_key_is_there(key: Key, monkeypatch: pytest.MonkeyPatch) -> None:
    app = FastAPI()
    app.add_api_route("/ready", health_response)

    before = asyncio.run(ask(app, f"{URL}/ready", {}, method="GET"))
    for name, value in key.environment().items():
        monkeypatch.setenv(name, value)
    safetwilio.boot()
    after = asyncio.run(ask(app, f"{URL}/ready", {}, method="GET"))

    assert (before.status, json.loads(before.body)["ok"]) == (503, False)
    assert (after.status, json.loads(after.body)["ok"]) == (200, True)
    assert key.secret not in after.body.decode()
    assert key.account not in after.body.decode()


def _sessions(clients: list[TwilioClient]) -> list[int]:
    return [len(client.http_client.for_asyncio()._sessions) for client in clients]


@pytest.mark.parametrize(
    "make",
    [
        lambda: TwilioWebhook(max_body="1MB"),  # type: ignore[arg-type]
        lambda: TwilioWebhook(max_body=None),  # type: ignore[arg-type]
        lambda: TwilioWebhook(max_body=0),
        lambda: TwilioWebhook("https://example.com"),  # type: ignore[arg-type]
        lambda: twilio_lifespan(print),  # type: ignore[arg-type]
    ],
)
def test_an_argument_of_another_kind_is_said_to_be_one(make: Callable[[], object]) -> None:
    error = caught(make)
    assert isinstance(error, UsageError)
    assert error.code == "ST910"
