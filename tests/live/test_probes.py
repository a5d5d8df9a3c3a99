"""The probes tell every choice from the others: proved with the emulator in Twilio's place.

Nobody has run them against the real Twilio.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests

from live.probe import PROBES
from live.results import Results, plan, read
from live.service import (
    PREFIX,
    SWITCH,
    NotObservedError,
    Pair,
    Service,
    WouldChangeError,
)
from live.unobserved import OWN, UNOBSERVED
from safetwilio.testing import Emulator, EmulatorServer
from safetwilio.testing.assumptions import ASSUMPTIONS
from support import clean_environment, new_key

if TYPE_CHECKING:
    from collections.abc import Iterator

OTHERS = [
    (each.name, choice)
    for each in ASSUMPTIONS
    for choice in each.choices
    if each.name in PROBES and choice != each.default
]
# under these another probe has nothing to observe
BLINDS = {"messaging_geo_subaccounts": {"messaging_geo_inherited_update"}}


class StandIn:
    """An emulator with what an account has that is in use, and the variables that lead to it."""

    def __init__(self, overrides: dict[str, Any]) -> None:
        """Furnish the emulator."""
        self.emulator = emulator = Emulator(assumptions=overrides)
        emulator.seed(messages=3, days=2)
        emulator.account.messaging_geo.permit("FR", enabled=False)
        emulator.account.messaging_geo.permit("US", enabled=True)
        emulator.account.messaging_geo.permit("IN", enabled=True)
        child = emulator.create_account(emulator.account)
        child.add_usage("calls-outbound", count=1, price=2)
        self.test = emulator.create_account(test=True)
        self.server = EmulatorServer(emulator)

    def variables(self) -> dict[str, str]:
        """Return every variable that the suite knows."""
        emulator = self.emulator
        values = {
            "ACCOUNT_SID": emulator.account.sid,
            "API_KEY": emulator.standard_key.sid,
            "API_SECRET": emulator.standard_key.secret,
            "MAIN_KEY": emulator.main_key.sid,
            "MAIN_SECRET": emulator.main_key.secret,
            "AUTH_TOKEN": emulator.account.auth_token,
            "TEST_ACCOUNT_SID": self.test.sid,
            "TEST_AUTH_TOKEN": self.test.auth_token,
            "SUBACCOUNT": SWITCH,
            "EMULATOR": self.server.url,
        }
        return {PREFIX + name: value for name, value in values.items()}

    def buy_a_number(self) -> None:
        """Buy a phone number by the API, so that there is an event of it."""
        emulator = self.emulator
        path = f"/2010-04-01/Accounts/{emulator.account.sid}/IncomingPhoneNumbers.json"
        requests.post(
            self.server.url + path,
            data={"AreaCode": "415"},
            auth=(emulator.account.sid, emulator.account.auth_token),
            timeout=30,
        ).raise_for_status()


@pytest.fixture
def stand_in(request: pytest.FixtureRequest) -> Iterator[StandIn]:
    made = StandIn(getattr(request, "param", {}))
    with made.server:
        made.buy_a_number()
        yield made


def observe(stand_in: StandIn) -> Results:
    """Run every probe, and close the subaccount."""
    service, results = Service(stand_in.variables()), Results()
    try:
        for probe in PROBES.values():
            try:
                results.run(probe, service)
            except NotObservedError:
                continue
    finally:
        assert service.close() is None
    return results


def test_each_assumption_has_a_probe_or_a_reason() -> None:
    names = {each.name for each in ASSUMPTIONS}
    assert PROBES.keys() | UNOBSERVED.keys() == names
    assert not PROBES.keys() & UNOBSERVED.keys()
    own = {each.name for each in ASSUMPTIONS if each.status == "emulator's own"}
    assert {name for name, why in UNOBSERVED.items() if why == OWN} == own


def test_the_defaults_are_seen(stand_in: StandIn) -> None:
    results = observe(stand_in)
    assert results.unseen == {}
    assert results.seen == {name: each.assumption.default for name, each in PROBES.items()}


@pytest.mark.parametrize("stand_in", [dict([each]) for each in OTHERS], ids=str, indirect=True)
def test_each_other_choice_is_seen_and_disturbs_no_other_probe(stand_in: StandIn) -> None:
    assumed = stand_in.emulator.assumptions
    results = observe(stand_in)
    expected = {name: assumed[name] for name in PROBES if name not in results.unseen}
    assert results.seen == expected
    [other] = [e.name for e in ASSUMPTIONS if assumed[e.name] != e.default]
    assert results.unseen.keys() <= BLINDS.get(other, set()), results.unseen


def test_nothing_of_the_account_itself_changes(stand_in: StandIn) -> None:
    emulator, variables = stand_in.emulator, stand_in.variables()
    begun = len(emulator.requests)
    observe(stand_in)
    own = (emulator.account.sid, emulator.standard_key.sid, emulator.main_key.sid)
    writes = [
        each
        for each in emulator.requests[begun:]
        if each.method != "GET" and each.username in own and each.status < 400
    ]
    accounts = {each.sid for each in _children(emulator)}
    assert {each.username for each in writes} == {emulator.account.sid}
    for write in writes:
        below = write.path.removeprefix("/2010-04-01/Accounts").lstrip("/")
        assert below == ".json" or below[:34] in accounts
    assert [each.status for each in _children(emulator)].count("closed") == 1
    assert len(emulator.messages) == 0
    assert variables == stand_in.variables()


def _children(emulator: Emulator) -> list[Any]:
    accounts = [each for _, each in emulator._world.accounts.newest_first()]
    return [each for each in accounts if each.parent is emulator.account]


def test_a_probe_cannot_change_what_is_not_its_own(stand_in: StandIn) -> None:
    service = Service(stand_in.variables())
    path = f"/2010-04-01/Accounts/{service.account_sid}"
    begun = len(stand_in.emulator.requests)
    for who in (*(service.pairs[each] for each in ("reader", "main", "owner")), None):
        for where in (f"{path}.json", f"{path}/Messages.json", "/v1/AuthTokens/Promote"):
            with pytest.raises(WouldChangeError):
                service.ask(who, "POST", where)
    assert len(stand_in.emulator.requests) == begun
    assert service.close() is None


def test_without_the_switch_it_only_reads(stand_in: StandIn) -> None:
    variables = stand_in.variables()
    for name in ("SUBACCOUNT", "TEST_AUTH_TOKEN"):
        del variables[PREFIX + name]
    service, results = Service(variables), Results()
    begun = len(stand_in.emulator.requests)
    for probe in PROBES.values():
        try:
            results.run(probe, service)
        except NotObservedError:
            continue
    assert service.close() is None
    assert {each.method for each in stand_in.emulator.requests[begun:]} == {"GET"}
    assert len(results.seen) > 15
    assert all(PREFIX in why for why in results.unseen.values())


@pytest.mark.parametrize("missing", ["ACCOUNT_SID", "API_KEY", "API_SECRET"])
def test_without_credentials_nothing_is_asked(stand_in: StandIn, missing: str) -> None:
    variables = stand_in.variables()
    del variables[PREFIX + missing]
    with pytest.raises(NotObservedError, match=f"{PREFIX}API_KEY"):
        Service(variables)


def test_emulated_and_real_credentials_go_where_they_belong(stand_in: StandIn) -> None:
    variables = stand_in.variables()
    address = variables.pop(f"{PREFIX}EMULATOR")
    with pytest.raises(NotObservedError, match="real ones to Twilio"):
        Service(variables)
    real = new_key()
    given = {"ACCOUNT_SID": real.account, "API_KEY": real.sid, "API_SECRET": real.secret}
    given["EMULATOR"] = address
    with pytest.raises(NotObservedError, match="real ones to Twilio"):
        Service({PREFIX + name: value for name, value in given.items()})
    with pytest.raises(NotObservedError, match="URL such as"):
        Service({**stand_in.variables(), f"{PREFIX}EMULATOR": "https://example.com"})


def test_no_secret_shows(stand_in: StandIn) -> None:
    service = Service(stand_in.variables())
    child = service.throw_away()
    shown = "\n".join([repr(service), *map(repr, service.pairs.values()), repr(child)])
    shown += "\n".join(plan(service)) + repr(service.ask(child, "GET", "/v1/Keys", product="iam"))
    assert service.close() is None
    assert not [each for each in stand_in.emulator.secrets() if each in shown]
    assert "hidden" not in repr(Pair("test", "AC", "hidden"))


def test_nox_live_as_a_whole(stand_in: StandIn, tmp_path: Path) -> None:
    """The session's own command, once with everything and once with nothing given."""
    results = tmp_path / "results.json"
    given = {**stand_in.variables(), f"{PREFIX}RESULTS": str(results)}
    done = _run(given)
    assert done.returncode == 0, done.stdout
    assert f"{len(PROBES)} passed" in done.stdout
    assert all(f"  {name}: {each.asks}" in done.stdout for name, each in PROBES.items())
    assert not [each for each in stand_in.emulator.secrets() if each in done.stdout + done.stderr]
    seen = read(results, "emulator")
    assert {name: each["choice"] for name, each in seen.items()} == {
        name: each.assumption.default for name, each in PROBES.items()
    }
    assert read(results) == {}, "what an emulator says is no news of Twilio"

    done = _run({})
    assert done.returncode == 0, done.stdout
    assert "Nothing is asked of Twilio without SAFETWILIO_LIVE_ACCOUNT_SID" in done.stdout
    assert f"{len(PROBES)} skipped" in done.stdout


def _run(given: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:randomly"),
            str(Path(__file__).with_name("against_twilio.py")),
        ],
        env=clean_environment(**given),
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def test_what_was_seen_before_stays(tmp_path: Path) -> None:
    path = tmp_path / "seen.json"
    first, second = Results(), Results()
    first.seen = {"oversized_page": "clamped", "geo_needs": "token"}
    second.seen = {"geo_needs": "main"}
    for each in (first, second):
        each.write(path, stand_in=False)
    choices = {name: each["choice"] for name, each in read(path).items()}
    assert choices == {"geo_needs": "main", "oversized_page": "clamped"}
    assert json.loads(path.read_text("utf-8"))["service"] == "twilio"
