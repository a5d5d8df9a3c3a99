"""The master Auth Token: only inside a break_glass block, and not a moment longer."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from leaks import Spotter
from requests.auth import HTTPBasicAuth

from safetwilio import break_glass
from safetwilio.clients import TwilioClient
from safetwilio.errors import MasterTokenInUse, MissingCredentials, RefusedBeforeSending

if TYPE_CHECKING:
    from collections.abc import Iterator

    from safetwilio.testing import Emulator

Pair = tuple[str, str]


@pytest.fixture
def pair(emulator: Emulator) -> Pair:
    return emulator.account.sid, emulator.account.auth_token


@pytest.fixture
def master(pair: Pair) -> Iterator[TwilioClient]:
    """Make a client inside a block, and give it away after the block."""
    with break_glass(reason="test"):
        made = TwilioClient(*pair)
        assert made.api.accounts(pair[0]).fetch().auth_token == pair[1]
    yield made
    made.http_client.session.close()


def url(emulator: Emulator) -> str:
    return f"https://api.twilio.com/2010-04-01/Accounts/{emulator.account.sid}.json"


def test_refused_outside(pair: Pair) -> None:
    with pytest.raises(MasterTokenInUse) as refused:
        TwilioClient(*pair)
    assert refused.value.code == "ST506"


def test_refuses_after_the_block(master: TwilioClient, pair: Pair, emulator: Emulator) -> None:
    before = len(emulator.requests)
    for call in (
        lambda: master.api.accounts(pair[0]).fetch(),
        lambda: master.keys.list(),  # noqa: PLW0108 - nothing but a call until then
        lambda: master.request("GET", url(emulator)),
        lambda: master.request("GET", url(emulator), auth=pair),
        lambda: master.get_auth(None),
        lambda: master.get_auth(("SK1", "x" * 32)),
    ):
        with pytest.raises(RefusedBeforeSending) as refused:
            call()
        assert refused.value.code == "ST805"
    assert len(emulator.requests) == before


def test_refuses_after_the_block_in_any_thread(master: TwilioClient, pair: Pair) -> None:
    def ask() -> str:
        with pytest.raises(RefusedBeforeSending) as refused:
            master.api.accounts(pair[0]).fetch()
        return refused.value.code

    with ThreadPoolExecutor(4) as pool:
        assert {pool.submit(ask).result() for _ in range(8)} == {"ST805"}
        context = contextvars.copy_context()
        assert pool.submit(context.run, ask).result() == "ST805"
        with break_glass(reason="another"):
            assert pool.submit(ask).result() == "ST805"
            assert ask() == "ST805"  # its own block has ended; another does not help


def test_paging_does_not_go_on_after_the_block(pair: Pair, emulator: Emulator) -> None:
    for _ in range(3):
        emulator.account.create_key()
    with break_glass(reason="test"):
        client = TwilioClient(*pair)
        pages = client.keys.stream(page_size=1)
        next(pages)
    with pytest.raises(RefusedBeforeSending):
        list(pages)
    client.http_client.session.close()


def test_another_thread_may_use_it_but_not_make_one(pair: Pair) -> None:
    with break_glass(reason="test"), ThreadPoolExecutor(1) as pool:
        client = TwilioClient(*pair)
        fetched = pool.submit(lambda: client.api.accounts(pair[0]).fetch()).result()
        assert fetched.sid == pair[0]
        with pytest.raises(MasterTokenInUse):
            pool.submit(TwilioClient, *pair).result()
    client.http_client.session.close()


def test_task_that_outlives_the_block(pair: Pair) -> None:
    """A task copies the context it was made in, with the block that was open then."""

    async def make_later(gone: asyncio.Event) -> None:
        await gone.wait()
        with pytest.raises(MasterTokenInUse):
            TwilioClient(*pair)

    async def main() -> None:
        gone = asyncio.Event()
        with break_glass(reason="test"):
            task = asyncio.create_task(make_later(gone))
        gone.set()
        await task

    asyncio.run(main())


def test_explicit_pairs_are_checked_like_the_constructors(
    client: TwilioClient, pair: Pair, emulator: Emulator
) -> None:
    before, own = len(emulator.requests), client.auth
    for given in (pair, HTTPBasicAuth(*pair), ("SK" + "1" * 32, pair[1])):
        with pytest.raises(MasterTokenInUse) as refused:
            client.request("GET", url(emulator), auth=given)
        assert refused.value.code == "ST506"
        client.auth = given
        with pytest.raises(MasterTokenInUse):
            client.request("GET", url(emulator))
        client.auth = own
    assert len(emulator.requests) == before


def test_explicit_pair_inside_a_block(client: TwilioClient, pair: Pair, emulator: Emulator) -> None:
    with break_glass(reason="test"):
        assert client.request("GET", url(emulator), auth=pair).status_code == 200
        assert client.request("GET", url(emulator), auth=HTTPBasicAuth(*pair)).status_code == 200
    with pytest.raises(MasterTokenInUse):
        client.request("GET", url(emulator), auth=pair)


@pytest.mark.parametrize("given", [("", "x"), ("SK1", ""), ("", "")])
def test_explicit_pair_that_is_none(client: TwilioClient, given: Pair) -> None:
    with pytest.raises(MissingCredentials):
        client.get_auth(given)


@pytest.mark.parametrize("given", [None, ()])
def test_no_explicit_pair(client: TwilioClient, given: object) -> None:
    assert client.get_auth(given) is client.auth


@pytest.mark.parametrize("given", [(), ("account",)])
def test_the_token_of_the_environment_is_not_picked_up_inside_a_block_either(
    pair: Pair, monkeypatch: pytest.MonkeyPatch, given: tuple[str, ...]
) -> None:
    """The block allows the token that its author hands in, not the one that lies about."""
    monkeypatch.setenv("TWILIO_ACCOUNT_SID", pair[0])
    monkeypatch.setenv("TWILIO_AUTH_TOKEN", pair[1])
    with break_glass(reason="test"), pytest.raises(MissingCredentials) as refused:
        TwilioClient(*(pair[0] for _ in given))
    assert refused.value.code == ("ST101" if given else "ST104")


def test_a_mapping_counts_inside_a_block_as_with_twilio(pair: Pair) -> None:
    mapping = {"TWILIO_ACCOUNT_SID": pair[0], "TWILIO_AUTH_TOKEN": pair[1]}
    with break_glass(reason="test"):
        client = TwilioClient(environment=mapping)
        assert client.api.accounts(pair[0]).fetch().sid == pair[0]
    client.http_client.session.close()


def test_key_made_inside_works_after(emulator: Emulator) -> None:
    key = emulator.standard_key
    with break_glass(reason="test"):
        client = TwilioClient(key.sid, key.secret, emulator.account.sid)
    assert client.messages.list(limit=1) == []
    client.http_client.session.close()


def test_key_without_its_account_inside_a_block_is_as_with_twilio() -> None:
    with break_glass(reason="test"):
        assert TwilioClient("SK1", "x" * 32).account_sid == "SK1"
        assert TwilioClient("AC1", "short").account_sid == "AC1"


def test_nothing_of_the_token_shows(
    master: TwilioClient, pair: Pair, caplog: pytest.LogCaptureFixture
) -> None:
    spotter = Spotter(pair[1])
    assert spotter.in_object(master, but=(master._api,)) == []
    caplog.set_level(logging.DEBUG)
    with break_glass(reason="ticket 1"):
        client = TwilioClient(*pair)
        client.keys.list()
        assert "ticket 1" in caplog.text
        assert "test_nothing_of_the_token_shows" in caplog.text
    assert spotter.count(caplog.text) == 0
    client.http_client.session.close()
