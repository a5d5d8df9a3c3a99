"""Named accounts: each reads its own names, and no credential ever crosses."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import safetwilio
from safetwilio.errors import ConfigurationError, UsageError
from safetwilio.settings import TwilioSettings
from support import OURS, Key, codes, new_key, refused, write

if TYPE_CHECKING:
    from pathlib import Path

# Names made of the words that variables are made of are the ones that might be confused.
WORDS = (
    "api",
    "key",
    "account",
    "sid",
    "secret",
    "file",
    "auth",
    "token",
    "region",
    "backend",
    "m",
)
names = st.one_of(
    st.lists(st.sampled_from(WORDS), min_size=1, max_size=4).map("_".join),
    st.from_regex(r"[a-z][a-z0-9_]{0,20}", fullmatch=True),
)
accounts = st.lists(st.one_of(st.none(), names), min_size=1, max_size=6, unique=True)
omitted = st.sets(st.sampled_from(["ACCOUNT_SID", "API_KEY", "API_SECRET"]))


def values(settings: TwilioSettings) -> set[str]:
    return {settings.account_sid, settings.api_key, settings.api_secret.get_secret_value()}


@settings(max_examples=200)
@given(accounts=accounts, omissions=st.lists(omitted, min_size=6, max_size=6))
def test_credentials_never_cross_accounts(
    accounts: list[str | None], omissions: list[set[str]]
) -> None:
    """Some accounts are whole, some lack a part: a gap is never filled from another account."""
    keys = {account: new_key() for account in accounts}
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(OURS)]:
            patch.delenv(name)
        for (account, key), without in zip(keys.items(), omissions, strict=False):
            for name, value in key.environment(account).items():
                if not name.endswith(tuple(without)):
                    patch.setenv(name, value)
        for (account, key), without in zip(keys.items(), omissions, strict=False):
            try:
                loaded = TwilioSettings(_account=account)
            except ConfigurationError:
                assert without, f"{account} is whole and must load"
            else:
                assert not without
                assert values(loaded) == set(key)


@settings(max_examples=50)
@given(accounts=accounts)
def test_an_account_that_nobody_configured_is_missing_whatever_the_others_have(
    accounts: list[str | None],
) -> None:
    *others, asked = accounts
    with pytest.MonkeyPatch.context() as patch:
        for account in others:
            for name, value in new_key().environment(account).items():
                patch.setenv(name, value)
        assert codes(refused(lambda: TwilioSettings(_account=asked))) == ["ST104", "ST103"]


def test_clients_of_two_accounts(configured: Key, monkeypatch: pytest.MonkeyPatch) -> None:
    other = new_key()
    for name, value in other.environment("marketing").items():
        monkeypatch.setenv(name, value)
    default, marketing = safetwilio.get_client(), safetwilio.get_client("Marketing")

    assert (default.account_sid, default.username) == (configured.account, configured.sid)
    assert (marketing.account_sid, marketing.username) == (other.account, other.sid)
    assert default.password == configured.secret
    assert marketing.password == other.secret
    assert default is safetwilio.get_client() is safetwilio.client
    assert marketing is safetwilio.get_client("marketing")
    assert default is not marketing
    assert {a.name for a in safetwilio.health().accounts} == {"default", "marketing"}


def test_backend_of_one_account(
    configured: Key, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = new_key()
    write(tmp_path / "marketing.env", other.dotenv("marketing") + new_key().dotenv())
    monkeypatch.setenv("SAFETWILIO_BACKEND_MARKETING", f"dotenv:{tmp_path}/marketing.env")

    assert safetwilio.get_client("marketing").account_sid == other.account
    assert safetwilio.get_client().account_sid == configured.account


def test_fault_of_one_account_leaves_the_others_alone(configured: Key) -> None:
    error = refused(lambda: safetwilio.get_client("marketing"))

    assert "TWILIO_MARKETING_API_KEY" in str(error)
    assert "safetwilio init --account marketing" in str(error)
    assert safetwilio.get_client().account_sid == configured.account


def test_names_that_cannot_be_one() -> None:
    with pytest.raises(UsageError) as error:
        safetwilio.get_client("not-a-name")
    assert error.value.code == "ST906"
