"""What is assumed about how soon a change of credentials counts for requests made with them."""

from safetwilio.testing.assumptions.assumption import Assumption

NEW_KEY_SECONDS = Assumption(
    name="new_key_seconds",
    default=0,
    choices=(0, 5),
    source="none found; https://www.twilio.com/docs/api/errors/20003 names no delay",
    about="seconds until a new key is accepted; until then it gets 401/20003",
    status="no source",
)
CHANGED_POLICY_SECONDS = Assumption(
    name="changed_policy_seconds",
    default=0,
    choices=(0, 5),
    source="none found",
    about="seconds until a key's new policy counts; until then the old one does",
    status="no source",
)
DELETED_KEY_SECONDS = Assumption(
    name="deleted_key_seconds",
    default=0,
    choices=(0, 5),
    source="none found; https://www.twilio.com/docs/api/errors/20003 names no delay",
    about="seconds until a deleted key is refused; until then it works",
    status="no source",
)
CHANGED_TOKEN_SECONDS = Assumption(
    name="changed_token_seconds",
    default=0,
    choices=(0, 60),
    source=(
        "https://www.twilio.com/docs/iam/api/authtoken: wait for 1 minute, of Functions only; "
        "https://docs.aws.amazon.com/secretsmanager/latest/userguide/mes-partner-TwilioAuthToken.html"
        " waits 60 seconds for Functions, and needs no wait without them"
    ),
    about="seconds until a secondary Auth Token's creation, deletion or promotion counts",
    status="inferred",
)
CHANGED_STATUS_SECONDS = Assumption(
    name="changed_status_seconds",
    default=0,
    choices=(0, 5),
    source="none found",
    about="seconds until an account's suspension, reactivation or closing counts for requests",
    status="no source",
)
