"""Who changes the account: a Main key, a Restricted key that may, or the master Auth Token.

It comes from ``SAFETWILIO_ADMIN_BACKEND`` or from a prompt. No boot and no client of a program
looks there; a document that holds a key and the Auth Token means the key.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal, NamedTuple

from safetwilio.backends import env
from safetwilio.backends.chain import load
from safetwilio.backends.documents import ADMIN, PAIR, asking_for, variable
from safetwilio.backends.interface import Found
from safetwilio.backends.locate import ADMIN_BACKEND_VARIABLE, admin_references, backend_variable
from safetwilio.clients.rest import TwilioClient
from safetwilio.credentials import ApiKey, AuthToken, mask
from safetwilio.errors import AccountOperationError, InvalidCredentials
from safetwilio.policy import break_glass, emulator_url
from safetwilio.problems import Problem, faults, for_account
from safetwilio.redaction.registry import register
from safetwilio.rules import (
    check_account_sid,
    check_emulated,
    check_key_sid,
    check_region_or_edge,
    check_secret,
    describe,
)
from safetwilio.shapes import is_auth_token, is_placeholder

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from pydantic import SecretStr

    from safetwilio.backends.interface import Value

NEEDED = f"a Main key, a Restricted key that may, or the Auth Token ({ADMIN_BACKEND_VARIABLE})"


class Address(NamedTuple):
    """The region and edge that the program's own client uses; a key is good in one region."""

    region: str | None = None
    edge: str | None = None


class Identity:
    """The credential of an operation, and where it was found (*origin*); it is never shown."""

    __slots__ = ("_credential", "origin")

    def __init__(self, credential: ApiKey | AuthToken, origin: str) -> None:
        """Act with *credential*."""
        self._credential = credential
        self.origin = origin

    @property
    def kind(self) -> Literal["key", "token"]:
        """Which of the two it is; the token works in a break-glass block only."""
        return "key" if isinstance(self._credential, ApiKey) else "token"

    @property
    def account_sid(self) -> str:
        """The account that it belongs to."""
        return self._credential.account_sid

    @property
    def username(self) -> str:
        """The SID that requests are made with: the key's, or the account's."""
        return self._credential.username

    def __repr__(self) -> str:
        return f"<Identity: {self}>"

    def __str__(self) -> str:
        """Return what people may know of it."""
        if self.kind == "token":
            return f"the Auth Token of {mask('account', self.account_sid)}, from {self.origin}"
        return f"the key {mask('key', self.username)}, from {self.origin}"

    def client(self, account_sid: str, address: Address) -> TwilioClient:
        """Return a client that acts on *account_sid*, its own account or one below it.

        With the token it works until the end of the break-glass block that it is made in.
        """
        # The mapping keeps the client from reading the default account's region for another one.
        return TwilioClient(
            self.username,
            self._credential.reveal(),
            account_sid,
            region=address.region,
            edge=address.edge,
            environment={"TWILIO_REGION": "", "TWILIO_EDGE": ""},
        )


@contextmanager
def acting_as(identities: Iterable[Identity], reason: str) -> Iterator[None]:
    """Let *identities* be used in this block, for *reason* if one is the Auth Token."""
    if all(identity.kind == "key" for identity in identities):
        yield
        return
    with break_glass(reason=reason):
        yield


def find_identity(account: str | None) -> Identity | None:
    """Return the identity that the environment names for *account*, ``None`` if it names none.

    Raises :class:`safetwilio.errors.ConfigurationError` (ST2xx, ST3xx) for one that cannot be
    right, and ST620 for a place without any.
    """
    places = admin_references(account, os.environ)
    if not places:
        return None
    with asking_for(ADMIN):
        answer = load(places, account)
        around = env.document(account).field("account_sid", account)
    if not isinstance(answer, Found):
        raise _no_identity(f"nothing is in {', '.join(map(str, places))}", account)
    fields = {**({"account_sid": around} if around else {}), **answer.record.fields}
    wanted = ("account_sid", *(PAIR if "secret" in fields else ("auth_token",)))
    missing = [name.replace("_", " ") for name in wanted if name not in fields]
    if missing:
        del fields
        raise _no_identity(f"{answer.record.source} has no {' and no '.join(missing)}", account)
    problems = for_account(faults(answer.record.problems) or _problems(fields), account)
    if problems:
        del fields, answer
        raise InvalidCredentials(problems)
    return _identity(fields, answer.record.source)


