"""What ``aws-sm:`` says when AWS says no, or nothing, or something that is not AWS's."""

from __future__ import annotations

import json
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from aws_server import (
    NAME,
    READ,
    REFERENCE,
    AwsServer,
    backend,
    black_hole,
    camel,
    clean,
    full_backlog,
    key_in,
    load,
    refused_port,
    some_login,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from safetwilio.backends import aws_errors, aws_sm
from safetwilio.backends.interface import Absent
from support import Key, assert_silent, codes, key_secret, leaks, refused

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SLACK = 0.5  # seconds
READING = 3  # seconds that a busy machine may take for botocore's files, which no deadline counts


@pytest.fixture(scope="module")
def aws() -> Iterator[AwsServer]:
    with AwsServer() as server:
        yield server


@pytest.fixture(autouse=True)
def _surroundings(
    aws: AwsServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[None]:
    clean(monkeypatch, tmp_path, **aws.environment)
    yield
    aws.reset()


def said(text: str = REFERENCE) -> str:
    """Return the report of a load that must fail, without the line breaks."""
    return " ".join(str(refused(lambda: load(text))).split())


@pytest.mark.parametrize(
    ("code", "message", "ours", "words"),
    [
        ("AccessDeniedException", "Access to KMS is not allowed", "ST330", "grant kms:Decrypt"),
        (
            "AccessDeniedException",
            "User: arn:aws:sts::123456789012:assumed-role/app/i-0 is not authorized to perform: "
            "secretsmanager:GetSecretValue on resource: prod/twilio with an explicit deny in a "
            "service control policy",
            "ST330",
            "asked as arn:aws:sts::123456789012:assumed-role/app/i-0 Fix: Grant "
            "secretsmanager:GetSecretValue on prod/twilio. An explicit deny stands in the way",
        ),
        ("ExpiredTokenException", "", "ST331", "the credentials have expired"),
        ("ExpiredToken", "", "ST331", "the credentials have expired"),
        ("UnrecognizedClientException", "", "ST331", "asked as AWS credentials from env"),
        ("InvalidSignatureException", "", "ST331", "or the clock of this machine"),
        ("DecryptionFailure", "", "ST334", "Enable the secret's KMS key"),
        ("InvalidRequestException", "", "ST335", "restore-secret --secret-id prod/twilio"),
        ("ValidationException", "", "ST302", "Copy the secret's name or ARN"),
        ("InvalidParameterException", "", "ST302", "Copy the secret's name or ARN"),
        ("SomethingNew", "", "ST332", "answered with HTTP 400 (SomethingNew)"),
    ],
)
def test_each_error_of_aws_is_told_apart_and_not_quoted(
    aws: AwsServer, code: str, message: str, ours: str, words: str
) -> None:
    secret = key_secret()
    aws.say(code, f"{message} {secret}", times=9)
    error = refused(lambda: load(REFERENCE))
    assert codes(error) == [ours]
    assert words in " ".join(str(error).split())
    assert f"the reference {REFERENCE}" in str(error)
    assert_silent(error, [secret])
    assert aws.actions == ["GetSecretValue"]


def test_denied_by_a_policy(aws: AwsServer, key: Key, monkeypatch: pytest.MonkeyPatch) -> None:
    aws.put(camel(key))
    login = aws.user("secretsmanager:ListSecrets")
    aws.require_permission()
    for name, value in login.environment.items():
        monkeypatch.setenv(name, value)
    words = said()
    assert "[ST330] AWS Secrets Manager does not let us read the secret." in words
    assert "asked as arn:aws:iam::123456789012:user/app Fix: Grant secretsmanager:Get" in words


def test_denied_the_role(aws: AwsServer, key: Key, monkeypatch: pytest.MonkeyPatch) -> None:
    aws.put(camel(key))
    role, login = aws.role(READ), aws.user(READ)
    weak = aws.role(name="weak")
    able = aws.user("sts:AssumeRole", name="able")
    aws.require_permission()
    for name, value in login.environment.items():
        monkeypatch.setenv(name, value)
    words = said(f"{REFERENCE}?role={role}")
    assert "does not let us take the role for the secret" in words
    assert "asked as arn:aws:iam::123456789012:user/app" in words
    assert f"Let it call sts:AssumeRole on {role}, and let that role's trust policy" in words
    for name, value in able.environment.items():
        monkeypatch.setenv(name, value)
    words = said(f"{REFERENCE}?role={weak}")
    assert "does not let us read the secret" in words
    assert "asked as arn:aws:sts::123456789012:assumed-role/weak/safetwilio" in words


@pytest.mark.parametrize("known", [True, False], ids=["wrong-secret", "unknown"])
def test_a_wrong_login(
    aws: AwsServer, key: Key, monkeypatch: pytest.MonkeyPatch, *, known: bool
) -> None:
    aws.put(camel(key))
    other = some_login()
    login = aws.user(READ)._replace(secret=other.secret) if known else other
    aws.require_permission()
    for name, value in login.environment.items():
        monkeypatch.setenv(name, value)
    error = refused(load)
    assert codes(error) == ["ST331"]
    assert_silent(error, [login.secret])


def test_no_login_at_all(aws: AwsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    words = said()
    assert "[ST331]" in words
    assert "none were found Fix: Give the process a role" in words
    assert aws.actions == []


def test_half_a_login_and_an_unknown_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    assert "none of use were found (PartialCredentialsError)" in said()
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    assert "none of use were found (ProfileNotFound)" in said()


def test_an_instance_without_a_role_does_not_hold_the_boot_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The instance is asked for credentials when nothing else is there: botocore does that."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_EC2_METADATA_DISABLED"):
        monkeypatch.delenv(name)
    with black_hole() as nowhere:
        monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", nowhere)
        began = time.monotonic()
        words = said(f"{REFERENCE}?timeout=5")
        assert "[ST331]" in words
        assert time.monotonic() - began < 5 + SLACK + READING
        words = said(f"{REFERENCE}?timeout=0.5")
        assert "looking for AWS credentials: no answer within 0.5 s" in words


@pytest.mark.parametrize("where", ["refused", "black hole", "full backlog", "drip"])
def test_unreachable_fails_within_the_deadline(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float] = []
    ask = aws_sm.run_noting

    def ask_timed(*arguments: Any, **options: Any) -> Any:
        began = time.monotonic()
        outcome = ask(*arguments, **options)
        asked.append(time.monotonic() - began)
        return outcome

    monkeypatch.setattr(aws_sm, "run_noting", ask_timed)
    makers = {"black hole": black_hole, "full backlog": full_backlog, "drip": drip}
    if where == "refused":
        words = unreachable(refused_port())
        assert "nothing there accepts a connection" in words
    else:
        with makers[where]() as url:
            words = unreachable(url)
        assert "within 1 s" in words
    assert "[ST332]" in words
    assert sum(asked) < 1 + SLACK


def unreachable(url: str) -> str:
    words = said(f"{REFERENCE}?endpoint={url}&timeout=1")
    assert f" {url}: " in words
    return words


class drip:  # noqa: N801 - beside the functions of aws_server
    """A server that answers one byte at a time, for ever."""

    def __enter__(self) -> str:
        self._ended = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        connection, _ = self._listener.accept()
        with connection:
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n")
            while not self._ended.wait(0.05):
                try:
                    connection.sendall(b" ")
                except OSError:
                    return


def test_throttled_and_broken_are_tried_again(aws: AwsServer, key: Key) -> None:
    aws.put(camel(key))
    aws.say("ThrottlingException", "Rate exceeded")
    aws.answer(b"<html>busy</html>", status=503)
    assert key_in(load()) == key
    assert aws.actions == ["GetSecretValue"] * 3


def test_what_stays_broken_ends_with_the_deadline(aws: AwsServer) -> None:
    aws.say("InternalServiceError", status=500, times=99)
    began = time.monotonic()
    assert "answered with HTTP 500 (InternalServiceError)" in said(f"{REFERENCE}?timeout=4")
    assert time.monotonic() - began < 4 + SLACK + READING
    assert 2 <= len(aws.asked) < 9, "with pauses"


def test_a_version_that_is_not_there_is_no_absent_secret(aws: AwsServer, key: Key) -> None:
    aws.put(camel(key))
    for options in ("?stage=AWSPENDING", f"?version={'a' * 36}"):
        words = said(REFERENCE + options)
        assert "[ST336]" in words
        assert f"aws secretsmanager list-secret-version-ids --secret-id {NAME}" in words
    assert isinstance(backend("aws-sm://nothing?stage=AWSPENDING").load(None), Absent)


def test_one_that_may_not_describe_is_told_of_the_version(aws: AwsServer) -> None:
    """Whether the secret exists nobody can say then; it is pinned, so the chain stops."""
    aws.say("AccessDeniedException", "no", action="DescribeSecret")
    aws._said.rotate()
    aws.say("ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
    aws._said.rotate()
    assert "[ST336]" in said(f"{REFERENCE}?stage=AWSPENDING")
    assert aws.actions == ["GetSecretValue", "DescribeSecret"]


def test_marked_for_deletion(aws: AwsServer, key: Key) -> None:
    aws.put(camel(key))
    aws.call("delete_secret", SecretId=NAME)
    assert "aws secretsmanager restore-secret --secret-id prod/twilio" in said()


def test_half_a_pair_does_not_fall_through(aws: AwsServer, key: Key) -> None:
    aws.put({"accountSid": key.account, "apiKeySid": key.sid})
    assert set(load().fields) == {"account_sid", "key_sid"}


@pytest.mark.parametrize(
    "contents",
    [
        "{secret}",
        '{{"secret": "{secret}"',
        '["{secret}"]',
        '{{"apiKeySecret": ["{secret}"]}}',
    ],
)
def test_what_cannot_be_read_is_not_quoted(aws: AwsServer, contents: str) -> None:
    secret = key_secret()
    aws.put(contents.format(secret=secret))
    error = refused(load)
    assert codes(error) == ["ST333"]
    assert_silent(error, [secret])


def test_bytes_that_are_no_text(aws: AwsServer) -> None:
    aws.put(b"\xff\xfe\x00secret")
    assert "9 bytes that are not UTF-8" in said()


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"<html>hello</html>", "ST333"),
        (b"", "ST333"),
        (b"{}", "ST333"),
        (b"[]", None),
        (b'{"SecretString": null, "VersionId": "v"}', "ST333"),
        (b'{"SecretString": 5, "VersionId": "v"}', "ST333"),
        (b'{"SecretString": "{}"}', "ST333"),
        (b'{"SecretBinary": "!", "VersionId": "v"}', None),
        (b'{"SecretString": "' + b"x" * ((2 << 20) - 99) + b'", "VersionId": "v"}', "ST333"),
        (b'{"SecretString": "' + b"x" * (2 << 20) + b'", "VersionId": "v"}', "ST332"),
        (b"[" * 100_000, None),
    ],
    ids=["html", "empty", "object", "list", "null", "number", "versionless", "base64", "huge",
         "more than is read", "deep"],
)  # fmt: skip
def test_what_is_not_an_answer_of_aws(aws: AwsServer, body: bytes, code: str | None) -> None:
    aws.answer(body, times=9)
    error = refused(lambda: load(f"{REFERENCE}?timeout=2"))
    (found,) = codes(error)
    assert found in ({code} if code else {"ST332", "ST333"})
    assert_silent(error, [])


