"""Where a Vault is and how its certificate is checked, by the names that its own command uses."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from safetwilio.backends.addresses import is_safe
from safetwilio.errors import BackendError
from safetwilio.problems import Problem

if TYPE_CHECKING:
    from safetwilio.backends.failures import Failures

ADDRESS = "VAULT_ADDR"
AGENT_ADDRESS = "VAULT_AGENT_ADDR"
NAMESPACE = "VAULT_NAMESPACE"
CA_FILE = "VAULT_CACERT"
CA_DIRECTORY = "VAULT_CAPATH"
CERTIFICATE = "VAULT_CLIENT_CERT"
CERTIFICATE_KEY = "VAULT_CLIENT_KEY"
SKIP_VERIFY = "VAULT_SKIP_VERIFY"
_NO = frozenset({"", "0", "f", "false"})  # as Go reads a truth value


class Server(NamedTuple):
    """Where a Vault is and how its certificate is checked, from the environment."""

    address: str
    namespace: str | None
    verify: bool | str
    certificate: tuple[str, str] | tuple[()]

    @property
    def is_plain(self) -> bool:
        """Whether it is plain HTTP on this machine."""
        return self.address.startswith("http:")


def server(failures: Failures, *, agent: bool) -> Server:
    """Return the server that the environment names, for an *agent* the one on this machine.

    Raises :class:`safetwilio.errors.BackendError`: ST302 for a setting that is missing or cannot be
    used, ST339 for plain HTTP to another machine.
    """
    if _set(SKIP_VERIFY).lower() not in _NO:
        raise setting(
            f"env {SKIP_VERIFY}",
            "with it, a login and a key would go to whoever answers",
            f"Unset it, and name the authority of Vault's certificate in {CA_FILE}.",
        )
    name = AGENT_ADDRESS if agent and _set(AGENT_ADDRESS) else ADDRESS
    return Server(
        _address(name, failures, agent=agent),
        failures.reference.options.get("namespace", "").strip("/")
        or _set(NAMESPACE).strip("/")
        or None,
        _authorities(),
        _certificate(),
    )


def setting(place: str, why: str, fix: str) -> BackendError:
    """Return ST302 about something that is not in the reference, but belongs to it."""
    return BackendError(
        [
            Problem(
                code="ST302",
                summary="A setting of the Vault backend cannot be used.",
                found_in=(f"{place}: {why}",),
                fix=fix,
            )
        ]
    )


def _set(name: str) -> str:
    return os.environ.get(name, "").strip()


def _address(name: str, failures: Failures, *, agent: bool) -> str:
    text = _set(name)
    wanted = f"{AGENT_ADDRESS} or {ADDRESS}" if agent else ADDRESS
    example = "http://127.0.0.1:8100" if agent else "https://vault.example.com:8200"
    fix = f"Set {wanted} to the address, as in {example}"
    if not text:
        raise setting(f"env {wanted}", "not set", fix)
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    host = parts.hostname or ""
    if (
        parts.scheme not in {"http", "https"}
        or not host
        or port == 0
        or "@" in parts.netloc
        or parts.query
        or parts.fragment
        or not text.isascii()
        or not text.isprintable()
        or set(text) & set(' \\"<>^`{|}')
    ):
        raise setting(f"env {name}", "not an address that can be used", fix)
    if not is_safe(text):
        raise failures.plain_http(where=f"env {name}: {parts.scheme}://{parts.netloc}")
    return text.rstrip("/")


def _authorities() -> bool | str:
    if path := _set(CA_FILE):
        if not Path(path).is_file():
            raise setting(f"env {CA_FILE}", "no such file", "Correct the path, or unset it.")
        return path
    if path := _set(CA_DIRECTORY):
        # OpenSSL finds an authority by its hashed name; others it passes over without a word.
        if not any(Path(path).glob("????????.[0-9]*")):
            raise setting(
                f"env {CA_DIRECTORY}",
                "no directory with hashed certificates",
                f"Run: openssl rehash DIRECTORY. Or name one file in {CA_FILE}.",
            )
        return path
    return True


def _certificate() -> tuple[str, str] | tuple[()]:
    certificate, key = _set(CERTIFICATE), _set(CERTIFICATE_KEY)
    if not certificate and not key:
        return ()
    for name, path in ((CERTIFICATE, certificate), (CERTIFICATE_KEY, key)):
        if not Path(path).is_file():
            why = "no such file" if path else "not set, but the other one is"
            raise setting(f"env {name}", why, f"Set both {CERTIFICATE} and {CERTIFICATE_KEY}.")
    return (certificate, key)
