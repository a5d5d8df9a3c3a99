"""What AWS's answers mean: each of botocore's errors told apart, none of its text passed on.

Codes: the Secrets Manager API reference and "Common errors"; messages seen with moto and in AWS's
documentation are only used to tell a missing version from a missing secret, and for the ARN of who
asked, which AWS names when it says no.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from safetwilio.backends.locate import unreadable

if TYPE_CHECKING:
    from collections.abc import Callable

    from safetwilio.backends.failures import Failures
    from safetwilio.errors import BackendError

_NOT_FOUND = "ResourceNotFoundException"
_DENIED = frozenset({"AccessDeniedException", "AccessDenied", "NotAuthorized"})
_NO_LOGIN = frozenset(
    {
        "UnrecognizedClientException",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "SignatureDoesNotMatch",
        "IncompleteSignature",
        "IncompleteSignatureException",
        "InvalidAccessKeyId",
        "MissingAuthenticationToken",
        "MissingAuthenticationTokenException",
        "ExpiredToken",
        "ExpiredTokenException",
        "RequestExpired",
        "AuthFailure",
        "OptInRequired",
    }
)
_EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired"})
_PASSING = frozenset(
    {
        "ThrottlingException",
        "Throttling",
        "RequestLimitExceeded",
        "TooManyRequestsException",
        "InternalServiceError",
        "InternalServiceErrorException",
        "InternalFailure",
        "ServiceUnavailable",
        "RequestTimeout",
        "RequestTimeoutException",
    }
)
# botocore's classes by name, so that this file needs no import of it
_NO_CREDENTIALS = frozenset(
    {
        "NoCredentialsError",
        "PartialCredentialsError",
        "CredentialRetrievalError",
        "ProfileNotFound",
        "ConfigParseError",
        "ConfigNotFound",
        "TokenRetrievalError",
        "NoAuthTokenError",
        "SSOError",
        "SSOTokenLoadError",
        "UnauthorizedSSOTokenError",
        "InvalidConfigError",
        "MetadataRetrievalError",
        "NoLogin",
    }
)
_WHY = {
    "TimeoutError": "no answer within {seconds:g} s",
    "ConnectTimeoutError": "no connection within {seconds:g} s",
    "ReadTimeoutError": "no answer within {seconds:g} s",
    "EndpointConnectionError": "nothing there accepts a connection",
    "ConnectionClosedError": "the connection was closed without an answer",
    "SSLError": "the TLS certificate was not accepted",
    "ProxyConnectionError": "the proxy did not answer",
}
_SAID = {
    "NoRegion": "No AWS region is known: add region=, or set AWS_REGION.",
    "InvalidRegionError": "The region is none: write it as in region=eu-west-1.",
    "ValueError": "botocore does not take the endpoint: correct endpoint=, or AWS_ENDPOINT_URL.",
}
_VERSION = re.compile(r"staging label|version\s?id", re.IGNORECASE)
_ARN = re.compile(r"arn:aws[a-z-]*:(?:sts|iam)::\d{12}:[\w+=,.@/-]+")
_SERVER_ERROR = 500


class Who:
    """Whose login is in use, as far as the call got, and *at* what it was.

    *taking* is the role that it stopped at.
    """

    name = ""
    at = "its endpoint"
    taking: str | None = None


class NoLogin(Exception):
    """botocore found no credentials."""


class NoRegion(Exception):
    """Nothing says which region to ask."""


class UnsafeEndpoint(Exception):
    """botocore would go to an address that is plain HTTP to another machine."""


def may_pass(error: Exception) -> bool:
    """Return whether asking again may help: throttled, or an error of AWS's own."""
    return _code(error) in _PASSING or _status(error) >= _SERVER_ERROR


def is_absent(error: Exception) -> bool:
    """Return whether there is no secret of that name (not: no such version of it)."""
    return _code(error) == _NOT_FOUND and not _VERSION.search(_message(error))


def has_no_value(error: Exception) -> bool:
    """Return whether the secret is there, but no version of it has the stage asked for."""
    return _code(error) == _NOT_FOUND and not is_absent(error)


