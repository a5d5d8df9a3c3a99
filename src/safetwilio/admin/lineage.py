"""The names of the keys that safetwilio makes: ``safetwilio/<service>/<run>``.

By the name a key is known as the work of a run that did not hear Twilio's answer, or was killed.
"""

from __future__ import annotations

import re
from hashlib import sha256

LONGEST_NAME = 64  # characters; Twilio takes no more (facts: error 70001)
_OWNER = "safetwilio"
_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9_.-]+")
_ANYONE = "app"
_LONGEST_ALIAS = 16
_LONGEST_RUN = 21  # 20261122T211759Z-ab12
_MARK = 6  # characters that tell apart what is cut


def name_prefix(service: str, account: str | None) -> str:
    """Return how the names of the keys of *service* begin, and of no other, nor *account*."""
    owner = f"@{_fitting(account, _LONGEST_ALIAS)}" if account else ""  # no service has an @
    room = LONGEST_NAME - len(f"{_OWNER}/{owner}/") - _LONGEST_RUN
    return f"{_OWNER}/{_fitting(service, room)}{owner}/"


def _fitting(name: str, room: int) -> str:
    """Return *name*, or what fits of it with a mark: two that begin alike stay two."""
    clean = _NOT_IN_A_NAME.sub("-", name).strip("-")
    if len(clean) <= room:
        return clean or _ANYONE
    mark = sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[: _MARK - 1]
    return f"{clean[: room - _MARK]}-{mark}"


def key_name(service: str, account: str | None, run: str) -> str:
    """Return the name of the key that *run* makes for *service*."""
    return f"{name_prefix(service, account)}{run[:_LONGEST_RUN]}"
