"""``dotenv-vault:`` with npm's own vectors, with our own encryptor, and with what is broken."""

from __future__ import annotations

import base64
import os
import secrets
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from dotenv_vault_reports import encrypt, uri, vault
from hypothesis import given, settings
from hypothesis import strategies as st

import safetwilio
from safetwilio.backends.dotenv_vault import DotenvVaultBackend
from safetwilio.backends.interface import Absent, WritableBackend
from safetwilio.backends.locate import open_backend, parse
from safetwilio.errors import BackendError
from safetwilio.testing import EmulatorServer
from support import (
    Key,
    assert_silent,
    caught,
    clean_environment,
    codes,
    leaks,
    new_key,
    refused,
    run_python,
    write,
)

if TYPE_CHECKING:
    from safetwilio.backends.interface import Record

VECTORS = Path(__file__).resolve().parent / "vectors"
sys.path.append(str(VECTORS))

import make_dotenv_vault as vectors  # noqa: E402

VARIABLE = "DOTENV_KEY"


@pytest.fixture(autouse=True)
def _surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(VARIABLE, raising=False)


def digits() -> str:
    return secrets.token_hex(32)


def backend(text: str = "dotenv-vault:.env.vault") -> DotenvVaultBackend:
    (reference,) = parse(text, place="the test")
    opened = open_backend(reference)
    assert isinstance(opened, DotenvVaultBackend)
    return opened


def load(text: str = "dotenv-vault:.env.vault", account: str | None = None) -> Record:
    answer = backend(text).load(account)
    assert not isinstance(answer, Absent), answer
    return answer.record


def key_in(record: Record) -> Key:
    return Key(*(record.fields[name].reveal() for name in ("account_sid", "key_sid", "secret")))


def one_line(error: BaseException) -> str:
    return " ".join(str(error).split())


def put(monkeypatch: pytest.MonkeyPatch, text: str | bytes, environment: str = "production") -> str:
    """Encrypt *text* for *environment*, set its key, and return the key's digits."""
    made = digits()
    write(Path(".env.vault"), vault(**{environment: encrypt(text, made)}))
    monkeypatch.setenv(VARIABLE, uri(made, environment))
    return made


@pytest.mark.parametrize(
    ("environment", "secret"), [("production", vectors.SECRET), ("staging", vectors.OTHER)]
)
def test_what_npms_tool_encrypted_is_read(
    monkeypatch: pytest.MonkeyPatch, environment: str, secret: str
) -> None:
    """Committed; staging has a BOM, CRLF, quotes, export, and a name that is there twice."""
    keys = vectors.keys_in(vectors.KEYS.read_text(encoding="utf-8"))
    assert keys == vectors.given_keys()
    monkeypatch.setenv(VARIABLE, keys[environment])
    record = load(f"dotenv-vault:{vectors.VAULT}")
    assert key_in(record) == (vectors.ACCOUNT, vectors.KEY, secret)
    assert record.problems == ()
    assert f"dotenv_vault.vault, {environment}, line" in record.fields["secret"].place


def test_an_environment_without_a_key_is_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, vectors.given_keys()["empty"])
    answer = backend(f"dotenv-vault:{vectors.VAULT}").load(None)
    assert isinstance(answer, Absent)
    assert {each.outcome for each in answer.attempts} == {"not in the encrypted file"}


def test_the_environment_of_the_key_chooses(monkeypatch: pytest.MonkeyPatch, key: Key) -> None:
    one, two, other = digits(), digits(), new_key()
    text = vault(ci=encrypt(key.dotenv(), one), production_local=encrypt(other.dotenv(), two))
    write(Path(".env.vault"), text)
    monkeypatch.setenv(VARIABLE, uri(one, "ci"))
    first = load("dotenv-vault")
    monkeypatch.setenv(VARIABLE, uri(two, "Production_Local"))
    second = load()
    assert (key_in(first), key_in(second)) == (key, other)
    assert first.version != second.version
    assert load().version == second.version


def test_keys_are_tried_in_order(monkeypatch: pytest.MonkeyPatch, key: Key) -> None:
    """As npm's dotenv has it: whatever is wrong with one, the next one is tried."""
    made = put(monkeypatch, key.dotenv())
    for before in (uri(digits()), uri(digits(), "nowhere"), "no key at all", ""):
        monkeypatch.setenv(VARIABLE, f" {before} , {uri(made)} ")
        assert key_in(load()) == key
    other, more = new_key(), digits()
    text = vault(production=encrypt(key.dotenv(), made), ci=encrypt(other.dotenv(), more))
    write(Path(".env.vault"), text)
    monkeypatch.setenv(VARIABLE, f"{uri(more, 'ci')},{uri(made)}")
    assert key_in(load()) == other


