"""A new key that cannot be kept, sealed beside the journal, and its opening."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from safetwilio.cli.output import say
from safetwilio.cli.prompts import ask_for_identity, somebody_is_there
from safetwilio.runbook.keeping import Sealed

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pydantic import SecretStr


class FileSealed(Sealed):
    """One encrypted file, to a *recipient* that was given or to an identity shown once."""

    def __init__(self, journal: Path, target: str, *, recipient: str | None) -> None:
        """Keep the key of *target* beside *journal*."""
        self._path = journal.with_name(f"{journal.stem}.{target}.age")
        self._recipient = recipient

    def seal(self, fields: Mapping[str, SecretStr]) -> None:
        """Seal *fields*, if somebody will be able to open the file.

        Without a recipient the identity goes to the terminal and nowhere else: where stderr is a
        file, nobody sees it, and the file would keep it.
        """
        from safetwilio.runbook import sealing

        if not sealing.is_available() or not (self._recipient or _somebody_sees()):
            return
        try:
            sealed = sealing.seal(fields, self._path, recipient=self._recipient)
        except OSError as error:
            say(f"The new key could not be sealed in {self._path}: {error.strerror}.")
            return
        say(f"The new key is sealed in {sealed.path} as long as its place does not answer.")
        if sealed.identity is not None:
            say("This opens it, and is shown this once; keep it until the run is finished:")
            print(sealed.identity.get_secret_value(), file=sys.__stderr__, flush=True)

    def unseal(self) -> Mapping[str, SecretStr] | None:
        """Return what was sealed, if somebody is there who can open it."""
        from safetwilio.runbook import sealing

        if not self._path.exists() or not sealing.is_available() or not somebody_is_there():
            return None
        say(f"An earlier process sealed the new key in {self._path}.")
        identity = ask_for_identity()
        return None if identity is None else sealing.unseal(self._path, identity)

    def forget(self) -> None:
        """Delete the file."""
        self._path.unlink(missing_ok=True)


def _somebody_sees() -> bool:
    """Return whether somebody sits at the terminal that the identity is shown on."""
    return somebody_is_there() and sys.__stderr__ is not None and sys.__stderr__.isatty()
