"""Proof of a key against the emulator: alive or dead, of what kind; and what boot makes of it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest
from wires import Wire, answer, dead_port, reset

import safetwilio
from safetwilio.clients import Transport, TwilioClient
from safetwilio.clients.probe import prove
from safetwilio.credentials import ApiKey
from safetwilio.errors import BackendUnavailable, InvalidCredentials, MasterTokenInUse
from safetwilio.settings import TwilioSettings
from safetwilio.testing import Emulator, EmulatorServer, faults

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from support import Key

    Connect = Callable[..., TwilioClient]
    Booted = Callable[..., Any]

MESSAGES = ("/twilio/messaging/messages/create", "/twilio/messaging/messages/list")
OTHER = ("/twilio/verify/verification/create",)


@pytest.fixture(
    params=[
        {},
        {"restricted_denied_status": 401},
        {"restricted_denied_status": 403},
        {"suspended_status": 403},
    ],
    ids=str,
)
def emulator(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Emulator]:
    """Start an emulator for each choice of what is not known about these answers."""
    with EmulatorServer(Emulator(assumptions=request.param)) as server:
        monkeypatch.setenv("SAFETWILIO_EMULATOR", server.url)
        monkeypatch.setenv("SAFETWILIO_BACKEND", "env")
        yield server.emulator


@pytest.fixture
def configured_with(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], None]:
    def put(key: Any) -> None:
        monkeypatch.setenv("TWILIO_ACCOUNT_SID", emulator.account.sid)
        monkeypatch.setenv("TWILIO_API_KEY", key.sid)
        monkeypatch.setenv("TWILIO_API_SECRET", key.secret)

    return put


@pytest.fixture
def keys(emulator: Emulator) -> dict[str, Any]:
    """Return a key of each kind, by the name of what proof should find."""
    account = emulator.account
    return {
        "standard": emulator.standard_key,
        "main": emulator.main_key,
        "restricted with messages": account.create_key("restricted", allow=MESSAGES),
        "restricted without": account.create_key("restricted", allow=OTHER),
        "restricted with the account": account.create_key(
            "restricted", allow=(*MESSAGES, "/twilio/iam/accounts/list")
        ),
    }


NAMES = (
    "standard",
    "main",
    "restricted with messages",
    "restricted without",
    "restricted with the account",
)


def finish() -> None:
    safetwilio.get_client().http_client.session.close()


@pytest.mark.parametrize("name", NAMES)
def test_kind_is_found_out(
    keys: dict[str, Any], configured_with: Callable[[Any], None], name: str
) -> None:
    configured_with(keys[name])
    if name == "main":
        with pytest.raises(MasterTokenInUse) as refused:
            safetwilio.boot(verify=True)
        assert refused.value.code == "ST503"
        assert not safetwilio.health().booted
        return
    health = safetwilio.boot(verify=True)
    assert health.accounts[0].key_type == name.partition(" ")[0]
    finish()


def test_main_key_under_break_glass(
    keys: dict[str, Any], configured_with: Callable[[Any], None]
) -> None:
    configured_with(keys["main"])
    with safetwilio.break_glass(reason="test"):
        assert safetwilio.boot(verify=True).accounts[0].key_type == "main"
    finish()


@pytest.mark.parametrize("name", NAMES)
def test_restricted_is_insisted_on(
    keys: dict[str, Any], configured_with: Callable[[Any], None], name: str
) -> None:
    configured_with(keys[name])
    if name.startswith("restricted"):
        assert safetwilio.boot(require="restricted").booted
        finish()
        return
    with pytest.raises((InvalidCredentials, MasterTokenInUse)) as refused:
        safetwilio.boot(require="restricted")
    assert refused.value.code == ("ST503" if name == "main" else "ST504")
    assert not safetwilio.health().booted


def test_document_that_says_the_kind_saves_the_questions(
    emulator: Emulator, keys: dict[str, Any], configured_with: Callable[[Any], None]
) -> None:
    configured_with(keys["standard"])
    settings = TwilioSettings(key_type="restricted")
    safetwilio.configure(settings)
    assert safetwilio.boot(require="restricted").booted
    assert emulator.requests == ()


def test_deleted_key(
    emulator: Emulator, keys: dict[str, Any], configured_with: Callable[[Any], None]
) -> None:
    configured_with(keys["standard"])
    emulator.account.delete_key(keys["standard"].sid)
    with pytest.raises(InvalidCredentials) as refused:
        safetwilio.boot(verify=True)
    assert refused.value.code == "ST320"
    assert not safetwilio.health().booted
    assert keys["standard"].secret not in str(refused.value)


def test_suspended_account(
    emulator: Emulator, keys: dict[str, Any], configured_with: Callable[[Any], None]
) -> None:
    configured_with(keys["standard"])
    emulator.account.suspend()
    with pytest.raises((InvalidCredentials, BackendUnavailable)) as refused:
        safetwilio.boot(verify=True)
    assert refused.value.code in {"ST320", "ST322"}
    assert "suspended" in str(refused.value)
    if refused.value.code == "ST322":
        assert "Twilio says so (20403)" in str(refused.value)


@pytest.mark.parametrize("verify", [True, False])
def test_server_down(
    keys: dict[str, Any],
    configured_with: Callable[[Any], None],
    monkeypatch: pytest.MonkeyPatch,
    verify: bool,  # noqa: FBT001
) -> None:
    configured_with(keys["standard"])
    monkeypatch.setenv("SAFETWILIO_EMULATOR", f"http://127.0.0.1:{dead_port()}")
    if not verify:
        assert safetwilio.boot().booted
        return
    with pytest.raises(BackendUnavailable) as refused:
        safetwilio.boot(verify=True)
    assert refused.value.code == "ST321"
    assert "ST601" in str(refused.value)


@pytest.mark.parametrize(
    "fault", [faults.status(500), faults.status(503), faults.drop(applied=False)], ids=repr
)
def test_twilio_in_trouble(
    emulator: Emulator,
    keys: dict[str, Any],
    configured_with: Callable[[Any], None],
    fault: faults.Fault,
) -> None:
    configured_with(keys["standard"])
    emulator.faults.add(fault, times=3)
    with pytest.raises(BackendUnavailable) as refused:
        safetwilio.boot(verify=True)
    assert refused.value.code == "ST321"


def test_boot_switched_off_asks_nothing(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAFETWILIO_BOOT", "off")
    assert not safetwilio.boot(verify=True).booted
    assert emulator.requests == ()


# Answers that the emulator does not give.


URL = "https://verify.twilio.com/v2/Services"
OK = answer(200, {"messages": []})


def proof(connect: Connect, key: Key, *answers: Any, url: str | None = None) -> tuple[Any, Wire]:
    """Return what is made of *answers*, given in this order."""
    with Wire(lambda _: answers[len(wire.requests) - 1]) as wire:
        client = connect(wire.url, key.sid, key.secret, key.account)
        held = ApiKey(key.account, key.sid, key.secret, source="test")
        return prove(client, held, validation_url=url), wire


def denied(status: int, code: int) -> bytes:
    return answer(status, {"code": code, "message": "x", "status": status})


def test_validation_url_is_asked_in_place_of_the_messages(connect: Connect, key: Key) -> None:
    found, wire = proof(connect, key, OK, denied(401, 70051), url=URL)
    assert found.kind == "restricted"
    assert wire.requests[0].target == "/v2/Services"
    assert wire.requests[0].headers["host"] == "verify.twilio.com"


@pytest.mark.parametrize(
    ("answers", "kind"),
    [
        ((OK, OK), "main"),
        ((OK, denied(403, 70051)), "restricted"),
        ((denied(401, 70051),), "restricted"),
        ((denied(403, 70051),), "restricted"),
    ],
)
def test_kind_by_answers(connect: Connect, key: Key, answers: Any, kind: str | None) -> None:
    assert proof(connect, key, *answers)[0].kind == kind


def test_kind_that_no_answer_tells(connect: Connect, key: Key) -> None:
    assert proof(connect, key, OK, answer(404), answer(404))[0].kind is None


@pytest.mark.parametrize(
    ("first", "code"),
    [
        (denied(401, 20003), "ST320"),
        (answer(401, "<html>"), "ST320"),
        (answer(401, "[]"), "ST320"),
        (denied(403, 20008), "ST214"),
        (denied(403, 20403), "ST322"),
        (denied(401, 10001), "ST322"),
        (denied(403, 21478), "ST322"),
        (answer(403, "<html>"), "ST321"),
        (denied(404, 20404), "ST321"),
        (answer(302), "ST321"),
    ],
)
def test_no_proof(connect: Connect, key: Key, first: bytes, code: str) -> None:
    with pytest.raises((InvalidCredentials, BackendUnavailable)) as refused:
        proof(connect, key, first)
    assert refused.value.code == code


@pytest.fixture
def direct(key: Key) -> Iterator[TwilioClient]:
    transport = Transport(max_retries=0)
    yield TwilioClient(key.sid, key.secret, key.account, http_client=transport)
    transport.session.close()


def test_twilio_cannot_be_reached(direct: TwilioClient, key: Key, proxy: Wire) -> None:
    proxy.refuse_tunnels = True
    held = ApiKey(key.account, key.sid, key.secret, source="test")
    with pytest.raises(BackendUnavailable) as refused:
        prove(direct, held)
    assert refused.value.code == "ST321"
    assert "status.twilio.com" in str(refused.value)
    assert "emulator" not in str(refused.value)


def test_second_question_without_an_answer(connect: Connect, key: Key) -> None:
    with pytest.raises(BackendUnavailable) as refused:
        proof(connect, key, OK, reset)
    assert refused.value.__context__ is None
    assert os.linesep not in refused.value.problems[0].found_in[0]
