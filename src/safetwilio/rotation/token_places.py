"""Where the Auth Token of an account is kept: for webhooks, for operations, or for both."""

from __future__ import annotations

import hmac
import os
from typing import TYPE_CHECKING, NamedTuple

from pydantic import SecretStr

from safetwilio.admin.identity import check_token
from safetwilio.backends import env
from safetwilio.backends.chain import load
from safetwilio.backends.documents import TOKENS, asking_for
from safetwilio.backends.interface import Found, WritableBackend
from safetwilio.backends.locate import admin_references, open_backend, parse, signing_references
from safetwilio.errors import AccountOperationError, InvalidCredentials, UsageError
from safetwilio.problems import faults, for_account
from safetwilio.rotation.places import directory_of, document_of, spot_of
from safetwilio.rules import check_account_sid
from safetwilio.shapes import is_auth_token

if TYPE_CHECKING:
    from safetwilio.backends.interface import Record
    from safetwilio.backends.locate import Reference

PRIMARY = ("auth_token", "webhook_auth_token")
STANDBY = "webhook_secondary_auth_token"


class HeldTokens(NamedTuple):
    """What a place holds: the token, under which *names*, and the *standby* to be promoted."""

    account_sid: str | None
    token: SecretStr
    names: tuple[str, ...]
    standby: SecretStr | None
    version: str | None


class TokenPlace:
    """One document that holds the Auth Token of *account*."""

    def __init__(self, reference: Reference, backend: WritableBackend, account: str | None) -> None:
        """Look at *reference* through *backend*; see :func:`find_token_places`."""
        self.reference = reference
        self.account = account
        self._backend = backend

    def __str__(self) -> str:
        """Return the reference as people may see it."""
        return str(self.reference)

    @property
    def directory(self) -> str:
        """Where its path begins, if it is relative."""
        return directory_of(self.reference)

    @property
    def spot(self) -> str:
        """What is the same for two spellings of one file."""
        return spot_of(self.reference)

    def held(self) -> HeldTokens:
        """Return what is there now.

        Raises :class:`safetwilio.errors.ConfigurationError` (ST2xx, ST3xx) for what cannot be read
        or cannot be right, and ST631 if no token is there.
        """
        found = _record(self.reference, self.account)
        if found is None:
            raise no_token(str(self), self.account)
        return _held(found, self.account)

    def require_writable(self) -> None:
        """Raise (ST3xx) now what :meth:`keep` would raise."""
        self._backend.require_writable()

    def keep(
        self, held: HeldTokens, *, token: SecretStr | None = None, standby: SecretStr | None = None
    ) -> None:
        """Put *token* and *standby* there, if the document is of the version that was *held*.

        What is not given stays; an empty *standby* takes it away. Raises as
        :meth:`safetwilio.backends.interface.WritableBackend.save`.
        """
        fields: dict[str, SecretStr] = {}
        if token is not None:
            fields |= dict.fromkeys(held.names, token)
        if standby is not None:
            fields[STANDBY] = standby
        self._backend.save(fields, account=self.account, replaces=held.version)


def find_token_places(account: str | None, named: str | None) -> tuple[TokenPlace, ...]:
    """Return every place that holds the Auth Token of *account*.

    These are the ones *named* (references, with commas), or else what the environment names for
    webhooks and for operations. Raises :class:`UsageError` (ST907) for one that cannot be written,
    and ST631 if there is none.
    """
    if named:
        references = parse(named, place="--backend")
    else:
        references = (
            *signing_references(account, os.environ),
            *admin_references(account, os.environ),
        )
    documents = {document_of(reference): reference for reference in reversed(references)}
    places = tuple(
        _place(reference, account)
        for reference in reversed(documents.values())
        if _record(reference, account) is not None
    )
    if not places:
        raise no_token(", ".join(map(str, references)), account)
    return places


def _place(reference: Reference, account: str | None) -> TokenPlace:
    backend = open_backend(reference)
    if isinstance(backend, WritableBackend):
        return TokenPlace(reference, backend, account)
    raise UsageError(
        f"The Auth Token is in {reference}, which safetwilio cannot write. "
        f"{getattr(backend, 'how_to_write', '')}Move it to a place that can be written "
        "(dotenv:, aws-sm:, vault:, gcp-sm:), or rotate it in the Console.",
        code="ST907",
    )


def is_same(one: SecretStr, other: SecretStr | None) -> bool:
    """Return whether both are the same secret, in constant time."""
    return other is not None and hmac.compare_digest(
        one.get_secret_value().encode(), other.get_secret_value().encode()
    )


def no_token(where: str, account: str | None) -> AccountOperationError:
    """Return the error (ST631) that no Auth Token of *account* is *where*."""
    name = f" of the account {account}" if account else ""
    return AccountOperationError(
        f"No Auth Token{name} is in {where}. Name its place with --backend, or rotate it in the "
        "Console: a token that nothing of yours uses needs no new place.",
        code="ST631",
    )


def _record(reference: Reference, account: str | None) -> Record | None:
    with asking_for(TOKENS):
        answer = load((reference,), account)
    return answer.record if isinstance(answer, Found) else None


def _held(record: Record, account: str | None) -> HeldTokens:
    fields = dict(record.fields)
    around = env.document(account).field("account_sid", account)
    fields.update({"account_sid": around} if around and "account_sid" not in fields else {})
    names = tuple(name for name in PRIMARY if name in fields)
    checks = {"account_sid": check_account_sid, **dict.fromkeys(names, check_token)}
    found = [
        check(fields[name].reveal(), fields[name].place)
        for name, check in checks.items()
        if name in fields
    ]
    problems = faults([*record.problems, *(problem for problem in found if problem)])
    source, version = record.source, record.version
    texts = {name: SecretStr(value.reveal()) for name, value in fields.items()}
    del record, fields
    if problems:
        raise InvalidCredentials(for_account(problems, account))
    if not is_same(texts[names[0]], texts[names[-1]]):
        raise AccountOperationError(
            f"{source} holds two different Auth Tokens ({' and '.join(names)}), and nobody can "
            "tell which one is meant. Remove one.",
            code="ST632",
        )
    standby = texts.get(STANDBY)
    # One that cannot be right is as good as none: it is replaced.
    usable = standby if standby and is_auth_token(standby.get_secret_value()) else None
    account_sid = texts.get("account_sid")
    return HeldTokens(
        account_sid.get_secret_value() if account_sid else None,
        texts[names[0]],
        names,
        usable,
        version,
    )
