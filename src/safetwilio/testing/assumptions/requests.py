"""What is assumed about requests of any kind: paths, parameters, lists."""

from safetwilio.testing.assumptions.assumption import Assumption

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
