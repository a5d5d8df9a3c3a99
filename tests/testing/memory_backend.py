"""A backend in memory that keeps every rule of the conformance suite, and its hooks."""

from __future__ import annotations

import hashlib
import threading
from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

from safetwilio.backends.documents import Document, is_secret, spellings, variables
from safetwilio.backends.failures import Failures, silent
from safetwilio.backends.interface import Absent, seal
from safetwilio.backends.locate import require_options
from safetwilio.problems import Attempt
from safetwilio.testing.backends import BackendContract, Breakage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pydantic import SecretStr

    from safetwilio.backends.interface import Found
    from safetwilio.backends.locate import Reference
    from safetwilio.errors import BackendError

BROKEN = "broken"


class Place:
    """A document in memory that is replaced whole, with a lock for those who change it."""

    def __init__(self) -> None:
        """Start with nothing."""
        self.texts: Mapping[str, str] | None = None
        self.lock = threading.Lock()
        self.changed = threading.Condition()
        self.checked = threading.Barrier(2)

    def put(self, texts: Mapping[str, str] | None) -> None:
        """Replace all that is there."""
        with self.changed:
            self.texts = texts
            self.changed.notify_all()


class Reader:
    """A backend that keeps every rule for reading."""

    def __init__(self, reference: Reference, place: Place) -> None:
        """Read from *place*."""
        require_options(reference)
        self.reference = reference
        self.place = place
        self.failures = Failures(reference, "The memory")

    @silent
    def load(self, account: str | None) -> Found | Absent:
        """Return the record in the place."""
        if "nowhere" in str(self.reference):
            raise self.failures.unreachable(where="nowhere", why="nobody there")
        texts = self.place.texts
        if texts is None:
            return Absent((Attempt("memory", str(self.reference), "nothing there"),))
        if BROKEN in texts:
            raise self.broken(texts)
        return self.answer(texts, account)

    def answer(self, texts: Mapping[str, str], account: str | None) -> Found | Absent:
        """Return what *texts* mean."""
        known = variables(account) & texts.keys()
        sealed = {n: seal(texts[n], f"memory {n}", secret=is_secret(n)) for n in known}
        source = str(self.reference)
        return Document(source, sealed, place="memory", version=version(texts)).answer(account)

    def broken(self, _: Mapping[str, str]) -> BackendError:
        """Return what is said of a broken place."""
        return self.failures.malformed(what="broken", fix="Mend it.")


class Good(Reader):
    """One that keeps every rule, those for writing too."""

    @silent
    def require_writable(self) -> None:
        """Refuse the place that cannot be written."""
        if "sealed" in str(self.reference):
            raise self.failures.denied(grant="Grant it.", verb="write")

    @silent
    def save(
        self,
        fields: Mapping[str, SecretStr],
        *,
        account: str | None,
        replaces: str | None = None,
    ) -> str:
        """Merge *fields* into the document if it is what *replaces* says."""
        with self.place.lock:
            self.check(replaces)
            self.place.put(self.merged(fields, account))
        return str(self.reference)

    def check(self, replaces: str | None) -> None:
        """Raise if somebody else was here."""
        found = version(self.place.texts) if self.place.texts is not None else ""
        if replaces is not None and replaces != found:
            raise self.failures.changed_meanwhile(expected=replaces, found=found)

    def merged(self, fields: Mapping[str, SecretStr], account: str | None) -> dict[str, str]:
        """Return the document with *fields*."""
        said = {spellings(name, account)[0]: v.get_secret_value() for name, v in fields.items()}
        return {**(self.place.texts or {}), **said}


def version(texts: Mapping[str, str]) -> str:
    """Return the version of a document."""
    return hashlib.sha256(repr(sorted(texts.items())).encode()).hexdigest()[:12]


class Contract(BackendContract):
    """The hooks for a *kind* of backend in memory."""

    kind: Callable[[Reference, Place], Any] = Good
    loads = 200
    races = 2
    slack = 0.3
    patience = 2.0

    place: Place

    @override
    def open(self, reference: Reference) -> Any:
        return type(self).kind(reference, self.place)

    @override
    def reference(self) -> str:
        return "memory://here"

    @override
    def put(self, document: Mapping[str, str]) -> None:
        self.place.put(dict(document))

    @override
    def remove(self) -> None:
        self.place.put(None)

    @override
    def breakages(self) -> Mapping[str, Breakage]:
        return {"broken": Breakage(lambda d: self.put({**d, BROKEN: "x"}), "ST333")}

    @override
    def unreachable(self) -> Mapping[str, float]:
        return {"memory://nowhere": 0.1}

    @override
    def contents(self) -> Mapping[str, object]:
        return dict(self.place.texts or {})

    @override
    def unwritable(self) -> str:
        return "memory://sealed"


class ReadOnly(Contract):
    """The hooks for one that only reads."""

    kind = Reader
    unsupported: ClassVar[Mapping[str, str]] = {"writing": "it reads"}
    contents = BackendContract.contents
    unwritable = BackendContract.unwritable
