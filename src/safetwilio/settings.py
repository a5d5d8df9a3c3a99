"""``TwilioSettings``: the validated form of what the backends returned.

Everything that can be wrong is collected as problems and raised as one
:class:`safetwilio.errors.ConfigurationError`; pydantic's own ``ValidationError``, which prints
inputs, never leaves this module.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn
from urllib.parse import quote

from pydantic import AliasChoices, Field, PrivateAttr, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from safetwilio.backends.documents import PAIR
from safetwilio.backends.locate import names_backend, parse, references
from safetwilio.credentials import ApiKey, KeyType, mask, refuse_pickle
from safetwilio.errors import UsageError, configuration_error
from safetwilio.problems import Problem, faults, for_account
from safetwilio.refresh_policy import FOREVER, RefreshPolicy
from safetwilio.resolution import Resolved, resolve
from safetwilio.shapes import is_auth_token, is_key_secret
from safetwilio.validation import QuietValidation, not_valid

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pydantic_settings import PydanticBaseSettingsSource

    from safetwilio.backends.interface import Value
    from safetwilio.backends.locate import Reference

_ACCOUNT_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,39}")
_TAKEN = re.compile(r"default|(.*_)?webhook", re.IGNORECASE)
_NAMED_FIELD = re.compile(r'field "(\w+)"')
_CREDENTIALS = ("account_sid", "api_key", "api_secret")
_OWN_ARGUMENTS = {
    "account_sid": "account_sid",
    "api_key": "key_sid",
    "api_secret": "secret",
    "region": "region",
    "edge": "edge",
    "key_type": "key_type",
    "validation_url": "validation_url",
}


class _Origin(NamedTuple):
    """What the settings were resolved from, in the order that ``resolve`` takes."""

    account: str | None
    backend: str | None
    arguments: Mapping[str, Value]


class TwilioSettings(QuietValidation, BaseSettings):
    """The Twilio credentials of one account, checked whole when the object is made.

    Use it alone, subclass it, or nest it: ``twilio: TwilioSettings =
    Field(default_factory=TwilioSettings)``. Raises :class:`safetwilio.errors.ConfigurationError`
    (ST1xx to ST5xx) with every problem at once and without any value.
    """

    model_config = SettingsConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)

    # The default is spelt out, or type checkers would want these as arguments of a subclass.
    account_sid: str = Field(default=..., repr=False)
    api_key: str = Field(default=..., repr=False)
    api_secret: SecretStr = Field(default=..., repr=False)
    region: str | None = None
    edge: str | None = None
    key_type: KeyType | None = None
    validation_url: str | None = Field(default=None, repr=False)
    emulator: str | None = None

    _source: str = PrivateAttr(default="")
    _version: str | None = PrivateAttr(default=None)
    _warnings: tuple[Problem, ...] = PrivateAttr(default=())
    _origin: _Origin | None = PrivateAttr(default=None)
    _refresh: RefreshPolicy = PrivateAttr(default=FOREVER)

    def __init__(
        self, *, _backend: str | None = None, _account: str | None = None, **values: Any
    ) -> None:
        """Load from *_backend* (references as in ``SAFETWILIO_BACKEND``) for *_account*.

        Without *_backend* the environment decides. *values* given by name (``account_sid``,
        ``api_key``, ``api_secret``, …) win over every backend and are checked alike; other values
        go to the fields of a subclass. ``_env_file`` names the ``.env`` file to look in.
        """
        account = None if _account is None else require_account_name(_account)
        arguments = self._take_arguments(values)
        backend = _backend or self._env_file_chain(values, account)
        resolved = resolve(account, backend, arguments)
        problems = resolved.problems
        if not faults(problems):
            problems = (*problems, *self._initialise(values, resolved))
        if faults(problems):
            failure = configuration_error(problems, resolved.broken, account=account)
            # What tracebacks with locals may show of this frame holds nothing to hide.
            del _backend, backend, values, arguments, resolved
            raise failure
        self._source, self._version = resolved.source, resolved.version
        self._warnings = for_account(problems, account)
        self._refresh = resolved.refresh
        if not arguments.keys() & set(PAIR):
            self._origin = _Origin(account, backend, arguments)

    def _initialise(self, values: Mapping[str, Any], resolved: Resolved) -> tuple[Problem, ...]:
        try:
            own = {self._input_name(name): value for name, value in resolved.fields.items()}
            super().__init__(**{**values, **own})
        except ValidationError as error:
            return tuple(self._own_field_problems(error))
        except SettingsError as error:  # its cause holds what could not be parsed
            name = _NAMED_FIELD.search(str(error))
            return (not_valid(name[1] if name else "the settings", "unreadable JSON"),)
        # A subclass may put its sources in another order; a variable API_KEY is still not ours.
        self.__dict__.update({name: resolved.fields[name] for name in _CREDENTIALS})
        return ()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        *others: PydanticBaseSettingsSource,
        **named: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Let pydantic-settings look only for the fields that a subclass adds.

        The Twilio fields are resolved already; a variable ``API_KEY`` is not ours to read.
        """
        if settings_cls.model_fields.keys() == TwilioSettings.model_fields.keys():
            return (init_settings,)
        return super().settings_customise_sources(settings_cls, init_settings, *others, **named)

    @classmethod
    def _input_name(cls, field: str) -> str:
        """Return the name by which pydantic takes our *field*; a subclass may give aliases."""
        alias = cls.model_fields[field].validation_alias
        config = cls.model_config
        if config.get("populate_by_name") or config.get("validate_by_name"):
            return field
        if isinstance(alias, AliasChoices):
            alias = next((choice for choice in alias.choices if isinstance(choice, str)), None)
        return alias if isinstance(alias, str) else field

    @classmethod
    def _take_arguments(cls, values: dict[str, Any]) -> dict[str, Value]:
        """Move our fields out of *values*, sealed, so that no frame below holds one in clear."""
        from safetwilio.backends.interface import seal

        taken: dict[str, Value] = {}
        for argument, field in _OWN_ARGUMENTS.items():
            for name in dict.fromkeys((cls._input_name(argument), argument)):
                given = values.pop(name, None)
                if given is None:
                    continue
                text = given.get_secret_value() if isinstance(given, SecretStr) else str(given)
                taken[field] = seal(text, f"the argument {name}", secret=field == "secret")
        for name in (cls._input_name("emulator"), "emulator"):
            values.pop(name, None)  # only the process environment may name one
        return taken

    @classmethod
    def _env_file_chain(cls, values: Mapping[str, Any], account: str | None) -> str | None:
        """Return the chain for the ``.env`` file that pydantic-settings was told to read, if any.

        Whoever names a file for their own fields expects the Twilio fields to be found in it too;
        whoever says ``_env_file=None`` wants none to be read.
        """
        env_file = values.get("_env_file", cls.model_config.get("env_file"))
        if (not env_file and "_env_file" not in values) or names_backend(account, os.environ):
            return None
        paths = [env_file] if isinstance(env_file, (str, os.PathLike)) else list(env_file or ())
        expanded = [os.path.expanduser(os.fspath(path)) for path in reversed(paths)]  # noqa: PTH111
        return ",".join(["env", *(f"dotenv:{quote(path)}" for path in expanded)])

    @classmethod
    def _own_field_problems(cls, error: ValidationError) -> Iterable[Problem]:
        """Translate *error* for the fields of a subclass by type and name alone.

        pydantic's messages may quote the input, its ``errors()`` always hold it, and what comes
        after the field in a location may be a key of the user's own mapping.
        """
        prefix = cls.model_config.get("env_prefix") or ""
        forbidden = []
        for detail in error.errors(include_url=False, include_context=False, include_input=False):
            name = str(detail["loc"][0]) if detail["loc"] else "the settings"
            if detail["type"] == "missing" and len(detail["loc"]) == 1:
                by_name = name in cls.model_fields  # and not by an alias, which takes no prefix
                yield _missing(name, prefix + name if by_name else name)
            elif detail["type"] == "extra_forbidden" and len(detail["loc"]) == 1:
                forbidden.append(name)
            else:
                yield not_valid(name, detail["type"])
        if forbidden:
            yield _unknown(forbidden)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in TwilioSettings.model_fields:  # pydantic's own error quotes the value
            del value
            refuse_change(self, name)
        super().__setattr__(name, value)

    @property
    def source(self) -> str:
        """The reference of the backend that held the key, such as ``dotenv:.env``."""
        return self._source

    @property
    def version(self) -> str | None:
        """The version of the document there, if the backend has versions."""
        return self._version

    @property
    def warnings(self) -> tuple[Problem, ...]:
        """What is not wrong enough to stop the boot."""
        return self._warnings

    def credentials(self) -> ApiKey:
        """Return the key as the value that the store and the clients hold."""
        return ApiKey(
            self.account_sid,
            self.api_key,
            self.api_secret.get_secret_value(),
            source=self._source,
            version=self._version,
            key_type=self.key_type,
        )

    @property
    def refresh_policy(self) -> RefreshPolicy:
        """How old the key may be, as the environment says."""
        return self._refresh

    @property
    def can_reload(self) -> bool:
        """Whether the key came from a backend, which may hold another one by now."""
        return self._origin is not None

    def reload(self) -> ApiKey:
        """Return the key that is in the same place now; these settings stay what they are.

        A key that was given as arguments is returned as it is. Raises
        :class:`safetwilio.errors.ConfigurationError` (ST1xx to ST5xx) as making them does.
        """
        if self._origin is None:
            return self.credentials()
        resolved = resolve(*self._origin)
        if faults(resolved.problems):  # then there are no fields for a traceback to show
            raise configuration_error(
                resolved.problems, resolved.broken, account=self._origin.account
            )
        fields = resolved.fields
        return ApiKey(
            fields["account_sid"],
            fields["api_key"],
            fields["api_secret"].get_secret_value(),
            source=resolved.source,
            version=resolved.version,
            key_type=fields["key_type"],
        )

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        """Show fingerprints in place of SIDs; the secret not at all."""
        if "account_sid" not in self.__dict__:  # a traceback may show one that was refused
            return
        yield "account", mask("account", self.account_sid)
        yield "key", mask("key", self.api_key)
        yield "source", self._source
        yield from super().__repr_args__()

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        """Refuse to be pickled (ST803)."""
        refuse_pickle("TwilioSettings")


