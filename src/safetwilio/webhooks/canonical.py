"""What Twilio signs, as bytes: the URL, then each parameter's name and value.

Sources: https://www.twilio.com/docs/usage/security#validating-requests, and what Twilio's own
``twilio.request_validator`` makes of it. These functions raise whatever odd input makes Python
raise; their callers turn that into one refusal.
"""

from __future__ import annotations

import hmac
from binascii import b2a_base64
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

Params = Mapping[str, Any] | Iterable[tuple[str, str]]

SHA1 = "HMAC_SHA1"
SHA256 = "HMAC_SHA256"
DIGESTS = {SHA256: "sha256", SHA1: "sha1"}
BODY_HASH = "bodySHA256"

DEFAULT_PORTS = {"https": "443", "http": "80", "wss": "443", "ws": "80"}
_LARGEST_PORT = 65535
_LONGEST_PORT = 5


def signature(secret: bytes, text: bytes, algorithm: str = SHA1) -> bytes:
    """Return the value of ``X-Twilio-Signature`` for *text*, what the two functions below make."""
    return b2a_base64(hmac.digest(secret, text, DIGESTS[algorithm]), newline=False)


def signed_params(params: Params | None) -> bytes:
    """Return what a form's *params* add to the URL: names sorted, each one's distinct values too.

    They are pairs, or a mapping: plain, with lists as values, or with ``getlist`` (Django,
    Werkzeug, Starlette) or ``getall`` (aiohttp, WebOb) for names that are repeated.
    """
    if not params:
        return b""
    if type(params) is dict:
        try:
            return "".join([name + value for name, value in sorted(params.items())]).encode()
        except TypeError:  # a list of values
            pass
    return "".join([name + value for name, value in sorted(set(_pairs(params)))]).encode()


def _pairs(params: Any) -> Iterator[tuple[str, str]]:
    several = getattr(params, "getlist", None) or getattr(params, "getall", None)
    if several is not None:
        for name in params:
            for value in several(name):
                yield name, value
    elif isinstance(params, Mapping):
        for name, value in params.items():
            for each in value if isinstance(value, (list, tuple)) else (value,):
                yield name, each
    else:
        for name, value in params:
            yield name, value


def port_variants(url: str) -> Iterator[str]:
    """Yield *url* and the same with its port taken away, or with the default port if it has none.

    Twilio signs sometimes the one and sometimes the other; its own validator tries the same two.
    """
    yield url
    scheme, separator, rest = url.partition("://")
    default = DEFAULT_PORTS.get(scheme.lower())
    if not separator or default is None:
        return
    authority, target = split_target(rest)
    host, port = split_port(authority)
    if not host or host.endswith("@"):
        return
    if port is None:
        yield f"{scheme}://{host}:{default}{target}"
    elif is_port(port):
        yield f"{scheme}://{host}{target}"


def split_target(rest: str) -> tuple[str, str]:
    """Return the authority with which *rest* begins, what follows a URL's ``://``, and the rest."""
    end = min((at for at in map(rest.find, "/?#") if at >= 0), default=len(rest))
    return rest[:end], rest[end:]


def split_port(authority: str) -> tuple[str, str | None]:
    """Return what stands before the port of *authority*, and the port, or ``None`` without one.

    A colon in the user's password or in an IPv6 literal begins no port.
    """
    host, colon, port = authority.rpartition(":")
    return (host, port) if colon and "@" not in port and "]" not in port else (authority, None)


def is_port(text: str) -> bool:
    """Return whether *text* is the number of a port."""
    is_number = text.isascii() and text.isdecimal() and len(text) <= _LONGEST_PORT
    return is_number and 0 < int(text) <= _LARGEST_PORT


def body_hashes(url: str) -> list[str]:
    """Return the values of ``bodySHA256`` in the query of *url*."""
    if BODY_HASH not in url:
        return []
    query = url.partition("#")[0].partition("?")[2]
    pairs = (part.partition("=") for part in query.split("&"))
    return [value for name, _, value in pairs if name == BODY_HASH]
