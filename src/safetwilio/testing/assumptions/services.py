"""What is assumed about messaging services."""

from safetwilio.testing.assumptions.assumption import Assumption

UNKNOWN_SERVICE = Assumption(
    name="unknown_service",
    default="refused",
    choices=("refused", "accepted"),
    source="https://www.twilio.com/docs/api/errors/21701 refuses it; a fresh emulator has none",
    about="sending through a messaging service that the account does not have: 21701, or sent",
    status="emulator's own",
)
EMPTY_POOL = Assumption(
    name="empty_pool",
    default="accepted",
    choices=("accepted", "refused"),
    source="Twilio's list of error codes has 21703; nothing was found that shows it",
    about="sending through a messaging service without phone numbers: sent without From, or 21703",
    status="no source",
)
POOL_CONFLICT_STATUS = Assumption(
    name="pool_conflict_status",
    default=409,
    choices=(409, 400),
    source=(
        "https://www.twilio.com/docs/api/errors/21712 and, of 21710, "
        "github.com/mozilla/fx-private-relay/pull/2613 give no status"
    ),
    about="HTTP status when a phone number is in this (21710) or another service (21712) already",
    status="no source",
)
NEW_SERVICE_FLAGS = Assumption(
    name="new_service_flags",
    default=True,
    choices=(True, False),
    source="OpenAPI names no defaults",
    about="whether the features of a new messaging service (Sticky Sender, …) are switched on",
    status="no source",
)
