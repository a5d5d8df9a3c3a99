"""The verbs over an account's Auth Tokens, every answer they can get, and what an error shows."""

from __future__ import annotations

import json
import traceback
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr

from safetwilio import break_glass, redaction
from safetwilio.admin import tokens as module
from safetwilio.admin.identity import Address, identity_of_token
from safetwilio.admin.tokens import (
    create_secondary,
    delete_secondary,
    lives,
    promote,
    tokens_of_subaccounts,
)
from safetwilio.clients import Transport, TwilioClient
from safetwilio.errors import AccountOperationError
from safetwilio.redaction import registry as registry_module
from safetwilio.redaction.engine import redact
from safetwilio.testing import Emulator, EmulatorServer, faults
from support import auth_token, key_secret, leaks, new_key, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Make = Callable[[str, str, str], TwilioClient]

OPERATIONS: dict[str, Callable[[TwilioClient], object]] = {
    "create": create_secondary,
    "delete": delete_secondary,
    "promote": promote,
    "subaccounts": tokens_of_subaccounts,
}
CHANGES = ("create", "promote")
LOST = {
    "drop": faults.drop(applied=True),
    "drop, not applied": faults.drop(applied=False),
    "reset": faults.reset(applied=True),
    "reset, not applied": faults.reset(applied=False),
    "500": faults.status(500, applied=True),
    "500, not applied": faults.status(500),
    "502": faults.status(502, applied=True),
    "503": faults.status(503, applied=True),
}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[EmulatorServer]:
    with EmulatorServer() as server:
        monkeypatch.setenv("SAFETWILIO_EMULATOR", server.url)
        yield server
    for value in tuple(registry_module.registry._known):
        redaction.retire(value)


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
        if transport.session is not None:
            transport.session.close()


@pytest.fixture
def admin(emulator: Emulator, make: Make) -> TwilioClient:
    account = emulator.account
    return make(account.sid, account.auth_token, account.sid)


def choose(emulator: Emulator, **choices: Any) -> None:
    """Let *emulator* do as *choices* say from now on."""
    known = emulator._world.assumptions
    known.update({each: choices[each.name] for each in known if each.name in choices})


def refused(call: Callable[[], object]) -> AccountOperationError:
    """Return the error, which drags no other one along."""
    with pytest.raises(AccountOperationError) as raised:
        call()
    assert raised.value.__cause__ is None
    assert raised.value.__context__ is None
    return raised.value


def test_life_of_a_token(admin: TwilioClient, emulator: Emulator, make: Make) -> None:
    """Each is known to redaction from its first moment on, and none shows itself."""
    account, old = emulator.account, emulator.account.auth_token
    first = create_secondary(admin)
    assert first.get_secret_value() == account.secondary_auth_token
    assert first.get_secret_value() not in repr(first) + redact(first.get_secret_value())
    assert delete_secondary(admin) is True
    assert delete_secondary(admin) is False
    second = create_secondary(admin)
    assert second.get_secret_value() != first.get_secret_value()
    promoted = promote(admin)
    assert promoted == second
    assert account.auth_token == second.get_secret_value() != old
    assert refused(lambda: promote(admin)).code == "ST610"  # the one that asks is dead now
    assert promote(make(account.sid, account.auth_token, account.sid)) is None


@pytest.mark.parametrize("status", [404, 400])
def test_none_is_there(admin: TwilioClient, emulator: Emulator, status: int) -> None:
    """Nobody knows which of the two Twilio says."""
    choose(emulator, no_secondary_status=status)
    assert delete_secondary(admin) is False
    assert promote(admin) is None
    assert [each.status for each in emulator.requests] == [status, status]


def test_a_second_one_is_refused_or_replaces_the_first(
    admin: TwilioClient, emulator: Emulator
) -> None:
    first = create_secondary(admin)
    assert refused(lambda: create_secondary(admin)).code == "ST612"
    choose(emulator, second_secondary="replaced")
    assert create_secondary(admin) != first


@pytest.mark.parametrize("fault", LOST)
@pytest.mark.parametrize("operation", CHANGES)
def test_what_may_be_done_is_said_to_be_unknown_and_sent_once(
    admin: TwilioClient, emulator: Emulator, operation: str, fault: str
) -> None:
    standby = auth_token()
    emulator.account.secondary_auth_token = standby if operation == "promote" else None
    emulator.faults.add(LOST[fault], times=5)
    error = refused(lambda: OPERATIONS[operation](admin))
    assert error.code == "ST613"
    assert "may be done" in str(error)
    assert len(emulator.requests) == 1
    changed = {"create": emulator.account.secondary_auth_token is not None,
               "promote": emulator.account.auth_token == standby}  # fmt: skip
    assert changed[operation] is LOST[fault].applied


