"""What programs rely on in Twilio's client: each test runs with Twilio's class and with ours."""

from __future__ import annotations

import asyncio
import base64
import os
import re
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any
from unittest.mock import AsyncMock, Mock

import pytest
import twilio
from requests import Response as RequestsResponse
from requests.adapters import HTTPAdapter
from twilio.http.http_client import TwilioHttpClient
from twilio.http.response import Response
from twilio.rest import Client

from safetwilio import break_glass
from safetwilio.clients.rest import TwilioClient

if TYPE_CHECKING:
    from collections.abc import Callable

    from requests import PreparedRequest

ACCOUNT, KEY, SECRET = f"AC{'1' * 32}", f"SK{'2' * 32}", "contractSecret" + "x" * 18
TOKEN = "0123456789abcdef" * 2
URL = "https://api.twilio.com/2010-04-01/Accounts.json"
USER_AGENT = rf"twilio-python/{re.escape(twilio.__version__)} \(\S+ \S+\) Python/\S+"
NOT_ASYNC = "http_client must be asynchronous to support async API requests"

Make = type[Client]


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("TWILIO_", "SAFETWILIO_"))]:
        monkeypatch.delenv(name)


@pytest.fixture(params=[Client, TwilioClient], ids=["twilio's", "ours"])
def make(request: pytest.FixtureRequest) -> Make:
    return request.param


@pytest.fixture
def http_client() -> Mock:
    """Return a stand-in for Twilio's HTTP client; its ``request`` shows what it was called with."""
    stand_in = Mock(spec=TwilioHttpClient)
    stand_in.request.return_value = Response(200, "{}")
    return stand_in


@pytest.fixture
def async_http_client() -> AsyncMock:
    stand_in = AsyncMock(is_async=True)
    stand_in.request.return_value = Response(200, "{}")
    return stand_in


def glass_for(make: Make) -> Any:
    """Twilio's class takes the Auth Token at any time, ours inside a block."""
    return break_glass(reason="contract") if make is TwilioClient else nullcontext()


@pytest.mark.parametrize(
    "build",
    [
        lambda make: make(KEY, SECRET, ACCOUNT),
        lambda make: make(KEY, SECRET, account_sid=ACCOUNT),
        lambda make: make(password=SECRET, account_sid=ACCOUNT, username=KEY),
        lambda make: make(KEY, SECRET, ACCOUNT, None, None, None, None, None, None),
    ],
    ids=["by position", "mixed", "by name", "all nine"],
)
def test_a_key_is_taken_by_position_and_by_name(make: Make, build: Callable[..., Client]) -> None:
    client = build(make)

    assert (client.username, client.account_sid) == (KEY, ACCOUNT)
    assert client.password == SECRET
    assert client.auth == (KEY, SECRET)


def test_every_argument_has_its_place(make: Make, http_client: Mock) -> None:
    environment = {"TWILIO_REGION": "unused"}
    extensions = ["tool/1.0"]
    client = make(KEY, SECRET, ACCOUNT, "au1", http_client, environment, "sydney", extensions, None)

    assert (client.region, client.edge) == ("au1", "sydney")
    assert client.http_client is http_client
    assert client.user_agent_extensions == extensions


def test_region_and_edge_come_from_the_given_environment(make: Make) -> None:
    environment = {"TWILIO_REGION": "ie1", "TWILIO_EDGE": "dublin"}
    client = make(KEY, SECRET, ACCOUNT, environment=environment)

    assert (client.region, client.edge) == ("ie1", "dublin")


def test_password_and_auth_equal_nothing_but_the_secret(make: Make) -> None:
    client = make(KEY, SECRET, ACCOUNT)

    assert SECRET == client.password  # noqa: SIM300 - the other way round
    assert (KEY, SECRET) == client.auth  # noqa: SIM300
    for other in ("", SECRET[:-1], SECRET.upper(), None, 0):
        assert client.password != other
        assert client.auth != (KEY, other)
    assert client.auth != (ACCOUNT, SECRET)
    assert client.auth not in (SECRET, (), (KEY,), (KEY, SECRET, ""))


@pytest.mark.parametrize("attribute", ["password", "auth"])
def test_our_attributes_do_not_show_what_they_equal(attribute: str) -> None:
    value = getattr(TwilioClient(KEY, SECRET, ACCOUNT), attribute)

    for text in (str(value), repr(value), f"{value}", f"{[value]}", f"{value!a}"):
        assert SECRET not in text


