"""Values at random for the parameters of Twilio's library, mostly sensible ones."""

from __future__ import annotations

import json
import re
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import random
    from collections.abc import Callable
    from types import ModuleType

WRONG_SIDS = (
    *("?" + 32 * "0", "?" + 32 * "F", "?", "?" + 31 * "0", "XX" + 32 * "0", "x", "0"),
    *("%3F", "a b", "ä", "%00", "x" * 300, "?.json", "%2e%2e", "null"),
)
NUMBERS = tuple(f"+1555123{number:04}" for number in range(40))
ADDRESSES = (
    *NUMBERS[:12],
    *NUMBERS[12:30],
    *("+15005550006", "+15005550001", "+15005550009", "+442079460000", "+998901234567", "+530"),
    *("whatsapp:+15551230001", "12345", "Shop", "+1", "nobody", "+" + 30 * "1"),
)
STRANGE = (
    *("", " ", "x", "0", "-1", "null", "true", "[]", "{}", "ä€😀", "\t\n", "\0", "%", "a&b=c"),
    *("x" * 65, "x" * 1601, '"', "<a>", "1e400", "NaN", "9" * 5000, "2026-02-30", "\ud7ff"),
)
URLS = (*3 * ("https://example.com/hook",), "ftp://x", "example", "", "https://")
CATEGORIES = ("sms", "totalprice", "calls", "sms-outbound", "nothing", "mms")
PERMISSIONS = (
    "/twilio/messaging/messages/create",
    "/twilio/messaging/messages/list",
    "/twilio/messaging/messages/read",
    "/twilio/iam/api-keys/read",
    "/twilio/billing/usage/read",
    "/twilio/monitor/events/list",
)
DATES = ("2026-01-31", "-3days", "0001-01-01", "9999-12-31", "soon", "2026-01-31T00:00:00Z")
LATE, EARLY = "9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+12:00"
COUNTRIES = ("US", "US", "US", "GB", "GB", "CA", "IN", "PK", "IR", "XX", "us", "", "DE")
SENSIBLE = 0.93


class Values:
    """Makes values from *chance*; *sid* gives SIDs of a prefix."""

    def __init__(self, chance: random.Random, sid: Callable[[str], str]) -> None:
        """Make values from *chance*."""
        self.random = chance
        self.sid = sid
        self.account_sid = ""  # the caller's

    def value(  # noqa: PLR0911 - one for each kind
        self, name: str, kind: str, module: ModuleType
    ) -> Any:
        """Return a value for the parameter *name* whose annotation in *module* is *kind*."""
        if name == "limit":
            return self.random.choice((1, 3, 8, 12))
        if "List" in kind:
            return [self._item(name) for _ in range(self.random.randrange(1, 4))]
        enumeration = re.search(r"'(\w+)\.(\w+)'", kind)
        if enumeration:
            return self._member(getattr(getattr(module, enumeration[1]), enumeration[2]))
        if "datetime" in kind:
            return self._moment()
        if "date" in kind:
            return self._day()
        if "bool" in kind:
            return self.random.random() < 0.5
        if "int" in kind or "float" in kind:
            return self.random.choice((0, 1, 2, 600, 14400, 5, 60, -1, 10**9))
        return self._text(name)

    def country(self) -> str:
        """Return the ISO code of a country, or something else."""
        # an empty one would make another path
        return self.random.choice([code for code in COUNTRIES if code])

    def _text(self, name: str) -> Any:  # noqa: PLR0911 - one for each kind
        if self.random.random() > SENSIBLE:
            return self.random.choice(STRANGE)
        if name == "policy":
            return {"allow": self.random.sample(PERMISSIONS, self.random.randrange(4))}
        if name == "update_request":
            return json.dumps([self._flags() for _ in range(self.random.randrange(3))])
        if name == "account_sid" and self.random.random() < SENSIBLE:
            return self.account_sid
        for ending, prefix in (
            *(("messaging_service_sid", "MG"), ("application_sid", "AP"), ("account_sid", "AC")),
            *(("number_sid", "PN"), ("resource_sid", "SM"), ("actor_sid", "AC")),
        ):
            if name.endswith(ending):
                return self.sid(prefix)
        choices: dict[str, tuple[str, ...]] = {
            "to": ADDRESSES,
            "from_": ADDRESSES,
            "phone_number": ADDRESSES,
            "area_code": ("415", "808", "500", "533", "1"),
            "body": ("Hello", "", "x" * 1601, "ä" * 1600, "😀"),
            "twiml": ("<Response/>", "<Response><Say>Hi</Say></Response>", "<"),
            "content_sid": ("HX" + 32 * "0",),
            "status": ("active", "suspended", "completed", "canceled", "none"),
            "log_level": ("error", "warning", "none"),
            "schedule_type": ("fixed",),
            "start_date": (*DATES, LATE, EARLY),
            "end_date": (*DATES, LATE, EARLY),
            "callback_url": URLS,
            "trigger_value": ("1", "+1", "0.5", "-1", "1e3", "99999999999999999999"),
            "usage_category": CATEGORIES,
            "category": CATEGORIES,
            "key_type": ("restricted", "none"),
            "iso_code": COUNTRIES,
            "country_code": (*COUNTRIES, "US,GB", "1", "+44"),
            "continent": ("EUROPE", "NORTH_AMERICA", "none"),
            "event_type": ("account.updated", "message.deleted", "none"),
            "friendly_name": ("shop", "x" * 64, "ä", "(555) 123-0001"),
        }
        if name.endswith(("_url", "callback")) or name == "url":
            return self.random.choice(URLS)
        if name.endswith("_method") or name == "method":
            return self.random.choice(("GET", "POST", "PUT"))
        return self.random.choice(choices.get(name, STRANGE))

    def _day(self) -> Any:
        # a list of all days since long ago takes long: hundreds of categories for each
        if self.random.random() < SENSIBLE:
            return datetime.now(UTC).date() - timedelta(days=self.random.randrange(-2, 5))
        return self.random.choice((date.min, date.max, *DATES))

    def _item(self, name: str) -> Any:
        if name == "permissions":
            return {
                "country_code": self.country(),
                "type": self.random.choice(("country", "country", "country", "region")),
                "enabled": self.random.choice((True, False, "maybe", None)),
            }
        return self.random.choice((*URLS, *STRANGE[:8]))

    def _flags(self) -> dict[str, Any]:
        names = ("low_risk", "high_risk_special", "high_risk_tollfraud")
        values = ("true", "false", "true", "false", "False", "true", True, None)
        flags = {f"{name}_numbers_enabled": self.random.choice(values) for name in names}
        # a country without its low-risk numbers would soon refuse most of the walk
        return {"iso_code": self.country(), **flags}

    def _member(self, enumeration: type) -> str:
        members = [
            value
            for name, value in vars(enumeration).items()
            if name.isupper() and isinstance(value, str)
        ]
        # closed is for ever, and there are but a few accounts
        members = [value for value in members if value != "closed"] or ["none"]
        return self.random.choice([*members, *members, *members, "none"])

    def _moment(self) -> datetime:
        near = datetime.now(UTC) + timedelta(minutes=self.random.randrange(-50_000, 50_000))
        far = (datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC))
        return self.random.choice((near, near, near, near, near.replace(tzinfo=None), *far))
