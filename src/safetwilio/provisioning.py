"""The first key of a service: made with the Auth Token once, kept in a backend, proven, listed.

The order is chosen so that nothing is lost: the backend is tried before a key exists, the key is
deleted again if it cannot be kept, and the token is never written anywhere.
"""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from pydantic import SecretStr

from safetwilio.admin.identity import address_of, identity_of_token
from safetwilio.admin.keys import KeySummary, create_key, delete_key, list_keys
from safetwilio.admin.lineage import key_name, name_prefix
from safetwilio.clients.probe import prove
from safetwilio.clients.rest import TwilioClient
from safetwilio.credentials import ApiKey, mask
from safetwilio.errors import AccountOperationError, ConfigurationError, InvalidCredentials
from safetwilio.policy import break_glass, emulator_url
from safetwilio.problems import command
from safetwilio.rules import check_account_sid, check_emulated
from safetwilio.runbook.runs import new_run_id
from safetwilio.store import CredentialStore

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from safetwilio.admin.identity import Address, Identity
    from safetwilio.admin.keys import NewKey
    from safetwilio.backends.interface import WritableBackend
    from safetwilio.clients.probe import KeyProof
    from safetwilio.problems import Problem

_PROOF_ATTEMPTS = 4
_PAUSE = 1.0
_NOT_KNOWN_YET = "ST320"


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
    replaces: str | None = None,
    prepare: Callable[[], None] = lambda: None,
    say: Callable[[str], None] = lambda _: None,
    pause: Callable[[float], None] = time.sleep,
) -> Provisioned:
    """Make a Standard key for *service* on *account_sid*, keep it in *backend* and prove it.

    *token* is the master Auth Token, used here once. With *replaces* the key is kept only if the
    backend still holds that version (an empty string: nothing). *prepare* is called once Twilio
    has accepted the token, before the key is made; if it raises, none is. *say* is told each step;
    *pause* waits. Raises :class:`safetwilio.errors.InvalidCredentials` (ST2xx) for input that
    cannot be right, :class:`safetwilio.errors.BackendError` (ST3xx) if the backend cannot be
    written or holds something else by then (ST338; the new key is deleted again),
    :class:`safetwilio.errors.AccountOperationError` (ST61x) if Twilio refuses, and ST32x if
    the key was made and kept, but could not be proven.
    """
    admin_of = _require_sound(account_sid, token)
    address = address_of(account)
    backend.require_writable()
    prefix = name_prefix(service, account)
    name = key_name(service, account, new_run_id())
    with break_glass(reason=f"safetwilio init: make the API key {name}"):
        admin = admin_of.client(account_sid, address)
        say("Checking the Account SID and Auth Token")
        earlier = list_keys(admin)
        prepare()
        say(f"Making the API key {name}")
        try:
            made = create_key(admin, name)
            keep = partial(backend.save, account=account, replaces=replaces)
            place = _keep(made, admin, keep, say=say)
        except KeyboardInterrupt:
            later = command("init", account)
            say(f"Stopped half-way: a key called {name} may exist. The next {later} says.")
            raise
    say(f"Kept it in {place}; asking Twilio whether it works")
    key = ApiKey(account_sid, made.sid, made.secret.get_secret_value(), source=place)
    proof = _prove_new(key, address, account=account, say=say, pause=pause)
    return Provisioned(
        account=mask("account", account_sid),
        key=mask("key", made.sid),
        name=name,
        place=place,
        kind=proof.kind,
        leftovers=tuple(k for k in earlier if k.name.startswith(prefix)),
    )


def require_account_sid(account_sid: str) -> None:
    """Raise :class:`safetwilio.errors.InvalidCredentials` (ST2xx) unless it can be one."""
    problem = check_account_sid(account_sid, "the Account SID") or check_emulated(
        sids=(account_sid,), emulator=emulator_url()
    )
    if problem is not None:
        raise InvalidCredentials([problem])


def _require_sound(account_sid: str, token: SecretStr) -> Identity:
    """Return the identity of the two, or raise all that can be said without asking Twilio."""
    problems: list[Problem] = []
    made: Identity | None = None
    try:
        made = identity_of_token(account_sid, token, "the Auth Token")
    except InvalidCredentials as error:
        problems += error.problems
    try:
        require_account_sid(account_sid)
    except InvalidCredentials as error:
        problems[:0] = error.problems
    if problems or made is None:
        raise InvalidCredentials(problems)
    return made


def _keep(
    made: NewKey,
    admin: TwilioClient,
    keep: Callable[[Mapping[str, SecretStr]], str],
    *,
    say: Callable[[str], None],
) -> str:
    """*keep* the key and return where; a key that cannot be kept is deleted again."""
    fields = {
        "account_sid": SecretStr(str(admin.account_sid)),
        "key_sid": SecretStr(made.sid),
        "secret": made.secret,
    }
    try:
        return keep(fields)
    except Exception as error:  # noqa: BLE001 - a plug-in may raise anything; the key must go
        failure = error.with_traceback(None)
    _undo(admin, made, failure)
    say("The key could not be kept, so it was deleted again")
    raise failure


def _undo(admin: TwilioClient, made: NewKey, failure: Exception) -> None:
    """Delete the key that could not be kept; if even that fails, say which one is left."""
    left = ""
    try:
        delete_key(admin, made.sid)
    except AccountOperationError as error:
        left = str(error)
    if left:
        reason = getattr(failure, "code", type(failure).__name__)
        raise AccountOperationError(
            f"The new key could not be kept ({reason}) and not be deleted either. Nobody has its "
            f"secret; delete the key called {made.name} in the Console. Deleting it failed "
            f"because: {left}",
            code="ST614",
        )


def _prove_new(
    key: ApiKey,
    address: Address,
    *,
    account: str | None,
    say: Callable[[str], None],
    pause: Callable[[float], None],
) -> KeyProof:
    """Return the proof of a key just made, which Twilio may need a moment to know everywhere."""
    client = TwilioClient.from_store(CredentialStore(key), region=address.region, edge=address.edge)
    attempt = 1
    while True:
        try:
            return prove(client, key)
        except ConfigurationError as error:
            failure = error.with_traceback(None)
        if attempt == _PROOF_ATTEMPTS or failure.code != _NOT_KNOWN_YET:
            break
        pause(_PAUSE * attempt)
        attempt += 1
    again = command("doctor --verify", account)
    say(f"The key stays in {key.source}; to ask again later: {again}")
    raise failure.of_account(account)
