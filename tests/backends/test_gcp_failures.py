"""What goes wrong with ``gcp-sm:``, each told apart, the same over REST and gRPC."""

from __future__ import annotations

import json
import logging
import socket
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
from gcp_google import EMAIL, Refusal
from gcp_server import (
    MetadataServer,
    Servers,
    answering,
    as_document,
    backend,
    black_hole,
    clean,
    clean_environment,
    load,
    refused_port,
    said,
    servers,
    write_login,
)
from hypothesis import given
from hypothesis import strategies as st

from safetwilio.backends.failures import Failures
from safetwilio.backends.gcp_client import Place, Who
from safetwilio.backends.gcp_errors import Asked, explain, is_absent, is_stale, may_pass
from safetwilio.backends.locate import parse
from safetwilio.errors import BackendDenied, BackendError, BackendUnavailable
from support import Key, assert_silent, codes, leaks, new_key, refused, run_python

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BOTH = pytest.mark.parametrize("transport", ["rest", "grpc"])
SLACK = 0.5
CANARY = "9c41fa70d2"


@pytest.fixture(scope="module")
def all_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    with servers(tmp_path_factory.mktemp("gcp")) as started:
        yield started


@pytest.fixture
def gcp(all_servers: Servers, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Servers]:
    clean(monkeypatch, tmp_path)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(all_servers.authority))
    monkeypatch.setenv("GRPC_DEFAULT_SSL_ROOTS_FILE_PATH", str(all_servers.authority))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(all_servers.login))
    yield all_servers
    all_servers.google.reset()


def failed(text: str, *values: str) -> BackendError:
    error = refused(lambda: backend(text).load(None))
    assert isinstance(error, BackendError)
    assert_silent(error, values)
    return error


@BOTH
def test_denied_names_who_asked_and_the_role_to_grant(
    gcp: Servers, key: Key, transport: str
) -> None:
    gcp.google.put(as_document(key))
    gcp.google.denied = {"secretmanager.versions.access"}
    error = failed(gcp.reference(transport, tls=True), key.secret)
    assert codes(error) == ["ST330"]
    assert isinstance(error, BackendDenied)
    assert f"asked as the service account {EMAIL}, from the file in env" in said(error)
    assert f"--member=serviceAccount:{EMAIL} --role=roles/secretmanager.secretAccessor" in said(
        error
    )
    assert "if there is no such project or secret" in said(error)
    assert gcp.google.methods() == ["AccessSecretVersion"]


@BOTH
@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("SERVICE_DISABLED", "gcloud services enable secretmanager.googleapis.com"),
        ("BILLING_DISABLED", "Billing is off for the project my-project"),
        ("ACCESS_TOKEN_SCOPE_INSUFFICIENT", "the scope cloud-platform"),
        ("SECURITY_POLICY_VIOLATED", "VPC Service Controls"),
    ],
)
def test_denied_for_another_reason(gcp: Servers, transport: str, reason: str, words: str) -> None:
    gcp.google.refusals.append(("AccessSecretVersion", Refusal("PERMISSION_DENIED", "no", reason)))
    error = failed(gcp.reference(transport))
    assert codes(error) == ["ST330"]
    assert words in said(error)


@BOTH
def test_a_login_that_google_does_not_accept(
    gcp: Servers, transport: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A service account's key that was deleted: its signature is of another key."""
    other = write_login(tmp_path / "other.json")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(other))
    error = failed(gcp.reference(transport, tls=True), json.loads(other.read_text())["private_key"])
    assert codes(error) == ["ST331"]
    assert "its key was deleted" in said(error)
    assert EMAIL in said(error)


@BOTH
@pytest.mark.parametrize("contents", [None, "", "{}", "[]", "not JSON", '{"type": "robot"}'])
def test_a_login_file_that_is_none(
    gcp: Servers,
    transport: str,
    contents: str | None,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    path = tmp_path / "login.json"
    if contents is not None:
        path.write_text(contents)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))
    error = failed(gcp.reference(transport, tls=True))
    assert codes(error) == ["ST331"]
    assert "the file in env GOOGLE_APPLICATION_CREDENTIALS is missing, or holds" in said(error)


