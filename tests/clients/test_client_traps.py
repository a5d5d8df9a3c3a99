"""The traps of Twilio's own client (facts: twilio.md, sections 1 and 4), each of them closed."""

from __future__ import annotations

import base64
import json
import logging
import time
from typing import TYPE_CHECKING, Any

import jwt
import pytest
from leaks import Spotter, caught, new_secret
from twilio.base.exceptions import TwilioException
from twilio.credential.client_credential_provider import ClientCredentialProvider
from twilio.credential.orgs_credential_provider import OrgsCredentialProvider
from twilio.http.client_token_manager import ClientTokenManager
from twilio.http.token_manager import TokenManager
from twilio.rest import Client
from wires import Received, Wire, answer, hang

from safetwilio.clients import Transport, TransportError, TwilioClient
from safetwilio.errors import MasterTokenInUse, MissingCredentials
from safetwilio.redaction.engine import redact
from support import account_sid, auth_token, key_sid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from support import Key

    Connect = Callable[..., TwilioClient]

MESSAGES = "https://api.twilio.com/2010-04-01/Accounts/AC1/Messages.json"


@pytest.fixture
def token(monkeypatch: pytest.MonkeyPatch) -> str:
    """Put an account SID and its Auth Token into the environment, and return the token."""
    value = auth_token()
    monkeypatch.setenv("TWILIO_ACCOUNT_SID", account_sid())
    monkeypatch.setenv("TWILIO_AUTH_TOKEN", value)
    return value


# Section 1: what the constructor reads.


def test_nothing_at_all_is_refused() -> None:
    with pytest.raises(MissingCredentials) as missing:
        TwilioClient()
    assert missing.value.code == "ST104"
    assert "from safetwilio import client" in str(missing.value)


@pytest.mark.usefixtures("token")
@pytest.mark.parametrize("environment", [None, {}])
def test_token_in_the_environment_is_not_picked_up(environment: dict[str, str] | None) -> None:
    """With an empty mapping too, which Twilio takes for none."""
    with pytest.raises(MissingCredentials):
        TwilioClient(environment=environment)


def test_token_in_a_mapping_is_not_picked_up(token: str) -> None:
    mapping = {"TWILIO_ACCOUNT_SID": account_sid(), "TWILIO_AUTH_TOKEN": token}
    with pytest.raises(MissingCredentials):
        TwilioClient(environment=mapping)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ((key_sid(), ""), "ST101"),
        ((key_sid(), None), "ST101"),
        ((key_sid(), "", account_sid()), "ST101"),
        ((key_sid(), None, account_sid()), "ST101"),
        (("", new_secret(), account_sid()), "ST102"),
        ((None, new_secret(), account_sid()), "ST102"),
        ((key_sid(), new_secret()), "ST103"),
        ((key_sid(), new_secret(), ""), "ST103"),
    ],
)
def test_no_part_is_filled_in_from_the_environment(
    token: str, arguments: tuple[Any, ...], code: str
) -> None:
    plain = Client(*arguments)
    assert token in vars(plain).values() or plain.account_sid != arguments[2:]
    plain.http_client.session.close()
    with pytest.raises(MissingCredentials) as missing:
        TwilioClient(*arguments)
    assert missing.value.code == code


def test_account_sid_in_the_environment_does_not_change_the_url(
    token: str, connect: Connect, key: Key
) -> None:
    with Wire(lambda _: answer(201, {"sid": "SM1"})) as wire:
        client = connect(wire.url, key.sid, key.secret, key.account)
        client.messages.create(to="+1", body="x")
        assert wire.requests[0].target == f"/2010-04-01/Accounts/{key.account}/Messages.json"
    assert (client.username, client.account_sid) == (key.sid, key.account)
    assert not Spotter(token).in_object(client)


@pytest.mark.parametrize(
    "pair", [(account_sid(), auth_token()), (key_sid(), auth_token(), account_sid()), ("me", "x")]
)
def test_pair_that_is_no_key_is_refused(pair: tuple[str, ...]) -> None:
    with pytest.raises(MasterTokenInUse) as refused:
        TwilioClient(*pair)
    assert refused.value.code == "ST506"
    assert "break_glass" in str(refused.value)


def test_refused_token_is_hidden_all_the_same() -> None:
    token = auth_token()
    with pytest.raises(MasterTokenInUse):
        TwilioClient(account_sid(), token)
    assert token not in redact(f"it was {token}")


