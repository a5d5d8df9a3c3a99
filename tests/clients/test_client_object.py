"""The client as an object: nothing that it is made of, or can be turned into, holds the secret."""

from __future__ import annotations

import base64
import copy
import io
import json
import logging
import pickle
import pprint
from typing import TYPE_CHECKING, Any

import pytest
from leaks import Spotter, caught, new_secret
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client
from wires import Wire, answer, dead_port

from safetwilio.clients import Transport, TwilioClient
from safetwilio.credentials import ApiKey, AuthToken, Hidden
from safetwilio.errors import RefusedBeforeSending
from safetwilio.redaction import retire
from support import account_sid, auth_token, key_sid

if TYPE_CHECKING:
    from collections.abc import Callable

    from safetwilio.testing import Emulator
    from support import Key

    Connect = Callable[..., TwilioClient]


@pytest.fixture
def spotter(emulator: Emulator) -> Spotter:
    return Spotter(emulator.standard_key.secret)


def used(client: TwilioClient) -> TwilioClient:
    """Return *client* after requests of all kinds and outcomes."""
    client.messages.create(to="+15551230001", from_="+15005550006", body="hello")
    client.messages.list(limit=2)
    caught(lambda: client.messages("SM" + "0" * 32).fetch())
    caught(lambda: client.new_keys.create(friendly_name="x"))
    caught(client.keys.list)
    client.request("GET", "https://evil.example/")  # it leads to the emulator
    _ = client.iam.v1, client.verify.v2, client.lookups.v2
    return client


def found(client: TwilioClient, name: str) -> object:
    """Return what *client* has under *name*, if that can be imported (twilio 9.4 has a mistake)."""
    try:
        return getattr(client, name)
    except (AttributeError, TypeError):
        return None


WAYS: dict[str, Callable[[TwilioClient], object]] = {
    "vars": vars,
    "vars of the transport": lambda client: vars(client.http_client),
    "auth": lambda client: (client.auth, repr(client.auth), str(client.auth)),
    "password": lambda client: (client.password, str(client.password), f"{client.password!s:50}"),
    "username": lambda client: client.username,
    "repr": repr,
    "str": str,
    "format": lambda client: f"{client} {client.password} {client.auth}",
    "dir": lambda client: [repr(found(client, name)) for name in dir(client)],
    "pprint": lambda client: pprint.pformat(vars(client)),
    "json": lambda client: json.dumps(vars(client), default=repr),
    "last request": lambda client: vars(client.http_client._test_only_last_request),
    "last response": lambda client: client.http_client._test_only_last_response,
    "session": lambda client: vars(client.http_client.session),
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "deepcopy of the auth": lambda client: copy.deepcopy(client.auth),
    "reduce of the auth": lambda client: client.auth.__reduce_ex__(4),
    "messages": lambda client: client.messages,
}


@pytest.mark.parametrize("way", WAYS)
def test_no_way_to_the_secret(client: TwilioClient, spotter: Spotter, way: str) -> None:
    assert spotter.in_object(WAYS[way](used(client))) == []


def test_recursive_walk_from_the_client(client: TwilioClient, spotter: Spotter) -> None:
    assert spotter.in_object(client) == []
    assert spotter.in_object(used(client)) == []


@pytest.mark.parametrize("dump", [pickle.dumps, lambda each: pickle.dumps(each, 0)])
def test_pickle_refuses_what_holds_a_secret(
    client: TwilioClient, dump: Callable[[object], bytes]
) -> None:
    key = ApiKey(account_sid(), key_sid(), new_secret(), source="test")
    token = AuthToken(account_sid(), auth_token())
    for each in (client, client.password, key, token, {"deep": [client]}):
        with pytest.raises(RefusedBeforeSending) as refused:
            dump(each)
        assert refused.value.code == "ST803"
    with pytest.raises((RefusedBeforeSending, TypeError)):
        dump(client.auth)


def test_password_and_auth_still_answer_comparisons(
    client: TwilioClient, emulator: Emulator
) -> None:
    key = emulator.standard_key
    assert client.username == key.sid
    assert client.password == key.secret
    assert client.password != key.secret + "x"
    assert client.password != 1
    assert client.password == Hidden(lambda: key.secret)
    assert client.password != "\ud800"
    assert client.auth == (key.sid, key.secret)
    assert client.auth == client.auth
    assert client.auth != (key.sid, "x")
    assert client.auth != (key.sid,)
    assert client.auth != "x"
    assert len({client.auth}) == 1
    with pytest.raises(TypeError):
        hash(client.password)


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy])
def test_copies_work_and_stand_alone(
    client: TwilioClient, emulator: Emulator, duplicate: Callable[[Any], Any]
) -> None:
    used(client)
    twin = duplicate(client)
    assert type(twin) is TwilioClient
    assert twin is not client
    twin.region = "ie1"
    assert client.region is None
    twin.region = None
    sent = twin.messages.create(to="+15551230001", from_="+15005550006", body="twin")
    assert emulator.messages[-1].sid == sent.sid
    if duplicate is copy.deepcopy:
        assert twin.http_client is not client.http_client
        assert twin.messages._version.domain.twilio is twin
        twin.http_client.session.close()


