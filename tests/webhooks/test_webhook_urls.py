"""The URL that Twilio signed, from what servers and proxies make of it."""

from __future__ import annotations

import io
from contextlib import suppress
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from requests_signed import one, signed_headers

from safetwilio.errors import ConfigurationError, WebhookError
from safetwilio.webhooks import signed_url, url_from_asgi, url_from_wsgi
from support import Opaque, assert_silent, auth_token, caught

ORIGIN = "https://example.com"
PATHS = [
    "/sms",
    "/sms/%2Bfoo",
    "/sms/a%2Fb",
    "/sms/x;v=1",
    "/u/caf%C3%A9",
    "//double//slash",
    "/a%20b/~c/(d)",
    "/%e9",
    "/100%25",
]
# Which of them a server that gives only the decoded path has lost; facts, section 4.
LOST = {"/sms/%2Bfoo", "/sms/a%2Fb", "/%e9"}
QUERIES = ["", "q=a%2Bb+c", "a=1&a=1&é".replace("é", "%C3%A9"), "x=/?&;"]


def environ(path: str, query: str = "", **more: Any) -> dict[str, Any]:
    """Return what a WSGI server gives for a request to *path*."""
    made = {
        "REQUEST_METHOD": "POST",
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote(path, "latin-1"),
        "QUERY_STRING": query,
        "SERVER_NAME": "10.0.0.7",
        "SERVER_PORT": "8000",
        "REMOTE_ADDR": "10.0.0.1",
        "HTTP_HOST": "example.com",
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(),
    }
    return made | more


def scope(path: str, query: str = "", *headers: tuple[bytes, bytes], **more: Any) -> dict[str, Any]:
    """Return what an ASGI server gives for a request to *path*."""
    made = {
        "type": "http",
        "scheme": "http",
        "path": unquote(path),
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": [(b"host", b"example.com"), *headers],
        "client": ("10.0.0.1", 5000),
        "server": ("10.0.0.7", 8000),
    }
    return made | more


def target(path: str, query: str) -> str:
    return f"{path}?{query}" if query else path


@pytest.mark.parametrize("query", QUERIES)
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("name", ["RAW_URI", "REQUEST_URI"])
def test_wsgi_servers_that_keep_the_raw_path(name: str, path: str, query: str) -> None:
    made = environ(path, query, **{name: target(path, query)})

    assert url_from_wsgi(made, ORIGIN) == ORIGIN + target(path, query)
    assert url_from_wsgi(made) == "http://example.com" + target(path, query)


@pytest.mark.parametrize("path", PATHS)
def test_wsgi_servers_that_do_not(path: str) -> None:
    url = url_from_wsgi(environ(path, "q=a%2Bb"), ORIGIN)

    assert (url == f"{ORIGIN}{path}?q=a%2Bb") is (path not in LOST)


def test_wsgi_with_a_mounted_application_and_an_empty_path() -> None:
    assert url_from_wsgi(environ("/sms", SCRIPT_NAME="/twilio"), ORIGIN) == ORIGIN + "/twilio/sms"
    assert url_from_wsgi(environ(""), ORIGIN) == ORIGIN + "/"


@pytest.mark.parametrize("query", QUERIES)
@pytest.mark.parametrize("path", PATHS)
def test_asgi(path: str, query: str) -> None:
    assert url_from_asgi(scope(path, query), ORIGIN) == ORIGIN + target(path, query)


@pytest.mark.parametrize("path", [path for path in PATHS if path not in LOST])
@pytest.mark.parametrize("raw", [None, b""])
def test_asgi_servers_without_a_raw_path(path: str, raw: bytes | None) -> None:
    assert url_from_asgi(scope(path, raw_path=raw), ORIGIN) == ORIGIN + path


def test_a_server_that_leaves_the_query_in_the_raw_path() -> None:
    assert url_from_asgi(scope("/sms", "a=1", raw_path=b"/sms?a=1"), ORIGIN) == f"{ORIGIN}/sms?a=1"


