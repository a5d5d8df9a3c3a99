"""A store says that a secret was replaced, and the next request goes with the new key."""

from __future__ import annotations

import json
import logging
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import safetwilio
from safetwilio import notifications
from safetwilio.backends import locate
from safetwilio.backends.announced import is_of_aws, is_of_google
from safetwilio.backends.dotenv import DotenvBackend
from safetwilio.notifications import on_aws_event, on_google_message
from safetwilio.testing import EmulatorServer
from support import Key, write

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from safetwilio.backends.interface import Backend

REGION, ACCOUNT, NAME = "eu-west-1", "123456789012", "prod/twilio"
REFERENCE = f"aws-sm://{NAME}"
ARN = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:{NAME}-AbC12x"
OTHER = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:prod/other-AbC12x"


def aws_event(secret: object, name: str = "PutSecretValue", **detail: Any) -> dict[str, Any]:
    """Return an event as AWS's user guide has them."""
    return {
        "version": "0",
        "id": "79f04f06-924c-7a00-b3f8-e532167d23e0",
        "detail-type": "AWS API Call via CloudTrail",
        "source": "aws.secretsmanager",
        "account": ACCOUNT,
        "region": REGION,
        "resources": [],
        "detail": {
            "eventSource": "secretsmanager.amazonaws.com",
            "eventName": name,
            "awsRegion": REGION,
            "requestParameters": {"secretId": secret, "clientRequestToken": "4d383ea9"},
            "responseElements": {"arn": ARN if secret == NAME else secret},
            "eventType": "AwsApiCall",
            "recipientAccountId": ACCOUNT,
            **detail,
        },
    }


def rotated(arn: str = ARN, **detail: Any) -> dict[str, Any]:
    detail = {"additionalEventData": {"SecretId": arn}, **detail}
    return aws_event(None, "RotationSucceeded", requestParameters=None, responseElements=None) | {
        "detail-type": "AWS Service Event via CloudTrail",
        "detail": aws_event(
            None, "RotationSucceeded", requestParameters=None, responseElements=None, **detail
        )["detail"],
    }


def google(secret: object, event: str = "SECRET_VERSION_ADD") -> dict[str, Any]:
    """Return what Pub/Sub pushes."""
    attributes = {
        "eventType": event,
        "secretId": secret,
        "dataFormat": "JSON_API_V1",
        "timestamp": "2021-01-20T11:17:45.081104-08:00",
        "versionId": f"{secret}/versions/2",
    }
    return {"message": {"attributes": attributes, "data": "e30="}, "subscription": "s"}


class Stage:
    """A program that has booted, whose place is a file, whatever its reference says."""

    def __init__(self, server: EmulatorServer, directory: Path, monkeypatch: Any) -> None:  # noqa: D107
        self.emulator = server.emulator
        self.account = server.emulator.account
        self.place = directory / "keys.env"
        self.loads = 0
        self._monkeypatch = monkeypatch
        monkeypatch.setenv("SAFETWILIO_EMULATOR", server.url)
        self.keep(server.emulator.standard_key)

    def boot(self, reference: str) -> None:  # noqa: D102
        self._monkeypatch.setenv("SAFETWILIO_BACKEND", reference)
        self._monkeypatch.setattr("safetwilio.backends.chain.open_backend", self._open)
        safetwilio.boot()
        self.loads = 0

    def _open(self, reference: locate.Reference) -> Backend:
        self.loads += 1
        as_file = reference._replace(location=str(self.place), options={}, scheme="dotenv")
        return DotenvBackend(as_file)

    def keep(self, key: Any) -> None:  # noqa: D102
        write(self.place, Key(self.account.sid, key.sid, key.secret).dotenv())

    def replace(self) -> str:
        """Put a new key into the place, delete the old one, and return the new one's SID."""
        key = self.account.create_key()
        self.keep(key)
        return str(key.sid)

    def sender(self) -> str | None:
        """Send a request, and return with which key it came."""
        safetwilio.get_client().messages.list(limit=1)
        return self.emulator.requests[-1].username


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    with EmulatorServer() as server:
        yield Stage(server, tmp_path, monkeypatch)


