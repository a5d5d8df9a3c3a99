"""From a secret that was given to us to a token of Vault's: what all ways to log in share."""

from __future__ import annotations

import hashlib
import http
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pydantic import SecretStr

from safetwilio.backends.disk import read_text
from safetwilio.backends.locate import unreadable
from safetwilio.backends.vault_settings import setting
from safetwilio.redaction.registry import SHORTEST, register

if TYPE_CHECKING:
    from safetwilio.backends.locate import Reference
    from safetwilio.backends.vault_http import Answer, Connection
    from safetwilio.errors import BackendError

SERVICE_ACCOUNT_TOKEN = "/var/run/secrets/kubernetes.io/serviceaccount/token"  # noqa: S105 - a path
_PLAIN = re.compile(r"[\w.@:/+-]{1,80}")
LONGEST_LEASE = 1 << 40
"""Seconds; more than that is no lease."""
WORD = re.compile(r"[\x21-\x7e]+")
"""What can stand in a header: a token, a secret ID, a JWT."""


class Way(NamedTuple):
    """How to log in, as the options of *reference* say."""

    reference: Reference
    method: str
    role: str
    path: str
    file: str

    def option(self, name: str) -> str:
        """Return the option *name*, an empty text if it is not there."""
        return self.reference.options.get(name, "")


class Given(NamedTuple):
    """A secret that was given to us, and the *place* it was found in."""

    secret: SecretStr
    place: str

    @property
    def mark(self) -> str:
        """Something that tells it from another one, and is not it."""
        return hashlib.sha256(self.secret.get_secret_value().encode()).hexdigest()


class Granted(NamedTuple):
    """A *token* (``None``: the agent adds one), whose it is, and for how many seconds it is good.

    *lease* 0 is without an end, or unknown. *mark* is that of the secret it was got for, where the
    same one cannot be used again.
    """

    token: SecretStr | None
    identity: str
    lease: float = 0.0
    renewable: bool = False
    mark: str = ""


def given(connection: Connection, way: Way, variable: str, default: str = "") -> Given | None:
    """Return the secret from the file that *way* names, else from *variable*, else *default*.

    *default* is a file. Redaction knows it from now on. Raises
    :class:`safetwilio.errors.BackendError` (ST302, ST303, ST308) for what is there, but no secret.
    """
    path = way.file
    if not path and os.environ.get(variable, "").strip():
        return _sealed(os.environ[variable], f"env {variable}")
    if not path:
        path = default
    if not path:
        return None
    answer = read_text(Path(os.path.expanduser(path)), f"the file {path}")  # noqa: PTH111 - no raise
    if answer is None:
        return None
    if path != SERVICE_ACCOUNT_TOKEN:  # Kubernetes mounts it for everybody in the container
        connection.problems += answer[1]
    return _sealed(answer[0], f"the file {path}")


def _sealed(text: str, place: str) -> Given:
    bare = text.strip()
    if not WORD.fullmatch(bare):
        raise setting(place, "empty, or more than one word", "Put the bare text there.")
    return Given(seal_token(bare), place)


def seal_token(text: str) -> SecretStr:
    """Return *text* sealed; redaction knows it from now on."""
    if len(text) >= SHORTEST:
        register(text, "secret")
    return SecretStr(text)


def plain(value: object) -> str:
    """Return a name that the server gave as it may be shown, an empty text for anything else."""
    return value if isinstance(value, str) and _PLAIN.fullmatch(value) else ""


def needed(connection: Connection, way: Way, variable: str, default: str = "") -> Given:
    """Return what :func:`given` finds, or raise ST331 that says where nothing was."""
    found = given(connection, way, variable, default)
    if found is not None:
        return found
    places = f"the file {way.file}" if way.file else f"env {variable}"
    if default and not way.file:
        places += f" or the file {default}"
    raise connection.failures.unauthenticated(
        why=f"auth={way.method}: there is nothing in {places}",
        fix="Put it there, name another file with file=PATH in the reference, or another way to "
        "log in with auth=NAME.",
    )


def granted(
    connection: Connection, way: Way, data: dict[str, object], *, identity: str, fix: str
) -> Granted:
    """Post *data* to the login of *way* and return what it grants; raises ST331 with *fix*."""
    asking = connection.failures._replace(identity=identity)
    path = f"auth/{way.path}/login"
    if way.role and way.method != "approle":
        data["name" if way.method == "cert" else "role"] = way.role
    answer = connection.ask("post", path, data=data)
    if answer.status != http.HTTPStatus.OK:
        raise asking.unauthenticated(
            why=f"{path} answered {answer.status}",
            fix=f"{fix}\nIs the method enabled at auth/{way.path} (else: auth_path=)?",
        )
    return granted_by(connection, answer, identity)


def granted_by(connection: Connection, answer: Answer, identity: str) -> Granted:
    """Return the token in *answer*, or raise ST332: an answer without one is not Vault's."""
    token, lease = answer.get("auth", "client_token"), answer.get("auth", "lease_duration")
    if not isinstance(token, str) or not WORD.fullmatch(token):
        raise connection.failures.unreachable(
            where=identity, why="the login was answered, but with no token"
        )
    name = plain(answer.get("auth", "metadata", "role_name"))
    return Granted(
        seal_token(token),
        f'{identity}, role "{name}"' if name and "role" not in identity else identity,
        float(lease) if isinstance(lease, int) and 0 < lease < LONGEST_LEASE else 0.0,
        answer.get("auth", "renewable") is True,
    )


def unwrapped(connection: Connection, wrapping: Given, wanted: str) -> Answer:
    """Return what *wrapping* holds, if it was made at a path that is *wanted*; raises ST337.

    Whoever opens it on the way and wraps the content anew gets another path: sys/wrapping/wrap.
    """
    data = {"token": wrapping.secret.get_secret_value()}
    lookup = connection.ask("post", "sys/wrapping/lookup", data=data)
    if lookup.status != http.HTTPStatus.OK:
        raise _spent(connection, wrapping)
    path = lookup.get("data", "creation_path")
    namespace = re.escape(connection.server.namespace or "")
    if not isinstance(path, str) or not re.fullmatch(rf"(?:{namespace}/)?{wanted}", path):
        made = f" ({plain(path)})" if plain(path) else ""
        raise not_ours(connection, wrapping, f"it was made at another path{made}")
    answer = connection.ask("post", "sys/wrapping/unwrap", token=wrapping.secret)
    if answer.status != http.HTTPStatus.OK:
        raise _spent(connection, wrapping)
    return answer


def _spent(connection: Connection, wrapping: Given) -> BackendError:
    return connection.failures.intercepted(
        why=f"the wrapping token in {wrapping.place} is spent or expired",
        fix="If this program opened it itself (a restart, another worker), or nobody did in time, "
        "give it a new one. If not, somebody has what was in it: revoke that login, find out who.",
    )


def not_ours(connection: Connection, wrapping: Given, why: str) -> BackendError:
    """Return ST337 about a *wrapping* token that is not the one that was issued, and *why*."""
    return connection.failures.intercepted(
        why=f"the wrapping token in {wrapping.place}: {why}",
        fix="Somebody may have put it in the place of the real one: revoke that login, find out "
        "who, and issue a new one. It was not opened unless its path was right.",
    )


def require_role(way: Way) -> None:
    """Raise ST302 if *way* names no role."""
    if not way.role:
        raise unreadable(way.reference, f"auth={way.method} needs role=NAME, the role of Vault.")
