"""Through the log: events that requests caused and tests added, and alerts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asking import Ask, pair_of, paths, token_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from safetwilio.testing.exchange import EmulatedResponse

HOST = "monitor.twilio.com"


def walk(ask: Ask) -> Iterator[EmulatedResponse]:
    account, main = ask.emulator.account, pair_of(ask.emulator.main_key)
    at, owner = paths(account), token_of(account)
    yield (made := ask("POST", at["keys"], main, FriendlyName="web"))
    one = at["key"].format(made.json()["sid"])
    yield ask("POST", one, owner, FriendlyName="worker")
    yield ask("DELETE", one, main)
    yield ask("POST", at["account"], owner, FriendlyName="another")
    account.record_event("user-session.created", source="web", actor_type="user")
    for query in ((), (("PageSize", "1"),), (("ActorSid", account.sid), ("EventType", "x"))):
        yield (listed := ask("GET", "/v1/Events", owner, host=HOST, query=query))
        for event in listed.json().get("events", ()):
            yield ask("GET", f"/v1/Events/{event['sid']}", owner, host=HOST)
    alert = account.add_alert(11200, text="x", request_method="POST", request_url="https://a.b/")
    yield ask("GET", "/v1/Alerts", owner, host=HOST, query=(("LogLevel", "error"),))
    yield ask("GET", f"/v1/Alerts/{alert.sid}", owner, host=HOST)
    yield ask("GET", "/v1/Alerts/NO0", owner, host=HOST)
    yield ask("GET", "/v1/Events/AE0", owner, host=HOST)
