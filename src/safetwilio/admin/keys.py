"""API keys: make, list, delete (``/2010-04-01/Accounts/{Sid}/Keys.json``), and their policies.

These need a Main key, a Restricted key that may, or the master Auth Token; a Standard key gets 401.
A creation is sent once: the transport repeats only what Twilio did not process.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import SecretStr
from twilio.base.exceptions import TwilioException, TwilioRestException

from safetwilio.clients.errors import TransportError
from safetwilio.clients.probe import NOT_ACTIVE
from safetwilio.credentials import mask
from safetwilio.errors import AccountOperationError
from safetwilio.policy import EMULATOR_VARIABLE, emulator_url, name_emulator
from safetwilio.redaction.engine import redact
from safetwilio.redaction.registry import register
from safetwilio.shapes import KEY_PREFIX, is_key_secret, is_sid

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence

    from safetwilio.clients.rest import TwilioClient

_AUTHENTICATE = 20003
_TEST_CREDENTIALS = 20008
_NOT_FOUND = 404
_SERVER_ERROR = 500
NO_OBJECT = (ValueError, AttributeError, TypeError)  # what Twilio's library makes of such JSON


class NewKey(NamedTuple):
    """A key just made; its *secret* is shown by Twilio this once."""

    sid: str
    name: str
    secret: SecretStr


class KeySummary(NamedTuple):
    """A key as Twilio lists it; there is no secret and no last use."""

    sid: str
    name: str
    created: dt.datetime | None


def create_key(client: TwilioClient, name: str, policy: Sequence[str] | None = None) -> NewKey:
    """Return a new key called *name* (at most 64 characters) on *client*'s account.

    It is a Restricted one that may do what the permissions of *policy* say, or a Standard one.
    Raises :class:`AccountOperationError` (ST601 not reached, ST610 refused, ST611 test
    credentials, ST615 suspended, ST612 anything else, ST613 when no answer came and the key may
    exist).
    """
    failure: AccountOperationError
    try:
        made: Any = _created(client, name, policy)
        sid, secret = str(made.sid), SecretStr(str(made.secret))
        del made
        if is_sid(sid, KEY_PREFIX) and is_key_secret(secret.get_secret_value()):
            register(secret.get_secret_value(), "secret")
            return NewKey(sid, name, secret)
        failure = _lost(name)
    except TransportError as error:
        failure = _unanswered(error, name)
    except TwilioException as error:
        broken = getattr(error, "status", 0) >= _SERVER_ERROR
        failure = _lost(name) if broken else refused("make an API key", error, client)
    except NO_OBJECT:  # the error would show the answer, with the new secret
        failure = _lost(name)
    raise failure


def _created(client: TwilioClient, name: str, policy: Sequence[str] | None) -> object:
    if policy is None:
        return client.new_keys.create(friendly_name=name)
    return client.iam.v1.new_api_key.create(
        account_sid=str(client.account_sid),
        friendly_name=name,
        key_type="restricted",
        policy={"allow": list(policy)},
    )


def fetch_policy(client: TwilioClient, sid: str) -> tuple[str, ...] | None:
    """Return the permissions of the Restricted key *sid*, ``None`` for a key that has no policy.

    Raises :class:`AccountOperationError` (ST601, ST610, ST611, ST612, ST615).
    """
    failure: AccountOperationError
    what = "read the API key's policy"
    try:
        policy: Any = client.iam.v1.api_key(sid).fetch().policy
        if policy is None:
            return None
        allowed = policy["allow"]
        is_list = isinstance(allowed, list) and bool(allowed) and set(policy) == {"allow"}
        if is_list and all(isinstance(p, str) for p in allowed):
            return tuple(allowed)
        failure = no_answer_of_twilio(what)
    except TwilioException as error:
        failure = refused(what, error, client)
    except (*NO_OBJECT, KeyError):
        failure = no_answer_of_twilio(what)
    raise failure


def list_keys(client: TwilioClient) -> tuple[KeySummary, ...]:
    """Return the keys of *client*'s account.

    Raises :class:`AccountOperationError` (ST601, ST610, ST611, ST612, ST615).
    """
    failure: AccountOperationError
    try:
        return tuple(
            KeySummary(str(key.sid), str(key.friendly_name or ""), key.date_created)
            for key in client.keys.list()
        )
    except TwilioException as error:
        failure = refused("list the API keys", error, client)
    except NO_OBJECT:
        failure = no_answer_of_twilio("list the API keys")
    raise failure


def delete_key(client: TwilioClient, sid: str) -> None:
    """Delete the key *sid*; one that is gone already is fine.

    Raises :class:`AccountOperationError` (ST601, ST610, ST611, ST612, ST615).
    """
    failure: AccountOperationError
    try:
        client.keys(sid).delete()
    except TwilioException as error:
        if getattr(error, "status", None) == _NOT_FOUND:
            return
        failure = refused("delete the API key", error, client)
    else:
        return
    raise failure


def refused(what: str, error: TwilioException, client: TwilioClient) -> AccountOperationError:
    """Return the error (ST601, ST610 to ST612, ST615) that Twilio refused *client* to do *what*."""
    if isinstance(error, TransportError):
        return _unreached(what, error)
    status, code, said = _answer(error)
    if code == _AUTHENTICATE:
        return AccountOperationError(
            f"Twilio refused to {what}. It was asked with {_who_asked(client)}", code="ST610"
        )
    if code in NOT_ACTIVE:
        return AccountOperationError(
            f"Twilio refused to {what}: the account is suspended or not active ({code}). Look for "
            "a notice on https://console.twilio.com; a subaccount is set active again by its "
            "parent, any other account by Twilio's Support.",
            code="ST615",
        )
    if code == _TEST_CREDENTIALS:
        return AccountOperationError(
            f"Twilio refused to {what}: these are test credentials. Use the live Account SID and "
            "Auth Token, further up on the same page of the Console.",
            code="ST611",
        )
    if status >= _SERVER_ERROR:
        return AccountOperationError(
            f"Twilio failed to {what} (HTTP {status}). Look at https://status.twilio.com, and give "
            "the same command again: it finds out what was done.",
            code="ST612",
        )
    return AccountOperationError(
        f"Twilio refused to {what}: {redact(said)} (HTTP {status}, code {code})", code="ST612"
    )


def _who_asked(client: TwilioClient) -> str:
    """Return what *client* asks with, and why that may be refused."""
    username = str(client.username)
    if is_sid(username, KEY_PREFIX):
        of = mask("account", str(client.account_sid))
        return (
            f"the API key {mask('key', username)} of {of}: a Standard one may never do this, a "
            "Restricted one needs the permission, and a deleted one may do nothing."
        )
    return (
        f"the Auth Token of {mask('account', username)}: it and the Account SID do not fit "
        "together, it was rotated, or the account is suspended. Copy both again from "
        "https://console.twilio.com."
    )


def _answer(error: TwilioException) -> tuple[int, object, str]:
    """Return the status, Twilio's code and what it said.

    A failed ``.list()`` keeps all of that in the answer only.
    """
    import json

    if isinstance(error, TwilioRestException):
        return error.status, error.code, str(error.msg)
    answer: Any = error.args[1] if len(error.args) > 1 else None
    status = getattr(answer, "status_code", 0)
    try:
        said = json.loads(answer.text)
        return status, said.get("code"), str(said.get("message"))
    except (AttributeError, TypeError, ValueError):
        return status, None, "an answer that is not Twilio's"


def no_answer_of_twilio(what: str) -> AccountOperationError:
    """Return the error (ST612) that *what* got an answer that is not Twilio's."""
    return AccountOperationError(
        f"Could not {what}: the answer is not Twilio's. Is there a proxy?", code="ST612"
    )


def _unanswered(error: TransportError, name: str) -> AccountOperationError:
    if not error.sent:
        return _unreached("make an API key", error)
    return _lost(name)


def _unreached(what: str, error: TransportError) -> AccountOperationError:
    message = f"Could not {what}: {name_emulator(str(error.args[0]))}"
    if emulator_url() is not None:
        message += (
            f" The emulator is in use: start it, or unset {EMULATOR_VARIABLE} to reach Twilio."
        )
    return AccountOperationError(message, code="ST612" if error.sent else "ST601")


def _lost(name: str) -> AccountOperationError:
    return AccountOperationError(
        f"No answer came while making an API key; it may exist. Look for a key called {name} in "
        "the Console and delete it, then try again.",
        code="ST613",
    )
