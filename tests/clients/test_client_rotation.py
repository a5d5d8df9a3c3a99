"""A key that Twilio refuses: looked for, and the request sent once more, if there is another."""

from __future__ import annotations

import asyncio
import io
import logging
import math
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
import requests
from twilio.base.exceptions import TwilioException, TwilioRestException
from twilio.http import HttpClient
from twilio.http.response import Response

from safetwilio import break_glass
from safetwilio.clients import TwilioClient
from safetwilio.credentials import ApiKey
from safetwilio.errors import BackendUnavailable
from safetwilio.problems import Problem
from safetwilio.refresh_policy import RefreshPolicy
from safetwilio.store import MAX_WAITING, CredentialStore
from safetwilio.testing import faults
from support import caught, leaks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from safetwilio.testing import Emulator
    from safetwilio.testing.records import Key as EmulatedKey

MESSAGE = {"to": "+15551230001", "from_": "+15551230000", "body": "hi"}
SHORT = RefreshPolicy(age=math.inf, wait=1.2, stale=math.inf)
LONG = SHORT._replace(wait=30)


def loaded(key: EmulatedKey) -> ApiKey:
    return ApiKey(key.account_sid, key.sid, key.secret, source="the test")


class Place:
    """Where the key is; counts the looks. Without a key it does not answer."""

    def __init__(self, emulator: Emulator) -> None:  # noqa: D107
        self._emulator = emulator
        self.key: EmulatedKey | None = emulator.standard_key
        self.looks = 0
        self.looked = threading.Event()

    def load(self) -> ApiKey:  # noqa: D102
        self.looks += 1
        if self.key is None:
            self.looked.set()
            raise BackendUnavailable([Problem(code="ST332", summary="Down.", fix="Wait.")])
        return loaded(self.key)

    def rotate(self, *, late: bool = False) -> EmulatedKey:
        """Make a key in place of the present one, which is deleted at once; *late*: not put."""
        assert self.key
        old, new = self.key, self._emulator.account.create_key()
        self.key = None if late else new
        self._emulator.account.delete_key(old.sid)
        return new


@pytest.fixture
def place(emulator: Emulator) -> Place:
    return Place(emulator)


@pytest.fixture
def client(place: Place) -> Iterator[TwilioClient]:
    made = TwilioClient.from_store(CredentialStore(place.load(), place.load, policy=SHORT))
    place.looks = 0
    yield made
    made.http_client.session.close()


def send(client: TwilioClient) -> Any:
    return client.messages.create(**MESSAGE)


def send_async(client: TwilioClient) -> Any:
    async def go() -> Any:
        try:
            return await client.messages.create_async(**MESSAGE)
        finally:
            await client.aclose()

    return asyncio.run(go())


ways = pytest.mark.parametrize("do", [send, send_async])
Send = "Callable[[TwilioClient], Any]"


@ways
def test_the_request_is_sent_once_more_with_the_other_key(
    do: Send, client: TwilioClient, place: Place, emulator: Emulator
) -> None:
    do(client)
    old, new = place.key, place.rotate()
    do(client)
    do(client)
    assert old
    assert [message.key_sid for message in emulator.messages] == [old.sid, new.sid, new.sid]
    assert [entry.status for entry in emulator.requests] == [201, 401, 201, 201]
    assert place.looks == 1


def test_what_can_be_read_only_once_is_not_sent_again_empty(
    client: TwilioClient, place: Place, emulator: Emulator
) -> None:
    body = b"To=%2B15551230001&From=%2B15551230000&Body=hi"
    url = f"https://api.twilio.com/2010-04-01/Accounts/{client.account_sid}/Messages.json"
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    place.rotate()
    file: Any = io.BytesIO(body)
    answer = client.request("POST", url, data=file, headers=form)
    assert answer.status_code == 401
    assert [entry.status for entry in emulator.requests] == [401]
    for thread in threading.enumerate():
        if thread.name == "safetwilio-refresh":
            thread.join(30)
    answer = client.request("POST", url, data=body, headers=form)
    assert answer.status_code == 201
    assert [message.body for message in emulator.messages] == ["hi"]
    assert place.looks == 1


