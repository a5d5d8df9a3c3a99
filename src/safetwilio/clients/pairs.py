"""A user name and a secret that somebody hands over: an API key, or why it is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

from safetwilio import shapes
from safetwilio.credentials import ApiKey, AuthToken
from safetwilio.errors import (
    ConfigurationError,
    InvalidCredentials,
    MasterTokenInUse,
    MissingCredentials,
)
from safetwilio.problems import Problem
from safetwilio.redaction.registry import register

if TYPE_CHECKING:
    from safetwilio.policy import BrokenGlass


def checked(  # noqa: PLR0911 - one for each thing that can be wrong
    username: str | None, secret: str | None, account_sid: str | None, glass: BrokenGlass | None
) -> ApiKey | AuthToken | ConfigurationError:
    """Return the pair *username* and *secret* as a credential, or what is wrong with it.

    Nothing is filled in from elsewhere. The error is raised by the caller, so that no frame of it
    holds the secret.
    """
    if not username and not secret:
        return MissingCredentials([_no_credentials()])
    if not isinstance(username, str | None) or not isinstance(secret, str | None):
        return InvalidCredentials([_no_text()])
    if not username or not secret:
        missing = "API key secret" if username else "API key SID"
        return MissingCredentials([_no_part("ST101" if username else "ST102", missing)])
    if not username.startswith(shapes.KEY_PREFIX):
        if len(secret) >= shapes.AUTH_TOKEN_LENGTH:
            register(secret, "token")
        return AuthToken(username, secret) if glass else MasterTokenInUse([_master_pair()])
    if shapes.is_key_secret(secret):
        register(secret, "secret")
    if glass is None and shapes.is_auth_token(secret):
        return MasterTokenInUse([_master_pair()])
    if glass is None and not account_sid:
        return MissingCredentials([_no_part("ST103", "account_sid")])
    # Without an account SID the user name stands for it, as Twilio's own client has it.
    return ApiKey(account_sid or username, username, secret, source="arguments")


def _no_credentials() -> Problem:
    return Problem(
        code="ST104",
        summary="TwilioClient was made without credentials.",
        fix="Import the ready one, which loads and checks its key: from safetwilio import client",
    )


def _no_text() -> Problem:
    return Problem(
        code="ST205",
        summary="TwilioClient was made with a secret that is not a text.",
        fix="It takes what Twilio's own client does, a str: a SecretStr gives it with "
        ".get_secret_value(). Or import the ready client: from safetwilio import client",
    )


def _no_part(code: str, part: str) -> Problem:
    return Problem(
        code=code,
        summary=f"TwilioClient was made without the {part}.",
        fix="Give all three, TwilioClient(key_sid, secret, account_sid), or import the ready "
        "client: from safetwilio import client\n"
        "Nothing is filled in from the environment, where it could be the Auth Token.",
    )


def _master_pair() -> Problem:
    return Problem(
        code="ST506",
        summary="TwilioClient was given the master Auth Token (a pair that is no API key).",
        fix='Use an API key, whose SID starts with "SK": safetwilio init\n'
        "For the rare operation that needs the token: "
        'with safetwilio.break_glass(reason="…"): …',
    )
