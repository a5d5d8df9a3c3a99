"""The state of this process: the street is walked once for each account, and the result kept.

Everything here is guarded by one lock and made anew in a forked child only where it must be: the
snapshots and settings are immutable and stay valid, connections are the transport's affair.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Literal, NamedTuple

from safetwilio.clients.rest import TwilioClient
from safetwilio.credentials import mask
from safetwilio.errors import (
    BackendError,
    ConfigurationError,
    InvalidCredentials,
    MasterTokenInUse,
    UsageError,
)
from safetwilio.policy import broken_glass
from safetwilio.problems import Problem, for_account, render_one
from safetwilio.process_state import (
    AccountHealth,
    Health,
    is_used_no_more,
    receivers,
    webhook_health,
)
from safetwilio.redaction import health as redaction_health
from safetwilio.redaction import install as install_redaction
from safetwilio.settings import TwilioSettings, require_account_name
from safetwilio.store import CredentialStore

if TYPE_CHECKING:
    from safetwilio.credentials import ApiKey, KeyType
    from safetwilio.refreshed import Event

_log = logging.getLogger("safetwilio")

DEFAULT = "default"
SWITCH = "SAFETWILIO_BOOT"
HEARTBEAT = "SAFETWILIO_HEARTBEAT"
Requirement = Literal["restricted"]


class _Account(NamedTuple):
    settings: TwilioSettings
    store: CredentialStore
    client: TwilioClient


_lock = threading.RLock()
_configured: dict[str, TwilioSettings] = {}
_accounts: dict[str, _Account] = {}
_proven: dict[str, KeyType | None] = {}
_refused: dict[str, ConfigurationError] = {}


def configure(settings: TwilioSettings, *, account: str | None = None) -> None:
    """Use *settings* for *account* (default: the default account) when the process boots.

    Raises :class:`safetwilio.errors.UsageError` (ST903) once that account has booted, and for
    anything but :class:`~safetwilio.settings.TwilioSettings`.
    """
    name = _name(account)
    if not isinstance(settings, TwilioSettings):
        kind = type(settings).__name__
        del settings
        raise UsageError(f"configure() takes TwilioSettings, not a {kind}.", code="ST903")
    with _lock:
        if name in _accounts:
            raise UsageError(
                "configure() came after the boot; call it before the first use of the client, or "
                "reset() first (in tests).",
                code="ST903",
            )
        _configured[name] = settings


def boot(*, verify: bool = False, require: Requirement | None = None) -> Health:
    """Load and check the credentials of the default account, once; install redaction.

    With *verify* Twilio is asked whether the key is alive (ST320 to ST322) and of what kind it is;
    a Main key is refused (ST503). ``require="restricted"`` insists on a Restricted key (ST504),
    asking Twilio if the document does not say. Raises
    :class:`safetwilio.errors.ConfigurationError` (ST1xx to ST5xx) with every problem at once.
    With ``SAFETWILIO_BOOT=off`` nothing is loaded, and a WARNING in the log says so. Any other
    *require* raises :class:`safetwilio.errors.UsageError` (ST900).
    """
    if require not in (None, "restricted"):  # a misspelt demand must not pass as none
        raise UsageError('boot(require=...) takes "restricted" or None.', code="ST900")
    if is_switched_off():
        _log.warning("%s=off: nothing was loaded or verified", SWITCH)
        return health()
    if verify or require:
        _refused.pop(DEFAULT, None)  # it is examined again
    account = get_account(None)
    if verify or (require and account.store.current().key_type is None):
        _prove(DEFAULT, account)
    if require == "restricted":
        _require_restricted(DEFAULT, account)
    return health()


def get_account(account: str | None) -> _Account:
    """Return the booted *account*, walking the street for it if nobody has yet."""
    name = _name(account)
    known = _accounts.get(name)
    if known is not None:
        return known
    with _lock:
        known = _accounts.get(name)
        if known is not None:
            return known
        if name in _refused:
            raise _refused[name].of_account(_alias(name))
        made = _accounts[name] = _walk(name)
    _tell(made)  # without the lock: a handler may use the client
    _beat(name)
    return made


def refresh(account: str | None = None) -> bool:
    """Load the key of *account* anew, and return whether it is another one now.

    Every client uses it from its next request on. At the same moment one load serves all callers.
    Raises what a boot raises (:class:`safetwilio.errors.ConfigurationError`, ST1xx to ST5xx), and
    ST224 if the place holds the key of another account now; the old key then stays in use.
    """
    name = _name(account)
    booted = get_account(account)
    failure: ConfigurationError | None = None
    changed = False
    try:
        changed = booted.store.refresh()
    except ConfigurationError as error:
        failure = error.of_account(_alias(name), is_running=True)
    if failure is not None:
        raise failure
    return changed


def get_key_type(account: str | None) -> KeyType | None:
    """Return of what kind *account*'s key is, if the document or a verification said it."""
    return get_account(account).store.current().key_type or _proven.get(_name(account))


def health() -> Health:
    """Return what is loaded, from where and how old, and how redaction is doing.

    Nothing is asked, but what is stale is looked for in a thread, as a request would do.
    """
    now = time.time()
    with _lock:
        accounts = tuple(
            _account_health(name, account, now) for name, account in sorted(_accounts.items())
        )
    return Health(bool(accounts), accounts, redaction_health(), webhook_health())


def booted_accounts() -> tuple[str, ...]:
    """Return the names of the accounts that have booted."""
    with _lock:
        return tuple(sorted(_accounts))


def reset() -> None:
    """Forget settings, keys and clients, so that the next use boots anew; for tests.

    Receivers forget what webhooks are signed with. Redaction stays installed and goes on masking
    what was loaded.
    """
    with _lock:
        _configured.clear()
        _accounts.clear()
        _proven.clear()
        _refused.clear()
    for each in receivers():
        each.reset()


