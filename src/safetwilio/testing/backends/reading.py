"""The rules for reading: absent or broken, whole, of one version, in time, and without a leak."""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
import time
import warnings
from functools import partial
from typing import TYPE_CHECKING

import pytest

from safetwilio.backends.interface import Absent, Found, WritableBackend
from safetwilio.backends.locate import parse
from safetwilio.errors import BackendError, BackendUnavailable
from safetwilio.redaction import redact
from safetwilio.testing.backends.hooks import (
    FEATURES,
    REQUIRED,
    Hooks,
    new_pair,
    pair_of,
    require,
)
from safetwilio.testing.backends.leaks import caught, leaks, overheard, told

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from safetwilio.backends.interface import Backend
    from safetwilio.testing.backends.hooks import Pair

_ACCOUNT = "marketing"
_FORKED_SHARE = 20
_FOREIGN = {"DATABASE_URL": "of another program"}


class ReadingRules(Hooks):
    """One rule in each test; each makes the state that it needs."""

    def test_what_is_not_supported_is_declared(self) -> None:
        """Every hook is given, or its feature declared missing with a reason, and truly so."""
        unknown = self.unsupported.keys() - FEATURES.keys()
        require(not unknown, f"unsupported names features: not {', '.join(sorted(unknown))}")
        for hook in REQUIRED:
            require(self.gives(hook), f"the hook {hook}() is given")
        for feature, hooks in FEATURES.items():
            declared = feature in self.unsupported
            require(not declared or self.unsupported[feature].strip(), f"{feature}: say why not")
            for hook in hooks:
                require(
                    self.gives(hook) is not declared,
                    f"the hook {hook}() is given, or else {feature} is declared unsupported",
                )
        require(
            isinstance(self.opened(), WritableBackend) is ("writing" not in self.unsupported),
            "writing is declared unsupported if there is no require_writable() and save()",
        )

    def test_nothing_there_is_absent(self) -> None:
        """A place without a document passes the chain on, and says where it looked."""
        self.put(new_pair().document())
        self.remove()
        require(_says_where(self.answer()), "load() is Absent, with attempts that say where")

    def test_a_document_without_a_key_is_absent(self) -> None:
        """So does a document of somebody else's; it has a version, as any other."""
        self.put(_FOREIGN)
        answer = self.answer()
        require(_says_where(answer), "load() is Absent, with attempts that say where")
        if "version" not in self.unsupported and isinstance(answer, Absent):
            require(answer.version, "Absent has the version of a document that is there")

    def test_half_a_pair_is_not_absent(self) -> None:
        """The next place would only hide the mistake."""
        for missing in ("TWILIO_API_KEY", "TWILIO_API_SECRET"):
            document = new_pair().document()
            del document[missing]
            self.put(document)
            answers: list[object] = []
            error = caught(partial(_note, answers, self.opened().load, None))
            require(
                isinstance(error, BackendError) or isinstance(answers[0], Found),
                f"without {missing} load() finds the other half, or raises a BackendError",
            )

    def test_the_record_is_what_is_there(self) -> None:
        """Account, SID and secret as they were put, and where each was found."""
        pair = new_pair()
        self.put({**_FOREIGN, **pair.document()})
        found = self.found()
        require(pair_of(found) == pair, "load() returns account_sid, key_sid and secret as put")
        (reference,) = parse(self.reference(), place="the conformance suite")
        require(found.record.source == str(reference), "Record.source is the reference as shown")
        places = [value.place for value in found.record.fields.values()]
        require(all(places), "every value says its place")

    def test_a_named_account_has_names_of_its_own(self) -> None:
        """``TWILIO_MARKETING_…`` is that account's, and nothing else is."""
        self.needs("accounts")
        mine, other = new_pair(), new_pair()
        self.put({**mine.document(), **other.document(_ACCOUNT)})
        require(pair_of(self.found()) == mine, "the default account has the plain names")
        require(pair_of(self.found(_ACCOUNT)) == other, "a named account has its own names")

    def test_a_rotation_is_never_seen_half(self) -> None:
        """Somebody changes the document all the time: each record is one document's, whole."""
        self.needs("rotation")
        backend = self.opened()
        pairs = [new_pair() for _ in range(8)]
        self.put(pairs[0].document())
        stop = threading.Event()

        def rotate() -> None:
            while not stop.is_set():
                for pair in pairs:
                    self.put(pair.document())

        rotator = threading.Thread(target=rotate, daemon=True)
        rotator.start()
        try:
            seen = [backend.load(None) for _ in range(self.loads)]
        finally:
            stop.set()
            rotator.join(self.patience)
        whole = all(isinstance(each, Found) and pair_of(each) in pairs for each in seen)
        require(whole, "a record is of one document, also while that changes")

    def test_the_version_tells_documents_apart(self) -> None:
        """The same one for the same document, another one for another."""
        self.put(new_pair().document())
        first, again = self.found().record.version, self.found().record.version
        self.put(new_pair().document())
        second = self.found().record.version
        if "version" in self.unsupported:
            require(first is None and second is None, "a backend without versions gives none")
            return
        require(first and second, "Record.version is there")
        require(first == again, "a document that has not changed keeps its version")
        require(first != second, "another document has another version")

    def test_an_option_that_nothing_reads_is_refused(self) -> None:
        """A mistyped option would have no effect, and nobody would know."""
        text = self.reference()
        path, mark, field = text.partition("#")
        joined = f"{path}{'&' if '?' in path else '?'}nobody-reads-it=1{mark}{field}"
        self.refused(lambda: self.opened(joined).load(None), "ST302")

    def test_what_is_broken_is_said(self) -> None:
        """Each with its code, and naming the reference; the chain stops there."""
        breakages = self.breakages()
        require(breakages, "breakages() names at least one way to break the place")
        for name, breakage in breakages.items():
            self.put(new_pair().document())
            backend = self.opened()
            breakage.apply(new_pair().document())
            error = caught(partial(backend.load, None))
            require(
                isinstance(error, BackendError) and error.code == breakage.code,
                f"{name} is a BackendError with the code {breakage.code}, and not {error!r}",
            )

    def test_no_secret_is_shown(self) -> None:
        """Neither by an error and its frames, nor by a record, nor in a log at any level."""
        for name, breakage in self.breakages().items():
            pair = new_pair()
            self.put(pair.document())
            backend = self.opened()
            breakage.apply(pair.document())
            with overheard() as lines:
                error = caught(partial(backend.load, None))
            where = [*_leaks_of(error, pair), *_leaks_in("a log", lines, pair)]
            require(not where, f"{name} shows no secret: it stands in {', '.join(where)}")
        pair = new_pair()
        self.put(pair.document())
        with overheard() as lines:
            answer = self.opened().load(None)
        where = [*_leaks_in("repr() of the record", [repr(answer)], pair)]
        where += _leaks_in("a log", lines, pair)
        require(not where, f"reading shows no secret: it stands in {', '.join(where)}")

    def test_what_is_read_is_known_to_redaction(self) -> None:
        """From the moment it is read, whatever the program logs later."""
        pair = new_pair()
        self.put(pair.document())
        self.found()
        require(
            not leaks(redact(f"x{pair.secret}x"), [pair.secret]),
            "a secret is sealed with safetwilio.backends.interface.seal() when it is read",
        )

    def test_what_never_answers_fails_in_time(self) -> None:
        """A boot must not hang: half a second after its deadline it has failed."""
        self.needs("unreachable")
        references = self.unreachable()
        require(references, "unreachable() names at least one reference")
        for text, seconds in references.items():
            start = time.monotonic()
            error = caught(lambda text=text: self.opened(text).load(None))  # type: ignore[misc]
            took = time.monotonic() - start
            require(
                took <= seconds + self.slack,
                f"{text} fails within {seconds} s and {self.slack} s; it took {took:.1f} s",
            )
            require(
                isinstance(error, BackendUnavailable),
                f"{text} is a BackendUnavailable, not {type(error).__name__}",
            )

    def test_a_fork_is_survived(self) -> None:
        """What was loaded before a fork loads after it, in both processes at the same time."""
        if sys.platform == "win32" or not hasattr(os, "fork"):
            pytest.skip("this system has no fork")
        pair = new_pair()
        self.put(pair.document())
        backend = self.opened()
        backend.load(None)
        often = max(1, self.loads // _FORKED_SHARE)
        read = partial(_read_often, often, backend, self.opened, pair)
        child, inbox = _forked(read)
        try:
            mine = read()
            ready, _, _ = select.select([inbox], [], [], self.patience)
            theirs = os.read(inbox, 200).decode() if ready else "is not done"
        finally:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            os.close(inbox)
        require(mine == "done", f"the parent reads as before; it {mine}")
        require(theirs == "done", f"a child reads what its parent did; it {theirs}")


def _says_where(answer: Found | Absent) -> bool:
    return (
        isinstance(answer, Absent)
        and bool(answer.attempts)
        and all(attempt.place and attempt.outcome for attempt in answer.attempts)
    )


def _note(answers: list[object], call: Callable[..., object], *arguments: object) -> None:
    answers.append(call(*arguments))


def _leaks_of(error: BaseException | None, pair: Pair) -> list[str]:
    if error is None:
        return []
    return [where for where, text in told(error).items() if leaks(text, [pair.secret])]


def _leaks_in(what: str, lines: Sequence[str], pair: Pair) -> list[str]:
    return [what] if leaks("\n".join(lines), [pair.secret]) else []


def _read_often(often: int, backend: Backend, opened: Callable[[], Backend], pair: Pair) -> str:
    """Return ``done``, or what is wrong with reading *pair* from *backend* and from a new one."""
    for _ in range(often):
        for each in (backend, opened()):
            try:
                answer = each.load(None)
            except Exception as error:  # noqa: BLE001 - named by its class
                return f"raises {type(error).__name__}"
            if not isinstance(answer, Found) or pair_of(answer) != pair:
                return "reads something else"
    return "done"


def _forked(call: Callable[[], str]) -> tuple[int, int]:
    """Return the process that does *call*, and the pipe that it tells its answer to."""
    inbox, outbox = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # other threads: they are the point
        child = os.fork()
    if child == 0:  # pragma: no cover - no measurement survives os._exit()
        try:
            os.write(outbox, call().encode())
        finally:
            os._exit(0)
    os.close(outbox)
    return child, inbox
