"""The emulator's own HTTP interface: what it does, for whom, and that it shows no secret."""

from __future__ import annotations

import http.client
import json
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from asking import RECIPIENT, SENDER, Ask, pair_of, paths, token_of

from safetwilio.testing import Emulator, EmulatorServer
from safetwilio.testing.routes import ROUTES
from support import leaks

if TYPE_CHECKING:
    from collections.abc import Callable

    from twilio.rest import Client

CONTROL = {"Safetwilio-Emulator": "control"}
MESSAGE = {"to": RECIPIENT, "from_": SENDER, "body": "hi"}


class Said(NamedTuple):
    """A status and the document that came with it."""

    status: int
    document: Any


def control(
    server: EmulatorServer,
    method: str,
    what: str,
    body: object = None,
    headers: dict[str, str] | None = None,
) -> Said:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    content = body if isinstance(body, bytes) else json.dumps(body).encode() if body else None
    connection.request(method, f"/_emulator/{what}", content, CONTROL | (headers or {}))
    response = connection.getresponse()
    text = response.read()
    connection.close()
    assert leaks(text.decode(), server.emulator.secrets()) == []
    return Said(response.status, json.loads(text))


def test_no_path_of_twilio_begins_so() -> None:
    assert not [route for route in ROUTES if route.path.startswith("/_")]


def test_the_outbox_and_the_requests_are_shown(
    server: EmulatorServer, connect: Callable[..., Client]
) -> None:
    sent = connect(server).messages.create(**MESSAGE)
    emulator = server.emulator
    [message] = control(server, "GET", "outbox").document["messages"]
    assert (message["sid"], message["to"], message["from"], message["body"]) == (
        sent.sid, RECIPIENT, SENDER, "hi",
    )  # fmt: skip
    assert message["key_sid"] == emulator.standard_key.sid
    [request] = control(server, "GET", "requests").document["requests"]
    assert request == {
        "method": "POST",
        "host": "api.twilio.com",
        "path": paths(emulator.account)["messages"],
        "query": [],
        "username": emulator.standard_key.sid,
        "at": emulator.requests[0].at.isoformat(),
        "status": 201,
    }


def test_what_was_sent_as_text_is_masked_if_it_is_a_secret(
    server: EmulatorServer, connect: Callable[..., Client]
) -> None:
    """``control`` above looks for leaks in every answer."""
    emulator = server.emulator
    other = emulator.create_account().create_key()
    for secret in (emulator.account.auth_token, emulator.standard_key.secret, other.secret):
        connect(server).messages.create(to=RECIPIENT, from_=SENDER, body=f"it is {secret}")
    bodies = [each["body"] for each in control(server, "GET", "outbox").document["messages"]]
    assert bodies == ["it is ***"] * 3


def test_the_clock_is_put_forward(server: EmulatorServer, connect: Callable[..., Client]) -> None:
    client, before = connect(server), server.emulator.now()
    sid = client.messages.create(**MESSAGE).sid
    said = control(server, "POST", "advance", {"seconds": 60})
    assert datetime.fromisoformat(said.document["now"]) >= before + timedelta(seconds=60)
    assert client.messages(sid).fetch().status == "delivered"


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"{}", {"seconds": "60"}, {"seconds": -1}, {"seconds": True},
     {"seconds": None}, b'{"seconds": Infinity}', b'{"seconds": NaN}', {"seconds": 1e300},
     {"seconds": 10**400}, {"seconds": 3e11}, b"[" * 100_000],
)  # fmt: skip
def test_a_time_that_cannot_be_is_refused(server: EmulatorServer, body: object) -> None:
    said = control(server, "POST", "advance", body)
    assert said.status == 400
    assert said.document["error"].startswith("[ST922] ")
    assert control(server, "POST", "advance", {"seconds": 1}).status == 200, "the clock still goes"


def test_faults_are_added_and_forgotten(server: EmulatorServer) -> None:
    emulator = server.emulator
    script = {"faults": [{"kind": "status", "code": 500, "times": 9}]}
    assert control(server, "POST", "faults", script).document == {"faults": 1}
    at, key = paths(emulator.account)["messages"], pair_of(emulator.standard_key)
    assert Ask(emulator)("GET", at, key).status == 500
    assert control(server, "DELETE", "faults").document == {"faults": 0}
    assert Ask(emulator)("GET", at, key).status == 200


