"""Which addresses a secret may be asked of: TLS anywhere, plain HTTP only on this machine."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit


def is_safe(url: str) -> bool:
    """Return whether *url* is ``https://`` with a host, or ``http://`` with a loopback IP literal.

    A name counts for nothing: what ``localhost`` means is decided elsewhere.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
        if not host or parts.username is not None or parts.password is not None:
            return False
        if parts.scheme == "https":
            return True
        return parts.scheme == "http" and ip_address(host).is_loopback
    except ValueError:
        return False


def origin(url: str) -> str:
    """Return scheme, host and port of *url*, and nothing that may be a secret: no user, no query.

    ``its endpoint`` stands for what is no address.
    """
    try:
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
    except ValueError:
        host = ""
    return f"{parts.scheme}://{host}" if host else "its endpoint"
