"""What is assumed about credentials: who is refused, with what, and how a token is rotated."""

from safetwilio.testing.assumptions.assumption import Assumption

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
UNKNOWN_PERMISSION = Assumption(
    name="unknown_permission",
    default="refused",
    choices=("refused", "accepted"),
    source=(
        "https://www.twilio.com/docs/api/errors/70002 speaks of malformed parameters; Twilio "
        "publishes no list of permissions, the emulator's is third-party"
    ),
    about="a policy that names a permission nobody has published: 400/70002, or it is kept",
    status="no source",
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
