"""``safetwilio rotate key`` where a service has several accounts: each key, and who changes it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from newcomer import Here, Terminal, keys_of

from safetwilio.credentials import mask
from support import auth_token, leaks, write

if TYPE_CHECKING:
    from pathlib import Path

    from newcomer import Newcomer

    from safetwilio.testing.records import Key

ROTATE = ("rotate", "key", "--yes", "--moved")
BILLING = "[services.billing]\nbackend = 'dotenv:billing.env'\n"
ALERTS = "[services.alerts]\nbackend = 'dotenv:alerts.env'\n"
NOBODY = {"SAFETWILIO_ADMIN_BACKEND": "", "SAFETWILIO_ADMIN_BACKEND_MARKETING": ""}


@pytest.fixture(autouse=True)
def _admin(here: Here, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a Main key where only who rotates looks, for both accounts."""
    write(
        tmp_path / "admin.env",
        lines(here.emulator.main_key) + lines(here.emulator.main_key, "MARKETING_"),
    )
    for name in NOBODY:
        monkeypatch.setenv(name, f"dotenv:{tmp_path / 'admin.env'}")
    monkeypatch.setenv("SAFETWILIO_JOURNAL", str(tmp_path / "runs"))


def lines(key: Key, name: str = "") -> str:
    pair = f"TWILIO_{name}API_KEY={key.sid}\nTWILIO_{name}API_SECRET={key.secret}\n"
    return f"TWILIO_{name}ACCOUNT_SID={key.account_sid}\n{pair}"


def old_key(here: Here) -> Key:
    key = here.emulator.account.create_key("standard", friendly_name="old")
    here._seeded.append(key)
    return key


def is_alive(here: Here, key: Key) -> bool:
    return key in keys_of(here.emulator.account)


def services(here: Here, accounts: str) -> None:
    """Write the file with billing, and alerts with *accounts*."""
    write(here.directory / "safetwilio.toml", f"{BILLING}{ALERTS}accounts = {accounts}\n")


def plain(text: str) -> str:
    return " ".join(text.split())


@pytest.fixture
def shared(here: Here) -> Key:
    """Return the key of billing, which alerts has for the default account, beside another's."""
    key = old_key(here)
    write(here.directory / "billing.env", lines(key))
    write(here.directory / "alerts.env", lines(key) + lines(old_key(here), "MARKETING_"))
    return key


def test_a_key_under_the_names_of_the_default_account_is_not_deleted(
    here: Here, shared: Key
) -> None:
    """The service is known for another account alone, and its program may use this one, too."""
    services(here, '["marketing"]')
    done = here.run(*ROTATE)
    assert done.returncode == 1
    assert "[ST626]" in done.stderr
    assert is_alive(here, shared)
    said = plain(done.stderr)
    assert "The names of the default account and of marketing are looked for in each." in said
    assert shared.sid in (here.directory / "alerts.env").read_text()


def test_a_key_under_the_names_of_another_services_account_is_not_deleted(here: Here) -> None:
    """Also in its own place: who uses it there is not known."""
    old, other = old_key(here), old_key(here)
    write(here.directory / "billing.env", lines(old) + lines(old, "MARKETING_"))
    write(here.directory / "alerts.env", lines(other, "MARKETING_"))
    services(here, '["marketing"]')
    done = here.run(*ROTATE, "--service", "billing")
    assert done.returncode == 1
    assert "[ST626]" in done.stderr
    assert is_alive(here, old)


@pytest.mark.parametrize(
    "more", ["API_KEY_FILE=no", "API_KEY=SK1\nTWILIO_MARKETING_API_KEY_SID={}"]
)
def test_what_cannot_be_read_of_another_account_stops_the_deletion(here: Here, more: str) -> None:
    """It may be the old key, also where two spellings say different things."""
    old = old_key(here)
    text = f"{lines(old)}TWILIO_MARKETING_{more}\n".format(old.sid)
    write(here.directory / "billing.env", text)
    write(here.directory / "alerts.env", lines(old_key(here), "MARKETING_"))
    services(here, '["marketing"]')
    assert here.run(*ROTATE, "--service", "billing").returncode == 1
    assert is_alive(here, old)


