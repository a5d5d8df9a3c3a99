"""Backends that do one thing wrong each, and the ways in which an error shows a secret."""

from __future__ import annotations

import base64
import logging
import queue
import threading
from typing import TYPE_CHECKING, Any, ClassVar

from memory_backend import Good, Place, Reader, version
from pydantic import SecretStr
from typing_extensions import override

from safetwilio.backends.documents import spellings
from safetwilio.backends.failures import silent
from safetwilio.backends.interface import Absent, Found, Record, Value
from safetwilio.errors import BackendError
from safetwilio.problems import Attempt, Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from safetwilio.backends.locate import Reference

LONG = 20.0


class RaisesForNothing(Reader):
    """Takes a missing document for a broken one."""

    @override
    def load(self, account: str | None) -> Found | Absent:
        if self.place.texts is None and "nowhere" not in str(self.reference):
            raise self.failures.malformed(what="nothing", fix="Put something there.")
        return super().load(account)


class SaysNotWhere(Reader):
    """Is absent without a word."""

    @override
    def load(self, account: str | None) -> Found | Absent:
        nothing = self.place.texts is None and "nowhere" not in str(self.reference)
        return Absent(()) if nothing else super().load(account)


class RaisesForAStranger(Reader):
    """Takes a document of somebody else's for a broken one."""

    @override
    def answer(self, texts: Mapping[str, str], account: str | None) -> Found | Absent:
        found = super().answer(texts, account)
        if isinstance(found, Absent):
            raise self.failures.malformed(what="no key", fix="Put one there.")
        return found


class HasNoVersion(Reader):
    """Says only of keys which version they are of."""

    @override
    def answer(self, texts: Mapping[str, str], account: str | None) -> Found | Absent:
        found = super().answer(texts, account)
        return found._replace(version=None) if isinstance(found, Absent) else found


class SwallowsHalves(Reader):
    """Passes the chain on from half a pair."""

    @override
    def answer(self, texts: Mapping[str, str], account: str | None) -> Found | Absent:
        found = super().answer(texts, account)
        if isinstance(found, Found) and not {"key_sid", "secret"} <= found.record.fields.keys():
            return Absent((Attempt("memory", "x", "half a pair"),), version=version(texts))
        return found


class SaysAnotherSource(Reader):
    """Does not name its reference."""

    @override
    def answer(self, texts: Mapping[str, str], account: str | None) -> Found | Absent:
        found = super().answer(texts, account)
        if isinstance(found, Absent):
            return found
        return Found(found.record._replace(source="the memory"))


class KnowsOneAccount(Reader):
    """Gives everybody the default account's key."""

    @override
    def answer(self, texts: Mapping[str, str], account: str | None) -> Found | Absent:
        return super().answer(texts, None)


class ReadsTwice(Reader):
    """Reads the SID, and then the secret of whatever is there by then."""

    @override
    def answer(self, texts: Mapping[str, str], account: str | None) -> Found | Absent:
        with self.place.changed:
            self.place.changed.wait_for(lambda: self.place.texts is not texts, timeout=0.01)
            later = self.place.texts or {}
        name = "TWILIO_API_SECRET"
        mixed = {**texts, name: later.get(name, "")} if name in texts else texts
        return super().answer(mixed, account)


class CountsVersions(Reader):
    """Gives each reading a version of its own."""

    count: ClassVar[list[int]] = []

    @override
    def answer(self, texts: Mapping[str, str], account: str | None) -> Found | Absent:
        found = super().answer(texts, account)
        if isinstance(found, Absent):
            return found
        self.count.append(1)
        return Found(found.record._replace(version=str(len(self.count))))


class OneVersionForAll(Reader):
    """Says of every document that it is version 1."""

    @override
    def answer(self, texts: Mapping[str, str], account: str | None) -> Found | Absent:
        found = super().answer(texts, account)
        if isinstance(found, Absent):
            return found
        return Found(found.record._replace(version="1"))


class TakesAnyOption(Reader):
    """Does not look at options."""

    def __init__(self, reference: Reference, place: Place) -> None:  # noqa: D107
        super().__init__(reference._replace(options={}), place)


