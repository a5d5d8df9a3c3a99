"""Paging, as Twilio's own library walks it over HTTP."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

import pytest
from asking import RECIPIENT, SENDER, Ask, pair_of, paths
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twilio.base.exceptions import TwilioException

from safetwilio.testing import Emulator, EmulatorServer

if TYPE_CHECKING:
    from collections.abc import Callable

    from twilio.rest import Client

MESSAGE = {"To": RECIPIENT, "From": SENDER}


def fill(emulator: Emulator, count: int, start: int = 0) -> None:
    ask, key = Ask(emulator), pair_of(emulator.standard_key)
    for number in range(start, start + count):
        ask("POST", paths(emulator.account)["messages"], key, **MESSAGE, Body=str(number))


def numbers(messages: list) -> list[int]:
    return [int(message.body) for message in messages]


@given(
    count=st.integers(0, 40),
    size=st.integers(1, 15),
    limit=st.none() | st.integers(1, 50),
    arriving=st.integers(0, 5),
)
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_every_message_once_newest_first(
    connect: Callable[..., Client], count: int, size: int, limit: int | None, arriving: int
) -> None:
    """Whatever the page size and limit, and although messages arrive while pages are read."""
    with EmulatorServer() as server:
        fill(server.emulator, count)
        stream = connect(server).messages.stream(limit=limit, page_size=size)
        seen = [message for _, message in zip(range(1), stream, strict=False)]
        fill(server.emulator, arriving, start=count)
        seen += stream
        expected = list(reversed(range(count)))[:limit]
        assert numbers(seen) == expected


@given(count=st.integers(0, 30), size=st.integers(1, 10))
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_there_and_back(connect: Callable[..., Client], count: int, size: int) -> None:
    """Walking to the last page and back shows the same pages, and counts them."""
    with EmulatorServer() as server:
        fill(server.emulator, count)
        page = connect(server).messages.page(page_size=size)
        forwards = []
        while True:
            payload = page._payload
            forwards.append(numbers(list(page)))
            assert payload["page"] == len(forwards) - 1
            assert payload["start"] == size * payload["page"]
            assert payload["end"] == payload["start"] + max(len(forwards[-1]) - 1, 0)
            following = page.next_page()
            if following is None:
                break
            page = following
        backwards = []
        while page is not None:
            previous = page.previous_page()
            if previous is not None:
                backwards.append(numbers(list(previous)))
            page = previous
        assert backwards == forwards[-2::-1]
        assert [*chain(*forwards)] == list(reversed(range(count)))


def test_the_tokens_name_the_ends_of_the_page(emulator: Emulator, ask: Ask) -> None:
    """As in the answer recorded in github.com/saintpete/logrole: PA + last, PB + first SID."""
    fill(emulator, 6)
    path, key = paths(emulator.account)["messages"], pair_of(emulator.standard_key)
    first = ask("GET", path, key, query=(("PageSize", "2"),)).json()
    token = "PA" + first["messages"][-1]["sid"]
    assert first["next_page_uri"].endswith(f"PageSize=2&Page=1&PageToken={token}")
    assert first["previous_page_uri"] is None
    query = (("PageSize", "2"), ("Page", "1"), ("PageToken", token))
    second = ask("GET", path, key, query=query).json()
    sids = [message["sid"] for message in second["messages"]]
    assert second["next_page_uri"].endswith(f"PageSize=2&Page=2&PageToken=PA{sids[-1]}")
    assert second["previous_page_uri"].endswith(f"PageSize=2&Page=0&PageToken=PB{sids[0]}")


def test_a_page_goes_on_where_its_last_message_was_deleted(
    server: EmulatorServer, connect: Callable[..., Client]
) -> None:
    fill(server.emulator, 4)
    server.emulator.advance(10)
    client = connect(server)
    page = client.messages.page(page_size=2)
    shown = list(page)
    assert client.messages(shown[-1].sid).delete()
    assert numbers(list(page.next_page())) == [1, 0]


def test_filters_stay_in_the_links(server: EmulatorServer, connect: Callable[..., Client]) -> None:
    fill(server.emulator, 3)
    emulator = server.emulator
    other = {"To": "+15559990000", "From": SENDER, "Body": "other"}
    ask, key = Ask(emulator), pair_of(emulator.standard_key)
    ask("POST", paths(emulator.account)["messages"], key, **other)
    assert numbers(connect(server).messages.list(to=RECIPIENT, page_size=1)) == [2, 1, 0]


@pytest.mark.parametrize(
    ("size", "code"), [("1001", 20007), ("0", 20001), ("-1", 20001), ("ten", 20001), ("", 20001)]
)
def test_a_page_size_out_of_range_is_refused(
    emulator: Emulator, ask: Ask, size: str, code: int
) -> None:
    query = (("PageSize", size),)
    path, key = paths(emulator.account)["messages"], pair_of(emulator.standard_key)
    response = ask("GET", path, key, query=query)
    assert (response.status, response.json()["code"]) == (400, code)


def test_an_oversized_page_may_be_clamped() -> None:
    emulator = Emulator(assumptions={"oversized_page": "clamped"})
    path, key = paths(emulator.account)["messages"], pair_of(emulator.standard_key)
    answer = Ask(emulator)("GET", path, key, query=(("PageSize", "5000"),))
    assert answer.json()["page_size"] == 1000


@pytest.mark.parametrize(("choice", "status"), [("ignored", 200), ("refused", 400)])
def test_a_page_number_without_its_token(choice: str, status: int) -> None:
    emulator = Emulator(assumptions={"page_without_token": choice})
    fill(emulator, 3)
    path, key = paths(emulator.account)["messages"], pair_of(emulator.standard_key)
    answer = Ask(emulator)("GET", path, key, query=(("Page", "1"), ("PageSize", "1")))
    assert answer.status == status
    if status == 200:
        assert [message["body"] for message in answer.json()["messages"]] == ["2"]


@pytest.mark.parametrize("query", [("Page", "x"), ("PageToken", "PASM1"), ("PageToken", "x")])
def test_a_page_that_does_not_exist_is_refused(
    emulator: Emulator, ask: Ask, query: tuple[str, str]
) -> None:
    path, key = paths(emulator.account)["messages"], pair_of(emulator.standard_key)
    assert ask("GET", path, key, query=(query,)).json()["code"] == 20001


def test_the_library_reports_a_refused_list(
    server: EmulatorServer, connect: Callable[..., Client]
) -> None:
    """A list raises the bare TwilioException, as the facts say of the real one."""
    with pytest.raises(TwilioException, match="Unable to fetch page") as caught:
        connect(server).keys.list()
    assert caught.value.args[1].status_code == 401
