"""The URL that Twilio signed, rebuilt from what the server received.

Frameworks decode the path and encode it anew, which loses ``%2B``, ``%2F`` and ``;``, and behind a
proxy they say ``http``. So the path and the query are taken as they came over the wire, and the
rest is what the operator said: *public_url*. Only without it the ``Host`` header counts, and
forwarded headers only from proxies that were named.
"""

from __future__ import annotations

import string
from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn
from urllib.parse import quote

from safetwilio.errors import ConfigurationError, WebhookError
from safetwilio.problems import Problem
from safetwilio.webhooks.canonical import DEFAULT_PORTS, is_port, split_port

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from ipaddress import IPv4Network, IPv6Network

    _Networks = tuple[IPv4Network | IPv6Network, ...]

_RAW = frozenset(map(chr, range(0x21, 0x7F))) - {"#"}  # what a request line can hold
UNENCODED = "/:@!$&'()*+,;=~"  # RFC 3986: what a path may have as it is
_HOST_NAME = frozenset(string.ascii_letters + string.digits + "-._")
_LITERAL = frozenset(string.hexdigits + ":.")
_USER = frozenset(string.ascii_letters + string.digits + "-._~!$&'()*+,;=:%")
_LONGEST_HOST = 255
_WEBSOCKET = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}


class _Seen(NamedTuple):
    """What the server received; nothing of it is checked."""

    scheme: str
    host: str
    path: bytes | str
    query: bytes | str
    peer: str | None = None
    forwarded: Mapping[str, str] | None = None


def signed_url(  # noqa: PLR0913 - the parts of a request
    public_url: str | None,
    *,
    scheme: str,
    host: str,
    raw_path: bytes | str,
    query: bytes | str = b"",
    peer: str | None = None,
    forwarded: Mapping[str, str] | None = None,
    proxies: Sequence[str] = (),
) -> str:
    """Return the URL that Twilio called, as it is configured there.

    *public_url* (``https://example.com``, with the path that a proxy takes away, if one does) is
    what Twilio's URLs begin with, and wins over everything else. *raw_path* and *query* are those
    of the request line, not decoded. Without *public_url*, *scheme* and *host* (the ``Host``
    header) are believed; and *forwarded*, the ``X-Forwarded-…`` headers by their names in lower
    case, if *peer*, the address that is connected, is in one of *proxies* (``10.0.0.0/8``).

    :raises WebhookError: ST406, when the request has no such URL.
    :raises ConfigurationError: ST412 for a *public_url*, ST413 for *proxies* that cannot be right.
    """
    url = _url(
        lambda seen: seen,
        _Seen(scheme, host, raw_path, query, peer, forwarded),
        public_url,
        proxies,
    )
    del public_url, scheme, host, raw_path, query, forwarded
    return _checked(url)


def url_from_wsgi(
    environ: Mapping[str, Any], public_url: str | None = None, *, proxies: Sequence[str] = ()
) -> str:
    """Return the URL that Twilio called, from a WSGI *environ*.

    *public_url* and *proxies* are those of :func:`safetwilio.webhooks.signed_url`. gunicorn's
    ``RAW_URI`` and the ``REQUEST_URI`` of uWSGI, mod_wsgi and Werkzeug have the path as it came.
    Other servers have only a decoded one, which is encoded again: that is another URL where
    Twilio's has ``%2F`` or ``%2B`` in its path.

    :raises WebhookError: ST406, when the request has no such URL.
    :raises ConfigurationError: ST412 for a *public_url*, ST413 for *proxies* that cannot be right.
    """
    url = _url(_seen_by_wsgi, environ, public_url, proxies)
    del environ, public_url
    return _checked(url)


def url_from_asgi(
    scope: Mapping[str, Any], public_url: str | None = None, *, proxies: Sequence[str] = ()
) -> str:
    """Return the URL that Twilio called, from an ASGI *scope*.

    *public_url* and *proxies* are those of :func:`safetwilio.webhooks.signed_url`. The scope of a
    WebSocket gives a URL with ``wss``, also where *public_url* begins with ``https``.

    :raises WebhookError: ST406, when the request has no such URL.
    :raises ConfigurationError: ST412 for a *public_url*, ST413 for *proxies* that cannot be right.
    """
    url = _url(_seen_by_asgi, scope, public_url, proxies)
    del scope, public_url
    return _checked(url)


