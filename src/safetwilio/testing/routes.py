"""Which method and path leads where; the paths are those of Twilio's OpenAPI files."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from safetwilio.testing.identity import Area
from safetwilio.testing.resources import accounts, iam_keys, keys, messages, tokens, usage

if TYPE_CHECKING:
    from collections.abc import Callable

    from safetwilio.testing.answers import Answer
    from safetwilio.testing.call import Call

_V2010 = "/2010-04-01/Accounts"
_KEYS = f"{_V2010}/{{AccountSid}}/Keys"
_MESSAGES = f"{_V2010}/{{AccountSid}}/Messages"


@dataclass(frozen=True)
class Route:
    """A *method* on a *path* of a *product* (the first label of the host name).

    *permission* is what a Restricted key needs (facts: twilio.md, section 7; those of accounts and
    keys are third-party knowledge); ``None`` means that no policy can grant it.
    """

    product: str
    method: str
    path: str
    handle: Callable[[Call], Answer]
    area: Area
    permission: str | None = None
    for_test_credentials: bool = False
    pattern: re.Pattern[str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        parts = re.split(r"\{(\w+)\}", self.path)
        parts[::2] = map(re.escape, parts[::2])
        parts[1::2] = [f"(?P<{name}>[^/]+?)" for name in parts[1::2]]
        object.__setattr__(self, "pattern", re.compile("".join(parts)))


def _of(
    product: str, area: Area, prefix: str | None = None
) -> Callable[[str, str, Callable[[Call], Answer], str | None], Route]:
    def route(
        method: str, path: str, handle: Callable[[Call], Answer], action: str | None = None
    ) -> Route:
        permission = f"{prefix}/{action}" if prefix and action else None
        tests = area is Area.MESSAGES and action == "create"
        return Route(product, method, path, handle, area, permission, tests)

    return route


_accounts = _of("api", Area.ACCOUNTS, "/twilio/iam/accounts")
_keys = _of("api", Area.KEYS, "/twilio/iam/api-keys")
_iam_keys = _of("iam", Area.IAM_KEYS, "/twilio/iam/api-keys")
_messages = _of("api", Area.MESSAGES, "/twilio/messaging/messages")
_tokens = _of("accounts", Area.TOKENS)
_usage = _of("api", Area.USAGE)

ROUTES: tuple[Route, ...] = (
    _accounts("GET", f"{_V2010}.json", accounts.list_all, "list"),
    _accounts("POST", f"{_V2010}.json", accounts.create, None),
    _accounts("GET", f"{_V2010}/{{Sid}}.json", accounts.fetch, "read"),
    _accounts("POST", f"{_V2010}/{{Sid}}.json", accounts.update, None),
    _keys("GET", f"{_KEYS}.json", keys.list_all, "list"),
    _keys("POST", f"{_KEYS}.json", keys.create, "create"),
    _keys("GET", f"{_KEYS}/{{Sid}}.json", keys.fetch, "read"),
    _keys("POST", f"{_KEYS}/{{Sid}}.json", keys.update, "update"),
    _keys("DELETE", f"{_KEYS}/{{Sid}}.json", keys.delete, "delete"),
    _iam_keys("GET", "/v1/Keys", iam_keys.list_all, "list"),
    _iam_keys("POST", "/v1/Keys", iam_keys.create, "create"),
    _iam_keys("GET", "/v1/Keys/{Sid}", iam_keys.fetch, "read"),
    _iam_keys("POST", "/v1/Keys/{Sid}", iam_keys.update, "update"),
    _iam_keys("DELETE", "/v1/Keys/{Sid}", iam_keys.delete, "delete"),
    _messages("GET", f"{_MESSAGES}.json", messages.list_all, "list"),
    _messages("POST", f"{_MESSAGES}.json", messages.create, "create"),
    _messages("GET", f"{_MESSAGES}/{{Sid}}.json", messages.fetch, "read"),
    _messages("POST", f"{_MESSAGES}/{{Sid}}.json", messages.update, "update"),
    _messages("DELETE", f"{_MESSAGES}/{{Sid}}.json", messages.delete, "delete"),
    _usage("GET", f"{_V2010}/{{AccountSid}}/Usage/Triggers.json", usage.list_triggers, None),
    _tokens("POST", tokens.SECONDARY, tokens.create_secondary, None),
    _tokens("DELETE", tokens.SECONDARY, tokens.delete_secondary, None),
    _tokens("POST", tokens.PROMOTE, tokens.promote, None),
)