def test_region_and_edge_of_the_environment_hold(key: Key, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWILIO_REGION", "ie1")
    monkeypatch.setenv("TWILIO_EDGE", "dublin")
    client = TwilioClient(key.sid, key.secret, key.account)
    assert (client.region, client.edge) == ("ie1", "dublin")
    client = TwilioClient(key.sid, key.secret, key.account, "au1", edge="sydney")
    assert (client.region, client.edge) == ("au1", "sydney")
    mapping = {"TWILIO_REGION": "us1"}
    client = TwilioClient(key.sid, key.secret, key.account, environment=mapping)
    assert (client.region, client.edge) == ("us1", None)


def test_all_nine_arguments_by_position(key: Key) -> None:
    transport = Transport()
    given = (key.sid, key.secret, key.account, "ie1", transport, {"X": ""}, "dublin", ["app/1"])
    client = TwilioClient(*given, None)
    assert client.http_client is transport
    assert client.user_agent_extensions == ["app/1"]
    assert client.credential_provider is None
    transport.session.close()


# Section 4: OAuth.


@pytest.fixture
def secret() -> str:
    return new_secret()


@pytest.fixture
def tokens(monkeypatch: pytest.MonkeyPatch) -> Iterator[Wire]:
    """Stand in for Twilio, the token endpoint included."""

    def behave(request: Received) -> bytes:
        if "token" in request.target:
            claims = {"exp": int(time.time()) + 600, "n": len(wire.requests)}
            made = jwt.encode(claims, "k" * 32, algorithm="HS256")
            return answer(200, {"access_token": made, "token_type": "bearer", "expires_in": 600})
        return answer(200, {"messages": [], "page": 0})

    with Wire(behave) as wire:
        monkeypatch.setenv("SAFETWILIO_EMULATOR", wire.url)
        yield wire


@pytest.fixture(params=[ClientCredentialProvider, OrgsCredentialProvider])
def provider(request: pytest.FixtureRequest, secret: str) -> Any:
    return request.param("OQ" + "1" * 32, secret)


def close(client: TwilioClient) -> None:
    client.http_client.session.close()
    manager = client.credential_provider.token_manager
    if hasattr(manager, "client"):
        manager.client.http_client.session.close()


def test_oauth_does_not_know_the_master_token(
    token: str, tokens: Wire, provider: Any, secret: str
) -> None:
    client = TwilioClient(account_sid=account_sid(), credential_provider=provider)
    assert client.messages.list(limit=1) == []
    assert client.messages.list(limit=1) == []
    assert not any((client.password, client.auth, client.username))
    asked, first, second = tokens.requests
    assert asked.form["client_secret"] == secret
    assert "authorization" not in asked.headers
    assert first.headers["authorization"].startswith("Bearer ey")
    assert first.headers["authorization"] == second.headers["authorization"]
    assert not Spotter(token).in_object([vars(each) for each in tokens.requests])
    assert not Spotter(token).in_object(client)
    assert secret not in redact(f"it is {secret}")
    close(client)


def test_oauth_control(token: str, monkeypatch: pytest.MonkeyPatch, provider: Any) -> None:
    """Twilio's own: the client holds the token, and so does the one that asks for bearers."""
    client = Client(credential_provider=provider)
    assert client.password == token
    monkeypatch.setattr(logging.root, "handlers", [*logging.root.handlers])
    provider.to_auth_strategy()
    assert provider.token_manager.client.password == token
    close(client)


@pytest.mark.usefixtures("tokens")
def test_oauth_leaves_root_logging_alone(provider: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.root, "handlers", [])
    monkeypatch.setattr(logging.root, "level", logging.WARNING)
    client = TwilioClient(account_sid=account_sid(), credential_provider=provider)
    client.messages.list(limit=1)
    assert logging.root.handlers == []
    assert logging.root.level == logging.WARNING
    close(client)


def test_netrc_does_not_reach_the_token_endpoint(
    tokens: Wire, provider: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("default login AC password token\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    client = TwilioClient(account_sid=account_sid(), credential_provider=provider)
    client.messages.list(limit=1)
    basic = "Basic " + base64.b64encode(b"AC:token").decode()
    assert basic not in tokens.authorizations
    assert len(tokens.authorizations) == 1
    close(client)


def test_provider_with_twilios_token_manager(token: str, tokens: Wire, secret: str) -> None:
    manager = ClientTokenManager("client_credentials", "OQ1", secret)
    manager.client.http_client.session.close()
    provider = ClientCredentialProvider("OQ1", secret, manager)
    client = TwilioClient(account_sid=account_sid(), credential_provider=provider)
    client.messages.list(limit=1)
    assert provider.token_manager is manager
    assert "authorization" not in tokens.requests[0].headers
    assert not Spotter(token).in_object(client)
    close(client)


def test_provider_with_a_token_manager_of_its_own(tokens: Wire) -> None:
    class Mine(TokenManager):
        def fetch_access_token(self) -> str:
            return "mine"

    provider = ClientCredentialProvider("OQ1", "short", Mine())
    client = TwilioClient(account_sid=account_sid(), credential_provider=provider)
    client.messages.list(limit=1)
    assert tokens.authorizations == {"Bearer mine"}
    close(client)


def test_provider_of_another_make(tokens: Wire) -> None:
    class Strategy:
        def get_auth_string(self) -> str:
            return "Bearer other"

    class Other:
        def to_auth_strategy(self) -> Strategy:
            return Strategy()

    client = TwilioClient(account_sid=account_sid(), credential_provider=Other())
    client.messages.list(limit=1)
    assert tokens.authorizations == {"Bearer other"}
    client.http_client.session.close()


@pytest.mark.parametrize("what", ["token", "messages"])
@pytest.mark.parametrize("how", [lambda _: hang, lambda _: answer(401), lambda _: answer(200, "{")])
def test_failure_shows_neither_bearer_nor_client_secret_in_frames(
    tokens: Wire, provider: Any, secret: str, what: str, how: Any
) -> None:
    """In local variables and Sentry; the provider itself, Twilio's, does hold both."""
    good, made = tokens.behave, []

    def behave(request: Received) -> Any:
        whole = good(request)
        if "token" in request.target:
            made.append(json.loads(whole.partition(b"\r\n\r\n")[2])["access_token"])
        return how(request) if what in request.target.lower() else whole

    tokens.behave = behave
    client = TwilioClient(
        account_sid=account_sid(),
        credential_provider=provider,
        http_client=Transport(timeout=0.3, emulator=tokens.url),
    )
    provider.token_manager.client.http_client.timeout = 0.3
    error = caught(lambda: client.messages.list(limit=1))
    assert isinstance(error, (TransportError, TwilioException, ValueError))
    found = Spotter(secret, *made).in_error(error)
    assert [each for each in found if each.startswith(("traceback", "sentry"))] == []
    assert [each for each in found if "headers" in each or each.endswith(" secret")] == []
    close(client)
