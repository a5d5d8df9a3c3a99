"""What goes over the wire for a request: what ``requests`` would make of it, in less time.

Nearly every request of Twilio's library is a plain address with a form or parameters. Those are put
together here; all others are left to ``requests``, and the tests hold the two to the same bytes.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple, cast
from urllib.parse import urlencode

from requests import PreparedRequest
from requests.structures import CaseInsensitiveDict

from safetwilio.clients.auth import HeaderAuth, LastMomentAuth, NoAuth

if TYPE_CHECKING:
    from collections.abc import Mapping

    from requests import Session

# None of these characters is quoted, and no segment is one that a client takes out ("." or "..").
_PLAIN_URL = re.compile(
    r"https?://[a-z0-9]+(?:[.-][a-z0-9]+)*"
    r"(?::(?:[1-9][0-9]{1,3}|[1-5][0-9]{4}))?"
    r"(?:/[A-Za-z0-9_~+:@=,-][A-Za-z0-9_.~+:@=,-]*)+/?",
    re.ASCII,
)
_PLAIN_HEADERS = re.compile(r"(?:[A-Za-z0-9-]+: (?:[!-~](?:[ -~]*[!-~])?)?\n)*", re.ASCII)
_PLAIN_METHODS = frozenset({"GET", "POST", "DELETE", "PUT", "PATCH"})
_WITHOUT_LENGTH = frozenset({"GET", "HEAD"})
_SET_LAST = frozenset({"content-length", "authorization"})
_OWN_AUTH = frozenset({HeaderAuth, LastMomentAuth, NoAuth})
_SCALARS = frozenset({str, int, float, bool})


class Prepared(NamedTuple):
    """A request with its credential."""

    method: str
    url: str
    headers: dict[str, str]
    body: str | bytes | None


class _Draft:
    """All that our own authentication looks at of a request."""

    __slots__ = ("headers", "url")

    def __init__(self, url: str, headers: dict[str, str]) -> None:
        self.url = url
        self.headers = headers


def prepare(session: Session, call: dict[str, Any]) -> Prepared:
    """Return *call* as *session* would send it, without its cookies, hooks and parameters.

    Raises what ``requests`` raises for what it cannot send, and what the authentication of the
    call raises: :class:`safetwilio.errors.RefusedBeforeSending` (ST801, ST802, ST805).
    """
    return _plainly(session, call) or _by_requests(session, call)


def _plainly(session: Session, call: dict[str, Any]) -> Prepared | None:
    """Return *call* prepared, or ``None`` if there is anything unusual about it."""
    method, url, auth = call["method"], call["url"], call["auth"]
    if (
        method not in _PLAIN_METHODS
        or call.get("json") is not None
        or type(auth) not in _OWN_AUTH
        or not _PLAIN_URL.fullmatch(url)
    ):
        return None
    query, body = _form(call["params"]), _form(call.get("data"))
    headers = _merged(session.headers, call["headers"])
    if query is None or body is None or headers is None:
        return None
    if query:
        url = f"{url}?{query}"
    if body:
        headers["Content-Length"] = str(len(body))
        if not any(name.lower() == "content-type" for name in headers):
            headers["Content-Type"] = "application/x-www-form-urlencoded"
    elif method not in _WITHOUT_LENGTH:
        headers["Content-Length"] = "0"
    auth(cast("PreparedRequest", _Draft(url, headers)))
    return Prepared(method, url, headers, body.encode("ascii") or None)


def _form(fields: Any) -> str | None:
    """Return *fields* as requests writes a form or query, or ``None`` if it must be asked."""
    if not fields:
        return ""
    if type(fields) is not dict:
        return None
    pairs: list[tuple[str, Any]] = []
    for name, value in fields.items():
        if type(name) is not str:
            return None
        if type(value) is list:
            if not all(each is None or type(each) in _SCALARS for each in value):
                return None
            pairs += [(name, each) for each in value if each is not None]
        elif type(value) in _SCALARS:
            pairs.append((name, value))
        elif value is not None:
            return None
    return urlencode(pairs) or None


def _merged(of_session: Mapping[str, Any], of_call: Any) -> dict[str, str] | None:
    """Return the headers *of_session* and over them those *of_call*, or ``None`` if unusual."""
    found = {name.lower(): (name, value) for name, value in of_session.items()}
    if of_call:
        found.update({name.lower(): (name, value) for name, value in of_call.items()})
    merged = {name: value for name, value in found.values() if value is not None}
    text = "".join([f"{name}: {value}\n" for name, value in merged.items()])
    if text.count("\n") > len(merged) or not _PLAIN_HEADERS.fullmatch(text):
        return None
    if set(map(type, merged.values())) != {str} or found.keys() & _SET_LAST:
        return None
    return merged


def _by_requests(session: Session, call: dict[str, Any]) -> Prepared:
    headers = CaseInsensitiveDict({**session.headers})
    headers.update(call["headers"] or {})
    prepared = PreparedRequest()
    prepared.prepare_method(call["method"])
    prepared.prepare_url(call["url"], call["params"])
    prepared.prepare_headers({k: v for k, v in headers.items() if v is not None})
    prepared.prepare_body(call.get("data") or {}, None, call.get("json"))
    prepared.prepare_auth(call["auth"], call["url"])
    made = {**prepared.headers}
    return Prepared(prepared.method or "", prepared.url or "", made, prepared.body)
