"""What nobody has confirmed about the real Twilio, each as a named switch.

Every other behaviour of the emulator comes from a cited fact or from Twilio's OpenAPI files.
A program that works against the emulator under every choice listed here does not rely on a guess:
``for overrides in every_choice(): Emulator(assumptions=overrides)``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

Choice = str | int | bool


@dataclass(frozen=True)
class Assumption:
    """One unconfirmed behaviour: its *name*, *default*, other *choices*, *source* and meaning."""

    name: str
    default: Choice
    choices: tuple[Choice, ...]
    source: str
    about: str


RESTRICTED_DENIED_STATUS = Assumption(
    name="restricted_denied_status",
    default=403,
    choices=(403, 401),
    source="https://www.twilio.com/docs/api/errors/403 names Restricted keys as a cause",
    about="HTTP status that comes with code 70051 when a Restricted key lacks a permission",
)
SUSPENDED_STATUS = Assumption(
    name="suspended_status",
    default=401,
    choices=(401, 403),
    source="errors/20003 and errors/403 both name a suspended account as a cause",
    about="answer to the credentials of a suspended or closed account: 401/20003 or 403/20403",
)
SUSPENDED_READABLE_BY_PARENT = Assumption(
    name="suspended_readable_by_parent",
    default=True,
    choices=(True, False),
    source="none found",
    about="whether the parent's token may still read and delete what a suspended subaccount has",
)
SUSPEND_MAIN_ACCOUNT = Assumption(
    name="suspend_main_account",
    default=False,
    choices=(False, True),
    source="the Account resource documents suspension for subaccounts only",
    about="whether an account may set its own status by the API, or is refused with 400",
)
MAIN_KEY_REVEALS_OWN_TOKEN = Assumption(
    name="main_key_reveals_own_token",
    default=True,
    choices=(True, False),
    source="Main keys are documented as equal to the Auth Token; no answer was published",
    about="whether fetching its own account with a Main key shows auth_token, or null",
)
MAIN_KEY_REACHES_SUBACCOUNTS = Assumption(
    name="main_key_reaches_subaccounts",
    default=False,
    choices=(False, True),
    source="errors/20003: main account API keys against subaccount resources are refused",
    about="whether a Main key may use messages and keys below its account's subaccounts",
)
IAM_REACHES_SUBACCOUNTS = Assumption(
    name="iam_reaches_subaccounts",
    default=False,
    choices=(False, True),
    source="a parent's token acts on subaccounts' v2010 URLs; nothing was said of iam.twilio.com",
    about="whether iam.twilio.com/v1/Keys takes a subaccount's SID with its parent's token",
)
POLICY_ON_STANDARD_KEY = Assumption(
    name="policy_on_standard_key",
    default="refused",
    choices=("refused", "restricts"),
    source="OpenAPI: a key with a policy is a restricted one; no answer was published",
    about="updating a Standard key with a Policy: 400/70001, or the key becomes a Restricted one",
)
TOKEN_ROTATION_NEEDS = Assumption(
    name="token_rotation_needs",
    default="main",
    choices=("main", "token", "standard"),
    source="no permission string is known for it; Standard is documented only against two paths",
    about="the weakest credential that may create, delete and promote a secondary Auth Token",
)
SECOND_SECONDARY = Assumption(
    name="second_secondary",
    default="refused",
    choices=("refused", "replaced"),
    source="the API has room for one secondary token; no answer was published",
    about="creating a secondary Auth Token while there is one: 400, or the new one takes its place",
)
NO_SECONDARY_STATUS = Assumption(
    name="no_secondary_status",
    default=404,
    choices=(404, 400),
    source="none found",
    about="deleting or promoting a secondary Auth Token that is not there: 404/20404 or 400/20001",
)
MISSING_BODY_CODE = Assumption(
    name="missing_body_code",
    default=21602,
    choices=(21602, 21619),
    source="other emulators answer 21602; 21619 is from memory of newer answers, not looked up",
    about="error code of a message with neither Body nor MediaUrl nor ContentSid",
)
DELETE_UNFINISHED = Assumption(
    name="delete_unfinished",
    default="refused",
    choices=("refused", "deleted"),
    source="github.com/code-dot-org/code-dot-org/pull/8914: Cannot delete message in state SENT",
    about="deleting a message that is not yet in its last state: 409/20009, or it is deleted",
)
CONFLICT_STATUS = Assumption(
    name="conflict_status",
    default=409,
    choices=(409, 400),
    source="the page of 30409 names no HTTP status; code 20009 itself was not looked up",
    about="HTTP status when a message cannot be deleted (20009) or canceled (30409) any more",
)
DELIVERY_SECONDS = Assumption(
    name="delivery_seconds",
    default=1,
    choices=(1, 0, 60),
    source="none: real delivery takes from a moment to hours",
    about="seconds of the emulator's clock from queued to sent, and again from sent to delivered",
)
UNSENT_MATCH_DATE_FILTER = Assumption(
    name="unsent_match_date_filter",
    default=True,
    choices=(True, False),
    source="none found",
    about="whether a message without date_sent is found by DateSent filters, by its date_created",
)
DATE_SENT_PRECISION = Assumption(
    name="date_sent_precision",
    default="day",
    choices=("day", "second"),
    source="OpenAPI describes YYYY-MM-DD only, its examples also hold times",
    about="whether the time of day in a DateSent filter counts",
)
PAGE_WITHOUT_TOKEN = Assumption(
    name="page_without_token",
    default="ignored",
    choices=("ignored", "refused"),
    source="OpenAPI: the page index is simply for client state",
    about="asking for Page=2 without a PageToken: the first page, or 400",
)
OVERSIZED_PAGE = Assumption(
    name="oversized_page",
    default="refused",
    choices=("refused", "clamped"),
    source="OpenAPI: PageSize is at most 1000",
    about="a PageSize above 1000: 400, or the same as 1000",
)

ASSUMPTIONS: tuple[Assumption, ...] = tuple(
    value for value in list(globals().values()) if isinstance(value, Assumption)
)
_BY_NAME = {assumption.name: assumption for assumption in ASSUMPTIONS}


def choose(overrides: Mapping[str, Choice]) -> dict[Assumption, Choice]:
    """Return the choice made for every assumption, the default unless *overrides* names another.

    Raises ``ValueError`` for a name or a choice that does not exist.
    """
    chosen: dict[Assumption, Choice] = {each: each.default for each in ASSUMPTIONS}
    for name, choice in overrides.items():
        if name not in _BY_NAME:
            raise ValueError(f"no assumption is called {name!r}; there are {sorted(_BY_NAME)}")
        if choice not in _BY_NAME[name].choices:
            raise ValueError(f"{name} is one of {_BY_NAME[name].choices}, not {choice!r}")
        chosen[_BY_NAME[name]] = choice
    return chosen


def every_choice() -> list[dict[str, Choice]]:
    """Return overrides for the emulator: none, then each choice that is not a default, alone."""
    return [
        {},
        *(
            {assumption.name: choice}
            for assumption in ASSUMPTIONS
            for choice in assumption.choices
            if choice != assumption.default
        ),
    ]
