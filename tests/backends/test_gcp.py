"""``gcp-sm:`` against servers that speak Google's REST and gRPC: what is found, what is absent."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
from gcp_google import NAME, PROJECT
from gcp_server import (
    Servers,
    answering,
    as_document,
    backend,
    clean,
    load,
    revealed,
    said,
    servers,
)
from google_crc32c import value as their_crc32c
from hypothesis import given
from hypothesis import strategies as st

import safetwilio
from safetwilio.backends.gcp_client import crc32c
from safetwilio.backends.interface import Absent
from safetwilio.backends.locate import open_backend, parse
from safetwilio.errors import BackendError
from safetwilio.redaction import redact
from safetwilio.testing import EmulatorServer
from support import Key, codes, new_key, refused, run_python

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BOTH = pytest.mark.parametrize("transport", ["rest", "grpc"])


@pytest.fixture(scope="module")
def all_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    with servers(tmp_path_factory.mktemp("gcp")) as started:
        yield started


@pytest.fixture
def gcp(all_servers: Servers, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Servers]:
    clean(monkeypatch, tmp_path)
    yield all_servers
    all_servers.google.reset()


def absent(text: str) -> str:
    answer = backend(text).load(None)
    assert isinstance(answer, Absent), answer
    return " ".join(f"{a.place} {a.name} {a.outcome}" for a in answer.attempts)


@BOTH
def test_a_message_is_sent_with_what_google_holds(
    gcp: Servers, monkeypatch: pytest.MonkeyPatch, transport: str
) -> None:
    """The whole street: boot from Secret Manager, one read of it, a message by the emulator."""
    with EmulatorServer() as server:
        account, key = server.emulator.account, server.emulator.standard_key
        gcp.google.put(as_document(Key(account.sid, key.sid, key.secret)))
        monkeypatch.setenv("SAFETWILIO_BACKEND", gcp.reference(transport))
        monkeypatch.setenv("SAFETWILIO_EMULATOR", server.url)
        safetwilio.boot()
        message = safetwilio.client.messages.create(
            to="+15005550010", from_="+15005550006", body="hello"
        )
        assert message.account_sid == account.sid
    assert gcp.google.methods() == ["AccessSecretVersion"]


@BOTH
def test_the_newest_version_with_its_number(gcp: Servers, key: Key, transport: str) -> None:
    gcp.google.put(as_document(new_key()))
    gcp.google.put(as_document(key))
    record = load(gcp.reference(transport))
    assert revealed(record) == key
    assert record.version == "2"
    assert record.source == f"gcp-sm://{PROJECT}/{NAME}"
    assert key.secret not in redact(f"it is {key.secret}")


@BOTH
def test_a_version_by_number_and_by_alias(gcp: Servers, key: Key, transport: str) -> None:
    gcp.google.put(as_document(key))
    gcp.google.put(as_document(new_key()))
    gcp.google.secret.aliases["blue"] = 1
    for version in ("1", "blue"):
        record = load(gcp.reference(transport, f"&version={version}"))
        assert (revealed(record), record.version) == (key, "1")


@BOTH
def test_a_regional_secret_is_another_one(gcp: Servers, key: Key, transport: str) -> None:
    gcp.google.put(as_document(new_key()))
    gcp.google.put(as_document(key), location="europe-west3")
    reference = gcp.reference(transport, "&location=europe-west3")
    assert revealed(load(reference)) == key
    assert gcp.google.asked[0].name == (
        f"projects/{PROJECT}/locations/europe-west3/secrets/{NAME}/versions/latest"
    )


def test_a_location_has_an_address_of_its_own() -> None:
    (reference,) = parse("gcp-sm://my-project/twilio?location=europe-west3", place="the test")
    place = open_backend(reference)._place  # type: ignore[attr-defined]
    assert place.host == "secretmanager.europe-west3.rep.googleapis.com"
    assert place.at == "https://secretmanager.europe-west3.rep.googleapis.com"


@BOTH
def test_logged_in_with_the_file_of_a_service_account(
    gcp: Servers, key: Key, monkeypatch: pytest.MonkeyPatch, transport: str
) -> None:
    """Over TLS, with Google's own lookup of a login; the server checks the signature."""
    trust(gcp, monkeypatch)
    gcp.google.put(as_document(key))
    assert revealed(load(gcp.reference(transport, tls=True))) == key
    assert gcp.google.asked[0].authorization.startswith("Bearer ")


