"""One run over the Auth Token of one account, and those of its subaccounts if that is wanted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from safetwilio.admin.identity import NEEDED, Address, Identity, identity_of_token
from safetwilio.credentials import mask
from safetwilio.errors import AccountOperationError
from safetwilio.rotation.overlap import Waiting, wait
from safetwilio.rotation.places import spot
from safetwilio.rotation.subaccounts import rotate_subaccounts
from safetwilio.rotation.token_places import find_token_places
from safetwilio.rotation.tokens import TokenRotation
from safetwilio.runbook.keeping import Clock, Sealed
from safetwilio.runbook.plans import Plan, Step

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from safetwilio.rotation.overlap import Overlap
    from safetwilio.rotation.token_places import TokenPlace
    from safetwilio.runbook.runs import Run

VERB = "rotate token"
_NAMES = ("stand by", "promote", "settle", "subaccounts", "next standby")


class TokenSubject(NamedTuple):
    """What the journal says at the run's beginning; none of it is a secret.

    With *standby* the next one is made at the end; *subaccounts* are rotated, too, if that is set.
    *directory* is where the paths of *places* begin, if there are relative ones.
    """

    target: str
    account_sid: str
    places: tuple[str, ...]
    standby: bool = False
    subaccounts: bool = False
    directory: str = ""

    @property
    def spots(self) -> frozenset[str]:
        """What is the same for two spellings of these places, whatever directory they name."""
        return frozenset(spot(place, self.directory) for place in self.places)


class SeenToken(NamedTuple):
    """The *places* of the token of one account, and *identity*, a key that may change it."""

    account_sid: str
    places: tuple[TokenPlace, ...]
    identity: Identity | None
    deployed: bool

    def subject(self, account: str | None, *, standby: bool, subaccounts: bool) -> TokenSubject:
        """Return what a run that begins now is to do."""
        places = tuple(map(str, self.places))
        target = account or "the default account"
        directory = max(place.directory for place in self.places)  # all relative ones begin there
        return TokenSubject(target, self.account_sid, places, standby, subaccounts, directory)


def look(account: str | None, named: str | None, identity: Identity | None) -> SeenToken:
    """Return where the Auth Token of *account* is; *named* are its places, if they were named.

    Nothing is changed. Raises :class:`AccountOperationError` (ST629, ST631, ST632) and
    :class:`safetwilio.errors.ConfigurationError` for a place that cannot be read or written.
    """
    places = find_token_places(account, named)
    key = identity if identity and identity.kind == "key" else None
    held = [place.held() for place in places]
    for place in places:
        place.require_writable()
    known = {each.account_sid for each in held if each.account_sid}
    known |= {identity.account_sid} if identity else set()
    if len(known) != 1:
        raise AccountOperationError(
            "The places of the Auth Token, and what may change the account, name "
            f"{len(known)} different accounts. Put the Account SID beside the token, one and the "
            "same everywhere.",
            code="ST629",
        )
    return SeenToken(known.pop(), places, key, any(each.standby for each in held))


def plan(subject: TokenSubject, seen: SeenToken, run: Run | None = None) -> Plan:
    """Return the plan for *subject*; of a *run* that was begun, what is left."""
    who = str(seen.identity) if seen.identity else f"the token in {subject.places[0]}"
    notes = [
        f"account {mask('account', subject.account_sid)}, {subject.target}",
        "requests made with the old Auth Token are refused once the new one is promoted; API keys "
        "are not touched",
    ]
    if subject.subaccounts:
        notes.append(
            "the tokens of subaccounts are kept nowhere: what verifies their webhooks has to be "
            "told. One with a name (get_client) is rotated with its places by --account NAME"
        )
    done = run.done if run else frozenset()
    return Plan(
        VERB,
        tuple(_steps(subject, seen)),
        ((NEEDED, who),),
        tuple(notes),
        run.id if run else None,
        done,
    )


class TokenRun:
    """One run over what was *seen*; whatever ends it early, it can be gone on with."""

    def __init__(  # noqa: PLR0913 - its parts
        self,
        run: Run,
        seen: SeenToken,
        overlap: Overlap,
        *,
        say: Callable[[str], None],
        address: Address | None = None,
        sealed: Sealed | None = None,
        clock: Clock | None = None,
    ) -> None:
        """Go on with *run*, in a break-glass block; *overlap* says when all verifiers have both."""
        self._run = run
        self._subject = subject_in(run.subject)
        self._overlap = overlap
        self._say = say
        self._address = address or Address()
        self._clock = clock or Clock()
        self._places = seen.places
        self._rotation = TokenRotation(
            self._subject.account_sid,
            seen.places,
            seen.identity,
            run,
            say=say,
            address=self._address,
            clock=self._clock,
            sealed=sealed,
        )

    def carry_out(self, seconds: float = 0.0) -> tuple[Waiting, ...]:
        """Do what is left, and return what is waited for still after so many *seconds* at most.

        Raises what the verbs of :class:`TokenRotation` raise.
        """
        run, rotation = self._run, self._rotation
        run.perform("stand by", rotation.stand_by)
        # Once it was asked for, the old token may be dead.
        if "promote" not in run.done and not run.noted("promoting"):
            limit = seconds if self._overlap.can_end else 0.0
            waiting = wait(self._waiting, seconds=limit, say=self._say, clock=self._clock)
            if waiting:
                return waiting
        run.perform("promote", rotation.promote)
        run.perform("settle", rotation.settle)
        if self._subject.subaccounts:
            run.perform("subaccounts", self._subaccounts)
        if self._subject.standby:
            run.perform("next standby", rotation.next_standby)
        run.finish()
        return ()

    def take_back(self) -> None:
        """Take back what the run has made, as long as nothing is promoted, and close it."""
        self._run.note("taken back", **self._rotation.take_back())
        self._run.finish(rolled_back=True)

    def _waiting(self) -> tuple[Waiting, ...]:
        (done,) = self._run.noted("done", step="stand by")
        if done.facts["deployed"]:  # who has it in its place has had it before
            return ()
        answer = self._overlap.ask("", "", done.at)
        return () if answer.is_over else (Waiting(self._subject.target, answer.why),)

    def _subaccounts(self) -> dict[str, object]:
        token = self._places[0].held().token
        parent = identity_of_token(self._subject.account_sid, token, str(self._places[0]))
        return rotate_subaccounts(
            parent, self._address, self._run, say=self._say, clock=self._clock
        )


def subject_in(facts: Mapping[str, Any]) -> TokenSubject:
    """Return the subject in *facts*, the first entry of a journal."""
    (found,) = facts["subjects"]
    return TokenSubject(**{**found, "places": tuple(found["places"])})


def _steps(subject: TokenSubject, seen: SeenToken) -> Iterator[Step]:
    places = ", ".join(subject.places)
    making = "make a secondary Auth Token (one that nobody can read is deleted first) and put it"
    steps = {
        "stand by": (
            f"take the standby that is in {places}; if Twilio does not accept it, {making} there"
            if seen.deployed
            else f"{making} into {places}",
            "safetwilio rotate token --roll-back, until it is promoted",
        ),
        "promote": (
            "once all that verifies webhooks has both tokens, promote it: the old Auth Token is "
            "dead from then on",
            "",
        ),
        "settle": (f"let {places} hold the new token alone", ""),
        "subaccounts": ("replace the Auth Token of every active subaccount", ""),
        "next standby": (
            f"make the next standby and put it into {places}",
            "deleting the secondary Auth Token in the Console",
        ),
    }
    wanted = {"subaccounts": subject.subaccounts, "next standby": subject.standby}
    for name in _NAMES:
        if wanted.get(name, True):
            does, undo = steps[name]
            yield Step(name, does, NEEDED, undo)