def explain(  # noqa: PLR0913 - what was wanted, and how
    error: Exception,
    failures: Failures,
    *,
    secret: str,
    verb: str,
    seconds: float,
    who: Who,
) -> BackendError:
    """Return what *error* means, met by *who* when we wanted to *verb* the *secret*."""
    code, kind = _code(error), type(error).__name__
    if code in _DENIED:
        arn = _ARN.search(_message(error))
        failures = failures._replace(identity=arn[0] if arn else failures.identity)
        grant = _grant(_message(error), secret, verb, who.taking)
        return failures.denied(verb="take the role for" if who.taking else verb, grant=grant)
    if kind == "UnsafeEndpoint":
        return failures.plain_http(
            where=f"{who.at}, from a variable AWS_ENDPOINT_URL… or the AWS profile"
        )
    if code in _NO_LOGIN or kind in _NO_CREDENTIALS:
        return _no_login(failures, code, kind)
    if kind in _SAID:
        return unreadable(failures.reference, _SAID[kind])
    if kind == "ParamValidationError":
        code = "ValidationException"
    answered = _about_the_secret(code, failures, secret, verb)
    if answered is None and verb != "read" and code and _status(error) < _SERVER_ERROR:
        return failures.not_written(
            why=f"answered with HTTP {_status(error)} ({code})",
            fix=f"Look up {code} in the API reference of AWS Secrets Manager.",
        )
    return answered or _no_answer(error, failures, seconds, who.at)


def _about_the_secret(code: str, failures: Failures, secret: str, verb: str) -> BackendError | None:
    """Return what *code* says of the *secret*, ``None`` if it says nothing of it."""
    if code == _NOT_FOUND and verb == "read":
        return failures.no_such_version(
            what="there is no version with that stage or id",
            fix="Correct stage= or version= in the reference. To see them: "
            f"aws secretsmanager list-secret-version-ids --secret-id {secret}",
        )
    made: dict[str, Callable[[], BackendError]] = {
        _NOT_FOUND: lambda: failures.not_written(why="the secret is gone", fix="Try again."),
        "DecryptionFailure": lambda: failures.undecryptable(
            why="KMS did not decrypt it", fix="Enable the secret's KMS key, and grant kms:Decrypt."
        ),
        "EncryptionFailure": lambda: failures.not_written(
            why="KMS did not encrypt it",
            fix="Enable the secret's KMS key, and grant kms:GenerateDataKey.",
        ),
        "InvalidRequestException": lambda: failures.disabled(
            why="AWS says that its state forbids this; often it is marked for deletion",
            fix=f"aws secretsmanager restore-secret --secret-id {secret}",
        ),
        "ResourceExistsException": lambda: failures.changed_meanwhile(
            expected="", found="a secret of that name"
        ),
        "ValidationException": lambda: unreadable(
            failures.reference,
            "AWS does not take this name, stage or version. Copy the secret's name or ARN from "
            "the console, and write stage= as AWS shows it.",
        ),
    }
    made["InvalidParameterException"] = made["ValidationException"]
    if verb == "write":  # the stage was to be moved from a version that has it no more
        made["InvalidParameterException"] = lambda: failures.changed_meanwhile(
            expected="the version read before", found="another one"
        )
    return made[code]() if code in made else None


def _no_login(failures: Failures, code: str, kind: str) -> BackendError:
    if code in _EXPIRED:
        why = "the credentials have expired"
    elif code:
        why = "AWS does not accept the access key, its secret, or the clock of this machine"
    else:
        why = "none were found" if kind == "NoLogin" else f"none of use were found ({kind})"
    return failures.unauthenticated(
        why=why,
        fix="Give the process a role (instance, container, Lambda), log in (aws sso login), or "
        "set AWS_PROFILE. To see who you are: aws sts get-caller-identity",
    )


def _no_answer(error: Exception, failures: Failures, seconds: float, at: str) -> BackendError:
    kind, status = type(error).__name__, _status(error)
    why = _WHY.get(kind, kind).format(seconds=seconds)
    if status:
        why = f"answered with HTTP {status} ({_code(error) or 'no code'})"
    return failures.unreachable(where=at, why=why)


def _grant(message: str, secret: str, verb: str, role: str | None) -> str:
    if role:
        return f"Let it call sts:AssumeRole on {role}, and let that role's trust policy name it."
    actions = {
        "read": "secretsmanager:GetSecretValue",
        "look up": "secretsmanager:DescribeSecret",
        "write": "secretsmanager:PutSecretValue and secretsmanager:UpdateSecretVersionStage",
        "create": "secretsmanager:CreateSecret",
    }[verb]
    kms = " It may be the KMS key: grant kms:Decrypt on it." if "kms" in message.lower() else ""
    deny = " An explicit deny stands in the way, which no grant overrules: remove it."
    denied = deny if "explicit deny" in message.lower() else ""
    return f"Grant {actions} on {secret}.{kms}{denied}"


def _code(error: Exception) -> str:
    found = _response(error).get("Error", {}).get("Code", "")
    return found if isinstance(found, str) and re.fullmatch(r"\w{1,64}", found) else ""


def _message(error: Exception) -> str:
    return str(_response(error).get("Error", {}).get("Message", ""))


def _status(error: Exception) -> int:
    found = _response(error).get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return found if isinstance(found, int) else 0


def _response(error: Exception) -> dict[str, Any]:
    found = getattr(error, "response", None)
    return found if isinstance(found, dict) else {}