@BOTH
@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("DISABLED", "gcloud secrets versions enable 2 "),
        ("DESTROYED", "version 2 is destroyed, for good"),
    ],
)
def test_disabled_and_destroyed_are_told_apart(
    gcp: Servers, key: Key, transport: str, state: str, words: str
) -> None:
    """Also when older versions are enabled: ``latest`` is the newest, whatever its state."""
    gcp.google.put(as_document(new_key()))
    gcp.google.put(as_document(key))
    gcp.google.set_state(state)
    error = failed(gcp.reference(transport), key.secret)
    assert codes(error) == ["ST335"]
    assert isinstance(error, BackendUnavailable)
    assert words in said(error)


@BOTH
@pytest.mark.parametrize(
    ("word", "message", "code"),
    [
        ("FAILED_PRECONDITION", "The KMS key [x] is disabled.", "ST334"),
        ("FAILED_PRECONDITION", "Something else.", "ST335"),
        ("INVALID_ARGUMENT", "Resource ID [x] is not in a valid format.", "ST302"),
        ("INTERNAL", "Internal error.", "ST332"),
        ("UNAVAILABLE", "The service is currently unavailable.", "ST332"),
        ("RESOURCE_EXHAUSTED", "Quota exceeded.", "ST332"),
        ("NOT_FOUND", "Method not found.", "ST332"),
    ],
)
def test_what_else_google_says(
    gcp: Servers, transport: str, word: str, message: str, code: str
) -> None:
    gcp.google.refusals.extend([("AccessSecretVersion", Refusal(word, f"{message} {CANARY}"))] * 50)
    error = failed(gcp.reference(transport, "&timeout=1"), CANARY)
    assert codes(error) == [code]


@BOTH
def test_what_may_pass_is_asked_again(gcp: Servers, key: Key, transport: str) -> None:
    gcp.google.put(as_document(key))
    gcp.google.refusals.extend(
        ("AccessSecretVersion", Refusal(word, "Try again."))
        for word in ("UNAVAILABLE", "RESOURCE_EXHAUSTED")
    )
    assert load(gcp.reference(transport)).version == "1"
    assert gcp.google.methods() == ["AccessSecretVersion"] * 3


@BOTH
def test_a_payload_that_was_corrupted_on_the_way(gcp: Servers, key: Key, transport: str) -> None:
    gcp.google.put(as_document(key))
    gcp.google.corrupt = True
    error = failed(gcp.reference(transport), key.secret)
    assert codes(error) == ["ST333"]
    assert "CRC32C" in said(error)


@BOTH
@pytest.mark.parametrize(
    "contents",
    [b"\xff\xfe", "", "{", "[1]", "x" * 40, '{"api_key": 1}', "[" * 60_000, '{"a":' * 9_000],
)
def test_malformed(gcp: Servers, transport: str, contents: str | bytes) -> None:
    gcp.google.put(contents)
    assert codes(failed(gcp.reference(transport))) == ["ST333"]


def test_half_a_pair_is_broken_and_not_absent(gcp: Servers, key: Key) -> None:
    """The record says what is there; that it does not do is the boot's to say."""
    gcp.google.put({"api_key": key.sid})
    assert set(load(gcp.reference()).fields) == {"key_sid"}


@BOTH
def test_unreachable_is_said_within_the_deadline(gcp: Servers, transport: str) -> None:
    with ExitStack() as stack:
        addresses = [refused_port(), stack.enter_context(black_hole()), _full(stack)]
        for address in addresses:
            start = time.monotonic()
            text = gcp.reference(transport, "&timeout=1").replace(gcp.plain[transport], address)
            error = failed(text)
            assert time.monotonic() - start < 1 + SLACK
            assert codes(error) == ["ST332"]
            assert address in said(error)
            assert ("nothing there accepts" in said(error)) == (address == addresses[0])


