"""``aws-sm:`` in processes of its own: forks, imports, and what the vendor's logs say."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from aws_server import NAME, REFERENCE, AwsServer, camel, clean

from support import Key, leaks, run_python

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


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


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_each_child_of_a_fork_reads_for_itself(aws: AwsServer, key: Key, tmp_path: Path) -> None:
    aws.put(camel(key))
    program = f"""
import faulthandler, os, sys
from safetwilio.backends.locate import open_backend, parse
backend = open_backend(parse('{REFERENCE}?timeout=15', place="here")[0])
wanted = [{key.sid!r}, {key.secret!r}]
def right():
    fields = backend.load(None).record.fields
    return [fields[name].reveal() for name in ("key_sid", "secret")] == wanted
assert right()
children = []
for _ in range(4):
    child = os.fork()
    if child == 0:
        faulthandler.dump_traceback_later(25, exit=True)
        os._exit(0 if all(right() for _ in range(5)) else 1)
    children.append(child)
sys.exit(any(os.waitpid(child, 0)[1] for child in children) or not right())
"""
    done = run_python("-c", program, cwd=tmp_path, environment={})
    assert done.returncode == 0, done.stderr
    assert aws.actions == ["GetSecretValue"] * 22


def test_nothing_of_aws_is_imported_before_it_is_used(tmp_path: Path) -> None:
    program = (
        "import sys, safetwilio\nfrom safetwilio import TwilioSettings\n"
        "from safetwilio.backends.locate import open_backend, parse\n"
        "open_backend(parse('aws-sm://prod/twilio', place='here')[0])\n"
        "print([name for name in sys.modules if name.startswith(('boto', 's3transfer'))])"
    )
    done = run_python("-c", program, cwd=tmp_path, environment={})
    assert done.stdout.strip() == "[]", done.stderr


def test_without_botocore_the_report_says_what_to_install(tmp_path: Path) -> None:
    program = "import sys; sys.modules['botocore'] = None\nfrom safetwilio import client"
    done = run_python("-c", program, cwd=tmp_path, environment={"SAFETWILIO_BACKEND": REFERENCE})
    assert "[ST901]" in done.stderr
    assert 'pip install "safetwilio[aws]"' in done.stderr


_LOGGING = f"""
import io, logging, sys
seen = io.StringIO()
logging.basicConfig(level=logging.DEBUG, stream=seen)
import boto3
boto3.set_stream_logger("", logging.DEBUG)
logging.getLogger("botocore").addHandler(logging.StreamHandler(seen))
from pydantic import SecretStr
from safetwilio.backends.locate import open_backend, parse
backend = open_backend(parse('{REFERENCE}?timeout=15', place="here")[0])
if sys.argv[1] == "boto3":
    boto3.client("secretsmanager").get_secret_value(SecretId={NAME!r})
elif sys.argv[1] == "load":
    backend.load(None)
else:
    backend.save({{"secret": SecretStr(sys.stdin.readline().strip() or "x" * 32)}}, account=None)
sys.stderr.write(seen.getvalue())
"""


@pytest.mark.parametrize("verb", ["load", "save"])
def test_no_vendors_log_tells_the_secret(
    aws: AwsServer, key: Key, tmp_path: Path, verb: str
) -> None:
    aws.put(camel(key))
    done = run_python("-c", _LOGGING, verb, cwd=tmp_path, environment={})
    assert done.returncode == 0, done.stderr
    assert leaks(done.stderr + done.stdout, [key.sid, key.secret]) == []


def test_boto3s_own_log_would_have_told_it(aws: AwsServer, key: Key, tmp_path: Path) -> None:
    aws.put(camel(key))
    done = run_python("-c", _LOGGING, "boto3", cwd=tmp_path, environment={})
    assert key.secret in done.stderr
