"""What is assumed about usage: records, prices, triggers and their callbacks, the balance."""

from safetwilio.testing.assumptions.assumption import Assumption

_RECORDS = "https://www.twilio.com/docs/usage/api/usage-record"
_TRIGGERS = "https://www.twilio.com/docs/usage/api/usage-trigger"

USAGE_INCLUDES_SUBACCOUNTS = Assumption(
    name="usage_includes_subaccounts",
    default=True,
    choices=(True, False),
    source=(
        "OpenAPI, IncludeSubaccounts: true is the default; "
        "github.com/twilio/twilio-node/issues/635: subaccounts are missing even with true"
    ),
    about="whether usage records of an account include its subaccounts' usage unless refused",
    status="sources differ",
)
USAGE_PRICE_TYPE = Assumption(
    name="usage_price_type",
    default="string",
    choices=("string", "number"),
    source="OpenAPI calls the price a number, and every example there is a string",
    about="the JSON type of a usage record's price",
    status="sources differ",
)
ZERO_USAGE_LISTED = Assumption(
    name="zero_usage_listed",
    default=True,
    choices=(True, False),
    source="OpenAPI: the examples without a Category list a category with a count of 0",
    about="whether a list without a Category also has the hundreds of categories not used",
    status="inferred",
)
SMS_USAGE_UNIT = Assumption(
    name="sms_usage_unit",
    default="messages",
    choices=("messages", "segments"),
    source="OpenAPI: messages for SMS; repositories that show answers have either",
    about="what the usage (not the count) of message categories counts",
    status="sources differ",
)
MESSAGE_PRICE = Assumption(
    name="message_price",
    default="0.0083",
    choices=("0.0083", "0"),
    source="https://www.twilio.com/en-us/sms/pricing/us; real prices differ by country and carrier",
    about="US dollars for one segment of a message whose recipient is not in emulator.prices",
    status="emulator's own",
)
USAGE_LAG_SECONDS = Assumption(
    name="usage_lag_seconds",
    default=0,
    choices=(0, 60),
    source=f"{_TRIGGERS}: it can take some amount of time; evaluated about once a minute",
    about="seconds of the emulator's clock until usage shows in records, triggers and balance",
    status="inferred",
)
UNKNOWN_USAGE_CATEGORY = Assumption(
    name="unknown_usage_category",
    default="refused",
    choices=("refused", "accepted"),
    source=f"{_TRIGGERS}: must be one of the supported categories; the list has left OpenAPI",
    about="a usage category that no published list has: 400, or one without usage",
    status="inferred",
)
SUBACCOUNT_BALANCE = Assumption(
    name="subaccount_balance",
    default=404,
    choices=(404, 200),
    source=(
        "OpenAPI: child accounts do not contain balance information; "
        "github.com/twilio/twilio-php/issues/593: 404/20404, of a connected account"
    ),
    about="answer to a subaccount's balance: 404/20404, or 200 without balance and currency",
    status="inferred",
)
TRIGGER_FIRES_WHEN = Assumption(
    name="trigger_fires_when",
    default="exceeded",
    choices=("exceeded", "reached"),
    source=f"{_TRIGGERS}: as soon as usage exceeds it; OpenAPI: the value at which it fires",
    about="whether a usage trigger fires above its value only, or at it",
    status="sources differ",
)
TRIGGERS_INCLUDE_SUBACCOUNTS = Assumption(
    name="triggers_include_subaccounts",
    default=True,
    choices=(True, False),
    source="a trigger's usage_record_uri does not exclude them, and records include them",
    about="whether an account's usage triggers watch its subaccounts' usage too",
    status="inferred",
)
TRIGGER_VALUE_FORMAT = Assumption(
    name="trigger_value_format",
    default="plain",
    choices=("plain", "decimals"),
    source=f"OpenAPI's example has 50, {_TRIGGERS} has 1000.000000",
    about="how trigger_value is written: 1000, or 1000.000000",
    status="sources differ",
)
IDEMPOTENCY_DATE = Assumption(
    name="idempotency_date",
    default="fired",
    choices=("fired", "period"),
    source=f"{_TRIGGERS} shows the token of a daily trigger only, where both are the same",
    about="the date that ends a callback's IdempotencyToken: of the firing, or the period's first",
    status="inferred",
)
CALLBACKS_ARRIVE = Assumption(
    name="callbacks_arrive",
    default=1,
    choices=(1, 2),
    source=f"{_TRIGGERS}: your handler may receive HTTP requests more than once",
    about="how often the callback of one firing is sent, with one and the same IdempotencyToken",
    status="inferred",
)
FAILED_CALLBACK_ALERT = Assumption(
    name="failed_callback_alert",
    default=True,
    choices=(True, False),
    source=(
        "https://www.twilio.com/docs/api/errors/11200: a connection failure between Twilio and "
        "your service; usage triggers are not named"
    ),
    about="whether a usage trigger's callback that fails for good leaves an alert of code 11200",
    status="inferred",
)
