"""``aws-sm:`` as the place a new key is written to: kept whole, or nothing changed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from aws_server import (
    NAME,
    READ,
    REFERENCE,
    AwsServer,
    Login,
    backend,
    black_hole,
    camel,
    clean,
    key_in,
    load,
)
from pydantic import SecretStr

from safetwilio.backends.interface import WritableBackend
from safetwilio.testing import EmulatorServer
from support import (
    Key,
    assert_silent,
    clean_environment,
    codes,
    leaks,
    new_key,
    refused,
    run_python,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WRITE = ("secretsmanager:PutSecretValue", "secretsmanager:UpdateSecretVersionStage")
LOOK = (READ, "secretsmanager:DescribeSecret")


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


def fields(key: Key) -> dict[str, SecretStr]:
    names = ("account_sid", "key_sid", "secret")
    return {name: SecretStr(text) for name, text in zip(names, key, strict=True)}


def save(key: Key, text: str = REFERENCE, replaces: str | None = None) -> str:
    return backend(text).save(fields(key), account=None, replaces=replaces)


def log_in(login: Login, aws: AwsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    aws.require_permission()
    for name, value in login.environment.items():
        monkeypatch.setenv(name, value)


def contents(aws: AwsServer) -> str:
    return str(aws.current()["SecretString"])


def test_a_secret_is_made_in_the_managed_schema(aws: AwsServer, key: Key) -> None:
    assert isinstance(backend(), WritableBackend)
    backend().require_writable()
    assert "CreateSecret" not in aws.actions
    assert save(key) == REFERENCE
    assert json.loads(contents(aws)) == camel(key)
    assert key_in(load()) == key


def test_what_else_is_there_stays_and_the_stage_moves(aws: AwsServer, key: Key) -> None:
    foreign = {"password": "of another service", "n": 1, "list": [None]}
    first = aws.put(camel(new_key()) | foreign)
    save(key)
    assert json.loads(contents(aws)) == camel(key) | foreign
    second = load().version
    assert aws.versions() == {
        first: ["AWSPREVIOUS"],
        second: ["SAFETWILIO", "AWSCURRENT"],
    }


def test_a_field_and_a_named_account_are_written(aws: AwsServer, key: Key) -> None:
    aws.put({"other": {"a": 1}})
    backend(f"{REFERENCE}#twilio").save(fields(key), account="marketing")
    assert json.loads(contents(aws)) == {"other": {"a": 1}, "twilio": camel(key)}


def test_binary_json_becomes_text(aws: AwsServer, key: Key) -> None:
    aws.put(json.dumps({"a": 1}).encode())
    save(key)
    assert json.loads(contents(aws)) == {"a": 1} | camel(key)


def test_a_secret_without_a_value_is_filled(aws: AwsServer, key: Key) -> None:
    """As Terraform leaves one behind."""
    aws.call("create_secret", Name=NAME)
    save(key, replaces="")
    assert key_in(load()) == key
    assert "CreateSecret" not in aws.actions


def test_an_arn_is_written_but_not_made(aws: AwsServer, key: Key) -> None:
    aws.put({"a": 1})
    arn = aws.current()["ARN"]
    save(key, f"aws-sm://{arn}")
    assert key_in(load()) == key
    error = refused(lambda: save(key, f"aws-sm://{arn}".replace("prod/twilio", "nothing")))
    assert codes(error) == ["ST302"]
    assert "give its name instead of an ARN" in " ".join(str(error).split())
    assert codes(refused(lambda: save(key, "aws-sm://new?stage=blue"))) == ["ST302"]


def test_a_stage_of_ones_own_moves_alone(aws: AwsServer, key: Key) -> None:
    old = new_key()
    version = aws.put(camel(old))
    aws.call(
        "update_secret_version_stage",
        SecretId=NAME,
        VersionStage="blue",
        MoveToVersionId=version,
    )
    save(key, f"{REFERENCE}?stage=blue")
    assert key_in(load(f"{REFERENCE}?stage=blue")) == key
    assert key_in(load()) == old


def test_a_pinned_version_cannot_be_written(aws: AwsServer, key: Key) -> None:
    version = aws.put(camel(key))
    target = backend(f"{REFERENCE}?version={version}")
    assert codes(refused(target.require_writable)) == ["ST302"]


@pytest.mark.parametrize(
    "there", ["NAME=value\n", "{broken", "plain text", '["list"]'], ids=str.split
)
def test_what_is_not_understood_is_not_written_over(aws: AwsServer, key: Key, there: str) -> None:
    aws.put(there)
    for call in (lambda: save(key), backend().require_writable):
        error = refused(call)
        assert codes(error)[0] in {"ST333", "ST340"}
        assert_silent(error.with_traceback(None), [key.secret])
    assert contents(aws) == there
    assert len(aws.versions()) == 1


def test_nothing_is_replaced_that_was_not_expected(aws: AwsServer, key: Key) -> None:
    old = new_key()
    version = aws.put(camel(old))
    for wrong in ("", "0" * 32):
        error = refused(lambda wrong=wrong: save(key, replaces=wrong))
        assert codes(error) == ["ST338"]
    assert key_in(load()) == old
    assert [*aws.versions()] == [version]
    save(key, replaces=version)
    assert key_in(load()) == key
    assert codes(refused(lambda: save(key, "aws-sm://nothing", replaces=version))) == ["ST338"]


def test_somebody_quicker_wins(aws: AwsServer, key: Key) -> None:
    """Rotated after we read, and before we move the stage."""
    aws.put(camel(new_key()))
    quicker = new_key()
    aws.before["UpdateSecretVersionStage"] = lambda: aws.rotate(json.dumps(camel(quicker)))
    assert codes(refused(lambda: save(key))) == ["ST338"]
    assert key_in(load()) == quicker


def test_somebody_quicker_makes_the_secret(aws: AwsServer, key: Key) -> None:
    quicker = new_key()
    aws.before["CreateSecret"] = lambda: aws.put(camel(quicker))
    assert codes(refused(lambda: save(key))) == ["ST338"]
    assert key_in(load()) == quicker


def test_who_may_only_read_is_told_what_to_grant(
    aws: AwsServer, key: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = new_key()
    aws.put(camel(old))
    log_in(aws.user(READ), aws, monkeypatch)
    error = refused(lambda: save(key))
    assert codes(error) == ["ST330"]
    words = " ".join(str(error).split())
    assert "does not let us write the secret" in words
    assert "PutSecretValue and secretsmanager:UpdateSecretVersionStage on prod/twilio." in words
    assert_silent(error.with_traceback(None), [*key, *old])
    assert key_in(load()) == old


def test_who_may_not_make_one_is_told_what_to_grant(
    aws: AwsServer, key: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    log_in(aws.user(*LOOK, *WRITE), aws, monkeypatch)
    error = refused(lambda: save(key))
    assert codes(error) == ["ST330"]
    assert "Grant secretsmanager:CreateSecret on prod/twilio" in " ".join(str(error).split())


def test_the_policy_in_the_docs_is_enough(
    aws: AwsServer, key: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    log_in(aws.user(*LOOK, *WRITE, "secretsmanager:CreateSecret"), aws, monkeypatch)
    save(key)
    newer = new_key()
    save(newer)
    assert key_in(load()) == newer


@pytest.mark.parametrize(
    ("action", "code", "ours"),
    [
        ("PutSecretValue", "EncryptionFailure", "ST340"),
        ("PutSecretValue", "LimitExceededException", "ST340"),
        ("PutSecretValue", "ResourceNotFoundException", "ST340"),
        ("PutSecretValue", "ExpiredTokenException", "ST331"),
        ("PutSecretValue", "InternalServiceError", "ST332"),
        ("UpdateSecretVersionStage", "ThrottlingException", "ST340"),
        ("UpdateSecretVersionStage", "LimitExceededException", "ST340"),
    ],
)
def test_a_write_that_fails_leaves_what_was_there(
    aws: AwsServer, key: Key, action: str, code: str, ours: str
) -> None:
    old = new_key()
    aws.put(camel(old))

    def fail() -> None:
        status = 500 if code == "InternalServiceError" else 400
        aws.say(code, key.secret, status=status, action=action)

    aws.before[action] = fail
    error = refused(lambda: save(key))
    assert codes(error) == [ours]
    assert_silent(error.with_traceback(None), [*key, *old])
    assert key_in(load()) == old


def test_a_write_that_gets_no_answer_ends_with_its_deadline(key: Key) -> None:
    with black_hole() as nowhere:
        error = refused(lambda: save(key, f"{REFERENCE}?endpoint={nowhere}&timeout=0.5"))
    assert codes(error) == ["ST332"]


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL here")
@pytest.mark.parametrize("moment", ["PutSecretValue", "UpdateSecretVersionStage"])
def test_killed_half_way_the_secret_is_the_old_or_the_new_one(
    aws: AwsServer, key: Key, moment: str
) -> None:
    """Killed when AWS has done, and not yet answered, the first or the second of the two steps."""
    old = new_key()
    aws.put(camel(old))
    program = (
        "import sys\nfrom pydantic import SecretStr\n"
        "from safetwilio.backends.locate import open_backend, parse\n"
        f"backend = open_backend(parse('{REFERENCE}?timeout=15', place='here')[0])\n"
        "backend.save({'secret': SecretStr(sys.stdin.read())}, account=None)\n"
    )
    writer = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, env=clean_environment()
    )
    aws.after[moment] = lambda: os.kill(writer.pid, signal.SIGKILL)
    writer.communicate(key.secret.encode(), timeout=60)
    assert writer.returncode == -signal.SIGKILL
    expected = old if moment == "PutSecretValue" else old._replace(secret=key.secret)
    assert aws.actions[-1] == moment
    assert key_in(load()) == expected


def init(server: EmulatorServer, cwd: Path, *more: str, text: str = REFERENCE) -> tuple[int, str]:
    """Run ``safetwilio init`` as a person without a terminal would."""
    account = server.emulator.account
    done = subprocess.run(
        [
            *(sys.executable, "-m", "safetwilio.cli.main", "init", "--token-stdin"),
            *("--account-sid", account.sid, "--backend", text, *more),
        ],
        cwd=cwd,
        env=clean_environment(SAFETWILIO_EMULATOR=server.url, COLUMNS="200"),
        input=account.auth_token,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert leaks(done.stdout + done.stderr, [account.auth_token, account.sid]) == []
    return done.returncode, done.stderr


@pytest.mark.usefixtures("aws")
def test_init_writes_there_and_the_program_starts_with_it(tmp_path: Path) -> None:
    with EmulatorServer() as server:
        status, words = init(server, tmp_path)
        assert status == 0, words
        assert f"kept in  {REFERENCE}" in words
        assert f"if its environment says SAFETWILIO_BACKEND={REFERENCE}" in words
        made = key_in(load())
        assert leaks(words, [made.secret, made.sid]) == []
        program = (
            "from safetwilio import client\n"
            "client.messages.create(to='+15005550006', from_='+15005550009', body='hello')"
        )
        surroundings = {"SAFETWILIO_BACKEND": REFERENCE, "SAFETWILIO_EMULATOR": server.url}
        done = run_python("-c", program, cwd=tmp_path, environment=surroundings)
        assert done.returncode == 0, done.stderr
        assert [message.body for message in server.emulator.messages] == ["hello"]
        status, words = init(server, tmp_path)
        assert status == 0
        assert "holds an API key already; nothing was changed" in words
        status, words = init(server, tmp_path, "--replace")
        assert status == 0, words
        assert key_in(load()).sid != made.sid


def test_init_that_may_not_write_leaves_no_key_behind(
    aws: AwsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log_in(aws.user(READ), aws, monkeypatch)
    with EmulatorServer() as server:
        before = sum(1 for _ in server.emulator.account.keys.newest_first())
        status, words = init(server, tmp_path)
        after = sum(1 for _ in server.emulator.account.keys.newest_first())
    assert status == 1
    assert "[ST330] AWS Secrets Manager does not let us create the secret." in words
    assert "The key could not be kept, so it was deleted again" in words
    assert after == before
