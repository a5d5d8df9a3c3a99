"""A real AWS Secrets Manager, STS and IAM on a free port: moto behind a journal.

One request at a time, and answers in moto's place where it cannot give them (an expired token,
KMS, throttling): those are AWS's own bodies, from its API reference.
"""

from __future__ import annotations

import io
import json
import re
import secrets
import socket
import threading
from collections import deque
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple, Self
from urllib.parse import parse_qs

import boto3
from botocore import loaders
from moto.backends import get_backend
from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from werkzeug.serving import make_server

from safetwilio.backends.aws_sm import AwsBackend
from safetwilio.backends.locate import open_backend, parse
from support import Key

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Iterator

    import pytest

    from safetwilio.backends.interface import Absent, Found, Record

REGION = "eu-west-1"
ACCOUNT = "123456789012"
NAME = "prod/twilio"
REFERENCE = f"aws-sm://{NAME}"
READ = "secretsmanager:GetSecretValue"
JSON = "application/x-amz-json-1.1"
# moto refuses in XML and with the codes of STS, whatever the service; AWS as these services do.
_REFUSALS = {
    "AccessDenied": "AccessDeniedException",
    "InvalidClientTokenId": "UnrecognizedClientException",
    "SignatureDoesNotMatch": "InvalidSignatureException",
}
_XML = re.compile(rb"<Code>(\w+)</Code>\s*<Message>(.*?)</Message>", re.DOTALL)


class Asked(NamedTuple):
    """One request as it arrived: its *action* (``GetSecretValue``) and parsed *body*."""

    action: str
    body: dict[str, Any]
    authorization: str


class _Said(NamedTuple):
    action: str | None
    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...]


class Login(NamedTuple):
    """An access key of a user called *user*."""

    user: str
    id: str
    secret: str

    @property
    def environment(self) -> dict[str, str]:
        """The variables that boto3 takes it from."""
        return {"AWS_ACCESS_KEY_ID": self.id, "AWS_SECRET_ACCESS_KEY": self.secret}


def some_login(user: str = "nobody") -> Login:
    """Return an access key that AWS never gave to anybody."""
    return Login(user, "AKIA" + secrets.token_hex(8).upper(), secrets.token_hex(20))


class _Quiet(MotoRequestHandler):
    def log_request(self, *_: object) -> None:
        """Say nothing: the logs are looked at."""


