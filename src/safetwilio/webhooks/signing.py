"""The secrets that a signature is checked with: Auth Tokens and SharedKeys, checked themselves."""

from __future__ import annotations

import hmac
import secrets
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NoReturn

from safetwilio import shapes
from safetwilio.errors import ConfigurationError, RefusedBeforeSending
from safetwilio.problems import Problem
from safetwilio.rules import describe

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pydantic import SecretStr

    from safetwilio.problems import Attempt

SHORTEST = shapes.SECRET_LENGTHS.start
_COMPARED = secrets.token_bytes(32)  # of this process alone


class SigningSecrets:
    """What Twilio may have signed a webhook with; never shown, never pickled (ST803).

    *auth_tokens* are those of the account the webhook belongs to (a subaccount has its own): the
    primary one first, then the one that a rotation is bringing in or taking out. *shared_keys* are
    the secrets of SharedKeys by their id (``webhooks_sharedkey_…``). An API key's secret signs
    nothing.

    :raises ConfigurationError: ST410 without any secret, ST411 for one that cannot be right: an
        empty one would let everybody sign.
    """

    __slots__ = ("auth_tokens", "shared_keys")

    auth_tokens: tuple[SecretStr, ...]
    shared_keys: Mapping[str, SecretStr]

    def __init__(
        self,
        auth_tokens: Iterable[SecretStr] = (),
        shared_keys: Mapping[str, SecretStr] | None = None,
    ) -> None:
        """Hold *auth_tokens* and *shared_keys*, of which at least one is there."""
        tokens, keys, problems = _checked(auth_tokens, shared_keys)
        if problems:
            del auth_tokens, shared_keys, tokens, keys, self
            raise ConfigurationError(problems)
        object.__setattr__(self, "auth_tokens", tokens)
        object.__setattr__(self, "shared_keys", MappingProxyType(keys))

    def is_same(self, other: SigningSecrets) -> bool:
        """Return whether *other* holds the same secrets, compared in constant time."""
        mine, theirs = self._digest(), other._digest()
        return hmac.compare_digest(mine, theirs)

    def _digest(self) -> bytes:
        parts = [token.get_secret_value() for token in self.auth_tokens]
        parts += [""]
        for name, secret in self.shared_keys.items():
            parts += [name, secret.get_secret_value()]
        return hmac.digest(_COMPARED, "\n".join(parts).encode(), "sha256")

    def __repr__(self) -> str:
        """Return how many there are."""
        return (
            f"<SigningSecrets: {len(self.auth_tokens)} Auth Tokens, "
            f"{len(self.shared_keys)} SharedKeys>"
        )

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"SigningSecrets are not changed: {name}")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"SigningSecrets are not changed: {name}")

    def __copy__(self) -> SigningSecrets:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> SigningSecrets:
        return self

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise RefusedBeforeSending(
            "SigningSecrets are not pickled or sent to another process: they would carry the "
            "secrets along. Let the other process load its own.",
            code="ST803",
        )


def _checked(
    auth_tokens: Any, shared_keys: Any
) -> tuple[tuple[SecretStr, ...], dict[str, SecretStr], list[Problem]]:
    try:
        tokens, keys = tuple(auth_tokens), dict(shared_keys or {})
    except (TypeError, ValueError):
        return (), {}, [_wrong("auth_tokens or shared_keys", "not a tuple, or not a mapping")]
    problems = [
        _wrong(f"Auth Token {number}", fault)
        for number, token in enumerate(tokens, 1)
        if (fault := _fault(token, is_token=True))
    ]
    problems += check_shared_keys(keys)
    if not tokens and not keys:
        problems.append(missing())
    return tokens, keys, problems


def check_auth_token(token: SecretStr, place: str) -> list[Problem]:
    """Return what is wrong with the Auth Token *token* that was found at *place*."""
    fault = _fault(token, is_token=True)
    return [_wrong(place, fault)] if fault else []


def check_shared_keys(keys: Mapping[str, SecretStr], place: str = "") -> list[Problem]:
    """Return what is wrong with the SharedKeys *keys*, by their ids, found at *place*."""
    problems = []
    for number, (name, secret) in enumerate(keys.items(), 1):
        fault = _fault(secret, is_token=False)
        if not isinstance(name, str) or not name.strip():
            fault = "its id is empty or no text"
        if fault:
            problems.append(_wrong(f"{place}, SharedKey {number}".removeprefix(", "), fault))
    return problems


def _fault(secret: Any, *, is_token: bool) -> str:
    """Return what is wrong with *secret*, without it; an empty string if nothing is."""
    reveal = getattr(secret, "get_secret_value", None)
    value = reveal() if callable(reveal) else None
    if not isinstance(value, str):
        return "not a SecretStr with text"
    said = describe(value)
    faults = (
        ("empty", not value.strip()),
        (
            f"{said}; an Auth Token is 32 lower-case hexadecimal digits",
            is_token and not shapes.is_auth_token(value),
        ),
        (f"{said}; the shortest that is accepted has {SHORTEST}", len(value) < SHORTEST),
        (f"{said}, with spaces or line ends", not value.isprintable() or " " in value),
        (f"{said}: a SID is no secret", shapes.public_prefix(value) is not None),
        ("a placeholder", shapes.is_placeholder(value)),
    )
    return next((words for words, is_one in faults if is_one), "")


def _wrong(what: str, fault: str) -> Problem:
    return Problem(
        code="ST411",
        summary="A secret for checking webhook signatures cannot be right.",
        found_in=(f"{what} ({fault})",),
        fix="Use the Auth Token of the account that the webhook belongs to, or the secret of a "
        "SharedKey. Copy it again, whole. An API key's secret does not sign webhooks.",
    )


def missing(looked_in: tuple[Attempt, ...] = ()) -> Problem:
    """Return the fault that there is no secret at all, and where it was *looked_in* for."""
    return Problem(
        code="ST410",
        summary="There is no secret to check webhook signatures with.",
        looked_in=looked_in,
        fix="Give the Auth Token of the account that the webhook belongs to, or the secret of a "
        "SharedKey. Without either nobody can tell Twilio's requests from others.",
    )
