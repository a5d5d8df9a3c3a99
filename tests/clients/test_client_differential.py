"""The same server, Twilio's client and ours: whatever is no refusal comes out the same."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from calls import CALLS, Led
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twilio.rest import Client
from wires import Wire, answer

from safetwilio.clients import Transport, TwilioClient

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from support import Key


@pytest.fixture(scope="module")
def stage() -> Iterator[Wire]:
    with Wire() as wire:
        yield wire


def outcome(call: Callable[[], object]) -> tuple[Any, ...]:
    """Return what *call* comes to, as anybody could tell it."""
    try:
        result = call()
    except Exception as error:  # noqa: BLE001 - to be compared
        told = {k: v for k, v in vars(error).items() if k not in {"request", "response"}}
        return type(error), told, str(error), repr(error.args)
    instance = getattr(result, "_properties", None) or vars(type(result)).get("x")
    return type(result), instance, repr(result)


EXPLAINED = {20003, 70051, 20008}
BODIES = st.one_of(
    st.sampled_from(["", "{", "<html>no</html>", "null", "[]", '"x"', "1", "{}", "\u00e9"]),
    st.fixed_dictionaries(
        {},
        optional={
            "code": st.one_of(st.integers(10000, 90000), st.none(), st.text(max_size=3)),
            "message": st.one_of(st.text(max_size=20), st.none(), st.integers()),
            "status": st.one_of(st.integers(100, 599), st.text(max_size=3)),
            "details": st.one_of(st.none(), st.dictionaries(st.text(max_size=3), st.integers())),
            "more_info": st.text(max_size=9),
            "type": st.text(max_size=9),
            "title": st.text(max_size=9),
            "detail": st.text(max_size=9),
            "sid": st.text(max_size=9),
            "messages": st.just([]),
            "next_page_uri": st.none(),
            "errors": st.lists(st.fixed_dictionaries({"detail": st.text(max_size=5)})),
        },
    )
    .filter(lambda body: body.get("code") not in EXPLAINED)
    .map(json.dumps),
)
STATUSES = st.sampled_from(
    [
        *(200, 201, 202, 204, 206, 300, 301, 302, 304, 307, 400, 401, 403, 404, 405, 409, 410),
        *(413, 415, 418, 422, 500, 501, 502, 503, 504, 599),
    ]
)


@pytest.mark.usefixtures("connect")  # the key is one of the emulator's
@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(status=STATUSES, body=BODIES, call=st.sampled_from(sorted(CALLS)))
def test_everything_but_a_refusal_is_as_with_twilios_client(
    stage: Wire, key: Key, status: int, body: str, call: str
) -> None:
    sent = b"" if status in {204, 304} else body.encode()
    stage.behave = lambda _: answer(status, sent)
    theirs = Client(key.sid, key.secret, key.account, http_client=Led(stage.url))
    transport = Transport(max_retries=0, emulator=stage.url)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("SAFETWILIO_EMULATOR", stage.url)
        ours = TwilioClient(key.sid, key.secret, key.account, http_client=transport)
    expected, got = outcome(lambda: CALLS[call](theirs)), outcome(lambda: CALLS[call](ours))
    for client in (theirs, ours):
        client.http_client.session.close()
    first, second = stage.requests[-2:]
    assert (first.method, first.target, first.body) == (second.method, second.target, second.body)
    assert first.headers["authorization"] == second.headers["authorization"]
    assert got[0] is expected[0]
    assert got[2] == expected[2]
    if isinstance(expected[1], dict):
        assert got[1].keys() == expected[1].keys()
        assert {k: repr(v) for k, v in got[1].items()} == {
            k: repr(v) for k, v in expected[1].items()
        }
