"""Through messages: sent, listed, redacted, canceled, deleted."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from asking import RECIPIENT, SENDER, Ask, pair_of, paths

if TYPE_CHECKING:
    from collections.abc import Iterator

    from safetwilio.testing.exchange import EmulatedResponse


def walk(ask: Ask) -> Iterator[EmulatedResponse]:
    emulator = ask.emulator
    at, key = paths(emulator.account), pair_of(emulator.standard_key)
    message = {"To": RECIPIENT, "From": SENDER, "Body": "hi"}
    yield (made := ask("POST", "/v1/Services", key, FriendlyName="web"))
    service = {"To": RECIPIENT, "MessagingServiceSid": made.json()["sid"], "Body": "later"}
    soon = emulator.now() + timedelta(hours=1)
    when = {"ScheduleType": "fixed", "SendAt": f"{soon:%Y-%m-%dT%H:%M:%SZ}"}
    media = ["https://example.com/a.png"]
    for form in (message, service, {**message, "MediaUrl": media}, {**service, **when}):
        yield ask("POST", at["messages"], key, **form)
    for _ in range(4):
        yield ask("GET", at["messages"], key, query=(("PageSize", "1"),))
        emulator.advance(61)
    sid = emulator.messages[0].sid
    yield ask("GET", at["message"].format(sid), key)
    yield ask("POST", at["message"].format(sid), key, Body="")
    yield ask("POST", at["message"].format(sid), key, Status="canceled")
    yield ask("DELETE", at["message"].format(sid), key)
    yield ask("DELETE", at["message"].format(sid), key)
