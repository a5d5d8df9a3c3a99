"""``aws-sm:`` against moto's server: what is found where, asked how, and by whom."""

from __future__ import annotations

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from aws_server import (
    ACCOUNT,
    NAME,
    READ,
    REFERENCE,
    REGION,
    AwsServer,
    backend,
    camel,
    clean,
    key_in,
    load,
    refused_port,
    some_login,
)

import safetwilio
from safetwilio.backends.interface import Absent
from safetwilio.testing import EmulatorServer
from support import Key, auth_token, codes, leaks, new_key, refused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from safetwilio.errors import ConfigurationError

LOADS = 200
ROTATING_READERS = 4
_PAUSE = 0.05  # seconds between two rotations


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


def snake(key: Key) -> dict[str, str]:
    return {"account_sid": key.account, "api_key": key.sid, "api_secret": key.secret}


def as_json(names: Callable[[Key], dict[str, str]]) -> Callable[[Key], str]:
    return lambda key: json.dumps({**names(key), "database": "postgres://"})


@pytest.mark.parametrize(
    "write",
    [
        as_json(camel),
        as_json(snake),
        as_json(Key.environment),
        Key.dotenv,
        lambda key: as_json(camel)(key).encode(),
        lambda key: b"\xef\xbb\xbf" + key.dotenv().encode(),
    ],
    ids=["managed", "snake", "environment", "lines", "binary", "binary-lines"],
)
def test_each_form_is_read_with_its_version(
    aws: AwsServer, key: Key, write: Callable[[Key], str | bytes]
) -> None:
    version = aws.put(write(key))
    record = load()
    assert key_in(record) == key
    assert (record.source, record.version) == (REFERENCE, version)
    assert set(record.fields) == {"account_sid", "key_sid", "secret"}


def test_a_field_and_a_named_account(aws: AwsServer, key: Key) -> None:
    other = new_key()
    aws.put({"twilio": camel(key), "all": other.dotenv("marketing")})
    assert key_in(load(f"{REFERENCE}#twilio")) == key
    assert key_in(load(f"{REFERENCE}#all", account="marketing")) == other


def test_a_name_may_begin_with_a_slash_and_hold_an_at(aws: AwsServer, key: Key) -> None:
    for name in ("/prod/twilio", "team+a/key_1=x.y-z", "team@prod"):
        aws.put(camel(key), name)
        assert key_in(load(f"aws-sm://{name}")) == key


def test_nothing_there_is_absent_and_says_where() -> None:
    answer = backend().load(None)
    assert isinstance(answer, Absent)
    assert [tuple(each) for each in answer.attempts] == [("aws-sm", NAME, "no such secret")]


def test_a_secret_of_somebody_else_is_absent(aws: AwsServer) -> None:
    aws.put({"password": "of another service"})
    answer = backend().load(None)
    assert isinstance(answer, Absent)
    assert {each.outcome for each in answer.attempts} == {"not in the secret"}


def test_a_secret_without_a_value_is_absent(aws: AwsServer) -> None:
    """AWS then says that there is no value; moto, that there is no secret."""
    message = "Secrets Manager can't find the specified secret value for staging label: AWSCURRENT"
    aws.say("ResourceNotFoundException", message)
    answer = backend().load(None)
    assert isinstance(answer, Absent)
    assert [each.outcome for each in answer.attempts] == ["the secret has no value yet"]


def test_the_stage_is_always_named(aws: AwsServer, key: Key) -> None:
    """Without it AWS means AWSCURRENT, and moto something else."""
    version = aws.put(camel(key))
    for options, wanted in (
        ("", {"VersionStage": "AWSCURRENT"}),
        ("?stage=AWSCURRENT", {"VersionStage": "AWSCURRENT"}),
        (f"?version={version}", {"VersionId": version}),
        (
            f"?version={version}&stage=AWSCURRENT",
            {"VersionId": version, "VersionStage": "AWSCURRENT"},
        ),
    ):
        load(REFERENCE + options)
        assert aws.asked[-1][:2] == ("GetSecretValue", {"SecretId": NAME, **wanted})


def test_stage_and_version_choose_among_versions(aws: AwsServer, key: Key) -> None:
    first = aws.put(camel(key))
    other = new_key()
    second = aws.rotate(json.dumps(camel(other)))
    assert (key_in(load()), load().version) == (other, second)
    assert key_in(load(f"{REFERENCE}?stage=AWSPREVIOUS")) == key
    assert load(f"{REFERENCE}?stage=AWSPREVIOUS").version == first
    assert key_in(load(f"{REFERENCE}?version={first}")) == key


