"""Events that are not what they should be: of another kind, shape, region or account."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from aws_server import ACCOUNT, NAME, REGION
from aws_world import STEPS, Rotated, refusal
from gcp_google import NAME as GOOGLE_NAME
from gcp_google import PROJECT
from test_end_to_end_aws import server, world  # noqa: F401 - fixtures

from safetwilio.backends.announced import google_message
from safetwilio.notifications import on_google_message
from safetwilio.rotation.aws_lambda import handler
from safetwilio.rotation.google_function import handle

if TYPE_CHECKING:
    from safetwilio.errors import AccountOperationError

ARN = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:{NAME}-AbCdEf"
TOKEN = "a" * 36
OTHER_ACCOUNT = "210987654321"
ATTRIBUTES = {
    "eventType": "SECRET_ROTATE",
    "secretId": f"projects/{PROJECT}/secrets/{GOOGLE_NAME}",
}


class Keyed:
    """It has keys, and is no mapping."""

    keys = 5


class Broken(Mapping[str, Any]):
    """A mapping that cannot be read."""

    def __getitem__(self, name: str) -> Any:
        raise ValueError(name)

    def __iter__(self) -> Iterator[str]:
        raise ValueError

    def __len__(self) -> int:
        return 3


AWS_EVENTS = {
    "nothing": None,
    "a list": [1],
    "a text": "createSecret",
    "what has keys": Keyed(),
    "an unreadable mapping": Broken(),
    "a list as a step": {"Step": ["createSecret"], "SecretId": ARN, "ClientRequestToken": TOKEN},
    "a line break": {"Step": "createSecret", "SecretId": f"{ARN}\n", "ClientRequestToken": TOKEN},
    "half a character": {"Step": "\ud800", "SecretId": ARN, "ClientRequestToken": TOKEN},
}


@pytest.mark.parametrize("name", AWS_EVENTS)
def test_aws_what_is_no_event_is_refused_in_our_words(name: str) -> None:
    assert refusal(lambda: handler(AWS_EVENTS[name], None)).code == "ST636"  # type: ignore[arg-type]


GOOGLE_MESSAGES = {
    "a text within": {"message": "x"},
    "nothing within": {"message": None},
    "a number within": '{"message": 5}',
    "a text as attributes": {"message": {"attributes": "abc"}},
    "a list as attributes": {"message": {"attributes": [1]}},
    "a number as attributes": SimpleNamespace(attributes=3),
    "a list as data": SimpleNamespace(data=b'{"message": []}'),
    "half a character": '"\ud800"',
    "too deep": "[" * 100_000,
    "other types": {"message": {"attributes": {"eventType": ["x"], "secretId": 3}}},
    "half a character as an id": {"message": {"attributes": ATTRIBUTES, "messageId": "\ud800x"}},
    "other digits": {"attributes": {**ATTRIBUTES, "secretId": "projects/\u0663/secrets/twilio"}},
    "attributes that break": SimpleNamespace(attributes=Broken()),
}


@pytest.mark.parametrize("name", GOOGLE_MESSAGES)
def test_google_what_is_no_message_is_ignored(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With --retry, Pub/Sub would bring one that raises again and again."""
    monkeypatch.setenv("SAFETWILIO_BACKEND", f"gcp-sm://{PROJECT}/{GOOGLE_NAME}")
    assert handle(GOOGLE_MESSAGES[name]) is False
    assert on_google_message(GOOGLE_MESSAGES[name]) is False


@pytest.mark.parametrize("when", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"])
def test_google_a_time_at_the_end_of_all_days_can_be_compared(when: str) -> None:
    message = {"message": {"attributes": ATTRIBUTES, "messageId": "1", "publishTime": when}}
    said = google_message(json.dumps(message))
    assert said is not None
    assert said.published is not None
    assert isinstance(said.published < said.published.now().astimezone(), bool)


def context_of(account: str, name: str = "rotate") -> Any:
    """Return what Lambda hands over beside the event."""
    return SimpleNamespace(
        invoked_function_arn=f"arn:aws:lambda:{REGION}:{account}:function:{name}"
    )


def ask(secret: str, context: object) -> AccountOperationError:
    """Return how the handler refuses the first step for *secret*."""
    event = {"Step": STEPS[0], "SecretId": secret, "ClientRequestToken": TOKEN}
    return refusal(lambda: handler(event, context))


REFERENCES = [f"aws-sm://{NAME}", f"env,aws-sm://{NAME}?timeout=5"]
ROLE = f"arn:aws:iam::{OTHER_ACCOUNT}:role/app"


@pytest.mark.parametrize("reference", REFERENCES)
@pytest.mark.parametrize("variable", ["AWS_REGION", "AWS_DEFAULT_REGION"])
def test_aws_a_name_means_the_secret_of_the_functions_own_region(
    world: Rotated,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    reference: str,
    variable: str,
) -> None:
    monkeypatch.setenv("SAFETWILIO_BACKEND", reference)
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    assert ask(world.arn, None).code == "ST637", "no region is known"
    monkeypatch.setenv(variable, REGION)
    assert ask(world.arn.replace(REGION, "us-east-1"), None).code == "ST637"
    assert world.aws.asked == []
    world.rotate()
    assert len(world.twilio.keys) == 2


@pytest.mark.parametrize("reference", REFERENCES)
def test_aws_a_name_means_the_secret_of_the_functions_own_account(
    world: Rotated,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    reference: str,
) -> None:
    monkeypatch.setenv("SAFETWILIO_BACKEND", reference)
    ours = context_of(ACCOUNT, "rotate:live")
    assert ask(world.arn.replace(ACCOUNT, OTHER_ACCOUNT), ours).code == "ST637"
    assert ask(world.arn, context_of(OTHER_ACCOUNT)).code == "ST637"
    assert world.aws.asked == []
    assert ask(world.arn, ours).code == "ST636", "it is ours; there is no such version"
    for odd in (SimpleNamespace(), SimpleNamespace(invoked_function_arn=5), "x"):
        assert ask(world.arn, odd).code == "ST636"


def test_aws_with_a_role_a_name_means_the_secret_of_the_roles_account(
    world: Rotated,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SAFETWILIO_BACKEND", f"aws-sm://{NAME}?role={ROLE}")
    assert ask(world.arn, context_of(ACCOUNT)).code == "ST637"


def test_aws_an_arn_says_all_itself(
    world: Rotated,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("SAFETWILIO_BACKEND", f"aws-sm://{world.arn}")
    assert ask(world.arn, context_of(OTHER_ACCOUNT)).code == "ST636"
    assert ask(world.arn.replace(REGION, "us-east-1"), context_of(ACCOUNT)).code == "ST637"
