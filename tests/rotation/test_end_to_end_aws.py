"""Rotations in AWS Secrets Manager: by the command line, and by its own four steps."""

from __future__ import annotations

import secrets
from functools import partial
from typing import TYPE_CHECKING

import pytest
from aws_server import NAME, REFERENCE, AwsServer
from aws_world import CREATE, FINISH, STEPS, Rotated, put, refusal, rotated
from clouds import rotate_key

from safetwilio.backends import deadline
from safetwilio.credentials import mask
from safetwilio.errors import SafeTwilioError
from support import assert_silent

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ALLOWED = ("/twilio/messaging/messages/create", "/twilio/messaging/messages/list")


@pytest.fixture(scope="module")
def server() -> Iterator[AwsServer]:
    with AwsServer() as started:
        yield started


@pytest.fixture
def world(
    server: AwsServer,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> Iterator[Rotated]:
    with rotated(server, monkeypatch, tmp_path, caplog) as found:
        yield found


@pytest.mark.parametrize("times", [1, 2])
def test_four_steps_replace_the_key_and_leave_the_old_one_for_its_users(
    world: Rotated, times: int
) -> None:
    (old,) = world.twilio.keys
    world.rotate(times=times)
    new = world.require_alive()
    assert world.twilio.keys.keys() == {old, new}
    assert new != old
    assert world.holds()["owner"] == "billing"
    assert world.holds(VersionStage="AWSPREVIOUS")["apiKeySid"] == old
    assert world.twilio.keys[new].friendly_name.startswith("safetwilio/prod-twilio/aws-")


@pytest.mark.parametrize("times", [1, 2])
def test_the_next_rotation_deletes_the_one_before_the_last(world: Rotated, times: int) -> None:
    (first,) = world.twilio.keys
    world.rotate(times=times)
    second = world.require_alive()
    world.grow_older()
    world.rotate(times=times)
    third = world.require_alive()
    assert world.twilio.keys.keys() == {second, third}
    world.grow_older()
    world.rotate(times=times)
    assert world.twilio.keys.keys() == {third, world.require_alive()}
    assert first not in world.twilio.keys


@pytest.mark.parametrize("times", [1, 2])
def test_rotations_in_a_row_delete_no_key_that_was_in_use_within_the_hour(
    world: Rotated, times: int
) -> None:
    (first,) = world.twilio.keys
    world.rotate()
    world.grow_older()
    ours = world.require_alive()
    for _ in range(4):
        world.rotate(times=times)
        assert ours in world.twilio.keys
        assert first not in world.twilio.keys, "what took its place is two hours old"
    assert len(world.twilio.keys) == 5
    before = world.require_alive()
    world.grow_older()
    world.rotate(times=times)
    assert world.twilio.keys.keys() == {before, world.require_alive()}


def test_a_lost_key_says_nothing_of_when_another_gave_way(world: Rotated) -> None:
    """It was made after the key that is used, but never held its place."""
    world.rotate()
    world.grow_older()
    used = world.require_alive()
    name = world.twilio.keys[used].friendly_name.rpartition("-")[0]
    world.twilio.make_key(friendly_name=f"{name}-aaaaaaaa", age=3700)
    for _ in range(3):
        world.rotate()
        assert used in world.twilio.keys


def test_a_key_that_a_later_rotation_would_not_find_is_named(
    world: Rotated, caplog: pytest.LogCaptureFixture
) -> None:
    (first,) = world.twilio.keys
    world.rotate()
    assert "was not made by this function" not in caplog.text
    world.rotate()
    assert first in world.twilio.keys
    assert f"{mask('key', first)} was not made by this function" in caplog.text


@pytest.mark.parametrize("times", [1, 2])
def test_the_old_key_goes_at_once_if_that_is_wanted(
    world: Rotated, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    monkeypatch.setenv("SAFETWILIO_PREVIOUS_KEY", "delete")
    for _ in range(2):
        world.rotate(times=times)
        assert world.twilio.keys.keys() == {world.require_alive()}


def test_killed_after_the_move_the_old_key_goes_when_the_step_comes_again(
    world: Rotated, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = world.begin()
    for step in STEPS:
        world.step(step, token)
    monkeypatch.setenv("SAFETWILIO_PREVIOUS_KEY", "delete")
    assert len(world.twilio.keys) == 2
    world.step(FINISH, token)
    assert world.twilio.keys.keys() == {world.require_alive()}


def test_a_value_that_means_nothing_changes_nothing(
    world: Rotated, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAFETWILIO_PREVIOUS_KEY", "maybe")
    token = world.begin()
    assert refusal(partial(world.step, CREATE, token)).code == "ST639"
    assert len(world.twilio.keys) == 1


def test_a_restricted_key_may_do_what_the_old_one_may(world: Rotated) -> None:
    world.aws.call("delete_secret", SecretId=NAME, ForceDeleteWithoutRecovery=True)
    put(world.aws, world.twilio.make_key("restricted", allow=ALLOWED))
    arn = world.aws.call("describe_secret", SecretId=NAME)["ARN"]
    world = world._replace(arn=arn)
    world.set_up()
    world.rotate()
    new = world.twilio.keys[world.require_alive()]
    assert (new.kind, new.allow) == ("restricted", frozenset(ALLOWED))


@pytest.mark.parametrize("which", ["adminKeySid", "token"])
def test_who_changes_the_account_is_in_a_secret_of_its_own(
    world: Rotated, monkeypatch: pytest.MonkeyPatch, which: str
) -> None:
    key, account = world.twilio.emulator.main_key, world.twilio.emulator.account
    main = {"adminKeySid": key.sid, "adminKeySecret": key.secret}
    token = {"authToken": account.auth_token}
    document = {"accountSid": account.sid, **(token if which == "token" else main)}
    world.aws.put(document, "twilio-main-key")
    monkeypatch.setenv("SAFETWILIO_ADMIN_BACKEND", "aws-sm://twilio-main-key")
    world.rotate()
    assert len(world.twilio.keys) == 2
    world.require_alive()


def test_nobody_who_may_change_the_account(world: Rotated, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SAFETWILIO_ADMIN_BACKEND")
    assert refusal(partial(world.step, CREATE, world.begin())).code == "ST620"


def test_a_key_whose_secret_was_lost_with_a_killed_function_is_deleted(world: Rotated) -> None:
    (old,) = world.twilio.keys
    token = world.begin()
    world.step(CREATE, token)
    name = world.twilio.keys[world.holds(VersionId=token)["apiKeySid"]].friendly_name
    lost = world.twilio.make_key(friendly_name=name, age=1)
    other = world.twilio.make_key(friendly_name="safetwilio/prod-twilio/20261122T211759Z-ab12")
    world.step(CREATE, token)
    assert lost.sid not in world.twilio.keys
    assert world.twilio.keys.keys() == {old, other.sid, world.holds(VersionId=token)["apiKeySid"]}


def test_what_a_rotation_left_that_was_given_up_is_deleted_by_the_next(world: Rotated) -> None:
    world.rotate()
    name = world.twilio.keys[world.require_alive()].friendly_name
    begins = name.rpartition("-")[0]
    old = world.twilio.make_key(friendly_name=f"{begins}-aaaaaaaa", age=7200)
    young = world.twilio.make_key(friendly_name=f"{begins}-bbbbbbbb", age=60)
    other = world.twilio.make_key(friendly_name=name.replace(begins[-3:], "zzz"), age=7200)
    world.rotate()
    assert old.sid in world.twilio.keys, "nobody can tell that it never held the place"
    world.grow_older(3000)
    world.twilio.make_key(friendly_name=f"{begins}-cccccccc", age=60)
    world.rotate()
    assert old.sid in world.twilio.keys
    young = world.twilio.make_key(friendly_name=f"{begins}-bbbbbbbb", age=-3600)
    world.grow_older(3660)
    world.rotate()
    assert old.sid not in world.twilio.keys
    assert {young.sid, other.sid} < world.twilio.keys.keys()


def test_a_value_that_is_refused_takes_the_new_key_with_it(world: Rotated) -> None:
    (old,) = world.twilio.keys
    token = world.begin()
    world.aws.say("AccessDeniedException", action="PutSecretValue")
    with pytest.raises(SafeTwilioError) as raised:
        world.step(CREATE, token)
    assert raised.value.code == "ST330"
    assert_silent(raised.value, world.twilio.secrets)
    assert world.twilio.keys.keys() == {old}
    world.step(CREATE, token)
    assert len(world.twilio.keys) == 2


def test_if_nobody_can_tell_the_key_stays_and_the_next_try_finds_out(
    world: Rotated, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deadline, "SECONDS", 1.0)
    (old,) = world.twilio.keys
    token = world.begin()

    def fall_silent() -> None:
        world.aws.say("InternalServiceError", status=500, times=10_000)

    world.aws.before["PutSecretValue"] = fall_silent
    error = refusal(partial(world.step, CREATE, token))
    assert error.code == "ST625"
    assert len(world.twilio.keys) == 2
    world.aws.say_no_more()
    monkeypatch.setattr(deadline, "SECONDS", deadline.BOOT_SECONDS)
    for step in STEPS:
        world.step(step, token)
    assert world.twilio.keys.keys() == {old, world.require_alive()}


def test_an_answer_that_is_lost_was_given_still(world: Rotated) -> None:
    token = world.begin()

    def lose() -> None:
        raise ConnectionAbortedError

    for action in ("PutSecretValue", "UpdateSecretVersionStage"):
        world.aws.after[action] = lose
    for step in STEPS:
        world.step(step, token)
    assert len(world.twilio.keys) == 2
    world.require_alive()


def test_the_command_line_rotates_the_same_secret(
    world: Rotated, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (old,) = world.twilio.keys
    monkeypatch.setenv("SAFETWILIO_BACKEND", REFERENCE)
    monkeypatch.setenv("SAFETWILIO_JOURNAL", f"journal-{secrets.token_hex(4)}")
    for _ in range(2):
        assert rotate_key("--moved") == 0
        (new,) = world.twilio.keys
        assert world.require_alive() == new != old
        assert world.holds()["owner"] == "billing"
    world.rotate()
    assert world.twilio.keys.keys() >= {new, world.require_alive()}
    assert rotate_key("--moved") == 0
    said = capsys.readouterr()
    world.twilio.require_silence(said.out, said.err)
    world.require_alive()
