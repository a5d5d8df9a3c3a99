"""Which method on which path a resource answers; the paths are those of Twilio's OpenAPI files."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from safetwilio.testing.identity import Area

if TYPE_CHECKING:
    from collections.abc import Callable

    from safetwilio.testing.answers import Answer
    from safetwilio.testing.call import Call

V2010 = "/2010-04-01/Accounts"
ACCOUNT = f"{V2010}/{{AccountSid}}"


@dataclass(frozen=True)
class Route:
    """A *method* on a *path* of a *product* (the first label of the host name).

    *area* decides which kinds of credentials it takes. *permission* is what a Restricted key needs
    (facts: twilio.md, section 7; all but those of messages are third-party knowledge); ``None``
    means that no policy can grant it. Few routes are *for_test_credentials* too. Success is noted
    in the account's log as *event*, a type such as ``application.updated`` or a function that
    returns it (``resources.events``).
    """

    product: str
    method: str
    path: str
    handle: Callable[[Call], Answer]
    area: Area = Area.ORDINARY
    permission: str | None = None
    for_test_credentials: bool = False
    event: str | Callable[[Call], str] | None = None
    pattern: re.Pattern[str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        parts = re.split(r"\{(\w+)\}", self.path)
        parts[::2] = map(re.escape, parts[::2])
        parts[1::2] = [f"(?P<{name}>[^/]+?)" for name in parts[1::2]]
        object.__setattr__(self, "pattern", re.compile("".join(parts)))