def test_many_at_once_share_one_look(
    client: TwilioClient, place: Place, emulator: Emulator
) -> None:
    send(client)
    new = place.rotate()
    threads = [threading.Thread(target=send, args=(client,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [message.key_sid for message in emulator.messages[1:]] == [new.sid] * 8
    assert place.looks == 1


def test_many_coroutines_share_one_look(
    client: TwilioClient, place: Place, emulator: Emulator
) -> None:
    send(client)
    new = place.rotate()

    async def all_at_once() -> None:
        await asyncio.gather(*(client.messages.create_async(**MESSAGE) for _ in range(50)))
        await client.aclose()

    asyncio.run(all_at_once())
    assert [message.key_sid for message in emulator.messages[1:]] == [new.sid] * 50
    assert place.looks == 1


@ways
def test_without_another_key_the_error_stands_and_is_explained(
    do: Send, place: Place, emulator: Emulator
) -> None:
    """Nobody waits for a key that cannot come."""
    assert place.key
    client = TwilioClient.from_store(CredentialStore(place.load(), policy=LONG))
    emulator.account.delete_key(place.key.sid)
    began = time.monotonic()
    error = caught(lambda: do(client))
    assert time.monotonic() - began < LONG.wait
    assert isinstance(error, TwilioRestException)
    assert (error.status, error.code) == (401, 20003)
    assert "ST342" not in str(error)
    assert "the key was deleted or rotated" in str(error)
    assert [entry.status for entry in emulator.requests] == [401]


@ways
def test_another_key_is_waited_for_and_then_the_error_says_so(
    do: Send, client: TwilioClient, place: Place, emulator: Emulator
) -> None:
    place.rotate(late=True)
    began = time.monotonic()
    error = caught(lambda: do(client))
    assert SHORT.wait <= time.monotonic() - began < SHORT.wait + 3
    assert isinstance(error, TwilioRestException)
    assert (error.status, error.code) == (401, 20003)
    assert "[ST342] No other key was found (for 1 s now)" in str(error)
    assert [entry.status for entry in emulator.requests] == [401]
    assert 2 <= place.looks <= 5


@ways
def test_a_key_that_stays_away_does_not_hold_every_request(
    do: Send, client: TwilioClient, place: Place
) -> None:
    """All that the first waited counts for the others; yet each finds the key if it is there."""
    new = place.rotate(late=True)
    assert caught(lambda: do(client))
    for _ in range(3):
        began = time.monotonic()
        error = caught(lambda: do(client))
        assert "[ST342]" in str(error)
        assert time.monotonic() - began < SHORT.wait
    place.key = new
    client._store._looked = -math.inf  # half a second later
    do(client)


@ways
def test_who_waits_goes_on_when_the_key_comes(do: Send, place: Place, emulator: Emulator) -> None:
    client = TwilioClient.from_store(CredentialStore(place.load(), place.load, policy=LONG))
    do(client)
    new = place.rotate(late=True)

    def come() -> None:
        assert place.looked.wait(30)
        place.key = new

    thread = threading.Thread(target=come)
    thread.start()
    do(client)
    thread.join()
    assert [message.key_sid for message in emulator.messages][1:] == [new.sid]
    assert [entry.status for entry in emulator.requests] == [201, 401, 201]


def test_no_more_than_so_many_wait(client: TwilioClient, place: Place, emulator: Emulator) -> None:
    send(client)
    place.rotate(late=True)
    took: list[float] = []

    async def one() -> None:
        began = time.monotonic()
        with pytest.raises(TwilioRestException):
            await client.messages.create_async(**MESSAGE)
        took.append(time.monotonic() - began)

    async def all_at_once() -> None:
        await asyncio.gather(*(one() for _ in range(MAX_WAITING + 20)))
        await client.aclose()

    asyncio.run(all_at_once())
    assert sum(seconds >= SHORT.wait for seconds in took) == MAX_WAITING
    assert len(emulator.messages) == 1


def test_a_refusal_of_the_kind_of_key_is_not_waited_for(client: TwilioClient) -> None:
    """Twilio answers 20003 there to every key that is not a Main key."""
    send(client)
    began = time.monotonic()
    error = caught(lambda: client.api.v2010.accounts.list(limit=1))
    assert isinstance(error, TwilioException)
    assert time.monotonic() - began < SHORT.wait
    assert "ST342" not in str(error)


def test_while_the_key_is_accepted_elsewhere_nobody_waits_for_another(
    place: Place, emulator: Emulator
) -> None:
    """The refusal then is about what was asked for, not about the key."""
    client = TwilioClient.from_store(CredentialStore(place.load(), place.load, policy=LONG))
    emulator.account.create_key()
    send(client)
    stop = threading.Event()

    def go_on() -> None:
        while not stop.is_set():
            send(client)

    key = place.key
    assert key
    store = client._store
    assert store
    thread = threading.Thread(target=go_on)
    thread.start()
    began = time.monotonic()
    assert store.instead_of(loaded(key), may_wait=True).key is None
    assert time.monotonic() - began < LONG.wait
    stop.set()
    thread.join()
    client.http_client.session.close()


def test_a_refusal_that_was_none_of_the_key_is_not_waited_for_again(
    client: TwilioClient, emulator: Emulator
) -> None:
    """What every key is refused, in a program that does one thing after the other."""
    send(client)
    another = emulator.create_account().sid
    send(client)
    for number in range(3):
        began = time.monotonic()
        assert caught(lambda: client.api.v2010.accounts(another).messages.list(limit=1))
        assert (time.monotonic() - began >= SHORT.wait) == (number == 0)
        send(client)


def test_when_another_key_was_found_nobody_says_there_was_none(
    client: TwilioClient, place: Place, emulator: Emulator
) -> None:
    old = place.key
    assert old
    place.key = emulator.account.create_key("restricted")
    emulator.account.delete_key(old.sid)
    error = caught(lambda: send(client))
    assert isinstance(error, TwilioRestException)
    assert error.code == 70051
    assert "ST342" not in str(error)


@pytest.mark.parametrize("status", [400, 403, 404, 429, 500])
def test_other_answers_are_no_refusal(
    client: TwilioClient, place: Place, emulator: Emulator, status: int
) -> None:
    for _ in range(3):
        emulator.faults.add(faults.status(status))
    assert caught(lambda: send(client))
    assert place.looks == 0


def test_a_pair_given_for_one_request_is_nobody_elses_affair(
    client: TwilioClient, place: Place, emulator: Emulator
) -> None:
    wrong = (emulator.standard_key.sid, "0" * 31 + "A")
    url = f"https://api.twilio.com/2010-04-01/Accounts/{emulator.account.sid}/Messages.json"
    for words in ({"auth": wrong}, {}):
        positional = () if words else (None, None, None, wrong)
        answer = client.request("GET", url, *positional, **words)
        assert answer.status_code == 401
    assert place.looks == 0
    assert client.request("GET", url, None, None, None, None).status_code == 200


class Foreign(HttpClient):
    """Somebody's own HTTP client, which gets the plain pair."""

    def __init__(self, url: str) -> None:  # noqa: D107
        self._url = url

    def request(self, method: str, url: str, **named: Any) -> Response:  # type: ignore[override]  # noqa: D102
        path = url.partition("://")[2].partition("/")[2]
        answer = requests.request(
            method,
            f"{self._url}/{path}",
            data=named["data"],
            headers={**named["headers"], "Host": "api.twilio.com"},
            auth=named["auth"],
            timeout=30,
        )
        return Response(answer.status_code, answer.text)


def test_another_http_client_goes_on_too(
    place: Place, emulator: Emulator, server: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    client = TwilioClient.from_store(
        CredentialStore(place.load(), place.load, policy=SHORT), http_client=Foreign(server.url)
    )
    send(client)
    new = place.rotate()
    send(client)
    assert [message.key_sid for message in emulator.messages][1:] == [new.sid]


def test_another_http_client_under_break_glass_in_another_thread(
    emulator: Emulator, server: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    account = emulator.account
    with break_glass(reason="a test"):
        client = TwilioClient(account.sid, account.auth_token, http_client=Foreign(server.url))
        sent: list[Any] = []
        thread = threading.Thread(target=lambda: sent.append(caught(lambda: send(client))))
        thread.start()
        thread.join()
    assert sent == [None]


def test_the_auth_of_another_client_is_used(client: TwilioClient, emulator: Emulator) -> None:
    other = emulator.account.create_key()
    client.auth = TwilioClient(other.sid, other.secret, emulator.account.sid).auth
    send(client)
    assert emulator.messages[-1].key_sid == other.sid


def test_no_error_of_a_rotation_holds_a_secret(
    client: TwilioClient, place: Place, emulator: Emulator
) -> None:
    assert place.key
    old = place.key
    new = place.rotate()
    emulator.account.delete_key(new.sid)
    error = caught(lambda: send(client))
    assert isinstance(error, TwilioRestException)
    held = [old.secret, new.secret]
    assert leaks(repr(vars(error)) + str(error), held) == []
    frames = []
    trace = error.__traceback__
    while trace:
        frames.append(repr(trace.tb_frame.f_locals))
        trace = trace.tb_next
    assert leaks("".join(frames), held) == []
