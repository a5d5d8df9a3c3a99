"""From the names found in a document to the record they mean.

One table says which names mean which field; aliases and ``…_FILE`` twins are settled here, so that
a backend only has to say what it found. A document may hold two records, an API key and what
webhooks are signed with, and is asked for one of them: backends need not know for which. What may
change the account is a third: a key, or the Auth Token.
"""

from __future__ import annotations

import hmac
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, NamedTuple

from safetwilio.backends.disk import read_secret_file
from safetwilio.backends.interface import Absent, Found, Record, Value, seal
from safetwilio.errors import ConfigurationError, combined
from safetwilio.problems import Attempt, Problem

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence


class Field(NamedTuple):
    """One field of a record: its *name*, environment *variables* and *keys* in a JSON document.

    Those that are *borrowed* are another field's: read, and never written over.
    """

    name: str
    variables: tuple[str, ...]
    keys: tuple[str, ...]
    secret: bool = False
    borrowed: tuple[str, ...] = ()


class Kind(NamedTuple):
    """A kind of record: its *fields*, and those by which one is known to be there.

    Of these *essentials* all are needed, or *any_of_them* is enough.
    """

    fields: tuple[Field, ...]
    essentials: tuple[str, ...]
    any_of_them: bool = False

    def is_whole(self, found: Collection[str]) -> bool:
        """Return whether the fields *found* are enough."""
        there = [name in found for name in self.essentials]
        return any(there) if self.any_of_them else all(there)


_API_KEY_FIELDS = (
    Field("account_sid", ("ACCOUNT_SID",), ("account_sid", "accountSid")),
    Field(
        "key_sid",
        ("API_KEY", "API_KEY_SID"),
        ("api_key", "api_key_sid", "apiKeySid", "adminKeySid"),
    ),
    Field(
        "secret",
        ("API_SECRET", "API_KEY_SECRET"),
        ("api_secret", "api_key_secret", "apiKeySecret", "adminKeySecret"),
        secret=True,
    ),
    Field("auth_token", ("AUTH_TOKEN",), ("auth_token", "authToken"), secret=True),
    Field("region", ("REGION",), ("region",)),
    Field("edge", ("EDGE",), ("edge",)),
    Field("key_type", (), ("key_type", "keyType")),
    Field("validation_url", (), ("validation_url", "validationUrl")),
)
_SIGNING_FIELDS = (
    Field(
        "webhook_auth_token",
        ("WEBHOOK_AUTH_TOKEN", "AUTH_TOKEN"),
        ("webhook_auth_token", "webhookAuthToken", "auth_token", "authToken"),
        secret=True,
        borrowed=("AUTH_TOKEN", "auth_token", "authToken"),
    ),
    Field(
        "webhook_secondary_auth_token",
        ("WEBHOOK_SECONDARY_AUTH_TOKEN",),
        ("webhook_secondary_auth_token", "webhookSecondaryAuthToken"),
        secret=True,
    ),
    Field(
        "webhook_shared_keys",
        ("WEBHOOK_SHARED_KEYS",),
        ("webhook_shared_keys", "webhookSharedKeys"),
        secret=True,
    ),
    Field(
        "webhook_public_url",
        ("WEBHOOK_PUBLIC_URL",),
        ("webhook_public_url", "webhookPublicUrl"),
    ),
)
FIELDS = (*_API_KEY_FIELDS, *_SIGNING_FIELDS)
PAIR = ("key_sid", "secret")
API_KEY = Kind(_API_KEY_FIELDS, PAIR)
SIGNING = Kind(_SIGNING_FIELDS, ("webhook_auth_token", "webhook_shared_keys"), any_of_them=True)
ADMIN = Kind(_API_KEY_FIELDS, ("secret", "auth_token"), any_of_them=True)
# The Auth Token under its own names, and under those that only webhooks have.
TOKENS = Kind(
    (
        *(field for field in _API_KEY_FIELDS if field.name in {"account_sid", "auth_token"}),
        *(
            field._replace(
                variables=tuple(name for name in field.variables if name not in field.borrowed),
                keys=tuple(name for name in field.keys if name not in field.borrowed),
            )
            for field in _SIGNING_FIELDS[:2]
        ),
    ),
    ("auth_token", "webhook_auth_token"),
    any_of_them=True,
)
# AWS's managed schema TwilioMainApiKey has names of its own for the pair.
_MAIN_KEY_NAME = "adminKeySid"
_NEVER_BLANK = frozenset({"account_sid", *PAIR, "webhook_auth_token", "webhook_shared_keys"})
_BY_NAME = {field.name: field for field in FIELDS}
_WITH_TOKEN = (ADMIN, TOKENS)  # the others never hold it
_wanted: ContextVar[Kind] = ContextVar("safetwilio_wanted", default=API_KEY)


