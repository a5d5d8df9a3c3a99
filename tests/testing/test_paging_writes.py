"""Lists that are read while others write: no item twice, and none that was there all the time lost.

So the page tokens of Twilio, which name the last item shown rather than a number, promise it.
"""

from __future__ import annotations

import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING

from asking import RECIPIENT, SENDER, Ask, pair_of, paths, token_of
from hypothesis import given, settings
from hypothesis import strategies as st

from safetwilio.testing import Emulator, EmulatorServer

if TYPE_CHECKING:
    from collections.abc import Callable

    from twilio.rest import Client

MESSAGE = {"to": RECIPIENT, "from_": SENDER, "body": "hi"}
WRITERS = 3


def test_threads_write_and_delete_while_another_lists(
    server: EmulatorServer, connect: Callable[..., Client]
) -> None:
    emulator, done = server.emulator, threading.Event()
    kept = [connect(server).messages.create(**MESSAGE).sid for _ in range(40)]
    emulator.advance(60)
    written, deleted, problems = [], [], []

    def write(number: int) -> None:
        client, doomed = connect(server), kept[number::10]  # each deletes some of the old ones too
        try:
            while not done.is_set():
                sid = client.messages.create(**MESSAGE).sid
                written.append(sid)
                for each in [sid, *doomed[:1]]:
                    emulator.advance(60)
                    deleted.append(each)
                    client.messages(each).delete()
                doomed = doomed[1:]
                written.append(client.messages.create(**MESSAGE).sid)
        except Exception as error:  # noqa: BLE001 - told by the test's own thread
            problems.append(error)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(WRITERS)]
    with ExitStack() as stack:
        stack.callback(done.set)
        for thread in threads:
            thread.start()
        client = connect(server)
        for size in (1, 2, 3, 7, 20):
            before = len(written)
            older = [*kept, *written[:before]]
            seen = [message.sid for message in client.messages.stream(page_size=size)]
            assert len(seen) == len(set(seen)), "none twice"
            stayed = [sid for sid in older if sid not in set(deleted)]
            assert [sid for sid in seen if sid in set(stayed)] == _newest_first(emulator, stayed)
            assert set(seen) <= {*older, *written, *_sent(emulator)}
    for thread in threads:
        thread.join(60)
    assert problems == []
    assert written
    assert set(deleted) & set(kept)
    left = [message.sid for message in connect(server).messages.list()]
    assert left == _newest_first(emulator, {*kept, *written} - set(deleted))


def _sent(emulator: Emulator) -> list[str]:
    return [message.sid for message in emulator.messages]


def _newest_first(emulator: Emulator, sids: set[str] | list[str]) -> list[str]:
    return [sid for sid in reversed(_sent(emulator)) if sid in set(sids)]


WRITE = st.one_of(st.just("make"), st.integers(0, 30))


@given(
    count=st.integers(0, 25),
    size=st.integers(1, 6),
    between=st.lists(st.lists(WRITE, max_size=6), max_size=12),
)
@settings(max_examples=60, deadline=None)
def test_whatever_is_written_between_two_pages(
    count: int, size: int, between: list[list[str | int]]
) -> None:
    """Makes and deletes (the n-th of all made so far), any number of them between any two pages."""
    emulator = Emulator()
    ask, key = Ask(emulator), pair_of(emulator.standard_key)
    at = paths(emulator.account)
    form = {"To": RECIPIENT, "From": SENDER, "Body": "x"}
    made = [ask("POST", at["messages"], key, **form).json()["sid"] for _ in range(count)]
    at_start, gone, seen = list(made), set(), []
    pauses = iter(between)
    query: tuple[tuple[str, str], ...] | None = (("PageSize", str(size)),)
    while query is not None:
        page = ask("GET", at["messages"], key, query=query).json()
        shown = [message["sid"] for message in page["messages"]]
        assert len(shown) <= size
        assert not gone & set(shown), "what is deleted is not shown"
        seen += shown
        for write in next(pauses, []):
            if write == "make":
                made.append(ask("POST", at["messages"], key, **form).json()["sid"])
            elif int(write) < len(made):
                emulator.advance(60)
                ask("DELETE", at["message"].format(made[int(write)]), token_of(emulator.account))
                gone.add(made[int(write)])
        following = page["next_page_uri"]
        query = _query(following) if following else None
    assert len(seen) == len(set(seen))
    assert [sid for sid in seen if sid not in gone] == [
        sid for sid in reversed(at_start) if sid not in gone
    ]


def _query(uri: str) -> tuple[tuple[str, str], ...]:
    pairs = (pair.partition("=") for pair in uri.partition("?")[2].split("&"))
    return tuple((name, value) for name, _, value in pairs)
