"""The Auth Tokens of an account's subaccounts, replaced one after the other.

Each has one of its own. Nothing has to be kept: the parent's Auth Token gets to see them, so a
secondary whose promotion was not heard of is found by looking.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from safetwilio.admin.identity import identity_of_token
from safetwilio.admin.tokens import (
    create_secondary,
    delete_secondary,
    lives,
    promote,
    tokens_of_subaccounts,
)
from safetwilio.credentials import mask
from safetwilio.errors import AccountOperationError
from safetwilio.redaction.fingerprints import fingerprint
from safetwilio.rotation.tokens import COUNTS_WITHIN

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic import SecretStr

    from safetwilio.admin.identity import Address, Identity
    from safetwilio.runbook.keeping import Clock
    from safetwilio.runbook.runs import Run

_PAUSE = 1.0
_LOST = "ST613"
_PLACE = "its parent's list"


def rotate_subaccounts(
    parent: Identity, address: Address, run: Run, *, say: Callable[[str], None], clock: Clock
) -> dict[str, Any]:
    """Replace the Auth Token of every active subaccount of *parent*, an Auth Token itself.

    Raises :class:`AccountOperationError` (ST6xx); those that are done stay so, and the journal of
    *run* says which.
    """
    client = parent.client(parent.account_sid, address)
    for sid, token in sorted(tokens_of_subaccounts(client).items()):
        mark = fingerprint(token.get_secret_value())
        began = run.noted("subaccount", sid=sid)
        if began and began[0].facts["token"] != mark:  # it has another one since
            continue
        if not began:
            run.note("subaccount", sid=sid, token=mark)
        say(f"Replacing the Auth Token of the subaccount {mask('account', sid)}")
        _replace(sid, token, address, clock)
    return {"subaccounts": len(run.noted("subaccount"))}


def _replace(sid: str, old: SecretStr, address: Address, clock: Clock) -> None:
    """Let another token take the place of *old*, which is refused when this returns."""
    identity = identity_of_token(sid, old, _PLACE)
    end = clock.now() + COUNTS_WITHIN
    is_asked = False
    while lives(identity, address):
        if clock.now() >= end:
            raise AccountOperationError(
                f"Twilio accepts the old Auth Token of {mask('account', sid)} after "
                f"{COUNTS_WITHIN:.0f} seconds still. Run the command again.",
                code="ST635",
            )
        if not is_asked:
            is_asked = _ask(identity, sid, address)
        clock.wait(_PAUSE)


def _ask(identity: Identity, sid: str, address: Address) -> bool:
    """Make a secondary token and promote it; return whether it is known to be done."""
    client = identity.client(sid, address)
    try:
        delete_secondary(client)
        create_secondary(client)
        return promote(client) is not None
    except AccountOperationError as error:
        if error.code != _LOST:
            raise
    return False
