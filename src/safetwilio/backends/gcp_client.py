"""Google's own client for one call: which secret, logged in as whom, over which transport.

Every call has a client of its own, closed after it, so nothing is carried over a fork. Plain HTTP
is for a server on this machine, and is never given a login.
"""

from __future__ import annotations

import os
import re
from contextlib import contextmanager
from functools import cache, partial
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from safetwilio.backends.addresses import origin
from safetwilio.backends.bodies import Bounded
from safetwilio.extras import need

if TYPE_CHECKING:
    from collections.abc import Iterator

FILE_VARIABLE = "GOOGLE_APPLICATION_CREDENTIALS"
_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
_PUBLIC = "secretmanager.googleapis.com"
_POLYNOMIAL = 0x82F63B78  # Castagnoli, reflected
_NUMBER = re.compile(r"/versions/([1-9][0-9]{0,18})")
_EMAIL = re.compile(r"[A-Za-z0-9][\w.+-]{0,127}@[A-Za-z0-9.-]{1,127}")
_METADATA = "google.auth.compute_engine.credentials"
_SERVICE_ACCOUNT = "google.oauth2.service_account"
# by the module of their class, so that none of these has to be imported
_KINDS = {
    _SERVICE_ACCOUNT: "the service account {email}",
    _METADATA: "the service account {email} of this machine",
    "google.auth.impersonated_credentials": "the service account {email}, impersonated",
    "google.oauth2.credentials": "a user's login",
    "google.auth.identity_pool": "a federated workload identity {email}",
    "google.auth.aws": "a federated workload identity {email}",
    "google.auth.pluggable": "a federated workload identity {email}",
    "google.auth.external_account_authorized_user": "a federated user's login",
}


class Corrupted(Exception):
    """The payload is not the one that its checksum is of."""


class NoAnswer(Exception):
    """What came is no answer of Secret Manager's."""


class Version(NamedTuple):
    """One version of the secret, as Google gave it."""

    number: int
    data: bytes


class Place(NamedTuple):
    """Which secret is meant, and where it is asked for; *endpoint* is an origin."""

    project: str
    name: str
    location: str | None = None
    endpoint: str | None = None
    transport: str = "rest"

    @property
    def parent(self) -> str:
        """What the secret is made in."""
        region = f"/locations/{self.location}" if self.location else ""
        return f"projects/{self.project}{region}"

    @property
    def secret(self) -> str:
        """The secret's resource name."""
        return f"{self.parent}/secrets/{self.name}"

    def version(self, of: object) -> str:
        """Return the resource name of a version *of* the secret: number, alias or ``latest``."""
        return f"{self.secret}/versions/{of}"

    @property
    def host(self) -> str | None:
        """The endpoint's host and port; ``None`` for the one that Google's library knows."""
        if self.endpoint is not None:
            return _with_port(self.endpoint)
        return f"secretmanager.{self.location}.rep.googleapis.com" if self.location else None

    @property
    def at(self) -> str:
        """Where it is asked for, in words."""
        return origin(self.endpoint) if self.endpoint else f"https://{self.host or _PUBLIC}"

    @property
    def is_local(self) -> bool:
        """Whether it is asked for over plain HTTP, which only this machine is."""
        return (self.endpoint or "").lower().startswith("http:")


class Who:
    """Whose login is in use, as far as the call got."""

    def __init__(self) -> None:
        """Know nobody yet."""
        self.credentials: Any = None
        self.is_looking = False

    @property
    def email(self) -> str | None:
        """The service account's address, if it is known: a machine's only after its login."""
        found = getattr(self.credentials, "service_account_email", None)
        return found if isinstance(found, str) and _EMAIL.fullmatch(found) else None

    @property
    def name(self) -> str | None:
        """Who asks, in words."""
        if self.credentials is None:
            return None
        module = type(self.credentials).__module__
        kind = _KINDS.get(module, "application default credentials")
        words = kind.format(email=self.email or "").replace("  ", " ").strip()
        if module == _METADATA:
            return f"{words}, from the metadata server"
        if os.environ.get(FILE_VARIABLE):
            return f"{words}, from the file in env {FILE_VARIABLE}"
        return f"{words}, from gcloud's application default credentials"


def sdk() -> Any:
    """Return Google's library, imported now rather than within a deadline.

    Raises :class:`safetwilio.errors.MissingExtra` (ST901).
    """
    for module in ("google.auth", "google.auth.transport.requests"):
        need(module, extra="gcp", purpose="gcp-sm:")
    return need("google.cloud.secretmanager_v1", extra="gcp", purpose="gcp-sm:")