def test_a_redirect_is_not_followed(aws: AwsServer) -> None:
    with AwsServer() as elsewhere:
        for status in (301, 302, 307, 308):
            aws.answer(b"", status=status, headers=[("Location", f"{elsewhere.url}/")], times=1)
            assert "[ST332]" in said(f"{REFERENCE}?timeout=2")
        assert elsewhere.asked == []


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("aws-sm:", "Name the secret"),
        ("aws-sm://", "Name the secret"),
        ("aws-sm://prod twilio", "Name the secret"),
        ("aws-sm://x;rm", "Name the secret"),
        ("aws-sm://x%0Ay", "Name the secret"),
        ("aws-sm://arn:aws:s3:::bucket", "Name the secret"),
        (f"{REFERENCE}?region=", "Its option region is empty"),
        (f"{REFERENCE}?stage=", "Its option stage is empty"),
        (f"{REFERENCE}?endpoint=", "Its option endpoint is empty"),
        (f"{REFERENCE}?role=app", "Its option role is a role's ARN"),
        (f"{REFERENCE}?profile=x", "nothing reads"),
        (f"{REFERENCE}?timeout=soon", "number of seconds"),
        (f"{REFERENCE}?region=not/one", "The region is none"),
        (
            "aws-sm:arn:aws:secretsmanager:us-west-2:123456789012:secret:x-AbCdEf?region=eu-west-1",
            "not the region in the ARN",
        ),
    ],
)
def test_a_reference_that_cannot_be_meant(aws: AwsServer, text: str, advice: str) -> None:
    error = refused(lambda: load(text))
    assert codes(error) == ["ST302"]
    assert advice in " ".join(str(error).split())
    assert aws.actions == []


