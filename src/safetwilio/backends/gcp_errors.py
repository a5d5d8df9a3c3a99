"""What Google's answers mean: each error of its library told apart, none of its text passed on.

Codes and reasons: google.rpc.Code and google.api.ErrorReason. The words of a message are only used
to tell a missing version from a missing secret, and the states of a version: the codes do not.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from safetwilio.backends.gcp_client import FILE_VARIABLE
from safetwilio.backends.locate import unreadable

if TYPE_CHECKING:
    from collections.abc import Callable

    from safetwilio.backends.failures import Failures
    from safetwilio.backends.gcp_client import Place, Who
    from safetwilio.errors import BackendError

_BAD_REQUEST, _UNAUTHENTICATED, _DENIED, _NOT_FOUND = 400, 401, 403, 404
_CONFLICT, _TOO_MANY, _SERVER_ERROR, _TIMED_OUT = 409, 429, 500, 504
_NOT_IMPLEMENTED = 501
_VERSION = re.compile(r"\bSecret Version\b")
_SECRET = re.compile(r"\bSecret\b")
_STATE = re.compile(r"(?:/versions/([0-9]{1,10})\] )?is in (DISABLED|DESTROYED) state\b")
_KMS = re.compile(r"\bKMS\b|\bCMEK\b|cryptoKeys?\b", re.IGNORECASE)
_PLUGIN = "Getting metadata from plugin failed"
# gRPC has one code for all of these, and tells them apart in words
_UNAVAILABLE = (
    (re.compile(r"Connection refused|Connection reset|Broken pipe"), "{refused}"),
    (re.compile(r"DNS|[Nn]ame resolution|No address"), "its name could not be resolved"),
    (re.compile(r"SSL|TLS|handshake|certificate", re.IGNORECASE), "{tls}"),
)
_REFUSED = "nothing there accepts a connection"
_TLS = "the TLS certificate was not accepted"
_LATE = "no answer within {seconds:g} s"
# the classes of requests by name, so that this file needs no import of it
_WHY = {
    "TimeoutError": _LATE,
    "ConnectTimeout": "no connection within {seconds:g} s",
    "ReadTimeout": _LATE,
    "DeadlineExceeded": _LATE,
    "ConnectionError": _REFUSED,
    "SSLError": _TLS,
    "ProxyError": "the proxy did not answer",
    "TooManyRedirects": "answered with a redirect to somewhere else, which is not followed",
    "ChunkedEncodingError": "the answer broke off",
    "ParseError": "what answers there is not Secret Manager",
    "NoAnswer": "what answers there is not Secret Manager",
    "AttributeError": "what answers there is not Secret Manager",
    "TypeError": "what answers there is not Secret Manager",
}
_LOGIN_ERRORS = frozenset(
    {
        "DefaultCredentialsError",
        "RefreshError",
        "MalformedError",
        "ReauthFailError",
        "OAuthError",
        "InvalidOperation",
        "InvalidValue",
        "InvalidType",
        "UserAccessTokenError",
        "ClientCertError",
        "MutualTLSChannelError",
    }
)
_NETWORK = frozenset({"TimeoutError", "TransportError"})
_WHO_AM_I = "To see who you are: gcloud auth list"


class Asked(NamedTuple):
    """What was wanted when the error came: to *verb* the secret at *place*, by *who*."""

    verb: str
    place: Place
    who: Who
    seconds: float


def may_pass(error: Exception) -> bool:
    """Return whether asking again may help: throttled, or an error of Google's own."""
    status = _status(error)
    if status in (_NOT_IMPLEMENTED, _TIMED_OUT) or _PLUGIN in _message(error):
        return False
    return status == _TOO_MANY or (status >= _SERVER_ERROR and not _cut_off(error))


def is_absent(error: Exception | None) -> bool:
    """Return whether there is no secret of that name, or none of its versions was ever made."""
    if error is None or _status(error) != _NOT_FOUND:
        return False
    message = _message(error)
    return bool(_SECRET.search(message)) and not _VERSION.search(message)


def is_taken(error: Exception | None) -> bool:
    """Return whether a secret of that name is there already."""
    return error is not None and _status(error) == _CONFLICT


def is_stale(error: Exception | None) -> bool:
    """Return whether the etag is of an older state than the one that is there."""
    if error is None:
        return False
    return _status(error) == _CONFLICT or (
        _status(error) == _BAD_REQUEST and "etag" in _message(error).lower()
    )


