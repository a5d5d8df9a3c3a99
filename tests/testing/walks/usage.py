"""Through usage: records of every kind, triggers, the balance, for every kind of credentials."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asking import RECIPIENT, SENDER, Ask, pair_of, token_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from safetwilio.testing.exchange import EmulatedResponse

KINDS = ("AllTime", "Daily", "LastMonth", "Monthly", "ThisMonth", "Today", "Yearly", "Yesterday")


def walk(ask: Ask) -> Iterator[EmulatedResponse]:
    for way in (_records, _triggers, _balance):
        yield from way(ask)


def at(ask: Ask, name: str) -> str:
    return f"/2010-04-01/Accounts/{ask.emulator.account.sid}/{name}"


def _records(ask: Ask) -> Iterator[EmulatedResponse]:
    emulator, caller = ask.emulator, token_of(ask.emulator.account)
    message = {"To": RECIPIENT, "From": SENDER, "Body": "hi"}
    yield ask("POST", at(ask, "Messages.json"), caller, **message)
    emulator.account.add_usage("calls-outbound", count=2, usage=3, price="0.04")
    emulator.advance(61)
    for kind in ("", *(f"/{each}" for each in KINDS)):
        path = at(ask, f"Usage/Records{kind}.json")
        some, total = ("PageSize", "2"), ("Category", "totalprice")
        for query in ((some,), (total,), (total, ("StartDate", "-3days"), ("EndDate", "+1days"))):
            yield ask("GET", path, caller, query=query)
        yield ask("GET", path, caller, query=(("Category", "nothing"), ("StartDate", "soon")))


def _triggers(ask: Ask) -> Iterator[EmulatedResponse]:
    emulator, triggers = ask.emulator, at(ask, "Usage/Triggers.json")
    key, owner = pair_of(emulator.standard_key), token_of(emulator.account)
    form = {"CallbackUrl": "https://example.com/usage", "UsageCategory": "sms"}
    yield ask("POST", triggers, owner, **form, TriggerValue="+1")
    for recurring in ("daily", "monthly", "yearly", "alltime"):
        more = {"Recurring": recurring, "TriggerBy": "price", "FriendlyName": recurring}
        yield (made := ask("POST", triggers, owner, **form, **more, TriggerValue="0.5"))
    yield ask("POST", triggers, owner, **form, TriggerValue="-1")
    one = at(ask, f"Usage/Triggers/{made.json()['sid']}.json")
    yield ask("POST", one, owner, FriendlyName="b", CallbackMethod="GET")
    emulator.account.add_usage("sms-outbound", count=9, price=9)
    emulator.advance(61)
    for caller in (owner, pair_of(emulator.main_key), key, None):
        yield ask("GET", triggers, caller)
        yield ask("GET", one, caller)
    yield ask("DELETE", one, owner)
    yield ask("DELETE", one, owner)


def _balance(ask: Ask) -> Iterator[EmulatedResponse]:
    emulator = ask.emulator
    child = emulator.create_account(emulator.account)
    for account in (emulator.account, child):
        path = f"/2010-04-01/Accounts/{account.sid}/Balance.json"
        yield ask("GET", path, token_of(emulator.account))
