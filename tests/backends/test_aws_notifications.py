"""EventBridge says that a secret was rotated, and the next request goes with the new key."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from aws_server import NAME, REFERENCE, AwsServer, camel, clean

import safetwilio
from safetwilio.notifications import on_aws_event
from safetwilio.testing import EmulatorServer
from support import Key

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_a_rotation_is_heard_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with AwsServer() as aws, EmulatorServer() as server:
        clean(monkeypatch, tmp_path, **aws.environment)
        account, old = server.emulator.account, server.emulator.standard_key
        monkeypatch.setenv("SAFETWILIO_EMULATOR", server.url)
        monkeypatch.setenv("SAFETWILIO_BACKEND", f"{REFERENCE}?timeout=15")
        aws.put(camel(Key(account.sid, old.sid, old.secret)))
        arn = aws.call("describe_secret", SecretId=NAME)["ARN"]
        safetwilio.get_client().messages.list(limit=1)
        new = account.create_key()
        aws.rotate(json.dumps(camel(Key(account.sid, new.sid, new.secret))))
        account.delete_key(old.sid)
        detail = {
            "eventSource": "secretsmanager.amazonaws.com",
            "eventName": "RotationSucceeded",
            "requestParameters": None,
            "responseElements": None,
            "additionalEventData": {"SecretId": arn},
            "eventType": "AwsServiceEvent",
        }
        event = {"detail-type": "AWS Service Event via CloudTrail", "detail": detail}
        assert on_aws_event(event) is True
        safetwilio.get_client().messages.list(limit=1)
        assert [each.username for each in server.emulator.requests] == [old.sid, new.sid]
