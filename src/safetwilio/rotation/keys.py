"""The key of one service, replaced: a new one in its place, proven, then the old one deleted.

Each verb looks first at what is there: at the keys that carry the name of this run, and at the key
in the place. So it may be called again after a crash anywhere, and does only what is missing. A
key is created by one request that is never repeated; if its answer is lost, the name tells.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from safetwilio.admin.keys import create_key, delete_key, list_keys
from safetwilio.clients.probe import prove
from safetwilio.clients.rest import TwilioClient
from safetwilio.credentials import ApiKey, mask
from safetwilio.errors import (
    AccountOperationError,
    ConfigurationError,
    JournalError,
    SafeTwilioError,
)
from safetwilio.rotation.places import fields_of
from safetwilio.runbook.keeping import Clock, NotKept, Sealed, keep
from safetwilio.store import CredentialStore

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from pydantic import SecretStr

    from safetwilio.admin.keys import KeySummary, NewKey
    from safetwilio.credentials import KeyType
    from safetwilio.rotation.places import Held, Place
    from safetwilio.runbook.journal import Entry
    from safetwilio.runbook.runs import Notes

KNOWN_WITHIN = 60.0
"""Seconds in which Twilio has to know a new key, or to have forgotten a deleted one."""
LANDS_WITHIN = 120.0
"""Seconds in which a write that was sent lands, or is seen by who reads."""
_PAUSE = 1.0
_CREATIONS = 3
_LOST = "ST613"
_REFUSED = "ST320"


class Subject(NamedTuple):
    """What the journal says of one key at the run's beginning; none of it is a secret.

    *old* is the SID of the key that gives way, *created* when it was made (ISO 8601); *name* is the
    new one's, and *policy* its permissions if it is to be a Restricted one. *directory* is where
    the path of *place* begins, if it is a relative one.
    """

    target: str
    place: str
    account_sid: str
    old: str
    name: str
    policy: tuple[str, ...] | None = None
    created: str | None = None
    directory: str = ""


class KeyRotation:
    """The rotation of one key; *admin* is a client that may change the account."""

    def __init__(  # noqa: PLR0913 - its parts
        self,
        subject: Subject,
        place: Place,
        admin: TwilioClient,
        run: Notes,
        *,
        say: Callable[[str], None],
        clock: Clock | None = None,
        sealed: Sealed | None = None,
    ) -> None:
        """Work on *subject* in *place*, and note in the journal of *run* what happens."""
        self.subject = subject
        self.place = place
        self._admin = admin
        self._run = run
        self._say = say
        self._clock = clock or Clock()
        self._sealed = sealed or Sealed()
        self._old: ApiKey | None = None

    def replace(self) -> dict[str, Any]:
        """Put a new key into the place of the old one, proven before and after.

        Raises :class:`AccountOperationError` (ST6xx) and
        :class:`safetwilio.errors.ConfigurationError` (ST3xx). The old key works on in any case, and
        a new one that is not in the place is deleted, unless nobody can tell (ST625).
        """
        held = self._settled()
        mine = self._mine()
        if held.key.sid == self.subject.old and mine & self._saved():
            held = self._read_back(max(mine & self._saved()))
        if held.key.sid not in mine:
            if held.key.sid != self.subject.old:
                raise self._changed(held)
            self._old = held.key
            held = self._go_on_with_sealed(held, mine) or self._make(held, mine)
        self._clear(mine - {held.key.sid})
        self._sealed.forget()
        self._say("Asking Twilio about the key as it is read from there")
        self._require_known(held.key, held)
        self._run.note("kept", target=self.subject.target, sid=held.key.sid)
        return {"sid": held.key.sid, "version": held.version}

    def retire(self, in_use: Collection[str]) -> dict[str, Any]:
        """Delete the old key, which none of the keys *in_use* by other services may be.

        Raises :class:`AccountOperationError` (ST6xx; ST626 if something uses the old key still).
        """
        held = self.place.held()
        old = self.subject.old
        if old in {held.key.sid, *in_use}:
            raise AccountOperationError(
                f"The old key {mask('key', old)} is still in the place of a service, so it was not "
                "deleted. Both keys work. Rotate that service too, or put the new key there.",
                code="ST626",
            )
        self._require_known(held.key, held)
        # The key that this run put there stays, also if somebody has replaced it since: they wait
        # for its users as we did for those of the old one.
        kept = {entry.facts["sid"] for entry in self._noted("kept")}
        self._delete(self._mine() - {held.key.sid, *in_use, *kept})
        self._delete({old})
        self._require_gone(old, held)
        return {"deleted": old}

    def take_back(self) -> dict[str, Any]:
        """Delete what the run has made, if the old key is still in its place.

        Raises :class:`AccountOperationError` (ST627) if the new one has taken it: its secret is all
        there is, and finishing is the way. So it is if somebody has replaced it since.
        """
        held = self._settled()
        mine = self._mine()
        kept = {entry.facts["sid"] for entry in self._noted("kept")}
        in_use = mine & {held.key.sid, *kept, *self._saved()}
        if in_use:
            raise AccountOperationError(
                f"The new key {mask('key', min(in_use))} got to its place and may be in use, so it "
                "was not taken back. Finish the run: the same command without --roll-back. If "
                "somebody has put the old key back, let go of the run: safetwilio rotate runs "
                "--close RUN, and delete the new key in the Console.",
                code="ST627",
            )
        self._delete(mine)
        self._sealed.forget()
        return {"deleted": sorted(mine)}

    def _settled(self) -> Held:
        """Return what the place holds, once no write of an earlier process can be on its way.

        That is soon if the process was killed, and late if the place did not answer for long.
        """
        held = self.place.held()
        undone = {entry.facts["sid"] for entry in self._noted("undone")}
        writes = [each for each in self._noted("keeping") if each.facts["sid"] not in undone]
        if held.key.sid != self.subject.old or not writes:
            return held
        # The clock may have been set since.
        left = min(LANDS_WITHIN, LANDS_WITHIN - _seconds_since(writes[-1].at))
        if left > 0:
            self._say(f"A write of an earlier process may be on its way: waiting {left:.0f} s")
            self._clock.wait(left)
        return self.place.held()

    def _saved(self) -> set[str]:
        """Return the SIDs whose write the place has confirmed, whatever it shows."""
        return {entry.facts["sid"] for entry in self._noted("saved")}

    def _read_back(self, sid: str) -> Held:
        """Return what the place holds once it shows the key *sid*, which it has confirmed."""
        end = self._clock.now() + LANDS_WITHIN
        while (held := self.place.held()).key.sid != sid:
            if held.key.sid != self.subject.old:
                raise self._changed(held)
            if self._clock.now() >= end:
                raise AccountOperationError(
                    f"{self.place} has confirmed the new key {mask('key', sid)}, but shows the old "
                    f"one {LANDS_WITHIN:.0f} seconds later. Both keys work, and nothing was "
                    "deleted. Run the same command again later. If somebody has put the old key "
                    "back, let go of the run: safetwilio rotate runs --close RUN",
                    code="ST625",
                )
            self._clock.wait(_PAUSE)
        return held

    def _noted(self, event: str) -> tuple[Entry, ...]:
        return self._run.noted(event, target=self.subject.target)

    def _make(self, held: Held, orphans: set[str]) -> Held:
        """Return what the place holds once a new key is there; *orphans* have no secret left."""
        self._clear(orphans)
        made = self._create()
        key = ApiKey(
            self.subject.account_sid,
            made.sid,
            made.secret.get_secret_value(),
            source="Twilio's answer",
        )
        failure: SafeTwilioError | None = None
        try:
            self._run.note("created", target=self.subject.target, sid=made.sid)
            self._require_kind(self._require_known(key, held))
            self._run.note("keeping", target=self.subject.target, sid=key.sid)
        except SafeTwilioError as error:
            failure = error.with_traceback(None)
        if failure is not None:
            self._undo(key.sid)
            raise failure
        return self._put(fields_of(key, held.carried), key.sid, held)

    def _require_kind(self, kind: KeyType | None) -> None:
        """Raise ST622 if Twilio has made a key that may do more than was asked for."""
        if self.subject.policy is not None and kind in {"standard", "main"}:
            raise AccountOperationError(
                f"Twilio made a {kind} key where a Restricted one was asked for, so it was deleted "
                "again. Nothing else was changed.",
                code="ST622",
            )

    def _create(self) -> NewKey:
        for attempt in range(1, _CREATIONS + 1):
            self._run.note("creating", target=self.subject.target, name=self.subject.name)
            self._say(f"Making the API key {self.subject.name}")
            try:
                return create_key(self._admin, self.subject.name, self.subject.policy)
            except AccountOperationError as error:
                if error.code != _LOST:
                    raise
            self._say("Twilio's answer was lost; looking whether the key was made")
            self._clear(self._mine())  # its secret is gone with the answer
            self._clock.wait(_PAUSE * attempt)
        raise AccountOperationError(
            f"Twilio's answer to the creation of a key was lost {_CREATIONS} times. Nothing was "
            "changed, and what was made has been deleted. Run the command again later; it looks "
            "for keys that turn up after all.",
            code="ST622",
        )

    def _go_on_with_sealed(self, held: Held, mine: set[str]) -> Held | None:
        """Put the key that an earlier process sealed into the place, if it is one of *mine*."""
        fields = self._sealed.unseal()
        sid = fields["key_sid"].get_secret_value() if fields else ""
        if not fields or sid not in mine:
            return None
        self._say("Going on with the key that was sealed")
        self._run.note("keeping", target=self.subject.target, sid=sid)
        return self._put(fields, sid, held)

    def _put(self, fields: Mapping[str, SecretStr], sid: str, held: Held) -> Held:
        """Return what the place holds once *fields* are there in the stead of *held*."""
        self._say(f"Putting it into {self.place}")
        reason: Exception | None = None
        try:
            keep(
                lambda: self.place.keep(fields, held.version),
                lambda: self.place.held().key.sid == sid,
                lambda: self._sealed.seal(fields),
                say=self._say,
                clock=self._clock,
            )
        except NotKept as error:
            reason = error.reason.with_traceback(None)
        if reason is not None:
            self._undo(sid)
            self._sealed.forget()
            raise reason
        self._run.note("saved", target=self.subject.target, sid=sid)
        return self._read_back(sid)

    def _mine(self) -> set[str]:
        """Return the SIDs of the keys that carry the name of this run, none of another target's."""
        made = self._run.noted("created")
        theirs = {e.facts["sid"] for e in made if e.facts["target"] != self.subject.target}
        mine = {key.sid for key in self._listed() if key.name == self.subject.name}
        return mine - theirs

    def _listed(self) -> tuple[KeySummary, ...]:
        return list_keys(self._admin)

    def _clear(self, orphans: Collection[str]) -> None:
        """Delete keys of this run whose secret nobody has: no other process goes on with it."""
        self._delete(orphans)

    def _delete(self, sids: Collection[str]) -> None:
        for sid in sorted(sids):
            self._run.note("deleting", target=self.subject.target, sid=sid)
            self._say(f"Deleting the key {mask('key', sid)}")
            delete_key(self._admin, sid)

    def _undo(self, sid: str) -> None:
        """Delete the key *sid*, which is in no place, also where the journal takes no more."""
        delete_key(self._admin, sid)
        with suppress(JournalError):
            self._run.note("undone", target=self.subject.target, sid=sid)
        self._say("The new key could not be used, so it was deleted again")

    def _require_known(self, key: ApiKey, held: Held) -> KeyType | None:
        """Wait until Twilio accepts *key*, where *held* says that it is used; raise ST624."""
        return require_known(key, held, self._clock)

    def _require_gone(self, sid: str, held: Held) -> None:
        """Raise ST628 unless Twilio lists *sid* no more, and refuses it where its secret is known.

        A deletion may take a moment to count.
        """
        if not self._clock.is_so_within(KNOWN_WITHIN, lambda: not self._is_alive(sid, held)):
            raise AccountOperationError(
                f"Twilio still accepts the deleted key {mask('key', sid)} after "
                f"{KNOWN_WITHIN:.0f} seconds. Look in the Console whether it is there, and "
                "delete it.",
                code="ST628",
            )

    def _is_alive(self, sid: str, held: Held) -> bool:
        if any(key.sid == sid for key in self._listed()):
            return True
        if self._old is None:  # its secret went with the process that began the run
            return False
        try:
            prove(client_of(self._old, held), self._old, validation_url=held.validation_url)
        except ConfigurationError as error:
            return error.code != _REFUSED
        return True

    def _changed(self, held: Held) -> AccountOperationError:
        return AccountOperationError(
            f"{self.place} holds the key {mask('key', held.key.sid)} now, which is neither the old "
            "one nor one of this run: somebody else replaced it. Nothing more was changed. If "
            "safetwilio rotate runs lists this run, take back what it made with --roll-back; begin "
            "anew if need be.",
            code="ST623",
        )


