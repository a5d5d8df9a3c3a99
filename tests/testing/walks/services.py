"""Through messaging services: made, given numbers, sent through, taken apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asking import RECIPIENT, Ask, pair_of, paths

if TYPE_CHECKING:
    from collections.abc import Iterator

    from safetwilio.testing.exchange import EmulatedResponse

SERVICES = "/v1/Services"


def walk(ask: Ask) -> Iterator[EmulatedResponse]:
    emulator = ask.emulator
    key, at = pair_of(emulator.main_key), paths(emulator.account)
    numbers = at["messages"].replace("Messages", "IncomingPhoneNumbers")
    number = ask("POST", numbers, key, AreaCode="808").json()["sid"]
    yield ask("POST", SERVICES, key, FriendlyName="marketing", StatusCallback="")
    yield (made := ask("POST", SERVICES, key, FriendlyName="web", ValidityPeriod="600"))
    one = f"{SERVICES}/{made.json()['sid']}"
    yield ask("GET", SERVICES, key, query=(("PageSize", "1"),))
    yield ask("GET", one, key)
    yield ask("POST", one, key, InboundRequestUrl="https://example.com/in", StickySender="false")
    for _ in range(2):
        yield ask("POST", f"{one}/PhoneNumbers", key, PhoneNumberSid=number)
    yield ask("GET", f"{one}/PhoneNumbers", key)
    yield ask("GET", f"{one}/PhoneNumbers/{number}", key)
    form = {"To": RECIPIENT, "MessagingServiceSid": made.json()["sid"], "Body": "hi"}
    yield (sent := ask("POST", at["messages"], key, **form))
    emulator.advance(61)
    yield ask("GET", at["message"].format(sent.json()["sid"]), key)
    yield ask("DELETE", f"{one}/PhoneNumbers/{number}", key)
    yield ask("DELETE", one, key)
    yield ask("POST", at["messages"], key, **form)
