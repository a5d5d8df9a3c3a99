"""Refusals in plain words, and every other error exactly as Twilio's client raises it."""

from __future__ import annotations

import copy
import json
import pickle
from typing import TYPE_CHECKING, Any

import pytest
import requests
import twilio
from calls import CALLS, Led
from leaks import Spotter, caught
from twilio.base.exceptions import TwilioException, TwilioRestException
from twilio.rest import Client
from wires import Wire, answer, dead_port, hang, reset

import safetwilio.clients
from safetwilio.clients import TransportError, TwilioClient
from safetwilio.clients.explain import ExplainedResponse
from safetwilio.credentials import ApiKey, mask
from safetwilio.errors import SafeTwilioError
from safetwilio.store import CredentialStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from wires import Behaviour

    from safetwilio.testing import Emulator
    from support import Key

    Connect = Callable[..., TwilioClient]

AUTHENTICATE = {
    "code": 20003,
    "message": "Authenticate",
    "more_info": "https://www.twilio.com/docs/errors/20003",
    "status": 401,
}
FORBIDDEN = {"code": 70051, "message": "Authorization failed", "status": 403}
PROBLEM = {
    "type": "https://www.twilio.com/docs/api/errors/20003",
    "title": "Unauthorized",
    "status": 401,
    "code": 20003,
    "detail": "Authenticate",
}


@pytest.fixture
def keyed(key: Key, connect: Connect) -> Callable[..., TwilioClient]:
    """Make a client whose key says where it came from."""

    def make(wire: Wire, region: str | None = None) -> TwilioClient:
        transport = connect(wire.url, key.sid, key.secret, key.account).http_client
        loaded = ApiKey(
            key.account, key.sid, key.secret, source="aws-sm://prod/twilio", version="7f3a"
        )
        store = CredentialStore(loaded)
        return TwilioClient.from_store(store, region=region, http_client=transport)

    return make


@pytest.mark.parametrize("call", CALLS)
def test_401_says_which_key_from_where_and_why(
    keyed: Callable[..., TwilioClient], key: Key, call: str
) -> None:
    with Wire(lambda _: answer(401, AUTHENTICATE)) as wire:
        error = caught(lambda: CALLS[call](keyed(wire)))
    said = str(error)
    assert isinstance(error, TwilioException)
    assert mask("key", key.sid) in said
    assert mask("account", key.account) in said
    assert "aws-sm://prod/twilio, version 7f3a" in said
    assert "Twilio said: Authenticate" in said
    assert key.sid not in said
    causes = [said.index(f"({number})") for number in range(1, 6)]
    assert causes == sorted(causes)
    if "list" not in call and call != "stream":
        assert isinstance(error, TwilioRestException)
        assert (error.status, error.code) == (401, 20003)


@pytest.mark.parametrize(
    ("uri", "region", "first"),
    [
        ("/2010-04-01/Accounts.json", None, "only a Main key"),
        ("/2010-04-01/Accounts/AC" + "0" * 32 + ".json", None, "only a Main key"),
        ("/2010-04-01/Accounts/AC" + "0" * 32 + "/Keys.json", None, "only a Main key"),
        ("/2010-04-01/Accounts/AC" + "0" * 32 + "/SigningKeys/SK1.json", None, "only a Main key"),
        ("/v1/Keys", None, "only a Main key"),
        ("/v1/Keys?AccountSid=AC1", "ie1", "only a Main key"),
        ("/2010-04-01/Accounts/AC1/Messages.json", None, "the key was deleted"),
        ("/2010-04-01/Accounts/AC1/Messages.json", "ie1", "the key was not made in region ie1"),
        ("/2010-04-01/Accounts/AC1/Messages.json?Body=/Keys", None, "only a Main key"),
    ],
)
def test_most_likely_cause_comes_first(
    keyed: Callable[..., TwilioClient], uri: str, region: str | None, first: str
) -> None:
    with Wire(lambda _: answer(401, AUTHENTICATE)) as wire:
        result = keyed(wire, region).request("GET", f"https://api.twilio.com{uri}")
    said = json.loads(result.text)["message"]
    assert f"(1) {first}" in said
    assert ("region than the default" in said) is (region is None)


@pytest.mark.parametrize("status", [401, 403])
def test_missing_permission(keyed: Callable[..., TwilioClient], key: Key, status: int) -> None:
    with Wire(lambda _: answer(status, {**FORBIDDEN, "status": status})) as wire:
        error = caught(lambda: CALLS["create"](keyed(wire)))
    assert isinstance(error, TwilioRestException)
    assert (error.status, error.code) == (status, 70051)
    assert mask("key", key.sid) in str(error)
    assert "policy does not allow" in str(error)


def test_test_credentials(keyed: Callable[..., TwilioClient]) -> None:
    with Wire(lambda _: answer(403, {"code": 20008, "message": "no", "status": 403})) as wire:
        error = caught(lambda: CALLS["create"](keyed(wire)))
    assert "test credentials" in str(error)


def test_rfc_9457(keyed: Callable[..., TwilioClient], key: Key) -> None:
    with Wire(lambda _: answer(401, PROBLEM)) as wire:
        error: Any = caught(lambda: CALLS["fetch"](keyed(wire)))
        listed = caught(lambda: CALLS["list"](keyed(wire)))
    assert mask("key", key.sid) in str(listed)
    if not hasattr(twilio.base.exceptions, "TwilioServiceException"):
        return  # an older twilio makes a TwilioRestException of it
    assert type(error).__name__ == "TwilioServiceException"
    assert (error.status, error.code, error.title) == (401, 20003, "Unauthorized")
    assert mask("key", key.sid) in error.detail
    assert "Twilio said: Authenticate" in error.detail