def test_our_client_shows_no_secret_to_what_lists_its_attributes() -> None:
    client = TwilioClient(KEY, SECRET, ACCOUNT)

    assert SECRET not in repr(vars(client))
    assert SECRET not in repr(vars(client.http_client))


def test_account_and_token_make_a_client(make: Make) -> None:
    with glass_for(make):
        client = make(ACCOUNT, TOKEN)

        assert (client.username, client.account_sid) == (ACCOUNT, ACCOUNT)
        assert client.password == TOKEN
        assert client.auth == (ACCOUNT, TOKEN)


def test_a_mapping_decides_where_there_are_no_arguments(make: Make) -> None:
    mapping = {"TWILIO_ACCOUNT_SID": ACCOUNT, "TWILIO_AUTH_TOKEN": TOKEN}

    with glass_for(make):
        client = make(environment=mapping)

        assert (client.username, client.account_sid) == (ACCOUNT, ACCOUNT)
        assert client.password == TOKEN
        assert client.auth == (ACCOUNT, TOKEN)


def test_another_http_client_gets_the_plain_pair_by_name(make: Make, http_client: Mock) -> None:
    make(KEY, SECRET, ACCOUNT, http_client=http_client).request("GET", URL)

    http_client.request.assert_called_once()
    pair = http_client.request.call_args.kwargs["auth"]
    assert type(pair) is tuple
    assert list(map(type, pair)) == [str, str]
    assert pair == (KEY, SECRET)


def test_another_pair_for_one_request_takes_precedence(make: Make, http_client: Mock) -> None:
    other = (f"SK{'3' * 32}", "y" * 32)
    client = make(KEY, SECRET, ACCOUNT, http_client=http_client)

    client.request("GET", URL, auth=other)

    assert http_client.request.call_args.kwargs["auth"] == other


def test_method_and_url_are_positional_and_the_rest_is_not(make: Make, http_client: Mock) -> None:
    client = make(KEY, SECRET, ACCOUNT, http_client=http_client)

    answer = client.request(
        "POST", URL, params={"Page": 2}, data={"To": "+15550100", "Body": None}, timeout=3
    )

    assert answer is http_client.request.return_value
    call = http_client.request.call_args
    assert call.args == ("POST", URL)
    assert set(call.kwargs) == {"params", "data", "headers", "auth", "timeout", "allow_redirects"}
    assert call.kwargs["params"] == {"Page": 2}
    assert call.kwargs["data"] == {"To": "+15550100"}
    assert call.kwargs["headers"]["Content-Type"] == "application/x-www-form-urlencoded"
    assert (call.kwargs["timeout"], call.kwargs["allow_redirects"]) == (3, False)


def test_a_resource_sends_through_the_http_client(make: Make, http_client: Mock) -> None:
    http_client.request.return_value = Response(201, f'{{"sid": "SM{"4" * 32}"}}')

    message = make(KEY, SECRET, ACCOUNT, http_client=http_client).messages.create(
        to="+15550100", from_="+15550101", body="hello"
    )

    assert message.sid == f"SM{'4' * 32}"
    url = f"https://api.twilio.com/2010-04-01/Accounts/{ACCOUNT}/Messages.json"
    assert http_client.request.call_args.args == ("POST", url)


@pytest.mark.parametrize(
    ("edge", "region", "host", "reached"),
    [
        (None, None, "api.twilio.com", "api.twilio.com"),
        (None, None, "api.sydney.au1.twilio.com", "api.sydney.au1.twilio.com"),
        ("sydney", None, "api.twilio.com", "api.sydney.us1.twilio.com"),
        ("sydney", None, "api.au1.twilio.com", "api.sydney.au1.twilio.com"),
        ("sydney", None, "api.dublin.au1.twilio.com", "api.sydney.au1.twilio.com"),
        (None, "au1", "api.twilio.com", "api.au1.twilio.com"),
        (None, "au1", "api.dublin.ie1.twilio.com", "api.dublin.au1.twilio.com"),
        ("sydney", "au1", "api.twilio.com", "api.sydney.au1.twilio.com"),
        ("sydney", "au1", "api.dublin.ie1.twilio.com", "api.sydney.au1.twilio.com"),
    ],
)
def test_region_and_edge_may_be_set_later(  # noqa: PLR0913, PLR0917 - a table
    make: Make, http_client: Mock, edge: str | None, region: str | None, host: str, reached: str
) -> None:
    client = make(KEY, SECRET, ACCOUNT, http_client=http_client)
    client.edge, client.region = edge, region

    client.request("GET", f"https://{host}/a.b.json?page=1.5")

    url = f"https://{reached}/a.b.json?page=1.5"
    assert client.get_hostname(f"https://{host}/a.b.json?page=1.5") == url
    assert http_client.request.call_args.args == ("GET", url)