def explain(error: Exception, failures: Failures, asked: Asked) -> BackendError:
    """Return what *error* means."""
    failures = failures._replace(identity=asked.who.name)
    status, kind = _status(error), type(error).__name__
    if kind == "Corrupted":
        return failures.malformed(
            what="its CRC32C checksum is not the one that Google sent with it",
            fix="Try again. If it stays, something between Google and here changes the answers.",
        )
    is_odd_file = asked.who.is_looking and kind not in _NETWORK
    if (
        is_odd_file
        or kind in _LOGIN_ERRORS
        or status == _UNAUTHENTICATED
        or _PLUGIN in _message(error)
    ):
        return _no_login(error, failures, asked)
    if status == _DENIED:
        return failures.denied(verb=asked.verb, grant=_grant(error, asked))
    about = _about_the_secret(error, failures, asked)
    if about is None and asked.verb != "read" and _BAD_REQUEST <= status < _TOO_MANY:
        return failures.not_written(
            why=f"answered with HTTP {status} ({_word(error) or 'no code'})",
            fix=f"Create it by hand: gcloud secrets create {asked.place.name}{_where(asked.place)}"
            if asked.verb == "create"
            else "Look the code up in Google's documentation of Secret Manager.",
        )
    return about or _no_answer(error, failures, asked)


def _about_the_secret(error: Exception, failures: Failures, asked: Asked) -> BackendError | None:
    """Return what *error* says of the secret, ``None`` if it says nothing of it."""
    status, message, name = _status(error), _message(error), asked.place.name
    if status == _NOT_FOUND and asked.verb == "read" and _SECRET.search(message):
        return failures.no_such_version(
            what="there is no version with that number or alias",
            fix="Correct version= in the reference. To see them: "
            f"gcloud secrets versions list {name}{_where(asked.place)}",
        )
    if status != _BAD_REQUEST:
        return None
    if (state := _STATE.search(message)) is not None:
        return _in_state(state[2], state[1] or "VERSION", failures, asked.place)
    if _KMS.search(message):
        return failures.undecryptable(
            why="Cloud KMS did not let Secret Manager use the secret's key",
            fix="Enable the key, and grant Secret Manager's service agent "
            "roles/cloudkms.cryptoKeyEncrypterDecrypter on it.",
        )
    return _not_readable(error, failures, asked.place) if asked.verb == "read" else None


def _not_readable(error: Exception, failures: Failures, place: Place) -> BackendError:
    if _word(error) == "FAILED_PRECONDITION":
        return failures.disabled(
            why="Google says that the secret's state forbids this",
            fix=f"Look at it: gcloud secrets describe {place.name}{_where(place)}",
        )
    return unreadable(
        failures.reference,
        "Google does not take this project, name, version or location. Copy the resource name "
        "from the console: projects/PROJECT/secrets/NAME is gcp-sm://PROJECT/NAME, and "
        "projects/PROJECT/locations/LOCATION/secrets/NAME takes location=LOCATION.",
    )


def _in_state(state: str, number: str, failures: Failures, place: Place) -> BackendError:
    if state == "DISABLED":
        return failures.disabled(
            why=f"version {number} is disabled",
            fix=f"Enable it: gcloud secrets versions enable {number} "
            f"--secret={place.name}{_where(place)}. "
            "latest is the newest version, also when that is disabled.",
        )
    return failures.disabled(
        why=f"version {number} is destroyed, for good",
        fix="Name another with version=, or add one: gcloud secrets versions add "
        f"{place.name}{_where(place)} --data-file=-. "
        "latest is the newest version, also when that is destroyed.",
    )


def _no_login(error: Exception, failures: Failures, asked: Asked) -> BackendError:
    kind, reason = type(error).__name__, _reason(error)
    if getattr(error, "retryable", False) is True and kind == "RefreshError":
        return failures.unreachable(
            where="Google's login", why="could not be asked for a login just now"
        )
    if asked.who.credentials is None and asked.who.is_looking:
        return _none_found(failures)
    if reason == "ACCESS_TOKEN_EXPIRED":
        why = "it has expired"
    elif kind == "RefreshError" or _PLUGIN in _message(error):
        why = "it could not be renewed: it has expired or was revoked, or nobody has one"
    else:
        why = (
            "Google does not take it: its key was deleted, or it is of another place"
            if _status(error)
            else f"it is of no use ({kind})"
        )
    return failures.unauthenticated(
        why=why,
        fix="Log in again (gcloud auth application-default login), give the process a service "
        f"account, or put a valid file in {FILE_VARIABLE}. Is the clock right? {_WHO_AM_I}",
    )


def _none_found(failures: Failures) -> BackendError:
    import os

    if os.environ.get(FILE_VARIABLE):
        return failures.unauthenticated(
            why=f"the file in env {FILE_VARIABLE} is missing, or holds no credentials",
            fix=f"Correct {FILE_VARIABLE}, or unset it to use this machine's own login.",
        )
    return failures.unauthenticated(
        why="no application default credentials were found",
        fix="Give the process a service account (Cloud Run, GKE, Compute Engine), log in (gcloud "
        f"auth application-default login), or set {FILE_VARIABLE}.",
    )