@contextmanager
def asking_for(kind: Kind) -> Iterator[None]:
    """Let documents mean a record of *kind* within this block; otherwise it is an API key."""
    before = _wanted.set(kind)
    try:
        yield
    finally:
        _wanted.reset(before)


def is_whole(found: Collection[str]) -> bool:
    """Return whether the fields *found* make a whole record of the kind that is asked for."""
    return _wanted.get().is_whole(found)


def is_there(found: Collection[str]) -> bool:
    """Return whether the fields *found* are any part of a record of the kind that is asked for."""
    return any(name in found for name in _wanted.get().essentials)


def wanted_fields() -> tuple[Field, ...]:
    """Return the fields of the kind of record that is asked for."""
    return _wanted.get().fields


def field_called(name: str) -> Field:
    """Return the field *name*."""
    return _BY_NAME[name]


def variable(field: str, account: str | None, position: int = 0) -> str:
    """Return the environment name of *field* for *account*: ``TWILIO_[ACCOUNT_]API_KEY``."""
    infix = f"{account.upper()}_" if account else ""
    return f"TWILIO_{infix}{_BY_NAME[field].variables[position]}"


def spellings(field: str, account: str | None) -> tuple[str, ...]:
    """Return every environment name of *field*: the main one, aliases and ``…_FILE`` twins."""
    names = [variable(field, account, n) for n in range(len(_BY_NAME[field].variables))]
    return (*names, *(f"{name}_FILE" for name in names))


def spellings_to_replace(field: str, account: str | None) -> tuple[str, ...]:
    """Return those environment names of *field* that give way when it is written."""
    borrowed = _BY_NAME[field].borrowed
    kept = {f"{name}{twin}" for name in borrowed for twin in ("", "_FILE")}
    infix = f"TWILIO_{account.upper()}_" if account else "TWILIO_"
    return tuple(n for n in spellings(field, account) if n.removeprefix(infix) not in kept)


def variables(account: str | None) -> frozenset[str]:
    """Return every environment name that is wanted for *account*: aliases, ``…_FILE`` twins too."""
    return frozenset(name for field in wanted_fields() for name in spellings(field.name, account))


