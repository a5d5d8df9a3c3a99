"""What is assumed about geo permissions, of messages and of calls."""

from safetwilio.testing.assumptions.assumption import Assumption

GEO_NEEDS = Assumption(
    name="geo_needs",
    default="main",
    choices=("main", "token", "standard"),
    source=(
        "no permission string is known for it; https://www.twilio.com/docs/iam/api-keys keeps "
        "Standard keys from accounts and keys only"
    ),
    about="the weakest credential that may read and change geo permissions",
    status="inferred",
)
MESSAGING_GEO_DEFAULT = Assumption(
    name="messaging_geo_default",
    default="everywhere",
    choices=("everywhere", "home"),
    source=(
        "https://www.twilio.com/docs/messaging/guides/sms-geo-permissions: a new account may send "
        "to its home country; the emulator's is US, and lets tests send anywhere"
    ),
    about="where a new account may send messages",
    status="emulator's own",
)
MESSAGING_GEO_CANADA = Assumption(
    name="messaging_geo_canada",
    default="apart",
    choices=("apart", "with_us"),
    source=(
        "github.com/Maurosg78/AIDUXCARE-V.2 says how to enable Canada for messages; OpenAPI of "
        "calls has one country United States/Canada"
    ),
    about="whether messages to Canada have a permission of their own, or that of the United States",
    status="sources differ",
)
MESSAGING_GEO_BELOW_44 = Assumption(
    name="messaging_geo_below_44",
    default="apart",
    choices=("apart", "with_gb"),
    source=(
        "https://www.twilio.com/en-us/changelog of 2023-05-18 breaks out Guernsey, Jersey and the "
        "Isle of Man; whether the API has them too was not said"
    ),
    about="whether messages to them have permissions of their own, or that of the United Kingdom",
    status="inferred",
)
GEO_AREA_CODES = Assumption(
    name="geo_area_codes",
    default="shown",
    choices=("shown", "hidden"),
    source="OpenAPI shows +1 for the United States, and no country that shares it",
    about="how a country below +1 is written: with its area codes (+1787), or as +1",
    status="no source",
)
GEO_UNSUPPORTED = Assumption(
    name="geo_unsupported",
    default="absent",
    choices=("absent", "listed"),
    source="https://www.twilio.com/docs/api/errors/30649 says what changing them does, no more",
    about="whether lists of geo permissions name Iran, Syria and Cuba, which Twilio does not serve",
    status="no source",
)
MESSAGING_GEO_UNKNOWN_COUNTRY = Assumption(
    name="messaging_geo_unknown_country",
    default="omitted",
    choices=("omitted", "not_found"),
    source="none found",
    about="reading the messaging permission of a country that is none: nothing of it, or 404/20404",
    status="no source",
)
REFUSED_GEO_ITEM_SHOWS = Assumption(
    name="refused_geo_item_shows",
    default="current",
    choices=("current", "requested"),
    source="OpenAPI's example asks to enable Pakistan, refuses it, and shows it as enabled",
    about="the value of enabled beside error_code 30649: what it is, or what was asked for",
    status="inferred",
)
MESSAGING_GEO_SUBACCOUNTS = Assumption(
    name="messaging_geo_subaccounts",
    default="inherit",
    choices=("inherit", "own"),
    source=(
        "https://www.twilio.com/docs/messaging/guides/sms-geo-permissions: a subaccount inherits; "
        "https://www.telphiconsulting.com/blog/twilio-error-21408: a separate configuration"
    ),
    about="whether a new subaccount has its parent's messaging permissions, or those of an account",
    status="sources differ",
)
MESSAGING_GEO_INHERITED_UPDATE = Assumption(
    name="messaging_geo_inherited_update",
    default="refused",
    choices=("refused", "ends"),
    source=(
        "https://www.twilio.com/docs/messaging/guides/sms-geo-permissions: a user has to disable "
        "inheritance first; nothing was said of the API"
    ),
    about="changing a subaccount's inherited messaging permissions: 400/20001, or ends inheritance",
    status="inferred",
)
VOICE_GEO_DEFAULT = Assumption(
    name="voice_geo_default",
    default="everywhere",
    choices=("everywhere", "home"),
    source=(
        "https://www.twilio.com/blog/blog-voice-dialing-geo-permissions-rest-api: a new account's "
        "own country is enabled; the emulator's is US, and lets tests call anywhere"
    ),
    about="where a new account may call low-risk numbers; high-risk ones it may call nowhere",
    status="emulator's own",
)
VOICE_GEO_MAIN_INHERITANCE = Assumption(
    name="voice_geo_main_inheritance",
    default="ignored",
    choices=("ignored", "refused"),
    source="OpenAPI speaks of subaccounts only",
    about="setting DialingPermissionsInheritance on a main account: no effect, or 400/20001",
    status="no source",
)
VOICE_GEO_BULK_ANSWER = Assumption(
    name="voice_geo_bulk_answer",
    default="accepted",
    choices=("accepted", "request"),
    source="OpenAPI's example has the word accepted, its description the request itself",
    about="what update_request holds in the answer to a bulk update",
    status="sources differ",
)
VOICE_GEO_BULK_ITEMS = Assumption(
    name="voice_geo_bulk_items",
    default="documented",
    choices=("documented", "any"),
    source=(
        "https://www.twilio.com/docs/voice/api/dialingpermissions-bulkcountryupdate-resource: each "
        "object has all three flags, as the strings true and false"
    ),
    about="whether a bulk update also takes JSON booleans, and leaves a missing flag as it is",
    status="inferred",
)
VOICE_GEO_BULK_UNKNOWN = Assumption(
    name="voice_geo_bulk_unknown",
    default="refused",
    choices=("refused", "skipped"),
    source="none found; update_count tells how many countries were updated",
    about="a bulk update of a country that is none: 400/20001 for all, or it is not counted",
    status="no source",
)
VOICE_GEO_EVENT = Assumption(
    name="voice_geo_event",
    default="country",
    choices=("country", "flag"),
    source="https://www.twilio.com/docs/messaging/guides/sms-geo-permissions: by country",
    about="the properties in the event of a bulk update: one a country, or one a changed flag",
    status="inferred",
)