def test_a_named_account(monkeypatch: pytest.MonkeyPatch, key: Key) -> None:
    put(monkeypatch, new_key().dotenv() + key.dotenv("billing"))
    assert key_in(load(account="billing")) == key


def test_others_may_read_the_file(monkeypatch: pytest.MonkeyPatch, key: Key) -> None:
    """It is made to be committed."""
    put(monkeypatch, key.dotenv())
    Path(".env.vault").chmod(0o644)
    assert load().problems == ()


def test_no_file_is_absent_whatever_the_key_is(monkeypatch: pytest.MonkeyPatch) -> None:
    for value in ("", "no key", uri(digits())):
        monkeypatch.setenv(VARIABLE, value)
        answer = backend().load(None)
        assert isinstance(answer, Absent)
        assert [tuple(each) for each in answer.attempts] == [
            ("dotenv-vault", ".env.vault", "no such file")
        ]


def test_no_key(monkeypatch: pytest.MonkeyPatch, key: Key) -> None:
    put(monkeypatch, key.dotenv())
    for value in ("", "  "):
        monkeypatch.setenv(VARIABLE, value)
        error = refused(load)
        assert codes(error) == ["ST331"]
        assert "env DOTENV_KEY is not set" in one_line(error)
        assert "it is in .env.keys" in one_line(error)


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ("{0}", "key 1 of DOTENV_KEY is no URI with 64 hex digits"),
        ("dotenv://:key_{0}@dotenvx.com/vault", "key 1 of DOTENV_KEY has no environment="),
        ("dotenv://:key_{0}@h/?environment=", "has no environment="),
        ("dotenv://:key_{0}@h/?environment=a/b", "has no environment="),
        ("dotenv://key_{0}@h/?environment=production", "is no URI with 64 hex digits"),
        ("dotenv://:key_{1}@h/?environment=production", "is no URI with 64 hex digits"),
        ("dotenv://:key_{0}g@h/?environment=production", "is no URI with 64 hex digits"),
        ("dotenv://[:key_{0}@h/?environment=production", "is no URI with 64 hex digits"),
        ("'dotenv://:key_{1}', ,", "key 3 of DOTENV_KEY is no URI with 64 hex digits"),
    ],
)
def test_what_is_no_key(monkeypatch: pytest.MonkeyPatch, key: Key, form: str, words: str) -> None:
    made = put(monkeypatch, key.dotenv())
    monkeypatch.setenv(VARIABLE, form.format(made, made[1:]))
    error = refused(load)
    assert codes(error) == ["ST331"]
    assert words in one_line(error)
    assert_silent(error.with_traceback(None), [made, *key])


def test_however_many_keys_there_are_the_report_is_short(monkeypatch: pytest.MonkeyPatch) -> None:
    put(monkeypatch, "")
    monkeypatch.setenv(VARIABLE, ",".join([uri(digits()), *("x" * 5_000)]))
    error = refused(load)
    assert codes(error) == ["ST334"]
    assert len(str(error)) < 2_000


def test_a_key_for_another_environment(monkeypatch: pytest.MonkeyPatch, key: Key) -> None:
    made = put(monkeypatch, key.dotenv())
    monkeypatch.setenv(VARIABLE, uri(made, "staging"))
    error = refused(load)
    assert codes(error) == ["ST334"]
    assert "key 1: the file has no DOTENV_VAULT_STAGING" in one_line(error)
    assert "The file has: DOTENV_VAULT_PRODUCTION." in one_line(error)
    assert_silent(error.with_traceback(None), [made, *key])


def test_a_key_that_does_not_open_it(monkeypatch: pytest.MonkeyPatch, key: Key) -> None:
    made = put(monkeypatch, key.dotenv())
    wrong = digits()
    monkeypatch.setenv(VARIABLE, f"{uri(wrong)},x")
    error = refused(load)
    assert codes(error) == ["ST334"]
    words = "DOTENV_VAULT_PRODUCTION; key 2 of DOTENV_KEY is no URI with 64 hex digits"
    assert f"key 1 does not open {words}" in one_line(error)
    assert_silent(error.with_traceback(None), [made, wrong, *key])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "has no DOTENV_VAULT_… line"),
        ("TWILIO_API_KEY=x\n", "has no DOTENV_VAULT_… line"),
        ('DOTENV_VAULT_PRODUCTION="QUJD\n', "line 1 cannot be read"),
        ("DOTENV_VAULT_PRODUCTION=QUJD\n", "cut off or changed"),
        ("DOTENV_VAULT_PRODUCTION='not base64!'\n", "cut off or changed"),
        (vault(production="é"), "cut off or changed"),
    ],
)
def test_a_file_that_is_no_vault(monkeypatch: pytest.MonkeyPatch, text: str, words: str) -> None:
    write(Path(".env.vault"), text)
    monkeypatch.setenv(VARIABLE, uri(digits()))
    error = refused(load)
    assert codes(error) == ["ST333"]
    assert words in one_line(error)