def test_a_bad_script_is_refused_whole(server: EmulatorServer) -> None:
    script = {"faults": [{"kind": "duplicate"}, {"kind": "status"}]}
    said = control(server, "POST", "faults", script)
    assert said.status == 400
    assert said.document["error"].startswith("[ST921] the body: fault 2: status needs code")
    assert len(server.emulator.faults) == 0


def test_a_reset_goes_back_to_the_start(
    server: EmulatorServer, connect: Callable[..., Client]
) -> None:
    """With the same credentials, also those that were deleted or changed."""
    emulator = server.emulator
    token, key = token_of(emulator.account), pair_of(emulator.standard_key)
    connect(server).messages.create(**MESSAGE)
    connect(server, token).accounts.v1.secondary_auth_token().create()
    connect(server, token).accounts.v1.auth_token_promotion().update()
    stranger = connect(server, token_of(emulator.account)).new_keys.create()
    emulator.account.delete_key(key[0])
    emulator.account.suspend()
    emulator.faults.limit(concurrency=1)
    emulator.advance(3600)
    before = emulator.now()

    assert control(server, "POST", "reset").status == 200

    assert (token_of(emulator.account), pair_of(emulator.standard_key)) == (token, key)
    assert emulator.now() < before - timedelta(minutes=59)
    assert (len(emulator.messages), emulator.requests) == (0, ())
    client = connect(server)
    assert client.messages.list() == []
    assert client.messages.create(**MESSAGE).sid == emulator.messages[0].sid
    keys = {each.sid for each in connect(server, token).keys.list()}
    assert keys == {key[0], emulator.main_key.sid}
    at = paths(emulator.account)["messages"]
    assert Ask(emulator)("GET", at, (stranger.sid, stranger.secret)).status == 401


def test_a_reset_keeps_the_assumptions_and_furnishes_anew() -> None:
    made = []

    def prepare(emulator: Emulator) -> None:
        made.append(emulator.create_account(emulator.account, friendly_name="shop").sid)

    emulator = Emulator(assumptions={"suspended_status": 403})
    with EmulatorServer(emulator, prepare=prepare) as server:
        emulator.advance(60)
        control(server, "POST", "reset")
        emulator.account.suspend()
        answer = Ask(emulator)("GET", paths(emulator.account)["keys"], token_of(emulator.account))
        assert answer.status == 403
    assert len(set(made)) == 2
    assert [sid for sid, _ in emulator._world.accounts.newest_first()] == [
        made[1],
        emulator.account.sid,
    ]


def test_what_is_not_there_is_named(server: EmulatorServer) -> None:
    said = control(server, "GET", "nothing")
    assert said.status == 404
    assert "GET /_emulator/outbox" in said.document["error"]
    said = control(server, "GET", "advance")
    assert (said.status, said.document) == (405, {"error": "/_emulator/advance takes POST"})


@pytest.mark.parametrize(
    "headers",
    [
        {"Safetwilio-Emulator": ""},
        {"Safetwilio-Emulator": "yes"},
        {"Origin": "http://127.0.0.1"},
        {"Origin": "null"},
        {"Host": "attacker.example"},
        {"Host": "127.0.0.1"},
        {"Host": "127.0.0.1:1"},
        {"Host": "localhost"},
        {"Host": "api.twilio.com"},
    ],
)
@pytest.mark.parametrize(
    ("method", "what"), [("GET", "outbox"), ("POST", "reset"), ("OPTIONS", "reset")]
)
def test_no_web_page_gets_at_it(
    server: EmulatorServer, method: str, what: str, headers: dict[str, str]
) -> None:
    """A rebound name is in Host; a script's request has an Origin, or not our header."""
    Ask(server.emulator)("GET", "/", None)
    said = control(server, method, what, headers=headers)
    assert said.status == 403
    assert len(server.emulator.requests) == 1, "nothing was reset"


def test_it_is_neither_in_the_journal_nor_hit_by_faults(server: EmulatorServer) -> None:
    script = {"faults": [{"kind": "drop", "applied": False}]}
    assert control(server, "POST", "faults", script).status == 200
    assert control(server, "GET", "requests").document == {"requests": []}
    assert len(server.emulator.faults) == 1


def test_twilios_host_has_no_such_path(server: EmulatorServer) -> None:
    """In process it is a path as any other: only a server has it."""
    answer = Ask(server.emulator)("GET", "/_emulator/outbox", pair_of(server.emulator.standard_key))
    assert answer.status == 404
