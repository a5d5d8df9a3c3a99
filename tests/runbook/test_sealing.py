"""Sealed files: what opens them, what is refused, and that nothing secret shows anywhere."""

from __future__ import annotations

import base64
import json
import os
import shlex
import stat
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyrage
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from safetwilio.errors import MissingExtra, SafeTwilioError, UsageError
from safetwilio.redaction.engine import redact
from safetwilio.runbook import sealing
from safetwilio.runbook.sealing import check_recipient, is_available, seal, unseal
from support import (
    Key,
    Opaque,
    assert_silent,
    auth_token,
    caught,
    clean_environment,
    key_secret,
    leaks,
    new_key,
    run_python,
    shown,
)

if TYPE_CHECKING:
    from collections.abc import Callable

posix = pytest.mark.skipif(os.name != "posix", reason="modes, FIFOs and kill are POSIX")


def fields(key: Key) -> dict[str, SecretStr]:
    return {"secret": SecretStr(key.secret), "key_sid": SecretStr(key.sid)}


def texts(found: dict[str, SecretStr]) -> dict[str, str]:
    return {name: value.get_secret_value() for name, value in found.items()}


def new_identity() -> SecretStr:
    return SecretStr(str(pyrage.x25519.Identity.generate()))


def public(identity: SecretStr) -> str:
    key = pyrage.x25519.Identity.from_str(identity.get_secret_value())
    return str(key.to_public())


def sealed(path: Path, key: Key) -> SecretStr:
    """Seal *key* into *path*, and return the identity made for it."""
    done = seal(fields(key), path, recipient=None)
    assert done.identity is not None
    return done.identity


def put(path: Path, plain: bytes) -> SecretStr:
    """Encrypt *plain* as somebody else would, who knows the recipient."""
    identity = new_identity()
    recipient = pyrage.x25519.Recipient.from_str(public(identity))
    path.write_bytes(pyrage.encrypt(plain, [recipient]))
    return identity


def refusal(call: Callable[[], object], code: str = "ST954") -> UsageError:
    error = caught(call)
    assert isinstance(error, UsageError), error
    assert error.code == code
    assert f"[{code}]" in str(error)
    return error


def opening(path: Path, identity: SecretStr | str) -> UsageError:
    """Return the refusal to open *path*, which shows nothing of *identity*."""
    given_one = identity if isinstance(identity, SecretStr) else SecretStr(identity)
    error = refusal(lambda: unseal(path, given_one))
    digits = given_one.get_secret_value().removeprefix("AGE-SECRET-KEY-").removeprefix("PQ-")
    assert_silent(error, [digits.removeprefix("1")])
    return error


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "run.age"


@pytest.fixture(scope="module", params=["ed25519", "rsa"])
def ssh_key(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the path of a private SSH key; its public one is beside it."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

    key: Any = ed25519.Ed25519PrivateKey.generate()
    if request.param == "rsa":
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    path = tmp_path_factory.mktemp("ssh") / "id"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.OpenSSH,
            serialization.NoEncryption(),
        )
    )
    line = key.public_key().public_bytes(
        serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    )
    path.with_suffix(".pub").write_bytes(line + b" somebody on a laptop\n")
    return path


# What is sealed is opened


def test_a_fresh_identity_opens_it(file: Path, key: Key) -> None:
    done = seal(fields(key), file, recipient=None)
    assert done.path == file
    assert done.identity is not None
    assert done.identity.get_secret_value().startswith("AGE-SECRET-KEY-1")
    assert texts(unseal(file, done.identity)) == texts(fields(key))


def test_each_file_has_an_identity_of_its_own(file: Path, key: Key) -> None:
    first, second = sealed(file, key), sealed(file, key)
    assert first != second
    opening(file, first)
    unseal(file, second)


def test_a_given_recipient_s_identity_opens_it(file: Path, key: Key) -> None:
    identity = new_identity()
    done = seal(fields(key), file, recipient=f" {public(identity)}\n")
    assert done == (file, None)
    assert texts(unseal(file, identity)) == texts(fields(key))