def test_a_service_with_the_default_account_and_another_has_both_keys(
    here: Here, shared: Key
) -> None:
    services(here, '["default", "marketing"]')
    done = here.run(*ROTATE, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["changed"] == ["billing", "alerts", "alerts@marketing"]
    assert not is_alive(here, shared)
    assert len(here.made) == 3
    kept = (here.directory / "alerts.env").read_text()
    assert [key.sid in kept for key in here.made] == [False, True, True]


def test_a_piped_token_serves_every_name_of_its_account(here: Here, shared: Key) -> None:
    """One line of standard input is all there is."""
    services(here, '["default", "marketing"]')
    done = here.run(*ROTATE, "--token-stdin", stdin=f"{here.token}\n", **NOBODY)
    assert done.returncode == 0, done.stderr
    assert len(here.made) == 3
    assert not is_alive(here, shared)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_each_account_takes_a_line_in_the_order_of_the_services(here: Here, count: int) -> None:
    """The error names the account whose line is missing."""
    below = here.emulator.create_account(here.emulator.account)
    theirs = below.create_key("standard", friendly_name="theirs")
    write(here.directory / "billing.env", lines(old_key(here)))
    write(here.directory / "alerts.env", lines(theirs, "MARKETING_"))
    services(here, '["marketing"]')
    tokens = [here.token, below.auth_token]
    text = "".join(f"{token}\n" for token in tokens[:count])
    done = here.run(*ROTATE, "--token-stdin", stdin=text, **NOBODY)
    assert leaks(done.stderr, tokens) == []
    if count == 2:
        assert done.returncode == 0, done.stderr
        assert theirs not in keys_of(below)
        return
    assert done.returncode == 2
    assert here.made == []
    sid, name = ((here.sid, "the default account"), (below.sid, "the account marketing"))[count]
    asked = f"No Auth Token of {name} {mask('account', sid)} was given"
    assert f"[ST908] {asked}; nothing was changed." in plain(done.stderr)


@pytest.mark.parametrize(
    ("words", "name", "variable"),
    [
        ((), "the default account", "SAFETWILIO_ADMIN_BACKEND"),
        (("--account", "marketing"), "the account marketing", "SAFETWILIO_ADMIN_BACKEND_MARKETING"),
    ],
)
def test_where_nobody_can_be_asked_the_account_and_its_variable_are_named(
    here: Here, words: tuple[str, ...], name: str, variable: str
) -> None:
    key = old_key(here)
    write(here.dotenv, lines(key) + lines(key, "MARKETING_"))
    done = here.run("rotate", "key", *words, **NOBODY)
    assert done.returncode == 2
    said = plain(done.stderr)
    assert f"the Auth Token of {name} {mask('account', here.sid)} at: pipe it in with" in said
    assert f"--token-stdin, or let {variable} name the place of what may change it." in said


def test_the_prompt_names_the_account_and_asks_once_for_each(
    newcomer: Newcomer, here: Here, shared: Key
) -> None:
    services(here, '["default", "marketing"]')
    with Terminal(newcomer, "rotate", "key", **NOBODY) as terminal:
        terminal.expect(f"Auth Token of the default account {mask('account', here.sid)} (not")
        terminal.type(f"{here.token}\n")
        terminal.expect("(Enter: stop): ")
        terminal.type("\n")
        assert terminal.end() == 0
    newcomer.require_no_secret(terminal.shown)
    assert is_alive(here, shared)


def test_a_refusal_names_the_account_and_where_its_token_is_from(
    here: Here, shared: Key, tmp_path: Path
) -> None:
    """Both names are of one Account SID, so its mask alone does not tell."""
    services(here, '["marketing"]')
    sid = f"TWILIO_MARKETING_ACCOUNT_SID={here.sid}\n"
    text = f"{lines(here.emulator.main_key)}{sid}TWILIO_MARKETING_AUTH_TOKEN={auth_token()}\n"
    write(tmp_path / "admin.env", text)
    done = here.run(*ROTATE)
    assert done.returncode == 1
    said = plain(done.stderr)
    assert "[ST610] Twilio refused to list the API keys. It was asked with the Auth Token" in said
    origin = f"{tmp_path / 'admin.env'}, line 5, TWILIO_MARKETING_AUTH_TOKEN"
    assert f"Refused for alerts@marketing: the Auth Token of {mask('account', here.sid)}" in said
    assert f", from {origin}." in said
    assert here.made == []
    assert is_alive(here, shared)
