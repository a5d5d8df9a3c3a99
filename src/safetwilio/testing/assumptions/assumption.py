"""One unconfirmed behaviour of the real Twilio."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Choice = str | int | bool
Status = Literal["no source", "inferred", "sources differ", "emulator's own"]


@dataclass(frozen=True)
class Assumption:
    """One unconfirmed behaviour: its *name*, *default*, other *choices*, *source* and meaning.

    *status* says how well it is known: nothing was found; the default follows from something that
    does not say so itself; sources contradict each other; or no fact about Twilio is involved.
    """

    name: str
    default: Choice
    choices: tuple[Choice, ...]
    source: str
    about: str
    status: Status