@pytest.mark.parametrize("fault", LOST)
@pytest.mark.parametrize("operation", ["delete", "subaccounts"])
def test_what_can_be_asked_again_says_so(
    admin: TwilioClient, emulator: Emulator, operation: str, fault: str
) -> None:
    """A deletion is found out by the next one, which says that none is there."""
    emulator.account.secondary_auth_token = auth_token()
    emulator.faults.add(LOST[fault])
    assert refused(lambda: OPERATIONS[operation](admin)).code == "ST612"
    if operation == "delete":
        assert delete_secondary(admin) is not LOST[fault].applied


@pytest.mark.parametrize("operation", OPERATIONS)
def test_too_many_requests_are_none(
    admin: TwilioClient, emulator: Emulator, operation: str
) -> None:
    emulator.faults.add(faults.status(429))
    assert refused(lambda: OPERATIONS[operation](admin)).code == "ST612"


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_standard_key_may_not(emulator: Emulator, make: Make, operation: str) -> None:
    key = emulator.standard_key
    error = refused(lambda: OPERATIONS[operation](make(key.sid, key.secret, key.account_sid)))
    assert error.code == "ST610"
    assert "a Standard one may never do this" in str(error)


@pytest.mark.parametrize("needs", ["main", "token", "standard"])
@pytest.mark.parametrize("kind", ["main", "standard", "token"])
@pytest.mark.parametrize("operation", [*CHANGES, "delete"])
def test_who_may_is_twilio_s_answer(
    emulator: Emulator, make: Make, operation: str, kind: str, needs: str
) -> None:
    """Nothing is forbidden beforehand that Twilio may allow."""
    choose(emulator, token_rotation_needs=needs)
    account = emulator.account
    account.secondary_auth_token = None if operation == "create" else auth_token()
    key = emulator.main_key if kind == "main" else emulator.standard_key
    username, secret = (
        (key.sid, key.secret) if kind != "token" else (account.sid, account.auth_token)
    )
    client = make(username, secret, account.sid)
    order = ("standard", "main", "token")
    if order.index(kind) >= order.index(needs):
        assert OPERATIONS[operation](client)
    else:
        assert refused(lambda: OPERATIONS[operation](client)).code == "ST610"


@pytest.mark.parametrize("operation", OPERATIONS)
def test_wrong_token(emulator: Emulator, make: Make, operation: str) -> None:
    sid = emulator.account.sid
    error = refused(lambda: OPERATIONS[operation](make(sid, auth_token(), sid)))
    assert error.code == "ST610"


@pytest.mark.parametrize("operation", OPERATIONS)
def test_test_credentials(emulator: Emulator, make: Make, operation: str) -> None:
    account = emulator.create_account(test=True)
    client = make(account.sid, account.auth_token, account.sid)
    assert refused(lambda: OPERATIONS[operation](client)).code == "ST611"


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_suspended_account(admin: TwilioClient, emulator: Emulator, operation: str) -> None:
    choose(emulator, suspended_status=403)
    emulator.account.suspend()
    assert refused(lambda: OPERATIONS[operation](admin)).code == "ST615"


@pytest.mark.parametrize("operation", OPERATIONS)
def test_server_down(server: EmulatorServer, admin: TwilioClient, operation: str) -> None:
    server.stop()
    error = refused(lambda: OPERATIONS[operation](admin))
    assert error.code == "ST601"
    assert "Nothing was sent" in str(error)


# Whether a token lives.


def ask(emulator: Emulator, token: str) -> bool:
    with break_glass(reason="test"):
        return lives(identity_of_token(emulator.account.sid, SecretStr(token), "test"), Address())


def test_who_lives(emulator: Emulator) -> None:
    account = emulator.account
    old, account.secondary_auth_token = account.auth_token, auth_token()
    standby = account.secondary_auth_token
    assert ask(emulator, old)
    assert ask(emulator, standby)
    assert not ask(emulator, auth_token())
    account.auth_token, account.secondary_auth_token = standby, None
    assert not ask(emulator, old)