def test_credentials_are_copied_by_reference() -> None:
    key = ApiKey(account_sid(), key_sid(), new_secret(), source="test", version="7")
    assert copy.copy(key) is copy.deepcopy(key) is key
    assert key.origin == "test, version 7"
    hidden = Hidden(key.reveal)
    assert copy.deepcopy(hidden) is hidden
    assert repr(AuthToken("AC", "x")) == "<AuthToken>"


def test_sids_of_no_known_length_have_a_mask_too() -> None:
    client = TwilioClient("SKshort", new_secret(), "ACshort")
    assert "[TWILIO:key:short]" in repr(client.auth)


def test_new_key_is_in_no_attribute(emulator: Emulator, connect: Connect, spotter: Spotter) -> None:
    key = emulator.main_key
    url = client_url(emulator)
    client = connect(url, key.sid, key.secret, emulator.account.sid)
    made = client.new_keys.create(friendly_name="fresh")
    assert made.secret
    last = client.http_client._test_only_last_response
    assert (last.status_code, last.content, last.text) == (201, "", "")
    assert client.http_client._test_only_last_request.auth is None
    assert client.http_client._test_only_last_request.data is None
    account = client.api.accounts(emulator.account.sid).fetch()
    assert account.auth_token == emulator.account.auth_token
    assert (
        Spotter(key.secret, made.secret, account.auth_token).in_object(client, but=(client._api,))
        == []
    )
    assert spotter.in_object(client) == []


def client_url(emulator: Emulator) -> str:
    import os

    del emulator
    return os.environ["SAFETWILIO_EMULATOR"]


def test_logs_of_a_request_hold_no_secret(client: TwilioClient, spotter: Spotter) -> None:
    """With everything at DEBUG and no redaction: Twilio's lines as ever, urllib3's too."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        used(client)
    finally:
        root.setLevel(level)
        root.removeHandler(handler)
    lines = stream.getvalue()
    assert "-- BEGIN Twilio API Request --" in lines
    assert "Response Status Code: 201" in lines
    assert '"POST /2010-04-01/Accounts/' in lines  # urllib3
    assert spotter.count(lines) == 0
    assert "uthorization" not in lines


def test_log_lines_are_twilios(
    key: Key, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="twilio.http_client")

    def lines(client: Client) -> list[str]:
        caplog.clear()
        client.messages.list(to="+15550100", limit=1)
        client.messages.create(to="+15550100", body="x")
        client.http_client.session.close()
        return [message for message in caplog.messages if not message.startswith("Host :")]

    page = {"messages": [], "page": 0, "uri": "", "next_page_uri": None}

    def behave(request: Any) -> bytes:
        return answer(200, page) if request.method == "GET" else answer(201, {"sid": "SM1"})

    with Wire(behave) as wire:
        ours = lines(connect(wire.url, key.sid, key.secret, key.account))

        class Led(TwilioHttpClient):
            def request(self, method: str, url: str, *args: Any, **kwargs: Any) -> Any:
                led = url.replace("https://api.twilio.com", wire.url)
                return super().request(method, led, *args, **kwargs)

        theirs = lines(Client(key.sid, key.secret, key.account, http_client=Led()))
        theirs = [line.replace(wire.url, "https://api.twilio.com") for line in theirs]
    assert ours == theirs
    assert len(ours) > 20


def test_secret_is_registered_with_redaction(key: Key) -> None:
    from safetwilio.redaction.engine import redact

    client = TwilioClient(key.sid, key.secret, key.account)
    basic = base64.b64encode(f"{key.sid}:{key.secret}".encode()).decode()
    assert key.secret not in redact(f"x {key.secret} y")
    assert not Spotter(key.secret).count(redact(f"Authorization: Basic {basic}"))
    retire(key.secret)
    client.http_client.session.close()


def test_transport_alone_holds_nothing(key: Key) -> None:
    transport = Transport(max_retries=0)
    url = f"https://127.0.0.1:{dead_port()}"
    ready = "Basic " + base64.b64encode(f"{key.sid}:{key.secret}".encode()).decode()
    error = caught(lambda: transport.request("GET", url, headers={"Authorization": ready}))
    assert isinstance(error, RefusedBeforeSending)
    assert Spotter(key.secret).in_object(transport) == []
    transport.session.close()
