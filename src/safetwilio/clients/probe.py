"""Proof that a key is alive, and of what kind it is, by two harmless reads.

Alive: one message is asked for (or the document's ``validationUrl``). 401 means dead; 70051 means
a living key whose policy does not allow this. Kind: the account itself is asked for, which only a
Main key may read; a Restricted key gets 70051 or, by other reports, the same 401 as a Standard one.
What then tells the two apart is a resource for which no permission exists, the usage triggers.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from safetwilio.clients.errors import TransportError
from safetwilio.credentials import mask
from safetwilio.errors import BackendUnavailable, InvalidCredentials
from safetwilio.policy import EMULATOR_VARIABLE, emulator_url, name_emulator
from safetwilio.problems import Problem

if TYPE_CHECKING:
    from twilio.http.response import Response

    from safetwilio.clients.rest import TwilioClient
    from safetwilio.credentials import ApiKey, KeyType

# 20403 and 10001 of the account itself, 21476 of its parent, 21478 by Twilio (docs/api/errors).
NOT_ACTIVE = frozenset({10001, 20403, 21476, 21478})
_BASE = "https://api.twilio.com/2010-04-01/Accounts"
_OK = 200
_UNAUTHENTICATED = 401
_REFUSED = frozenset({401, 403})
_PERMISSION = 70051
_TEST_CREDENTIALS = 20008


class KeyProof(NamedTuple):
    """A key was accepted by Twilio; its *kind* is ``None`` if the answers did not tell."""

    kind: KeyType | None


def prove(client: TwilioClient, key: ApiKey, *, validation_url: str | None = None) -> KeyProof:
    """Return proof that *key* works through *client*.

    Raises :class:`InvalidCredentials` (ST320 if Twilio refuses it, ST322 if the account is
    suspended, ST214 for test credentials) and :class:`BackendUnavailable` (ST321) if Twilio gave
    no usable answer.
    """
    url = validation_url or f"{_BASE}/{key.account_sid}/Messages.json"
    alive = _get(client, url, {} if validation_url else {"PageSize": "1"})
    code = _code(alive)
    if code in NOT_ACTIVE:
        raise InvalidCredentials([_suspended(key, code)])
    if alive.status_code == _UNAUTHENTICATED and code != _PERMISSION:
        raise InvalidCredentials([_refused(key)])
    if code == _TEST_CREDENTIALS:
        raise InvalidCredentials([_test_credentials(key)])
    if alive.status_code != _OK and code != _PERMISSION:
        raise BackendUnavailable([_no_proof(f"HTTP {alive.status_code}, code {code}")])
    if code == _PERMISSION:
        return KeyProof("restricted")
    account = _get(client, f"{_BASE}/{key.account_sid}.json", {})
    if account.status_code == _OK:
        return KeyProof("main")
    if _code(account) == _PERMISSION:
        return KeyProof("restricted")
    triggers = _get(client, f"{_BASE}/{key.account_sid}/Usage/Triggers.json", {"PageSize": "1"})
    if triggers.status_code == _OK:
        return KeyProof("standard")
    return KeyProof("restricted" if triggers.status_code in _REFUSED else None)


def _get(client: TwilioClient, url: str, params: dict[str, Any]) -> Response:
    reason = ""
    try:
        return client.request("GET", url, params=params)
    except TransportError as error:
        reason = str(error)
    raise BackendUnavailable([_no_proof(reason)])


def _code(answer: Response) -> object:
    if answer.status_code == _OK:
        return None
    try:
        payload = json.loads(answer.text)
    except ValueError:
        return None
    return payload.get("code") if isinstance(payload, dict) else None


def _refused(key: ApiKey) -> Problem:
    return Problem(
        code="ST320",
        summary=f"Twilio refuses the API key {mask('key', key.sid)}.",
        found_in=(f"loaded from {key.origin}", f"for account {mask('account', key.account_sid)}"),
        fix="Most likely the key was deleted or rotated, the secret or the account SID belongs to "
        "another key, the account is suspended, or the key was made in another region. Make a new "
        "one: safetwilio init --replace",
    )


def _suspended(key: ApiKey, code: object) -> Problem:
    return Problem(
        code="ST322",
        summary=f"The account {mask('account', key.account_sid)} is suspended or not active.",
        found_in=(f"loaded from {key.origin}; Twilio says so ({code})",),
        fix="No key of it works until it is active again, and a new one would not help. Look for a "
        "notice on https://console.twilio.com; a subaccount is set active again by its parent, "
        "any other account by Twilio's Support.",
    )


def _test_credentials(key: ApiKey) -> Problem:
    return Problem(
        code="ST214",
        summary="These are test credentials, but live ones are needed.",
        found_in=(f"loaded from {key.origin}; Twilio says so (20008)",),
        fix="Make a key with the live Account SID and Auth Token: safetwilio init",
    )


def _no_proof(reason: str) -> Problem:
    emulator = emulator_url()
    if emulator is not None:
        return Problem(
            code="ST321",
            summary="The emulator gave no answer that proves the API key.",
            found_in=(f"env {EMULATOR_VARIABLE} is {emulator}", name_emulator(reason)),
            fix=f"Start it, or unset {EMULATOR_VARIABLE} to reach Twilio.",
        )
    return Problem(
        code="ST321",
        summary="Twilio gave no answer that proves the API key.",
        found_in=(reason,),
        fix="Check the network and https://status.twilio.com, then start again; or start without "
        "verify=True.",
    )