@contextmanager
def client_for(place: Place, who: Who, seconds: float) -> Iterator[Any]:
    """Yield a client for *place*, closed with the block; *who* is told whose login it has.

    Looking for a login may ask the metadata server: only within a deadline.
    """
    if place.is_local:
        client = sdk().SecretManagerServiceClient(transport=_local(place))
    else:
        who.is_looking = True
        who.credentials, _ = need("google.auth", extra="gcp", purpose="gcp-sm:").default(
            scopes=(_SCOPE,)
        )
        who.is_looking = False
        _keep_quiet(who.credentials)
        if place.transport == "grpc":
            _log_in(who.credentials, place, seconds)
        client = sdk().SecretManagerServiceClient(
            credentials=who.credentials,
            transport=place.transport,
            client_options={"api_endpoint": place.host} if place.host else None,
        )
    with client:
        if place.transport == "rest":
            session = client.transport._session  # noqa: SLF001 - there is no other way to it
            session.max_redirects = 0  # Google redirects nobody
            session.hooks["response"].append(partial(_bound, seconds))  # gRPC has its own: 4 MiB
            if place.is_local:
                session.trust_env = False  # a proxy would get it, in the clear
        yield client


def _bound(seconds: float, response: Any, **_: object) -> None:
    response.raw = Bounded(response.raw, seconds)


def access(client: Any, name: str, seconds: float) -> Version:
    """Return the version called *name*, its checksum compared.

    Raises :class:`Corrupted`, :class:`NoAnswer` and what Google's library does.
    """
    answer = client.access_secret_version(request={"name": name}, retry=None, timeout=seconds)
    data = bytes(answer.payload.data)
    # Google always sends it; a server of somebody's own may not
    if "data_crc32c" in answer.payload and answer.payload.data_crc32c != crc32c(data):
        raise Corrupted
    return Version(number_of(answer.name), data)


def number_of(name: str) -> int:
    """Return the number in the resource *name* of a version."""
    found = _NUMBER.search(name)
    if found is None or found.end() != len(name):
        raise NoAnswer
    return int(found[1])


def crc32c(data: bytes) -> int:
    """Return the CRC32C (Castagnoli) of *data*, as RFC 3720 defines it."""
    table = _table()
    register = 0xFFFFFFFF
    for byte in data:
        register = table[(register ^ byte) & 0xFF] ^ (register >> 8)
    return register ^ 0xFFFFFFFF


@cache
def _table() -> tuple[int, ...]:
    return tuple(_eight_bits(index) for index in range(256))


def _eight_bits(register: int) -> int:
    for _ in range(8):
        register = (register >> 1) ^ (_POLYNOMIAL if register & 1 else 0)
    return register


def _local(place: Place) -> Any:
    """Return the transport to a server on this machine: nobody logs in there."""
    transports = need(
        "google.cloud.secretmanager_v1.services.secret_manager_service.transports",
        extra="gcp",
        purpose="gcp-sm:",
    )
    if place.transport == "grpc":
        grpc = need("grpc", extra="gcp", purpose="gcp-sm:")
        channel = grpc.insecure_channel(place.host, options=[("grpc.enable_http_proxy", 0)])
        return transports.SecretManagerServiceGrpcTransport(channel=channel)
    nobody = need("google.auth.credentials", extra="gcp", purpose="gcp-sm:").AnonymousCredentials()
    return transports.SecretManagerServiceRestTransport(
        host=place.host, url_scheme="http", credentials=nobody
    )


def _keep_quiet(credentials: Any) -> None:
    """Keep google-auth from looking up the login's regions, in a thread of its own.

    Its answer comes too late for a client of one call, and at DEBUG that thread logs the login.
    """
    manager = getattr(credentials, "_rab_manager", None)
    tell = getattr(manager, "process_regional_access_boundary_info", None)
    if tell is not None:
        tell(None)  # as if it had failed just now: then google-auth waits before it tries again


def _log_in(credentials: Any, place: Place, seconds: float) -> None:
    """Log in before gRPC does: it would call a refused login an unreachable server.

    A service account's key signs its own login, which takes no request.
    """
    if type(credentials).__module__ == _SERVICE_ACCOUNT:
        return
    requests = need("google.auth.transport.requests", extra="gcp", purpose="gcp-sm:")
    request = partial(requests.Request(), timeout=seconds)
    credentials.before_request(request, "POST", f"{place.at}/", {})


def _with_port(endpoint: str) -> str:
    """Return host and port of *endpoint*: Google's library would take 443 for any."""
    parts = urlsplit(endpoint)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{host}:{parts.port or (80 if parts.scheme == 'http' else 443)}"