def references_of(settings: TwilioSettings) -> tuple[Reference, ...]:
    """Return where the key of *settings* is looked for; nowhere, if it was given as arguments.

    Raises :class:`safetwilio.errors.BackendError` (ST302) for a reference that cannot be read.
    """
    origin = settings._origin  # noqa: SLF001 - of this room
    if origin is None:
        return ()
    if origin.backend:
        return parse(origin.backend, place="the argument backend")
    return references(origin.account, os.environ)


def refuse_change(settings: object, name: str) -> NoReturn:
    """Raise :class:`UsageError` (ST903): the field *name* of *settings* is not changed."""
    raise UsageError(
        f"{type(settings).__name__}.{name} is not changed: make new settings, or reload() them.",
        code="ST903",
    )


def require_account_name(name: str) -> str:
    """Return *name* in lower case, or raise :class:`UsageError` (ST906) if it cannot be one."""
    if not _ACCOUNT_NAME.fullmatch(name) or _TAKEN.fullmatch(name) or is_auth_token(name):
        raise UsageError(
            "An account name is a letter followed by up to 39 letters, digits or underscores, "
            'such as get_client("marketing"); it becomes a part of TWILIO_MARKETING_API_KEY. '
            '"default" is no name: that account is get_client(); and none ends in "webhook": '
            "TWILIO_WEBHOOK_AUTH_TOKEN is what webhooks are signed with.",
            code="ST906",
        )
    return name.lower()


def _missing(name: str, variable: str) -> Problem:
    return Problem(
        code="ST106",
        summary=f'The setting "{name}" of this application is missing.',
        fix=f'Set the environment variable {variable.upper()}, or give "{name}" a default.',
    )


def _unknown(names: Sequence[str]) -> Problem:
    """Return the fault that nothing is called so; a line of a ``.env`` may be a secret itself."""
    shown = [f"one of {len(n)} characters" if is_key_secret(n) else f'"{n}"' for n in names]
    return Problem(
        code="ST219",
        summary='This application declares no such setting, and extra="forbid" refuses it.',
        found_in=tuple(shown),
        fix='Remove it, declare a field for it, or write extra="ignore" in model_config. A .env '
        "that holds the TWILIO_ names too can only be read with that.",
    )
