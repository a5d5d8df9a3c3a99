"""Values at the edge of what a date or a number can be are answered, not stumbled over."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from asking import RECIPIENT, SENDER, Ask, pair_of, token_of

if TYPE_CHECKING:
    from safetwilio.testing import Emulator

DATES = (
    "0001-01-01",
    "9999-12-31",
    "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59-14:00",
    "-99999days",
    "9" * 5000,
)
LISTS = (
    ("api.twilio.com", "{account}/Messages.json", ("DateSent", "DateSent<", "DateSent>")),
    ("api.twilio.com", "{account}/Calls.json", ("StartTime", "StartTime<", "EndTime>")),
    ("api.twilio.com", "{account}/Usage/Records.json", ("StartDate", "EndDate")),
    ("api.twilio.com", "{account}/Usage/Records/Daily.json", ("StartDate", "EndDate")),
    ("api.twilio.com", "{account}/Usage/Records/Yearly.json", ("StartDate", "EndDate")),
    ("monitor.twilio.com", "/v1/Events", ("StartDate", "EndDate")),
    ("monitor.twilio.com", "/v1/Alerts", ("StartDate", "EndDate")),
)
CASES = [(host, path, name) for host, path, names in LISTS for name in names]


@pytest.fixture
def used(emulator: Emulator, ask: Ask) -> Emulator:
    """Give an emulator that has something in each list."""
    path = f"/2010-04-01/Accounts/{emulator.account.sid}/Messages.json"
    form = {"To": RECIPIENT, "From": SENDER, "Body": "hi"}
    assert ask("POST", path, pair_of(emulator.standard_key), **form).status == 201
    emulator.account.record_event("account.updated", source="web", actor_type="user")
    emulator.account.add_alert(11200)
    return emulator


@pytest.mark.parametrize("where", CASES, ids=lambda where: f"{where[1][-22:]} {where[2]}")
@pytest.mark.parametrize("date", DATES, ids=lambda date: date[:26])
def test_dates(used: Emulator, ask: Ask, where: tuple[str, str, str], date: str) -> None:
    (host, path, name), account = where, used.account
    path = path.format(account=f"/2010-04-01/Accounts/{account.sid}")
    query = ((name, date), ("PageSize", "1"))
    answer = ask("GET", path, token_of(account), host=host, query=query)
    assert answer.status in {200, 400}


@pytest.mark.parametrize("name", ["PageSize", "Page"])
def test_numbers(used: Emulator, ask: Ask, name: str) -> None:
    for number in ("9" * 5000, "٣", "1e3", "-1", ""):
        path = f"/2010-04-01/Accounts/{used.account.sid}/Messages.json"
        answer = ask("GET", path, pair_of(used.standard_key), query=((name, number),))
        assert answer.status == 400


@pytest.mark.parametrize("when", DATES, ids=lambda date: date[:26])
def test_a_message_for_the_end_of_time(emulator: Emulator, ask: Ask, when: str) -> None:
    service = ask(
        "POST", "/v1/Services", pair_of(emulator.standard_key), host="messaging.twilio.com",
        FriendlyName="s",
    ).json()["sid"]  # fmt: skip
    form = {"To": RECIPIENT, "MessagingServiceSid": service, "Body": "hi"}
    path = f"/2010-04-01/Accounts/{emulator.account.sid}/Messages.json"
    answer = ask(
        "POST", path, pair_of(emulator.standard_key), **form, ScheduleType="fixed", SendAt=when
    )
    assert (answer.status, answer.json()["code"]) == (400, 35114)
