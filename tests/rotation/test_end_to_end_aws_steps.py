"""Steps of AWS's rotation that are not as they should be: wrong, too early, two at once."""

from __future__ import annotations

import json
import uuid
from functools import partial
from typing import TYPE_CHECKING

import pytest
from aws_server import NAME, REFERENCE, AwsServer
from aws_world import CREATE, FINISH, SET, STEPS, TEST, Rotated, refusal, rotated
from clouds import at_once

from safetwilio.credentials import mask
from safetwilio.errors import SafeTwilioError
from safetwilio.rotation.aws_lambda import handler
from support import assert_silent

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


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


EVENTS = {
    "no step": {"Step": "deleteSecret"},
    "a list": {"Step": []},
    "a table": {"Step": {}},
    "no secret": {"SecretId": ""},
    "a reference": {"SecretId": "arn:aws:secretsmanager:x:1:secret:n?endpoint=http://x"},
    "a name": {"SecretId": NAME},
    "no token": {"ClientRequestToken": "?"},
    "another token": {"ClientRequestToken": str(uuid.uuid4())},
}


@pytest.mark.parametrize("wrong", EVENTS)
@pytest.mark.parametrize("step", STEPS)
def test_an_event_that_asks_for_nothing_that_can_be_done(
    world: Rotated, step: str, wrong: str
) -> None:
    token = world.begin()
    error = refusal(partial(world.step, **{"step": step, "token": token, **EVENTS[wrong]}))
    assert error.code == "ST636"
    assert len(world.twilio.keys) == 1


def test_what_is_no_event() -> None:
    assert refusal(lambda: handler([], None)).code == "ST636"  # type: ignore[arg-type]


def test_a_secret_that_is_not_rotated_and_a_version_that_is_not_pending(world: Rotated) -> None:
    token = world.begin()
    world.set_up(enabled=False)
    assert refusal(partial(world.step, CREATE, token)).code == "ST636"
    world.set_up()
    world.begin()
    assert "AWSPENDING" in str(refusal(partial(world.step, CREATE, token)))


def test_steps_that_come_too_early(world: Rotated) -> None:
    (old,) = world.twilio.keys
    token = world.begin()
    world.step(SET, token)
    for step in (TEST, FINISH):
        error = refusal(partial(world.step, step, token))
        assert error.code == "ST638"
        assert token in str(error)
    assert world.require_alive() == old
    world.step(CREATE, token)
    world.step(FINISH, token)  # it proves the key itself
    for step in STEPS:
        world.step(step, token)
    assert world.twilio.keys.keys() == {old, world.require_alive()}


@pytest.mark.parametrize("step", [TEST, FINISH])
def test_a_key_that_does_not_work_never_becomes_current(world: Rotated, step: str) -> None:
    (old,) = world.twilio.keys
    token = world.begin()
    world.step(CREATE, token)
    (new,) = world.twilio.keys.keys() - {old}
    world.twilio.emulator.account.delete_key(new)
    assert refusal(partial(world.step, step, token)).code == "ST638"
    assert world.require_alive() == old


@pytest.mark.parametrize("step", [TEST, FINISH])
def test_a_key_of_another_account_never_becomes_current(world: Rotated, step: str) -> None:
    (old,) = world.twilio.keys
    other = world.twilio.emulator.create_account()
    foreign = other.create_key("standard")
    token = world.begin()
    world.give(
        token,
        accountSid=foreign.account_sid,
        apiKeySid=foreign.sid,
        apiKeySecret=foreign.secret,
    )
    for each in (CREATE, SET):
        world.step(each, token)
    error = refusal(partial(world.step, step, token))
    assert error.code == "ST638"
    assert mask("account", other.sid) in str(error)
    assert_silent(error, [foreign.secret, *world.twilio.secrets])
    assert world.require_alive() == old
    assert world.twilio.keys.keys() == {old}


def test_a_key_that_somebody_put_there_again_is_never_deleted(world: Rotated) -> None:
    """Compared by SID: the version before may hold the key of the current one."""
    world.rotate()
    kept = world.require_alive()
    again = {**world.holds(), "owner": "shipping"}
    world.aws.rotate(json.dumps(again))
    world.rotate()
    assert kept in world.twilio.keys
    world.require_alive()


def test_a_version_that_has_another_stage_keeps_its_key(world: Rotated) -> None:
    (old,) = world.twilio.keys
    (version,) = world.aws.versions()
    world.aws.call(
        "update_secret_version_stage",
        SecretId=NAME,
        VersionStage="BLUE",
        MoveToVersionId=version,
    )
    for _ in range(2):
        world.rotate()
    assert old in world.twilio.keys


