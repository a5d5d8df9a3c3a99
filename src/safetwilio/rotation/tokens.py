"""The Auth Token of one account, replaced: a standby in its places, promoted, then alone.

A standby that its places hold already, and that Twilio accepts, is promoted as it is. One that
nobody can read counts as exposed: it is deleted, and another made. From the moment at which a
standby is in its places no answer matters any more: whichever token Twilio accepts is in our hands.
Each verb looks first at what is there, and does only what is missing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from safetwilio.admin.identity import NEEDED, Address, Identity, identity_of_token
from safetwilio.admin.tokens import (
    create_secondary,
    delete_secondary,
    lives,
    promote,
    require_own,
)
from safetwilio.credentials import mask
from safetwilio.errors import AccountOperationError
from safetwilio.rotation.token_places import STANDBY, is_same
from safetwilio.runbook.keeping import Clock, NotKept, Sealed, keep

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pydantic import SecretStr

    from safetwilio.clients.rest import TwilioClient
    from safetwilio.rotation.token_places import HeldTokens, TokenPlace
    from safetwilio.runbook.runs import Run

COUNTS_WITHIN = 120.0
"""Seconds in which a change of tokens has to count; Twilio speaks of one minute for Functions."""
_PAUSE = 1.0
_CREATIONS = 3
_LOST, _REFUSED = "ST613", "ST610"


class TokenRotation:
    """The rotation of one account's Auth Token, in a break-glass block.

    *admin* may change the account; without it the token in the *places* does it itself.
    """

    def __init__(  # noqa: PLR0913 - its parts
        self,
        account_sid: str,
        places: Sequence[TokenPlace],
        admin: Identity | None,
        run: Run,
        *,
        say: Callable[[str], None],
        address: Address | None = None,
        clock: Clock | None = None,
        sealed: Sealed | None = None,
    ) -> None:
        """Work on the account *account_sid*, and note in the journal of *run* what happens."""
        self.account_sid = account_sid
        self.places = tuple(places)
        self._identity = admin
        self._is_own = False
        self._run = run
        self._say = say
        self._address = address or Address()
        self._clock = clock or Clock()
        self._sealed = sealed or Sealed()

    def stand_by(self) -> dict[str, Any]:
        """Put a standby that Twilio accepts into every place; return whether all had it already.

        Raises :class:`AccountOperationError` (ST6xx) and
        :class:`safetwilio.errors.ConfigurationError` (ST3xx). The old token works on in any case.
        """
        self._ensure_standby()
        return {"deployed": not self._run.noted("keeping")}

    def promote(self) -> dict[str, Any]:
        """Make the standby the only token; the old one is refused when this returns.

        Raises :class:`AccountOperationError` (ST633 to ST635, and other ST6xx).
        """
        standby = self._deployed(self._held())
        if standby is None:
            raise _no_standby()
        end = self._clock.now() + COUNTS_WITHIN
        outcome = "to ask"
        # A dead token in the places is no proof: the primary one may be another, in no place.
        while (old := self._old_that_live(standby)) or outcome == "to ask":
            if self._clock.now() >= end:
                raise _still_alive(outcome)
            if outcome == "to ask":
                outcome, standby = self._ask_to_promote([*old, standby][0], standby)
            if old or outcome == "to ask":
                self._clock.wait(_PAUSE)
        if not self._lives(standby):
            raise _no_standby()
        self._run.note("promoted")
        return {}

    def settle(self) -> dict[str, Any]:
        """Let every place hold the promoted token, and no standby.

        Raises as :meth:`stand_by`.
        """
        held = self._held()
        alive = [token for token in _distinct(held) if self._lives(token)]
        if len(alive) != 1:
            raise _not_one(len(alive))
        for place in self.places:
            self._put(place, token=alive[0], standby=type(alive[0])(""))
        self._sealed.forget()
        return {}

    def next_standby(self) -> dict[str, Any]:
        """Make the standby for the next time and put it into every place; raises as the others."""
        self._ensure_standby()
        return {}

    def take_back(self) -> dict[str, Any]:
        """Delete the standby that this run has made, if it is not promoted.

        Raises :class:`AccountOperationError` (ST627) once it is: only finishing leads on.
        """
        held = self._held()
        if self._run.noted("promoted") or not any(self._lives(each.token) for each in held):
            raise _promoted()
        if not self._run.noted("creating"):
            return {"deleted": False}
        deleted = delete_secondary(self._client(held))
        if not deleted and not self._is_refused_soon(held):
            raise _promoted()
        for place in self.places:
            self._put(place, standby=type(held[0].token)(""))
        self._sealed.forget()
        return {"deleted": deleted}

    def _ensure_standby(self) -> None:
        held = self._held()
        self._put_everywhere(self._deployed(held) or self._sealed_one(held) or self._make(held))
        self._sealed.forget()

    def _is_refused_soon(self, held: Sequence[HeldTokens]) -> bool:
        """Return whether the standby in *held*, which is no secondary token now, is refused.

        It is if somebody has deleted it, and lives for ever if it was promoted; both may count
        later than Twilio says, and one that lives must not be taken out of its place.
        """
        return self._clock.is_so_within(COUNTS_WITHIN, lambda: self._deployed(held) is None)

    def _held(self) -> list[HeldTokens]:
        return [place.held() for place in self.places]

    def _lives(self, token: SecretStr) -> bool:
        return lives(self._identity_of(token), self._address)

    def _identity_of(self, token: SecretStr) -> Identity:
        return identity_of_token(self.account_sid, token, "its place")

    def _client(self, held: Sequence[HeldTokens]) -> TwilioClient:
        """Return a client that may change the account: the identity's, or the living token's."""
        identity = self._own_identity()
        if identity is None:
            tokens = (each.token for each in held)
            alive = next((token for token in tokens if self._lives(token)), None)
            if alive is None:
                raise _nobody(self.account_sid)
            identity = self._identity_of(alive)
        return identity.client(self.account_sid, self._address)

    def _own_identity(self) -> Identity | None:
        """Return who changes the account, if it is a key, once it is known to be its own."""
        if self._identity is not None and not self._is_own:
            require_own(self._identity.client(self.account_sid, self._address))
            self._is_own = True
        return self._identity

    def _deployed(self, held: Sequence[HeldTokens]) -> SecretStr | None:
        """Return the standby that a place holds and Twilio accepts."""
        for each in held:
            standby = each.standby
            if standby and not is_same(each.token, standby) and self._lives(standby):
                return standby
        return None

    def _old_that_live(self, standby: SecretStr) -> list[SecretStr]:
        """Return the tokens in the places that are not *standby* and that Twilio accepts."""
        others = (token for token in _distinct(self._held()) if not is_same(token, standby))
        return [token for token in others if self._lives(token)]

    def _make(self, held: Sequence[HeldTokens]) -> SecretStr:
        """Return a new secondary token that counts; an unreadable one gives way to it."""
        client = self._client(held)
        for attempt in range(1, _CREATIONS + 1):
            self._run.note("creating")
            self._say("Making a secondary Auth Token")
            try:
                if delete_secondary(client):
                    self._say("One that nobody could read was there; it was deleted")
                made = create_secondary(client)
            except AccountOperationError as error:
                if error.code != _LOST:
                    raise
            else:
                self._run.note("created")
                return self._counting(made)
            self._say("Twilio's answer was lost; what it made is deleted, and another made")
            self._clock.wait(_PAUSE * attempt)
        raise AccountOperationError(
            f"Twilio's answer to the creation of a secondary Auth Token was lost {_CREATIONS} "
            "times. The old token works on. Run the command again later.",
            code="ST622",
        )

    def _counting(self, token: SecretStr) -> SecretStr:
        """Return *token* once Twilio accepts it."""
        if self._clock.is_so_within(COUNTS_WITHIN, lambda: self._lives(token)):
            return token
        raise AccountOperationError(
            f"Twilio does not accept the new secondary Auth Token after {COUNTS_WITHIN:.0f} "
            "seconds. The old one works on. Run the command again.",
            code="ST624",
        )

    def _sealed_one(self, held: Sequence[HeldTokens]) -> SecretStr | None:
        """Return what an earlier process sealed, if it is a standby that Twilio accepts."""
        fields = self._sealed.unseal()
        standby = fields.get(STANDBY) if fields else None
        if standby is None or any(is_same(standby, each.token) for each in held):
            return None
        return standby if self._lives(standby) else None

    def _put_everywhere(self, standby: SecretStr) -> None:
        for place in self.places:
            self._put(place, standby=standby)
        self._run.note("standby")

    def _put(
        self, place: TokenPlace, *, token: SecretStr | None = None, standby: SecretStr
    ) -> None:
        """Let *place* hold these, unless it does; the secret is sealed if it does not answer."""
        held = place.held()
        if _holds(held, token, standby):
            return
        self._run.note("keeping", place=str(place))
        self._say(f"Putting it into {place}")
        reason: Exception | None = None
        try:
            keep(
                lambda: place.keep(held, token=token, standby=standby),
                lambda: _holds(place.held(), token, standby),
                lambda: self._sealed.seal({STANDBY: token or standby}),
                say=self._say,
                clock=self._clock,
            )
        except NotKept as error:
            reason = error.reason.with_traceback(None)
        if reason is not None:
            raise reason

    def _ask_to_promote(self, token: SecretStr, standby: SecretStr) -> tuple[str, SecretStr]:
        """Ask once, with *token* or the key, and return what came of it, and the standby then."""
        identity = self._own_identity() or self._identity_of(token)
        self._run.note("promoting")
        self._say("Promoting the secondary Auth Token")
        try:
            promoted = promote(identity.client(self.account_sid, self._address))
        except AccountOperationError as error:
            # A key that may not has no part in it; the old token may be dead by now.
            if error.code != _LOST and (self._identity or error.code != _REFUSED):
                raise
            return "to ask", standby  # the tokens tell whether it is done
        if promoted is None:
            return "none there", standby
        if not is_same(promoted, standby):  # somebody else made another one in between
            self._put_everywhere(self._counting(promoted))
            return "asked", promoted
        return "asked", standby


def _distinct(held: Sequence[HeldTokens]) -> Iterator[SecretStr]:
    found: list[SecretStr] = []
    for each in held:
        for token in (each.token, each.standby):
            if token is not None and not any(is_same(token, other) for other in found):
                found.append(token)
    yield from found


def _holds(held: HeldTokens, token: SecretStr | None, standby: SecretStr) -> bool:
    if token is not None and not is_same(token, held.token):
        return False
    if not standby.get_secret_value():
        return held.standby is None
    return is_same(standby, held.standby)


def _nobody(account_sid: str) -> AccountOperationError:
    return AccountOperationError(
        f"Twilio accepts none of the Auth Tokens of {mask('account', account_sid)} in their "
        "places. The account may be suspended, or the token was rotated elsewhere: put the right "
        f"one there, or give {NEEDED}.",
        code="ST633",
    )


def _promoted() -> AccountOperationError:
    return AccountOperationError(
        "The old Auth Token is dead already, or about to be, so nothing can be taken back. Finish "
        "the run: the same command without --roll-back.",
        code="ST627",
    )


def _no_standby() -> AccountOperationError:
    return AccountOperationError(
        "Twilio accepts no secondary Auth Token that is in the places: somebody has deleted or "
        "replaced it. Nothing was promoted. Close this run with --roll-back and begin anew.",
        code="ST634",
    )


def _still_alive(outcome: str) -> AccountOperationError:
    if outcome == "none there":
        return _no_standby()
    return AccountOperationError(
        f"Twilio accepts the old Auth Token after {COUNTS_WITHIN:.0f} seconds still. Both tokens "
        "are in their places. Run the command again; if it stays so, look in the Console.",
        code="ST635",
    )


def _not_one(count: int) -> AccountOperationError:
    return AccountOperationError(
        f"Of the Auth Tokens in the places Twilio accepts {count}, and it should be one. Nothing "
        "was changed. Put the token that the Console shows there, and begin anew.",
        code="ST633",
    )
