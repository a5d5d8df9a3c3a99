"""When a key gave way is told by its place: no handler deletes one that was in use just now."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from aws_server import NAME
from aws_world import CREATE, STEPS
from clouds import HOURS
from gcp_google import Refusal
from gcp_server import as_document
from test_end_to_end_aws import server, world  # noqa: F401 - fixtures
from test_end_to_end_gcp import all_servers  # noqa: F401 - a fixture
from test_end_to_end_gcp import world as google_world  # noqa: F401 - a fixture

from safetwilio.errors import SafeTwilioError
from safetwilio.rotation.google_function import handle
from support import Key

if TYPE_CHECKING:
    from aws_world import Rotated as InAws
    from test_end_to_end_gcp import Rotated as InGoogle

LIST = "secretmanager.versions.list"


def move_current(world: InAws, to: str) -> None:  # noqa: F811
    """Move AWSCURRENT by hand, as somebody does for whom the new key made trouble."""
    world.aws.call(
        "update_secret_version_stage",
        SecretId=NAME,
        VersionStage="AWSCURRENT",
        MoveToVersionId=to,
        RemoveFromVersionId=world.aws.current()["VersionId"],
    )


def put_back(google_world: InGoogle, document: dict[str, Any]) -> None:  # noqa: F811
    """Put an older document on top by hand."""
    google_world.servers.google.put(document)


def require_two_in_the_end(world: InAws) -> None:  # noqa: F811
    """Check that rotations at their usual distance leave the key in use and the one before."""
    for _ in range(3):
        world.grow_older()
        before = world.require_alive()
        world.rotate()
    assert world.twilio.keys.keys() == {before, world.require_alive()}


def test_aws_a_rotation_that_was_finished_late_leaves_the_key_that_gave_way(
    world: InAws,  # noqa: F811
) -> None:
    """The new key was made two hours before it came to its place."""
    world.rotate()
    world.grow_older()
    used = world.require_alive()
    token = world.begin()
    world.step(CREATE, token)
    world.grow_older()
    for step in STEPS:
        world.step(step, token)
    for _ in range(2):
        world.rotate()
        assert used in world.twilio.keys, "it was in use until a minute ago"
    require_two_in_the_end(world)


def test_aws_a_stage_that_was_moved_back_by_hand_keeps_the_key_it_left(
    world: InAws,  # noqa: F811
) -> None:
    world.rotate()
    old = str(world.aws.current()["VersionId"])
    world.grow_older()
    world.rotate()
    world.grow_older()
    used = world.require_alive()
    move_current(world, old)
    for _ in range(2):
        world.rotate()
        assert used in world.twilio.keys
    require_two_in_the_end(world)


def test_aws_a_version_that_somebody_put_there_says_not_when(world: InAws) -> None:  # noqa: F811
    """It may have waited under another stage for hours before it became the current one."""
    world.rotate()
    world.grow_older()
    world.rotate()
    world.grow_older()
    used = world.require_alive()
    key = world.twilio.make_key(age=HOURS)
    fields = {"apiKeySid": key.sid, "apiKeySecret": key.secret}
    put = world.aws.call(
        "put_secret_value",
        SecretId=NAME,
        SecretString=json.dumps({**world.holds(), **fields}),
        VersionStages=["BLUE"],
    )["VersionId"]
    world.grow_older(HOURS / 2)
    world._moto().last_rotation_date -= HOURS  # it was long before
    move_current(world, put)
    world.aws.call(
        "update_secret_version_stage", SecretId=NAME, VersionStage="BLUE", RemoveFromVersionId=put
    )
    world.rotate()
    assert used in world.twilio.keys
    require_two_in_the_end(world)


def test_aws_as_long_as_no_rotation_ended_nobody_knows_when(world: InAws) -> None:  # noqa: F811
    """Secrets Manager got no answer to the last step, and tells of no rotation that was done."""
    world.rotate()
    used = world.require_alive()
    world.rotate()
    world.grow_older()
    world._moto().last_rotation_date = None
    world.rotate()
    assert used in world.twilio.keys


def test_aws_a_previous_version_without_a_value_keeps_every_key(world: InAws) -> None:  # noqa: F811
    for _ in range(2):
        world.rotate()
        world.grow_older()
    keys = world.twilio.keys.keys()
    versions = world._moto().versions.values()
    (previous,) = (each for each in versions if "AWSPREVIOUS" in each["version_stages"])
    del previous["secret_string"]
    world.rotate()
    assert keys < world.twilio.keys.keys()
    require_two_in_the_end(world)


def test_aws_no_other_permission_is_needed(world: InAws) -> None:  # noqa: F811
    world.rotate()
    world.grow_older()
    world.aws.asked.clear()
    world.rotate()
    assert "ListSecretVersionIds" not in world.aws.actions


def test_google_a_key_that_was_put_back_by_hand_lets_the_other_live(
    google_world: InGoogle,  # noqa: F811
) -> None:
    (first,) = google_world.twilio.keys
    before = google_world.held
    handle(google_world.message())
    second = google_world.require_alive()
    google_world.grow_older()
    put_back(google_world, before)
    for _ in range(2):
        handle(google_world.message())
        assert {first, second} < google_world.twilio.keys.keys(), "both were in use just now"
    for _ in range(2):
        google_world.grow_older()
        last = google_world.require_alive()
        handle(google_world.message())
    assert google_world.twilio.keys.keys() == {last, google_world.require_alive()}


def test_google_who_put_a_key_there_hours_after_it_was_made(
    google_world: InGoogle,  # noqa: F811
) -> None:
    handle(google_world.message())
    google_world.grow_older()
    used = google_world.require_alive()
    key = google_world.twilio.make_key(age=HOURS)
    put_back(google_world, as_document(Key(key.account_sid, key.sid, key.secret)))
    handle(google_world.message())
    assert used in google_world.twilio.keys


@pytest.mark.parametrize("state", ["DISABLED", "DESTROYED"])
def test_google_what_a_version_held_that_nobody_can_read_lives(
    google_world: InGoogle,  # noqa: F811
    state: str,
) -> None:
    """Whoever replaced it took it out of the way, too; its users may not have looked yet."""
    before = google_world.held
    handle(google_world.message())
    google_world.grow_older()
    used = google_world.require_alive()
    google_world.servers.google.set_state(state)
    put_back(google_world, before)
    handle(google_world.message())
    assert used in google_world.twilio.keys
    google_world.grow_older()
    handle(google_world.message())
    assert used not in google_world.twilio.keys


def test_google_who_may_not_list_versions_deletes_no_key(
    google_world: InGoogle,  # noqa: F811
    caplog: pytest.LogCaptureFixture,
) -> None:
    google_world.servers.google.denied.add(LIST)
    for count in (2, 3, 4):
        google_world.grow_older()
        assert handle(google_world.message()) is True
        assert len(google_world.twilio.keys) == count
    assert LIST in caplog.text
    google_world.servers.google.denied.clear()
    google_world.grow_older()
    last = google_world.require_alive()
    handle(google_world.message())
    assert google_world.twilio.keys.keys() == {last, google_world.require_alive()}


def test_google_at_once_needs_no_dates(
    google_world: InGoogle,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SAFETWILIO_PREVIOUS_KEY", "delete")
    google_world.servers.google.denied.add(LIST)
    handle(google_world.message())
    assert google_world.twilio.keys.keys() == {google_world.require_alive()}


def test_google_is_asked_again_if_it_does_not_say_when(
    google_world: InGoogle,  # noqa: F811
) -> None:
    handle(google_world.message())
    google_world.grow_older()
    message, keys = google_world.message(), len(google_world.twilio.keys)
    google = google_world.servers.google
    google.before["ListSecretVersions"] = lambda: google.refusals.extend(
        [("ListSecretVersions", Refusal("INTERNAL", "later"))] * 50
    )
    with pytest.raises(SafeTwilioError) as raised:
        handle(message)
    assert raised.value.code == "ST332"
    assert len(google_world.twilio.keys) == keys + 1
    google.refusals.clear()
    handle(message)
    assert len(google_world.twilio.keys) == 2


def test_google_says_it_in_one_language_as_in_the_other(
    google_world: InGoogle,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By gRPC the dates are the same as by REST, and the first page is enough."""
    monkeypatch.setenv("SAFETWILIO_BACKEND", google_world.servers.reference("grpc"))
    for _ in range(3):
        google_world.grow_older()
        last = google_world.require_alive()
        handle(google_world.message())
    assert google_world.twilio.keys.keys() == {last, google_world.require_alive()}
    asked = google_world.servers.google.methods()
    assert asked.count("ListSecretVersions") == 3