def test_an_endpoint_in_the_environment_that_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "nowhere")
    assert "botocore does not take the endpoint" in said()


def test_what_stands_before_an_at_is_not_shown() -> None:
    """In a URL that would be a password."""
    secret = key_secret()
    answer = backend(f"aws-sm://{secret}@prod/twilio").load(None)
    assert leaks(repr(answer), [secret]) == []
    error = refused(lambda: load(f"aws-sm://user:{secret}@prod/twilio"))
    assert codes(error) == ["ST302"]
    assert_silent(error.with_traceback(None), [secret])  # the test's own frames hold it
    error = refused(lambda: load(f"aws-sm://{secret}@prod/twilio?stage=X&region=no/ne"))
    assert_silent(error.with_traceback(None), [secret])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(
    code=st.sampled_from(
        [*aws_errors._DENIED, *aws_errors._NO_LOGIN, "DecryptionFailure", "X Y", "", "é", "A" * 99]
    ),
    before=st.text(max_size=40),
    status=st.sampled_from([400, 401, 403, 404, 418]),
    seed=st.integers(),
)
def test_no_message_of_aws_passes_on_a_secret(
    aws: AwsServer, code: str, before: str, status: int, seed: int
) -> None:
    secret = key_secret()
    aws.answer(
        json.dumps({"__type": code, "Message": f"{before}{secret}", "x": seed}).encode(),
        status=status,
    )
    error = refused(load)
    assert len(codes(error)) == 1
    assert_silent(error, [secret])