def test_a_file_that_is_no_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, uri(digits()))
    for data in (b"\xff\xfe", b"\0", b"a" * (300 << 10)):
        write(Path(".env.vault"), data)
        assert codes(refused(load)) == ["ST308"]


def test_what_was_encrypted_is_not_utf_8(monkeypatch: pytest.MonkeyPatch, key: Key) -> None:
    put(monkeypatch, key.dotenv().encode("utf-16"))
    error = refused(load)
    assert codes(error) == ["ST333"]
    assert_silent(error.with_traceback(None), key)


def test_nothing_is_filled_in(monkeypatch: pytest.MonkeyPatch, key: Key) -> None:
    """``${…}`` in a value of ours is refused; in one of somebody else it is nobody's concern."""
    monkeypatch.setenv("ELSEWHERE", key.secret)
    put(monkeypatch, key.dotenv() + "URL=${HOST}/${URL}\n")
    assert key_in(load()) == key
    put(monkeypatch, key.dotenv() + "TWILIO_API_SECRET='${ELSEWHERE}'\n")
    error = refused(load)
    assert codes(error) == ["ST333"]
    assert ".env.vault, production, line 4, TWILIO_API_SECRET: it refers to" in one_line(error)
    assert_silent(error.with_traceback(None), key)


def test_a_line_that_cannot_be_read(monkeypatch: pytest.MonkeyPatch, key: Key) -> None:
    put(monkeypatch, key.dotenv() + "A='open\n")
    assert [problem.code for problem in load().problems] == ["ST304"]
    put(monkeypatch, f"TWILIO_API_KEY={key.sid}\nTWILIO_API_SECRET='{key.secret}\n")
    error = refused(load)
    assert codes(error) == ["ST333"]
    assert "production, line 2 cannot be read" in one_line(error)
    assert_silent(error.with_traceback(None), key)


def test_half_a_pair_is_said_by_the_boot(monkeypatch: pytest.MonkeyPatch, key: Key) -> None:
    put(monkeypatch, f"TWILIO_ACCOUNT_SID={key.account}\nTWILIO_API_KEY={key.sid}\n")
    monkeypatch.setenv("SAFETWILIO_BACKEND", "dotenv-vault:.env.vault")
    error = refused(safetwilio.boot)
    assert codes(error) == ["ST101"]
    assert_silent(error.with_traceback(None), key)


def test_a_boot_and_a_message_through_the_emulator(monkeypatch: pytest.MonkeyPatch) -> None:
    with EmulatorServer() as server:
        known = server.emulator
        key = Key(known.account.sid, known.standard_key.sid, known.standard_key.secret)
        put(monkeypatch, key.dotenv())
        monkeypatch.setenv("SAFETWILIO_EMULATOR", server.url)
        monkeypatch.setenv("SAFETWILIO_BACKEND", "dotenv-vault:.env.vault")
        health = safetwilio.boot()
        client = safetwilio.get_client()
        client.messages.create(to="+15005550006", from_="+15005550009", body="from a vault")
        assert [message.body for message in known.messages] == ["from a vault"]
    assert health.accounts[0].source == "dotenv-vault:.env.vault"


def test_the_key_of_the_vault_is_redacted_from_then_on(
    monkeypatch: pytest.MonkeyPatch, key: Key
) -> None:
    from safetwilio.redaction import redact

    made = put(monkeypatch, key.dotenv())
    load()
    assert leaks(redact(f"{uri(made)} {key.secret}"), [made, key.secret]) == []


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_any_text_survives_the_round_trip(data: st.DataObject) -> None:
    """Whatever else is in the file, and whatever the key is."""
    from pydantic import SecretStr

    from safetwilio.backends.dotenv_vault import _decoded, _decrypted

    text = data.draw(st.text())
    made = data.draw(st.binary(min_size=32, max_size=32)).hex()
    sealed = _decoded(encrypt(text.encode("utf-8", "replace"), made))
    assert sealed is not None
    opened = _decrypted(sealed, SecretStr(made))
    assert opened is not None
    assert opened.reveal() == text.encode("utf-8", "replace")


