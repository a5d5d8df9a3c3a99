"""Who may change the account: what is found in its place, what is refused, and who never looks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

import safetwilio
from safetwilio import break_glass
from safetwilio.admin.identity import Address, Identity, find_identity, identity_of_token
from safetwilio.admin.keys import list_keys
from safetwilio.cli.main import main
from safetwilio.errors import (
    AccountOperationError,
    ConfigurationError,
    InvalidCredentials,
    SafeTwilioError,
)
from safetwilio.redaction import redact
from safetwilio.testing import EmulatorServer
from support import assert_silent, auth_token, caught, codes, key_secret, leaks, new_key, write

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from safetwilio.testing.state import Account
    from support import Key

ADMIN = "SAFETWILIO_ADMIN_BACKEND"


@pytest.fixture(autouse=True)
def admin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Name a file that is not there yet."""
    path = tmp_path / "admin.env"
    monkeypatch.setenv(ADMIN, f"dotenv:{path}")
    return path


def lines(**values: str) -> str:
    return "".join(f"TWILIO_{name}={value}\n" for name, value in values.items())


def found(account: str | None = None) -> Identity:
    identity = find_identity(account)
    assert identity is not None
    return identity


def refused(account: str | None = None) -> SafeTwilioError:
    error = caught(lambda: find_identity(account))
    assert isinstance(error, SafeTwilioError), error
    return error


def test_a_key(admin: Path, key: Key) -> None:
    write(admin, key.dotenv())
    identity = found()
    assert identity.kind == "key"
    assert identity.account_sid == key.account
    assert identity.username == key.sid
    assert identity.origin == f"dotenv:{admin}"


def test_a_token(admin: Path, key: Key) -> None:
    write(admin, lines(ACCOUNT_SID=key.account, AUTH_TOKEN=auth_token()))
    identity = found()
    assert identity.kind == "token"
    assert identity.account_sid == identity.username == key.account
    assert f"{admin}, line 2, TWILIO_AUTH_TOKEN" in identity.origin


@pytest.mark.parametrize("order", [1, -1])
def test_of_a_key_and_a_token_the_key_is_meant(admin: Path, key: Key, order: int) -> None:
    parts = [key.dotenv(), lines(AUTH_TOKEN=auth_token())]
    write(admin, "".join(parts[::order]))
    assert found().kind == "key"


