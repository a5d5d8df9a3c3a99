"""Why a signature did not match: which other URL, parameters or secret would have, offline."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote, unquote

from safetwilio.webhooks import canonical
from safetwilio.webhooks.headers import pairs, read, signer
from safetwilio.webhooks.refusals import Reason, message
from safetwilio.webhooks.urls import UNENCODED
from safetwilio.webhooks.verify import has_hashes, matches

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from safetwilio.webhooks.canonical import Params
    from safetwilio.webhooks.headers import Headers
    from safetwilio.webhooks.signing import SigningSecrets

_MOST_SLASHES = 8  # each of which may have been %2F
_OTHER_SCHEME = {"http": "https", "https": "http", "ws": "wss", "wss": "ws"}
_HOST_HEADERS = {
    **dict.fromkeys(("host", b"host", "http_host"), "Host"),
    **dict.fromkeys(
        ("x-forwarded-host", b"x-forwarded-host", "http_x_forwarded_host"), "X-Forwarded-Host"
    ),
}


class Finding(NamedTuple):
    """One thing that is not as Twilio signed it: *what* in a word, and a *sentence* about it."""

    what: str
    sentence: str


class _Signed(NamedTuple):
    """What may have been signed; *added* is what the parameters add to the URL."""

    scheme: str
    authority: str
    path: str
    query: str
    added: bytes

    def texts(self) -> list[bytes]:
        url = f"{self.scheme}://{self.authority}{self.path}{self.query}"
        return [variant.encode() + self.added for variant in canonical.port_variants(url)]


class _Change(NamedTuple):
    """What would be different, and the finding if that is what was signed."""

    parts: dict[str, Any]
    finding: Finding


_NOTHING = Finding(
    "nothing-matches",
    "No variant of this URL matches with these secrets. Is it the Auth Token of the account that "
    "sent the request (a subaccount and a region have their own; an API key's secret signs "
    "nothing), is it the current one, are all parameters there, empty and repeated ones too, and "
    "is the host the one that is configured at Twilio?",
)


def explain(
    url: str,
    *,
    params: Params | None = None,
    body: bytes | None = None,
    headers: Headers,
    secrets: SigningSecrets,
) -> list[Finding]:
    """Return why the request with these *headers* is refused, as far as trying can tell.

    The arguments are those of :meth:`safetwilio.webhooks.Verifier.verify`; *secrets* may hold old
    ones too, to see whether the request was signed with one of those. An empty list means that
    there is nothing to find: the request is right. Nothing is sent, and no finding quotes the
    request. Hostile input is a finding too.
    """
    try:
        return list(_explained(url, params, body, headers, secrets))
    except Exception:  # noqa: BLE001 - as in verify
        return [_refused("malformed")]


def _refused(reason: Reason) -> Finding:
    return Finding(reason, message(reason))


def _explained(
    url: str, params: Any, body: bytes | None, headers: Headers, secrets: SigningSecrets
) -> Iterator[Finding]:
    named: Any = list(pairs(headers))
    given, settings = read(named)
    key, algorithm = signer(settings, canonical.SHA1)
    if not given:
        yield _refused("unsigned")
    elif key is not None and key not in secrets.shared_keys:
        yield _refused("unknown-key")
    elif algorithm not in canonical.DIGESTS:
        yield _refused("algorithm")
    else:
        signers = secrets.auth_tokens if key is None else (secrets.shared_keys[key],)
        proofs = [each.get_secret_value().encode() for each in signers]
        added = canonical.signed_params(params)
        start = _parsed(url, added)
        yield from _tried(start, _groups(start, named), proofs, algorithm, given.encode())
        wanted = canonical.body_hashes(url)
        if body and not wanted:
            yield _refused("no-body-hash")
        elif not added and not has_hashes(body or b"", wanted):
            yield _refused("wrong-body")


def _tried(
    start: _Signed,
    groups: Sequence[Sequence[_Change]],
    proofs: Sequence[bytes],
    algorithm: str,
    given: bytes,
) -> Iterator[Finding]:
    """Yield the fewest changes after which one of *proofs* has signed as *given*."""
    choices = [
        [change for change in choice if change]
        for choice in product(*([None, *group] for group in groups))
    ]
    for changes in sorted(choices, key=len):
        signed = start
        for change in changes:
            signed = signed._replace(**change.parts)
        matched = matches(proofs, signed.texts(), algorithm, given)
        if any(matched):
            yield from (change.finding for change in changes)
            if number := matched.index(True):
                yield Finding(
                    "secondary",
                    f"The request was signed with secret {number + 1} of those given, not with the "
                    "first. If Twilio's primary Auth Token has changed, put that one first.",
                )
            return
    yield _NOTHING


def _parsed(url: str, added: bytes) -> _Signed:
    scheme, _, rest = url.partition("://")
    authority, target = canonical.split_target(rest)
    path, mark, query = target.partition("?")
    return _Signed(scheme, authority, path, mark + query, added)


def _groups(signed: _Signed, headers: Any) -> tuple[list[_Change], ...]:
    """Return what may be different in each part of *signed*; changes of one part exclude others."""
    return (
        _schemes(signed),
        _hosts(signed, headers),
        _paths(signed),
        _queries(signed),
        _params(signed),
    )


def _schemes(signed: _Signed) -> list[_Change]:
    other = _OTHER_SCHEME.get(signed.scheme)
    if other is None:
        return []
    sentence = f"The signed URL begins with {other}. A proxy that ends TLS hides that: set the "
    return [_Change({"scheme": other}, Finding("scheme", sentence + "public URL."))]


def _hosts(signed: _Signed, headers: Any) -> list[_Change]:
    """Return the hosts that *headers* name."""
    changes = []
    for name, value in headers:
        header = _HOST_HEADERS.get(name.lower())
        if header is None:
            continue
        host = value.decode("latin-1") if isinstance(value, bytes) else value
        host = host.partition(",")[0].strip()
        if host != signed.authority:
            sentence = f"The signed URL has the host of the header {header}: set the public URL."
            changes.append(_Change({"authority": host}, Finding("host", sentence)))
    return changes


def _paths(signed: _Signed) -> list[_Change]:
    """Return the path with another end, decoded, and encoded in several ways, and both."""
    path = signed.path
    turned = path.removesuffix("/") if path.endswith("/") else path + "/"
    ends = "without" if path.endswith("/") else "with"
    slash = Finding("slash", f"The path of the signed URL ends {ends} a slash.")
    sentence = "The path was {} on the way: hand over the one of the request line."
    decoded = Finding("decoded-path", sentence.format("encoded"))
    encoded = Finding("encoded-path", sentence.format("decoded"))
    changes = [_Change({"path": turned}, slash)]
    for start in (path, turned):
        plain = unquote(start)
        changes.append(_Change({"path": plain}, decoded))
        changes += [
            _Change({"path": quote(plain, safe=safe)}, encoded) for safe in ("/", UNENCODED)
        ]
        inner = [at for at, character in enumerate(start) if character == "/" and at]
        changes += [
            _Change({"path": f"{start[:at]}%2F{start[at + 1 :]}"}, encoded)
            for at in inner[:_MOST_SLASHES]
        ]
    return [change for change in changes if change.parts["path"] != path]


def _queries(signed: _Signed) -> list[_Change]:
    query = signed.query
    if not query:
        return []
    again = Finding(
        "query", "The query was encoded anew on the way: hand over the one of the request line."
    )
    others = {query.replace("+", "%20"), query.replace("%20", "+"), unquote(query)} - {query}
    return [
        _Change({"query": ""}, Finding("no-query", "The signed URL has no query.")),
        *(_Change({"query": other}, again) for other in sorted(others)),
    ]


def _params(signed: _Signed) -> list[_Change]:
    if not signed.added:
        return []
    sentence = (
        "The signature covers the URL without these parameters. Those of a GET are in the URL "
        "already; a body that is no form is given as body."
    )
    return [_Change({"added": b""}, Finding("no-params", sentence))]