def test_white_space_and_case_of_the_identity_do_not_matter(file: Path, key: Key) -> None:
    text = sealed(file, key).get_secret_value()
    for other in (f" {text}\r\n", text.lower()):
        assert texts(unseal(file, SecretStr(other))) == texts(fields(key))


def test_an_ssh_key_opens_it_by_hand(file: Path, key: Key, ssh_key: Path) -> None:
    line = ssh_key.with_suffix(".pub").read_text()
    assert check_recipient(line) == line.strip()
    assert seal(fields(key), file, recipient=line).identity is None
    identity = pyrage.ssh.Identity.from_buffer(ssh_key.read_bytes())
    plain = json.loads(pyrage.decrypt(file.read_bytes(), [identity]))
    assert plain == {"safetwilio_sealed": 1, "fields": texts(fields(key))}
    error = opening(file, ssh_key.read_text())
    assert "It takes an SSH key, too, if the file was sealed to that." in str(error)
    assert f"age -d -i KEYFILE {file}" in str(error)
    assert "Either the identity is not the one" in str(opening(file, new_identity()))


@given(content=st.dictionaries(st.text(max_size=8), st.text(max_size=60), max_size=5))
def test_any_texts_come_back_as_they_were(
    tmp_path_factory: pytest.TempPathFactory, content: dict[str, str]
) -> None:
    file = tmp_path_factory.getbasetemp() / "any.age"
    done = seal({n: SecretStr(text) for n, text in content.items()}, file, recipient=None)
    assert done.identity is not None
    assert texts(unseal(file, done.identity)) == content


@pytest.mark.parametrize("text", ["\udc80" * 20, "\0", "\u2028\r\n", "\ufeff" + "a" * 20])
def test_odd_characters_come_back_too(file: Path, text: str) -> None:
    done = seal({text: SecretStr(text)}, file, recipient=None)
    assert done.identity is not None
    assert texts(unseal(file, done.identity)) == {text: text}


# Where it is kept


@posix
@pytest.mark.parametrize("before", [None, 0o644, 0o400])
def test_the_file_is_its_owner_s_alone(file: Path, key: Key, before: int | None) -> None:
    if before is not None:
        file.write_bytes(b"old")
        file.chmod(before)
    old = os.umask(0)
    try:
        sealed(file, key)
    finally:
        os.umask(old)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in file.parent.iterdir()] == [file.name]