def identity_of_token(account_sid: str, token: SecretStr, origin: str) -> Identity:
    """Return the identity of the Auth Token *token*, which somebody gave.

    Raises :class:`safetwilio.errors.InvalidCredentials` (ST208, ST220) if it cannot be one.
    """
    problem = check_token(token.get_secret_value(), origin)
    if problem is not None:
        raise InvalidCredentials([problem])
    register(token.get_secret_value(), "token")
    return Identity(AuthToken(account_sid, token.get_secret_value()), origin)


def check_token(text: str, place: str) -> Problem | None:
    """Return what is wrong with the Auth Token *text* found at *place*, or ``None``."""
    if is_placeholder(text):
        return Problem(
            code="ST208",
            summary="The Auth Token is a placeholder.",
            found_in=(f"{place} ({describe(text)})",),
            fix="Give the real one: show it on the first page of https://console.twilio.com, and "
            "copy it from there.",
        )
    if is_auth_token(text):
        return None
    return Problem(
        code="ST220",
        summary="The Auth Token is malformed.",
        found_in=(f"{place} ({describe(text)})",),
        fix="An Auth Token is 32 hexadecimal digits. Copy it again from the first page of "
        "https://console.twilio.com.",
    )


def address_of(account: str | None, fields: Mapping[str, Value] | None = None) -> Address:
    """Return where the program's client for *account* sends its requests: *fields*, then env.

    Raises :class:`safetwilio.errors.InvalidCredentials` (ST2xx).
    """
    surroundings = env.document(account)
    found = {
        name: (fields or {}).get(name) or surroundings.field(name, account)
        for name in Address._fields
    }
    values = {name: value for name, value in found.items() if value is not None}
    problems = [
        problem
        for name, value in values.items()
        if (problem := check_region_or_edge(name, value.reveal(), value.place)) is not None
    ]
    if problems:
        raise InvalidCredentials(problems)
    return Address(**{name: value.reveal() for name, value in values.items()})


def _identity(fields: Mapping[str, Value], source: str) -> Identity:
    account_sid = fields["account_sid"].reveal()
    if "secret" in fields:
        key = ApiKey(
            account_sid, fields["key_sid"].reveal(), fields["secret"].reveal(), source=source
        )
        return Identity(key, source)
    token = AuthToken(account_sid, fields["auth_token"].reveal())
    return Identity(token, fields["auth_token"].place)


def _problems(fields: Mapping[str, Value]) -> tuple[Problem, ...]:
    checks = {
        "account_sid": check_account_sid,
        **({"key_sid": check_key_sid, "secret": check_secret} if "secret" in fields else {}),
        **({} if "secret" in fields else {"auth_token": check_token}),
    }
    found = tuple(
        problem
        for name, check in checks.items()
        if name in fields
        and (problem := check(fields[name].reveal(), fields[name].place)) is not None
        and problem.severity == "fault"
    )
    if found:
        return found
    sids = [fields[name].reveal() for name in ("account_sid", "key_sid") if name in fields]
    mismatch = check_emulated(sids=tuple(sids), emulator=emulator_url())
    return (mismatch,) if mismatch else ()


def _no_identity(why: str, account: str | None) -> AccountOperationError:
    return AccountOperationError(
        f"There is nothing that may change the account: {why}, which "
        f"{backend_variable(account, ADMIN_BACKEND_VARIABLE)} names. Needed is {NEEDED}, with the "
        f"account SID. The names looked for there are {variable('account_sid', account)}, with "
        f"{' and '.join(variable(name, account) for name in PAIR)}, or with "
        f"{variable('auth_token', account)}.",
        code="ST620",
    )
