"""Making, listing and deleting keys against the emulator, and what is said when it fails."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import sys
import traceback
from typing import TYPE_CHECKING, Any

import pytest

from safetwilio import break_glass
from safetwilio.admin.keys import KeySummary, create_key, delete_key, list_keys
from safetwilio.clients import Transport, TwilioClient
from safetwilio.credentials import mask
from safetwilio.errors import AccountOperationError
from safetwilio.redaction.engine import redact
from safetwilio.testing import Emulator, EmulatorServer, faults
from support import key_secret, leaks, new_key, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Make = Callable[[str, str, str], TwilioClient]

NAME = "safetwilio/app/20261122T000000Z"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[EmulatorServer]:
    with EmulatorServer() as server:
        monkeypatch.setenv("SAFETWILIO_EMULATOR", server.url)
        yield server


@pytest.fixture
def emulator(server: EmulatorServer) -> Emulator:
    return server.emulator


@pytest.fixture
def make(server: EmulatorServer) -> Iterator[Make]:
    """Make clients; break-glass is open, and their connections end with the test."""
    transports = []

    def client(username: str, secret: str, account_sid: str) -> TwilioClient:
        transports.append(Transport(emulator=server.url, max_retries=0, timeout=5))
        return TwilioClient(username, secret, account_sid, http_client=transports[-1])

    with break_glass(reason="test"):
        yield client
    for transport in transports:
        transport.session.close()


@pytest.fixture
def admin(emulator: Emulator, make: Make) -> TwilioClient:
    account = emulator.account
    return make(account.sid, account.auth_token, account.sid)


OPERATIONS: dict[str, Callable[[TwilioClient], object]] = {
    "create": lambda client: create_key(client, NAME),
    "list": list_keys,
    "delete": lambda client: delete_key(client, "SK" + "0" * 32),
}


def refused(call: Callable[[], object]) -> AccountOperationError:
    """Return the error, of which no frame below this test's may be needed."""
    with pytest.raises(AccountOperationError) as raised:
        call()
    assert raised.value.__cause__ is None
    assert raised.value.__context__ is None
    return raised.value


def test_life_of_a_key(admin: TwilioClient, emulator: Emulator, make: Make) -> None:
    made = create_key(admin, NAME)
    assert made.name == NAME
    assert made.secret.get_secret_value() not in repr(made) + redact(made.secret.get_secret_value())
    client = make(made.sid, made.secret.get_secret_value(), emulator.account.sid)
    assert client.messages.list(limit=1) == []
    summary = next(key for key in list_keys(admin) if key.sid == made.sid)
    assert summary == KeySummary(made.sid, NAME, summary.created)
    assert isinstance(summary.created, dt.datetime)
    assert len(list_keys(admin)) == 3
    delete_key(admin, made.sid)
    delete_key(admin, made.sid)  # it is gone already
    assert len(list_keys(admin)) == 2


def test_more_keys_than_a_page(admin: TwilioClient, emulator: Emulator) -> None:
    for _ in range(60):
        emulator.account.create_key()
    assert len({key.sid for key in list_keys(admin)}) == 62


@pytest.mark.parametrize("operation", OPERATIONS)
def test_main_key_may(emulator: Emulator, make: Make, operation: str) -> None:
    key = emulator.main_key
    OPERATIONS[operation](make(key.sid, key.secret, emulator.account.sid))


@pytest.mark.parametrize("operation", OPERATIONS)
def test_standard_key_may_not(emulator: Emulator, make: Make, operation: str) -> None:
    key = emulator.standard_key
    client = make(key.sid, key.secret, emulator.account.sid)
    error = refused(lambda: OPERATIONS[operation](client))
    assert error.code == "ST610"
    assert "a Standard one may never do this" in str(error)
    whose = f"the API key {mask('key', key.sid)} of {mask('account', emulator.account.sid)}:"
    assert f". It was asked with {whose} " in str(error)
    assert "Auth Token" not in str(error)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_wrong_token(emulator: Emulator, make: Make, operation: str) -> None:
    sid = emulator.account.sid
    error = refused(lambda: OPERATIONS[operation](make(sid, "0123456789abcdef" * 2, sid)))
    assert error.code == "ST610"
    assert "it was rotated" in str(error)
    assert f". It was asked with the Auth Token of {mask('account', sid)}: " in str(error)
    assert "API key was used" not in str(error)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_test_credentials(emulator: Emulator, make: Make, operation: str) -> None:
    account = emulator.create_account(test=True)
    client = make(account.sid, account.auth_token, account.sid)
    error = refused(lambda: OPERATIONS[operation](client))
    assert error.code == "ST611"
    assert "test credentials" in str(error)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_restricted_key_without_permission(emulator: Emulator, make: Make, operation: str) -> None:
    key = emulator.account.create_key("restricted", allow=["/twilio/messaging/messages/list"])
    error = refused(lambda: OPERATIONS[operation](make(key.sid, key.secret, emulator.account.sid)))
    assert error.code == "ST612"
    assert "policy does not allow" in str(error)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_server_down(server: EmulatorServer, admin: TwilioClient, operation: str) -> None:
    server.stop()
    error = refused(lambda: OPERATIONS[operation](admin))
    assert error.code == "ST601"
    assert "Nothing was sent" in str(error)