def test_the_account_may_stand_in_the_environment(
    admin: Path, key: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TWILIO_ACCOUNT_SID", key.account)
    write(admin, lines(AUTH_TOKEN=auth_token()))
    assert found().account_sid == key.account
    other = new_key()
    write(admin, other.dotenv())
    assert found().account_sid == other.account  # its own comes first


def test_files_of_a_directory(tmp_path: Path, key: Key, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = tmp_path / "secrets"
    for name, value in key.environment().items():
        write(directory / name, value + "\n")
    monkeypatch.setenv(ADMIN, f"files:{directory}")
    assert found().username == key.sid


@pytest.mark.parametrize("token", [False, True])
def test_the_names_that_aws_gives_to_a_main_key(key: Key, *, token: bool) -> None:
    """They are read from what a remote backend returns, whichever that is."""
    from safetwilio.backends.documents import ADMIN as KIND
    from safetwilio.backends.documents import Document, asking_for
    from safetwilio.backends.interface import Found, seal

    names = {"accountSid": key.account, "adminKeySid": key.sid, "adminKeySecret": key.secret}
    if token:
        names["authToken"] = auth_token()
    texts = {name: seal(text, name, secret="Secret" in name) for name, text in names.items()}
    with asking_for(KIND):
        answer = Document("aws-sm:main", texts, place="aws-sm:main").answer(None)
    assert isinstance(answer, Found)
    assert answer.record.fields["key_sid"].reveal() == key.sid
    assert answer.record.fields["secret"].reveal() == key.secret
    assert ("auth_token" in answer.record.fields) is token
    assert isinstance(Document("x", texts, place="x").answer(None), Found)  # a boot takes it, too


@pytest.mark.parametrize("text", ["", "  ", None])
def test_without_the_variable_there_is_none(
    monkeypatch: pytest.MonkeyPatch, configured: Key, text: str | None
) -> None:
    """The program's own key is none."""
    assert configured
    if text is None:
        monkeypatch.delenv(ADMIN)
    else:
        monkeypatch.setenv(ADMIN, text)
    assert find_identity(None) is None


@pytest.mark.parametrize(
    ("fields", "missing"),
    [
        ({}, "nothing is in dotenv:"),
        ({"OTHER": "x"}, "nothing is in dotenv:"),
        ({"ACCOUNT_SID": "{account}"}, "nothing is in dotenv:"),
        ({"ACCOUNT_SID": "{account}", "API_KEY": "{sid}"}, "nothing is in dotenv:"),
        ({"API_KEY": "{sid}", "API_SECRET": "{secret}"}, "has no account sid"),
        ({"ACCOUNT_SID": "{account}", "API_SECRET": "{secret}"}, "has no key sid"),
        ({"API_SECRET": "{secret}"}, "has no account sid and no key sid"),
        ({"AUTH_TOKEN": "{token}"}, "has no account sid"),
        ({"API_SECRET": "{secret}", "AUTH_TOKEN": "{token}"}, "no account sid and no key sid"),
    ],
)
def test_what_is_not_whole_is_none(
    admin: Path, key: Key, fields: dict[str, str], missing: str
) -> None:
    token = auth_token()
    known = {"account": key.account, "sid": key.sid, "secret": key.secret, "token": token}
    write(admin, lines(**{name: value.format(**known) for name, value in fields.items()}))
    error = refused()
    assert error.code == "ST620"
    assert missing in str(error)
    assert f"which {ADMIN} names" in str(error)
    assert_silent(error, [key.secret, token])


def test_a_place_that_is_not_there_has_nothing(admin: Path) -> None:
    error = refused()
    assert error.code == "ST620"
    assert str(admin) in str(error)


SOUND = {"ACCOUNT_SID": "{account}", "API_KEY": "{sid}", "API_SECRET": "{secret}"}
TOKEN = {"ACCOUNT_SID": "{account}", "AUTH_TOKEN": "{token}"}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (SOUND | {"ACCOUNT_SID": "AC123"}, ["ST201"]),
        (SOUND | {"ACCOUNT_SID": "{sid}"}, ["ST202"]),
        (SOUND | {"API_KEY": "SK123"}, ["ST204"]),
        (SOUND | {"API_KEY": "{secret}"}, ["ST204"]),
        (SOUND | {"API_SECRET": "your_api_secret"}, ["ST208"]),
        (SOUND | {"API_SECRET": '"{secret} x"'}, ["ST205"]),
        (SOUND | {"API_KEY": "SK123", "ACCOUNT_SID": "AC123"}, ["ST201", "ST204"]),
        (TOKEN | {"AUTH_TOKEN": "your_auth_token_here"}, ["ST208"]),
        (TOKEN | {"AUTH_TOKEN": "{token}0"}, ["ST220"]),
        (TOKEN | {"AUTH_TOKEN": "{secret}"}, ["ST220"]),
        (TOKEN | {"ACCOUNT_SID": "AC123"}, ["ST201"]),
        (SOUND | {"API_KEY_SECRET": "{other}"}, ["ST211"]),
        (TOKEN | {"AUTH_TOKEN_FILE": "{file}"}, ["ST211"]),
    ],
)
def test_what_cannot_be_right_is_refused_and_not_shown(
    admin: Path, key: Key, fields: dict[str, str], expected: list[str]
) -> None:
    other, token = key_secret(), auth_token()
    file = write(admin.with_name("token"), auth_token())
    known = {"account": key.account, "sid": key.sid, "secret": key.secret, "token": token}
    known |= {"other": other, "file": str(file)}
    write(admin, lines(**{name: value.format(**known) for name, value in fields.items()}))
    error = refused()
    assert isinstance(error, InvalidCredentials)
    assert sorted(set(codes(error))) == expected
    assert_silent(error, [key.secret, other, token])


def test_nothing_is_shown_of_it(admin: Path, key: Key) -> None:
    write(admin, key.dotenv())
    identity = found()
    assert leaks(f"{identity} {identity!r} {redact(key.secret)}", [key.secret]) == []
    assert key.sid not in f"{identity} {identity!r}"
    token = auth_token()
    write(admin, lines(ACCOUNT_SID=key.account, AUTH_TOKEN=token))
    identity = found()
    assert leaks(f"{identity} {identity!r} {redact(token)}", [token]) == []
    assert str(identity).startswith("the Auth Token of [TWILIO:account:")