def trust(gcp: Servers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(gcp.authority))
    monkeypatch.setenv("GRPC_DEFAULT_SSL_ROOTS_FILE_PATH", str(gcp.authority))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(gcp.login))


@BOTH
def test_no_login_is_sent_in_the_clear(
    gcp: Servers, key: Key, monkeypatch: pytest.MonkeyPatch, transport: str
) -> None:
    """Nor does a proxy of the environment get what is for this machine."""
    trust(gcp, monkeypatch)
    gcp.google.put(as_document(key))
    with answering(b"HTTP/1.1 500 no\r\n\r\n") as (proxy, seen):
        for name in ("http_proxy", "HTTP_PROXY", "grpc_proxy"):
            monkeypatch.setenv(name, proxy)
        assert revealed(load(gcp.reference(transport))) == key
        assert not seen
    assert gcp.google.asked[0].authorization == ""


@BOTH
def test_nothing_there_is_absent_and_says_where(gcp: Servers, transport: str) -> None:
    expected = f"gcp-sm {PROJECT}/{NAME} no such secret, or no version of it"
    assert absent(gcp.reference(transport)) == expected
    assert absent(gcp.reference(transport, "&version=3")) == expected
    assert absent(gcp.reference(transport, "&version=blue")) == expected
    gcp.google.put("x")
    gcp.google.secret.versions.clear()  # as Terraform makes it, before anybody adds a version
    assert absent(gcp.reference(transport)) == expected


@BOTH
def test_a_pinned_version_of_a_secret_that_has_none_is_not_absent(
    gcp: Servers, transport: str
) -> None:
    """Google says the same of no secret; the chain must not go on past it."""
    gcp.google.put(as_document(new_key()))
    for version in ("7", "green"):
        error = refused(lambda v=version: load(gcp.reference(transport, f"&version={v}")))  # type: ignore[misc]
        assert codes(error) == ["ST336"]
        assert "gcloud secrets versions list twilio --project=my-project" in said(error)


@BOTH
def test_a_document_without_a_key_is_absent(gcp: Servers, transport: str) -> None:
    gcp.google.put({"password": "x"})
    assert "not in the secret" in absent(gcp.reference(transport))


def test_a_field_that_holds_the_record(gcp: Servers, key: Key) -> None:
    gcp.google.put({"twilio": as_document(key), "other": {"api_key": "x"}})
    assert revealed(load(f"{gcp.reference()}#twilio")) == key


def test_names_of_the_environment_for_a_named_account(gcp: Servers, key: Key) -> None:
    gcp.google.put(key.dotenv("billing"))
    assert revealed(load(gcp.reference(), "billing")) == key


def test_a_server_without_checksums_is_believed(gcp: Servers, key: Key) -> None:
    gcp.google.checksums = False
    gcp.google.put(as_document(key))
    assert revealed(load(gcp.reference())) == key


@pytest.mark.parametrize("transport", ["rest", "grpc"])
def test_never_a_mixed_pair(gcp: Servers, transport: str) -> None:
    """A rotator adds versions all the time while 1,000 records are loaded."""
    keys = [new_key() for _ in range(64)]
    pairs = {revealed_key: key for key in keys if (revealed_key := key.sid)}
    gcp.google.put(as_document(keys[0]))
    ended = threading.Event()

    def rotate() -> None:
        turn = 0
        while not ended.wait(0.0005):
            turn += 1
            gcp.google.put(as_document(keys[turn % len(keys)]))

    rotator = threading.Thread(target=rotate)
    rotator.start()
    seen = set()
    reference = gcp.reference(transport)
    # gRPC connects anew for each load: fewer of them show the same
    try:
        for _ in range(1000 if transport == "rest" else 300):
            record = load(reference)
            found = revealed(record)
            assert found == pairs[found[1]]
            assert record.version is not None
            data, _state = gcp.google.secret.versions[int(record.version) - 1]
            assert found[1].encode() in data
            seen.add(found[1])
    finally:
        ended.set()
        rotator.join()
    assert len(seen) > 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("gcp-sm:", "gcp-sm://my-project/twilio"),
        ("gcp-sm://twilio", "gcp-sm://my-project/twilio"),
        ("gcp-sm://projects/p/secrets/s", "gcp-sm://my-project/twilio"),
        ("gcp-sm://my-project/a.b", "gcp-sm://my-project/twilio"),
        ("gcp-sm://my-project/tw%0Ailio", "gcp-sm://my-project/twilio"),
        ("gcp-sm://my-project/twilio?version=0", "option version"),
        ("gcp-sm://my-project/twilio?version=", "option version"),
        ("gcp-sm://my-project/twilio?version=1/../2", "option version"),
        ("gcp-sm://my-project/twilio?location=evil.example/", "option location"),
        ("gcp-sm://my-project/twilio?location=", "option location"),
        ("gcp-sm://my-project/twilio?transport=soap", "option transport"),
        ("gcp-sm://my-project/twilio?endpoint=", "option endpoint"),
        ("gcp-sm://my-project/twilio?endpoint=https://h.example/path", "option endpoint"),
        ("gcp-sm://my-project/twilio?endpoint=https://[", "option endpoint"),
        ("gcp-sm://my-project/twilio?stage=x", "nothing reads"),
    ],
)
def test_a_reference_that_cannot_be_read(text: str, words: str) -> None:
    error = refused(lambda: backend(text))
    assert codes(error) == ["ST302"]
    assert words in str(error)


