"""Whole requests as they go over the wire, signed as Twilio signs them."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlencode, urlsplit

from safetwilio.testing.webhooks import sign_request

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterable, Iterator

    Pairs = Iterable[tuple[str, str]]
    Headers = list[tuple[str, str]]

FORM = "application/x-www-form-urlencoded"
JSON = "application/json"

PARAMS = (
    ("AccountSid", "AC1"),
    ("Body", "Your code is 123 456"),
    ("From", "+15005550006"),
    ("MediaUrl", "https://a.example/1"),
    ("MediaUrl", "https://a.example/2"),
    ("NumMedia", "0"),
    ("To", ""),
)
BODY = json.dumps({"event": "delivered", "text": "grüße"}, ensure_ascii=False).encode()


class Raw(NamedTuple):
    """One *request*, whole, and what it is called."""

    name: str
    request: bytes


class Answer(NamedTuple):
    """What a server answered."""

    status: int
    body: bytes


def send(
    address: tuple[str, int],
    raw: bytes,
    tls: ssl.SSLContext | None = None,
    host: str = "example.com",
) -> Answer:
    """Send *raw* to *address*, over *tls* as if it was *host*, and return the answer."""
    method = raw.split(b" ", 1)[0].decode("latin-1")
    with socket.create_connection(address, timeout=60) as plain:
        connection = tls.wrap_socket(plain, server_hostname=host) if tls else plain
        with connection:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                connection.sendall(raw)  # it may be refused before all of it was there
            answer = http.client.HTTPResponse(connection, method=method)
            answer.begin()
            return Answer(answer.status, answer.read())


class Sender:
    """Somebody who knows *token*, sometimes, and where the webhook is."""

    def __init__(self, url: str, token: str) -> None:
        """Send to *url*, and below it."""
        parts = urlsplit(url)
        self.token, self.path, self.host = token, parts.path, parts.netloc
        self.origin = f"{parts.scheme}://{parts.netloc}"

    def headers(self, path: str = "", params: Pairs | None = None, token: str = "") -> Headers:
        """Return the header that signs *path*, below the webhook's, and *params*."""
        url = path if "://" in path else self.origin + self.path + path
        pairs = None if params is None else list(params)
        signed = sign_request(url, params=pairs, auth_token=token or self.token)
        return list(signed.headers.items())

    def form(
        self, sent: Pairs = PARAMS, *, signed: Pairs = PARAMS, path: str = "", kind: str = FORM,
        more: Headers | None = None,
    ) -> bytes:  # fmt: skip
        """Return a POST of *sent*, with the signature of *signed*."""
        return self.post(urlencode(list(sent)), self.headers(path, signed), path, kind, more)

    def post(
        self, body: str | bytes, headers: Headers, path: str = "", kind: str = FORM,
        more: Headers | None = None,
    ) -> bytes:  # fmt: skip
        """Return a POST of *body*."""
        data = body.encode() if isinstance(body, str) else body
        length = [("Content-Type", kind), ("Content-Length", str(len(data)))]
        return self.raw("POST", path, length + headers + (more or []), data)

    def raw(self, method: str, path: str, headers: Headers, body: bytes = b"") -> bytes:
        """Return a request with *headers* and nothing else but a host."""
        target = path if "://" in path else self.path + path
        lines = [f"{method} {target} HTTP/1.1", f"Host: {self.host}", "Connection: close"]
        lines += [f"{name}: {value}" for name, value in headers]
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + body

    def hashed(self, body: bytes, path: str = "", query: str = "") -> tuple[str, Headers]:
        """Return the path with the hash of *body*, and the header that signs it."""
        url = self.origin + self.path + path + query
        signed = sign_request(url, body=body, auth_token=self.token)
        start = len(self.origin + self.path)
        return signed.url[start:], list(signed.headers.items())


def genuine(url: str, token: str, shared_key: tuple[str, str] | None = None) -> list[Raw]:
    """Return requests as Twilio makes them, signed with *token*, and with *shared_key* if given."""
    sender = Sender(url, token)
    return [Raw(name, request) for name, request in _genuine(sender, shared_key)]


def _genuine(sender: Sender, shared_key: tuple[str, str] | None) -> Iterator[tuple[str, bytes]]:
    form, headers = sender.form, sender.headers
    unicode = [("Body", "grüße, 漢字 \U0001f600\n+%&=;"), ("From", "whatsapp:+1"), ("Ünï", "ö")]
    repeated = [("a", "2"), ("a", "1"), ("a", "2"), ("b", ""), ("b", ""), ("A", "3")]
    yield "form", form()
    yield "form with a charset", form(kind=f"{FORM}; charset=UTF-8")
    yield "form, lower-case headers", form().replace(b"X-Twilio-Signature", b"x-twilio-signature")
    yield "unicode", form(unicode, signed=unicode)
    yield "repeated names", form(repeated, signed=repeated)
    yield (
        "spaces as %20",
        sender.post(urlencode(PARAMS).replace("+", "%20"), headers(params=PARAMS)),
    )
    yield "form with a query", form(path="?room=1&room=%20x")
    yield "form to /a%2Fb/%2Bc", form(path="/a%2Fb/%2Bc")
    yield "form to /caf%C3%A9;v=1/", form(path="/caf%C3%A9;v=1/")
    yield "empty form", form((), signed=())
    yield "empty POST", sender.raw("POST", "", [("Content-Length", "0"), *headers()])
    yield "GET", sender.raw("GET", "", headers())
    query = "?" + urlencode(PARAMS)
    yield "GET with a query", sender.raw("GET", query, headers(query))
    yield "GET to /%2Bfoo?a=%2B", sender.raw("GET", "/%2Bfoo?a=%2B", headers("/%2Bfoo?a=%2B"))
    for name, body in (("JSON", BODY), ("JSON of 64 KiB", b'["' + b"a" * 65536 + b'"]')):
        path, signed = sender.hashed(body)
        yield name, sender.post(body, signed, path, JSON)
    path, signed = sender.hashed(BODY, "/%2Bx", "?a=1")
    yield "JSON with a charset", sender.post(BODY, signed, path, f"{JSON}; charset=utf-8")
    path, signed = sender.hashed(b"\xff\x00\xfe")
    yield "bytes", sender.post(b"\xff\x00\xfe", signed, path, "application/octet-stream")
    port = f"{sender.origin}:443{sender.path}"
    yield "signed with the default port", sender.post(urlencode(PARAMS), headers(port, PARAMS))
    if shared_key is not None:
        for algorithm in ("HMAC_SHA256", "HMAC_SHA1"):
            signed = list(
                sign_request(
                    sender.origin + sender.path,
                    params=PARAMS,
                    shared_key=shared_key,
                    algorithm=algorithm,
                ).headers.items()
            )
            yield f"SharedKey, {algorithm}", sender.post(urlencode(PARAMS), signed)
