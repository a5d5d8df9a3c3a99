"""The first key of a service: made with the Auth Token once, kept in a backend, proven, listed.

The order is chosen so that nothing is lost: the backend is tried before a key exists, the key is
deleted again if it cannot be kept, and the token is never written anywhere.
"""

from __future__ import annotations

import os
import re
import secrets
import time
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from pydantic import SecretStr

from safetwilio import shapes
from safetwilio.admin.keys import LONGEST_NAME, KeySummary, create_key, delete_key, list_keys
from safetwilio.backends import env
from safetwilio.clients.probe import prove
from safetwilio.clients.rest import TwilioClient
from safetwilio.credentials import ApiKey, mask
from safetwilio.errors import AccountOperationError, ConfigurationError, InvalidCredentials
from safetwilio.policy import break_glass, emulator_url
from safetwilio.problems import Problem, command
from safetwilio.rules import check_account_sid, check_emulated, check_region_or_edge, describe
from safetwilio.store import CredentialStore

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from safetwilio.admin.keys import NewKey
    from safetwilio.backends.interface import WritableBackend
    from safetwilio.clients.probe import KeyProof

_PREFIX = "safetwilio"
_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9_.-]+")
_ANYONE = "app"
_LONGEST_ALIAS = 16
_SUFFIX_BYTES = 2
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


class _Address(NamedTuple):
    """The region and edge that the program's own client will use; a key is good in one region."""

    region: str | None
    edge: str | None


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
    _require_sound(account_sid, token)
    address = _address(account)
    backend.require_writable()
    prefix = _name_prefix(service, account)
    name = _key_name(prefix)
    with break_glass(reason=f"safetwilio init: make the API key {name}"):
        admin = _admin(account_sid, token, address)
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


def _require_sound(account_sid: str, token: SecretStr) -> None:
    """Raise all that can be said about the two without asking Twilio."""
    problem = _check_token(token.get_secret_value())
    try:
        require_account_sid(account_sid)
    except InvalidCredentials as error:
        found = [*error.problems, *([problem] if problem else [])]
    else:
        found = [problem] if problem else []
    if found:
        raise InvalidCredentials(found)


def _check_token(text: str) -> Problem | None:
    placeholder = shapes.is_placeholder(text)
    if shapes.is_auth_token(text) and not placeholder:
        return None
    if placeholder:
        return Problem(
            code="ST208",
            summary="The Auth Token is a placeholder.",
            found_in=(f"the Auth Token ({describe(text)})",),
            fix="Give the real one: show it on the first page of https://console.twilio.com, and "
            "copy it from there.",
        )
    return Problem(
        code="ST220",
        summary="The Auth Token is malformed.",
        found_in=(f"the Auth Token ({describe(text)})",),
        fix="An Auth Token is 32 hexadecimal digits. Copy it again from the first page of "
        "https://console.twilio.com.",
    )


def _address(account: str | None) -> _Address:
    """Return where the program's client for *account* will send its requests."""
    surroundings = env.document(account)
    found = {name: surroundings.field(name, account) for name in _Address._fields}
    values = {name: value for name, value in found.items() if value is not None}
    problems = [
        problem
        for name, value in values.items()
        if (problem := check_region_or_edge(name, value.reveal(), value.place)) is not None
    ]
    if problems:
        raise InvalidCredentials(problems)
    return _Address(**{n: values[n].reveal() if n in values else None for n in found})


def _admin(account_sid: str, token: SecretStr, address: _Address) -> TwilioClient:
    # The mapping keeps the client from reading the default account's region for a named account.
    return TwilioClient(
        account_sid,
        token.get_secret_value(),
        account_sid,
        region=address.region,
        edge=address.edge,
        environment={"TWILIO_REGION": "", "TWILIO_EDGE": ""},
    )


def _name_prefix(service: str, account: str | None) -> str:
    """Return how the names of this service's keys begin, of another account's never."""
    owner = f"@{account[:_LONGEST_ALIAS]}" if account else ""  # no service has an @
    room = LONGEST_NAME - len(_key_name(f"{_PREFIX}/{owner}/"))
    return f"{_PREFIX}/{_NOT_IN_A_NAME.sub('-', service).strip('-')[:room] or _ANYONE}{owner}/"


def _key_name(prefix: str) -> str:
    """Return a name for a key made now; two made in the same second differ."""
    now = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    return f"{prefix}{now}-{secrets.token_hex(_SUFFIX_BYTES)}"


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
    address: _Address,
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


def service_of(directory: str | None = None) -> str:
    """Return a service name from the name of *directory* (default: the current one)."""
    try:
        where = os.path.abspath(directory or os.getcwd())  # noqa: PTH100, PTH109
    except FileNotFoundError:  # the current directory was deleted
        return _ANYONE
    return os.path.basename(where) or _ANYONE  # noqa: PTH119