class Document:
    """What one backend returned: a *texts* map of names to sealed values, of one *version*.

    *source* is the reference as shown; *place* a short word for attempts (``env``, ``.env``);
    *missing* the words for a name that is not there (``not set``).
    """

    def __init__(  # noqa: PLR0913 - a document has these parts
        self,
        source: str,
        texts: Mapping[str, Value],
        *,
        place: str,
        missing: str = "not set",
        version: str | None = None,
        problems: tuple[Problem, ...] = (),
        broken: Sequence[ConfigurationError] = (),
    ) -> None:
        """Take what was found, and what was *broken* on the way; nothing is read yet."""
        self.source = source
        self.place = place
        self._texts = texts
        self._missing = missing
        self._version = version
        self._problems = list(problems)
        self._broken = list(broken)

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Every problem met so far, those of files that could not be read included."""
        return (*self._problems, *(p for error in self._broken for p in error.problems))

    def answer(self, account: str | None) -> Found | Absent:
        """Return what the document means for *account*: a record, or that it holds none.

        Raises :class:`safetwilio.errors.BackendError` (ST3xx) for all that could not be read.
        """
        wanted = _wanted.get()
        fields = {
            field.name: value for field in wanted.fields if (value := self._field(field, account))
        }
        if self._broken:
            raise combined(self._broken)
        token = None if wanted in _WITH_TOKEN else fields.pop("auth_token", None)
        places = (token.place,) if token else ()
        if not is_there(fields):
            alone = fields.get("account_sid")
            attempts, problems = self._attempts(account), tuple(self._problems)
            return Absent(attempts, places, problems, alone, self._version)
        if wanted in {API_KEY, ADMIN} and _MAIN_KEY_NAME in self._texts:
            fields["key_type"] = seal("main", f"{self.place} {_MAIN_KEY_NAME}", secret=False)
        return Found(Record(self.source, fields, self._version, tuple(self._problems), places))

    def field(self, name: str, account: str | None) -> Value | None:
        """Return one field alone: region, edge and account SID may come from the environment."""
        return self._field(_BY_NAME[name], account)

    def _attempts(self, account: str | None) -> tuple[Attempt, ...]:
        names = (variable(name, account) for name in _wanted.get().essentials)
        return tuple(Attempt(self.place, name, self._missing) for name in names)

    def _field(self, field: Field, account: str | None) -> Value | None:
        found = list(self._candidates(field, account))
        filled = [value for value in found if value.reveal()]
        if not filled:
            return found[0] if found and field.name in _NEVER_BLANK else None
        first = filled[0]
        for other in filled[1:]:
            if not _same(first, other):
                name = field.name.replace("_sid", " SID").replace("auth_token", "Auth Token")
                name = name.replace("_", " ")
                self._problems.append(contradiction(f"The {name}", first, other))
                break
        return first

    def _candidates(self, field: Field, account: str | None) -> Iterator[Value]:
        for position in range(len(field.variables)):
            name = variable(field.name, account, position)
            if (value := self._texts.get(name)) is not None:
                yield value
            if (path := self._texts.get(f"{name}_FILE")) is not None and path.reveal():
                yield from self._from_file(field, path)
        for key in field.keys:
            if (value := self._texts.get(key)) is not None:
                yield value

    def _from_file(self, field: Field, path: Value) -> Iterator[Value]:
        try:
            text, problems = read_secret_file(path.reveal(), path.place)
        except ConfigurationError as error:
            if field.name == "auth_token" and _wanted.get() not in _WITH_TOKEN:  # never needed
                yield path
            else:
                self._broken.append(error.with_traceback(None))
            return
        self._problems.extend(problems)
        yield seal(text, f"the file named by {path.place}", secret=field.secret)


def is_secret(name: str) -> bool:
    """Return whether the document name *name* holds a secret (not one of the ``…_FILE`` paths)."""
    return any(
        field.secret and (name in field.keys or name.endswith(field.variables)) for field in FIELDS
    )


def is_secret_field(name: str) -> bool:
    """Return whether the field *name* of a record holds a secret."""
    return name in _BY_NAME and _BY_NAME[name].secret


def _same(one: Value, other: Value) -> bool:
    # "surrogatepass": an environment may hold bytes that are no text.
    first, second = (v.reveal().encode("utf-8", "surrogatepass") for v in (one, other))
    return hmac.compare_digest(first, second)


def contradiction(what: str, one: Value, other: Value) -> Problem:
    """Return the fault that *what* was found as *one* and as *other*, which differ."""
    return Problem(
        code="ST211",
        summary=f"{what} is set twice, to different values.",
        found_in=(one.place, other.place),
        fix="Remove one of the two; nobody can tell which one is meant.",
    )
