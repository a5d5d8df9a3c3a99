"""What is assumed about messages."""

from safetwilio.testing.assumptions.assumption import Assumption

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
