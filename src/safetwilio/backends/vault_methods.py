"""The ways to log in to a Vault, one function each; ``auth=`` in the reference says which.

What is secret (a secret ID, a JWT, a wrapping token) comes from one environment variable or from
``file=``, which a reference may name because a path is no secret.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, NamedTuple

from safetwilio.backends.locate import unreadable
from safetwilio.backends.vault_cloud import with_aws, with_google_key, with_google_machine
from safetwilio.backends.vault_grant import (
    SERVICE_ACCOUNT_TOKEN,
    WORD,
    Granted,
    Way,
    granted,
    granted_by,
    needed,
    not_ours,
    require_role,
    seal_token,
    unwrapped,
)
from safetwilio.backends.vault_settings import CERTIFICATE, CERTIFICATE_KEY, setting

if TYPE_CHECKING:
    from collections.abc import Callable

    from safetwilio.backends.locate import Reference
    from safetwilio.backends.vault_http import Connection

TOKEN = "VAULT_TOKEN"  # noqa: S105 - a name, as are the next ones
TOKEN_FILE = "~/.vault-token"  # noqa: S105
ROLE_ID = "VAULT_ROLE_ID"
SECRET_ID = "VAULT_SECRET_ID"  # noqa: S105
JWT = "VAULT_JWT"
WRAPPED_TOKEN = "VAULT_WRAPPED_TOKEN"  # noqa: S105
_REGION = re.compile(r"[a-z]{2}(?:-[a-z]+)+-\d+")
_NAME = re.compile(r"\w[\w.@:+-]*(?:/\w[\w.@:+-]*)*", re.ASCII)
_FROM_LOGIN = r"auth/(?:token/create(?:-orphan|/[^/]+)?|.+/login(?:/[^/]+)?)"


class Method(NamedTuple):
    """One way to log in: its function, the options it reads and where it is mounted.

    *secret* is the variable with what it logs in with, *default* the file that may hold it.
    """

    log_in: Callable[[Connection, Way], Granted]
    options: tuple[str, ...]
    path: str = ""
    secret: str = ""
    default: str = ""


def way_of(reference: Reference) -> Way:
    """Return how *reference* says to log in.

    Raises :class:`safetwilio.errors.BackendError` (ST302) for a way that is not one.
    """
    name = reference.options.get("auth", "token")
    method = METHODS.get(name)
    if method is None:
        raise unreadable(reference, f"Its option auth is one of: {', '.join(METHODS)}.")
    for option in ("role", "auth_path", "file", "wrapped", "region", "server_id"):
        if option not in reference.options:
            continue
        if option not in method.options:
            raise unreadable(
                reference, f"Remove the option {option}: auth={name} has no use for it."
            )
        value = reference.options[option]
        good = WORD if option == "server_id" else None if option == "file" else _NAME
        if not value or (good is not None and not good.fullmatch(value)):
            raise unreadable(reference, f"Its option {option} is empty or has an odd character.")
    if reference.options.get("wrapped", "yes") != "yes":
        raise unreadable(reference, "Its option wrapped is yes, or left out.")
    if not _REGION.fullmatch(reference.options.get("region", "eu-west-1")):
        raise unreadable(reference, "Its option region is the name of a region, as in eu-west-1.")
    return Way(
        reference,
        name,
        reference.options.get("role", ""),
        reference.options.get("auth_path", method.path),
        reference.options.get("file", ""),
    )


def _with_token(connection: Connection, way: Way) -> Granted:
    token = needed(connection, way, TOKEN, TOKEN_FILE)
    return Granted(token.secret, f"the token in {token.place}", mark=token.mark)


def _through_agent(_: Connection, __: Way) -> Granted:
    return Granted(None, "the agent or proxy, which logs in by itself")


def _with_approle(connection: Connection, way: Way) -> Granted:
    role_id = way.role or os.environ.get(ROLE_ID, "").strip()
    if not role_id:
        raise connection.failures.unauthenticated(
            why=f"auth=approle: no role ID, neither role= in the reference nor env {ROLE_ID}",
            fix="Ask for it: vault read auth/approle/role/NAME/role-id",
        )
    secret_id = needed(connection, way, SECRET_ID)
    identity = f"the AppRole of the secret ID in {secret_id.place}"
    secret, mark = secret_id.secret, ""
    if way.option("wrapped"):
        mark = secret_id.mark
        wanted = rf"auth/{re.escape(way.path)}/role/[^/]+/(?:custom-)?secret-id"
        answer = unwrapped(connection, secret_id, wanted)
        inner = answer.get("data", "secret_id")
        if not isinstance(inner, str) or not WORD.fullmatch(inner):
            raise not_ours(connection, secret_id, "what it wrapped is no secret ID")
        secret = seal_token(inner)
    found = granted(
        connection,
        way,
        {"role_id": role_id, "secret_id": secret.get_secret_value()},
        identity=identity,
        fix="The role ID is wrong, or the secret ID is wrong, expired or used up: "
        "vault write -f auth/approle/role/NAME/secret-id makes a new one.",
    )
    return found._replace(mark=mark)


def _with_kubernetes(connection: Connection, way: Way) -> Granted:
    require_role(way)
    jwt = needed(connection, way, JWT, SERVICE_ACCOUNT_TOKEN)
    return granted(
        connection,
        way,
        {"jwt": jwt.secret.get_secret_value()},
        identity=f'Kubernetes role "{way.role}" with the token in {jwt.place}',
        fix="Check bound_service_account_names, …_namespaces and audience of the role: "
        f"vault read auth/{way.path}/role/{way.role}",
    )


def _with_jwt(connection: Connection, way: Way) -> Granted:
    jwt = needed(connection, way, JWT)
    role = f'role "{way.role}"' if way.role else "the default role"
    return granted(
        connection,
        way,
        {"jwt": jwt.secret.get_secret_value()},
        identity=f"JWT {role} with the token in {jwt.place}",
        fix="The JWT may be expired, or not be what the role binds: bound_audiences, "
        "bound_subject, bound_claims.",
    )


def _with_certificate(connection: Connection, way: Way) -> Granted:
    if not connection.server.certificate:
        raise setting(
            f"env {CERTIFICATE}", "not set", f"Set {CERTIFICATE} and {CERTIFICATE_KEY} to files."
        )
    role = f', role "{way.role}"' if way.role else ""
    return granted(
        connection,
        way,
        {},
        identity=f"the certificate in env {CERTIFICATE}{role}",
        fix="The certificate has to be signed by an authority that the role trusts.",
    )


def _with_wrapped(connection: Connection, way: Way) -> Granted:
    wrapping = needed(connection, way, WRAPPED_TOKEN)
    answer = unwrapped(connection, wrapping, _FROM_LOGIN)
    if answer.get("auth") is None:
        raise not_ours(connection, wrapping, "what it wrapped is no login")
    identity = f"the login that came wrapped in {wrapping.place}"
    return granted_by(connection, answer, identity)._replace(mark=wrapping.mark)


METHODS: dict[str, Method] = {
    "token": Method(_with_token, ("file",), "", TOKEN, TOKEN_FILE),
    "agent": Method(_through_agent, ()),
    "approle": Method(
        _with_approle, ("role", "auth_path", "file", "wrapped"), "approle", SECRET_ID
    ),
    "kubernetes": Method(_with_kubernetes, ("role", "auth_path", "file"), "kubernetes"),
    "jwt": Method(_with_jwt, ("role", "auth_path", "file"), "jwt"),
    "cert": Method(_with_certificate, ("role", "auth_path"), "cert"),
    "aws": Method(with_aws, ("role", "auth_path", "region", "server_id"), "aws"),
    "gcp-gce": Method(with_google_machine, ("role", "auth_path"), "gcp"),
    "gcp-iam": Method(with_google_key, ("role", "auth_path", "file"), "gcp"),
    "wrapped": Method(_with_wrapped, ("file",), "", WRAPPED_TOKEN),
}

OPTIONS = ("auth", *sorted({option for method in METHODS.values() for option in method.options}))
