"""Requests that Twilio did not make, and requests that it did, as the bytes that go over the wire.

The application under test has one webhook for GET and POST, at the path of *url* and at everything
below it, and the origin of *url* as its public URL. It answers ``genuine`` requests with 200 and
each of ``hostile`` with one of ``refusals(name)``: 403, or what a server or a framework may answer
before it asks the application. It never answers one with 500.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

from integrations.raw_requests import (
    BODY,
    FORM,
    JSON,
    PARAMS,
    Answer,
    Raw,
    Sender,
    genuine,
    send,
)
from safetwilio.testing.webhooks import sign_request

if TYPE_CHECKING:
    from collections.abc import Iterator

    from integrations.raw_requests import Headers

__all__ = ["Answer", "Raw", "genuine", "hostile", "refusals", "send"]

SIGNATURE = "X-Twilio-Signature"
SETTINGS = "X-Twilio-Webhooks-Signature-Settings"
OTHER_KEY = "webhooks_sharedkey_00000000000000000000000000"

# Who may answer before the application does, by words in the name of a request: a server that
# sees no HTTP, a framework that sees no form, or no route, or too much.
_EARLY = (
    (400, "non-ASCII path"),
    (400, "a NUL in the path"),
    (400, "content-length"),
    (400, "transfer-encoding"),
    (501, "an unknown transfer-encoding"),
    (400, "two content-types"),
    (400, "host headers"),
    (400, "line folding"),
    (400, "charset"),
    (400, "no UTF-8"),
    (400, "multipart"),
    (400, "fields"),
    (413, "fields"),
    (413, "a huge field"),
    (400, "absolute-form"),
    (404, "absolute-form"),
    (404, "a fragment"),
    (405, "PUT"),
)


def refusals(name: str) -> frozenset[int]:
    """Return the statuses with which the hostile request *name* may be answered."""
    return frozenset([403, *(status for status, words in _EARLY if words in name)])


def hostile(
    url: str, token: str, other_token: str, shared_key: tuple[str, str] | None = None
) -> list[Raw]:
    """Return tampered and malformed requests to *url*, whose application knows *token*.

    *other_token* is another account's. With *shared_key*, one that the application knows, there
    are more.
    """
    sender = Sender(url, token)
    key = shared_key[0] if shared_key else OTHER_KEY
    kinds = (
        _signatures(sender, other_token), _targets(sender), _forms(sender), _odd_forms(sender),
        _bodies(sender), _odd_bodies(sender), _settings(sender, key), _wire(sender),
        _proxies(sender),
    )  # fmt: skip
    return [Raw(name, request) for kind in kinds for name, request in kind]


def _signatures(sender: Sender, other_token: str) -> Iterator[tuple[str, bytes]]:
    body = urlencode(PARAMS)
    [(_, good)] = sender.headers(params=PARAMS)
    given = {
        "an empty signature": "",
        "a blank signature": "   ",
        "a signature of other text": "c2lnbmF0dXJl",
        "a huge signature": "A" * 6000,
        "a signature that is no base64": "!" * 28,
        "a non-ASCII signature": "\xe9\xff" * 14,
        "a signature cut short": good[:-2],
        "a signature with more behind it": f"{good}AA==",
        "a signature in other case": good.swapcase(),
        "two signatures in one header": f"{good},{good}",
        "a signature in hexadecimal digits": "0" * 40,
        "a token instead of a signature": other_token,
        "the signature of another account": sender.headers(params=PARAMS, token=other_token)[0][1],
        "the signature of the URL alone": sender.headers()[0][1],
    }
    empty = sign_request(sender.origin + sender.path, params=PARAMS, auth_token="").headers
    given["a signature with an empty secret"] = empty[SIGNATURE]
    yield "no signature", sender.post(body, [])
    yield "no signature on a GET", sender.raw("GET", "", [])
    for name, value in given.items():
        yield name, sender.post(body, [(SIGNATURE, value)])
    yield "the signature in another header", sender.post(body, [("X-Signature", good)])
    for name, second in (("two equal signatures", good), ("two different signatures", "AAAA")):
        yield name, sender.post(body, [(SIGNATURE, good), (SIGNATURE, second)])
    yield "the signature in the query", sender.post(body, [], f"?{SIGNATURE}={good}")


def _targets(sender: Sender) -> Iterator[tuple[str, bytes]]:
    body = urlencode(PARAMS)
    for sent, signed in (
        ("/other", ""), ("", "/other"), ("/x/", "/x"), ("/x", "/x/"), ("/X", "/x"),
        ("/x//y", "/x/y"), ("/a/b", "/a%2Fb"), ("/a%2Fb", "/a/b"), ("/a%2fb", "/a%2Fb"),
        ("/+a", "/%2Ba"), ("/%2Ba", "/+a"), ("/%61", "/a"), ("/a%20b", "/a+b"),
        ("/a%252Fb", "/a%2Fb"), ("/x;v=1", "/x"), ("/x/../y", "/y"), ("/caf%C3%A9", "/cafe"),
        ("?a=1", ""), ("", "?a=1"), ("?a=2", "?a=1"), ("?a=1&b=2", "?b=2&a=1"),
        ("?a=1&a=1", "?a=1"), ("?a=%20", "?a=+"), ("?a=b%2Bc", "?a=b+c"), ("?A=1", "?a=1"),
        ("?a=1&", "?a=1"),
    ):  # fmt: skip
        name = f"signed {signed or 'the path'}, sent to {sent or 'the path'}"
        yield name, sender.post(body, sender.headers(signed, PARAMS), sent)
    host, scheme = sender.host, sender.origin.partition(":")[0]
    other_scheme = {"http": "https", "https": "http"}[scheme]
    for name, url in (
        ("signed for another scheme", f"{other_scheme}://{host}"),
        ("signed for another authority", f"{scheme}://other.example"),
        ("signed for a longer authority", f"{scheme}://{host}.other.example"),
        ("signed for another port", f"{scheme}://{host}:8443"),
        ("signed for a user", f"{scheme}://user:password@{host}"),
    ):
        yield name, sender.post(body, sender.headers(url + sender.path, PARAMS))
    yield "absolute-form", sender.form(signed=(), path=f"{sender.origin}{sender.path}")
    yield "absolute-form of another authority", sender.form(path="http://other.example/hook")
    yield "a fragment", sender.post("Body=x", sender.headers(params=PARAMS), "#part")
    yield "a NUL in the path", sender.post(body, sender.headers("/x", PARAMS), "/x%00")
    yield "non-ASCII path", sender.post(body, sender.headers("/caf%C3%A9", PARAMS), "/caf\xe9")


def _forms(sender: Sender) -> Iterator[tuple[str, bytes]]:
    form = sender.form
    changed = [("Body", "x") if name == "Body" else (name, value) for name, value in PARAMS]
    yield "a tampered value", form(changed)
    yield "a tampered name", form([(n + "x", v) if n == "Body" else (n, v) for n, v in PARAMS])
    yield "a name in other case", form([(name.lower(), value) for name, value in PARAMS])
    yield "a parameter more", form([*PARAMS, ("More", "1")])
    yield "an empty parameter more", form([*PARAMS, ("More", "")])
    yield "a parameter less", form(PARAMS[1:])
    yield "a repeated parameter more", form([*PARAMS, ("From", "+15005550009")])
    yield "only the first of a repeated parameter", form(dict(reversed(PARAMS)).items())
    yield "values exchanged", form([("a", "2"), ("b", "1")], signed=[("a", "1"), ("b", "2")])
    yield (
        "parameters in the query",
        sender.raw("GET", "?" + urlencode(PARAMS), sender.headers(params=PARAMS)),
    )
    yield "a POST as GET", sender.raw("GET", "", sender.headers(params=PARAMS))
    query = "?" + urlencode(PARAMS)
    yield "a GET as POST", sender.post(query[1:], sender.headers(query))
    yield "a GET as POST, with the query", sender.post(query[1:], sender.headers(query), query)
    yield "content-length 0", sender.post("", sender.headers(params=PARAMS))


def _odd_forms(sender: Sender) -> Iterator[tuple[str, bytes]]:
    good, signed = urlencode(PARAMS), sender.headers(params=PARAMS)
    for name, text in (
        ("bytes that are no UTF-8", b"Body=\xff\xfe\xfd"),
        ("escaped bytes that are no UTF-8", b"Body=%ff%fe"),
        ("half a surrogate, no UTF-8", b"Body=%ED%A0%80"),
        ("half an escape", b"Body=%&From=%2"),
        ("a NUL in a value", b"Body=a%00b"),
        ("a raw NUL in a value", b"Body=a\x00b"),
        ("a form without an equals sign", b"Body&From"),
        ("only ampersands", b"&" * 500),
        ("10,000 fields", b"&".join(b"f%d=1" % number for number in range(10_000))),
        ("a huge field", b"Body=" + b"a" * 200_000),
    ):
        yield name, sender.post(text, signed)
    yield "semicolons between parameters", sender.post(good.replace("&", ";"), signed)
    yield "another BOM in front", sender.post(b"\xef\xbb\xbf" + good.encode(), signed)
    for kind in ("utf-16", "utf-7", "nonsense", "idna", "\xff", "utf-8\x80"):
        name = f"a charset: {kind.encode('unicode_escape').decode()}"
        yield name, sender.post("Body=x", signed, kind=f"{FORM}; charset={kind}")
    boundary = "x1"
    part = 'Content-Disposition: form-data; name="{}"\r\n\r\n{}\r\n'
    parts = "".join(f"--{boundary}\r\n" + part.format(*pair) for pair in PARAMS)
    multipart = f"multipart/form-data; boundary={boundary}"
    right = f"{parts}--{boundary}--\r\n"
    yield "the right parameters as multipart", sender.post(right, signed, kind=multipart)
    yield "multipart without an end", sender.post(parts, signed, kind=multipart)
    yield "multipart without a boundary", sender.post(right, signed, kind="multipart/form-data")
    yield "multipart of another boundary", sender.post(right, signed, kind=f"{multipart}y")
    yield "multipart that is none", sender.post("Body=x", signed, kind=multipart)
    yield "multipart with a huge boundary", sender.post(right, signed, kind=multipart + "y" * 3000)
    yield (
        "the form encoded in gzip",
        sender.post(b"\x1f\x8b\x08\x00rubbish", signed, more=[("Content-Encoding", "gzip")]),
    )


def _bodies(sender: Sender) -> Iterator[tuple[str, bytes]]:
    path, signed = sender.hashed(BODY)
    bare = sender.headers()
    other = "0" * 64
    good = path.partition("=")[2]

    def json_(
        body: bytes = BODY, headers: Headers = signed, at: str = path, kind: str = JSON
    ) -> bytes:
        return sender.post(body, headers, at, kind)

    yield "JSON without bodySHA256", json_(BODY, bare, "")
    yield "bodySHA256 that nobody signed", json_(BODY, bare)
    yield "bodySHA256 of another body", json_(at=f"?bodySHA256={other}")
    yield "bodySHA256 of another body, signed", json_(b"[]")
    yield "bodySHA256 in upper case", json_(at=f"?bodySHA256={good.upper()}")
    yield "bodysha256, another name", json_(at=path.lower())
    yield "bodySHA256 twice, one unsigned", json_(at=f"{path}&bodySHA256={other}")
    for name, both in (("wrong", f"{path}&bodySHA256={other}"), ("empty", f"{path}&bodySHA256=")):
        yield f"bodySHA256 twice, signed, the other {name}", json_(BODY, sender.headers(both), both)
    for name, only in (("empty", "?bodySHA256="), ("short", f"?bodySHA256={good[:8]}")):
        yield f"bodySHA256 {name}, signed", json_(BODY, sender.headers(only), only)
    yield "JSON swapped", json_(BODY.replace(b"delivered", b"undelivered"))
    yield "JSON with a space more", json_(BODY + b" ")
    yield "JSON taken away", json_(b"")
    yield "JSON taken away, as a GET", sender.raw("GET", path, signed)
    yield "another body as a form, with the hash", json_(b"Body=x", kind=FORM)
    yield "JSON signed as a form", json_(BODY, sender.headers(params=PARAMS), "")
    yield (
        "a form sent as JSON",
        json_(urlencode(PARAMS).encode(), sender.headers(params=PARAMS), ""),
    )
    yield (
        "a form sent as text",
        json_(urlencode(PARAMS).encode(), sender.headers(params=PARAMS), "", "text/plain"),
    )


def _odd_bodies(sender: Sender) -> Iterator[tuple[str, bytes]]:
    path, signed = sender.hashed(BODY)
    for name, body in (
        ("JSON nested deeply", b"[" * 100_000),
        ("JSON of a huge number", b"9" * 10_000),
        ("JSON that is none", b"{'a': 1}"),
        ("JSON with a raw zero", b'{"a": "\x00"}'),
        ("JSON in Latin-1", b'{"a": "\xe9"}'),
        ("JSON of NaN", b"NaN"),
    ):
        yield name, sender.post(body, signed, path, JSON)
        yield f"{name}, without a hash", sender.post(body, sender.headers(), "", JSON)
    yield "XML", sender.post(b"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", signed, path, "text/xml")
    body, params = urlencode(PARAMS), sender.headers(params=PARAMS)
    length = [("Content-Length", str(len(body)))]
    yield "no content-type", sender.raw("POST", "", length + params, body.encode())
    yield "an empty content-type", sender.post(body, params, kind="")
    yield "a content-type that is none", sender.post(body, params, kind="/;=,\x22")
    two = [("Content-Type", JSON), ("Content-Type", FORM)]
    yield "two content-types", sender.raw("POST", "", [*length, *two, *signed], body.encode())
    yield "PUT of a tampered form", _as_method(sender, "PUT")


def _as_method(sender: Sender, method: str) -> bytes:
    override = [("X-HTTP-Method-Override", method)]
    return sender.form([("Body", "x")], more=override)


def _settings(sender: Sender, key: str) -> Iterator[tuple[str, bytes]]:
    body, signed = urlencode(PARAMS), sender.headers(params=PARAMS)
    for name, value in (
        ("an unknown SharedKey", f"key={OTHER_KEY}x,algorithm=HMAC_SHA256"),
        ("a SharedKey with a token's signature", f"key={key},algorithm=HMAC_SHA1"),
        ("a SharedKey, algorithm none", f"key={key},algorithm=none"),
        ("a SharedKey, algorithm MD5", f"key={key},algorithm=HMAC_MD5"),
        ("a SharedKey, no algorithm", f"key={key}"),
        ("a SharedKey, an empty algorithm", f"key={key},algorithm="),
        ("a SharedKey named twice", f"key={key},key={key},algorithm=HMAC_SHA256"),
        ("no SharedKey, an algorithm", "algorithm=HMAC_SHA1"),
        ("an empty SharedKey", "key=,algorithm=HMAC_SHA1"),
        ("a SharedKey of nonsense", "=,=;,;key"),
        ("a huge SharedKey", f"key={'a' * 6000},algorithm=HMAC_SHA1"),
        ("a non-ASCII SharedKey", "key=\xe9\xff,algorithm=HMAC_SHA1"),
    ):
        yield name, sender.post(body, signed, more=[(SETTINGS, value)])
    twice = [(SETTINGS, f"key={key},algorithm=HMAC_SHA1")] * 2
    yield "settings that come twice", sender.post(body, signed, more=twice)
    forged = sign_request(
        sender.origin + sender.path, params=PARAMS, shared_key=(key, ""), algorithm="HMAC_SHA256"
    )
    yield "a SharedKey with an empty secret", sender.post(body, list(forged.headers.items()))


def _wire(sender: Sender) -> Iterator[tuple[str, bytes]]:
    signed = sender.headers(params=PARAMS)
    bad = b"Body=tampered"
    kind = [("Content-Type", FORM)]
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(c), c) for c in (bad[:5], bad[5:])) + b"0\r\n\r\n"
    chunked = [*kind, ("Transfer-Encoding", "chunked"), *signed]
    length = [("Content-Length", str(len(bad)))]
    yield "a chunked body", sender.raw("POST", "", chunked, chunks)
    yield (
        "a body with Expect: 100-continue",
        sender.post(bad, signed, more=[("Expect", "100-continue")]),
    )
    yield "content-length and transfer-encoding", sender.raw("POST", "", chunked + length, chunks)
    yield (
        "an unknown transfer-encoding",
        sender.raw("POST", "", [*kind, *length, ("Transfer-Encoding", "nonsense"), *signed], bad),
    )
    yield "chunks that are none, transfer-encoding", sender.raw("POST", "", chunked, b"zz\r\n\r\n")
    yield "two content-lengths", sender.post(bad, signed, more=[("Content-Length", "1")])
    yield (
        "a negative content-length",
        sender.raw("POST", "", [*kind, ("Content-Length", "-1"), *signed], bad),
    )
    yield "two host headers", sender.post(bad, signed, more=[("Host", "other.example")])
    yield "line folding", sender.post(bad, signed, more=[("X-Folded", "a\r\n b")])
    yield (
        "many headers",
        sender.post(bad, signed, more=[(f"X-{number}", "1") for number in range(90)]),
    )
    for method in ("GET", "DELETE", "nonsense"):
        yield f"X-HTTP-Method-Override: {method}", _as_method(sender, method)


def _proxies(sender: Sender) -> Iterator[tuple[str, bytes]]:
    """Yield what only a proxy may say, from somebody who is none."""
    body = urlencode(PARAMS)
    evil = sender.headers(f"https://other.example{sender.path}", PARAMS)
    for name, headers in (
        ("X-Forwarded-Host", [("X-Forwarded-Host", "other.example")]),
        ("Forwarded", [("Forwarded", "host=other.example;proto=https")]),
        ("X-Original-Host", [("X-Original-Host", "other.example")]),
        ("X-Forwarded-Server", [("X-Forwarded-Server", "other.example")]),
    ):
        yield f"spoofed {name}", sender.post(body, evil, more=headers)
    other = sender.headers("/other", PARAMS)
    for name in ("X-Original-URL", "X-Rewrite-URL", "X-Forwarded-Prefix", "X-Script-Name"):
        yield f"spoofed {name}", sender.post(body, other, more=[(name, f"{sender.path}/other")])