def _no_answer(error: Exception, failures: Failures, asked: Asked) -> BackendError:
    kind, status = type(error).__name__, _status(error)
    where, why = asked.place.at, _WHY.get(kind, kind)
    if kind == "TransportError":
        where, why = "Google's login", "could not be reached"
    elif kind == "TimeoutError" and asked.who.is_looking:
        where = "the metadata server, looked for as there is no other login"
    elif cut := _cut_off(error):
        why = cut
    elif status:
        word = _word(error)
        why = f"answered with HTTP {status}{f' ({word})' if word else ''}"
    return failures.unreachable(where=where, why=why.format(seconds=asked.seconds))


def _cut_off(error: Exception) -> str:
    """Return how the network failed, for what no server answered; ``""`` for an answer."""
    kind, message = type(error).__name__, str(error)
    if kind == "ConnectionError":
        if "resolve" in message or "Name or service" in message:
            return "its name could not be resolved"
        return "the connection was closed without an answer" if "aborted" in message else _REFUSED
    if kind == "DeadlineExceeded":
        return _LATE
    if kind != "ServiceUnavailable" or _grpc_code(error) is None:
        return ""
    for pattern, words in _UNAVAILABLE:
        if pattern.search(message):
            return words.replace("{refused}", _REFUSED).replace("{tls}", _TLS)
    return "no connection came about" if "connect" in message.lower() else ""


def _grant(error: Exception, asked: Asked) -> str:
    place, message = asked.place, _message(error)
    project = f"--project={place.project}"
    reason = _reason(error)
    if reason == "SERVICE_DISABLED" or "has not been used in project" in message:
        return f"Enable the API: gcloud services enable secretmanager.googleapis.com {project}"
    known = {
        "ACCESS_TOKEN_SCOPE_INSUFFICIENT": "The login has too narrow access scopes: give the "
        "machine the scope cloud-platform.",
        "BILLING_DISABLED": f"Billing is off for the project {place.project}: switch it on.",
        "SECURITY_POLICY_VIOLATED": "VPC Service Controls stand in the way: let this network or "
        "identity into the perimeter.",
    }
    if reason in known:
        return known[reason]
    return _role(asked) + (
        " Google answers so, too, if there is no such project or secret: check their names."
        if asked.verb == "read"
        else ""
    )


def _role(asked: Asked) -> str:
    place = asked.place
    member = f"serviceAccount:{asked.who.email}" if asked.who.email else "MEMBER"
    if asked.verb == "create":
        return (
            "Create the secret by hand, or grant secretmanager.secrets.create on the project: "
            f"gcloud projects add-iam-policy-binding {place.project} --member={member} "
            "--role=roles/secretmanager.admin"
        )
    role = {
        "read": "roles/secretmanager.secretAccessor",
        "write": "roles/secretmanager.secretVersionManager",
    }.get(asked.verb, "roles/secretmanager.admin")
    more = " (or a role with secretmanager.secrets.get and secretmanager.secrets.update)"
    return (
        f"Grant {role}{more if role.endswith('admin') else ''}: gcloud secrets "
        f"add-iam-policy-binding {place.name}{_where(place)} --member={member} --role={role}."
    )


def _where(place: Place) -> str:
    """Return the options of gcloud that say where the secret is."""
    location = f" --location={place.location}" if place.location else ""
    return f" --project={place.project}{location}"


def _status(error: Exception) -> int:
    """Return the HTTP status of *error*, 0 for what is no answer of Google's."""
    code = getattr(error, "code", None)
    return int(code) if isinstance(code, int) else 0


def _message(error: Exception) -> str:
    found = getattr(error, "message", "")
    return found if isinstance(found, str) and _status(error) else ""


def _grpc_code(error: Exception) -> Any:
    response = getattr(error, "response", None)
    return getattr(error, "grpc_status_code", None) if hasattr(response, "details") else None


def _word(error: Exception) -> str:
    """Return Google's name for the status (``FAILED_PRECONDITION``), ``""`` if there is none."""
    code = _grpc_code(error)
    if code is not None:
        return str(code.name)
    read: Callable[[], Any] | None = getattr(getattr(error, "response", None), "json", None)
    try:
        found = read()["error"]["status"] if read else ""
    except (KeyError, TypeError, ValueError):
        return ""
    return found if isinstance(found, str) and re.fullmatch(r"[A-Z_]{1,40}", found) else ""


def _reason(error: Exception) -> str:
    """Return the reason that Google names beside the status (``SERVICE_DISABLED``)."""
    found = getattr(error, "reason", None)
    if found is None:  # older versions of google-api-core do not find it in an answer over REST
        details = getattr(error, "details", ())
        details = details if isinstance(details, list) else ()
        named = (each for each in details if isinstance(each, dict) and "reason" in each)
        found = next(named, {}).get("reason")
    return found if isinstance(found, str) and re.fullmatch(r"[A-Z0-9_]{1,63}", found) else ""
