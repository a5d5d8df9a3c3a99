"""``WebhookSettings``: what webhooks are signed with, and the URL that they are sent to.

The Auth Token is read here and nowhere else, and it leaves only as
:class:`safetwilio.webhooks.SigningSecrets`, which nothing makes a client of.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, Self

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, SecretStr

from safetwilio.backends import env
from safetwilio.backends.chain import load
from safetwilio.backends.documents import SIGNING, asking_for, variable
from safetwilio.backends.interface import Absent, Record, Value, seal
from safetwilio.backends.locate import parse, passed_over, signing_references
from safetwilio.credentials import refuse_pickle
from safetwilio.errors import ConfigurationError, configuration_error
from safetwilio.problems import Problem, faults, for_account
from safetwilio.refresh_policy import FOREVER, RefreshPolicy
from safetwilio.settings import refuse_change, require_account_name
from safetwilio.validation import QuietValidation
from safetwilio.webhooks import SigningSecrets, Verifier
from safetwilio.webhooks.signing import check_auth_token, check_shared_keys, missing
from safetwilio.webhooks.urls import as_tuple, check_proxies, check_public_url, shown_url

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from safetwilio.backends.locate import Reference
    from safetwilio.problems import Attempt

_ARGUMENTS, _ENVIRONMENT = "arguments", "env"
_TOKEN, _SECONDARY = _TOKENS = ("webhook_auth_token", "webhook_secondary_auth_token")
_KEYS, _URL = "webhook_shared_keys", "webhook_public_url"
_BETWEEN = re.compile(r"[\s,]+")


class _Origin(NamedTuple):
    """What the settings were resolved from, and is asked again by :meth:`reload`."""

    backend: str | None
    account: str | None
    given: Mapping[str, Value]
    shared_keys: Mapping[str, SecretStr]
    proxies: tuple[str, ...]
    shared_keys_only: bool


class _Resolved(NamedTuple):
    """What was found; with a fault among the *problems*, nothing."""

    fields: Mapping[str, Any]
    source: str
    version: str | None
    problems: tuple[Problem, ...]
    broken: type[ConfigurationError] | None = None
    refresh: RefreshPolicy = FOREVER


class WebhookSettings(QuietValidation, BaseModel):
    """What the webhooks of one account are signed with, checked whole when the object is made.

    ``TWILIO_WEBHOOK_AUTH_TOKEN`` (also ``TWILIO_AUTH_TOKEN``), during a rotation
    ``TWILIO_WEBHOOK_SECONDARY_AUTH_TOKEN``, and ``TWILIO_WEBHOOK_SHARED_KEYS``
    (``webhooks_sharedkey_…=SECRET``, several with commas) come from the backends that
    ``SAFETWILIO_WEBHOOK_BACKEND`` names, else from those of the API key. They serve nothing but
    the :meth:`verifier`.

    :raises ConfigurationError: ST410 without any secret, ST411 for one that cannot be right, ST412
        for the public URL, ST413 for the proxies, ST211 for two different values, ST3xx for a
        backend; all at once and without any value.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    auth_token: SecretStr | None = Field(default=None, repr=False)
    secondary_auth_token: SecretStr | None = Field(default=None, repr=False)
    shared_keys: dict[str, SecretStr] = Field(default_factory=dict, repr=False)
    public_url: str | None = None
    proxies: tuple[str, ...] = ()
    shared_keys_only: bool = False

    _source: str = PrivateAttr(default="")
    _version: str | None = PrivateAttr(default=None)
    _warnings: tuple[Problem, ...] = PrivateAttr(default=())
    _origin: _Origin = PrivateAttr()
    _refresh: RefreshPolicy = PrivateAttr(default=FOREVER)

    def __init__(  # noqa: PLR0913 - what can be set
        self,
        *,
        auth_token: SecretStr | str | None = None,
        secondary_auth_token: SecretStr | str | None = None,
        shared_keys: Mapping[str, SecretStr | str] | None = None,
        public_url: str | None = None,
        proxies: Sequence[str] = (),
        shared_keys_only: bool = False,
        _backend: str | None = None,
        _account: str | None = None,
    ) -> None:
        """Load from *_backend* (references as in ``SAFETWILIO_BACKEND``) for *_account*.

        An *auth_token* or *shared_keys* that are given are used as they are, and no backend is
        asked; so is a *public_url*, which wins over ``TWILIO_WEBHOOK_PUBLIC_URL``. *proxies* are
        the networks (``10.0.0.0/8``) whose forwarded headers count where there is no public URL.
        With *shared_keys_only* no Auth Token is kept, and none is accepted.
        """
        given = {
            name: _sealed(value, f"the argument {argument}")
            for name, argument, value in (
                (_TOKEN, "auth_token", auth_token),
                (_SECONDARY, "secondary_auth_token", secondary_auth_token),
                (_URL, "public_url", public_url),
            )
            if value is not None and not (shared_keys_only and name in _TOKENS)
        }
        keys = _sealed_keys(shared_keys)
        del auth_token, secondary_auth_token, shared_keys, public_url
        account = None if _account is None else require_account_name(_account)
        networks = tuple(str(network) for network in as_tuple(proxies))
        origin = _Origin(_backend, account, given, keys, networks, shared_keys_only)
        del _backend
        resolved = _resolve(origin)
        if faults(resolved.problems):
            problems, broken = resolved.problems, resolved.broken
            del resolved, origin, given, keys
            raise configuration_error(problems, broken, account=account)
        super().__init__(**resolved.fields)
        self._source, self._version = resolved.source, resolved.version
        self._warnings = for_account(resolved.problems, account)
        self._origin = origin
        self._refresh = resolved.refresh

    def __setattr__(self, name: str, value: Any) -> None:
        if name in type(self).model_fields:  # pydantic's own error quotes the value
            del value
            refuse_change(self, name)
        super().__setattr__(name, value)

    @property
    def source(self) -> str:
        """The reference of the backend that held the secrets, such as ``dotenv:.env``."""
        return self._source

    @property
    def version(self) -> str | None:
        """The version of the document there, if the backend has versions."""
        return self._version

    @property
    def warnings(self) -> tuple[Problem, ...]:
        """What is not wrong enough to stop the boot."""
        return self._warnings

    @property
    def refresh_policy(self) -> RefreshPolicy:
        """How old the secrets may be, as the environment says."""
        return self._refresh

    def secrets(self) -> SigningSecrets:
        """Return what a :class:`safetwilio.webhooks.Verifier` takes."""
        tokens = (self.auth_token, self.secondary_auth_token)
        return SigningSecrets([token for token in tokens if token is not None], self.shared_keys)

    def verifier(self) -> Verifier:
        """Return a verifier with these secrets, which stay what they are."""
        current = self.secrets()
        return Verifier(lambda: current, shared_keys_only=self.shared_keys_only)

    def reload(self) -> Self:
        """Return settings with what is in the same place now; these stay what they are.

        Raises what making them does (:class:`safetwilio.errors.ConfigurationError`).
        """
        backend, account, given, keys, proxies, only = self._origin
        return type(self)(
            auth_token=_secret(given, _TOKEN),
            secondary_auth_token=_secret(given, _SECONDARY),
            shared_keys=keys,
            public_url=given[_URL].reveal() if _URL in given else None,
            proxies=proxies,
            shared_keys_only=only,
            _backend=backend,
            _account=account,
        )

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        """Show how many secrets there are, and where they are from."""
        if "auth_token" not in self.__dict__:  # a traceback may show one that was refused
            return
        yield "auth_tokens", (self.auth_token is not None) + (self.secondary_auth_token is not None)
        yield "shared_keys", len(self.shared_keys)
        yield "source", self._source
        for name, value in super().__repr_args__():
            yield name, shown_url(value) if name == "public_url" else value

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        """Refuse to be pickled (ST803)."""
        refuse_pickle("WebhookSettings")


