"""Which keys nobody uses any more, by when they left their place."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime

from safetwilio.admin.keys import KeySummary
from safetwilio.rotation.shared_keys import SETTLED_AFTER, outlived

PREFIX = "safetwilio/twilio/gcp-"
NOW = datetime.now(UTC)
YOUNG = NOW - SETTLED_AFTER / 2
OLD = NOW - SETTLED_AFTER * 2


def key(name: str = "", created: datetime | None = OLD) -> KeySummary:
    return KeySummary(f"SK{secrets.token_hex(16)}", name, created)


def test_a_key_is_outlived_an_hour_after_it_left_its_place_whenever_it_was_made() -> None:
    gone, going, unknown = key(created=YOUNG), key(), key(created=None)
    left = {gone.sid: OLD, going.sid: YOUNG, unknown.sid: OLD}
    assert outlived([gone, going, unknown], left, None, PREFIX) == {gone.sid, unknown.sid}


def test_a_key_of_which_nobody_knows_when_stays() -> None:
    one = key(f"{PREFIX}a")
    assert outlived([one], {one.sid: None}, OLD, PREFIX) == set()


def test_what_twilio_does_not_list_is_not_named() -> None:
    assert outlived([], {key().sid: OLD}, OLD, PREFIX) == set()


def test_a_key_of_ours_that_is_not_in_the_history_was_gone_when_it_begins() -> None:
    ours, theirs = key(f"{PREFIX}a"), key("safetwilio/other/gcp-a")
    on_its_way, undated = key(f"{PREFIX}b", YOUNG), key(f"{PREFIX}c", None)
    keys = [ours, theirs, on_its_way, undated]
    assert outlived(keys, {}, OLD, PREFIX) == {ours.sid}
    assert outlived(keys, {}, YOUNG, PREFIX) == set()
    assert outlived(keys, {}, None, PREFIX) == set()