def test_a_timeout_that_is_none(gcp: Servers) -> None:
    assert codes(refused(lambda: load(gcp.reference(options="&timeout=soon")))) == ["ST302"]


@pytest.mark.parametrize(
    "endpoint", ["http://localhost:1", "http://10.0.0.1", "https://user:word@host.example"]
)
def test_plain_http_goes_nowhere_but_to_this_machine(endpoint: str) -> None:
    error = refused(lambda: backend(f"gcp-sm://my-project/twilio?endpoint={endpoint}"))
    assert codes(error) == ["ST339"]
    assert "user:word" not in str(error)


@given(
    st.text(max_size=40),
    st.dictionaries(
        st.sampled_from(["version", "location", "transport", "endpoint"]), st.text(max_size=20)
    ),
)
def test_any_reference_is_read_or_refused(path: str, options: dict[str, str]) -> None:
    """Whatever is taken makes a resource name of as many parts as Google's have."""
    from urllib.parse import quote, urlencode

    text = f"gcp-sm://{quote(path)}?{urlencode(options)}"
    try:
        place = backend(text)._place
    except BackendError as error:
        assert codes(error) in (["ST302"], ["ST339"])  # noqa: PT017
        return
    parts = place.version(options.get("version", "latest")).split("/")
    assert len(parts) == (8 if "location" in options else 6)
    assert all(part.isascii() and part.isprintable() and " " not in part for part in parts)


@given(st.binary(max_size=4096))
def test_the_checksum_is_googles(data: bytes) -> None:
    assert crc32c(data) == their_crc32c(data)


def test_nothing_of_googles_is_imported_before_it_is_used(tmp_path: Path) -> None:
    program = (
        "import sys, safetwilio\n"
        "import safetwilio.backends.gcp_sm, safetwilio.backends.aws_sm\n"
        "from safetwilio.backends.locate import open_backend, parse\n"
        "open_backend(parse('gcp-sm://my-project/twilio', place='x')[0])\n"
        "print([name for name in sys.modules if name.split('.')[0] in ('google', 'grpc')])\n"
    )
    done = run_python("-c", program, cwd=tmp_path, environment={})
    assert done.stdout.strip() == "[]", done.stderr


FORK = """
import os, sys, threading, warnings
warnings.simplefilter("ignore", DeprecationWarning)  # fork with threads: the point of this test
from safetwilio.backends.locate import open_backend, parse
opened = open_backend(parse(sys.argv[1], place="the test")[0])
def sid():
    return opened.load(None).record.fields["key_sid"].reveal()
before = sid()
children = []
for _ in range(3):
    child = os.fork()
    if child == 0:
        os._exit(0 if {sid() for _ in range(20)} == {before} else 1)
    children.append(child)
print(before, sid(), *(os.waitstatus_to_exitcode(os.waitpid(c, 0)[1]) for c in children))
"""


@pytest.mark.skipif("not hasattr(__import__('os'), 'fork')", reason="there is no fork here")
def test_children_of_a_fork_have_clients_of_their_own(
    gcp: Servers, key: Key, tmp_path: Path
) -> None:
    gcp.google.put(as_document(key))
    done = run_python(
        "-c", FORK, gcp.reference(options="&timeout=15"), cwd=tmp_path, environment={}
    )
    assert done.stdout.split() == [key.sid, key.sid, "0", "0", "0"], done.stderr
