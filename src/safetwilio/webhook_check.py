"""Why a captured webhook is refused, and which setting would have let it in; nothing is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from safetwilio.errors import SafeTwilioError, UsageError
from safetwilio.webhooks import signed_url
from safetwilio.webhooks.explain import diagnose
from safetwilio.webhooks.urls import shown_url

if TYPE_CHECKING:
    from safetwilio.webhook_settings import WebhookSettings
    from safetwilio.webhooks.captured import Captured
    from safetwilio.webhooks.explain import Finding

_PUBLIC_URL = "TWILIO_WEBHOOK_PUBLIC_URL"
# What to do about a finding whose setting is always the same.
_SETTINGS = {
    "secondary": "Exchange TWILIO_WEBHOOK_AUTH_TOKEN and TWILIO_WEBHOOK_SECONDARY_AUTH_TOKEN.",
    "auth-token": "Sign with a SharedKey at Twilio, or accept Auth Tokens too: leave out "
    "shared_keys_only.",
    "unknown-key": "Add the SharedKey that the request names to TWILIO_WEBHOOK_SHARED_KEYS, as "
    "ID=SECRET.",
    "decoded-path": "Let the proxy pass the path on as it came: nginx does with proxy_pass "
    "http://app; without anything after the host.",
    "encoded-path": "Let the proxy pass the path on as it came: nginx does with proxy_pass "
    "http://app; without anything after the host. In your own code use url_from_wsgi or "
    "url_from_asgi, not what the framework calls the URL.",
    "query": "Let the proxy pass the query on as it came.",
    "slash": "Write the URL at Twilio exactly as your application has it: a redirect to the other "
    "form loses the signature.",
    "no-params": "Give verify() the body of a request that is no form, and nothing for a GET.",
}
_UNPROVED = frozenset({"wrong-body", "no-body-hash"})
_CHANGED_BY_PROXIES = frozenset({"scheme", "host", "prefix"})


class Outcome(NamedTuple):
    """What a check found: the *url* as the server sees it, the *signed* one, and what differs.

    *signed* is ``None`` if no variant matches. *settings* are sentences or ``NAME=value`` to set.
    """

    url: str
    signed: str | None
    findings: tuple[Finding, ...]
    settings: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether the request would be accepted as it is."""
        return not self.findings

    def as_dict(self) -> dict[str, Any]:
        """Return the same as plain JSON types."""
        return {
            "ok": self.ok,
            "url": self.url,
            "signed_url": self.signed,
            "findings": [finding._asdict() for finding in self.findings],
            "settings": list(self.settings),
        }


def check(request: Captured, settings: WebhookSettings, *, url: str | None = None) -> Outcome:
    """Return what an application with *settings* makes of the captured *request*.

    *url* is the one that the application sees; without it, it is made of the request and of the
    public URL in *settings*. Raises :class:`safetwilio.errors.UsageError` (ST911) if it cannot be.
    """
    seen = url or _url(request, settings)
    if not seen:
        raise UsageError(
            "The capture has no Host, or a target that no request has: say which URL your "
            "application sees, with --url.",
            code="ST911",
        )
    params = request.params
    diagnosis = diagnose(
        seen,
        params=params,
        body=request.body if params is None else None,
        headers=request.headers,
        secrets=settings.secrets(),
        shared_keys_only=settings.shared_keys_only,
    )
    findings = tuple(diagnosis.findings)
    return Outcome(
        url=shown_url(seen) or "",
        signed=shown_url(diagnosis.url),
        findings=findings,
        settings=_settings(findings, seen, diagnosis.url),
    )


def _url(request: Captured, settings: WebhookSettings) -> str:
    """Return the URL that the integrations make of *request*, empty if there is none."""
    target, host, scheme = request.target, request.header("Host"), "http"
    if "://" in target:  # some tools write the whole URL there
        parts = urlsplit(target)
        scheme, host = parts.scheme, parts.netloc
        target = parts._replace(scheme="", netloc="").geturl() or "/"
    path, _, query = target.partition("?")
    try:
        return signed_url(settings.public_url, scheme=scheme, host=host, raw_path=path, query=query)
    except SafeTwilioError:
        return ""


def _settings(findings: tuple[Finding, ...], seen: str, signed: str | None) -> tuple[str, ...]:
    found = [finding.what for finding in findings]
    if not _UNPROVED.isdisjoint(found):
        return ()  # no setting lets in what nothing proves
    said = [_SETTINGS[what] for what in found if what in _SETTINGS]
    if signed and not _CHANGED_BY_PROXIES.isdisjoint(found):
        said.insert(0, f"{_PUBLIC_URL}={_public_url(seen, signed)}")
    return tuple(said)


def _public_url(seen: str, signed: str) -> str:
    """Return what *signed* begins with and *seen* does not: the public URL, with its prefix."""
    there, here = urlsplit(signed), urlsplit(seen)
    path, end = there.path, here.path
    prefix = path.removesuffix(end) if end != "/" and path.endswith(end) else ""
    return f"{there.scheme}://{there.netloc.rpartition('@')[2]}{prefix}"