def test_the_user_agent_is_twilios(make: Make, http_client: Mock) -> None:
    make(KEY, SECRET, ACCOUNT, http_client=http_client).request("GET", URL)

    assert re.fullmatch(USER_AGENT, user_agent(http_client))


def test_the_user_agent_ends_with_the_extensions(make: Make, http_client: Mock) -> None:
    client = make(KEY, SECRET, ACCOUNT, http_client=http_client, user_agent_extensions=["shop/1.2"])
    client.request("GET", URL)
    assert re.fullmatch(rf"{USER_AGENT} shop/1\.2", user_agent(http_client))

    client.user_agent_extensions = ["shop/1.3", "plugin/4"]
    client.request("GET", URL)
    assert re.fullmatch(rf"{USER_AGENT} shop/1\.3 plugin/4", user_agent(http_client))


def user_agent(http_client: Mock) -> str:
    return http_client.request.call_args.kwargs["headers"]["User-Agent"]


class Answering(HTTPAdapter):
    """Answers without a connection; *seen* are the requests."""

    def __init__(self) -> None:
        """Start with nothing seen."""
        super().__init__()
        self.seen: list[PreparedRequest] = []

    def send(self, request: PreparedRequest, *_: Any, **__: Any) -> RequestsResponse:
        """Answer with an empty object."""
        self.seen.append(request)
        response = RequestsResponse()
        response.status_code, response._content, response.request = 200, b"{}", request
        return response


def test_the_own_http_client_has_a_session_and_remembers_the_last_request(make: Make) -> None:
    client, adapter = make(KEY, SECRET, ACCOUNT), Answering()
    assert isinstance(client.http_client, TwilioHttpClient)
    client.http_client.session.mount("https://", adapter)

    assert client.request("GET", URL).status_code == 200

    remembered = client.http_client._test_only_last_request
    assert (remembered.method, remembered.url) == ("GET", URL)
    assert re.fullmatch(USER_AGENT, remembered.headers["User-Agent"])
    [sent] = adapter.seen
    assert sent.url == URL
    assert sent.headers["Authorization"] == basic_authorization()
    client.http_client.session.close()


def basic_authorization() -> str:
    return "Basic " + base64.b64encode(f"{KEY}:{SECRET}".encode()).decode()


@pytest.mark.parametrize("is_async", [None, False])
def test_an_http_client_that_is_not_async_is_refused(
    make: Make, http_client: Mock, *, is_async: bool | None
) -> None:
    http_client.is_async = is_async
    client = make(KEY, SECRET, ACCOUNT, http_client=http_client)

    with pytest.raises(RuntimeError, match=f"^{NOT_ASYNC}$"):
        asyncio.run(client.request_async("GET", URL))

    http_client.request.assert_not_called()


def test_twilios_own_http_client_is_not_async() -> None:
    """Where ours serves both kinds of code, as tests/clients/test_async_client.py shows."""
    with pytest.raises(RuntimeError, match=f"^{NOT_ASYNC}$"):
        asyncio.run(Client(KEY, SECRET, ACCOUNT).request_async("GET", URL))


def test_an_async_http_client_is_called_alike(make: Make, async_http_client: AsyncMock) -> None:
    client = make(KEY, SECRET, ACCOUNT, http_client=async_http_client)

    answer = asyncio.run(client.request_async("GET", URL))

    assert answer is async_http_client.request.return_value
    call = async_http_client.request.call_args
    assert call.args == ("GET", URL)
    assert call.kwargs["auth"] == (KEY, SECRET)
    assert re.fullmatch(USER_AGENT, call.kwargs["headers"]["User-Agent"])