def has_left_nothing(run: Notes, target: str) -> bool:
    """Return whether all keys that *run* has asked for, for *target*, were deleted out of place."""
    asked, made, undone = (
        len(run.noted(event, target=target)) for event in ("creating", "created", "undone")
    )
    return asked == made == undone


def require_known(key: ApiKey, held: Held, clock: Clock) -> KeyType | None:
    """Wait until Twilio accepts *key*, where *held* says that it is used; return its kind.

    Raises :class:`AccountOperationError` (ST624) if it refuses *key* for :data:`KNOWN_WITHIN`, and
    :class:`safetwilio.errors.ConfigurationError` (ST214, ST321, ST322).
    """
    client = client_of(key, held)
    end = clock.now() + KNOWN_WITHIN
    while True:
        try:
            return prove(client, key, validation_url=held.validation_url).kind
        except ConfigurationError as error:
            failure = error.with_traceback(None)
        if failure.code != _REFUSED:
            raise failure
        if clock.now() >= end:
            break
        clock.wait(_PAUSE)
    raise AccountOperationError(
        f"Twilio still refuses the key {mask('key', key.sid)} after {KNOWN_WITHIN:.0f} "
        "seconds. Nothing was deleted. Look at https://status.twilio.com, and run the command "
        "again.",
        code="ST624",
    )


def _seconds_since(at: str) -> float:
    return (datetime.now(UTC) - datetime.fromisoformat(at)).total_seconds()


def client_of(key: ApiKey, held: Held) -> TwilioClient:
    """Return a client that asks with *key* and no other, whatever Twilio answers."""
    return TwilioClient.from_store(
        CredentialStore(key), region=held.address.region, edge=held.address.edge
    )
