"""Before something is changed: who does it, and whether somebody wants it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from safetwilio.cli.output import say
from safetwilio.cli.prompts import ask_for_end, ask_for_token_of, somebody_is_there

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from safetwilio.admin.identity import Identity

_LAST = 4  # characters of the account SID that confirm
_ANOTHER_ANSWER = 2


class Identities:
    """Who changes which account: from ``SAFETWILIO_ADMIN_BACKEND``, else who is asked."""

    def __init__(self, *, from_stdin: bool) -> None:
        """Ask at the terminal, or *from_stdin* where there is none."""
        self._from_stdin = from_stdin
        self._found: dict[tuple[str | None, str], Identity] = {}
        self._given: dict[str, Identity] = {}  # by the SID: one account may have several names

    def of(self, account: str | None, account_sid: str) -> Identity:
        """Return who changes the *account* with the SID *account_sid*; asked for once.

        Raises :class:`safetwilio.errors.UsageError` (ST908) if there is nobody to ask.
        """
        from safetwilio.admin.identity import find_identity

        where = (account, account_sid)
        if where not in self._found:
            self._found[where] = find_identity(account) or self._asked(account, account_sid)
        return self._found[where]

    def opened(self, reason: str) -> AbstractContextManager[None]:
        """Let an Auth Token that was found be used within this block, for *reason*."""
        from safetwilio.admin.identity import acting_as

        return acting_as(self._found.values(), reason)

    def _asked(self, account: str | None, account_sid: str) -> Identity:
        from safetwilio.admin.identity import identity_of_token

        if account_sid not in self._given:
            token = ask_for_token_of(account, account_sid, from_stdin=self._from_stdin)
            self._given[account_sid] = identity_of_token(account_sid, token, "the Auth Token given")
        return self._given[account_sid]


def stopped(account_sid: str, place: str, *, yes: bool, is_json: bool) -> int | None:
    """Return the exit code to stop with, ``None`` if somebody wants it to go on.

    They say so by ``--yes``, or by typing the end of *account_sid*, which is in *place*, too.
    """
    if yes:
        return None
    if is_json or not somebody_is_there():
        say("Nothing was changed. To do it: the same command with --yes")
        return 0
    answer = ask_for_end(account_sid, _LAST, place)
    if answer.lower() == account_sid[-_LAST:].lower():
        return None
    say("That is not it. Nothing was changed." if answer else "Nothing was changed.")
    return _ANOTHER_ANSWER if answer else 0
