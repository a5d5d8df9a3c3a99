"""The same bytes on the wire as from the synchronous client; to each request its own answer."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twilio.base.values import unset
from twilio.http.async_http_client import AsyncTwilioHttpClient
from twilio.rest import Client
from twilio.rest.content.v1.content import ContentList
from wires import Wire, answer

from safetwilio.clients.async_transport import AsyncTransport
from support import Key, new_key

if TYPE_CHECKING:
    from collections.abc import Callable

    from wires import Received

    from safetwilio.clients import TwilioClient

    Connect = Callable[..., TwilioClient]

OF_THE_LIBRARY = {"accept-encoding"}
URL = "https://api.twilio.com/2010-04-01/Accounts/AC1/Things.json"
JSON = "application/json"


@pytest.fixture
def key() -> Key:
    return emulated()


def emulated() -> Key:
    """Return a key of those that may go to a server in place of Twilio's."""
    live = new_key()
    return Key("AC5afe0000" + live.account[10:], "SK5afe0000" + live.sid[10:], live.secret)


def on_the_wire(request: Received) -> tuple[object, ...]:
    headers = {k: v for k, v in request.headers.items() if k not in OF_THE_LIBRARY}
    return request.method, request.target, headers, request.body


def both(wire: Wire, client: TwilioClient, call: Callable[[Any, str], Any]) -> Received:
    """Make *call* synchronously and under asyncio, compare, and return what was sent."""

    async def under_asyncio() -> None:
        await call(client, "_async")

    wire.requests.clear()
    call(client, "")
    asyncio.run(under_asyncio())
    first, second = wire.requests
    assert on_the_wire(second) == on_the_wire(first)
    return second


def call(resource: Callable[[Any], Any], name: str, /, **arguments: Any) -> Callable[..., Any]:
    return lambda client, suffix: getattr(resource(client), name + suffix)(**arguments)


CONTENT = ContentList.ContentCreateRequest(
    {"friendly_name": "Grüße ☃", "language": "de", "variables": {"1": None, "2": True}, "types": {}}
)
CALLS = {
    "create": call(
        lambda c: c.messages, "create", to="+15550100", from_="+15550101", body="Grüße & ☃ = 100 %"
    ),
    "lists": call(
        lambda c: c.messages, "create", to="+1", body="", media_url=["https://a/b?c=d&e", "x y"]
    ),
    "booleans": call(lambda c: c.messages, "create", to="+1", smart_encoded=True, from_=None),
    "unset": call(lambda c: c.messages, "create", to="+1", from_=unset, attempt=3),
    "update": call(lambda c: c.messages("SM1"), "update", body=""),
    "fetch": call(lambda c: c.messages("SM1"), "fetch"),
    "delete": call(lambda c: c.messages("SM1"), "delete"),
    "list": call(lambda c: c.messages, "list", to="+1 5&5", limit=1, page_size=7),
    "nothing": call(lambda c: c.calls, "create", to="+1", from_="+2", twiml="<Response/>"),
    "if-match": call(
        lambda c: c.sync.v1.services("IS1").documents("x/y ü"),
        "update",
        if_match="7",
        data={"a": 1},
    ),
    "json": call(lambda c: c.content.v1.contents, "create", content_create_request=CONTENT),
    "json-query": call(
        lambda c: c.lookups.v2.phone_numbers("+1555"), "fetch", fields="a,b", first_name="Zoë"
    ),
    "put": call(lambda c: c.content.v1.contents("HX1"), "update", content_update_request=CONTENT),
    "region": call(
        lambda c: c, "request", method="GET", uri="https://api.ie1.twilio.com/a%2Fb?c=%20"
    ),
    "no body": call(lambda c: c, "request", method="POST", uri=URL),
    "raw json": call(
        lambda c: c,
        "request",
        method="PATCH",
        uri=URL,
        data={"list": [None, 1, True, "ü"], "deep": {"none": None, "no": False}},
        headers={"Content-Type": "application/scim+json"},
    ),
}


@pytest.mark.parametrize("name", CALLS)
def test_the_same_bytes(connect: Connect, key: Key, name: str) -> None:
    said = answer(200, {"messages": [], "uri": "/"} if name == "list" else {"sid": "x"})
    with Wire(lambda _: answer(204, b"") if name == "delete" else said) as wire:
        client = connect(wire.url, key.sid, key.secret, key.account)
        sent = both(wire, client, CALLS[name])
    assert sent.headers["authorization"].startswith("Basic ")
    assert sent.headers["host"].endswith(".twilio.com")


