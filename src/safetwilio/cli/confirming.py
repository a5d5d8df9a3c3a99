"""Before something is changed: who does it, and whether somebody wants it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from safetwilio.cli.output import say
from safetwilio.cli.prompts import ask_for_token, somebody_is_there

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from safetwilio.admin.identity import Identity

_LAST = 4  # characters of the account SID that confirm


class Identities:
    """Who changes which account: from ``SAFETWILIO_ADMIN_BACKEND``, else who is asked."""

    def __init__(self, *, from_stdin: bool) -> None:
        """Ask at the terminal, or *from_stdin* where there is none."""
        self._from_stdin = from_stdin
        self._found: dict[tuple[str | None, str], Identity] = {}

    def of(self, account: str | None, account_sid: str) -> Identity:
        """Return who changes the *account* with the SID *account_sid*; asked for once.

        Raises :class:`safetwilio.errors.UsageError` (ST908) if there is nobody to ask.
        """
        from safetwilio.admin.identity import find_identity, identity_of_token

        where = (account, account_sid)
        if where not in self._found:
            self._found[where] = find_identity(account) or identity_of_token(
                account_sid, ask_for_token(from_stdin=self._from_stdin), "the Auth Token given"
            )
        return self._found[where]

    def opened(self, reason: str) -> AbstractContextManager[None]:
        """Let an Auth Token that was found be used within this block, for *reason*."""
        from safetwilio.admin.identity import acting_as

        return acting_as(self._found.values(), reason)


def confirmed(account_sid: str, *, yes: bool, is_json: bool) -> bool:
    """Return whether somebody wants it: by ``--yes``, or by typing the end of *account_sid*."""
    if yes:
        return True
    if is_json or not somebody_is_there():
        say("Nothing was changed. To do it: the same command with --yes")
        return False
    asked = f"To do it, type the last {_LAST} characters of the Account SID (Enter: stop): "
    print(asked, end="", file=sys.stderr, flush=True)
    try:
        answer = input().strip()
    except EOFError:
        answer = ""
        say("")
    if answer.lower() == account_sid[-_LAST:].lower():
        return True
    say("Nothing was changed.")
    return False
