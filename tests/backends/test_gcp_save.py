"""Writing to ``gcp-sm:``: a new version, made only where nobody was in between, over both wires."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest
from gcp_google import EMAIL, NAME, PROJECT, Refusal
from gcp_server import (
    Servers,
    as_document,
    backend,
    clean,
    load,
    revealed,
    said,
    servers,
)
from pydantic import SecretStr

from safetwilio.backends.interface import WritableBackend
from safetwilio.errors import BackendError
from support import Key, Opaque, assert_silent, clean_environment, codes, new_key, refused

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BOTH = pytest.mark.parametrize("transport", ["rest", "grpc"])
FIELDS = ("account_sid", "key_sid", "secret")


@pytest.fixture(scope="module")
def all_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    with servers(tmp_path_factory.mktemp("gcp")) as started:
        yield started


@pytest.fixture
def gcp(all_servers: Servers, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Servers]:
    clean(monkeypatch, tmp_path)
    yield all_servers
    all_servers.google.reset()


def save(text: str, key: Opaque | Key, replaces: str | None = None) -> str:
    opened = backend(text)
    opened.require_writable()
    return opened.save(fields(key), account=None, replaces=replaces)


def fields(key: Opaque | Key) -> dict[str, SecretStr]:
    texts: Key = key.value if isinstance(key, Opaque) else key
    return {name: SecretStr(value) for name, value in zip(FIELDS, texts, strict=True)}


def not_saved(text: str, key: Key, replaces: str | None = None) -> BackendError:
    hidden = Opaque(key)  # our own frames are not what is looked at
    error = refused(lambda: save(text, hidden, replaces))
    assert isinstance(error, BackendError)
    assert_silent(error, [key.secret])
    return error


def test_it_is_writable(gcp: Servers) -> None:
    assert isinstance(backend(gcp.reference()), WritableBackend)


@BOTH
def test_a_new_version_keeps_what_else_is_there(gcp: Servers, key: Key, transport: str) -> None:
    gcp.google.put({**as_document(new_key()), "other": {"x": 1}, "key_type": "main"})
    assert save(gcp.reference(transport), key, "1") == f"gcp-sm://{PROJECT}/{NAME}"
    record = load(gcp.reference(transport))
    assert (revealed(record), record.version) == (key, "2")
    assert gcp.google.documents()[-1] == {**as_document(key), "other": {"x": 1}}


@BOTH
@pytest.mark.parametrize("location", [None, "europe-west3"])
def test_a_secret_is_made_if_there_is_none(
    gcp: Servers, key: Key, transport: str, location: str | None
) -> None:
    text = gcp.reference(transport, f"&location={location}" if location else "")
    backend(text).require_writable()
    assert not gcp.google.secrets, "looking makes nothing"
    save(text, key, "")
    assert revealed(load(text)) == key
    assert gcp.google.methods().count("CreateSecret") == 1


@BOTH
def test_a_secret_without_versions_is_filled(gcp: Servers, key: Key, transport: str) -> None:
    """Terraform makes it so; then no permission to make secrets is needed."""
    gcp.google.put("x")
    gcp.google.secret.versions.clear()
    gcp.google.denied = {"secretmanager.secrets.create"}
    save(gcp.reference(transport), key, "")
    assert revealed(load(gcp.reference(transport))) == key


@BOTH
def test_somebody_else_makes_the_secret_at_the_same_moment(
    gcp: Servers, key: Key, transport: str
) -> None:
    other = new_key()
    gcp.google.before["CreateSecret"] = lambda: gcp.google.put(as_document(other))
    error = not_saved(gcp.reference(transport), key, "")
    assert codes(error) == ["ST338"]
    assert revealed(load(gcp.reference(transport))) == other


@BOTH
@pytest.mark.parametrize("replaces", ["1", "3", ""])
def test_what_was_changed_before_is_not_written_over(
    gcp: Servers, key: Key, transport: str, replaces: str
) -> None:
    gcp.google.put(as_document(new_key()))
    gcp.google.put(as_document(new_key()))
    error = not_saved(gcp.reference(transport), key, replaces)
    assert codes(error) == ["ST338"]
    assert "Nothing was written" in said(error)
    assert len(gcp.google.secret.versions) == 2


@BOTH
def test_what_is_written_in_between_is_put_back_on_top(
    gcp: Servers, key: Key, transport: str
) -> None:
    """Google compares nothing when a version is added: we do, and give way."""
    gcp.google.put(as_document(new_key()))
    other = new_key()
    gcp.google.before["AddSecretVersion"] = lambda: gcp.google.put(as_document(other))
    error = not_saved(gcp.reference(transport), key, "1")
    assert codes(error) == ["ST338"]
    assert "version 2, which is there again as version 4" in said(error)
    assert revealed(load(gcp.reference(transport))) == other
    assert [state for _, state in gcp.google.secret.versions] == [
        "ENABLED",
        "ENABLED",
        "DISABLED",
        "ENABLED",
    ]


@BOTH
def test_what_is_written_after_ours_stays_on_top(gcp: Servers, key: Key, transport: str) -> None:
    gcp.google.put(as_document(new_key()))
    others = [new_key(), new_key()]

    def twice() -> None:
        gcp.google.put(as_document(others[0]))
        gcp.google.before["AccessSecretVersion"] = lambda: gcp.google.put(as_document(others[1]))

    gcp.google.before["AddSecretVersion"] = twice
    error = not_saved(gcp.reference(transport), key, "1")
    assert codes(error) == ["ST338"]
    assert "found version 4" in said(error)
    assert revealed(load(gcp.reference(transport))) == others[1]


@BOTH
def test_ours_that_cannot_be_taken_back_is_said_to_be_there(
    gcp: Servers, key: Key, transport: str
) -> None:
    """Disabling it alone would leave ``latest`` to open for nobody."""
    gcp.google.put(as_document(new_key()))

    def shut() -> None:
        gcp.google.put(as_document(new_key()))
        gcp.google.set_state("DISABLED")

    gcp.google.before["AddSecretVersion"] = shut
    error = not_saved(gcp.reference(transport), key, "1")
    assert codes(error) == ["ST338"]
    assert "Ours, version 3, could not be taken back" in said(error)
    assert revealed(load(gcp.reference(transport))) == key


@BOTH
def test_without_a_version_to_replace_the_last_one_wins(
    gcp: Servers, key: Key, transport: str
) -> None:
    gcp.google.put(as_document(new_key()))
    gcp.google.before["AddSecretVersion"] = lambda: gcp.google.put(as_document(new_key()))
    save(gcp.reference(transport), key)
    assert revealed(load(gcp.reference(transport))) == key


@BOTH
def test_an_alias_is_moved(gcp: Servers, key: Key, transport: str) -> None:
    gcp.google.put({**as_document(new_key()), "other": 1})
    gcp.google.put(as_document(new_key()))
    gcp.google.secret.aliases = {"live": 1, "old": 1}
    text = gcp.reference(transport, "&version=live")
    save(text, key, "1")
    assert (revealed(load(text)), load(text).version) == (key, "3")
    assert gcp.google.documents()[-1]["other"] == 1
    assert gcp.google.secret.aliases == {"live": 3, "old": 1}


@BOTH
def test_an_alias_that_was_moved_meanwhile_stays_where_it_is(
    gcp: Servers, key: Key, transport: str
) -> None:
    """Here Google itself compares, by the etag; nobody can come in between."""
    other = new_key()
    gcp.google.put(as_document(new_key()))
    gcp.google.secret.aliases = {"live": 1}

    def move() -> None:
        gcp.google.secret.aliases = {"live": gcp.google.put(as_document(other))}
        gcp.google.secret.changes += 1

    gcp.google.before["UpdateSecret"] = move
    text = gcp.reference(transport, "&version=live")
    error = not_saved(text, key, "1")
    assert codes(error) == ["ST338"]
    assert "The alias was not moved" in said(error)
    assert revealed(load(text)) == other
    assert [state for _, state in gcp.google.secret.versions] == [
        "ENABLED",
        "DISABLED",
        "ENABLED",
    ]


@BOTH
def test_many_writers_of_an_alias_never_lose_one(gcp: Servers, transport: str) -> None:
    """Each adds its name to what it read; whoever was told that it did is in the last version."""
    gcp.google.put({"api_key": "SK", "api_secret": "x"})
    gcp.google.secret.aliases = {"live": 1}
    text = gcp.reference(transport, "&version=live&timeout=15")
    told: list[str] = []

    def write(name: str) -> None:
        while True:
            opened = backend(text)
            version = load(text).version
            try:
                opened.save({"region": SecretStr(name)}, account=None, replaces=version)
            except BackendError as error:
                assert codes(error) == ["ST338"]  # noqa: PT017
                continue
            told.append(name)
            return

    writers = [threading.Thread(target=write, args=(f"r{n}",)) for n in range(4)]
    for each in writers:
        each.start()
    for each in writers:
        each.join()
    chain = [
        document["region"]
        for document, (_, state) in zip(
            gcp.google.documents(), gcp.google.secret.versions, strict=True
        )
        if state == "ENABLED" and "region" in document
    ]
    assert sorted(chain) == sorted(told) == ["r0", "r1", "r2", "r3"]


@BOTH
def test_an_alias_that_is_not_there(gcp: Servers, transport: str) -> None:
    text = gcp.reference(transport, "&version=live")
    error = refused(lambda: backend(text).save({}, account=None))
    assert codes(error) == ["ST302"]
    assert "leave version= out" in said(error)
    gcp.google.put(as_document(new_key()))
    for call in (backend(text).require_writable, lambda: backend(text).save({}, account=None)):
        error = refused(call)
        assert codes(error) == ["ST336"]
    assert "--update-version-aliases=live=NUMBER" in said(error)
    assert len(gcp.google.secret.versions) == 1


def test_a_number_is_not_written_to(gcp: Servers, key: Key) -> None:
    text = gcp.reference(options="&version=1")
    gcp.google.put(as_document(key))
    for call in (backend(text).require_writable, lambda: backend(text).save({}, account=None)):
        assert codes(refused(call)) == ["ST302"]


@BOTH
def test_who_may_not_add_is_told_before_a_key_is_made(
    gcp: Servers, key: Key, transport: str
) -> None:
    gcp.google.put(as_document(key))
    gcp.google.denied = {"secretmanager.versions.add"}
    error = refused(backend(gcp.reference(transport)).require_writable)
    assert codes(error) == ["ST330"]
    assert "secretmanager.versions.add" in said(error)
    assert "roles/secretmanager.secretVersionManager" in said(error)
    assert "AddSecretVersion" not in gcp.google.methods()
    gcp.google.secret.aliases = {"live": 1}
    gcp.google.denied = {"secretmanager.secrets.update"}
    error = refused(backend(gcp.reference(transport, "&version=live")).require_writable)
    assert "secretmanager.secrets.update" in said(error)


@BOTH
def test_a_server_that_tells_nobodys_permissions_is_no_obstacle(
    gcp: Servers, key: Key, transport: str
) -> None:
    gcp.google.put(as_document(new_key()))
    gcp.google.refusals.append(("TestIamPermissions", Refusal("NOT_FOUND", "no such method")))
    save(gcp.reference(transport), key, "1")
    assert revealed(load(gcp.reference(transport))) == key


@BOTH
@pytest.mark.parametrize(
    ("method", "refusal", "code", "words"),
    [
        ("AddSecretVersion", Refusal("PERMISSION_DENIED", "no"), "ST330", "secretVersionManager"),
        ("CreateSecret", Refusal("PERMISSION_DENIED", "no"), "ST330", "secrets.create"),
        ("AddSecretVersion", Refusal("INTERNAL", "no"), "ST332", "HTTP 500"),
        ("AddSecretVersion", Refusal("INVALID_ARGUMENT", "checksum"), "ST340", "INVALID_ARGUMENT"),
        ("CreateSecret", Refusal("INVALID_ARGUMENT", "policy"), "ST340", "INVALID_ARGUMENT"),
        ("AddSecretVersion", Refusal("FAILED_PRECONDITION", "KMS key off"), "ST334", "KMS"),
    ],
)
def test_what_google_refuses_to_write(  # noqa: PLR0913, PLR0917 - what, and what is said
    gcp: Servers, key: Key, transport: str, method: str, refusal: Refusal, code: str, words: str
) -> None:
    """What was there stays as it was."""
    if method == "AddSecretVersion":
        gcp.google.put(as_document(new_key()))
    gcp.google.refusals.append((method, refusal))
    error = not_saved(gcp.reference(transport), key)
    assert codes(error) == [code]
    assert words in said(error)
    assert len(gcp.google.secret.versions if gcp.google.secrets else []) in (0, 1)


@BOTH
def test_an_alias_that_we_may_not_move(gcp: Servers, key: Key, transport: str) -> None:
    gcp.google.put(as_document(new_key()))
    gcp.google.secret.aliases = {"live": 1}
    gcp.google.refusals.append(("UpdateSecret", Refusal("PERMISSION_DENIED", "no")))
    error = not_saved(gcp.reference(transport, "&version=live"), key, "1")
    assert codes(error) == ["ST330"]
    assert "secretmanager.secrets.update" in said(error)
    assert gcp.google.secret.aliases == {"live": 1}
    assert gcp.google.secret.versions[1][1] == "DISABLED"


@pytest.mark.parametrize("contents", ["NAME=value", "{", b"\xff", "[1]"])
def test_nothing_is_written_over_that_is_not_understood(
    gcp: Servers, key: Key, contents: str | bytes
) -> None:
    gcp.google.put(contents)
    error = not_saved(gcp.reference(), key)
    assert codes(error)[0] in {"ST333", "ST340"}
    assert len(gcp.google.secret.versions) == 1


SAVE = """
import sys
from pydantic import SecretStr
from safetwilio.backends.locate import open_backend, parse
opened = open_backend(parse(sys.argv[1], place="the test")[0])
opened.save({"region": SecretStr("ie1")}, account=None, replaces="1")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no kill -9 there")
def test_killed_while_it_saves(gcp: Servers, key: Key, tmp_path: Path) -> None:
    """Killed just before the alias moves: it still stands for the version that it stood for."""
    gcp.google.put(as_document(key))
    gcp.google.secret.aliases = {"live": 1}
    text = gcp.reference(options="&version=live&timeout=15")
    with subprocess.Popen(
        [sys.executable, "-c", SAVE, text], cwd=tmp_path, env=clean_environment()
    ) as process:

        def kill() -> None:
            process.kill()
            process.wait()
            gcp.google.secret.changes += 1  # what is left of the request is not carried out

        gcp.google.before["UpdateSecret"] = kill
    assert process.returncode == -signal.SIGKILL
    record = load(text)
    assert (revealed(record), record.version) == (key, "1")
    assert len(gcp.google.secret.versions) == 2


def test_the_role_to_grant_names_who_asked(
    gcp: Servers, key: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(gcp.authority))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(gcp.login))
    gcp.google.refusals.append(("CreateSecret", Refusal("PERMISSION_DENIED", "no")))
    error = not_saved(gcp.reference(tls=True), key)
    assert f"--member=serviceAccount:{EMAIL} --role=roles/secretmanager.admin" in said(error)