def is_switched_off() -> bool:
    """Return whether ``SAFETWILIO_BOOT=off`` keeps imports from booting (image builds)."""
    return os.environ.get(SWITCH, "").strip().lower() in {"off", "0", "false", "no"}


def require_switched_on(happened: str) -> None:
    """Raise :class:`UsageError` (ST904) with ``SAFETWILIO_BOOT=off``; say what *happened*."""
    if is_switched_off():
        raise UsageError(
            f"{SWITCH}=off: {happened} in a process that must not boot, such as an image build or "
            "a management command that loads nothing. Unset the variable where the program runs.",
            code="ST904",
        )


def _name(account: str | None) -> str:
    return DEFAULT if account is None else require_account_name(account)


def _alias(name: str) -> str | None:
    return None if name == DEFAULT else name


def _walk(name: str) -> _Account:
    require_switched_on("the Twilio client was used")
    install_redaction()
    settings = _configured.get(name) or TwilioSettings(_account=_alias(name))
    store = CredentialStore(
        settings.credentials(),
        settings.reload if settings.can_reload else None,
        policy=settings.refresh_policy,
        tell=partial(_tell_of_refresh, name),
        seen=partial(_beat, name),
    )
    client = TwilioClient.from_store(store, region=settings.region, edge=settings.edge)
    return _Account(settings, store, client)


def _tell(account: _Account) -> None:
    for warning in account.settings.warnings:
        _log.warning("%s", render_one(warning))
    _say("loaded", account.store.current())


def _tell_of_refresh(
    name: str, event: Event, key: ApiKey, error: ConfigurationError | None
) -> None:
    if event == "replaced":
        _proven.pop(name, None)
        _say("replaced", key)
    elif error is not None:
        _log.warning("%s", error.of_account(_alias(name), is_running=True))
    else:
        _say("can be looked for again; in use is", key)


def _beat(name: str) -> None:
    """Tell which key the account *name* uses, where somebody wants to know."""
    account = _accounts.get(name)
    if account is not None and os.environ.get(HEARTBEAT):
        from safetwilio import heartbeat

        heartbeat.beat(name, account.store.current, account.store.policy.age)


def _say(what: str, key: ApiKey) -> None:
    _log.info(
        "Twilio credentials %s: key %s of account %s from %s",
        what,
        mask("key", key.sid),
        mask("account", key.account_sid),
        key.origin,
    )


def _prove(name: str, account: _Account) -> None:
    from safetwilio.clients.probe import prove

    key, settings = account.store.current(), account.settings
    failure: ConfigurationError | None = None
    # A client of its own asks with this key and no other, whatever Twilio answers.
    asking = TwilioClient.from_store(
        CredentialStore(key),
        region=settings.region,
        edge=settings.edge,
        http_client=account.client.http_client,
    )
    try:
        proof = prove(asking, key, validation_url=settings.validation_url)
    except ConfigurationError as error:
        failure = error.of_account(_alias(name))
    else:
        if account.store.current().is_same_as(key):  # it may have been replaced meanwhile
            _proven[name] = proof.kind
        if proof.kind == "main" and broken_glass() is None:
            failure = MasterTokenInUse([_main_key(key.origin)], account=_alias(name))
    if failure is None:
        return
    if not isinstance(failure, BackendError):  # Twilio was reached, and the key is no good
        _refuse(name, failure)
    raise failure


def _main_key(origin: str) -> Problem:
    return Problem(
        code="ST503",
        summary="The API key is a Main key, which opens the whole account.",
        found_in=(f"loaded from {origin}; Twilio says so",),
        fix="Use a Standard or Restricted key: safetwilio init",
    )


def _require_restricted(name: str, account: _Account) -> None:
    kind = account.store.current().key_type or _proven.get(name)
    if kind == "restricted":
        return
    error = InvalidCredentials(
        [
            Problem(
                code="ST504",
                summary="The API key is not a Restricted key, and this program insists on one.",
                found_in=(
                    f"loaded from {account.store.current().origin} (kind: {kind or 'unknown'})",
                ),
                fix="Make a Restricted key with just the permissions this program needs, in the "
                "Console or through the API, and put it there.",
            )
        ],
        account=_alias(name),
    )
    _refuse(name, error)
    raise error


def _refuse(name: str, error: ConfigurationError) -> None:
    """Let the account *name* raise *error* from now on: a refused key must serve no later import.

    Until ``reset()``, or until ``boot(verify=True)`` finds a better one.
    """
    with _lock:
        _accounts.pop(name, None)
        _refused[name] = error


def _account_health(name: str, account: _Account, now: float) -> AccountHealth:
    key, warnings = account.store.current(), account.settings.warnings
    if os.environ.get(HEARTBEAT):
        from safetwilio import heartbeat

        warnings = (*warnings, *heartbeat.problems())
    return AccountHealth(
        name=name,
        account=mask("account", key.account_sid),
        key=mask("key", key.sid),
        source=key.source,
        version=key.version,
        age=max(0.0, now - account.store.loaded_at),
        key_type=key.key_type or _proven.get(name),
        warnings=warnings,
        not_refreshed=for_account(account.store.not_refreshed, _alias(name)),
        is_stale=is_used_no_more(account.store),
    )


def _after_fork() -> None:
    """Give the child a lock of its own: the parent's may be held by a thread that is not here."""
    global _lock  # noqa: PLW0603
    _lock = threading.RLock()
    if os.environ.get(HEARTBEAT):
        for account in _accounts.values():
            account.store.show_next_use()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
