"""A store says that a secret was replaced, and what webhooks are signed with is looked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import safetwilio
from safetwilio.backends.dotenv import DotenvBackend
from safetwilio.credentials import mask
from safetwilio.integrations.receiver import Receiver
from safetwilio.notifications import on_aws_event, on_google_message
from safetwilio.webhook_settings import WebhookSettings
from support import auth_token, new_key, write

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from safetwilio.backends.interface import Backend
    from safetwilio.backends.locate import Reference

REFERENCE = "aws-sm://prod/twilio"
GOOGLE = {
    "message": {
        "attributes": {
            "eventType": "SECRET_VERSION_ADD",
            "secretId": "projects/my-project/secrets/twilio",
        }
    }
}


def aws(name: str = "prod/twilio") -> dict[str, Any]:
    """Return as much of an event as is read; whole ones are in the tests of the keys."""
    return {
        "detail": {
            "eventSource": "secretsmanager.amazonaws.com",
            "eventName": "PutSecretValue",
            "awsRegion": "eu-west-1",
            "requestParameters": {"secretId": name},
        }
    }


class Webhooks:
    """A receiver whose Auth Token is in a file, whatever the reference says."""

    def __init__(self, directory: Path, monkeypatch: Any) -> None:  # noqa: D107
        self.place = directory / "webhooks.env"
        self.replace()

        def open_backend(reference: Reference) -> Backend:
            here = str(self.place)
            return DotenvBackend(reference._replace(location=here, options={}, scheme="dotenv"))

        monkeypatch.setattr("safetwilio.backends.chain.open_backend", open_backend)
        monkeypatch.setenv("SAFETWILIO_WEBHOOK_BACKEND", f"{REFERENCE},gcp-sm://my-project/twilio")
        self.receiver = Receiver()

    def replace(self, beside: str = "") -> None:
        """Put a new Auth Token into the place, *beside* what else is there."""
        self.token = auth_token()
        write(self.place, f"{beside}\nTWILIO_WEBHOOK_AUTH_TOKEN={self.token}\n")

    @property
    def is_new(self) -> bool:
        """Whether the receiver has what is in the file."""
        token = self.receiver.load().auth_token
        return token is not None and token.get_secret_value() == self.token


@pytest.fixture
def webhooks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Webhooks:
    return Webhooks(tmp_path, monkeypatch)


@pytest.mark.parametrize(
    ("tell", "event"),
    [
        (on_aws_event, aws()),
        (on_google_message, GOOGLE),
    ],
    ids=["aws", "google"],
)
def test_what_webhooks_are_signed_with_is_looked_for_too(
    webhooks: Webhooks, tell: Callable[[object], bool], event: object
) -> None:
    webhooks.receiver.load()
    webhooks.replace()
    assert not webhooks.is_new, "nothing was said yet"
    assert tell(event) is True
    assert webhooks.is_new
    assert not safetwilio.health().booted, "no API key is needed for that"


def test_a_receiver_that_has_loaded_nothing_has_nothing_to_look_for(webhooks: Webhooks) -> None:
    assert on_aws_event(aws()) is False
    assert safetwilio.health().webhooks == ()
    assert webhooks.is_new


def test_only_a_receiver_that_it_is_about_looks(
    webhooks: Webhooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    webhooks.receiver.load()
    given = Receiver(lambda: WebhookSettings(auth_token=auth_token()))
    given.load()
    looked = []
    monkeypatch.setattr(WebhookSettings, "reload", lambda self: looked.append(self) or self)
    assert on_aws_event(aws("prod/other")) is False
    assert looked == []
    assert on_aws_event(aws()) is True
    assert looked == [webhooks.receiver.load()]


def test_settings_of_webhooks_that_name_their_backend_are_heard_of(
    webhooks: Webhooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SAFETWILIO_WEBHOOK_BACKEND")
    webhooks.receiver = Receiver(lambda: WebhookSettings(_backend=REFERENCE))
    webhooks.receiver.load()
    webhooks.replace()
    assert on_aws_event(aws()) is True
    assert webhooks.is_new


def test_a_look_for_webhooks_that_fails_is_a_warning_and_the_others_look_all_the_same(
    webhooks: Webhooks, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("SAFETWILIO_WEBHOOK_BACKEND_MARKETING", REFERENCE)
    write(
        webhooks.place,
        f"TWILIO_WEBHOOK_AUTH_TOKEN={webhooks.token}\n"
        f"TWILIO_MARKETING_WEBHOOK_AUTH_TOKEN={auth_token()}\n",
    )
    marketing = Receiver(lambda: WebhookSettings(_account="marketing"))
    for receiver in (marketing, webhooks.receiver):
        receiver.load()
    webhooks.replace()  # it leaves nothing for marketing
    assert on_aws_event(aws()) is True
    assert webhooks.is_new
    (said,) = [each for each in caplog.records if "notification" in each.getMessage()]
    assert said.levelname == "WARNING"
    assert "webhooks of the account marketing are signed with" in said.getMessage()
    assert "(ST410)" in said.getMessage()
    assert marketing.load().auth_token is not None


def test_references_that_cannot_be_read_any_more_concern_nobody_and_keep_nobody_from_looking(
    webhooks: Webhooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_environment = webhooks.receiver
    by_environment.load()
    monkeypatch.setenv("SAFETWILIO_WEBHOOK_BACKEND", "no reference")
    assert on_aws_event(aws()) is False
    webhooks.receiver = Receiver(lambda: WebhookSettings(_backend=REFERENCE))
    webhooks.receiver.load()
    webhooks.replace()
    assert on_aws_event(aws()) is True
    assert webhooks.is_new


def test_a_key_and_webhooks_from_one_secret_are_both_looked_for(
    webhooks: Webhooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SAFETWILIO_WEBHOOK_BACKEND")
    monkeypatch.setenv("SAFETWILIO_BACKEND", REFERENCE)
    first = new_key()
    webhooks.replace(first.dotenv())
    safetwilio.boot()
    webhooks.receiver.load()
    second = first._replace(sid=new_key().sid, secret=new_key().secret)
    webhooks.replace(second.dotenv())
    assert on_aws_event(aws()) is True
    assert safetwilio.health().accounts[0].key == mask("key", second.sid)
    assert webhooks.is_new