class SaysAnotherCode(Reader):
    """Calls what is broken switched off."""

    @override
    def broken(self, _: Mapping[str, str]) -> BackendError:
        return self.failures.disabled(why="broken", fix="Mend it.")


class RaisesItsOwn(Reader):
    """Lets an error of another library through."""

    @override
    def broken(self, _: Mapping[str, str]) -> Any:
        return ValueError("broken")


class NotKnownToRedaction(Reader):
    """Does not seal what it reads."""

    @override
    def answer(self, texts: Mapping[str, str], account: str | None) -> Found | Absent:
        names = {f: spellings(f, account)[0] for f in ("account_sid", "key_sid", "secret")}
        there = {f: n for f, n in names.items() if n in texts}
        if not {"key_sid", "secret"} & there.keys():
            return super().answer(texts, account)
        fields = {f: Value(SecretStr(texts[n]), n) for f, n in there.items()}
        return Found(Record(str(self.reference), fields, version(texts)))


class Slow(Reader):
    """Answers long after its deadline."""

    @override
    def load(self, account: str | None) -> Found | Absent:
        if "nowhere" in str(self.reference):
            threading.Event().wait(0.6)
        return super().load(account)


class CallsSilenceAbsent(Reader):
    """Passes the chain on when nobody answers."""

    @override
    def load(self, account: str | None) -> Found | Absent:
        if "nowhere" in str(self.reference):
            return Absent((Attempt("memory", "nowhere", "no answer"),))
        return super().load(account)


class WorksInAThread(Reader):
    """Has a thread that answers, which a child does not have."""

    def __init__(self, reference: Reference, place: Place) -> None:  # noqa: D107
        super().__init__(reference, place)
        self.asked: queue.Queue[tuple[Any, queue.Queue[Any]]] = queue.Queue()
        threading.Thread(target=self._work, daemon=True).start()

    def _work(self) -> None:
        while True:
            account, answers = self.asked.get()
            try:
                answers.put((super().load(account), None))
            except BackendError as error:
                answers.put((None, error.with_traceback(None)))

    @override
    def load(self, account: str | None) -> Found | Absent:
        answers: queue.Queue[Any] = queue.Queue()
        self.asked.put((account, answers))
        answer, failure = answers.get(timeout=LONG)
        if failure is not None:
            raise failure
        return answer  # type: ignore[no-any-return]


class SaysItWorks(Good):
    """Finds out that it cannot write when it writes."""

    @override
    def require_writable(self) -> None:
        pass


class ForgetsTheSecret(Good):
    """Keeps something else than it was given."""

    @override
    def merged(self, fields: Mapping[str, SecretStr], account: str | None) -> dict[str, str]:
        merged = super().merged(fields, account)
        return {**merged, spellings("secret", account)[0]: "*" * 32}


class SaysTheSecret(Good):
    """Says where it kept the key, with the secret in it."""

    @override
    def save(self, fields: Any, *, account: Any, replaces: Any = None) -> str:
        super().save(fields, account=account, replaces=replaces)
        return f"here: {fields['secret'].get_secret_value()}"


class DropsForeign(Good):
    """Writes the document anew, with what it knows."""

    @override
    def merged(self, fields: Mapping[str, SecretStr], account: str | None) -> dict[str, str]:
        return {n: v for n, v in super().merged(fields, account).items() if n[:7] == "TWILIO_"}


class DropsAccounts(Good):
    """Takes another account's names out."""

    @override
    def merged(self, fields: Mapping[str, SecretStr], account: str | None) -> dict[str, str]:
        return {n: v for n, v in super().merged(fields, account).items() if "MARKETING" not in n}


class NeverReplaces(Good):
    """Refuses the version that is there, too."""

    @override
    def check(self, replaces: str | None) -> None:
        if replaces and "DATABASE_URL" in (self.place.texts or {}):
            raise self.failures.changed_meanwhile(expected=replaces, found=None)
        super().check(replaces)


class MakesWhatIsGone(Good):
    """Does not compare when nothing is there."""

    @override
    def check(self, replaces: str | None) -> None:
        if self.place.texts is not None:
            super().check(replaces)


