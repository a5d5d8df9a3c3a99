"""The conformance suite, run for ``aws-sm:`` against moto's server."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest
from aws_server import NAME, REFERENCE, AwsServer, black_hole, clean, refused_port, some_login
from botocore.exceptions import ClientError
from typing_extensions import override

from safetwilio.testing.backends import BackendContract, Breakage

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from aws_server import Login


@pytest.fixture(scope="module")
def aws() -> Iterator[AwsServer]:
    with AwsServer() as server:
        yield server


class TestAws(BackendContract):
    """What AWS passes off after a while is in test_aws_failures.py: it is asked until then."""

    loads = 20  # each makes a client; test_aws.py does more
    races = 2

    @pytest.fixture(autouse=True)
    def _place(
        self, aws: AwsServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> Iterator[None]:
        self.environment = aws.environment
        clean(monkeypatch, tmp_path, **self.environment)
        self.aws, self.monkeypatch = aws, monkeypatch
        with black_hole() as self.silent:
            yield
        aws.reset()

    @override
    def reference(self) -> str:
        return f"{REFERENCE}?timeout=15"

    @override
    def put(self, document: Mapping[str, str]) -> None:
        self.aws.say_no_more()
        self.aws.require_permission(wanted=False)
        self._log_in(self.environment)
        text = json.dumps(dict(document))
        try:
            self.aws.rotate(text)
        except ClientError:  # there is none, or it is marked for deletion
            self.remove()
            self.aws.put(text)

    def _log_in(self, environment: Mapping[str, str]) -> None:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            if os.environ[name] != environment[name]:
                self.monkeypatch.setenv(name, environment[name])

    @override
    def remove(self) -> None:
        self.aws.call("delete_secret", SecretId=NAME, ForceDeleteWithoutRecovery=True)

    @override
    def breakages(self) -> Mapping[str, Breakage]:
        nobody = self.aws.user()
        return {
            "denied": Breakage(lambda _: self._come_as(nobody), "ST330"),
            "login refused": Breakage(lambda _: self._come_as(some_login()), "ST331"),
            "not JSON": Breakage(self._cut, "ST333"),
            "undecryptable": Breakage(lambda _: self._say("DecryptionFailure"), "ST334"),
            "deleted": Breakage(lambda _: self.aws.call("delete_secret", SecretId=NAME), "ST335"),
        }

    def _come_as(self, login: Login) -> None:
        self._log_in(login.environment)
        self.aws.require_permission()

    def _say(self, code: str) -> None:
        self.aws.say(code, "No.", action="GetSecretValue")

    def _cut(self, document: Mapping[str, str]) -> None:
        self.aws.rotate(json.dumps(dict(document))[:-2])

    @override
    def unreachable(self) -> Mapping[str, float]:
        ends = (refused_port(), self.silent)
        return {f"{REFERENCE}?timeout=1&endpoint={url}": 1.0 for url in ends}

    @override
    def contents(self) -> Mapping[str, object]:
        found: dict[str, object] = json.loads(self.aws.current()["SecretString"])
        return found

    @override
    def unwritable(self) -> str:
        """Return one that names a version: whether a write is allowed, AWS says only to a write."""
        self.put({})
        version = self.aws.current()["VersionId"]
        return f"{REFERENCE}?timeout=15&version={version}"
