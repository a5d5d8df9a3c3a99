"""What nobody has confirmed about the real Twilio, each as a named switch.

Every other behaviour of the emulator comes from a cited fact or from Twilio's OpenAPI files.
A program that works against the emulator under every choice listed here does not rely on a guess:
``for overrides in every_choice(): Emulator(assumptions=overrides)``.

``docs/assumptions.md`` is this file as a table. No live account was asked: when one is, turn what
it confirms into a cited fact, and delete the switch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

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


RESTRICTED_DENIED_STATUS = Assumption(
    name="restricted_denied_status",
    default=403,
    choices=(403, 401),
    source=(
        "https://www.twilio.com/docs/api/errors/70051 gives no status; "
        "https://www.twilio.com/docs/api/errors/403 names Restricted keys as a cause; the "
        "changelog of 2025-12-10 says unauthorized"
    ),
    about="HTTP status that comes with code 70051 when a Restricted key lacks a permission",
    status="inferred",
)
RESTRICTED_ON_ACCOUNTS = Assumption(
    name="restricted_on_accounts",
    default=70051,
    choices=(70051, 20003),
    source=(
        "trufflehog takes 70051 as the mark of a Restricted key, on another product; "
        "github.com/PostHog/posthog/pull/78033: Standard and Restricted keys get 401/20003 there"
    ),
    about="a Restricted key without the permission on /Accounts: as elsewhere, or 401/20003",
    status="sources differ",
)
SUSPENDED_STATUS = Assumption(
    name="suspended_status",
    default=401,
    choices=(401, 403),
    source=(
        "https://www.twilio.com/docs/api/errors/20003 and "
        "https://www.twilio.com/docs/api/errors/403 both name a suspended account as a cause"
    ),
    about="answer to the credentials of a suspended or closed account: 401/20003 or 403/20403",
    status="sources differ",
)
SUSPENDED_READABLE_BY_PARENT = Assumption(
    name="suspended_readable_by_parent",
    default=True,
    choices=(True, False),
    source="none found",
    about="whether the parent's token may still read and delete what a suspended subaccount has",
    status="no source",
)
SUSPEND_MAIN_ACCOUNT = Assumption(
    name="suspend_main_account",
    default=False,
    choices=(False, True),
    source="the Account resource documents suspension for subaccounts only",
    about="whether an account may set its own status by the API, or is refused with 400",
    status="inferred",
)
MAIN_KEY_REVEALS_OWN_TOKEN = Assumption(
    name="main_key_reveals_own_token",
    default=True,
    choices=(True, False),
    source="Main keys are documented as equal to the Auth Token; no answer was published",
    about="whether fetching its own account with a Main key shows auth_token, or null",
    status="inferred",
)
MAIN_KEY_REACHES_SUBACCOUNTS = Assumption(
    name="main_key_reaches_subaccounts",
    default=False,
    choices=(False, True),
    source=(
        "https://www.twilio.com/docs/api/errors/20003: main account API keys against subaccount "
        "resources that require subaccount authentication"
    ),
    about="whether a Main key may use messages and keys below its account's subaccounts",
    status="inferred",
)
IAM_REACHES_SUBACCOUNTS = Assumption(
    name="iam_reaches_subaccounts",
    default=False,
    choices=(False, True),
    source="a parent's token acts on subaccounts' v2010 URLs; nothing was said of iam.twilio.com",
    about="whether iam.twilio.com/v1/Keys takes a subaccount's SID with its parent's token",
    status="no source",
)
POLICY_ON_STANDARD_KEY = Assumption(
    name="policy_on_standard_key",
    default="refused",
    choices=("refused", "restricts"),
    source="OpenAPI: a key with a policy is a restricted one; no answer was published",
    about="updating a Standard key with a Policy: 400/70001, or the key becomes a Restricted one",
    status="inferred",
)
TOKEN_ROTATION_NEEDS = Assumption(
    name="token_rotation_needs",
    default="main",
    choices=("main", "token", "standard"),
    source="no permission string is known for it; Standard is documented only against two paths",
    about="the weakest credential that may create, delete and promote a secondary Auth Token",
    status="no source",
)
SECOND_SECONDARY = Assumption(
    name="second_secondary",
    default="refused",
    choices=("refused", "replaced"),
    source="the API has room for one secondary token; no answer was published",
    about="creating a secondary Auth Token while there is one: 400, or the new one takes its place",
    status="no source",
)
NO_SECONDARY_STATUS = Assumption(
    name="no_secondary_status",
    default=404,
    choices=(404, 400),
    source="none found",
    about="deleting or promoting a secondary Auth Token that is not there: 404/20404 or 400/20001",
    status="no source",
)
BAD_PARAMETER_CODE = Assumption(
    name="bad_parameter_code",
    default=20001,
    choices=(20001, 400),
    source=(
        "v1 APIs answer 400/20001 (github.com/twilio/twilio-go/issues/112) or 400/400 "
        "(github.com/twilio/twilio-node/issues/946); https://www.twilio.com/docs/api/errors/20001 "
        "itself is a warning about ignored parameters"
    ),
    about="error code, with status 400, of a refused parameter that no other code is known for",
    status="sources differ",
)
KEY_AS_ACCOUNT_CODE = Assumption(
    name="key_as_account_code",
    default=90002,
    choices=(90002, 21470),
    source=(
        "github.com/twilio/twilio-ruby/issues/478: 400/90002; github.com/n8n-io/n8n/issues/1782: "
        "21470; seen for Messages only"
    ),
    about="error code, with status 400, when the path has a key's SID in place of the account's",
    status="sources differ",
)
UNKNOWN_PATH_STATUS = Assumption(
    name="unknown_path_status",
    default=401,
    choices=(401, 404),
    source="none found",
    about="answer to wrong or no credentials on a path that does not exist: 401/20003 or 404/20404",
    status="no source",
)
MISSING_BODY_CODE = Assumption(
    name="missing_body_code",
    default=21602,
    choices=(21602, 21619),
    source=(
        "https://www.twilio.com/docs/api/errors/21602 speaks of any message, "
        "https://www.twilio.com/docs/api/errors/21619 only of messaging services"
    ),
    about="error code of a message without content from a number: Body, MediaUrl or ContentSid",
    status="sources differ",
)
LONG_BODY_CODE = Assumption(
    name="long_body_code",
    default=21617,
    choices=(21617, 21658),
    source=(
        "https://www.twilio.com/docs/api/errors/21617 and, of 2026, "
        "https://www.twilio.com/docs/api/errors/21658 both name a Body longer than 1600 "
        "characters"
    ),
    about="error code of a message whose Body is longer than 1600 characters",
    status="sources differ",
)
BODY_LENGTH_UNIT = Assumption(
    name="body_length_unit",
    default="utf-16",
    choices=("utf-16", "utf-8"),
    source=(
        "https://www.twilio.com/docs/api/errors/21617: emojis and non-GSM characters of a higher "
        "byte count are counted as multiple"
    ),
    about="what counts as one of the 1600 characters of a Body: a UTF-16 unit or a UTF-8 byte",
    status="inferred",
)
CONFLICT_STATUS = Assumption(
    name="conflict_status",
    default=409,
    choices=(409, 400),
    source=(
        "https://www.twilio.com/docs/api/errors/20009 and "
        "https://www.twilio.com/docs/api/errors/30409 give no status"
    ),
    about="HTTP status when a message cannot be deleted (20009) or canceled (30409) any more",
    status="no source",
)
DELIVERY_SECONDS = Assumption(
    name="delivery_seconds",
    default=1,
    choices=(1, 0, 60),
    source="none: real delivery takes from a moment to hours",
    about="seconds of the emulator's clock from queued to sent, and again from sent to delivered",
    status="emulator's own",
)
UNSENT_MATCH_DATE_FILTER = Assumption(
    name="unsent_match_date_filter",
    default=True,
    choices=(True, False),
    source="none found",
    about="whether a message without date_sent is found by DateSent filters, by its date_created",
    status="no source",
)
DATE_SENT_PRECISION = Assumption(
    name="date_sent_precision",
    default="day",
    choices=("day", "second"),
    source="OpenAPI describes YYYY-MM-DD only, its examples also hold times",
    about="whether the time of day in a DateSent filter counts",
    status="sources differ",
)
PAGE_WITHOUT_TOKEN = Assumption(
    name="page_without_token",
    default="ignored",
    choices=("ignored", "refused"),
    source="OpenAPI: the page index is simply for client state",
    about="asking for Page=2 without a PageToken: the first page, or 400",
    status="inferred",
)
OVERSIZED_PAGE = Assumption(
    name="oversized_page",
    default="refused",
    choices=("refused", "clamped"),
    source=(
        "https://www.twilio.com/docs/api/errors/20007 refuses it and gives no status; OpenAPI: "
        "PageSize is at most 1000"
    ),
    about="a PageSize above 1000: 400/20007, or the same as 1000",
    status="sources differ",
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