class IgnoresNothing(Good):
    """Takes the empty version for no version."""

    @override
    def check(self, replaces: str | None) -> None:
        super().check(replaces or None)


class ChecksThenWrites(Good):
    """Compares, and writes a moment later."""

    @override
    def save(self, fields: Any, *, account: Any, replaces: Any = None) -> str:
        self._checked(replaces)
        if replaces is not None:
            try:  # whoever else compares now is let through as well
                self.place.checked.wait(0.3)
            except threading.BrokenBarrierError:
                self.place.checked.reset()
        self.place.put(self.merged(fields, account))
        return str(self.reference)

    @silent
    def _checked(self, replaces: str | None) -> None:
        self.check(replaces)


class LogsWhatItWrites(Good):
    """Logs the new secret, at DEBUG."""

    @override
    def merged(self, fields: Mapping[str, SecretStr], account: str | None) -> dict[str, str]:
        merged = super().merged(fields, account)
        logging.getLogger("memory").debug("writing %s", merged)
        return merged


class DroppedContext(Good):
    """Says who was quicker, and drags along what it read."""

    @override
    def save(self, fields: Any, *, account: Any, replaces: Any = None) -> str:
        failure = None
        try:
            return super().save(fields, account=account, replaces=replaces)
        except BackendError as error:
            failure = error.with_traceback(None)
            failure.__context__ = ValueError(repr(self.place.texts))
        raise failure


class Spoilt(Reader):
    """Shows the secret when the place is broken, in one way each."""

    spoil: ClassVar[Callable[[BackendError, str], BackendError]]

    @override
    def load(self, account: str | None) -> Found | Absent:
        answer = self._answer(account)
        if isinstance(answer, BackendError):
            raise answer
        return answer

    def _answer(self, account: str | None) -> Found | Absent | BackendError:
        try:
            return super().load(account)
        except BackendError as error:
            failure = error.with_traceback(None)
        secret = (self.place.texts or {}).get("TWILIO_API_SECRET", "")
        return type(self).spoil(failure, secret) if secret else failure


class _Told(BackendError):
    told: ClassVar[dict[str, str]] = {}


class _InStr(_Told):
    def __str__(self) -> str:
        return self.told["secret"]


class _InRepr(_Told):
    def __repr__(self) -> str:
        return self.told["secret"]


class _InPickle(_Told):
    def __reduce__(self) -> tuple[object, ...]:
        return ValueError, (self.told["secret"],)


def _of_kind(kind: type[_Told]) -> Callable[[BackendError, str], BackendError]:
    def spoil(error: BackendError, secret: str) -> BackendError:
        _Told.told["secret"] = secret
        return kind(error.problems)

    return spoil


def _with(name: str, make: Callable[[str], object]) -> Callable[[BackendError, str], BackendError]:
    def spoil(error: BackendError, secret: str) -> BackendError:
        setattr(error, name, make(secret))
        return error

    return spoil


def _problem(_: BackendError, secret: str) -> BackendError:
    return BackendError([Problem("ST333", "No.", "Mend it.", found_in=(secret,))])


def _frames(error: BackendError, secret: str) -> BackendError:
    held = secret
    try:
        raise error
    except BackendError as raised:
        assert held
        return raised


def _logged(error: BackendError, secret: str) -> BackendError:
    logging.getLogger("memory").debug("read %s", secret)
    return error


def _extra(error: BackendError, secret: str) -> BackendError:
    logging.getLogger("memory").debug("read", extra={"payload": secret})
    return error


def _in_base64(secret: str) -> tuple[str]:
    return (base64.b64encode(f"SK:{secret}".encode()).decode(),)


WAYS = {
    "str()": _of_kind(_InStr),
    "repr()": _of_kind(_InRepr),
    "its pickle": _of_kind(_InPickle),
    "problems": _problem,
    "args": _with("args", lambda secret: (secret,)),
    "args ": _with("args", _in_base64),
    "args  ": _with("args", lambda secret: (secret[5:15],)),
    "attributes": _with("payload", lambda secret: secret),
    "__cause__": _with("__cause__", ValueError),
    "__context__": _with("__context__", ValueError),
    "the locals of its frames": _frames,
    "a log": _logged,
    "a log ": _extra,
}