@posix
def test_file_and_directory_are_on_disk(
    file: Path, key: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[bool] = []
    real = os.fsync

    def fsync(handle: int) -> None:
        synced.append(stat.S_ISDIR(os.fstat(handle).st_mode))
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    sealed(file, key)
    assert synced == [False, True]


def test_nothing_secret_stands_in_the_file(file: Path, key: Key) -> None:
    identity = sealed(file, key).get_secret_value()
    data = file.read_bytes()
    for secret in (key.secret, key.sid, identity):
        forms = {secret.encode(), base64.b64encode(secret.encode())[:-4]}
        forms |= {secret.encode().hex().encode(), secret.encode().hex().upper().encode()}
        assert not [form for form in forms if form in data]
    assert leaks(data.decode("latin-1"), [key.secret, key.sid, identity]) == []


@pytest.mark.parametrize("step", ["mkstemp", "fsync", "replace"])
def test_a_failure_on_the_way_leaves_what_was_there(
    file: Path, key: Key, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    file.write_bytes(b"old")
    hidden = Opaque(fields(key))
    where: Any = {"mkstemp": sealing.write_private.__globals__["tempfile"], "fsync": os}
    monkeypatch.setattr(where.get(step, Path), step, fail)
    error = caught(lambda: seal(hidden.value, file, recipient=None))
    monkeypatch.undo()
    assert isinstance(error, OSError)
    assert_silent(error, [key.secret])
    assert "write_private" not in shown(error)
    assert [path.read_bytes() for path in file.parent.iterdir()] == [b"old"]


_KILLED_AT = """\
import os, signal, sys, tempfile
from pathlib import Path

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

def then_die(function):
    def call(*arguments, **named):
        function(*arguments, **named)
        die()
    return call

step, path, recipient, secret = sys.argv[1:]
from pydantic import SecretStr
from safetwilio.runbook.sealing import seal
if step == "made":
    tempfile.mkstemp = then_die(tempfile.mkstemp)
elif step == "written":
    os.fsync = die
elif step == "synced":
    os.fsync = then_die(os.fsync)
elif step == "replacing":
    Path.replace = die
elif step == "replaced":
    Path.replace = then_die(Path.replace)
seal({"secret": SecretStr(secret)}, Path(path), recipient=recipient)
"""


@posix
@pytest.mark.parametrize("step", ["made", "written", "synced", "replacing", "replaced"])
@pytest.mark.parametrize("is_old", [True, False])
def test_killed_at_any_step_the_file_is_the_old_or_the_new(
    file: Path, key: Key, step: str, *, is_old: bool
) -> None:
    identity, old = new_identity(), new_key()
    if is_old:
        seal({"secret": SecretStr(old.secret)}, file, recipient=public(identity))
    done = subprocess.run(
        [sys.executable, "-c", _KILLED_AT, step, str(file), public(identity), key.secret],
        env=clean_environment(),
        umask=0,
        check=False,
    )
    assert done.returncode == -9
    for path in file.parent.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert leaks(path.read_bytes().decode("latin-1"), [key.secret]) == []
    if step == "replaced" or is_old:
        wanted = key if step == "replaced" else old
        assert texts(unseal(file, identity)) == {"secret": wanted.secret}
    else:
        assert not file.exists()


# What redaction knows


def test_the_fresh_identity_is_hidden_from_then_on(file: Path, key: Key) -> None:
    text = sealed(file, key).get_secret_value()
    for form in (text, text.lower(), base64.b64encode(text.encode()).decode(), text[20:60]):
        assert leaks(str(redact(f"identity={form}!")), [text[16:], text[16:].lower()]) == []


def test_messages_may_still_speak_of_identities(file: Path, key: Key) -> None:
    sealed(file, key)
    text = str(opening(file, "nothing of the kind"))
    assert "AGE-SECRET-KEY-1" in redact(text)


def test_what_was_unsealed_is_hidden_and_so_is_what_opened_it(file: Path) -> None:
    identity, secret, token, sid = new_identity(), key_secret(), auth_token(), new_key().sid
    content = {"secret": f"{secret}\n", "auth_token": token, "key_sid": sid, "short": "abc"}
    given_ones = {name: SecretStr(text) for name, text in content.items()}
    seal(given_ones, file, recipient=public(identity))
    assert secret in redact(secret)
    unseal(file, identity)
    assert "[TWILIO:secret:" in redact(f"it is {secret}")
    assert "[TWILIO:token:" in redact(f"it is {token}")
    assert redact("abc") == "abc"
    assert leaks(str(redact(identity.get_secret_value())), [identity.get_secret_value()[16:]]) == []


def test_sealing_shows_nothing_in_its_answer(file: Path, key: Key) -> None:
    done = seal(fields(key), file, recipient=None)
    assert done.identity is not None
    text = done.identity.get_secret_value()
    assert leaks(f"{done!r} {done}", [text[16:], key.secret]) == []


# Who may be a recipient


def not_recipients() -> dict[str, str]:
    one = public(new_identity())
    return {
        "nothing": "",
        "secret": key_secret(),
        "token": auth_token(),
        "one character more": f"{one}q",
        "one character less": one[:-1],
        "one character other": one[:-1] + ("q" if one[-1] != "q" else "p"),
        "upper case": one.upper(),
        "two lines": f"{one}\n{one}",
        "two of them": f"{one} {one}",
        "plugin": "age1yubikey1" + one[4:],
        "ssh without a key": "ssh-ed25519 AAAA",
        "ssh of another kind": "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTY=",
        "surrogate": "age1\udc80" + key_secret(),
        "NUL": f"{one}\0",
    }


@pytest.mark.parametrize("which", not_recipients())
def test_what_is_no_recipient_is_refused_unseen(which: str, file: Path, key: Key) -> None:
    hidden, content = Opaque(not_recipients()[which]), Opaque(fields(key))
    for call in (
        lambda: check_recipient(hidden.value),
        lambda: seal(content.value, file, recipient=hidden.value),
    ):
        error = refusal(call, "ST953")
        assert "no public key" in str(error)
        secrets = [hidden.value.removeprefix("age1").removeprefix("ssh-ed25519 "), key.secret]
        assert_silent(error, secrets)
    assert not file.exists()


@pytest.mark.parametrize("form", ["{}", " {}\n", "# key\n{}\n", "-i {}", "PQ", "lower"])
def test_an_identity_in_its_place_is_refused_in_other_words_and_hidden(
    form: str, file: Path, key: Key
) -> None:
    text = new_identity().get_secret_value()
    written = form.format(text)
    if form == "PQ":
        written = text.replace("KEY-1", "KEY-PQ-1")
    elif form == "lower":
        written = text.lower()
    hidden, content = Opaque(written), Opaque(fields(key))
    for call in (
        lambda: check_recipient(hidden.value),
        lambda: seal(content.value, file, recipient=hidden.value),
    ):
        error = refusal(call, "ST953")
        assert "is a private key" in str(error)
        assert_silent(error, [text[16:], text[16:].lower(), key.secret])
    assert not file.exists()
    assert leaks(str(redact(written)), [text[16:], text[16:].lower()]) == []


def test_a_private_ssh_key_in_its_place_is_one_too(ssh_key: Path) -> None:
    hidden = Opaque(ssh_key.read_text())
    error = refusal(lambda: check_recipient(hidden.value), "ST953")
    assert "is a private key" in str(error)
    assert_silent(error, [line for line in hidden.value.splitlines() if "-----" not in line])


def test_an_rsa_key_that_is_too_short_is_refused() -> None:
    number = b"\0" + b"\xc1" + b"\x01" * 127  # 1024 bits
    parts = [b"ssh-rsa", b"\x01\0\x01", number]
    blob = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
    line = f"ssh-rsa {base64.b64encode(blob).decode()}"
    assert "2048 bits or more" in str(refusal(lambda: check_recipient(line), "ST953"))


def test_a_recipient_that_fails_only_at_work_is_refused(
    file: Path, key: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> bytes:
        raise pyrage.EncryptError(key.secret)

    monkeypatch.setattr(pyrage, "encrypt", fail)
    content = Opaque(fields(key))
    error = refusal(lambda: seal(content.value, file, recipient=None), "ST953")
    monkeypatch.undo()
    assert_silent(error, [key.secret])
    assert not file.exists()


def test_what_could_not_be_opened_again_is_not_sealed(file: Path) -> None:
    large = Opaque({"secret": SecretStr(key_secret(64 * 1024))})
    error = refusal(lambda: seal(large.value, file, recipient=None), "ST900")
    assert "64 KiB" in str(error)
    assert not file.exists()
    whole = {"secret": SecretStr("x" * 60_000)}
    done = seal(whole, file, recipient=None)
    assert done.identity is not None
    assert unseal(file, done.identity) == whole


# What cannot be opened


def test_another_identity_does_not_open_it(file: Path, key: Key) -> None:
    sealed(file, key)
    text = str(opening(file, new_identity()))
    assert "Either the identity is not the one it was sealed to" in text
    assert f"age -d -i KEYFILE {file}" in text


def test_a_path_is_quoted_for_the_shell(tmp_path: Path, key: Key) -> None:
    file = tmp_path / "the run's file.age"
    sealed(file, key)
    command = str(opening(file, new_identity())).rpartition("KEYFILE ")[2]
    assert shlex.split(command) == [str(file)]


@pytest.mark.parametrize("form", ["", "nothing", "age1", "{}", "AGE-SECRET-KEY-PQ-1{}", "-1{}"])
def test_what_does_not_look_like_an_identity_is_said_to_be_none(
    file: Path, key: Key, form: str
) -> None:
    sealed(file, key)
    text = str(opening(file, form.format(new_identity().get_secret_value()[16:])))
    assert "What was given as the identity is none: one begins with AGE-SECRET-KEY-1" in text


@pytest.mark.parametrize("change", [-1, 1, 0])
def test_a_mistyped_identity_is_said_to_be_one(file: Path, key: Key, change: int) -> None:
    text = sealed(file, key).get_secret_value()
    other = "Q" if text[-1] != "Q" else "P"
    mistyped = {-1: text[:-1], 1: text + other, 0: text[:-1] + other}[change]
    assert "cut off or mistyped" in str(opening(file, mistyped))


def test_a_lone_surrogate_in_the_identity_is_mistyped(file: Path, key: Key) -> None:
    sealed(file, key)
    assert "cut off or mistyped" in str(opening(file, "AGE-SECRET-KEY-1\udc80"))


@pytest.mark.parametrize("name", ["missing.age", "nul\0.age", "file/below.age"])
def test_a_file_that_is_not_there(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    text = str(opening(tmp_path / name, new_identity()))
    assert ("It does not exist." in text) is (name == "missing.age")
    assert "cannot be opened" in text


def test_a_directory(tmp_path: Path) -> None:
    opening(tmp_path, new_identity())


@posix
def test_a_fifo_does_not_hang(file: Path) -> None:
    os.mkfifo(file)
    assert "not a regular file" in str(opening(file, new_identity()))


def test_what_may_not_be_read(file: Path, key: Key, monkeypatch: pytest.MonkeyPatch) -> None:
    """Forced, because tests may run as root, whom no mode keeps out."""
    identity = sealed(file, key)

    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(sealing.os, "open", refuse)
    error = caught(lambda: unseal(file, identity))
    monkeypatch.undo()
    assert isinstance(error, UsageError)
    assert "It cannot be read: Permission denied." in str(error)
    assert_silent(error, [identity.get_secret_value()[16:]])


def test_what_is_too_large_is_read_no_further(file: Path, key: Key) -> None:
    identity = sealed(file, key)
    with file.open("ab") as stream:
        stream.truncate(1 << 30)
    assert "larger than 64 KiB" in str(opening(file, identity))


@pytest.mark.parametrize("data", [b"", b"\0" * 64, b"{}", b"age-encryption.org/v1", b"\xff" * 300])
def test_what_age_has_not_encrypted(file: Path, data: bytes) -> None:
    file.write_bytes(data)
    assert "It is no file that age has encrypted" in str(opening(file, new_identity()))


def test_a_flipped_bit_anywhere_is_refused(file: Path, key: Key) -> None:
    identity = sealed(file, key)
    whole = file.read_bytes()
    for at in range(len(whole)):
        data = bytearray(whole)
        data[at] ^= 1 << at % 8
        file.write_bytes(data)
        error = caught(lambda: unseal(file, identity))
        assert isinstance(error, UsageError), at
        assert error.code == "ST954"
        if at % 16 == 0:
            assert_silent(error, [key.secret, identity.get_secret_value()[16:]])


def test_cut_off_or_grown_anywhere_is_refused(file: Path, key: Key) -> None:
    identity = sealed(file, key)
    whole = file.read_bytes()
    for data in [*(whole[:end] for end in range(len(whole))), whole + b"\0", whole + whole]:
        file.write_bytes(data)
        error = caught(lambda: unseal(file, identity))
        assert isinstance(error, UsageError), len(data)
        assert error.code == "ST954"


def test_a_passphrase_is_no_identity(file: Path) -> None:
    file.write_bytes(pyrage.passphrase.encrypt(b"{}", key_secret()))
    assert "Either the identity" in str(opening(file, new_identity()))


@given(data=st.binary(max_size=300), is_age=st.booleans())
def test_any_bytes_are_refused(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, *, is_age: bool
) -> None:
    file = tmp_path_factory.getbasetemp() / "bytes.age"
    file.write_bytes((b"age-encryption.org/v1\n" if is_age else b"") + data)
    opening(file, new_identity())


STRANGE = {
    "nothing": b"",
    "text": b"TWILIO_API_SECRET={}\n",
    "no UTF-8": b"\xff\xfe\xfd",
    "a list": b"[]",
    "a number": b"1",
    "too deep": b"[" * 20_000,
    "a long number": b"1" * 5000,
    "empty": b"{}",
    "no version": b'{"fields": {"secret": "{}"}}',
    "no fields": b'{"safetwilio_sealed": 1}',
    "a version that is none": b'{"safetwilio_sealed": true, "fields": {}}',
    "a version of text": b'{"safetwilio_sealed": "1", "fields": {}}',
    "an old version": b'{"safetwilio_sealed": 0, "fields": {}}',
    "fields that are none": b'{"safetwilio_sealed": 1, "fields": ["{}"]}',
    "a field that is no text": b'{"safetwilio_sealed": 1, "fields": {"secret": ["{}"]}}',
    "one of them": b'{"safetwilio_sealed": 1, "fields": {"a": "{}", "secret": 1}}',
}


@pytest.mark.parametrize("what", STRANGE)
def test_what_opens_but_is_not_ours(file: Path, key: Key, what: str) -> None:
    identity = put(file, STRANGE[what].replace(b"{}", key.secret.encode()))
    error = opening(file, identity)
    assert "safetwilio has not made what is in it" in str(error)
    assert_silent(error, [key.secret])


def test_a_newer_version_asks_for_a_newer_library(file: Path, key: Key) -> None:
    content = {"safetwilio_sealed": 2, "fields": {"secret": key.secret}}
    error = opening(file, put(file, json.dumps(content).encode()))
    assert "upgrade" in str(error)
    assert_silent(error, [key.secret])


# Without the library


@pytest.fixture
def _missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyrage", None)


def test_the_library_is_here() -> None:
    assert is_available()


@pytest.mark.usefixtures("_missing")
def test_without_the_library_the_command_is_named(file: Path, key: Key) -> None:
    assert not is_available()
    hidden = Opaque((fields(key), f"age1{key.secret}", f"AGE-SECRET-KEY-1{key.secret}"))
    for call in (
        lambda: check_recipient(hidden.value[1]),
        lambda: seal(hidden.value[0], file, recipient=None),
        lambda: seal(hidden.value[0], file, recipient=hidden.value[1]),
        lambda: unseal(file, SecretStr(hidden.value[2])),
    ):
        error = caught(call)
        assert isinstance(error, MissingExtra)
        assert 'pip install "safetwilio[handoff]"' in str(error)
        assert_silent(error, [key.secret])
    assert not file.exists()


@pytest.mark.usefixtures("_missing")
def test_an_identity_is_told_from_a_recipient_without_the_library() -> None:
    text = Opaque("AGE-SECRET-KEY-1" + key_secret(58).upper())
    error = caught(lambda: check_recipient(text.value))
    assert isinstance(error, SafeTwilioError)
    assert error.code == "ST953"


def test_the_library_is_not_loaded_before_it_is_used(tmp_path: Path) -> None:
    program = "import sys, safetwilio.runbook.sealing; print('pyrage' in sys.modules)"
    done = run_python("-c", program, cwd=tmp_path, environment={})
    assert done.stdout.strip() == "False", done.stderr
