"""What a process says of itself knows what its webhooks are verified with."""

from __future__ import annotations

import gc
import json
import logging
import threading
import time
from typing import TYPE_CHECKING

import pytest

import safetwilio
from safetwilio import process_state, refreshed
from safetwilio.integrations.receiver import Receiver
from safetwilio.integrations.starting import readiness
from safetwilio.webhook_settings import WebhookSettings
from support import auth_token, codes, leaks, refused, write

if TYPE_CHECKING:
    from pathlib import Path

    from support import Key

STALE = 3600
REQUEST = {
    "wsgi.url_scheme": "https",
    "HTTP_HOST": "example.com",
    "RAW_URI": "/sms",
    "HTTP_X_TWILIO_SIGNATURE": "a-signature-that-nobody-looks-at",
}


class Place:
    """A file with an Auth Token, which can be taken away, and a clock that can be put on."""

    def __init__(self, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: D107
        self.token = auth_token()
        self._file = file
        self._ahead = 0.0
        self.bring_back()
        monkeypatch.setenv("SAFETWILIO_WEBHOOK_BACKEND", f"dotenv:{file}")
        monkeypatch.setenv("SAFETWILIO_MAX_STALENESS", str(STALE))
        wall, clock = refreshed._wall, refreshed._clock
        monkeypatch.setattr(refreshed, "_wall", lambda: wall() + self._ahead)
        monkeypatch.setattr(refreshed, "_clock", lambda: clock() + self._ahead)

    def bring_back(self) -> None:  # noqa: D102
        write(self._file, f"TWILIO_WEBHOOK_AUTH_TOKEN={self.token}\n")

    def take_away(self) -> None:  # noqa: D102
        self._file.unlink()

    def later(self, seconds: float = STALE) -> None:  # noqa: D102
        self._ahead += seconds


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    return Place(tmp_path / "webhooks.env", monkeypatch)


@pytest.fixture
def receiver() -> Receiver:
    return Receiver()


def looked() -> None:
    """Wait for the looks that are under way beside us."""
    for thread in threading.enumerate():
        if thread.name == "safetwilio-refresh":
            thread.join(30)


def make_stale(place: Place, receiver: Receiver) -> None:
    """Take the place of the loaded *receiver* away for too long."""
    receiver.load()
    place.take_away()
    place.later()
    refused(receiver.refresh)


def test_what_webhooks_are_verified_with_is_a_part_of_health(
    place: Place, receiver: Receiver, configured: Key
) -> None:
    assert safetwilio.boot().webhooks == (), "it was never loaded"
    receiver.load()
    health = safetwilio.health()
    (said,), settings = health.webhooks, receiver.load()
    assert (said.name, said.source, said.version) == ("default", settings.source, settings.version)
    assert (said.auth_tokens, said.shared_keys) == (1, 0)
    assert (said.warnings, said.not_refreshed, said.is_stale) == ((), (), False)
    assert said.age >= 0
    assert health.ok
    assert not health.is_stale
    assert leaks(repr(health) + json.dumps(health.as_dict()), [place.token, *configured]) == []


def test_health_as_json_lists_them_as_it_does_accounts(place: Place, receiver: Receiver) -> None:
    receiver.load()
    place.take_away()
    refused(receiver.refresh)
    said = safetwilio.health().as_dict()
    assert json.loads(json.dumps(said)) == said
    (entry,) = said["webhooks"]
    assert set(entry) == set(process_state.WebhookHealth._fields)
    assert [problem["code"] for problem in entry["not_refreshed"]] == ["ST410"]
    assert entry["is_stale"] is False


def test_age_grows_from_loading_and_never_runs_backwards(
    place: Place, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert place
    receiver.load()
    now = time.time()
    for ahead, age in ((90, 90), (-90, 0)):
        monkeypatch.setattr(time, "time", lambda ahead=ahead: now + ahead)
        assert safetwilio.health().webhooks[0].age == pytest.approx(age, abs=30)


def test_a_place_that_is_away_for_too_long_is_not_well(
    place: Place, receiver: Receiver, configured: Key
) -> None:
    """Every webhook fails then, so a process that says that it is ready would be believed."""
    assert configured
    safetwilio.boot()
    make_stale(place, receiver)
    assert codes(refused(lambda: receiver.verify_wsgi(REQUEST)))[0] == "ST341"
    looked()
    health = safetwilio.health()
    assert [problem.code for problem in health.webhooks[0].not_refreshed] == ["ST410"]
    assert health.webhooks[0].is_stale
    assert (health.ok, health.is_stale, health.booted) == (False, True, True)
    assert health.as_dict()["ok"] is False
    assert not readiness()[0]
    assert not readiness(client=False)[0]
    looked()


def test_a_key_that_is_used_no_more_is_not_ready(place: Place, tmp_path: Path, key: Key) -> None:
    """The readiness of frameworks says what health says."""
    file = write(tmp_path / "key.env", key.dotenv())
    safetwilio.configure(safetwilio.TwilioSettings(_backend=f"dotenv:{file}"))
    assert safetwilio.boot().ok
    assert readiness()[0]
    file.unlink()
    place.later()
    refused(safetwilio.refresh)
    assert not safetwilio.health().ok
    assert not readiness()[0]
    write(file, key.dotenv())
    place.later(1)
    safetwilio.health()
    looked()
    assert readiness()[0], "the probe has looked again"


def test_a_probe_that_finds_it_stale_looks_again(
    place: Place, receiver: Receiver, configured: Key
) -> None:
    """A process that is not ready gets no webhooks, whose looks would otherwise make it so."""
    assert configured
    safetwilio.boot()
    make_stale(place, receiver)
    place.bring_back()
    place.later(1)
    assert not safetwilio.health().ok
    looked()
    assert safetwilio.health().ok
    assert readiness()[0]


def test_a_probe_that_finds_it_sound_looks_for_nothing(
    place: Place, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    receiver.load()
    place.later(STALE / 2)
    monkeypatch.setattr(WebhookSettings, "reload", lambda _: pytest.fail("it has looked"))
    safetwilio.health()
    looked()
    assert safetwilio.health().webhooks[0].not_refreshed == ()


def test_several_are_listed_by_name_with_the_fixes_of_their_account(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert place
    monkeypatch.setenv("TWILIO_MARKETING_WEBHOOK_AUTH_TOKEN", auth_token())
    monkeypatch.setenv("SAFETWILIO_WEBHOOK_BACKEND_MARKETING", "env")
    named = Receiver(lambda: WebhookSettings(_account="marketing"))
    default = Receiver()
    for each in (named, default):
        each.load()
    monkeypatch.delenv("TWILIO_MARKETING_WEBHOOK_AUTH_TOKEN")
    error = refused(named.refresh)
    first, second = safetwilio.health().webhooks
    assert (first.name, second.name) == ("default", "marketing")
    assert second.not_refreshed == error.problems
    assert first.not_refreshed == ()


def test_one_that_nobody_holds_any_more_is_not_listed(place: Place) -> None:
    assert place
    receiver = Receiver()
    receiver.load()
    assert len(safetwilio.health().webhooks) == 1
    del receiver
    gc.collect()
    assert safetwilio.health().webhooks == ()


def test_a_reset_forgets_what_webhooks_are_signed_with(place: Place, receiver: Receiver) -> None:
    """``reset()`` is for tests: what one of them made stale must not fail the next."""
    make_stale(place, receiver)
    safetwilio.reset()
    assert safetwilio.health().webhooks == ()
    place.bring_back()
    receiver.load()
    assert not safetwilio.health().webhooks[0].is_stale


def test_a_receiver_that_is_made_while_others_are_listed_is_no_failure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Another thread may make one at any moment, and a set that grows cannot be read on."""
    made = []

    def make_another() -> None:
        made.append(Receiver())

    monkeypatch.setattr(process_state, "_receivers", {make_another})
    assert process_state.receivers() == []
    monkeypatch.setattr(process_state, "_receivers", process_state._receivers - {make_another})
    assert process_state.receivers() == made


def test_nothing_is_said_of_what_a_probe_finds(
    place: Place, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    """It was said when looking failed, and probes come every few seconds."""
    make_stale(place, receiver)
    caplog.clear()
    caplog.set_level(logging.DEBUG)
    for _ in range(3):
        place.later(1)
        safetwilio.health()
        looked()
    assert caplog.messages == []