def check_public_url(public_url: str | None, *places: str) -> list[Problem]:
    """Return what is wrong with *public_url*, found at *places*; none at all is no fault."""
    if public_url is None or _origin(public_url) is not None:
        return []
    return [_NO_PUBLIC_URL._replace(found_in=places)]


def check_proxies(proxies: Sequence[str]) -> list[Problem]:
    """Return what is wrong with *proxies*, the addresses or networks of the operator's proxies."""
    return [] if _networks(as_tuple(proxies)) is not None else [_NO_PROXIES]


def shown_url(url: str | None) -> str | None:
    """Return *url* as people may see it: without user name and password."""
    if url is None:
        return None
    scheme, separator, rest = url.partition("://")
    authority, slash, path = rest.partition("/")
    return f"{scheme}{separator}{authority.rpartition('@')[2]}{slash}{path}"


def as_tuple(proxies: Sequence[str]) -> tuple[str, ...]:
    """Return *proxies*, or the single one that was given as a text."""
    return (proxies,) if isinstance(proxies, str) else tuple(proxies)


def _checked(url: str | ConfigurationError | None) -> str:
    """Return *url*, or raise in a frame that has nothing of the request."""
    if isinstance(url, ConfigurationError):
        raise url
    return url if url is not None else _refuse()


def _refuse() -> NoReturn:
    raise WebhookError(
        "The URL that Twilio signed cannot be made of this request: its host, path or query has "
        "characters that no URL has.",
        reason="url",
        code="ST406",
    )


def _url(
    see: Callable[[Any], _Seen], request: Any, public_url: str | None, proxies: Sequence[str]
) -> str | ConfigurationError | None:
    """Return the URL, the fault of the configuration, or ``None`` for hostile input."""
    problems = check_public_url(public_url) + check_proxies(proxies)
    if problems:
        return ConfigurationError(problems)
    origin = None if public_url is None else _origin(public_url)
    networks = _networks(as_tuple(proxies)) or ()
    try:
        seen = see(request)
        path, query = _raw(seen.path), _raw(seen.query)
        if not path.startswith("/") or "?" in path:
            return None
        target = f"{path}?{query}" if query else path
        if origin is not None:
            scheme, rest = origin
            return f"{_WEBSOCKET[scheme] if seen.scheme in {'ws', 'wss'} else scheme}{rest}{target}"
        scheme, host = _forwarded(seen, networks)
        is_good = scheme in DEFAULT_PORTS and _is_authority(host)
    except Exception:  # noqa: BLE001 - nobody's input makes a 500
        return None
    return f"{scheme}://{host}{target}" if is_good else None


def _raw(part: bytes | str) -> str:
    """Return *part* of the request line as text, or raise ``ValueError``."""
    text = part.decode("ascii") if isinstance(part, bytes) else part
    if not _RAW.issuperset(text):
        raise ValueError("not of a request line")
    return text


def _forwarded(seen: _Seen, networks: _Networks) -> tuple[str, str]:
    """Return scheme and host of *seen*, as its proxy saw them if that is one of *networks*.

    Of several hosts the last is that proxy's own, those before it may be the sender's; of several
    schemes the first is that of Twilio's request.
    """
    scheme, host = seen.scheme, seen.host
    if not seen.forwarded or not networks or not _is_in(seen.peer, networks):
        return scheme, host
    proto = seen.forwarded.get("x-forwarded-proto", "").partition(",")[0].strip()
    name, port = (
        seen.forwarded.get(f"x-forwarded-{what}", "").rpartition(",")[2].strip()
        for what in ("host", "port")
    )
    if proto:
        scheme = _WEBSOCKET[proto.lower()] if scheme in {"ws", "wss"} else proto.lower()
    host = name or host
    if port and split_port(host)[1] is None and port != DEFAULT_PORTS.get(scheme):
        host = f"{host}:{port}"
    return scheme, host


