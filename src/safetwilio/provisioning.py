"""The first key of a service: made with the Auth Token once, kept in a backend, proven, listed.

The order is chosen so that nothing is lost: the backend is tried before a key exists, the key is
deleted again if it cannot be kept, and the token is never written anywhere.
"""

from __future__ import annotations

import os
import re
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from pydantic import SecretStr

from safetwilio import shapes
from safetwilio.admin.keys import LONGEST_NAME, KeySummary, create_key, delete_key, list_keys
from safetwilio.clients.probe import prove
from safetwilio.clients.rest import TwilioClient
from safetwilio.credentials import ApiKey, mask
from safetwilio.errors import (
    AccountOperationError,
    ConfigurationError,
    InvalidCredentials,
    SafeTwilioError,
)
from safetwilio.policy import break_glass, emulator_url
from safetwilio.problems import Problem
from safetwilio.rules import check_account_sid, check_emulated, describe

if TYPE_CHECKING:
    from collections.abc import Callable

    from safetwilio.backends.interface import WritableBackend
    from safetwilio.clients.probe import KeyProof

_PREFIX = "safetwilio"
_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9_.-]+")
_PROOF_ATTEMPTS = 4
_PAUSE = 1.0


class Provisioned(NamedTuple):
    """What was done: masks of account and key, its *name*, *place* and *kind*, and left-overs."""

    account: str
    key: str
    name: str
    place: str
    kind: str | None
    leftovers: tuple[KeySummary, ...]


def provision(  # noqa: PLR0913 - one argument for each thing asked for
    account_sid: str,
    token: SecretStr,
    backend: WritableBackend,
    *,
    service: str,
    account: str | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Provisioned:
    """Make a Standard key for *service* on *account_sid*, keep it in *backend* and prove it.

    *token* is the master Auth Token, used here once. *say* is told each step. Raises
    :class:`safetwilio.errors.InvalidCredentials` (ST2xx) for input that cannot be right,
    :class:`safetwilio.errors.BackendError` (ST3xx) if the backend cannot be written, and
    :class:`safetwilio.errors.AccountOperationError` (ST61x) if Twilio refuses.
    """
    _require_sound(account_sid, token)
    backend.require_writable()
    name = _key_name(service)
    with break_glass(reason=f"safetwilio init: make the API key {name}"):
        admin = TwilioClient(account_sid, token.get_secret_value(), account_sid)
        say("Checking the Account SID and Auth Token")
        earlier = list_keys(admin)
        say(f"Making the API key {name}")
        made = create_key(admin, name)
        fields = {
            "account_sid": SecretStr(account_sid),
            "key_sid": SecretStr(made.sid),
            "secret": made.secret,
        }
        failure: SafeTwilioError | None = None
        try:
            place = backend.save(fields, account=account)
        except SafeTwilioError as error:
            failure = error.with_traceback(None)
        if failure is not None:
            _undo(admin, made.sid, failure)
            raise failure
    say(f"Kept it in {place}; asking Twilio whether it works")
    key = ApiKey(account_sid, made.sid, made.secret.get_secret_value(), source=place)
    proof = _prove_new(key)
    return Provisioned(
        account=mask("account", account_sid),
        key=mask("key", made.sid),
        name=name,
        place=place,
        kind=proof.kind,
        leftovers=tuple(k for k in earlier if k.name.startswith(_service_prefix(service))),
    )


def _require_sound(account_sid: str, token: SecretStr) -> None:
    text = token.get_secret_value()
    problems = [check_account_sid(account_sid, "the Account SID")]
    if not shapes.is_auth_token(text):
        problems.append(
            Problem(
                code="ST220",
                summary="The Auth Token is malformed.",
                found_in=(f"the Auth Token ({describe(text)})",),
                fix="An Auth Token is 32 hexadecimal digits. Copy it again from the first page of "
                "https://console.twilio.com.",
            )
        )
    found = [problem for problem in problems if problem is not None]
    if not found:
        mismatch = check_emulated(sids=(account_sid,), emulator=emulator_url())
        found = [mismatch] if mismatch else []
    if found:
        raise InvalidCredentials(found)


def _service_prefix(service: str) -> str:
    room = LONGEST_NAME - len(f"{_PREFIX}//20261122T000000Z")
    return f"{_PREFIX}/{_NOT_IN_A_NAME.sub('-', service).strip('-')[:room] or 'app'}/"


def _key_name(service: str) -> str:
    return _service_prefix(service) + datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")


def _undo(admin: TwilioClient, sid: str, failure: SafeTwilioError) -> None:
    """Delete the key that could not be kept; if even that fails, say which one is left."""
    left = False
    try:
        delete_key(admin, sid)
    except AccountOperationError:
        left = True
    if left:
        raise AccountOperationError(
            f"The new key could not be kept ({failure.code}) and not be deleted either. Delete "
            f"the key with the fingerprint {mask('key', sid)} by hand: it is the newest one in "
            "the Console.",
            code="ST614",
        )


def _prove_new(key: ApiKey) -> KeyProof:
    """Return the proof of a key just made, which Twilio may need a moment to know everywhere."""
    client = TwilioClient.from_store(lambda: key)
    problems: tuple[Problem, ...] = ()
    for attempt in range(_PROOF_ATTEMPTS):
        if attempt:
            time.sleep(_PAUSE * attempt)
        try:
            return prove(client, key)
        except ConfigurationError as error:
            problems = error.problems
    raise InvalidCredentials(problems)


def service_of(directory: str | None = None) -> str:
    """Return a service name from the name of *directory* (default: the current one)."""
    return os.path.basename(os.path.abspath(directory or os.getcwd())) or "app"  # noqa: PTH100, PTH109, PTH119
