"""``env``: the process environment."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from safetwilio.backends.documents import Document, is_secret, variables
from safetwilio.backends.interface import seal

if TYPE_CHECKING:
    from safetwilio.backends.interface import Absent, Found
    from safetwilio.backends.locate import Reference


class EnvBackend:
    """Reads ``TWILIO_…`` from the environment, aliases and ``…_FILE`` twins included."""

    def __init__(self, reference: Reference) -> None:
        """Take *reference*, which has no location."""
        self._reference = reference

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
