"""References: how a backend is named, parsed, shown and opened.

``scheme[:location][?option=value&…][#field]``, comma-separated, reserved characters
percent-encoded. A reference is always shown without userinfo.
"""

from __future__ import annotations

import importlib
import os
import re
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import parse_qsl, unquote

from safetwilio.errors import BackendError
from safetwilio.problems import Attempt, Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from safetwilio.backends.interface import Backend

BACKEND_VARIABLE = "SAFETWILIO_BACKEND"
WEBHOOK_BACKEND_VARIABLE = "SAFETWILIO_WEBHOOK_BACKEND"
ADMIN_BACKEND_VARIABLE = "SAFETWILIO_ADMIN_BACKEND"
ENVIRONMENT_VARIABLE = "SAFETWILIO_ENV"

# One line for each backend shipped here; others come through the entry-point group.
_SHIPPED = {
    "env": "safetwilio.backends.env:EnvBackend",
    "dotenv": "safetwilio.backends.dotenv:DotenvBackend",
    "files": "safetwilio.backends.files:FilesBackend",
    "aws-sm": "safetwilio.backends.aws_sm:AwsBackend",
    "vault": "safetwilio.backends.vault:VaultBackend",
    "gcp-sm": "safetwilio.backends.gcp_sm:GoogleBackend",
    "doppler": "safetwilio.backends.doppler:DopplerBackend",
    "dotenv-vault": "safetwilio.backends.dotenv_vault:DotenvVaultBackend",
}
_DEFAULT = "env,dotenv:.env"
_DEFAULT_IN_PRODUCTION = "env"
_SCHEME = re.compile(r"[a-z][a-z0-9-]{0,23}")  # a token that stands there is no scheme
_OPTION = re.compile(r"[a-z][a-z_-]{0,15}")
# Up to the last @ of a //host/path form, so that a password with a reserved character stays hidden.
_USERINFO = re.compile(r"^(?:(//)[^\n]*|[^/]*)@")


# A token or secret pasted in the place of a name: as Twilio, Vault and Doppler form them.
_SECRET_LIKE = re.compile(
    r"(?<![A-Za-z0-9])(?:[A-Za-z0-9]{32}|(?:hvs|hvb|hvr|s|b)\.[\w-]{20,}|dp\.\w+\.[\w.-]{20,})"
    r"(?![A-Za-z0-9])"
)


class Reference(NamedTuple):
    """One parsed reference; *shown* is its text without userinfo, *location* is decoded.

    *place* is where the reference itself was found.
    """

    scheme: str
    location: str
    options: Mapping[str, str]
    field: str | None
    shown: str
    place: str = "a backend reference"

    def __str__(self) -> str:
        """Return the reference as people may see it."""
        return self.shown

    def __repr__(self) -> str:
        """Return the reference as people may see it: the location may hold userinfo."""
        return self.shown

    @property
    def shown_path(self) -> str:
        """The path as people may see it: what looks like a secret in it is not shown."""
        return _SECRET_LIKE.sub(_hidden, _USERINFO.sub(r"\1", self.location)).removeprefix("//")

    @property
    def path(self) -> str:
        """The location without the slashes in front: ``name`` of ``aws-sm://name``."""
        return self.location.removeprefix("//")


def references(account: str | None, environment: Mapping[str, str]) -> tuple[Reference, ...]:
    """Return the chain that *environment* names for *account*, or the default one.

    ``SAFETWILIO_BACKEND`` (for a named account ``SAFETWILIO_BACKEND_NAME``) replaces the default
    ``env,dotenv:.env``; with ``SAFETWILIO_ENV=production`` the default is ``env`` alone.
    Raises :class:`safetwilio.errors.BackendError` (ST302) for a reference that cannot be read.
    """
    name = backend_variable(account)
    text = environment.get(name, "").strip()
    if text:
        return parse(text, place=f"env {name}")
    default = _DEFAULT_IN_PRODUCTION if _is_production(environment) else _DEFAULT
    return parse(default, place="the default")


def signing_references(
    account: str | None, environment: Mapping[str, str]
) -> tuple[Reference, ...]:
    """Return the chain that holds what *account*'s webhooks are signed with.

    ``SAFETWILIO_WEBHOOK_BACKEND`` (for a named account ``SAFETWILIO_WEBHOOK_BACKEND_NAME``) names
    it, so that the API key may lie elsewhere; otherwise it is the chain of the API key. Raises
    :class:`safetwilio.errors.BackendError` (ST302) for a reference that cannot be read.
    """
    name = backend_variable(account, WEBHOOK_BACKEND_VARIABLE)
    text = environment.get(name, "").strip()
    return parse(text, place=f"env {name}") if text else references(account, environment)


def admin_references(account: str | None, environment: Mapping[str, str]) -> tuple[Reference, ...]:
    """Return the chain that holds what may change *account*, empty if the environment names none.

    ``SAFETWILIO_ADMIN_BACKEND``, for a named account ``SAFETWILIO_ADMIN_BACKEND_NAME``. Raises
    :class:`safetwilio.errors.BackendError` (ST302) for a reference that cannot be read.
    """
    name = backend_variable(account, ADMIN_BACKEND_VARIABLE)
    text = environment.get(name, "").strip()
    return parse(text, place=f"env {name}") if text else ()


def names_backend(account: str | None, environment: Mapping[str, str]) -> bool:
    """Return whether *environment* names a chain for *account* itself."""
    return bool(environment.get(backend_variable(account), "").strip())


