"""The keys of one or more services, rotated in one run.

All new keys are put into their places first; then their users move; then the old keys go. A key
that several services share is deleted when none of them holds it any more.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from typing_extensions import override

from safetwilio.admin.identity import NEEDED
from safetwilio.admin.keys import fetch_policy, list_keys
from safetwilio.admin.lineage import key_name
from safetwilio.clients.probe import prove
from safetwilio.credentials import mask
from safetwilio.errors import (
    AccountOperationError,
    ConfigurationError,
    JournalError,
    SafeTwilioError,
)
from safetwilio.rotation.keys import KeyRotation, Subject, client_of, has_left_nothing
from safetwilio.rotation.overlap import Waiting, wait
from safetwilio.rotation.places import find_place, keys_held
from safetwilio.runbook.keeping import Clock, Sealed
from safetwilio.runbook.plans import Plan, Step

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from safetwilio.admin.identity import Identity
    from safetwilio.admin.keys import KeySummary
    from safetwilio.clients.rest import TwilioClient
    from safetwilio.rotation.overlap import Answer, Overlap
    from safetwilio.rotation.places import Held, Place, Target
    from safetwilio.runbook.runs import Run

VERB = "rotate key"
_REFUSED = "ST610"


class Seen(NamedTuple):
    """The key of *target* as it was found, and *identity*, which changes its account."""

    target: Target
    place: Place
    held: Held
    identity: Identity

    def admin(self) -> TwilioClient:
        """Return a client that may change the account."""
        return self.identity.client(self.held.key.account_sid, self.held.address)


def look(target: Target, identity_for: Callable[[str | None, str], Identity]) -> Seen:
    """Return where the key of *target* is, and who may change its account; nothing is changed.

    *identity_for* returns that, by the name and SID of an account. Raises
    :class:`AccountOperationError` (ST621, ST629) if there is nothing to rotate or nobody to do it,
    and :class:`safetwilio.errors.ConfigurationError` for a place that cannot be read or written.
    """
    place = find_place(target)
    place.require_writable()
    return look_into(place, identity_for)


def look_into(place: Place, identity_for: Callable[[str | None, str], Identity]) -> Seen:
    """Return what is in *place*, and who may change its account; see :func:`look`.

    Raises :class:`AccountOperationError` (ST621, ST629) and
    :class:`safetwilio.errors.ConfigurationError` for a place that cannot be read.
    """
    held = place.held()
    identity = identity_for(place.target.account, held.key.account_sid)
    _require_fit(identity, held)
    return Seen(place.target, place, held, identity)


def subject_of(seen: Seen, run: str) -> Subject:
    """Return what a *run* that begins now is to do with the key that was *seen*.

    Raises :class:`AccountOperationError` (ST622 for a Main key, other ST6xx of Twilio's), and
    :class:`safetwilio.errors.ConfigurationError` (ST32x) for a key that does not live.
    """
    service, account = seen.target
    sid = seen.held.key.sid
    admin = seen.admin()
    listed = {key.sid: key for key in _listed(seen, admin)}
    kind = _kind(seen)
    if kind == "main" or sid not in listed:
        why = (
            "is a Main key, which no API makes. Make the next one in the Console."
            if kind == "main"
            else "lives, but Twilio does not list it among the account's. Look in the Console "
            "whether it is of this account, and run the command again."
        )
        raise AccountOperationError(
            f"The key {mask('key', sid)} of {seen.target} {why}", code="ST622"
        )
    policy = service.policy
    if policy is None and kind != "standard":
        policy = fetch_policy(admin, sid)
    if policy is None and kind == "restricted":  # a Standard one in its place could do anything
        raise AccountOperationError(
            f"The key {mask('key', sid)} of {seen.target} is a Restricted one, but Twilio does not "
            "show its policy. Say in safetwilio.toml what the next one may do: policy = [...]",
            code="ST622",
        )
    created = listed[sid].created
    return Subject(
        target=str(seen.target),
        place=str(seen.place),
        account_sid=seen.held.key.account_sid,
        old=sid,
        name=key_name(service.label, account, run),
        policy=policy,
        created=None if created is None else created.isoformat(),
        directory=seen.place.directory,
    )


def subjects_of(facts: Mapping[str, Any]) -> tuple[Subject, ...]:
    """Return the subjects in the first entry of a journal.

    Raises :class:`JournalError` (ST950) for one that another version has written.
    """
    with suppress(KeyError, TypeError):
        return tuple(
            Subject(**{**one, "policy": one["policy"] and tuple(one["policy"])})
            for one in facts["subjects"]
        )
    raise JournalError(
        "The journal of an unfinished run was written by another version, and cannot be gone on "
        "with. See safetwilio rotate runs; --close lets go of it.",
        code="ST950",
    )


def age_of(subject: Subject) -> timedelta | None:
    """Return how long ago the old key was made, ``None`` if Twilio did not say."""
    if subject.created is None:
        return None
    return datetime.now(UTC) - datetime.fromisoformat(subject.created)


def plan(
    subjects: Sequence[Subject], identities: Sequence[Identity], run: Run | None = None
) -> Plan:
    """Return the plan for *subjects*, by *identities*; of a *run* that was begun, what is left."""
    return Plan(
        VERB,
        tuple(_steps(subjects)),
        tuple((NEEDED, found) for found in dict.fromkeys(map(str, identities))),
        tuple(f"{subject.target}: {_described(subject)}" for subject in subjects),
        run.id if run else None,
        run.done if run else frozenset(),
    )


def steps_of(target: str) -> tuple[str, str]:
    """Return the names of the steps that replace and delete the key of *target*."""
    return f"replace {target}", f"delete {target}"


class _Looking(KeyRotation):
    """A rotation that takes nothing back, and says what it would."""

    @override
    def _delete(self, sids: Collection[str]) -> None:
        """Leave them."""


class _Hasty(Clock):
    """A clock for who only looks: a write on its way is waited for when it matters."""

    @override
    def wait(self, seconds: float) -> None:
        """Go on at once."""


def to_take_back(run: Run, seen: Sequence[Seen]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield each target that was *seen*, with the SIDs of the keys that *run* has made for it.

    Raises :class:`AccountOperationError` (ST627) as :meth:`KeysRun.take_back` would.
    """
    subjects = {subject.target: subject for subject in subjects_of(run.subject)}
    for one in seen:
        target = str(one.target)
        looking = _Looking(
            subjects[target], one.place, one.admin(), run, say=lambda _: None, clock=_Hasty()
        )
        yield target, tuple(looking.take_back()["deleted"])


class KeysRun:
    """One run over the keys that were *seen*; whatever ends it early, it can be gone on with."""

    def __init__(  # noqa: PLR0913 - its parts
        self,
        run: Run,
        seen: Sequence[Seen],
        overlap: Overlap,
        *,
        say: Callable[[str], None],
        known: Callable[[], Iterable[Target]] = tuple,
        sealed: Callable[[str], Sealed] = lambda _: Sealed(),
        clock: Clock | None = None,
    ) -> None:
        """Go on with *run*.

        *overlap* says when the old keys may go; *known* returns the targets of other services,
        which may hold an old key, too; *sealed* where the secret of a target waits that could not
        be kept.
        """
        self._run = run
        self._overlap = overlap
        self._known = known
        self._targets = tuple(one.target for one in seen)
        self._say = say
        self._clock = clock or Clock()
        subjects = {subject.target: subject for subject in subjects_of(run.subject)}
        self._rotations = {
            str(one.target): KeyRotation(
                subjects[str(one.target)],
                one.place,
                one.admin(),
                run,
                say=lambda text, target=one.target: say(f"{target}: {text}"),  # type: ignore[misc]
                clock=self._clock,
                sealed=sealed(str(one.target)),
            )
            for one in seen
        }

    def carry_out(self, seconds: float = 0.0) -> tuple[Waiting, ...]:
        """Do what is left, and return what is waited for still after so many *seconds* at most.

        Raises what :meth:`KeyRotation.replace` and :meth:`KeyRotation.retire` raise.
        """
        for target, rotation in self._rotations.items():
            self._replace(target, rotation)
        waiting = wait(
            lambda: tuple(self._waiting()),
            seconds=seconds if self._overlap.can_end else 0.0,
            say=self._say,
            clock=self._clock,
        )
        behind = {each.target for each in waiting}
        for target, rotation in self._rotations.items():
            if target not in behind:
                self._retire(target, rotation)
        if not waiting:
            self._finish()
        return waiting

    def take_back(self) -> None:
        """Delete what the run has made as long as it is not in use, and close the run.

        Raises :class:`AccountOperationError` (ST627) if one of the new keys has its place.
        """
        for target, rotation in self._rotations.items():
            self._run.note("taken back", target=target, **rotation.take_back())
        self._finish(rolled_back=True)

    def _replace(self, target: str, rotation: KeyRotation) -> None:
        """Replace the key of *target*; a run of which a failure has left nothing is closed.

        The next one does the same, and nobody has to take back what is not there.
        """
        failure: SafeTwilioError
        try:
            self._run.perform(steps_of(target)[0], rotation.replace)
        except SafeTwilioError as error:
            failure = error.with_traceback(None)
        else:
            return
        subjects = subjects_of(self._run.subject)
        if all(has_left_nothing(self._run, subject.target) for subject in subjects):
            with suppress(JournalError):
                self._run.finish(failed=failure.code)
        raise failure

    def _finish(self, **facts: Any) -> None:
        """Close the run, unless it has keys that nobody looks at just now."""
        run = self._run
        for target in (subject.target for subject in subjects_of(run.subject)):
            is_back = run.noted("taken back", target=target)
            is_overtaken = run.noted("undone", target=target) and has_left_nothing(run, target)
            if not is_back and not is_overtaken and not run.done.issuperset(steps_of(target)):
                return
        run.finish(**facts)

    def _retire(self, target: str, rotation: KeyRotation) -> None:
        def retire() -> dict[str, Any]:
            return rotation.retire(keys_held((*self._targets, *self._known())))

        self._run.perform(steps_of(target)[1], retire)

    def _waiting(self) -> Iterator[Waiting]:
        for target, rotation in self._rotations.items():
            if steps_of(target)[1] in self._run.done:
                continue
            answer = self._ask(rotation.subject)
            if not answer.is_over:
                yield Waiting(target, answer.why)

    def _ask(self, subject: Subject) -> Answer:
        kept = self._run.noted("kept", target=subject.target)[-1]
        answer = self._overlap.ask(subject.old, kept.facts["sid"], kept.at)
        if answer.is_over and not self._run.noted("moved", target=subject.target):
            self._run.note("moved", target=subject.target, why=answer.why)
        return answer


def _listed(seen: Seen, admin: TwilioClient) -> tuple[KeySummary, ...]:
    """Return the keys of the account; a refusal says what was refused, and where it is from.

    One account may have several names, and something else in the place of each.
    """
    try:
        return list_keys(admin)
    except AccountOperationError as error:
        if error.code != _REFUSED:
            raise
        message = error.args[0]
    raise AccountOperationError(
        f"{message} Refused for {seen.target}: {seen.identity}.", code=_REFUSED
    )


def _require_fit(identity: Identity, held: Held) -> None:
    wrong = ""
    if identity.username == held.key.sid:
        wrong = "is the key to be rotated itself"
    elif identity.kind == "key" and identity.account_sid != held.key.account_sid:
        wrong = "belongs to another account than the key"
    if wrong:
        raise AccountOperationError(
            f"What may change the account ({identity}) {wrong}. Needed is {NEEDED}.", code="ST629"
        )


def _kind(seen: Seen) -> str | None:
    held = seen.held
    try:
        return prove(client_of(held.key, held), held.key, validation_url=held.validation_url).kind
    except ConfigurationError as error:
        failure = error.of_account(seen.target.account)
    raise failure


def _steps(subjects: Sequence[Subject]) -> Iterator[Step]:
    for subject in subjects:
        kind = "Restricted" if subject.policy else "Standard"
        yield Step(
            steps_of(subject.target)[0],
            f"{subject.target}: make a {kind} key, prove it, put it into {subject.place} in the "
            f"place of {mask('key', subject.old)}, read it back and prove it again",
            NEEDED,
            "safetwilio rotate key --roll-back, until it is in its place",
        )
    for subject in subjects:
        yield Step(
            steps_of(subject.target)[1],
            f"{subject.target}: once all that used {mask('key', subject.old)} have moved, delete "
            "it and see that Twilio refuses it",
            NEEDED,
        )


def _described(subject: Subject) -> str:
    age = age_of(subject)
    words = "of unknown age" if age is None else f"{age.days} days old"
    return f"the key is {words}; account {mask('account', subject.account_sid)}"
