"""Why a signature did not match: which other URL, parameters or secret would have, offline."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote, unquote

from safetwilio.webhooks import canonical
from safetwilio.webhooks.headers import pairs, read, spellings
from safetwilio.webhooks.refusals import Reason, message
from safetwilio.webhooks.urls import UNENCODED
from safetwilio.webhooks.verify import has_hashes, matches, signers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from safetwilio.webhooks.canonical import Params
    from safetwilio.webhooks.headers import Headers
    from safetwilio.webhooks.signing import SigningSecrets

_MOST_HEADERS = 4  # of one kind that are tried: each multiplies the work
_MOST_SLASHES = 8  # each of which may have been %2F
_OTHER_SCHEME = {"http": "https", "https": "http", "ws": "wss", "wss": "ws"}
_HOST_HEADERS = ("Host", "X-Forwarded-Host")
# What proxies say of a path that they have shortened, or of the whole one.
_PREFIX_HEADERS = ("X-Forwarded-Prefix", "X-Script-Name")
_PATH_HEADERS = ("X-Original-URI", "X-Original-URL", "X-Envoy-Original-Path")


class Finding(NamedTuple):
    """One thing that is not as Twilio signed it: *what* in a word, and a *sentence* about it."""

    what: str
    sentence: str


class Diagnosis(NamedTuple):
    """What is wrong: the *findings*, and the *url* that Twilio signed if one was found.

    The *url* is the sender's to choose unless there is a signature over it: it is ``None`` then.
    """

    findings: list[Finding]
    url: str | None


class _Signed(NamedTuple):
    """What may have been signed; *added* is what the parameters add to the URL."""

    scheme: str
    authority: str
    path: str
    query: str
    added: bytes

    def url(self) -> str:
        return f"{self.scheme}://{self.authority}{self.path}{self.query}"

    def texts(self) -> list[bytes]:
        variants = canonical.port_variants(self.url())
        return [variant.encode() + self.added for variant in variants]


class _Proof(NamedTuple):
    """The *secrets* that may have signed with *algorithm*, and the signature *given*."""

    secrets: list[bytes]
    algorithm: str
    given: bytes


class _Change(NamedTuple):
    """What would be different, and the finding if that is what was signed."""

    parts: dict[str, Any]
    finding: Finding


_NOTHING = Finding(
    "nothing-matches",
    "No variant of this URL matches with these secrets. Is it the Auth Token of the account that "
    "sent the request (a subaccount and a region have their own; an API key's secret signs "
    "nothing), is it the current one, has a proxy taken away a part of the path, are all "
    "parameters there, empty and repeated ones too, and is the host the one that is configured at "
    "Twilio?",
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
    return diagnose(url, params=params, body=body, headers=headers, secrets=secrets).findings


def diagnose(  # noqa: PLR0913 - those of verify(), and what a Verifier is told
    url: str,
    *,
    params: Params | None = None,
    body: bytes | None = None,
    headers: Headers,
    secrets: SigningSecrets,
    shared_keys_only: bool = False,
) -> Diagnosis:
    """Return what :func:`explain` says, and the URL that was signed: it quotes the request."""
    try:
        named: Any = list(pairs(headers))
        given, settings = read(named)
        if not given:
            return Diagnosis([_refused("unsigned")], None)
        candidates, algorithm = signers(
            secrets, settings, canonical.DIGESTS, shared_keys_only=shared_keys_only
        )
        if isinstance(candidates, str):
            return Diagnosis([_refused(candidates)], None)
        proof = _Proof(
            [each.get_secret_value().encode() for each in candidates], algorithm, given.encode()
        )
        return _diagnosed(url, params, body, named, proof)
    except Exception:  # noqa: BLE001 - as in verify
        return Diagnosis([_refused("malformed")], None)


def _refused(reason: Reason) -> Finding:
    return Finding(reason, message(reason))


def _diagnosed(url: str, params: Any, body: bytes | None, headers: Any, proof: _Proof) -> Diagnosis:
    added = canonical.signed_params(params)
    start = _parsed(url, added)
    findings, signed = _tried(start, _groups(start, headers), proof)
    wanted = canonical.body_hashes(url)
    if body and not wanted:
        findings.append(_refused("no-body-hash"))
    elif not added and not has_hashes(body or b"", wanted):
        findings.append(_refused("wrong-body"))
    return Diagnosis(findings, signed.url() if signed else None)


def _tried(
    start: _Signed, groups: Sequence[Sequence[_Change]], proof: _Proof
) -> tuple[list[Finding], _Signed | None]:
    """Return the fewest changes after which *proof* has signed as it was given, and the result.

    Without any, the finding is that nothing matches.
    """
    choices = [
        [change for change in choice if change]
        for choice in product(*([None, *group] for group in groups))
    ]
    for changes in sorted(choices, key=len):
        signed = start
        for change in changes:
            signed = signed._replace(**change.parts)
        matched = matches(proof.secrets, signed.texts(), proof.algorithm, proof.given)
        if any(matched):
            findings = [change.finding for change in changes]
            if number := matched.index(True):
                findings.append(_signed_by(number + 1))
            return findings, signed
    return [_NOTHING], None


def _signed_by(number: int) -> Finding:
    return Finding(
        "secondary",
        f"The request was signed with secret {number} of those given, not with the first. If "
        "Twilio's primary Auth Token has changed, put that one first.",
    )


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
        [*_prefixes(signed, headers), *_paths(signed)],
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
    return [
        _Change(
            {"authority": host},
            Finding(
                "host", f"The signed URL has the host of the header {header}: set the public URL."
            ),
        )
        for header, host in _said(headers, _HOST_HEADERS)
        if host != signed.authority
    ]


def _said(headers: Any, names: Sequence[str]) -> list[tuple[str, str]]:
    """Return those of *headers* that are called as one of *names*, with the first value of each."""
    known = {spelling: name for name in names for spelling in spellings(name)}
    found = [(known[name.lower()], value) for name, value in headers if name.lower() in known]
    texts = [
        (name, v.decode("latin-1") if isinstance(v, bytes) else v)
        for name, v in found[:_MOST_HEADERS]
    ]
    return [(name, text.partition(",")[0].strip()) for name, text in texts]


def _prefixes(signed: _Signed, headers: Any) -> list[_Change]:
    """Return the paths from which a proxy has taken something away, if its *headers* say so."""
    paths = [
        (header, f"/{prefix.strip('/')}{signed.path}")
        for header, prefix in _said(headers, _PREFIX_HEADERS)
    ]
    paths += [(header, path.partition("?")[0]) for header, path in _said(headers, _PATH_HEADERS)]
    return [
        _Change(
            {"path": path},
            Finding(
                "prefix",
                f"A proxy has changed the path; the signed one is that of the header {header}: "
                "set the public URL with what is taken away.",
            ),
        )
        for header, path in paths
        if path != signed.path
    ]


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
