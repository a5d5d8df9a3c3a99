"""``env``: the process environment."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from safetwilio.backends.documents import Document, is_secret, variables
from safetwilio.backends.interface import seal, silent
from safetwilio.backends.locate import require_options, unreadable

if TYPE_CHECKING:
    from safetwilio.backends.interface import Absent, Found
    from safetwilio.backends.locate import Reference


class EnvBackend:
    """Reads ``TWILIO_…`` from the environment, aliases and ``…_FILE`` twins included."""

    def __init__(self, reference: Reference) -> None:
        """Take *reference*, which is the scheme alone; raises ST302 if it is more."""
        require_options(reference)
        if reference.location:
            raise unreadable(
                reference, "Write env alone: there is one environment, and it has no location."
            )

    @silent
    def load(self, account: str | None) -> Found | Absent:
        """Return the record in the environment."""
        return document(account).answer(account)


def document(account: str | None) -> Document:
    """Return what the environment holds for *account*; also asked for account SID and region."""
    texts = {
        name: seal(text, f"env {name}", secret=is_secret(name))
        for name in variables(account)
        if (text := os.environ.get(name)) is not None
    }
    return Document("env", texts, place="env")
