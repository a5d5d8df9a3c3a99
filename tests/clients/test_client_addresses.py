"""Which addresses may receive the key: by hand, and by property against what really connects."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
import requests
from hostile import REFUSED
from hypothesis import given
from hypothesis import strategies as st
from requests.adapters import HTTPAdapter

from safetwilio.clients.auth import LastMomentAuth
from safetwilio.credentials import ApiKey
from safetwilio.errors import RefusedBeforeSending
from safetwilio.policy import require_destination
from support import new_key

KEY = new_key()

ALLOWED = [
    "https://api.twilio.com/",
    "https://api.twilio.com",
    "https://api.twilio.com:443/2010-04-01/Accounts.json?To=%2B1",
    "https://API.TWILIO.COM/",
    "HTTPS://api.twilio.com/",
    "https://api.dublin.ie1.twilio.com/",
    "https://iam.twilio.com/v1/Keys#x",
    "https://api.twilio.com//evil.example/",
    "https://api.twilio.com/@evil.example",
    "https://api.twilio.com\\@evil.example/",  # a path to requests, as to browsers
]


def header_for(url: str) -> tuple[str | None, str]:
    """Return the header that a request to *url* gets, and the host that it really would go to."""
    key = ApiKey(KEY.account, KEY.sid, KEY.secret, source="test")
    prepared = requests.Request("GET", url).prepare()
    with contextlib.suppress(RefusedBeforeSending):
        LastMomentAuth(lambda: key, emulator=None)(prepared)
    given = prepared.headers.get("Authorization")  # requests makes one of user:pass@ itself
    target = "{scheme}://{host}:{port}".format(**target_of(prepared))
    return (given if given == key.authorization() else None), target


def target_of(prepared: requests.PreparedRequest) -> dict[str, Any]:
    """Return where *prepared* would go: what connects parses the URL by rules of its own."""
    with contextlib.closing(HTTPAdapter()) as adapter:
        if hasattr(adapter, "get_connection_with_tls_context"):
            pool = adapter.get_connection_with_tls_context(prepared, verify=True)
        else:  # requests before 2.32.2
            pool = adapter.poolmanager.connection_from_url(prepared.url)
        return {"scheme": pool.scheme, "host": pool.host, "port": pool.port}


@pytest.mark.parametrize("url", REFUSED)
def test_hostile_address(url: str) -> None:
    with pytest.raises(RefusedBeforeSending) as refused:
        require_destination(url, None)
    assert refused.value.code == "ST801"
    assert "pass" not in str(refused.value)
    if url.startswith(("http:", "https://")):
        try:
            header, target = header_for(url)
        except (requests.RequestException, UnicodeError, ValueError):
            return  # requests itself refuses
        assert header is None or target.endswith((".twilio.com:443", ".twilio.com:None"))


@pytest.mark.parametrize("url", ALLOWED)
def test_address_of_twilio(url: str) -> None:
    header, target = header_for(url)
    assert header
    assert target.lower().startswith("https://")
    assert target.lower().rpartition(":")[0].endswith(".twilio.com")


def test_no_address_at_all() -> None:
    with pytest.raises(RefusedBeforeSending):
        require_destination(None, None)


PIECES = st.sampled_from(
    [
        *("https://", "http://", "HTTPS://", "https:/", "//", "https:\\\\"),
        *(
            "api",
            "twilio",
            "com",
            ".",
            "twilio.com",
            ".twilio.com",
            "api.twilio.com",
            "evil.example",
        ),
        *(
            "@",
            ":",
            "/",
            "\\",
            "#",
            "?",
            "%2f",
            "%40",
            "%00",
            " ",
            "\t",
            "\r",
            "\n",
            ";",
            ",",
            "[",
            "]",
        ),
        *(
            ":443",
            ":80",
            ":8443",
            ":",
            "user:pw@",
            "\u3002",
            "\uff0f",
            "\uff20",
            "\u212a",
            "\u00ad",
        ),
        *("127.0.0.1", "[::1]", "xn--", "..", "-", "_", "*", "$", "{", "|", "\x7f", "\u200b"),
    ]
)
URLS = st.one_of(
    st.lists(PIECES, min_size=1, max_size=8).map("".join),
    st.lists(PIECES, min_size=1, max_size=7).map(lambda rest: "https://" + "".join(rest)),
    st.lists(PIECES, min_size=1, max_size=5).map(lambda p: "https://" + "".join(p) + ".twilio.com"),
    st.lists(PIECES, min_size=1, max_size=5).map(lambda p: "https://api.twilio.com" + "".join(p)),
)


@given(URLS)
def test_header_only_where_the_connection_goes_to_twilio(url: str) -> None:
    try:
        header, target = header_for(url)
    except (requests.RequestException, UnicodeError, ValueError):
        return  # requests itself refuses
    if header is not None:
        scheme, _, host = target.lower().rpartition(":")[0].partition("://")
        port = target.rpartition(":")[2]
        assert scheme == "https"
        assert host.endswith(".twilio.com")
        assert set(host) <= set("abcdefghijklmnopqrstuvwxyz0123456789.-")
        assert port in {"443", "None"}


@given(URLS)
def test_the_two_parsers_agree_on_what_is_allowed(url: str) -> None:
    """Also for an address that no request was prepared of: what we allow, urllib3 takes so too."""
    from urllib3.exceptions import LocationParseError
    from urllib3.util import parse_url

    try:
        require_destination(url, None)
    except RefusedBeforeSending:
        return
    try:
        parsed = parse_url(url)
    except LocationParseError:
        return
    assert (parsed.scheme, parsed.auth) == ("https", None)
    assert parsed.port in {None, 443}
    assert str(parsed.host).endswith(".twilio.com")


@given(st.lists(PIECES, max_size=6).map("".join))
def test_only_the_emulator_where_one_is_declared(rest: str) -> None:
    emulator = "http://127.0.0.1:8910"
    for url in (emulator + rest, rest, "https://api.twilio.com" + rest):
        try:
            require_destination(url, emulator)
        except RefusedBeforeSending:
            continue
        prepared = requests.Request("GET", url).prepare()
        target = target_of(prepared)
        assert (target["scheme"], target["host"], target["port"]) == ("http", "127.0.0.1", 8910)
