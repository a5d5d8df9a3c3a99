"""What is assumed about calls."""

from safetwilio.testing.assumptions.assumption import Assumption

MISSING_INSTRUCTIONS_CODE = Assumption(
    name="missing_instructions_code",
    default=21205,
    choices=(21205, 21200),
    source=(
        "https://www.twilio.com/docs/api/errors/21205 speaks of an invalid URL, "
        "https://www.twilio.com/docs/api/errors/21200 of any trouble with a call, a missing URL too"
    ),
    about="error code of a call without Url, Twiml and ApplicationSid",
    status="inferred",
)
ENDED_CALL_UPDATE = Assumption(
    name="ended_call_update",
    default="refused",
    choices=("refused", "ignored"),
    source=(
        "https://www.twilio.com/docs/api/errors/21220 names recording and redirecting a call that "
        "is not in progress, not ending it"
    ),
    about="ending a call that has ended already: 400/21220, or the call as it is",
    status="inferred",
)
RINGING_SECONDS = Assumption(
    name="ringing_seconds",
    default=1,
    choices=(1, 0, 30),
    source="none: a call is answered when somebody answers",
    about="seconds of the emulator's clock a call is queued, and again as long ringing",
    status="emulator's own",
)
TALKING_SECONDS = Assumption(
    name="talking_seconds",
    default=60,
    choices=(60, 0),
    source="none: a call lasts as long as its instructions take",
    about="seconds of the emulator's clock from answering a call to its end",
    status="emulator's own",
)
