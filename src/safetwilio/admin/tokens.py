"""The Auth Token of an account: its secondary one, the promotion of that, and whether one lives.

``accounts.twilio.com/v1/AuthTokens`` acts on the account that asks. There is one secondary token at
most; Twilio shows it when it is made, and again when it is promoted, which kills the primary one
(facts: Twilio's API, AuthTokens).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import SecretStr
from twilio.base.exceptions import TwilioException, TwilioRestException

from safetwilio.admin.keys import NO_OBJECT, no_answer_of_twilio, refused
from safetwilio.clients.errors import TransportError
from safetwilio.errors import AccountOperationError
from safetwilio.redaction.registry import register
from safetwilio.shapes import is_auth_token

if TYPE_CHECKING:
    from safetwilio.admin.identity import Address, Identity
    from safetwilio.clients.rest import TwilioClient

_OK = 200
_MAY_NOT = "ST610"
_UNAUTHENTICATED = 401
_SERVER_ERROR = 500
_NONE_THERE = frozenset({400, 404})


def create_secondary(client: TwilioClient) -> SecretStr:
    """Return a new secondary token of *client*'s account; there must be none.

    Raises :class:`AccountOperationError` (ST601 not reached, ST610 refused, ST611, ST612, ST615,
    and ST613 when no answer came and it may exist; it cannot be read again).
    """
    what = "make a secondary Auth Token"
    failure: AccountOperationError
    try:
        made: Any = client.accounts.v1.secondary_auth_token().create().secondary_auth_token
        if isinstance(made, str) and is_auth_token(made):
            return _known(made)
        failure = _lost(what)
    except TwilioException as error:
        failure = _may_be_done(what, error, client)
    except NO_OBJECT:  # the error would show the answer, with the new token
        failure = _lost(what)
    raise failure


def delete_secondary(client: TwilioClient) -> bool:
    """Delete the secondary token of *client*'s account, and return whether there was one.

    Raises :class:`AccountOperationError` (ST601, ST610, ST611, ST612, ST615).
    """
    failure: AccountOperationError
    try:
        client.accounts.v1.secondary_auth_token().delete()
    except TwilioException as error:
        if _says_none(error):
            return False
        failure = refused("delete the secondary Auth Token", error, client)
    else:
        return True
    raise failure


def promote(client: TwilioClient) -> SecretStr | None:
    """Make the secondary token of *client*'s account the only one, and return it.

    ``None`` if there is no secondary one. Raises :class:`AccountOperationError` (ST601, ST610,
    ST611, ST612, ST615, and ST613 when no answer came and it may be done).
    """
    what = "promote the secondary Auth Token"
    failure: AccountOperationError
    try:
        made: Any = client.accounts.v1.auth_token_promotion().update().auth_token
        if isinstance(made, str) and is_auth_token(made):
            return _known(made)
        failure = _lost(what)
    except TwilioException as error:
        if _says_none(error):
            return None
        failure = _may_be_done(what, error, client)
    except NO_OBJECT:
        failure = _lost(what)
    raise failure


def lives(identity: Identity, address: Address) -> bool:
    """Return whether Twilio accepts the token of *identity*.

    Raises :class:`AccountOperationError` (ST612, ST601) if the answer does not say.
    """
    failure: AccountOperationError
    sid = identity.account_sid
    what = "ask for the account"
    client = identity.client(sid, address)
    try:
        answer = client.request("GET", f"https://api.twilio.com/2010-04-01/Accounts/{sid}.json")
    except TransportError as error:
        failure = refused(what, error, client)
    else:
        if answer.status_code in {_OK, _UNAUTHENTICATED}:
            return bool(answer.status_code == _OK)
        failure = AccountOperationError(
            f"Twilio does not say whether the Auth Token works: HTTP {answer.status_code}.",
            code="ST612",
        )
    raise failure


def require_own(client: TwilioClient) -> None:
    """Raise unless the credential of *client* is one of the account that it names.

    These requests act on the account that asks, whatever SID stands beside its key. Twilio lists an
    account as its own owner, and before its subaccounts; a key that may not see the list shows by
    another request whose it is. Raises :class:`AccountOperationError` (ST629 for another account's,
    ST601, ST610, ST611, ST612, ST615).
    """
    what = "list the account"
    failure: AccountOperationError
    try:
        found = {str(a.sid): str(a.owner_account_sid) for a in client.api.accounts.list()}
    except TwilioException as error:
        failure = refused(what, error, client)
        if failure.code == _MAY_NOT and _reads_messages(client):
            return
    except NO_OBJECT:
        failure = no_answer_of_twilio(what)
    else:
        owners = [sid for sid, owner in found.items() if sid == owner] or list(found)
        if owners == [client.account_sid]:
            return
        failure = _of_another()
    raise failure


def _reads_messages(client: TwilioClient) -> bool:
    """Return whether the key is accepted for what no parent's Standard key may read."""
    try:
        client.messages.list(limit=1, page_size=1)
    except (TwilioException, *NO_OBJECT):
        return False
    return True


def tokens_of_subaccounts(client: TwilioClient) -> dict[str, SecretStr]:
    """Return the SIDs and Auth Tokens of the active subaccounts of *client*'s account.

    Only the account's own Auth Token gets to see them. Raises :class:`AccountOperationError`
    (ST601, ST610, ST611, ST612, ST615).
    """
    what = "list the subaccounts"
    failure: AccountOperationError
    try:
        found: dict[str, SecretStr] = {}
        for account in client.api.accounts.list(status="active"):
            token: Any = account.auth_token
            if account.sid == client.account_sid:
                continue
            if not (isinstance(token, str) and is_auth_token(token)):
                raise _hidden()
            found[str(account.sid)] = _known(token)
    except TwilioException as error:
        failure = refused(what, error, client)
    except NO_OBJECT:
        failure = no_answer_of_twilio(what)
    else:
        return found
    raise failure


def _known(token: str) -> SecretStr:
    register(token, "token")
    return SecretStr(token)


def _says_none(error: TwilioException) -> bool:
    return isinstance(error, TwilioRestException) and error.status in _NONE_THERE


def _may_be_done(what: str, error: TwilioException, client: TwilioClient) -> AccountOperationError:
    sent = isinstance(error, TransportError) and error.sent
    broken = getattr(error, "status", 0) >= _SERVER_ERROR
    return _lost(what) if sent or broken else refused(what, error, client)


def _lost(what: str) -> AccountOperationError:
    return AccountOperationError(
        f"No answer came to the request to {what}; it may be done.", code="ST613"
    )


def _of_another() -> AccountOperationError:
    return AccountOperationError(
        "What may change the account is a key of another account than the SID beside it says, so "
        "nothing was done. Put the key and the Account SID of the same account there.",
        code="ST629",
    )


def _hidden() -> AccountOperationError:
    return AccountOperationError(
        "Twilio does not show the Auth Tokens of the subaccounts to a key. Give the account's own "
        "Auth Token, or rotate them one by one.",
        code="ST629",
    )