def _full(stack: ExitStack) -> str:
    """Return the address of a socket that accepts no connection, and refuses none."""
    listener = stack.enter_context(socket.socket())
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    for _ in range(3):
        waiting = stack.enter_context(socket.socket())
        waiting.setblocking(False)  # noqa: FBT003
        waiting.connect_ex(listener.getsockname())
    return f"http://127.0.0.1:{listener.getsockname()[1]}"


@BOTH
@pytest.mark.usefixtures("gcp")
def test_a_host_without_an_address(transport: str) -> None:
    text = f"gcp-sm://my-project/twilio?transport={transport}&timeout=3"
    start = time.monotonic()
    error = failed(f"{text}&endpoint=https://nobody.invalid:444")
    assert time.monotonic() - start < 3 + SLACK
    assert codes(error) == ["ST332"]
    assert "https://nobody.invalid:444" in said(error)


@BOTH
def test_a_certificate_of_nobodys(
    gcp: Servers, transport: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one of gRPC is of another name, for it keeps the authorities that it read first."""
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    text = gcp.reference(transport, "&timeout=2", tls=True)
    error = failed(text.replace("127.0.0.1", "[::ffff:127.0.0.1]"))
    assert codes(error) == ["ST332"]


def http_answer(status: str, body: bytes, *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


@pytest.mark.parametrize(
    "answer",
    [
        http_answer("200 OK", f"<html>Log in {CANARY}</html>".encode()),
        http_answer("200 OK", b""),
        http_answer("200 OK", b"{}"),
        http_answer("200 OK", b'{"name": "projects/1/secrets/s/versions/x"}'),
        http_answer("200 OK", b'{"name": "a/versions/1\\n", "payload": {}}'),
        http_answer("200 OK", b'{"payload": {"data": "***"}}'),
        http_answer("404 Not Found", b"<html>nothing here</html>"),
        http_answer("500 No", b"[[[["),
        http_answer("400 No", b'{"error": "text"}'),
        http_answer("403 No", b'{"error": {"details": [1]}}')[:-3],
        b"",
        b"\x00\xff\r\n\r\n",
    ],
)
def test_what_no_secret_manager_would_say(gcp: Servers, answer: bytes) -> None:
    with answering(answer) as (url, _):
        text = gcp.reference("rest", "&timeout=1").replace(gcp.plain["rest"], url)
        error = failed(text, CANARY)
    assert codes(error)[0] in {"ST332", "ST330"}
    with answering(answer) as (url, _):
        text = gcp.reference("grpc", "&timeout=1").replace(gcp.plain["grpc"], url)
        assert codes(failed(text)) == ["ST332"]


def test_a_redirect_is_not_followed(gcp: Servers) -> None:
    with answering(b"") as (elsewhere, seen):
        answer = http_answer("302 Found", b"", f"Location: {elsewhere}/")
        with answering(answer) as (url, _):
            error = failed(gcp.reference().replace(gcp.plain["rest"], url))
        assert not seen
    assert codes(error) == ["ST332"]
    assert "redirect" in said(error)


def test_an_answer_that_drips_ends_with_the_deadline(gcp: Servers) -> None:
    start = time.monotonic()
    with answering(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n", drip=True) as (url, _):
        error = failed(gcp.reference("rest", "&timeout=1").replace(gcp.plain["rest"], url))
    assert time.monotonic() - start < 1 + SLACK
    assert codes(error) == ["ST332"]


@BOTH
def test_nothing_is_logged_of_what_was_read(
    gcp: Servers, key: Key, transport: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Google's library logs the whole payload at DEBUG, before anybody can have registered it."""
    caplog.set_level(logging.DEBUG)
    for name in ("google", "google.cloud.secretmanager_v1", "google.auth", "urllib3"):
        caplog.set_level(logging.DEBUG, logger=name)
    gcp.google.put(as_document(key))
    load(gcp.reference(transport, tls=True))
    records = "\n".join(str(vars(record)) for record in caplog.records)
    authorization = gcp.google.asked[0].authorization
    assert "Making request" not in records
    assert "iamcredentials" not in records  # what Google's library would look up besides
    assert leaks(records, [key.secret, authorization.removeprefix("Bearer ")]) == []


LOGIN = """
import sys, time
from safetwilio.backends.locate import open_backend, parse
from safetwilio.backends.gcp_client import sdk
from safetwilio.errors import ConfigurationError
sdk()
opened = open_backend(parse(sys.argv[1], place="the test")[0])
start = time.monotonic()
try:
    print(opened.load(None).record.version)
except ConfigurationError as error:
    print(error.problems[0].code, *error.problems[0].found_in, sep="|")
print(time.monotonic() - start)
"""


@pytest.mark.parametrize("machine", ["allowed", "denied", "expired", "no-account", "silent"])
def test_the_login_of_a_machine(gcp: Servers, key: Key, tmp_path: Path, machine: str) -> None:
    """Where the metadata server is, Google's library asks the environment as it is imported."""
    gcp.google.put(as_document(key))
    token = key.secret + "token"
    if machine != "expired":
        gcp.google.tokens[token] = EMAIL
    if machine == "denied":
        gcp.google.denied = {"secretmanager.versions.access"}
    environment = clean_environment(tmp_path)
    with ExitStack() as stack:
        if machine == "silent":
            address = stack.enter_context(black_hole()).removeprefix("http://")
        else:
            status = 404 if machine == "no-account" else 200
            address = stack.enter_context(MetadataServer(token, status=status)).address
        environment |= {
            "GCE_METADATA_HOST": address,
            "GCE_METADATA_IP": address,
            "REQUESTS_CA_BUNDLE": str(gcp.authority),
            "GOOGLE_APPLICATION_CREDENTIALS": "",
        }
        done = run_python(
            "-c",
            LOGIN,
            gcp.reference("grpc" if machine == "no-account" else "rest", "&timeout=2", tls=True),
            cwd=tmp_path,
            environment=environment,
        )
    lines = done.stdout.splitlines()
    assert lines, done.stderr
    assert float(lines[-1]) < 2 + SLACK
    whose = f"|asked as the service account {EMAIL} of this machine, from the metadata server"
    expected = {
        "allowed": ("1", ""),
        "denied": ("ST330", whose),
        "expired": ("ST331", f"{whose}|it has expired"),
        "no-account": ("ST331", "|asked as the service account"),
        "silent": ("ST332", "|the metadata server, looked for as there is no other login"),
    }[machine]
    assert lines[0].startswith(expected[0])
    assert expected[1] in lines[0]
    assert leaks(done.stdout + done.stderr, [key.secret]) == []


class _Odd(Exception):
    """An error of a library's with whatever a hostile server can put into it."""

    def __init__(self, code: object, message: object, reason: object) -> None:
        super().__init__(message)
        self.code, self.message, self.reason = code, message, reason


@given(
    st.one_of(st.integers(0, 700), st.none(), st.text(max_size=3)),
    st.one_of(
        st.text(max_size=60),
        st.sampled_from(["Secret [x]", "Secret Version [x]", "etag", "is in DISABLED state"]),
        st.none(),
    ),
    st.one_of(st.text(max_size=20), st.integers()),
    st.sampled_from(["read", "write", "create", "look up"]),
)
def test_any_error_has_a_meaning_and_is_not_quoted(
    code: object, message: object, reason: object, verb: str
) -> None:
    (reference,) = parse("gcp-sm://my-project/twilio", place="the test")
    asked = Asked(verb, Place("my-project", "twilio"), Who(), 5.0)
    error = _Odd(code, f"{message} {CANARY}" if message is not None else None, reason)
    meant = explain(error, Failures(reference, "Google Secret Manager"), asked)
    assert codes(meant)[0].startswith("ST3")
    assert CANARY not in str(meant)
    assert {type(is_absent(error)), type(is_stale(error)), type(may_pass(error))} == {bool}