def references_of(settings: WebhookSettings) -> tuple[Reference, ...]:
    """Return where the secrets of *settings* are looked for; nowhere, if they were arguments.

    Raises :class:`safetwilio.errors.BackendError` (ST302) for a reference that cannot be read.
    """
    origin = settings._origin  # noqa: SLF001 - of this room
    return () if _is_given(origin) else _references(origin)


def name_of(settings: WebhookSettings) -> str | None:
    """Return the name of the account that *settings* are of, ``None`` for the default one."""
    return settings._origin.account  # noqa: SLF001 - of this room


def _is_given(origin: _Origin) -> bool:
    return _TOKEN in origin.given or bool(origin.shared_keys)


def _references(origin: _Origin) -> tuple[Reference, ...]:
    if origin.backend:
        return parse(origin.backend, place="the argument _backend")
    return signing_references(origin.account, os.environ)


def _resolve(origin: _Origin) -> _Resolved:
    """Return the fields that *origin* leads to, or all problems on the way."""
    with asking_for(SIGNING):
        surroundings = env.document(origin.account)
        url = None if _URL in origin.given else surroundings.field(_URL, origin.account)
        record, problems, broken = _record(origin)
    refresh, unreadable = RefreshPolicy.read(os.environ)
    problems += [*surroundings.problems, *unreadable]
    found = {**({_URL: url} if url else {}), **record.fields, **origin.given}
    keys = {**origin.shared_keys, **_parsed(found.pop(_KEYS, None), problems)}
    if origin.shared_keys_only:
        found = {name: value for name, value in found.items() if name not in _TOKENS}
    for name in _TOKENS:
        if name in found:
            problems += check_auth_token(SecretStr(found[name].reveal()), found[name].place)
    if _URL in found:
        problems += check_public_url(found[_URL].reveal(), found[_URL].place)
    problems += check_proxies(origin.proxies)
    if not faults(problems) and not keys and _TOKEN not in found:
        problems.append(_missing(origin))
    if faults(problems):
        return _Resolved({}, "", None, tuple(dict.fromkeys(problems)), broken)
    fields = {
        "auth_token": _secret(found, _TOKEN),
        "secondary_auth_token": _secret(found, _SECONDARY),
        "shared_keys": keys,
        "public_url": found[_URL].reveal() if _URL in found else None,
        "proxies": origin.proxies,
        "shared_keys_only": origin.shared_keys_only,
    }
    if record.source in {_ARGUMENTS, _ENVIRONMENT}:  # only the process itself changes these
        refresh = FOREVER
    said = tuple(dict.fromkeys(problems))
    return _Resolved(fields, record.source, record.version, said, refresh=refresh)


