"""Where one service keeps its key for one account: what is there, and how it is replaced."""

from __future__ import annotations

import os
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pydantic import SecretStr

from safetwilio.admin.identity import Address, address_of
from safetwilio.backends import env
from safetwilio.backends.chain import load
from safetwilio.backends.dotenv import DEFAULT_PATH
from safetwilio.backends.interface import Found, WritableBackend
from safetwilio.backends.locate import open_backend
from safetwilio.credentials import ApiKey
from safetwilio.errors import AccountOperationError, InvalidCredentials, UsageError
from safetwilio.policy import emulator_url
from safetwilio.problems import faults, for_account
from safetwilio.rules import check_account_sid, check_emulated, check_key_sid, check_secret

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from safetwilio.backends.interface import Record, Value
    from safetwilio.backends.locate import Reference
    from safetwilio.problems import Problem
    from safetwilio.services import Service

_FIELDS = {"account_sid": check_account_sid, "key_sid": check_key_sid, "secret": check_secret}
_CARRIED = ("key_type",)  # what a document says of a key, and is as true of the next one


class Target(NamedTuple):
    """The key of *service* for *account*, ``None`` being the default one."""

    service: Service
    account: str | None

    def __str__(self) -> str:
        """Return the name of it in plans and journals."""
        return f"{self.service.name}@{self.account}" if self.account else self.service.name


class Held(NamedTuple):
    """What a place holds: a *key* in a document of some *version*, and what goes with it."""

    key: ApiKey
    version: str | None
    address: Address
    validation_url: str | None
    carried: Mapping[str, SecretStr]


class Place:
    """The place of the key of *target*: the *reference* of a backend that can be written."""

    def __init__(self, target: Target, reference: Reference, backend: WritableBackend) -> None:
        """Look at *reference* through *backend*; see :func:`find_place`."""
        self.target = target
        self.reference = reference
        self._backend = backend

    def __str__(self) -> str:
        """Return the reference as people may see it."""
        return str(self.reference)

    @property
    def directory(self) -> str:
        """Where its path begins, if it is relative: elsewhere the reference means another file."""
        return directory_of(self.reference)

    @property
    def spot(self) -> str:
        """What is the same for two spellings of one file."""
        return spot_of(self.reference)

    @property
    def identity(self) -> tuple[object, ...]:
        """What two references to one key have in common, however they are written."""
        return *document_of(self.reference), self.target.account

    def held(self) -> Held:
        """Return what is there now.

        Raises :class:`safetwilio.errors.ConfigurationError` (ST2xx, ST3xx) for what cannot be read
        or cannot be right, and ST621 if no key is there.
        """
        answer = load((self.reference,), self.target.account)
        if not isinstance(answer, Found):
            raise _no_key(self.target, str(self))
        return held_in(answer.record, self.target)

    def require_writable(self) -> None:
        """Raise (ST3xx) now what :meth:`keep` would raise."""
        self._backend.require_writable()

    def keep(self, fields: Mapping[str, SecretStr], replaces: str | None) -> str:
        """Put *fields* there if the document is still of the version *replaces*; return where.

        Raises as :meth:`safetwilio.backends.interface.WritableBackend.save`.
        """
        return self._backend.save(fields, account=self.target.account, replaces=replaces)


def directory_of(reference: Reference) -> str:
    """Return where the path of *reference* begins if it is a relative one, else nothing."""
    path = Path(reference.path)
    return "" if reference.scheme != "dotenv" or path.is_absolute() else str(Path.cwd())


def spot(place: str, directory: str) -> str:
    """Return what is the same for two spellings of one file, whose path begins in *directory*."""
    scheme, _, path = place.partition(":")
    if scheme != "dotenv":
        return place
    return os.path.realpath(Path(directory, path.removeprefix("//") or DEFAULT_PATH))


def spot_of(reference: Reference) -> str:
    """Return the :func:`spot` that *reference* means here."""
    return spot(str(reference), directory_of(reference))