@pytest.mark.parametrize("attempt", range(3))
def test_two_at_once_make_one_key(world: Rotated, attempt: int) -> None:
    (old,) = world.twilio.keys
    for _ in range(1 + attempt % 2):
        world.grow_older()
        token = world.begin()
        for step in STEPS:
            raised = at_once(*[partial(world.step, step, token)] * 3)
            assert all(isinstance(error, SafeTwilioError) for error in raised)
            if raised:  # Secrets Manager asks again
                world.step(step, token)
            assert world.require_alive()
        assert world.twilio.keys.keys() - {old} >= {world.require_alive()}
        assert len(world.twilio.keys) == 2


def test_the_one_that_comes_second_finds_a_key_that_works(world: Rotated) -> None:
    """While the first waits to write, another does the whole step."""
    (old,) = world.twilio.keys
    token = world.begin()
    world.aws.before["PutSecretValue"] = partial(world.step, CREATE, token)
    world.step(CREATE, token)
    found = world.holds(VersionId=token)
    assert world.twilio.works(found["apiKeySid"], found["apiKeySecret"])
    assert world.twilio.keys.keys() == {old, found["apiKeySid"]}


def test_the_one_that_finishes_second_deletes_nothing_that_is_in_use(world: Rotated) -> None:
    world.rotate()
    world.grow_older()
    second = world.require_alive()
    token = world.begin()
    world.step(CREATE, token)
    world.aws.before["UpdateSecretVersionStage"] = partial(world.step, FINISH, token)
    world.step(FINISH, token)
    assert world.twilio.keys.keys() == {second, world.require_alive()}


def test_somebody_else_moves_the_stage_meanwhile(world: Rotated) -> None:
    (old,) = world.twilio.keys
    token = world.begin()
    world.step(CREATE, token)
    mine = {**world.holds(), "owner": "shipping"}
    world.aws.before["UpdateSecretVersionStage"] = partial(world.aws.rotate, json.dumps(mine))
    with pytest.raises(SafeTwilioError) as raised:
        world.step(FINISH, token)
    assert raised.value.code == "ST338"
    assert world.require_alive() == old


def test_the_secret_is_one_that_is_configured(
    world: Rotated, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = world.begin()
    monkeypatch.setenv("SAFETWILIO_BACKEND", "env,aws-sm://another/secret")
    assert refusal(partial(world.step, CREATE, token)).code == "ST637"
    monkeypatch.setenv("SAFETWILIO_BACKEND", f"env,{REFERENCE}?timeout=15&stage=AWSCURRENT")
    for step in STEPS:
        world.step(step, token)
    assert len(world.twilio.keys) == 2


def test_the_key_may_be_in_a_field_of_the_secret(
    world: Rotated, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = {"twilio": world.holds(), "database": "stays"}
    world.aws.rotate(json.dumps(whole))
    monkeypatch.setenv("SAFETWILIO_BACKEND", f"{REFERENCE}#twilio")
    world.rotate()
    held = world.holds()
    assert held["database"] == "stays"
    assert held["twilio"]["apiKeySid"] != whole["twilio"]["apiKeySid"]
    assert world.twilio.works(held["twilio"]["apiKeySid"], held["twilio"]["apiKeySecret"])


def test_a_stage_on_a_version_that_cannot_be_read_keeps_every_key(world: Rotated) -> None:
    (old,) = world.twilio.keys
    blue = world.aws.call(
        "put_secret_value", SecretId=NAME, SecretString="{}", VersionStages=["BLUE"]
    )
    assert blue["VersionStages"] == ["BLUE"]
    for _ in range(2):
        world.rotate()
    assert old in world.twilio.keys
    world.require_alive()


def test_the_endpoint_that_the_console_gives_a_function(
    world: Rotated, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    monkeypatch.setenv("SECRETS_MANAGER_ENDPOINT", world.aws.url)
    world.rotate()
    assert len(world.twilio.keys) == 2


def test_what_the_function_has_to_be_allowed(
    world: Rotated, monkeypatch: pytest.MonkeyPatch
) -> None:
    needed = ("DescribeSecret", "GetSecretValue", "PutSecretValue", "UpdateSecretVersionStage")
    all_of_it, all_but_the_first = (
        world.aws.user(*(f"secretsmanager:{action}" for action in needed[n:]), name=f"user-{n}")
        for n in (0, 1)
    )
    world.aws.require_permission()
    for name, value in all_of_it.environment.items():
        monkeypatch.setenv(name, value)
    world.rotate()
    assert set(world.aws.actions) == set(needed)
    for name, value in all_but_the_first.environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SafeTwilioError) as raised:
        world.step(CREATE, world.begin())
    assert raised.value.code == "ST330"
    assert "secretsmanager:DescribeSecret" in str(raised.value)
