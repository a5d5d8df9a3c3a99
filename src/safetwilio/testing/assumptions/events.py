"""What is assumed about events: their types, actors, data, and how they are found."""

from safetwilio.testing.assumptions.assumption import Assumption

_EVENTS = "https://www.twilio.com/docs/usage/monitor-events"

KEY_EVENT_RESOURCE = Assumption(
    name="key_event_resource",
    default="account-api-keys",
    choices=("account-api-keys", "account-keys"),
    source=(
        f"{_EVENTS} lists both; Twilio's fraud response guide shows account-api-keys.created for "
        "the creation of an API key"
    ),
    about="the resource in the type of an event about an API key",
    status="sources differ",
)
NUMBER_EVENT_RESOURCE = Assumption(
    name="number_event_resource",
    default="phone-number",
    choices=("phone-number", "phone_number"),
    source=f"{_EVENTS} lists phone-number; Twilio's fraud response guide has phone_number.updated",
    about="the resource in the type of an event about a phone number",
    status="sources differ",
)
REDACTION_EVENT = Assumption(
    name="redaction_event",
    default="message-body.deleted",
    choices=("message-body.deleted", "message.updated"),
    source=f"{_EVENTS} lists both types and explains neither",
    about="the type of the event when a message's body is redacted",
    status="inferred",
)
EVENT_DATA_SHAPE = Assumption(
    name="event_data_shape",
    default="resource_properties",
    choices=("resource_properties", "bare"),
    source=(
        f"{_EVENTS} describes and Twilio's fraud response guide shows a resource_properties "
        "dictionary; OpenAPI's example is without"
    ),
    about="whether event_data has its properties in resource_properties, or in itself",
    status="sources differ",
)
EVENT_ACTOR_OF_KEY = Assumption(
    name="event_actor_of_key",
    default="account",
    choices=("account", "key"),
    source=(
        f"{_EVENTS}: the account authenticated against the API; OpenAPI, ActorSid: specific users "
        "or API credentials"
    ),
    about="who acts in an event caused with an API key: its account, or the key (type api-key)",
    status="sources differ",
)
EVENT_IN_LOG_OF = Assumption(
    name="event_in_log_of",
    default="resource",
    choices=("resource", "caller"),
    source="none found",
    about="whose log has the event when a parent changes its subaccount: the subaccount's, or its",
    status="no source",
)
EVENT_RETENTION_DAYS = Assumption(
    name="event_retention_days",
    default=30,
    choices=(30, 395),
    source=f"{_EVENTS}: 30 days free, 13 months with a paid edition",
    about="days of the emulator's clock after which events are no longer shown",
    status="emulator's own",
)
END_DATE_WITHOUT_TIME = Assumption(
    name="end_date_without_time",
    default="end",
    choices=("end", "start"),
    source="OpenAPI: on or before this date, which may be YYYY-MM-DD",
    about="whether EndDate=2026-01-31 of events and alerts includes that day or not",
    status="inferred",
)