def test_websockets_are_signed_with_wss() -> None:
    made = scope("/media", type="websocket", scheme="ws")

    assert url_from_asgi(made) == "ws://example.com/media"
    assert url_from_asgi(made, ORIGIN) == "wss://example.com/media"
    made = scope("/media", "", (b"x-forwarded-proto", b"https"), type="websocket", scheme="ws")
    assert url_from_asgi(made, proxies=["10.0.0.1"]) == "wss://example.com/media"


@pytest.mark.parametrize(
    "public",
    ["https://example.com/twilio", "https://example.com/twilio/", "HTTPS://example.com/twilio"],
)
def test_a_public_url_with_a_path_wins_over_everything(public: str) -> None:
    url = signed_url(
        public,
        scheme="http",
        host="attacker.example",
        raw_path=b"/sms",
        query=b"a=1",
        peer="10.0.0.1",
        forwarded={"x-forwarded-host": "attacker.example"},
        proxies=["0.0.0.0/0"],
    )

    assert url == "https://example.com/twilio/sms?a=1"


@pytest.mark.parametrize(
    "public", ["https://user:pw@example.com:8443", "https://[2001:db8::1]:8443", "http://127.0.0.1"]
)
def test_public_urls_of_every_kind(public: str) -> None:
    assert url_from_wsgi(environ("/sms"), public) == f"{public}/sms"


@pytest.mark.parametrize(
    "public",
    [
        *("", "example.com", "https://", "//example.com", "ftp://example.com", "https://a b"),
        *("https://example.com/?a=1", "https://example.com/#x", "https://exa\nmple.com"),
        *("https://example.com:port", "https://a@b@c", "https://é.example", 5, b"https://a.b"),
    ],
)
def test_public_urls_that_are_none(public: Any) -> None:
    error = caught(lambda: url_from_asgi(scope("/sms"), public))

    assert isinstance(error, ConfigurationError)
    assert error.code == "ST412"


def test_a_password_in_a_wrong_public_url_does_not_show() -> None:
    password = auth_token()
    public = Opaque(f"https://user:{password}@example.com/?")
    for call in (
        lambda: url_from_asgi(scope("/sms"), public.value),
        lambda: url_from_wsgi(environ("/sms"), public.value),
        lambda: signed_url(public.value, scheme="http", host="a", raw_path="/"),
    ):
        error = caught(call)
        assert isinstance(error, ConfigurationError)
        assert_silent(error, [password])


@pytest.mark.parametrize("proxies", [["x"], ["10.0.0.1/8"], [""], "nobody"])
def test_proxies_that_are_none(proxies: Any) -> None:
    error = caught(lambda: url_from_wsgi(environ("/sms"), proxies=proxies))

    assert isinstance(error, ConfigurationError)
    assert error.code == "ST413"


FORWARDED = {"proto": "https", "host": "public.example", "port": "8443"}


@pytest.mark.parametrize(
    ("peer", "proxies", "is_trusted"),
    [
        ("10.0.0.1", ["10.0.0.0/8"], True),
        ("10.0.0.1", ["127.0.0.1", "10.0.0.1"], True),
        ("::ffff:10.0.0.1", ["10.0.0.0/8"], True),
        ("fd00::1", ["fd00::/8"], True),
        ("10.0.0.1", [], False),
        ("11.0.0.1", ["10.0.0.0/8"], False),
        ("", ["10.0.0.0/8"], False),
        (None, ["0.0.0.0/0"], False),
        ("unix:", ["0.0.0.0/0"], False),
    ],
)
def test_forwarded_headers_count_from_named_proxies_only(
    peer: str | None, proxies: list[str], *, is_trusted: bool
) -> None:
    expected = "https://public.example:8443/sms" if is_trusted else "http://example.com/sms"
    wsgi = {f"HTTP_X_FORWARDED_{name.upper()}": value for name, value in FORWARDED.items()}
    asgi = [(f"X-Forwarded-{n.title()}".encode(), v.encode()) for n, v in FORWARDED.items()]

    made = environ("/sms", REMOTE_ADDR=peer, **wsgi)
    assert url_from_wsgi(made, proxies=proxies) == expected
    client = None if peer is None else (peer, 5000)
    assert url_from_asgi(scope("/sms", "", *asgi, client=client), proxies=proxies) == expected