@pytest.mark.parametrize("fault", [*LOST.values(), faults.status(403), faults.status(404)])
def test_an_answer_that_does_not_say(emulator: Emulator, fault: faults.Fault) -> None:
    """Neither yes nor no: only 200 and 401 say anything of a token."""
    emulator.faults.add(fault, times=9)
    token = emulator.account.auth_token
    error = refused(lambda: ask(emulator, token))
    assert error.code == "ST612"
    assert leaks(str(error) + repr(error.args), [token]) == []


# Subaccounts.


def test_the_active_ones_and_their_tokens(admin: TwilioClient, emulator: Emulator) -> None:
    one, two = (emulator.create_account(emulator.account) for _ in range(2))
    two.suspend()
    found = tokens_of_subaccounts(admin)
    assert {sid: token.get_secret_value() for sid, token in found.items()} == {
        one.sid: one.auth_token
    }
    assert one.auth_token not in repr(found) + redact(one.auth_token)


def test_a_key_does_not_see_them(emulator: Emulator, make: Make) -> None:
    emulator.create_account(emulator.account)
    key = emulator.main_key
    error = refused(lambda: tokens_of_subaccounts(make(key.sid, key.secret, key.account_sid)))
    assert error.code == "ST629"


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
    key = new_key(emulated=True)
    return TwilioClient(key.sid, key.secret, key.account, http_client=Saying(status, text))


@pytest.mark.parametrize(
    "document",
    ["{broken", "<html>", "[]", '"x"', "", "1", {}, {"auth_token": None},
     {"auth_token": 7, "secondary_auth_token": 7},
     {"auth_token": "short", "secondary_auth_token": ""},
     {"auth_token": ["0" * 32], "secondary_auth_token": {"a": "0" * 32}}],
    ids=repr,
)  # fmt: skip
@pytest.mark.parametrize("operation", CHANGES)
def test_an_answer_that_shows_no_token(operation: str, document: object) -> None:
    """A proxy has said it: Twilio may have done it or not."""
    client = saying(200, document)
    assert refused(lambda: OPERATIONS[operation](client)).code == "ST613"


@pytest.mark.parametrize(
    "document",
    ["{broken", "<html>", "[]", "1", {"accounts": [{"sid": "AC" + "0" * 32, "auth_token": None}],
     "meta": {"key": "accounts"}}],
    ids=repr,
)  # fmt: skip
def test_a_list_that_is_none(document: object) -> None:
    client = saying(200, document)
    assert refused(lambda: tokens_of_subaccounts(client)).code in {"ST612", "ST629"}


@pytest.mark.parametrize("document", ["<html>", "[]", {"code": 1, "message": "m"}], ids=repr)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_page_of_something_else(operation: str, document: object) -> None:
    client = saying(418, document)
    assert refused(lambda: OPERATIONS[operation](client)).code == "ST612"


@pytest.mark.parametrize("cut", [0, 1])
@pytest.mark.parametrize("operation", CHANGES)
def test_a_new_token_in_a_broken_answer_is_in_no_frame(operation: str, cut: int) -> None:
    """Neither whole under a wrong name, nor in JSON that ends too early."""
    token = auth_token()
    names = {"x_auth_token": token, "auth_token": None, "secondary_auth_token": None}
    text = json.dumps(names)
    client = saying(200, text[: len(text) - cut])
    error = refused(lambda: OPERATIONS[operation](client))
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    inner = frames[-1]
    assert inner.f_code.co_filename == module.__file__
    assert leaks(repr({**inner.f_locals, "client": None}), [token]) == []
    assert leaks(str(error) + repr(error.args), [token]) == []


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("fault", ["reset", "500", "drop, not applied"])
def test_an_error_shows_no_secret(
    emulator: Emulator, make: Make, operation: str, fault: str
) -> None:
    """Not in its text, its arguments, the frames that it came through, or pickled."""
    account = emulator.account
    account.secondary_auth_token = auth_token()
    emulator.create_account(account)
    client = make(account.sid, account.auth_token, account.sid)
    secrets = emulator.secrets() | {key_secret()}
    emulator.faults.add(LOST[fault])
    text = found = ""
    try:
        OPERATIONS[operation](client)
    except AccountOperationError as error:
        mine = error.__traceback__  # without this test's own frame
        error.__traceback__ = mine.tb_next if mine else None
        text = shown(error)
        found = error.code
    assert found in {"ST612", "ST613"}
    assert leaks(text, secrets | emulator.secrets()) == []
