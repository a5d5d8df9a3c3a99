"""Rotations in Google Secret Manager: by the command line, and by its messages."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from functools import partial
from itertools import count
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from clouds import HOURS, Twilio, at_once, rotate_key, twilio
from gcp_google import NAME, NUMBER, PROJECT, Refusal
from gcp_server import Servers, as_document, clean, servers

from safetwilio.errors import AccountOperationError, SafeTwilioError
from safetwilio.rotation.google_function import handle
from support import Key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SECRET = f"projects/{PROJECT}/secrets/{NAME}"
_ids = count(2_070_443_601_311_540)


class Rotated(NamedTuple):
    """A secret that Google asks to rotate, and the Twilio whose key is in it."""

    servers: Servers
    twilio: Twilio

    def message(self, event: str = "SECRET_ROTATE", secret: str = SECRET) -> dict[str, Any]:
        """Return a new message, as it is pushed."""
        published = self.twilio.emulator.now() + timedelta(seconds=1)
        self.twilio.emulator.advance(2)
        return {
            "message": {
                "attributes": {"eventType": event, "secretId": secret, "dataFormat": "JSON_API_V1"},
                "data": "e30=",
                "messageId": str(next(_ids)),
                "publishTime": published.isoformat().replace("+00:00", "Z"),
            },
            "subscription": f"projects/{PROJECT}/subscriptions/rotate",
        }

    def grow_older(self, seconds: float = HOURS) -> None:
        """Let so many *seconds* go by, for Google and for Twilio."""
        self.twilio.grow_older(seconds)
        self.servers.google.secret.grow_older(seconds)

    @property
    def held(self) -> dict[str, Any]:
        """What the newest version holds."""
        return dict(json.loads(self.servers.google.secret.versions[-1][0]))

    def require_alive(self) -> str:
        """Check that the newest version works, and return its key's SID."""
        assert self.servers.google.secret.versions[-1][1] == "ENABLED"
        assert self.twilio.works(self.held["api_key"], self.held["api_secret"])
        return str(self.held["api_key"])


@pytest.fixture(scope="module")
def all_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    with servers(tmp_path_factory.mktemp("gcp")) as started:
        yield started


