"""The contract of every backend: ``Found | Absent``, or an error.

*Absent* means "not my place": the chain goes on to the next. An exception means "mine, but
broken": the chain stops and the boot says so. Half a pair is broken, never absent.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, NamedTuple, ParamSpec, Protocol, TypeVar, runtime_checkable

from pydantic import SecretStr

from safetwilio import shapes
from safetwilio.errors import ConfigurationError
from safetwilio.redaction.registry import SHORTEST, register

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from safetwilio.problems import Attempt, Problem


Arguments = ParamSpec("Arguments")
Answer = TypeVar("Answer")
_LONGEST = 512  # characters; what is longer is a wrong file, not a secret


class Value(NamedTuple):
    """A text that was found, sealed, and the *place* it was found in (``env TWILIO_API_KEY``)."""

    secret: SecretStr
    place: str

    def reveal(self) -> str:
        """Return the text without the white space around it (a trailing newline is no fault)."""
        return _bare(self.secret.get_secret_value())


class Record(NamedTuple):
    """What one version of one document means.

    *fields* maps ``account_sid``, ``key_sid``, ``secret``, ``region``, ``edge``, ``key_type`` and
    ``validation_url`` to the values found; *source* is the reference as shown to people;
    *problems* are contradictions and warnings met while reading; *unasked* are the later places
    of the chain that half a pair kept from being asked.
    """

    source: str
    fields: Mapping[str, Value]
    version: str | None = None
    problems: tuple[Problem, ...] = ()
    token_places: tuple[str, ...] = ()
    unasked: tuple[Attempt, ...] = ()


class Found(NamedTuple):
    """The backend holds an API key, or a part of one."""

    record: Record


class Absent(NamedTuple):
    """The backend holds no part of an API key; *attempts* say where it looked.

    *token_places* are where it met a master Auth Token; *problems* are warnings met on the way;
    *account_sid* is there if that alone was found, so that nobody calls it missing; *version* is
    that of the document without a key, ``None`` if there is no document at all.
    """

    attempts: tuple[Attempt, ...]
    token_places: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()
    account_sid: Value | None = None
    version: str | None = None


class Backend(Protocol):
    """A place secrets come from, made from one reference."""

    def load(self, account: str | None) -> Found | Absent:
        """Return the record of *account* (``None``: the default account), or ``Absent``.

        Raises :class:`safetwilio.errors.BackendError` (ST3xx) when the place is there but broken.
        """
        ...  # pragma: no cover - a protocol has no body


@runtime_checkable
class WritableBackend(Protocol):
    """A backend that can also keep a new key."""

    def require_writable(self) -> None:
        """Raise :class:`safetwilio.errors.BackendError` now rather than after a key was made."""
        ...  # pragma: no cover - a protocol has no body

    def save(
        self,
        fields: Mapping[str, SecretStr],
        *,
        account: str | None,
        replaces: str | None = None,
    ) -> str:
        """Keep *fields* (field name to text) for *account* and return where, in words.

        With *replaces* only if what is there is still of that version, or, for an empty string,
        if nothing is there (compare-and-set). Raises :class:`safetwilio.errors.BackendError`
        (ST3xx; ST338 if it was changed meanwhile); what was there before is then unchanged.
        """
        ...  # pragma: no cover - a protocol has no body


def seal(text: str, place: str, *, secret: bool) -> Value:
    """Return *text* sealed; a *secret* is known to redaction from this moment on.

    So is what only looks like one: a value in quotes, with something glued to it, or in the place
    of a SID is refused later, and that is when it is most likely to be logged.
    """
    bare = _bare(text)
    if SHORTEST <= len(bare) <= _LONGEST and _may_be_secret(bare, secret=secret):
        register(bare, "token" if shapes.is_auth_token(bare) else "secret")
    return Value(SecretStr(text), place)


def _may_be_secret(bare: str, *, secret: bool) -> bool:
    if shapes.public_prefix(bare) is not None or shapes.is_placeholder(bare):
        return False  # SIDs are hidden without being known
    return secret or shapes.is_key_secret(bare)


def _bare(text: str) -> str:
    return text.strip().strip("\ufeff").strip()


def silent(method: Callable[Arguments, Answer]) -> Callable[Arguments, Answer]:
    """Let the errors of *method* leave alone: the frames they came through hold what was read.

    Every public method of a remote backend is decorated with it.
    """

    @functools.wraps(method)
    def alone(*arguments: Arguments.args, **options: Arguments.kwargs) -> Answer:
        failure: ConfigurationError
        try:
            return method(*arguments, **options)
        except ConfigurationError as error:
            failure = error.with_traceback(None)
            failure.__cause__ = failure.__context__ = None
        raise failure

    return alone
