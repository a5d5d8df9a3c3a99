"""Through calls: started, listed, ended, deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asking import RECIPIENT, SENDER, Ask, pair_of, paths, token_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from safetwilio.testing.exchange import EmulatedResponse


def walk(ask: Ask) -> Iterator[EmulatedResponse]:
    emulator = ask.emulator
    key, all_ = pair_of(emulator.main_key), _path(emulator.account)
    form = {"To": RECIPIENT, "From": SENDER, "Url": "https://example.com/twiml"}
    numbers = all_.replace("Calls", "IncomingPhoneNumbers")
    yield ask("POST", numbers, key, PhoneNumber=SENDER)
    yield ask("POST", all_, key, To=RECIPIENT, From=SENDER)
    for _ in range(2):
        yield (made := ask("POST", all_, key, **form))
    one = all_.replace(".json", f"/{made.json()['sid']}.json")
    for _ in range(4):
        yield ask("GET", all_, key, query=(("PageSize", "1"),))
        yield ask("GET", one, key)
        emulator.advance(1)
    yield (made := ask("POST", all_, key, **form))
    one = all_.replace(".json", f"/{made.json()['sid']}.json")
    yield ask("POST", one, key, Status="completed")
    yield ask("POST", one, key, Status="canceled")
    yield ask("GET", one, key)
    yield ask("DELETE", one, key)
    test = emulator.create_account(test=True)
    for number in ("+15005550001", "+15005550003", RECIPIENT):
        yield ask("POST", _path(test), token_of(test), **{**form, "To": number})


def _path(account: object) -> str:
    return paths(account)["messages"].replace("Messages", "Calls")
