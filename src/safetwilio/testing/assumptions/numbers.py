"""What is assumed about phone numbers and who may send from them."""

from safetwilio.testing.assumptions.assumption import Assumption

SENDER_OWNERSHIP = Assumption(
    name="sender_ownership",
    default="ignored",
    choices=("ignored", "enforced"),
    source=(
        "OpenAPI: From must belong to the account; another's number is "
        "https://www.twilio.com/docs/api/errors/21660, a foreign one "
        "https://www.twilio.com/docs/api/errors/21659, for calls "
        "https://www.twilio.com/docs/api/errors/21210; a fresh emulator has no numbers"
    ),
    about="whether messages and calls may be From a phone number that the account does not have",
    status="emulator's own",
)
UNSET_NUMBER_URL = Assumption(
    name="unset_number_url",
    default="null",
    choices=("null", "empty"),
    source="OpenAPI's examples of phone numbers have a null voice_url and an empty sms_url",
    about="how a phone number shows a URL that is not set: null or an empty string",
    status="sources differ",
)
OTHER_TEST_NUMBER_CODE = Assumption(
    name="other_test_number_code",
    default=21421,
    choices=(21421, 21422),
    source="https://www.twilio.com/docs/iam/test-credentials names the magic numbers only",
    about="error code when test credentials buy a number that is not a magic one",
    status="no source",
)