def _is_in(peer: str | None, networks: _Networks) -> bool:
    try:
        address = ip_address(peer or "")
    except ValueError:  # a Unix socket, or nothing
        return False
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return any(address in network for network in networks)


def _is_authority(text: str) -> bool:
    """Return whether *text* is a host with or without a port."""
    host, port = split_port(text)
    if port is not None and not is_port(port):
        return False
    if host.startswith("[") and host.endswith("]"):
        return len(host) > len("[]") and _LITERAL.issuperset(host[1:-1])
    return 0 < len(host) <= _LONGEST_HOST and _HOST_NAME.issuperset(host)


@lru_cache(maxsize=64)
def _origin(public_url: str) -> tuple[str, str] | None:
    """Return the scheme of *public_url* and the rest, from the colon on, ``None`` if it is bad."""
    if not isinstance(public_url, str) or not _RAW.issuperset(public_url) or "?" in public_url:
        return None
    scheme, separator, rest = public_url.partition("://")
    authority, slash, path = rest.partition("/")
    user, at, host = authority.rpartition("@")
    if scheme.lower() not in DEFAULT_PORTS or not separator or not _is_authority(host):
        return None
    if at and not _USER.issuperset(user):
        return None
    return scheme.lower(), f"://{authority}{slash}{path}".rstrip("/")


@lru_cache(maxsize=64)
def _networks(proxies: tuple[str, ...]) -> _Networks | None:
    try:
        return tuple(ip_network(each) for each in proxies)
    except ValueError:
        return None


def _seen_by_wsgi(environ: Mapping[str, Any]) -> _Seen:
    target = environ.get("RAW_URI") or environ.get("REQUEST_URI")
    query = environ.get("QUERY_STRING", "")
    if target:
        path, _, query = target.partition("?")
    else:
        decoded = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
        path = quote(decoded.encode("latin-1"), safe=UNENCODED) or "/"
    scheme = environ["wsgi.url_scheme"]
    host = environ.get("HTTP_HOST")
    if not host:
        host, port = environ["SERVER_NAME"], str(environ["SERVER_PORT"])
        host = host if port == DEFAULT_PORTS.get(scheme) else f"{host}:{port}"
    forwarded = {
        f"x-forwarded-{what}": environ.get(f"HTTP_X_FORWARDED_{what.upper()}", "")
        for what in ("proto", "host", "port")
    }
    return _Seen(scheme, host, path, query, environ.get("REMOTE_ADDR"), forwarded)


def _seen_by_asgi(scope: Mapping[str, Any]) -> _Seen:
    scheme = scope.get("scheme") or "http"
    if scope.get("type") == "websocket":
        scheme = _WEBSOCKET[scheme]
    raw = scope.get("raw_path")
    path = (
        bytes(raw).partition(b"?")[0]  # some servers leave the query there
        if raw
        else quote(scope["path"], safe=UNENCODED)
    )
    headers: dict[str, str] = {}
    for name, value in scope["headers"]:
        text = value.decode("latin-1")
        known = headers.setdefault(name.decode("latin-1").lower(), text)
        if name.lower() == b"host" and known != text:
            raise ValueError("two hosts")
    host = headers.get("host", "")
    if not host:
        name, port = scope["server"]
        host = name if port is None else f"{name}:{port}"
    client = scope.get("client")
    return _Seen(scheme, host, path, scope.get("query_string", b""), client and client[0], headers)


_NO_PUBLIC_URL = Problem(
    code="ST412",
    summary="The public URL of the webhooks is not one.",
    fix="It is what the URLs at Twilio begin with, such as https://example.com: scheme, host, "
    "perhaps a port and a path, and no query.",
)
_NO_PROXIES = Problem(
    code="ST413",
    summary="The proxies whose forwarded headers count are not IP networks.",
    fix="Name the addresses that connect to this server, such as 127.0.0.1 or 10.0.0.0/8.",
)