@pytest.mark.parametrize(
    "event",
    [
        aws_event(NAME),
        aws_event(ARN, "UpdateSecretVersionStage"),
        aws_event(NAME, "UpdateSecret"),
        aws_event(NAME, "RotateSecret", requestParameters=None, responseElements={"aRN": ARN}),
        rotated(),
        rotated(additionalEventData=None, serviceEventDetails={"secretId": ARN}),
        json.dumps(aws_event(NAME)),
        json.dumps(aws_event(NAME)).encode(),
        {"Records": [{"body": "no JSON"}, {"body": json.dumps(aws_event(NAME))}]},
        {"Records": [{"Sns": {"Message": json.dumps(aws_event(NAME))}}]},
        {"Records": [{"body": json.dumps({"Message": json.dumps(aws_event(NAME))})}]},
        {"Messages": [{"Body": json.dumps(rotated())}]},
        {"Body": json.dumps(rotated())},
        [aws_event(OTHER), aws_event(NAME)],
    ],
    ids=range(14),
)
def test_aws_says_it_and_the_client_sends_the_new_key(stage: Stage, event: object) -> None:
    stage.boot(REFERENCE)
    assert stage.sender() == stage.emulator.standard_key.sid
    new = stage.replace()
    assert stage.sender() != new, "nothing was said yet"
    assert on_aws_event(event) is True
    assert stage.loads == 1
    assert stage.sender() == new


@pytest.mark.parametrize(
    "secret", ["projects/my-project/secrets/twilio", "projects/123456789/secrets/twilio"]
)
@pytest.mark.parametrize("how", ["push", "json", "object"])
def test_google_says_it_and_the_client_sends_the_new_key(
    stage: Stage, secret: str, how: str
) -> None:
    stage.boot("gcp-sm://my-project/twilio")
    new = stage.replace()
    message: Any = google(secret, "SECRET_VERSION_ENABLE")
    if how == "json":
        message = json.dumps(message)
    elif how == "object":
        message = SimpleNamespace(attributes=message["message"]["attributes"], data=b"{}")
    assert on_google_message(message) is True
    assert stage.sender() == new


@pytest.mark.parametrize(
    ("reference", "secret", "is_it"),
    [
        (f"aws-sm://{NAME}", NAME, True),
        (f"aws-sm://{NAME}", ARN, True),
        (f"aws-sm:{ARN}", ARN, True),
        (f"aws-sm:{ARN}", NAME, True),
        (f"aws-sm://{NAME}?region={REGION}&stage=AWSCURRENT", ARN, True),
        (f"dotenv:no.env,aws-sm://{NAME}", ARN, True),
        (f"aws-sm://{NAME}?region=us-east-1", ARN, False),
        (f"aws-sm://{NAME}?region=us-east-1", NAME, False),
        (f"aws-sm:{ARN.replace(REGION, 'us-east-1')}", ARN, False),
        (f"aws-sm:{ARN.replace(ACCOUNT, '9' * 12)}", ARN, False),
        (f"aws-sm:{ARN.replace(ACCOUNT, '9' * 12)}", NAME, False),
        (f"aws-sm:{ARN.replace('AbC12x', 'zzzzzz')}", ARN, False),
        (f"aws-sm://{NAME}", OTHER, False),
        (f"aws-sm://{NAME}-", ARN, False),
        ("aws-sm://prod", ARN, False),
        ("aws-sm://prod/twilio-backup", f"{ARN[:-7]}-backup", True),
        ("aws-sm://prod/twilio-backup", ARN, False),
        ("vault://secret/prod/twilio", NAME, False),
    ],
)
def test_which_secrets_of_aws_are_ours(reference: str, secret: str, *, is_it: bool) -> None:
    references = locate.parse(reference, place="the test")
    event = aws_event(secret, responseElements=None)
    (said,) = notifications._aws_secrets(event)
    assert any(is_of_aws(each, said) for each in references) is is_it


@pytest.mark.parametrize(
    ("reference", "secret", "is_it"),
    [
        ("gcp-sm://my-project/twilio", "projects/my-project/secrets/twilio", True),
        ("gcp-sm://my-project/twilio", "projects/987/secrets/twilio", True),
        ("gcp-sm://987/twilio", "projects/my-project/secrets/twilio", True),
        ("gcp-sm://987/twilio", "projects/987/secrets/twilio", True),
        ("gcp-sm://987/twilio", "projects/988/secrets/twilio", False),
        ("gcp-sm://my-project/twilio", "projects/other/secrets/twilio", False),
        ("gcp-sm://my-project/twilio", "projects/my-project/secrets/twilio2", False),
        ("gcp-sm://a.com:my/twilio", "projects/a.com:my/secrets/twilio", True),
        ("gcp-sm://p-1/t?location=l1", "projects/p-1/locations/l1/secrets/t", True),
        ("gcp-sm://p-1/t?location=l1", "projects/p-1/locations/l2/secrets/t", False),
        ("gcp-sm://p-1/t", "projects/p-1/locations/l1/secrets/t", False),
        ("aws-sm://my-project/twilio", "projects/my-project/secrets/twilio", False),
    ],
)
def test_which_secrets_of_google_are_ours(reference: str, secret: str, *, is_it: bool) -> None:
    (ours,) = locate.parse(reference, place="the test")
    (said,) = notifications._google_secrets(google(secret))
    assert is_of_google(ours, said) is is_it


class Raises:
    """Raises whatever is asked of it, with a secret."""

    def __getattr__(self, name: str) -> object:
        raise RuntimeError("SK" + "0" * 32)