def test_original_is_kept(keyed: Callable[..., TwilioClient]) -> None:
    with Wire(lambda _: answer(401, AUTHENTICATE, X_Trace="1")) as wire:
        result = keyed(wire).request("GET", "https://api.twilio.com/x")
    assert isinstance(result, ExplainedResponse)
    assert json.loads(result.original) == AUTHENTICATE
    assert result.headers["X-Trace"] == "1"
    assert {**json.loads(result.text), "message": ""} == {**AUTHENTICATE, "message": ""}
    assert repr(result).startswith("HTTP 401: Twilio refused the API key")


def test_refusal_of_another_pair_is_not_blamed_on_the_key(
    keyed: Callable[..., TwilioClient], key: Key
) -> None:
    with Wire(lambda _: answer(401, AUTHENTICATE)) as wire:
        client = keyed(wire)
        url = "https://api.twilio.com/x"
        pair = (key.sid, key.secret)
        named = client.request("GET", url, auth=pair)
        placed = client.request("GET", url, None, None, None, pair)
        client.auth = pair
        put = client.request("GET", url)
        assert len(wire.authorizations) == 1
    assert [type(each).__name__ for each in (named, placed, put)] == ["Response"] * 3


@pytest.mark.parametrize("call", CALLS)
def test_html_401_is_left_alone(keyed: Callable[..., TwilioClient], key: Key, call: str) -> None:
    """A gateway's page has no code of Twilio's: nothing is claimed about the key."""
    with Wire(lambda _: answer(401, "<html>go away</html>", Content_Type="text/html")) as wire:
        error = caught(lambda: CALLS[call](keyed(wire)))
        theirs = Client(key.sid, key.secret, key.account, http_client=Led(wire.url))
        expected = caught(lambda: CALLS[call](theirs))
        theirs.http_client.session.close()
    assert type(error) is type(expected)
    assert str(error) == str(expected)


# Errors without an answer.


@pytest.fixture
def failures(connect: Connect, key: Key) -> dict[str, BaseException]:
    made = {}
    behaviours: dict[str, Behaviour] = {"reset": lambda _: reset, "timeout": lambda _: hang}
    for name, behave in behaviours.items():
        with Wire(behave) as wire:
            client = connect(wire.url, key.sid, key.secret, key.account, timeout=0.2)
            made[name] = caught(lambda client=client: CALLS["create"](client))
    client = connect(f"http://127.0.0.1:{dead_port()}", key.sid, key.secret, key.account)
    made["refused"] = caught(lambda: CALLS["create"](client))
    return made


def test_handlers_of_connection_errors_go_on_working(failures: dict[str, BaseException]) -> None:
    for error in failures.values():
        for kind in (requests.RequestException, TwilioException, SafeTwilioError, OSError):
            assert isinstance(error, kind)
        assert (error.request, error.response) == (None, None)
    assert isinstance(failures["reset"], requests.ConnectionError)
    assert isinstance(failures["refused"], requests.ConnectionError)
    assert isinstance(failures["timeout"], requests.Timeout)
    assert not isinstance(failures["timeout"], requests.ConnectionError)


def test_message_says_whether_it_may_have_been_carried_out(
    failures: dict[str, BaseException],
) -> None:
    texts = {name: str(error) for name, error in failures.items()}
    assert texts["refused"].startswith("[ST601] api.twilio.com could not be reached (connection")
    assert "safe to try again" in texts["refused"]
    assert texts["reset"].startswith("[ST602] api.twilio.com gave no whole answer (connection")
    assert "look before you send it again" in texts["timeout"]
    assert "(no answer in time)" in texts["timeout"]
    assert [failures[name].code for name in ("refused", "reset", "timeout")] == [
        "ST601",
        "ST602",
        "ST602",
    ]


@pytest.mark.parametrize("duplicate", [lambda e: pickle.loads(pickle.dumps(e)), copy.copy])  # noqa: S301
def test_errors_travel(failures: dict[str, BaseException], duplicate: Any, key: Key) -> None:
    for error in failures.values():
        assert not Spotter(key.secret).count(repr(pickle.dumps(error)))
        twin = duplicate(error)
        assert type(twin) is type(error)
        assert (str(twin), twin.code, twin.sent) == (str(error), error.code, error.sent)
        assert (twin.request, twin.response) == (None, None)


def test_public_names() -> None:
    assert sorted(safetwilio.clients.__all__) == safetwilio.clients.__all__
    for name in safetwilio.clients.__all__:
        assert getattr(safetwilio.clients, name).__name__ == name
    with pytest.raises(AttributeError, match="nothing"):
        _ = safetwilio.clients.nothing
    assert TransportError("x").sent


@pytest.mark.parametrize(
    "url", ["https://[::1", "https:///x", "https://a b/", "nothing", "ftp://x/"]
)
def test_address_that_cannot_be_prepared(client: TwilioClient, url: str) -> None:
    del client
    transport = safetwilio.clients.Transport(max_retries=0)
    error = caught(lambda: transport.request("GET", url))
    assert isinstance(error, TransportError)
    assert not error.sent
    transport.session.close()


def test_emulators_401(client: TwilioClient, emulator: Emulator) -> None:
    emulator.account.delete_key(emulator.standard_key.sid)
    with pytest.raises(TwilioRestException, match="the key was deleted or rotated"):
        client.messages("SM" + "0" * 32).fetch()
