"""``safetwilio.toml``: the services of a project, where each keeps its key. It holds no secret."""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING, Any, NamedTuple

from safetwilio.backends.locate import Reference, parse
from safetwilio.errors import ConfigurationError, UsageError
from safetwilio.settings import require_account_name
from safetwilio.shapes import AUTH_TOKEN_LENGTH, is_key_secret

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

FILE = "safetwilio.toml"
_KEYS = ("backend", "policy", "label", "accounts")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,39}")
_PERMISSION = re.compile(r"/twilio/[a-z0-9/.*-]+")
_MOST_PERMISSIONS = 100
_LARGEST = 1 << 20  # bytes
_DEFAULT = "default"  # the account of get_client(), whose name is none


class Service(NamedTuple):
    """One service: its *name*, the *places* of its key, and for which *accounts* it has one.

    *label* goes into the names of its keys; *policy* are the permissions of its next key, ``None``
    for those of the one it has. The default account is ``None``.
    """

    name: str
    places: tuple[Reference, ...]
    label: str
    policy: tuple[str, ...] | None = None
    accounts: tuple[str | None, ...] = (None,)


def read_services(path: Path) -> tuple[Service, ...]:
    """Return the services in the file at *path*.

    Raises :class:`UsageError` (ST955) for a file that is missing or not right; no text of it is
    shown, for somebody may have put a secret there.
    """
    found: dict[str, Any] = {}
    wrong = ""
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST + 1)
        if len(data) > _LARGEST:
            wrong = f"it is larger than {_LARGEST >> 20} MiB"
        else:
            found = tomllib.loads(data.decode())
    except OSError as error:
        wrong = error.strerror or type(error).__name__
    except tomllib.TOMLDecodeError as error:
        where = re.search(r"at line \d+, column \d+|at end of document", str(error))
        wrong = f"it is not TOML ({where[0] if where else 'anywhere'})"
    except UnicodeDecodeError:
        wrong = "it is not a text in UTF-8"
    except (ValueError, RecursionError):  # numbers and brackets without end
        wrong = "it is not TOML that anybody means"
    if wrong:
        raise _not_right(path, wrong)
    services = found.pop("services", None)
    if found or not isinstance(services, dict) or not services:
        raise _not_right(path, "it has tables [services.NAME] and nothing else")
    found_services = tuple(_service(path, name, table) for name, table in services.items())
    labels = [service.label.strip("-") for service in found_services]
    if len(set(labels)) < len(labels):  # keys are known by it
        raise _not_right(path, "two services have the same label")
    return found_services


def chosen(services: Sequence[Service], names: Sequence[str]) -> tuple[Service, ...]:
    """Return those of *services* that are in *names*, all without any.

    Raises :class:`UsageError` (ST956) for a name that is none.
    """
    known = {service.name: service for service in services}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise UsageError(
            f"There is no service of that name in {FILE}. It has: {', '.join(known)}.",
            code="ST956",
        )
    return tuple(known[name] for name in dict.fromkeys(names)) or tuple(services)


def is_service_name(text: str) -> bool:
    """Return whether a service may be called *text*, which is shown, in the Console too."""
    has_form_of_secret = len(text) == AUTH_TOKEN_LENGTH and is_key_secret(text)
    return _NAME.fullmatch(text) is not None and not has_form_of_secret


def _service(path: Path, name: str, table: object) -> Service:
    if not is_service_name(name):
        raise _not_right(
            path, "a service's name is up to 40 letters, digits and ._-, and no secret"
        )
    if not isinstance(table, dict):
        raise _not_right(path, f"services.{name} is no table")
    unknown = table.keys() - set(_KEYS)
    if unknown:
        raise _not_right(
            path, f"services.{name} has a key that nothing reads; there are {', '.join(_KEYS)}"
        )
    label = table.get("label", name)
    if not isinstance(label, str) or not is_service_name(label):
        raise _not_right(path, f"the label of services.{name} is no name")
    return Service(
        name,
        _places(path, name, table),
        label,
        _policy(path, name, table),
        _accounts(path, name, table),
    )


def _places(path: Path, name: str, table: Mapping[str, Any]) -> tuple[Reference, ...]:
    text = table.get("backend")
    if not isinstance(text, str) or not text.strip():
        raise _not_right(path, f"services.{name} has no backend")
    return parse(text, place=f"{path} services.{name}.backend")


def _policy(path: Path, name: str, table: Mapping[str, Any]) -> tuple[str, ...] | None:
    policy = table.get("policy")
    if policy is None:
        return None
    is_right = isinstance(policy, list) and 1 <= len(policy) <= _MOST_PERMISSIONS
    if not is_right or not all(isinstance(p, str) and _PERMISSION.fullmatch(p) for p in policy):
        raise _not_right(
            path,
            f"the policy of services.{name} is no list of 1 to {_MOST_PERMISSIONS} permissions "
            'such as "/twilio/messaging/messages/create"',
        )
    return tuple(policy)


def _accounts(path: Path, name: str, table: Mapping[str, Any]) -> tuple[str | None, ...]:
    accounts = table.get("accounts")
    if accounts is None:
        return (None,)
    wrong = not isinstance(accounts, list) or not accounts
    try:
        names = () if wrong else tuple(_account(account) for account in accounts)
    except (ConfigurationError, UsageError, TypeError, AttributeError):
        wrong = True
    if wrong:
        raise _not_right(
            path,
            f"accounts of services.{name} is no list of get_client()'s names, such as "
            f'["{_DEFAULT}", "marketing"]; "{_DEFAULT}" is the account of get_client() itself',
        )
    if len(set(names)) < len(names):  # however it is written
        raise _not_right(path, f"accounts of services.{name} has a name twice")
    return names


def _account(name: str) -> str | None:
    return None if name.lower() == _DEFAULT else require_account_name(name)


def _not_right(path: Path, why: str) -> UsageError:
    shown = Reference("", str(path), {}, None, "").shown_path  # a secret given for a path is not
    return UsageError(f"{shown} cannot be used: {why}.", code="ST955")