def test_an_emulated_identity_is_for_the_emulator_alone(
    admin: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(admin, new_key(emulated=True).dotenv())
    error = refused()
    assert isinstance(error, ConfigurationError)
    assert codes(error) == ["ST214"]
    write(admin, new_key().dotenv())
    monkeypatch.setenv("SAFETWILIO_EMULATOR", "http://127.0.0.1:9")
    error = refused()
    assert isinstance(error, ConfigurationError)
    assert codes(error) == ["ST215"]


def test_a_named_account_has_one_of_its_own(
    admin: Path, key: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(admin, key.dotenv("eu") + new_key().dotenv())
    assert find_identity("eu") is None  # the default account's place is not its
    monkeypatch.setenv(f"{ADMIN}_EU", f"dotenv:{admin}")
    assert found("eu").username == key.sid
    write(admin, new_key().dotenv())
    error = refused("eu")
    assert error.code == "ST620"
    assert f"{ADMIN}_EU" in str(error)
    assert (
        "The names looked for there are TWILIO_EU_ACCOUNT_SID, with TWILIO_EU_API_KEY and "
        "TWILIO_EU_API_SECRET, or with TWILIO_EU_AUTH_TOKEN."
    ) in str(error)


@pytest.mark.parametrize("text", ["https://x y", "dotenv:.env?a=1&a=2", "nothing-such:x", "Env"])
def test_a_reference_that_names_nothing_is_said(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv(ADMIN, text)
    error = refused()
    assert isinstance(error, ConfigurationError)
    assert set(codes(error)) <= {"ST301", "ST302"}


@pytest.mark.parametrize("broken", ["no reference at all", "dotenv:/nowhere?x=1", "aws-sm:none"])
def test_no_boot_no_client_and_no_doctor_ever_looks_there(
    configured: Key,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    broken: str,
) -> None:
    for name in (ADMIN, f"{ADMIN}_EU"):
        monkeypatch.setenv(name, broken)
    for variable, value in new_key().environment("eu").items():
        monkeypatch.setenv(variable, value)
    safetwilio.boot()
    assert safetwilio.get_client().account_sid == configured.account
    assert safetwilio.get_client("eu")
    assert main(["doctor"]) == 0
    assert "ADMIN" not in capsys.readouterr().err


def test_a_key_in_the_admin_place_is_no_key_of_the_program(admin: Path, key: Key) -> None:
    write(admin, key.dotenv())
    error = caught(safetwilio.boot)
    assert isinstance(error, ConfigurationError)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[EmulatorServer]:
    with EmulatorServer() as server:
        monkeypatch.setenv("SAFETWILIO_EMULATOR", server.url)
        yield server


def test_its_client_acts_on_the_account_and_a_token_only_in_its_block(
    admin: Path, server: EmulatorServer
) -> None:
    account, main_key = server.emulator.account, server.emulator.main_key
    write(admin, new_key_of(account.sid, main_key.sid, main_key.secret))
    assert len(list_keys(found().client(account.sid, Address()))) == 2
    token = identity_of_token(account.sid, SecretStr(account.auth_token), "the prompt")
    assert caught(lambda: list_keys(token.client(account.sid, Address()))) is not None
    below = server.emulator.create_account(account)
    with break_glass(reason="test"):
        assert len(list_keys(token.client(account.sid, Address()))) == 2
        assert len(list_keys(token.client(below.sid, Address()))) == len(keys_of(below))
    assert {entry.username for entry in server.emulator.requests} == {main_key.sid, account.sid}


def keys_of(account: Account) -> list[object]:
    return list(account.keys.newest_first())


def new_key_of(account: str, sid: str, secret: str) -> str:
    return lines(ACCOUNT_SID=account, API_KEY=sid, API_SECRET=secret)


@pytest.mark.parametrize(("text", "code"), [("3f9" * 5, "ST220"), ("your_auth_token", "ST208")])
def test_a_token_that_somebody_gave_is_looked_at(key: Key, text: str, code: str) -> None:
    error = caught(lambda: identity_of_token(key.account, SecretStr(text), "the prompt"))
    assert isinstance(error, InvalidCredentials)
    assert codes(error) == [code]
    assert isinstance(error, ConfigurationError)
    assert not isinstance(error, AccountOperationError)