def test_twilio_cannot_be_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an emulator; the proxy that leads to Twilio is not there."""
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    key = new_key()
    transport = Transport(max_retries=0)
    client = TwilioClient(key.sid, key.secret, key.account, http_client=transport)
    error = refused(lambda: create_key(client, NAME))
    assert error.code == "ST601"
    assert "api.twilio.com could not be reached" in str(error)
    assert "emulator" not in str(error)
    transport.session.close()


@pytest.mark.parametrize(
    "fault",
    [
        faults.drop(applied=True),
        faults.reset(applied=True),
        faults.status(500, applied=True),
        faults.status(502, applied=True),
        faults.status(503, applied=True),
    ],
    ids=["drop", "reset", "500", "502", "503"],
)
def test_key_that_may_exist(admin: TwilioClient, emulator: Emulator, fault: faults.Fault) -> None:
    """The message names the key to look for; the request was sent once, and the key is there."""
    emulator.faults.add(fault, match="POST */Keys.json", times=5)
    error = refused(lambda: create_key(admin, NAME))
    assert error.code == "ST613"
    assert NAME in str(error)
    assert [key.name for key in list_keys(admin)].count(NAME) == 1
    assert sum(entry.method == "POST" for entry in emulator.requests) == 1


@pytest.mark.parametrize("applied", [True, False])
@pytest.mark.parametrize("operation", ["list", "delete"])
def test_no_answer(
    admin: TwilioClient,
    emulator: Emulator,
    operation: str,
    applied: bool,  # noqa: FBT001
) -> None:
    emulator.faults.add(faults.reset(applied=applied))
    assert refused(lambda: OPERATIONS[operation](admin)).code == "ST612"


@pytest.mark.parametrize("operation", ["list", "delete"])
@pytest.mark.parametrize("status", [500, 503, 400])
def test_other_refusals(
    admin: TwilioClient, emulator: Emulator, operation: str, status: int
) -> None:
    emulator.faults.add(faults.status(status))
    error = refused(lambda: OPERATIONS[operation](admin))
    assert error.code == "ST612"
    assert str(status) in str(error)


def test_name_that_twilio_refuses(admin: TwilioClient) -> None:
    error = refused(lambda: create_key(admin, "x" * 65))
    assert error.code == "ST612"
    assert "FriendlyName" in str(error)


# Answers that are not Twilio's.


class Saying(Transport):
    """Answers every request with *text*."""

    def __init__(self, status: int, text: str) -> None:
        """Answer with *status* and *text*."""
        super().__init__(pool_connections=False)
        self.said = status, text

    def request(self, *_: Any, **__: Any) -> Any:
        """Answer."""
        from twilio.http.response import Response

        return Response(*self.said)


def saying(status: int, document: object) -> TwilioClient:
    text = document if isinstance(document, str) else json.dumps(document)
    with break_glass(reason="test"):
        return TwilioClient("SK" + "1" * 32, key_secret(), "AC1", http_client=Saying(status, text))


@pytest.mark.parametrize(
    "document",
    [
        "{broken",
        "<html>",
        "[]",
        '"x"',
        "",
        {},
        {"sid": None, "secret": None},
        {"sid": "SK" + "2" * 32},
        {"sid": "SK" + "2" * 32, "secret": "short"},
        {"sid": "../etc", "secret": "x" * 32},
        {"sid": "AC" + "2" * 32, "secret": "x" * 32},
    ],
    ids=repr,
)
def test_creation_with_an_answer_that_is_no_key(document: object) -> None:
    client = saying(201, document)
    error = refused(lambda: create_key(client, NAME))
    assert error.code == "ST613"
    assert NAME in str(error)


def test_new_secret_in_a_broken_answer_is_in_no_frame() -> None:
    secret = key_secret()
    client = saying(201, json.dumps({"sid": "SK" + "2" * 32, "secret": secret})[:-1])
    error = refused(lambda: create_key(client, NAME))
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    assert frames[-1].f_code is create_key.__code__
    assert leaks(repr(frames[-1].f_locals), [secret]) == []
    assert leaks(str(error) + repr(error.args), [secret]) == []


@pytest.mark.parametrize("document", ["{broken", "<html>", "[]", '"x"', "1", {"a": 1, "b": 2}])
def test_list_that_is_none(document: object) -> None:
    client = saying(200, document)
    error = refused(lambda: list_keys(client))
    assert error.code == "ST612"


@pytest.mark.parametrize("document", ["<html>", "[]", {"code": 1, "message": "m"}])
def test_list_refused_by_something_else(document: object) -> None:
    client = saying(418, document)
    assert refused(lambda: list_keys(client)).code == "ST612"


def test_error_shows_no_secret(emulator: Emulator, make: Make) -> None:
    account = emulator.account
    client = make(account.sid, account.auth_token, account.sid)
    emulator.faults.add(faults.reset(applied=True))
    try:
        create_key(client, NAME)
    except AccountOperationError as error:
        error.__traceback__ = error.__traceback__.tb_next
        text = shown(error)
    assert leaks(text, [account.auth_token]) == []
    assert sys.exception() is None
    with contextlib.suppress(AccountOperationError):
        list_keys(client)
