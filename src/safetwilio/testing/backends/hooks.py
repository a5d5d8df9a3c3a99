"""What the author of a backend says about it: how to put, take away and break its document."""

from __future__ import annotations

import secrets
import string
from functools import partial
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import pytest

from safetwilio.backends.documents import variable
from safetwilio.backends.interface import Found, WritableBackend
from safetwilio.backends.locate import open_backend, parse
from safetwilio.errors import ConfigurationError
from safetwilio.testing.backends.leaks import caught

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pydantic import SecretStr

    from safetwilio.backends.interface import Absent, Backend
    from safetwilio.backends.locate import Reference

_ALPHANUMERIC = string.ascii_letters + string.digits
_SECRET_LENGTH = 32
_FIELDS = ("account_sid", "key_sid", "secret")
# The feature that a hook is about; the others every backend has to have.
FEATURES = {
    "rotation": (),
    "version": (),
    "accounts": (),
    "unreachable": ("unreachable",),
    "writing": ("contents", "unwritable"),
}
REQUIRED = ("reference", "put", "remove", "breakages")


class Breakage(NamedTuple):
    """One way to break the place: *apply* does it to a document, *code* is what must be said."""

    apply: Callable[[Mapping[str, str]], object]
    code: str


class Pair(NamedTuple):
    """An API key made for one test; it opens nothing."""

    account: str
    sid: str
    secret: str

    def document(self, account: str | None = None) -> dict[str, str]:
        """Return the names of *account* with these values, for :meth:`Hooks.put`."""
        names = [variable(field, account) for field in _FIELDS]
        return dict(zip(names, self, strict=True))

    def fields(self) -> dict[str, SecretStr]:
        """Return what ``save()`` is given."""
        from pydantic import SecretStr

        return {name: SecretStr(text) for name, text in zip(_FIELDS, self, strict=True)}


def new_pair() -> Pair:
    """Return another key each time."""
    secret = "".join(secrets.choice(_ALPHANUMERIC) for _ in range(_SECRET_LENGTH))
    return Pair(f"AC{secrets.token_hex(16)}", f"SK{secrets.token_hex(16)}", secret)


class Hooks:
    """What a subclass gives; each rule calls them in a place that may be in any state.

    *unsupported* says which features the backend does not have, and why: ``rotation``,
    ``version``, ``accounts``, ``unreachable``, ``writing``. What is neither given nor declared
    fails. *loads* is how often a document that keeps changing is read (after a fork a
    twentieth of it), *races* how often two write
    at once, *slack* the seconds that an answer may be late, *patience* the seconds a forked child
    may take.
    """

    unsupported: ClassVar[Mapping[str, str]] = {}
    loads = 1000
    races = 20
    slack = 0.5
    patience = 30.0

    def reference(self) -> str:
        """Return the reference of the place under test, without options that are not needed."""
        raise NotImplementedError

    def put(self, document: Mapping[str, str]) -> None:
        """Make *document* (environment names to texts) all that is there, in one step."""
        raise NotImplementedError

    def remove(self) -> None:
        """Take all that is there away."""
        raise NotImplementedError

    def breakages(self) -> Mapping[str, Breakage]:
        """Return the ways in which the place can be broken, by name; :meth:`put` mends them."""
        raise NotImplementedError

    def unreachable(self) -> Mapping[str, float]:
        """Return references to what never answers, and the seconds after which each must fail."""
        raise NotImplementedError

    def contents(self) -> Mapping[str, object]:
        """Return all that is there, read without the backend."""
        raise NotImplementedError

    def unwritable(self) -> str:
        """Return a reference to a place that cannot be written."""
        raise NotImplementedError

    def open(self, reference: Reference) -> Backend:
        """Return the backend for *reference*, as the chain opens it."""
        return open_backend(reference)

    def gives(self, hook: str) -> bool:
        """Return whether the subclass gives *hook*."""
        return getattr(type(self), hook) is not getattr(Hooks, hook)

    def needs(self, feature: str) -> None:
        """Skip the rule if the backend is declared not to have *feature*, with the reason."""
        if feature in self.unsupported:
            pytest.skip(f"declared: {feature} is not supported: {self.unsupported[feature]}")
        if not all(self.gives(hook) for hook in FEATURES[feature]):
            pytest.skip("a hook is missing: see test_what_is_not_supported_is_declared")

    def opened(self, text: str | None = None) -> Backend:
        """Return a new backend for the reference *text*, by default the one under test."""
        (reference,) = parse(text or self.reference(), place="the conformance suite")
        return self.open(reference)

    def writable(self, text: str | None = None) -> WritableBackend:
        """Return the same, which must be one that can be written."""
        backend = self.opened(text)
        require(isinstance(backend, WritableBackend), "it has require_writable() and save()")
        return backend  # type: ignore[return-value]

    def answer(self, account: str | None = None) -> Found | Absent:
        """Return what a new backend finds; whatever it raises fails the rule, by its class."""
        found: list[Found | Absent] = []
        error = caught(lambda: found.append(self.opened().load(account)))
        require(error is None, f"load() answers, and does not raise {type(error).__name__}")
        return found[0]

    def found(self, account: str | None = None) -> Found:
        """Return the same, which must be a record."""
        answer = self.answer(account)
        require(isinstance(answer, Found), "load() finds the key that was put there")
        return answer  # type: ignore[return-value]

    def refused(self, call: Callable[[], object], code: str | None = None) -> ConfigurationError:
        """Return the error of ours, with *code*, that *call* must raise."""
        error = caught(call)
        require(error is not None, "an error is raised")
        require(
            isinstance(error, ConfigurationError),
            f"the error is a safetwilio.errors.BackendError, not {type(error).__name__}",
        )
        require(
            code is None or getattr(error, "code", "") == code,
            f"the error is {code}, not {getattr(error, 'code', '')}",
        )
        return error  # type: ignore[return-value]

    def saving(
        self, pair: Pair, *, account: str | None = None, replaces: str | None = None
    ) -> Callable[[], str]:
        """Return the call that keeps *pair*; its frames hold no more than a caller's must."""
        save = self.writable().save
        return partial(save, pair.fields(), account=account, replaces=replaces)


def pair_of(found: Found) -> Pair | None:
    """Return the key in *found*, ``None`` if it is not whole."""
    fields = found.record.fields
    if not set(_FIELDS) <= fields.keys():
        return None
    return Pair(*(fields[name].reveal() for name in _FIELDS))


def require(condition: object, rule: str) -> None:
    """Fail unless *condition*; *rule* says what must be so."""
    if not condition:
        pytest.fail(f"The contract says: {rule}.", pytrace=True)