def test_no_corruption_is_ever_a_record(monkeypatch: pytest.MonkeyPatch, key: Key) -> None:
    """One or more characters of the base64 changed, dropped or added: ST333 or ST334."""
    made = put(monkeypatch, key.dotenv())
    whole = encrypt(key.dotenv(), made)
    alphabet = st.characters(codec="ascii", exclude_characters="\"\\'", exclude_categories=["Cc"])

    @given(st.data())
    @settings(max_examples=300, deadline=None)
    def corrupt(data: st.DataObject) -> None:
        start = data.draw(st.integers(0, len(whole)))
        end = data.draw(st.integers(start, min(len(whole), start + 4)))
        changed = whole[:start] + data.draw(st.text(alphabet, max_size=4)) + whole[end:]
        write(Path(".env.vault"), vault(production=changed))
        if changed == whole:
            assert key_in(load()) == key
            return
        error = caught(lambda: backend().load(None))
        assert isinstance(error, BackendError), "never a record, and never Absent"
        assert codes(error)[0] in {"ST333", "ST334"}
        assert_silent(error.with_traceback(None), [made, *key])

    corrupt()


def test_a_bit_of_any_byte_changed_is_never_a_record(
    monkeypatch: pytest.MonkeyPatch, key: Key
) -> None:
    made = put(monkeypatch, key.dotenv())
    whole = base64.b64decode(encrypt(key.dotenv(), made))
    for position in range(len(whole)):
        changed = bytearray(whole)
        changed[position] ^= 1 << (position % 8)
        write(Path(".env.vault"), vault(production=base64.b64encode(changed).decode()))
        assert codes(refused(load)) == ["ST334"]
    for length in range(len(whole)):
        write(Path(".env.vault"), vault(production=base64.b64encode(whole[:length]).decode()))
        error = refused(load)
        assert codes(error)[0] in {"ST333", "ST334"}


@given(st.text(max_size=200))
@settings(max_examples=300, deadline=None)
def test_no_text_is_taken_for_a_key_by_mistake(text: str) -> None:
    from safetwilio.backends.dotenv_vault import _parse, _Tries

    tries = _Tries()
    key = _parse(text, 1, tries)
    assert (key is None) == (len(tries.malformed) == 1)
    assert leaks(" ".join(tries.malformed), [text] if len(text) > 20 else []) == []


@pytest.mark.parametrize(
    "text", ["dotenv-vault:.env.vault?timeout=5", "dotenv-vault:.env.vault#production"]
)
def test_there_are_no_options(text: str) -> None:
    assert codes(refused(lambda: backend(text))) == ["ST302"]


def test_it_is_for_reading_and_init_says_so(tmp_path: Path) -> None:
    assert not isinstance(backend(), WritableBackend)
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "safetwilio.cli.main",
            "init",
            "--backend",
            "dotenv-vault:.env.vault",
        ],
        cwd=tmp_path,
        env=clean_environment(COLUMNS="400"),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode != 0
    words = " ".join(done.stderr.split())
    assert "safetwilio cannot write to dotenv-vault:.env.vault." in words
    assert "npx @dotenvx/dotenvx-ext-vault encrypt, or npx dotenv-vault push" in words
    assert list(tmp_path.iterdir()) == []


def test_cryptography_is_imported_when_something_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: Key
) -> None:
    put(monkeypatch, key.dotenv())
    program = (
        "import sys, safetwilio\nfrom safetwilio.backends.locate import open_backend, parse\n"
        "backend = open_backend(parse('dotenv-vault', place='here')[0])\n"
        "def there(): return any(name.split('.')[0] == 'cryptography' for name in sys.modules)\n"
        "before = there()\nbackend.load(None)\nprint(before, there())"
    )
    done = run_python("-c", program, cwd=tmp_path, environment={VARIABLE: os.environ[VARIABLE]})
    assert done.stdout.strip() == "False True", done.stderr


def test_without_cryptography_the_report_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: Key
) -> None:
    put(monkeypatch, key.dotenv())
    program = "import sys; sys.modules['cryptography'] = None\nfrom safetwilio import client"
    surroundings = {"SAFETWILIO_BACKEND": "dotenv-vault", VARIABLE: os.environ[VARIABLE]}
    done = run_python("-c", program, cwd=tmp_path, environment=surroundings)
    assert "[ST901]" in done.stderr
    assert 'pip install "safetwilio[dotenv-vault]"' in done.stderr
    assert leaks(done.stderr, key) == []
