"""A secret of AWS that Secrets Manager rotates, and the Twilio whose key is in it."""

from __future__ import annotations

import contextlib
import json
import time
import uuid
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from aws_server import ACCOUNT, NAME, REGION, AwsServer, camel, clean
from clouds import HOURS, Twilio, twilio
from moto.backends import get_backend
from moto.secretsmanager.exceptions import ResourceExistsException
from moto.secretsmanager.models import SecretsManagerBackend

from safetwilio.errors import AccountOperationError
from safetwilio.rotation.aws_lambda import handler
from support import Key

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from safetwilio.testing.records import Key as TwilioKey

DAY = 86400
CREATE, SET, TEST, FINISH = STEPS = ("createSecret", "setSecret", "testSecret", "finishSecret")


class Rotated(NamedTuple):
    """A secret that Secrets Manager rotates, and the Twilio whose key is in it."""

    aws: AwsServer
    twilio: Twilio
    arn: str

    def begin(self) -> str:
        """Begin a rotation as Secrets Manager does, and return its token."""
        token = str(uuid.uuid4())
        secret = self._moto()
        for version in secret.versions.values():  # moto leaves it there
            version["version_stages"] = [s for s in version["version_stages"] if s != "AWSPENDING"]
        secret.versions[token] = {
            "createdate": time.time(),
            "version_id": token,
            "version_stages": ["AWSPENDING"],
        }
        return token

    def _moto(self) -> Any:
        return get_backend("secretsmanager")[ACCOUNT][REGION].secrets[NAME]

    def give(self, token: str, **fields: str) -> None:
        """Give the pending version of *token* what is current, with other *fields*."""
        self._moto().versions[token]["secret_string"] = json.dumps({**self.holds(), **fields})

    def set_up(self, *, enabled: bool = True) -> None:
        """Let Secrets Manager rotate the secret, or no more."""
        secret = self._moto()
        secret.rotation_requested = True
        secret.rotation_enabled = enabled

    def step(self, step: str, token: str, **more: str) -> None:
        """Do one step; after the last one the rotation is over, which moto does not see."""
        handler({"Step": step, "SecretId": self.arn, "ClientRequestToken": token, **more}, None)
        if step == FINISH:
            self._moto().last_rotation_date = time.time()

    def grow_older(self, seconds: float = HOURS) -> None:
        """Let so many *seconds* go by, for AWS and for Twilio."""
        self.twilio.grow_older(seconds)
        secret = self._moto()
        secret.last_rotation_date = (secret.last_rotation_date or 0) - seconds or None
        for version in secret.versions.values():
            version["createdate"] -= seconds

    def rotate(self, *, times: int = 1) -> None:
        """Do a whole rotation, each step so many *times*."""
        token = self.begin()
        for step in STEPS:
            for _ in range(times):
                self.step(step, token)

    def holds(self, **which: str) -> dict[str, Any]:
        """Return what the secret holds, or a version or stage of it."""
        which = which or {"VersionStage": "AWSCURRENT"}
        found = self.aws.call("get_secret_value", SecretId=NAME, **which)["SecretString"]
        return dict(json.loads(found))

    def require_alive(self) -> str:
        """Check that what is current works, and return its SID."""
        found = self.holds()
        assert self.twilio.works(found["apiKeySid"], found["apiKeySecret"])
        return str(found["apiKeySid"])


@contextlib.contextmanager
def rotated(
    server: AwsServer, monkeypatch: pytest.MonkeyPatch, folder: Path, log: pytest.LogCaptureFixture
) -> Iterator[Rotated]:
    """Yield a secret with a key that is a day old; in the end no secret may have been logged."""
    clean(monkeypatch, folder, **server.environment)
    monkeypatch.setattr(
        SecretsManagerBackend, "_check_with_existing_secrets_and_versions", _once_only
    )
    with twilio(monkeypatch, log, folder) as found:
        put(server, found.make_key())
        arn = server.call("describe_secret", SecretId=NAME)["ARN"]
        world = Rotated(server, found, arn)
        world.set_up()
        for version in world._moto().versions.values():
            version["createdate"] -= DAY
        yield world
        found.require_silence()
    server.reset()


def put(server: AwsServer, key: TwilioKey) -> None:
    """Keep *key* in the secret, and something else beside it."""
    document = camel(Key(key.account_sid, key.sid, key.secret))
    server.put({**document, "owner": "billing"})


_unpatched = SecretsManagerBackend._check_with_existing_secrets_and_versions


def _once_only(
    self: Any, name: str, token: str | None, text: str | None, *rest: Any, **more: Any
) -> Any:
    """Refuse another value for a version that has one, as AWS does; moto takes it if pending."""
    secret = self.secrets.get(name)
    version = secret.versions.get(token, {}) if secret is not None else {}
    if "secret_string" in version:
        if version["secret_string"] == text:
            return secret
        raise ResourceExistsException("You can't modify an existing version.")
    return _unpatched(self, name, token, text, *rest, **more)


def refusal(call: Any) -> AccountOperationError:
    with pytest.raises(AccountOperationError) as raised:
        call()
    return raised.value