def find_place(target: Target) -> Place:
    """Return the first place of *target*'s service that holds a key for its account.

    Raises :class:`safetwilio.errors.ConfigurationError` (ST3xx) for a place that cannot be read,
    ST621 if none holds a key, and :class:`UsageError` (ST907) for one that cannot be written.
    """
    for reference in target.service.places:
        if not isinstance(load((reference,), target.account), Found):
            continue
        backend = open_backend(reference)
        if isinstance(backend, WritableBackend):
            return Place(target, reference, backend)
        raise UsageError(
            f"The key of {target} is in {reference}, which safetwilio cannot write. "
            f"{getattr(backend, 'how_to_write', '')}Rotate it where it is kept, or move it to a "
            "place that can be written: dotenv:, aws-sm:, vault:, gcp-sm:.",
            code="ST907",
        )
    raise _no_key(target, ", ".join(map(str, target.service.places)))


def keys_held(targets: Iterable[Target]) -> set[str]:
    """Return the SIDs of all keys in the places of the services of *targets*.

    A later place counts, too: the first is its key here, and may hold none where the service runs.
    So does the key of any account that one of *targets* has, and of the default one: a program
    may use more accounts than its service names. Raises
    :class:`safetwilio.errors.ConfigurationError` (ST2xx, ST3xx) for a place that cannot be read,
    or where nobody can tell which key is meant.
    """
    found = tuple(targets)
    accounts = dict.fromkeys((None, *(target.account for target in found)))
    documents = {document_of(place): place for one in found for place in one.service.places}
    pairs = product(documents.values(), accounts)
    sids = (_sid_in(place, account) for place, account in pairs)
    return {sid for sid in sids if sid is not None}


def fields_of(key: ApiKey, carried: Mapping[str, SecretStr]) -> dict[str, SecretStr]:
    """Return what a document says of *key*, with what is *carried* over from the last one."""
    return {
        "account_sid": SecretStr(key.account_sid),
        "key_sid": SecretStr(key.sid),
        "secret": SecretStr(key.reveal()),
        **carried,
    }


def held_in(record: Record, target: Target) -> Held:
    """Return what *record* says, which is of the place of *target*.

    Raises :class:`safetwilio.errors.InvalidCredentials` (ST2xx) for what cannot be right, and
    :class:`AccountOperationError` (ST621) if it is no whole key.
    """
    around = env.document(target.account).field("account_sid", target.account)
    fields = {**({"account_sid": around} if around else {}), **record.fields}
    problems = _problems(fields, record)
    if problems:
        del fields, record
        raise InvalidCredentials(for_account(problems, target.account))
    if any(name not in fields for name in _FIELDS):
        raise _no_key(target, record.source)
    url = fields.get("validation_url")
    return Held(
        ApiKey(
            *(fields[name].reveal() for name in _FIELDS),
            source=record.source,
            version=record.version,
        ),
        record.version,
        address_of(target.account, fields),
        url and url.reveal(),
        {name: fields[name].secret for name in _CARRIED if name in record.fields},
    )


def _problems(fields: Mapping[str, Value], record: Record) -> tuple[Problem, ...]:
    found = [*record.problems]
    for name, check in _FIELDS.items():
        if name in fields:
            problem = check(fields[name].reveal(), fields[name].place)
            found += [problem] if problem else []
    if not faults(found):
        sids = tuple(fields[n].reveal() for n in ("account_sid", "key_sid") if n in fields)
        mismatch = check_emulated(sids=sids, emulator=emulator_url())
        found += [mismatch] if mismatch else []
    return faults(found)


def _sid_in(reference: Reference, account: str | None) -> str | None:
    """Return the SID of the key of *account* at *reference*, ``None`` if there is none."""
    answer = load((reference,), account)
    if not isinstance(answer, Found):
        return None
    problems = faults(answer.record.problems)
    value = answer.record.fields.get("key_sid")
    del answer
    if problems:
        raise InvalidCredentials(for_account(problems, account))
    return value and value.reveal()


def document_of(reference: Reference) -> tuple[object, ...]:
    """Return what two references to one document have in common, however they are written."""
    scheme, location, options, field, *_ = reference
    if scheme == "dotenv":
        location = os.path.realpath(reference.path or DEFAULT_PATH)
    return scheme, location, tuple(sorted(options.items())), field


def _no_key(target: Target, where: str) -> AccountOperationError:
    account = f" --account {target.account}" if target.account else ""
    return AccountOperationError(
        f"No whole API key of {target} is in {where}. There is nothing to rotate; make the first "
        f"one with safetwilio init{account}.",
        code="ST621",
    )