def passed_over(account: str | None, environment: Mapping[str, str]) -> tuple[Attempt, ...]:
    """Return which of the usual places *environment* keeps the chain of *account* from, and why."""
    if names_backend(account, environment) or not _is_production(environment):
        return ()
    why = (
        f"not looked at: {ENVIRONMENT_VARIABLE} is production and {backend_variable(account)} "
        "does not name dotenv:.env"
    )
    return (Attempt("dotenv", ".env", why),)


def unreadable(reference: Reference, fix: str) -> BackendError:
    """Return the error (ST302) about *reference*, which the *fix* says how to write."""
    return BackendError(
        [
            Problem(
                code="ST302",
                summary=f'The reference to the backend "{reference.scheme}" cannot be read.',
                found_in=(f"{reference.place}: the reference {reference}",),
                fix=fix,
            )
        ]
    )


def require_options(reference: Reference, *known: str, field: bool = False) -> None:
    """Raise ST302 if *reference* has an option that is not *known*, or a ``#field`` it cannot."""
    unknown = sorted(reference.options.keys() - set(known))
    if unknown:
        names = ", ".join(known) or "none"
        raise unreadable(
            reference, f"It has an option that nothing reads: {_plain(unknown[0])}. Known: {names}."
        )
    if reference.field is not None and not field:
        raise unreadable(reference, "Remove the part after #: a record is read from it whole.")


def _plain(name: str) -> str:
    """Return *name* as it may be shown: what is no option's name may be a secret."""
    return f'"{name}"' if _OPTION.fullmatch(name) else f"one of {len(name)} characters"


def odd_switch(environment: Mapping[str, str]) -> tuple[Problem, ...]:
    """Return a warning if ``SAFETWILIO_ENV`` has a value that means nothing."""
    if not environment.get(ENVIRONMENT_VARIABLE, "").strip() or _is_production(environment):
        return ()
    return (
        Problem(
            code="ST221",
            summary=f"{ENVIRONMENT_VARIABLE} has a value that means nothing.",
            found_in=(f"env {ENVIRONMENT_VARIABLE}",),
            fix='The only value is "production": then no .env is read unless '
            f"{BACKEND_VARIABLE} names it. Anything else counts as unset.",
            severity="warning",
        ),
    )


def _is_production(environment: Mapping[str, str]) -> bool:
    return environment.get(ENVIRONMENT_VARIABLE, "").strip().lower() == "production"


def backend_variable(account: str | None, variable: str = BACKEND_VARIABLE) -> str:
    """Return the variable that names the chain of *account*: *variable*, or one of its own."""
    return f"{variable}_{account.upper()}" if account else variable


def parse(text: str, *, place: str) -> tuple[Reference, ...]:
    """Return the references of the comma-separated *text* that was found at *place*.

    Raises :class:`safetwilio.errors.BackendError` (ST302).
    """
    return tuple(_parse_one(part.strip(), place) for part in text.split(","))


def _parse_one(text: str, place: str) -> Reference:
    rest, _, fragment = text.partition("#")
    rest, _, query = rest.partition("?")
    scheme, _, location = rest.partition(":")
    if not _SCHEME.fullmatch(scheme):
        raise BackendError(
            [
                Problem(
                    code="ST302",
                    summary="A backend reference cannot be read.",
                    found_in=(place,),
                    fix=f"{_meant(text)}Write scheme:location, several separated by commas, for "
                    "example env,dotenv:.env or files:/run/secrets. A comma inside a location is "
                    "%2C.",
                )
            ]
        )
    bare = _USERINFO.sub(r"\1", text.partition(":")[2]).partition("#")[0].partition("?")[0]
    bare = _SECRET_LIKE.sub(_hidden, bare)
    options = parse_qsl(query, keep_blank_values=True)
    reference = Reference(
        scheme=scheme,
        location=unquote(location),
        options=dict(options),
        field=unquote(fragment) or None,
        shown=f"{scheme}:{bare}" if bare else scheme,
        place=place,
    )
    names = [name for name, _ in options]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:  # two values, and nobody can tell which one is meant
        raise unreadable(reference, f"It has the option {_plain(twice)} twice: remove one.")
    return reference


def _meant(text: str) -> str:
    """Return a question that names the reference of the file *text*, if it looks like one."""
    if ":" in text or not (text.endswith(".env") or os.path.isfile(text)):  # noqa: PTH113 - no text makes it fail
        return ""
    return f"Did you mean dotenv:{_SECRET_LIKE.sub(_hidden, text)}? "


def _hidden(found: re.Match[str]) -> str:
    return f"({len(found[0])} characters)"


def is_scheme(text: str) -> bool:
    """Return whether there is a backend called *text*, shipped or installed."""
    if text in _SHIPPED:
        return True
    from safetwilio.backends.plugins import names_plugin

    return names_plugin(text)


def open_backend(reference: Reference) -> Backend:
    """Return the backend that *reference* names; nothing is imported before that.

    Raises :class:`safetwilio.errors.BackendError` (ST301 for an unknown scheme, ST310 for a
    plug-in that does not load, ST311 for one that fails).
    """
    target = _SHIPPED.get(reference.scheme)
    if target is None:
        from safetwilio.backends.plugins import open_plugin

        return open_plugin(reference, _SHIPPED)
    module, _, name = target.partition(":")
    factory: Callable[[Reference], Backend] = getattr(importlib.import_module(module), name)
    return factory(reference)