class AwsServer:
    """moto on a free port; ``with AwsServer() as aws: aws.url``."""

    def __init__(self) -> None:  # noqa: D107
        self.asked: list[Asked] = []
        self.before: dict[str, Callable[[], object]] = {}  # done when the action is asked for,
        self.after: dict[str, Callable[[], object]] = {}  # or when it is done, but not answered
        self._said: deque[_Said] = deque()
        self._moto = DomainDispatcherApplication(create_backend_app)
        # moto moves a stage in two steps; AWS does it in one, so nobody may look in between
        self._one_at_a_time = threading.Lock()
        self._server = make_server(
            "127.0.0.1", 0, self._answer, threaded=True, request_handler=_Quiet
        )
        self._thread = threading.Thread(target=self._server.serve_forever, name="aws")
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._root = some_login("root")
        self._session = boto3.session.Session(self._root.id, self._root.secret)
        self._clients: dict[str, Any] = {}

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        for client in self._clients.values():
            client.close()
        self.reset()

    def reset(self) -> None:
        """Forget secrets, users, requests and answers, and let everybody in again."""
        for service in ("secretsmanager", "iam", "sts"):
            get_backend(service).reset()  # type: ignore[call-overload]
        self.require_permission(wanted=False)
        self.asked.clear()
        self.before.clear()
        self.after.clear()
        self._said.clear()

    def call(self, action: str, *, service: str = "secretsmanager", **parameters: Any) -> Any:
        """Do *action* as an administrator; the journal does not tell of it."""
        if service not in self._clients:
            self._clients[service] = self._session.client(
                service, region_name=REGION, endpoint_url=self.url
            )
        return getattr(self._clients[service], action)(**parameters)

    def put(self, contents: str | bytes | dict[str, Any], name: str = NAME) -> str:
        """Make the secret *name* anew and return the id of its version."""
        how: dict[str, Any] = {"SecretString": contents}
        if isinstance(contents, bytes):
            how = {"SecretBinary": contents}
        elif isinstance(contents, dict):
            how = {"SecretString": json.dumps(contents)}
        return str(self.call("create_secret", Name=name, **how)["VersionId"])

    def rotate(self, contents: str, name: str = NAME) -> str:
        """Make *contents* the current version, as a rotation does it, and return its id.

        A plain put would leave AWSCURRENT on two versions of moto's.
        """
        old = self.current(name)["VersionId"]
        new = self.call(
            "put_secret_value", SecretId=name, SecretString=contents, VersionStages=["AWSPENDING"]
        )["VersionId"]
        self.call(
            "update_secret_version_stage",
            SecretId=name,
            VersionStage="AWSCURRENT",
            MoveToVersionId=new,
            RemoveFromVersionId=old,
        )
        return str(new)

    def current(self, name: str = NAME) -> Any:
        """Return what boto3 says is current; without the stage moto would give an old one."""
        return self.call("get_secret_value", SecretId=name, VersionStage="AWSCURRENT")

    def versions(self, name: str = NAME) -> dict[str, list[str]]:
        """Return the stages of each version."""
        found = self.call("describe_secret", SecretId=name)["VersionIdsToStages"]
        return {version: list(stages) for version, stages in found.items()}

    def user(self, *actions: str, name: str = "app") -> Login:
        """Make a user who may do *actions*, and return an access key of theirs."""
        self.call("create_user", service="iam", UserName=name)
        if actions:
            self.call(
                "put_user_policy",
                service="iam",
                UserName=name,
                PolicyName="these",
                PolicyDocument=policy(actions),
            )
        made = self.call("create_access_key", service="iam", UserName=name)["AccessKey"]
        return Login(name, made["AccessKeyId"], made["SecretAccessKey"])

    def role(self, *actions: str, name: str = "reader") -> str:
        """Make a role that may do *actions*, and return its ARN."""
        trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "*"}}
        self.call(
            "create_role",
            service="iam",
            RoleName=name,
            AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
        )
        if actions:
            self.call(
                "put_role_policy",
                service="iam",
                RoleName=name,
                PolicyName="these",
                PolicyDocument=policy(actions),
            )
        return f"arn:aws:iam::{ACCOUNT}:role/{name}"

    def require_permission(self, *, wanted: bool = True) -> None:
        """Let moto check signatures and policies from now on, or let everybody in."""
        from moto import settings
        from moto.core.responses import ActionAuthenticatorMixin

        settings.INITIAL_NO_AUTH_ACTION_COUNT = 0.0 if wanted else float("inf")
        ActionAuthenticatorMixin.request_count = 0

    def say(  # noqa: PLR0913
        self,
        code: str,
        message: str = "",
        *,
        status: int = 400,
        action: str | None = None,
        times: int = 1,
        key: str = "message",
    ) -> None:
        """Answer the next *times* requests (for *action*) with an error as AWS writes it."""
        body = json.dumps({"__type": code, key: message}).encode()
        self.answer(body, status=status, action=action, times=times)

    def answer(
        self,
        body: bytes,
        *,
        status: int = 200,
        action: str | None = None,
        times: int = 1,
        headers: Iterable[tuple[str, str]] = (("Content-Type", JSON),),
    ) -> None:
        """Answer the next *times* requests (for *action*) with *body*, whatever it is."""
        self._said.extend([_Said(action, status, body, tuple(headers))] * times)

    def say_no_more(self) -> None:
        """Answer as moto does from now on."""
        self._said.clear()

    @property
    def actions(self) -> list[str]:
        """What was asked, in order."""
        return [each.action for each in self.asked]

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs to come here and nowhere else."""
        return {
            **some_login("anybody").environment,
            "AWS_ENDPOINT_URL": self.url,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": "/nonexistent/config",
            "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent/credentials",
        }

    def _answer(self, environ: dict[str, Any], start: Any) -> Any:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(body)
        action = environ.get("HTTP_X_AMZ_TARGET", "").rpartition(".")[2]
        form = parse_qs(body.decode("utf-8", "replace"))
        if action:
            parsed = json.loads(body)
        else:
            parsed = {name: values[0] for name, values in form.items()}
            action = parsed.get("Action", environ["PATH_INFO"])
        self.before.pop(action, bool)()
        with self._one_at_a_time:
            authorization = environ.get("HTTP_AUTHORIZATION", "")
            if self._root.id not in authorization:
                self.asked.append(Asked(action, parsed, authorization))
            if self._said and self._said[0].action in {None, action}:
                said = self._said.popleft()
                start(f"{said.status} Said", [*said.headers])
                return [said.body]
            answer = self._ask_moto(environ, start, as_json="HTTP_X_AMZ_TARGET" in environ)
            self.after.pop(action, bool)()
            return answer

    def _ask_moto(self, environ: dict[str, Any], start: Any, *, as_json: bool) -> Any:
        started: list[Any] = []
        body = b"".join(self._moto(environ, lambda *how: started.extend(how[:2])))
        status, headers = started
        refusal = _XML.search(body) if as_json else None
        if refusal is not None:
            code, message = (part.decode() for part in refusal.groups())
            body = json.dumps({"__type": _REFUSALS[code], "Message": message}).encode()
            headers = [("Content-Type", JSON)]
            status = "400 Refused"
        start(status, headers)
        return [body]


def policy(actions: Iterable[str]) -> str:
    """Return a policy that allows *actions* on everything."""
    statement = {"Effect": "Allow", "Action": [*actions], "Resource": "*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def camel(key: Key) -> dict[str, Any]:
    """Return *key* in AWS's managed schema TwilioApiKey."""
    return {"accountSid": key.account, "apiKeySid": key.sid, "apiKeySecret": key.secret}


