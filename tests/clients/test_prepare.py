"""The short way to prepare a request makes what ``requests`` makes, or leaves it to that."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from requests import RequestException, Session

from safetwilio.clients import prepare as module
from safetwilio.clients.auth import HeaderAuth, NoAuth

MESSAGES = "https://api.twilio.com/2010-04-01/Accounts/AC1/Messages.json"
USUAL = {"User-Agent": "twilio-python/9.13.0 (Linux x86_64)", "Accept": "application/json"}

SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.text(), st.floats())
FORMS = st.one_of(
    st.none(), st.dictionaries(st.text(), st.one_of(SCALARS, st.lists(SCALARS), st.binary()))
)
NEAR = st.text("aZ0/.-_~%:@;,+=?#& \n\té[]\\", max_size=12)
URLS = st.one_of(
    st.just(MESSAGES),
    st.builds("https://api.twilio.com/{}".format, NEAR),
    st.builds("http{}".format, NEAR),
    st.builds("https://{}.twilio.com/x".format, NEAR),
)
HEADERS = st.one_of(
    st.none(),
    st.just(USUAL),
    st.dictionaries(
        st.sampled_from(["accept", "Content-Type", "content-length", "X-Mine", "X y", "a:b", "é"]),
        st.one_of(st.none(), st.text("aZ 9/\n\té"), st.binary(max_size=3)),
    ),
)


def call(**more: Any) -> dict[str, Any]:
    usual = {"method": "POST", "url": MESSAGES, "params": None, "headers": USUAL, "auth": NoAuth()}
    return {**usual, **more}


@given(
    method=st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"]),
    url=URLS,
    params=FORMS,
    data=FORMS,
    headers=HEADERS,
)
def test_both_ways_agree(method: str, url: str, params: Any, data: Any, headers: Any) -> None:
    session = Session()
    what = call(method=method, url=url, params=params, data=data, headers=headers)
    try:
        expected: Any = module._by_requests(session, what)
    except (RequestException, UnicodeError, ValueError) as error:
        expected = type(error)
    try:
        made: Any = module._plainly(session, what)
    except UnicodeError as error:
        made = type(error)
    session.close()
    if made is None:
        return
    if isinstance(made, type):
        assert made is expected
        return
    body = expected.body.encode() if isinstance(expected.body, str) else expected.body
    assert (made.method, made.url, made.body) == (expected.method, expected.url, body)
    assert made.headers == expected.headers


@pytest.mark.parametrize(
    "what",
    [
        call(data={"To": "+15550100", "Body": "Grüße & ☃", "MediaUrl": ["a b", None], "N": 1.5}),
        call(method="GET", params={"PageSize": 50, "To": "+1"}),
        call(method="DELETE"),
        call(url="http://127.0.0.1:8910/2010-04-01/x", auth=HeaderAuth(lambda: "x", emulator=None)),
    ],
)
def test_usual_requests_take_the_short_way(what: dict[str, Any]) -> None:
    """Else the test above would compare nothing, and requests would take their time again."""
    session = Session()
    if what["url"].startswith("http:"):
        what["auth"] = HeaderAuth(lambda: "x", emulator="http://127.0.0.1:8910")
    assert module._plainly(session, what) is not None
    session.close()


@pytest.mark.parametrize(
    "what",
    [
        call(url=MESSAGES + "?Page=1"),
        call(url="https://api.twilio.com/a/../b"),
        call(url="https://api.twilio.com"),
        call(url="https://api.twilio.com:99999/x"),
        call(json={"a": 1}),
        call(data="raw"),
        call(data={"a": {"b": 1}}),
        call(data={"a": []}),
        call(headers={"X-Mine": "a\nInjected: b"}),
        call(headers={"Authorization": "mine"}),
        call(auth=("user", "password")),
        call(method="OPTIONS"),
    ],
)
def test_unusual_requests_are_left_to_requests(what: dict[str, Any]) -> None:
    session = Session()
    assert module._plainly(session, what) is None
    session.close()