DEEP: Any = {"body": aws_event(NAME)}
for _ in range(20):
    DEEP = {"body": DEEP}


@pytest.mark.parametrize(
    "event",
    [
        None,
        3,
        "",
        "{",
        b"\xff",
        "[" * 100_000,
        [],
        {},
        Raises(),
        {"detail": {}},
        {"detail": [aws_event(NAME)]},
        {"Records": [{"body": None}, 3, []]},
        {"Records": {"body": "x"}},
        DEEP,
        "x" * (3 * 1024 * 1024),
        aws_event(NAME, "GetSecretValue"),
        aws_event(NAME, "DeleteSecret"),
        aws_event(NAME, eventName=["PutSecretValue"]),
        aws_event(NAME, eventSource="ec2.amazonaws.com"),
        aws_event(NAME, errorCode="AccessDenied"),
        aws_event(3),
        aws_event({"secretId": NAME}),
        aws_event(NAME, requestParameters="HIDDEN_DUE_TO_SECURITY_REASONS", responseElements=None),
        aws_event(OTHER),
        google("projects/my-project/secrets/twilio", "SECRET_DELETE"),
        google("projects/my-project/secrets/twilio", "TOPIC_CONFIGURED"),
        google(None),
        google(["x"]),
        google("my-project/twilio"),
        {"message": "text"},
        {"message": {"attributes": [1]}},
        SimpleNamespace(attributes=Raises()),
        SimpleNamespace(attributes=None),
    ],
    ids=range(33),
)
def test_all_else_is_false_and_looks_for_nothing(
    stage: Stage, event: object, caplog: pytest.LogCaptureFixture
) -> None:
    stage.boot(f"{REFERENCE},gcp-sm://my-project/twilio")
    caplog.clear()
    caplog.set_level(logging.DEBUG, "safetwilio")
    assert on_aws_event(event) is False
    assert on_google_message(event) is False
    assert stage.loads == 0
    assert {each.levelname for each in caplog.records} <= {"DEBUG"}
    assert "0" * 32 not in caplog.text
    assert NAME not in caplog.text


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["detail", "Records", "body", "message", "attributes", "eventType"])
            | st.text(),
            inner,
            max_size=4,
        )
    ),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=json_values | st.binary() | st.floats() | st.sets(st.integers()))
def test_nothing_makes_them_raise(value: object) -> None:
    assert on_aws_event(value) is False
    assert on_google_message(value) is False


def test_a_process_that_has_loaded_nothing_has_nothing_to_look_for() -> None:
    assert on_aws_event(aws_event(NAME)) is False


@pytest.mark.usefixtures("configured")
def test_a_key_from_elsewhere_is_left_alone() -> None:
    safetwilio.boot()
    assert on_aws_event(aws_event(NAME)) is False


def test_a_key_that_was_given_is_left_alone(key: Key) -> None:
    given = safetwilio.TwilioSettings(
        account_sid=key.account,
        api_key=key.sid,
        api_secret=key.secret,  # type: ignore[arg-type]
    )
    safetwilio.configure(given)
    safetwilio.boot()
    assert on_aws_event(aws_event(NAME)) is False


def test_settings_that_name_their_backend_are_heard_of(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("safetwilio.backends.chain.open_backend", stage._open)
    safetwilio.configure(safetwilio.TwilioSettings(_backend=REFERENCE))
    safetwilio.boot()
    new = stage.replace()
    assert on_aws_event(aws_event(NAME)) is True
    assert stage.sender() == new


def test_a_look_that_fails_is_a_warning_and_the_key_stays(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    stage.boot(REFERENCE)
    stage.place.unlink()
    assert on_aws_event(aws_event(NAME)) is True
    (said,) = [each for each in caplog.records if "notification" in each.getMessage()]
    assert said.levelname == "WARNING"
    assert "the account default" in said.getMessage()
    assert stage.sender() == stage.emulator.standard_key.sid


def test_only_the_account_that_it_is_about_looks(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.boot("aws-sm://prod/other")
    monkeypatch.setenv("SAFETWILIO_BACKEND_MARKETING", REFERENCE)
    key = stage.emulator.standard_key
    named = Key(stage.account.sid, key.sid, key.secret)
    write(stage.place, named.dotenv("marketing") + named.dotenv())
    marketing = safetwilio.get_client("marketing")
    marketing.messages.list(limit=1)
    new = stage.account.create_key()
    both = Key(stage.account.sid, new.sid, new.secret)
    write(stage.place, both.dotenv("marketing") + both.dotenv())
    stage.loads = 0
    assert on_aws_event(aws_event(ARN)) is True
    assert stage.loads == 1
    assert stage.sender() == key.sid
    marketing.messages.list(limit=1)
    assert stage.emulator.requests[-1].username == new.sid