def clean(monkeypatch: pytest.MonkeyPatch, home: os.PathLike[str], **more: str) -> None:
    """Take away all of this machine's that boto3 could use, and set *more* instead."""
    import os

    for name in [*os.environ]:
        if name.upper().startswith("AWS_") or name.upper().endswith("_PROXY"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", os.fspath(home))
    monkeypatch.setenv("USERPROFILE", os.fspath(home))
    for name, value in more.items():
        monkeypatch.setenv(name, value)
    # What botocore reads of its files is the same each time, and most of the time of a load.
    monkeypatch.setattr(loaders, "create_loader", _loader)


_loader = cache(loaders.create_loader)


def backend(text: str = REFERENCE) -> AwsBackend:
    """Return the backend of the reference *text*."""
    (reference,) = parse(text, place="the test")
    opened = open_backend(reference)
    assert isinstance(opened, AwsBackend)
    return opened


def load(text: str = REFERENCE, account: str | None = None) -> Record:
    """Return the record that *text* leads to."""
    answer: Found | Absent = backend(text).load(account)
    record = getattr(answer, "record", None)
    assert record is not None, answer
    return record  # type: ignore[no-any-return]


def key_in(record: Record) -> Key:
    """Return the credentials of *record*."""
    return Key(*(record.fields[name].reveal() for name in ("account_sid", "key_sid", "secret")))


@contextmanager
def black_hole() -> Iterator[str]:
    """Yield the address of a socket that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@contextmanager
def full_backlog() -> Iterator[str]:
    """Yield the address of a socket that accepts no connection, and refuses none."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        waiting = [socket.socket() for _ in range(3)]
        for each in waiting:
            each.setblocking(False)  # noqa: FBT003
            each.connect_ex(listener.getsockname())
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            for each in waiting:
                each.close()


def refused_port() -> str:
    """Return the address of a port where nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}"