def _record(
    origin: _Origin,
) -> tuple[Record, list[Problem], type[ConfigurationError] | None]:
    """Return the record with the secrets, or an empty one and why there is none."""
    if _is_given(origin):
        return Record(_ARGUMENTS, {}), check_shared_keys(origin.shared_keys), None
    try:
        answer = load(_references(origin), origin.account)
    except ConfigurationError as error:
        return Record("", {}), list(error.problems), type(error)
    if isinstance(answer, Absent):
        places = answer.attempts
        if not origin.backend:
            places += passed_over(origin.account, os.environ)
        return Record("", {}), [*answer.problems, _missing(origin, places)], None
    return answer.record, list(answer.record.problems), None


def _missing(origin: _Origin, looked_in: tuple[Attempt, ...] = ()) -> Problem:
    """Return that there is no secret, with the names to put one under."""
    token = (
        ""
        if origin.shared_keys_only
        else f"{variable(_TOKEN, origin.account)} to the Auth Token of the account that the "
        "webhook belongs to, or "
    )
    return missing(looked_in)._replace(
        fix=f"Set {token}{variable(_KEYS, origin.account)} to ID=SECRET of a SharedKey. Without "
        "one nobody can tell Twilio's requests from others."
    )


def _parsed(value: Value | None, problems: list[Problem]) -> dict[str, SecretStr]:
    """Return the SharedKeys that the text *value* lists; what is wrong goes to *problems*."""
    if value is None:
        return {}
    keys: dict[str, SecretStr] = {}
    for number, entry in enumerate(filter(None, _BETWEEN.split(value.reveal())), 1):
        name, _, secret = entry.partition("=")
        place = f"{value.place}, SharedKey {number}"
        if not secret or name in keys:  # without an id the whole may be a secret
            name, secret = " " * number, secret or entry  # a name that is refused
        keys[name] = seal(secret, place, secret=True).secret
    problems += check_shared_keys(keys or {"": SecretStr("")}, value.place)
    return keys


def _secret(found: Mapping[str, Value], name: str) -> SecretStr | None:
    return SecretStr(found[name].reveal()) if name in found else None


def _sealed_keys(shared_keys: Any) -> dict[str, SecretStr]:
    """Return *shared_keys* sealed; what is no mapping is one key, with an id that is refused."""
    named = shared_keys if isinstance(shared_keys, Mapping) else {"": str(shared_keys)}
    return {
        str(name): _sealed(value, f"the argument shared_keys, {name}").secret
        for name, value in (named if shared_keys else {}).items()
    }


def _sealed(value: SecretStr | str, place: str) -> Value:
    text = value.get_secret_value() if isinstance(value, SecretStr) else str(value)
    return seal(text, place, secret=not place.endswith("public_url"))