@pytest.mark.parametrize(
    ("headers", "origin"),
    [
        ({"proto": "https"}, "https://example.com"),
        ({"proto": "https, http"}, "https://example.com"),
        ({"proto": "HTTPS", "port": "443"}, "https://example.com"),
        ({"host": "a.example:8443", "port": "9000"}, "http://a.example:8443"),
        ({"host": "[::1]"}, "http://[::1]"),
        # whoever sends it may have written the first
        ({"host": "other.example, a.example", "port": "1, 8443"}, "http://a.example:8443"),
    ],
)
def test_what_proxies_say(headers: dict[str, str], origin: str) -> None:
    made = {f"HTTP_X_FORWARDED_{name.upper()}": value for name, value in headers.items()}

    assert url_from_wsgi(environ("/sms", **made), proxies=["10.0.0.1"]) == origin + "/sms"


def test_without_a_host_header() -> None:
    assert url_from_wsgi(environ("/sms", HTTP_HOST="")) == "http://10.0.0.7:8000/sms"
    assert url_from_wsgi(environ("/", HTTP_HOST="", SERVER_PORT="80")) == "http://10.0.0.7/"
    assert url_from_asgi(scope("/sms", headers=[])) == "http://10.0.0.7:8000/sms"
    assert url_from_asgi(scope("/", headers=[], server=("unix", None))) == "http://unix/"


HOSTILE_HOSTS = ["a b", "a/b", "a?b", "a#b", "a@b", "", "é", "a\n", "a:b", "a:0", "[::1", "[]"]


@pytest.mark.parametrize("host", [*HOSTILE_HOSTS, "a" * 256, "a:99999", "\0"])
def test_hostile_hosts(host: str) -> None:
    made = {"SERVER_NAME": "a b", "HTTP_HOST": host}
    for call in (
        lambda: url_from_wsgi(environ("/sms", **made)),
        lambda: signed_url(None, scheme="https", host=host, raw_path=b"/sms"),
    ):
        error = caught(call)
        assert isinstance(error, WebhookError)
        assert (error.code, error.reason) == ("ST406", "url")


@pytest.mark.parametrize("path", ["", "*", "sms", "http://other.example/sms", "/a b", "/\0", "/é"])
def test_hostile_paths(path: str) -> None:
    raw = path.encode("latin-1")
    for call in (
        lambda: signed_url(ORIGIN, scheme="https", host="a", raw_path=raw),
        lambda: signed_url(ORIGIN, scheme="https", host="a", raw_path="/", query=b"a b" + raw),
    ):
        assert isinstance(caught(call), WebhookError)


def test_two_hosts_are_refused() -> None:
    made = scope("/sms", "", (b"Host", b"other.example"))

    assert isinstance(caught(lambda: url_from_asgi(made)), WebhookError)
    assert url_from_asgi(scope("/sms", "", (b"host", b"example.com"))) == "http://example.com/sms"


ANY: Any = st.none() | st.integers() | st.text() | st.binary() | st.lists(st.text(), max_size=2)


@settings(max_examples=300)
@given(st.data())
def test_hostile_requests_are_refused_or_give_a_url(data: Any) -> None:
    wsgi, asgi = environ("/sms"), scope("/sms")
    wsgi |= dict.fromkeys(("RAW_URI", "HTTP_X_FORWARDED_PROTO", "HTTP_X_FORWARDED_PORT"), "")
    public = data.draw(st.sampled_from([None, ORIGIN]))
    for made, function in ((wsgi, url_from_wsgi), (asgi, url_from_asgi)):
        for name in data.draw(st.lists(st.sampled_from(sorted(made)), max_size=3)):
            made[name] = data.draw(ANY)
        with suppress(WebhookError):
            url = function(made, public, proxies=["10.0.0.1"])
            assert url.isascii()
            assert url.isprintable()


def test_from_the_request_to_the_answer() -> None:
    """What Twilio signs is what a server behind a proxy rebuilds."""
    token = auth_token()
    url = f"{ORIGIN}/sms/%2Bfoo;v=1?q=a+b"
    headers = [(n.lower().encode(), v.encode()) for n, v in signed_headers(url, token).items()]
    made = scope("/sms/%2Bfoo;v=1", "q=a+b", *headers)

    assert one(token).verify(url_from_asgi(made, ORIGIN), headers=made["headers"])
