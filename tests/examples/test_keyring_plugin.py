"""The sample plug-in: found by its entry point, kept to the contract, booted and written to."""

from __future__ import annotations

import json
import os
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import keyring
import pytest
from file_keyring import PATH, FileKeyring
from keyring.backends import fail, null
from pydantic import SecretStr
from typing_extensions import override

from safetwilio.backends.interface import WritableBackend
from safetwilio.backends.locate import open_backend, parse
from safetwilio.testing import EmulatorServer
from safetwilio.testing.backends import BackendContract, Breakage
from support import Key, assert_silent, codes, leaks, new_key, refused, run_python, write

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator, Mapping

    from safetwilio.errors import ConfigurationError

PLUGIN = Path(__file__).parents[2] / "examples" / "keyring_backend"
PROJECT = tomllib.loads((PLUGIN / "pyproject.toml").read_text())["project"]
SERVICE, USER = "app", "twilio"
REFERENCE = f"keyring://{SERVICE}"


@pytest.fixture(autouse=True)
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let the plug-in be found as its package declares it; return the directory to look in."""
    site = tmp_path / "site"
    info = site / "safetwilio_keyring-0.dist-info"
    write(info / "METADATA", f"Metadata-Version: 2.1\nName: {PROJECT['name']}\nVersion: 0\n")
    groups = [
        f"[{group}]\n" + "".join(f"{name} = {target}\n" for name, target in points.items())
        for group, points in PROJECT["entry-points"].items()
    ]
    write(info / "entry_points.txt", "\n".join(groups))
    monkeypatch.syspath_prepend(str(PLUGIN))
    monkeypatch.syspath_prepend(str(site))
    return site


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FileKeyring]:
    """Give this process a keyring of its own, and the plug-in a directory for its locks."""
    before = keyring.get_keyring()
    monkeypatch.setenv(PATH, str(tmp_path / "keyring.json"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    mine = FileKeyring()
    keyring.set_keyring(mine)
    yield mine
    mine.lets_go.set()
    keyring.set_keyring(before)


class TestKeyring(BackendContract):
    """What every backend keeps to; this class is the part to copy into a plug-in of your own."""

    unsupported: ClassVar = {}

    @pytest.fixture(autouse=True)
    def _place(self, place: FileKeyring) -> None:
        self.place = place

    @override
    def reference(self) -> str:
        return REFERENCE

    @override
    def put(self, document: Mapping[str, str]) -> None:
        self.place.locked = False
        keyring.set_keyring(self.place)
        self.place.set_password(SERVICE, USER, json.dumps(dict(document)))

    @override
    def remove(self) -> None:
        self.place.delete_password(SERVICE, USER)

    @override
    def breakages(self) -> Mapping[str, Breakage]:
        return {
            "no JSON": Breakage(self._cut, "ST333"),
            "locked": Breakage(self._lock, "ST331"),
            "no keyring": Breakage(lambda _: keyring.set_keyring(fail.Keyring()), "ST332"),
        }

    def _cut(self, document: Mapping[str, str]) -> None:
        self.place.set_password(SERVICE, USER, json.dumps(dict(document))[:-2])

    def _lock(self, document: Mapping[str, str]) -> None:
        self.put(document)
        self.place.locked = True  # what it raises then quotes all items

    @override
    def unreachable(self) -> Mapping[str, float]:
        return {"keyring://slow?timeout=0.3": 0.3}

    @override
    def contents(self) -> Mapping[str, object]:
        return dict(json.loads(self.place.get_password(SERVICE, USER) or "{}"))

    @override
    def unwritable(self) -> str:
        return "keyring://locked"


def writable(text: str = REFERENCE) -> WritableBackend:
    backend = open_backend(parse(text, place="the test")[0])
    assert isinstance(backend, WritableBackend)
    return backend


def fields(key: Key) -> dict[str, SecretStr]:
    names = ("account_sid", "key_sid", "secret")
    return {name: SecretStr(text) for name, text in zip(names, key, strict=True)}


def reason(error: ConfigurationError) -> str:
    return error.problems[0].found_in[-1]


def test_a_keyring_that_keeps_nothing_is_refused_before_a_key_is_made() -> None:
    keyring.set_keyring(null.Keyring())
    error = refused(writable().require_writable)
    assert codes(error) == ["ST340"]
    assert "keeps nothing" in reason(error)


def test_an_item_that_is_refused_is_not_shown(key: Key) -> None:
    save, given = writable("keyring://refuses").save, fields(key)
    error = refused(lambda: save(given, account=None))
    assert (codes(error), reason(error)) == (["ST340"], "it refused the item")
    assert_silent(error, [key.secret])


def test_a_keyring_that_cuts_what_it_takes_is_found_out(key: Key, place: FileKeyring) -> None:
    """Windows has a limit, and not every backend tells."""
    place.longest = 40
    save, given = writable().save, fields(key)
    error = refused(lambda: save(given, account=None))
    assert (codes(error), reason(error)) == (
        ["ST340"],
        "it took the item, and gave another one back",
    )
    assert_silent(error, [key.secret])


def test_a_lock_that_cannot_be_made_is_said(key: Key, tmp_path: Path) -> None:
    write(tmp_path / "data", "a file where a directory should be")
    save, given = writable().save, fields(key)
    error = refused(lambda: save(given, account=None))
    assert codes(error) == ["ST340"]
    assert str(tmp_path / "data") in reason(error)


@pytest.mark.parametrize("text", ["keyring:", "keyring://", "keyring://a?usr=b", "keyring://a#b"])
def test_a_reference_that_cannot_be_meant(text: str) -> None:
    assert codes(refused(lambda: writable(text))) == ["ST302"]


def test_another_user_is_another_item(key: Key, place: FileKeyring) -> None:
    writable(f"{REFERENCE}?user=other").save(fields(key), account=None, replaces="")
    assert place.get_password(SERVICE, USER) is None
    assert json.loads(place.get_password(SERVICE, "other") or "") == key.environment()


def test_two_keyrings_may_hold_two_accounts(key: Key, place: FileKeyring) -> None:
    other = new_key()
    writable().save(fields(key), account=None)
    writable().save(fields(other), account="marketing")
    said = json.loads(place.get_password(SERVICE, USER) or "")
    assert said == key.environment() | other.environment("marketing")


class Laptop:
    """A directory, an emulated Twilio, and Python processes that find the plug-in."""

    def __init__(self, server: EmulatorServer, directory: Path, site: Path) -> None:
        """Give each process the keyring of this test."""
        self.emulator = server.emulator
        self._directory = directory
        self._environment = {
            "PYTHONPATH": os.pathsep.join(map(str, (site, PLUGIN, Path(__file__).parent))),
            "PYTHON_KEYRING_BACKEND": "file_keyring.FileKeyring",
            "SAFETWILIO_EMULATOR": server.url,
        }

    def run(self, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Run Python; nothing it says is a secret."""
        done = run_python(*words, cwd=self._directory, environment=self._environment | more)
        keys = [key for _, key in self.emulator.account.keys.newest_first()]
        secrets = [self.emulator.account.auth_token, *(key.secret for key in keys)]
        assert leaks(done.stdout + done.stderr, secrets) == []
        return done