@pytest.fixture
def world(
    all_servers: Servers,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> Iterator[Rotated]:
    clean(monkeypatch, tmp_path)
    with twilio(monkeypatch, caplog, tmp_path) as found:
        key = found.make_key()
        document = as_document(Key(key.account_sid, key.sid, key.secret))
        all_servers.google.put({**document, "owner": "billing"})
        monkeypatch.setenv("SAFETWILIO_BACKEND", all_servers.reference("rest"))
        yield Rotated(all_servers, found)
        found.require_silence()
    all_servers.google.reset()


def as_cloud_event(pushed: dict[str, Any]) -> object:
    return SimpleNamespace(data=pushed, get=lambda name: name)


def as_pulled(pushed: dict[str, Any]) -> object:
    inner = pushed["message"]
    return SimpleNamespace(
        attributes=inner["attributes"],
        data=b"{}",
        message_id=inner["messageId"],
        publish_time=datetime.fromisoformat(inner["publishTime"]),
    )


FORMS: dict[str, Callable[[dict[str, Any]], object]] = {
    "pushed": dict,
    "json": json.dumps,
    "bytes": lambda pushed: json.dumps(pushed).encode(),
    "cloud event": as_cloud_event,
    "pulled": as_pulled,
    "background": lambda pushed: pushed["message"],
}


def refusal(call: Callable[[], object]) -> AccountOperationError:
    with pytest.raises(AccountOperationError) as raised:
        call()
    return raised.value


@pytest.mark.parametrize("form", FORMS)
def test_a_message_replaces_the_key_once_however_often_it_comes(world: Rotated, form: str) -> None:
    (old,) = world.twilio.keys
    message = FORMS[form](world.message())
    for _ in range(2):
        assert handle(message) is True
        new = world.require_alive()
        assert world.twilio.keys.keys() == {old, new}
    assert world.held["owner"] == "billing"
    assert world.twilio.keys[new].friendly_name.startswith("safetwilio/twilio/gcp-")


def test_the_next_message_deletes_the_key_before_the_last(world: Rotated) -> None:
    (first,) = world.twilio.keys
    keys = [first]
    for _ in range(3):
        world.grow_older()
        handle(world.message())
        keys.append(world.require_alive())
        assert world.twilio.keys.keys() == set(keys[-2:])


@pytest.mark.parametrize("has_time", [True, False])
def test_messages_that_come_close_together_take_no_key_from_its_users(
    world: Rotated, *, has_time: bool
) -> None:
    """So many that the version with the first key is not looked at any more."""
    handle(world.message())
    used = world.require_alive()
    world.grow_older()
    for _ in range(13):
        forged = world.message()
        if not has_time:
            del forged["message"]["publishTime"]
        assert handle(forged) is True
        assert used in world.twilio.keys
    assert len(world.twilio.keys) == (14 if has_time else 2)
    before = world.require_alive()
    world.grow_older()
    handle(world.message())
    assert world.twilio.keys.keys() == {before, world.require_alive()}


@pytest.mark.parametrize(("age", "rotates"), [(590, False), (610, True)])
def test_a_message_without_a_time_is_fulfilled_by_a_young_key(
    world: Rotated, age: float, *, rotates: bool
) -> None:
    handle(world.message())
    before = world.require_alive()
    world.grow_older(age + 2)  # the emulator's clock is ahead
    message = world.message()
    del message["message"]["publishTime"]
    assert handle(message) is True
    assert (world.require_alive() != before) is rotates


def test_two_keys_of_one_run_count_as_one(world: Rotated) -> None:
    """Three that came at once may leave that: one key in a version below the other."""
    (first,) = world.twilio.keys
    handle(world.message())
    second = world.twilio.keys[world.require_alive()]
    other = world.twilio.make_key(friendly_name=second.friendly_name)
    world.servers.google.put(as_document(Key(other.account_sid, other.sid, other.secret)))
    world.grow_older()
    handle(world.message())
    third = world.require_alive()
    assert world.twilio.keys.keys() == {second.sid, other.sid, third}
    assert first not in world.twilio.keys
    world.grow_older()
    handle(world.message())
    assert world.twilio.keys.keys() == {third, world.require_alive()}


def test_the_old_key_goes_at_once_if_that_is_wanted(
    world: Rotated, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAFETWILIO_PREVIOUS_KEY", "delete")
    for _ in range(2):
        message = world.message()
        for _ in range(2):
            handle(message)
            assert world.twilio.keys.keys() == {world.require_alive()}


@pytest.mark.parametrize("previous", ["keep", "delete"])
def test_a_message_that_comes_again_after_the_next_one_does_nothing(
    world: Rotated, monkeypatch: pytest.MonkeyPatch, previous: str
) -> None:
    monkeypatch.setenv("SAFETWILIO_PREVIOUS_KEY", previous)
    first, second = world.message(), world.message()
    handle(first)
    handle(second)
    before = world.twilio.keys
    handle(first)
    assert world.twilio.keys == before


def test_killed_before_the_old_key_went_it_goes_when_the_message_comes_again(
    world: Rotated, monkeypatch: pytest.MonkeyPatch
) -> None:
    message = world.message()
    handle(message)
    monkeypatch.setenv("SAFETWILIO_PREVIOUS_KEY", "delete")
    handle(message)
    assert world.twilio.keys.keys() == {world.require_alive()}


def test_without_a_time_the_name_of_the_key_tells(world: Rotated) -> None:
    message = world.message()
    del message["message"]["publishTime"]
    for _ in range(2):
        handle(message)
    assert len(world.twilio.keys) == 2


@pytest.mark.parametrize("attempt", range(3))
def test_two_at_once_rotate_once(world: Rotated, attempt: int) -> None:
    for _ in range(1 + attempt % 2):
        world.grow_older()
        (*_, old) = [world.held["api_key"]]
        message = world.message()
        raised = at_once(*[partial(handle, message)] * 3)
        assert all(isinstance(error, SafeTwilioError) for error in raised)
        if raised:  # Pub/Sub brings it again
            handle(message)
        assert world.require_alive() != old
        assert old in world.twilio.keys
        assert len({k.friendly_name for k in world.twilio.keys.values()}) == 2


@pytest.mark.parametrize("when", ["AddSecretVersion", "AccessSecretVersion"])
def test_the_one_that_comes_second_leaves_one_key_that_works(world: Rotated, when: str) -> None:
    """While the first is about to write or to read, another does the whole."""
    (old,) = world.twilio.keys
    message = world.message()
    world.servers.google.before[when] = partial(handle, message)
    handle(message)
    assert world.twilio.keys.keys() == {old, world.require_alive()}


def test_a_value_that_is_refused_takes_the_new_key_with_it(world: Rotated) -> None:
    (old,) = world.twilio.keys
    world.servers.google.denied.add("secretmanager.versions.add")
    with pytest.raises(SafeTwilioError) as raised:
        handle(world.message())
    assert raised.value.code == "ST330"
    assert world.twilio.keys.keys() == {old}


def test_if_google_falls_silent_the_next_delivery_goes_on(world: Rotated) -> None:
    (old,) = world.twilio.keys
    message = world.message()
    google = world.servers.google

    def fall_silent() -> None:
        for method in ("AddSecretVersion", *["AccessSecretVersion"] * 100):
            google.refusals.append((method, Refusal("UNAVAILABLE", "later")))

    google.before["AddSecretVersion"] = fall_silent
    with pytest.raises(SafeTwilioError) as raised:
        handle(message)
    assert raised.value.code in {"ST332", "ST625"}
    google.refusals.clear()
    handle(message)
    new = world.require_alive()
    assert {old, new} <= world.twilio.keys.keys()
    assert {key.friendly_name for key in world.twilio.keys.values()} == {
        "",
        world.twilio.keys[new].friendly_name,
    }


@pytest.mark.parametrize(
    "event", ["SECRET_VERSION_ADD", "SECRET_DELETE", "TOPIC_CONFIGURED", "", "secret_rotate"]
)
def test_other_events_are_ignored(world: Rotated, event: str) -> None:
    assert handle(world.message(event)) is False
    assert len(world.twilio.keys) == 1


@pytest.mark.parametrize(
    "message", [None, "", "[]", b"\xff", 1, {}, {"message": {"attributes": {}}}, object()]
)
def test_what_is_no_message_is_ignored(message: object) -> None:
    assert handle(message) is False


@pytest.mark.parametrize(
    "secret",
    [
        f"projects/{PROJECT}/secrets/another",
        f"projects/another/secrets/{NAME}",
        f"projects/{PROJECT}/locations/europe-west3/secrets/{NAME}",
    ],
)
def test_a_forged_message_rotates_nothing_else(world: Rotated, secret: str) -> None:
    assert refusal(partial(handle, world.message(secret=secret))).code == "ST637"
    assert len(world.twilio.keys) == 1
    assert world.servers.google.asked == []


def test_nothing_is_rotated_that_is_not_configured(
    world: Rotated, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SAFETWILIO_BACKEND")
    assert refusal(partial(handle, world.message())).code == "ST637"


@pytest.mark.parametrize("version", ["1", "prod"])
def test_a_version_of_its_own_is_not_rotated_by_messages(
    world: Rotated, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    """An alias may share the secret with others, whose keys are in the versions around it."""
    reference = world.servers.reference("rest", f"&version={version}")
    monkeypatch.setenv("SAFETWILIO_BACKEND", reference)
    assert refusal(partial(handle, world.message())).code == "ST637"


def test_the_project_may_be_a_number(world: Rotated) -> None:
    handle(world.message(secret=f"projects/{NUMBER}/secrets/{NAME}"))
    assert len(world.twilio.keys) == 2


def test_a_message_without_an_id(world: Rotated) -> None:
    message = world.message()
    del message["message"]["messageId"]
    assert refusal(partial(handle, message)).code == "ST636"


def test_nobody_who_may_change_the_account(world: Rotated, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SAFETWILIO_ADMIN_BACKEND")
    assert refusal(partial(handle, world.message())).code == "ST620"


def test_what_a_lost_try_left_goes_when_nobody_can_be_at_it_any_more(world: Rotated) -> None:
    handle(world.message())
    name = world.twilio.keys[world.require_alive()].friendly_name
    begins = name.rpartition("-")[0]
    old = world.twilio.make_key(friendly_name=f"{begins}-aaaaaaaa", age=7200)
    young = world.twilio.make_key(friendly_name=f"{begins}-bbbbbbbb", age=-7140)
    world.grow_older()
    handle(world.message())
    assert old.sid not in world.twilio.keys
    assert young.sid in world.twilio.keys


def test_an_older_version_that_cannot_be_read_is_passed_over(world: Rotated) -> None:
    google = world.servers.google
    (first,) = world.twilio.keys
    handle(world.message())
    google.set_state("DESTROYED", 1)
    google.put("no key at all")
    google.put(json.loads(google.secret.versions[1][0]))
    second = world.require_alive()
    handle(world.message())
    assert world.twilio.keys.keys() == {first, second, world.require_alive()}


@pytest.mark.parametrize("transport", ["rest", "grpc"])
def test_the_command_line_rotates_the_same_secret(
    world: Rotated,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    transport: str,
) -> None:
    (old,) = world.twilio.keys
    monkeypatch.setenv("SAFETWILIO_BACKEND", world.servers.reference(transport))
    monkeypatch.setenv("SAFETWILIO_JOURNAL", "journal")
    for _ in range(2):
        assert rotate_key("--moved") == 0
        (new,) = world.twilio.keys
        assert world.require_alive() == new != old
        assert world.held["owner"] == "billing"
    said = capsys.readouterr()
    world.twilio.require_silence(said.out, said.err)


def test_after_the_command_line_a_message_that_is_older_does_nothing(
    world: Rotated, monkeypatch: pytest.MonkeyPatch
) -> None:
    message = world.message()
    monkeypatch.setenv("SAFETWILIO_JOURNAL", "journal")
    assert rotate_key("--no-wait") == 4
    before = world.twilio.keys
    assert handle(message) is True
    assert world.twilio.keys == before
