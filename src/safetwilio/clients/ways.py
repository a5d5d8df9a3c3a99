"""The way to a host under asyncio: which proxy, and which TLS context.

Both are what ``requests`` would take: from the session, from the options of the transport, from the
environment. To read all that, and the certificates, takes long; so it is kept, and found in a
thread, where the event loop does not wait for it.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import threading
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from requests.exceptions import InvalidProxyURL
from requests.utils import prepend_scheme_if_needed, select_proxy
from yarl import URL

from safetwilio.clients.transport import BUNDLES_OF_OPENSSL

if TYPE_CHECKING:
    from collections.abc import Callable

    from requests import Session

    from safetwilio.clients.transport import Transport

_MOST = 100
_PROXY_NAMES = ("https_proxy", "all_proxy", "no_proxy")
_READ = (
    *_PROXY_NAMES,
    *(name.upper() for name in _PROXY_NAMES),
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    *BUNDLES_OF_OPENSSL,
)
_making = threading.Lock()


class Way(NamedTuple):
    """How to reach a host; *proxy* is a function because a proxy's URL may hold its password."""

    proxy: Callable[[], str | None]
    tls: ssl.SSLContext | bool


# It is on this machine, speaks no TLS, and a proxy would see the header.
_TO_THE_EMULATOR = Way(lambda: None, tls=True)


class Ways:
    """The ways that a *transport* has found, for as long as nothing changes that they depend on."""

    def __init__(self) -> None:
        """Know none yet."""
        self._known: dict[int, Way] = {}

    def __len__(self) -> int:
        """Return how many are kept."""
        return len(self._known)

    async def find(self, transport: Transport, session: Session, url: str) -> Way:
        """Return the way to *url*.

        Raises what ``requests`` raises for a proxy or a CA bundle that cannot be used.
        """
        if transport.emulator is not None:
            return _TO_THE_EMULATOR
        if url.startswith("http:"):  # no credential goes there, so it is rare
            return _way(transport, session, url)
        origin = "/".join(url.split("/", 3)[:3])
        key = self._key(transport, session, origin)
        known = self._known.get(key)
        if known is None:
            if len(self._known) >= _MOST:
                self._known.clear()
            known = await asyncio.to_thread(_way, transport, session, url)
            self._known[key] = known
        return known

    @staticmethod
    def _key(transport: Transport, session: Session, origin: str) -> int:
        read = tuple(map(os.environ.get, _READ))
        own = (session.trust_env, session.verify, str(session.cert), transport.ca_bundle)
        proxies = (*session.proxies.items(), *transport.proxy.items())
        # Hashed: these may hold the password of a proxy.
        return hash((origin, read, own, proxies))


def _way(transport: Transport, session: Session, url: str) -> Way:
    settings = transport.settings(session, url)
    proxy = _proxy(url, settings["proxies"])
    if url.startswith("http:"):
        return Way(lambda: proxy, tls=True)
    with _making:  # of many that come at once the first makes the context for all
        return Way(lambda: proxy, _tls(settings["verify"], settings["cert"]))


def _proxy(url: str, proxies: Any) -> str | None:
    """Return the proxy for *url*, as requests reads it; aiohttp knows only those of HTTP."""
    chosen = select_proxy(url, proxies)
    if not chosen:
        return None
    try:
        proxy: str = prepend_scheme_if_needed(chosen, "http")  # type: ignore[no-untyped-call]
        host, scheme = URL(proxy).host, URL(proxy).scheme
    except (ValueError, TypeError):  # it quotes the URL, which may hold a password
        host = scheme = None
    if not host or scheme not in {"http", "https"}:
        raise InvalidProxyURL
    return proxy


@lru_cache(maxsize=8)
def _tls(
    verify: bool | str | None,  # noqa: FBT001 - as requests has it
    certificate: str | tuple[str, ...] | None,
) -> ssl.SSLContext:
    """Return the TLS context for the CA bundle *verify*, or for certifi's, as in requests.

    *certificate* is the client's own: a file with its key, or one file for each.
    """
    import certifi

    bundle = verify if isinstance(verify, str) else certifi.where()
    if os.path.isdir(bundle):  # noqa: PTH112 - a text from requests
        context = ssl.create_default_context(capath=bundle)
    else:
        context = ssl.create_default_context(cafile=bundle)
    if certificate:
        own = (certificate,) if isinstance(certificate, str) else certificate
        context.load_cert_chain(*own)
    return context