def test_one_read_per_boot_and_a_message_through_the_emulator(
    aws: AwsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with EmulatorServer() as server:
        known = server.emulator
        key = Key(known.account.sid, known.standard_key.sid, known.standard_key.secret)
        version = aws.put(camel(key))
        monkeypatch.setenv("SAFETWILIO_EMULATOR", server.url)
        monkeypatch.setenv("SAFETWILIO_BACKEND", REFERENCE)
        health = safetwilio.boot()
        client = safetwilio.get_client()
        client.messages.create(to="+15005550006", from_="+15005550009", body="from AWS")
        assert [message.body for message in known.messages] == ["from AWS"]
    assert aws.actions == ["GetSecretValue"]
    assert (health.accounts[0].source, health.accounts[0].version) == (REFERENCE, version)


def boot_with(contents: dict[str, Any], aws: AwsServer, monkeypatch: Any) -> ConfigurationError:
    aws.put(contents)
    monkeypatch.setenv("SAFETWILIO_BACKEND", REFERENCE)
    return refused(safetwilio.boot)


def test_the_managed_api_key_brings_its_validation_url(aws: AwsServer, key: Key) -> None:
    url = "https://api.twilio.com/2010-04-01/Accounts.json"
    aws.put(camel(key) | {"validationUrl": url})
    assert load().fields["validation_url"].reveal() == url


def test_the_managed_main_key_does_not_boot(
    aws: AwsServer, key: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    main = {"accountSid": key.account, "adminKeySid": key.sid, "adminKeySecret": key.secret}
    error = boot_with(main, aws, monkeypatch)
    assert codes(error) == ["ST503"]
    assert leaks(str(error), key) == []


def test_the_managed_auth_token_does_not_boot(
    aws: AwsServer, key: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = auth_token()
    error = boot_with({"accountSid": key.account, "authToken": token}, aws, monkeypatch)
    assert codes(error) == ["ST501"]
    assert leaks(str(error), [token, key.account]) == []


def signed_for(aws: AwsServer) -> str:
    """Return the region that the last request was signed for."""
    return aws.asked[-1].authorization.split("/")[2]


def test_the_region_of_the_reference_of_its_arn_or_of_the_environment(
    aws: AwsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    arn = f"arn:aws:secretsmanager:us-west-2:{ACCOUNT}:secret:prod/twilio-AbCdEf"
    for text, region in (
        (REFERENCE, REGION),
        (f"{REFERENCE}?region=us-east-2", "us-east-2"),
        (f"aws-sm:{arn}", "us-west-2"),
        (f"aws-sm://{arn}?region=us-west-2", "us-west-2"),
    ):
        assert isinstance(backend(text).load(None), Absent)
        assert signed_for(aws) == region
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    monkeypatch.setenv("AWS_REGION", "ap-south-1")  # which boto3 alone does not read
    backend().load(None)
    assert signed_for(aws) == "ap-south-1"
    monkeypatch.delenv("AWS_REGION")
    assert codes(refused(load)) == ["ST302"]
    monkeypatch.setenv("AWS_DEFAULT_REGION", "")  # as compose leaves an unset variable
    assert codes(refused(load)) == ["ST302"]


def test_an_arn_leads_to_the_secret(aws: AwsServer, key: Key) -> None:
    aws.put(camel(key))
    arn = aws.current()["ARN"]
    assert key_in(load(f"aws-sm://{arn}")) == key


def test_a_slow_processor_is_not_a_slow_service(
    aws: AwsServer, key: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A quarter of a processor takes seconds to read botocore's files: the clock waits for it."""
    from botocore import loaders

    aws.put(camel(key))
    ahead = [0.0]
    now, read = time.monotonic, loaders.Loader.load_data

    def slowly(self: Any, name: str) -> Any:
        if threading.current_thread() is threading.main_thread():
            ahead[0] += 10
        return read(self, name)

    monkeypatch.setattr(loaders, "create_loader", loaders.Loader)  # one that has read nothing
    monkeypatch.setattr(loaders.Loader, "load_data", slowly)
    monkeypatch.setattr(time, "monotonic", lambda: now() + ahead[0])
    assert load().version == aws.current()["VersionId"]
    assert ahead[0] >= 30


def test_a_role_is_taken_and_used(
    aws: AwsServer, key: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    aws.put(camel(key))
    role = aws.role(READ)
    user = aws.user("sts:AssumeRole")
    aws.require_permission()
    for name, value in user.environment.items():
        monkeypatch.setenv(name, value)
    assert codes(refused(load)) == ["ST330"]
    aws.asked.clear()
    assert key_in(load(f"{REFERENCE}?role={role}")) == key
    assert aws.actions == ["AssumeRole", "GetSecretValue"]
    assert aws.asked[0].body["RoleArn"] == role
    assert user.id in aws.asked[0].authorization
    assert user.id not in aws.asked[1].authorization


def test_a_profile_gives_login_and_region(
    aws: AwsServer, key: Key, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    aws.put(camel(key))
    login = some_login()
    config = tmp_path / "config"
    config.write_text(
        f"[profile team]\nregion = {REGION}\naws_access_key_id = {login.id}\n"
        f"aws_secret_access_key = {login.secret}\n"
    )
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.setenv("AWS_PROFILE", "team")
    assert key_in(load()) == key
    assert login.id in aws.asked[-1].authorization
    aws.say("AccessDeniedException", "no")
    assert "asked as AWS credentials from config-file, profile team" in str(refused(load))


def test_aws_own_variable_for_the_endpoint_is_honoured(
    aws: AwsServer, key: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    aws.put(camel(key))
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    monkeypatch.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", aws.url)
    assert key_in(load()) == key
    monkeypatch.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", refused_port())
    assert key_in(load(f"{REFERENCE}?endpoint={aws.url}")) == key


@pytest.mark.parametrize(
    "variable", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_SECRETS_MANAGER", "AWS_ENDPOINT_URL_STS"]
)
def test_plain_http_elsewhere_is_refused_wherever_it_is_set(
    aws: AwsServer, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, f"http://someone:{auth_token()}@aws.invalid:81/path?q=1")
    error = refused(lambda: load(f"{REFERENCE}?role={aws.role()}"))
    assert codes(error) == ["ST339"]
    assert "http://aws.invalid:81, from a variable AWS_ENDPOINT_URL" in str(error)
    assert "someone" not in str(error)
    assert "GetSecretValue" not in aws.actions


def test_plain_http_in_the_profile_is_refused_as_well(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    config = tmp_path / "config"
    config.write_text(
        "[default]\nservices = mine\n[services mine]\n"
        "secrets_manager =\n  endpoint_url = http://aws.invalid\n"
    )
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    assert codes(refused(load)) == ["ST339"]


@pytest.mark.parametrize(
    "endpoint", ["http://aws.invalid", "http://localhost:1", "localhost:1", "ftp://127.0.0.1"]
)
def test_an_endpoint_of_the_reference_is_refused_at_once(endpoint: str) -> None:
    assert codes(refused(lambda: backend(f"{REFERENCE}?endpoint={endpoint}"))) == ["ST339"]


def test_plain_http_to_this_machine_is_not_sent_through_a_proxy(
    aws: AwsServer, key: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    aws.put(camel(key))
    role = aws.role()
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, refused_port())
    assert key_in(load(f"{REFERENCE}?role={role}")) == key


def test_a_proxy_is_used_for_https_as_boto3_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", refused_port())
    error = refused(lambda: load(f"{REFERENCE}?endpoint=https://aws.invalid"))
    assert codes(error) == ["ST332"]
    assert "https://aws.invalid: the proxy did not answer" in str(error)


@pytest.mark.timeout(600)
def test_rotation_never_gives_a_mixed_pair(aws: AwsServer) -> None:
    """The secret changes all the time while it is loaded again and again."""
    keys = [new_key() for _ in range(20)]
    texts = [json.dumps(camel(key)) for key in keys]
    aws.put(texts[0])
    known = {aws.current()["VersionId"]: keys[0]}
    ended = threading.Event()

    def rotate() -> None:
        turn = 0
        while not ended.wait(_PAUSE):
            turn += 1
            known[aws.rotate(texts[turn % len(texts)])] = keys[turn % len(texts)]

    rotator = threading.Thread(target=rotate)
    rotator.start()
    try:
        with ThreadPoolExecutor(ROTATING_READERS) as pool:
            records = list(pool.map(lambda _: load(f"{REFERENCE}?timeout=15"), range(LOADS)))
    finally:
        ended.set()
        rotator.join()
    assert len({record.version for record in records}) > 10, "it did rotate"
    assert all(known[str(record.version)] == key_in(record) for record in records)