@pytest.fixture
def laptop(tmp_path: Path, installed: Path) -> Iterator[Laptop]:
    with EmulatorServer() as server:
        yield Laptop(server, tmp_path, installed)


_INIT = """
import io, sys
from safetwilio.cli.main import main
sys.stdin = io.StringIO(sys.argv[1] + "\\n")
sys.exit(main(["init", "--account-sid", sys.argv[2], "--token-stdin", *sys.argv[3:]]))
"""
_SEND = """
from safetwilio import client
client.messages.create(to="+15005550006", from_="+15005550009", body="from the keyring")
"""


def init(laptop: Laptop, *words: str) -> subprocess.CompletedProcess[str]:
    account = laptop.emulator.account
    return laptop.run("-c", _INIT, account.auth_token, account.sid, *words)


def test_a_key_is_made_into_the_keyring_and_a_message_sent(
    laptop: Laptop, place: FileKeyring, tmp_path: Path
) -> None:
    done = init(laptop, "--backend", REFERENCE)
    assert done.returncode == 0, done.stderr
    assert f"  kept in  {REFERENCE}\n" in done.stderr
    assert f"its environment says SAFETWILIO_BACKEND={REFERENCE}" in done.stderr
    assert not (tmp_path / ".env").exists()
    _, made = next(iter(laptop.emulator.account.keys.newest_first()))
    said = json.loads(place.get_password(SERVICE, USER) or "")
    assert said == Key(laptop.emulator.account.sid, made.sid, made.secret).environment()

    sent = laptop.run("-c", _SEND, SAFETWILIO_BACKEND=REFERENCE)
    assert sent.returncode == 0, sent.stderr
    assert [message.body for message in laptop.emulator.messages] == ["from the keyring"]

    again = init(laptop, "--backend", REFERENCE)
    assert again.returncode == 0
    assert again.stderr.startswith(f"{REFERENCE} holds an API key already; nothing was changed.")


def test_the_message_names_the_options_that_are_not_shown(laptop: Laptop) -> None:
    done = init(laptop, "--backend", f"{REFERENCE}?user=me")
    assert done.returncode == 0, done.stderr
    assert f"SAFETWILIO_BACKEND={REFERENCE}, with the same options" in done.stderr


def test_the_boot_says_where_it_looked(laptop: Laptop) -> None:
    done = laptop.run("-c", "import safetwilio; safetwilio.boot()", SAFETWILIO_BACKEND=REFERENCE)
    assert done.returncode == 1
    assert "[ST104] There is no Twilio API key." in done.stderr
    assert f'keyring  {SERVICE}  no item of user "{USER}"' in done.stderr


@pytest.mark.parametrize(("service", "code"), [("locked", "ST331"), ("slow?timeout=0.3", "ST332")])
def test_a_keyring_out_of_order_stops_init_before_a_key_is_made(
    laptop: Laptop, service: str, code: str
) -> None:
    done = init(laptop, "--backend", f"keyring://{service}")
    assert done.returncode == 1
    assert f"[{code}]" in done.stderr
    assert not [r for r in laptop.emulator.requests if r.method == "POST"]


def test_its_page_names_each_code_that_it_raises() -> None:
    page = (PLUGIN / "README.md").read_text(encoding="utf-8")
    for code in ("ST104", "ST331", "ST332", "ST333", "ST338", "ST340"):
        assert f"| {code}" in page