@pytest.mark.filterwarnings(
    "ignore:BasicAuth is deprecated", "ignore:The 'auth' parameter"
)  # Twilio's client uses it
def test_json_is_json_where_twilios_client_sends_a_form(connect: Connect, key: Key) -> None:
    async def plain() -> None:
        async with _Redirected(wire.url) as http_client:
            client = Client(key.sid, key.secret, key.account, http_client=http_client)
            await CALLS["json"](client, "_async")

    with Wire(lambda _: answer(201, {"sid": "x"})) as wire:
        client = connect(wire.url, key.sid, key.secret, key.account)
        sent = both(wire, client, CALLS["json"])
        asyncio.run(plain())
    assert wire.requests[-1].headers["content-type"] == JSON
    assert wire.requests[-1].body.startswith(b"friendly_name=Gr")  # what it calls JSON
    assert sent.headers["content-type"] == JSON
    assert json.loads(sent.body)["friendly_name"] == "Grüße ☃"
    assert json.loads(sent.body)["variables"]["2"] is True


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.text(),
    st.floats(allow_nan=False, allow_infinity=False),
)
FORMS = st.dictionaries(st.text(), st.one_of(VALUES, st.lists(VALUES)))
DOCUMENTS = st.dictionaries(
    st.text(),
    st.recursive(
        VALUES, lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(), inner))
    ),
)


def test_any_parameters_make_the_same_bytes(connect: Connect, key: Key) -> None:
    with Wire() as wire, asyncio.Runner() as runner:
        client = connect(wire.url, key.sid, key.secret, key.account)

        @given(
            method=st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE"]),
            params=st.one_of(st.none(), FORMS),
            form=FORMS,
            document=st.one_of(st.none(), DOCUMENTS),
            path=st.text(),
        )
        def check(method: str, params: Any, form: Any, document: Any, path: str) -> None:
            headers = {} if document is None else {"Content-Type": JSON}
            # Of a form with nothing but empty lists requests makes an empty chunked body.
            data = {**form, "To": "+15550100"} if document is None else document

            def arguments() -> dict[str, Any]:
                return {"params": params, "data": data, "headers": dict(headers)}

            wire.requests.clear()
            try:
                client.request(method, f"https://api.twilio.com/{path}", **arguments())
            except UnicodeEncodeError:  # a lone surrogate
                return
            runner.run(
                client.request_async(method, f"https://api.twilio.com/{path}", **arguments())
            )
            first, second = wire.requests
            assert on_the_wire(second) == on_the_wire(first)

        check()
        runner.run(client.aclose())


async def _asked(client: Any, number: int) -> bool:
    """Ask for *number*, and return whether the answer is about another."""
    got = await client.request_async("GET", f"https://api.twilio.com/{number}")
    return bool(got.text != f'{{"path": "/{number}"}}')


async def _wrong_of(client: Any, first: int, count: int) -> int:
    return sum(await asyncio.gather(*(_asked(client, first + n) for n in range(count))))


def _echo(request: Received) -> bytes:
    return answer(200, {"path": request.target})


def test_ten_thousand_requests_in_a_thousand_coroutines_get_their_own_answers(
    connect: Connect, key: Key
) -> None:
    async def chunks() -> list[int]:
        return [await _wrong_of(client, first, 1000) for first in range(0, 10_000, 1000)]

    with Wire(_echo) as wire:
        client = connect(wire.url, key.sid, key.secret, key.account)
        assert asyncio.run(chunks()) == [0] * 10
        assert len(wire.requests) == 10_000
        assert wire.connections <= 100


class _Redirected(AsyncTwilioHttpClient):
    """Twilio's client, with every URL led to *base*."""

    def __init__(self, base: str, **options: Any) -> None:
        super().__init__(**options)
        self.base = base

    async def request(self, method: str, url: str, **more: Any) -> Any:
        return await super().request(method, self.base + "/" + url.split("/", 3)[3], **more)


@pytest.mark.filterwarnings("ignore:BasicAuth is deprecated", "ignore:The 'auth' parameter")
def test_twilios_own_client_mixes_answers_up(key: Key) -> None:
    """What the test above would look like if it could fail."""

    async def wrong() -> int:
        http_client = _Redirected(wire.url, pool_connections=False)
        client = Client(key.sid, key.secret, key.account, http_client=http_client)
        return await _wrong_of(client, 0, 200)

    with Wire(_echo) as wire:
        assert asyncio.run(wrong()) > 0


@pytest.mark.parametrize("connections", [1, 7])
def test_the_number_of_connections_is_bounded(connect: Connect, key: Key, connections: int) -> None:
    with Wire(_echo) as wire:
        client = connect(wire.url, key.sid, key.secret, key.account)
        client.http_client = AsyncTransport(emulator=wire.url, connections=connections)
        assert asyncio.run(_wrong_of(client, 0, 50)) == 0
        assert wire.connections <= connections


def test_compressed_answers_are_read(connect: Connect, key: Key) -> None:
    import gzip

    body = gzip.compress(b'{"sid": "SM1"}')
    with Wire(lambda _: answer(200, body, Content_Encoding="gzip")) as wire:
        client = connect(wire.url, key.sid, key.secret, key.account)
        assert asyncio.run(client.messages("SM1").fetch_async()).sid == "SM1"


def test_an_answer_that_is_no_text_is_read_like_requests_reads_it(
    connect: Connect, key: Key
) -> None:
    with Wire(lambda _: answer(200, b'{"secret": "\xff"}')) as wire:
        client = connect(wire.url, key.sid, key.secret, key.account)
        assert asyncio.run(client.request_async("GET", URL)).text == '{"secret": "\ufffd"}'
