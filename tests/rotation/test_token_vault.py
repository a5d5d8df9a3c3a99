"""The Auth Token of an account is replaced in a real Vault, in a document that holds a key, too."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from token_world import TokenWorld, token_world
from vault_server import PATH, REFERENCE, Bao, clean

from safetwilio.rotation.overlap import Overlap

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAMES = {
    "snake": ("account_sid", "auth_token", "webhook_secondary_auth_token"),
    "camel": ("accountSid", "authToken", "webhookSecondaryAuthToken"),
    "snake, of webhooks": ("account_sid", "webhook_auth_token", "webhook_secondary_auth_token"),
    "environment": (
        "TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN", "TWILIO_WEBHOOK_SECONDARY_AUTH_TOKEN",
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def bao(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bao]:
    with Bao(tmp_path_factory.mktemp("bao")) as started:
        yield started


@pytest.fixture
def world(bao: Bao, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TokenWorld]:
    clean(monkeypatch, tmp_path)
    monkeypatch.setenv("VAULT_ADDR", bao.url)
    monkeypatch.setenv("VAULT_TOKEN", bao.root)
    monkeypatch.setenv("SAFETWILIO_BACKEND", f"{REFERENCE}?timeout=15")
    with token_world(tmp_path, monkeypatch) as found:
        yield found


@pytest.mark.parametrize("style", NAMES)
def test_names_stay_and_so_does_what_else_is_there(world: TokenWorld, bao: Bao, style: str) -> None:
    """The standby gets a name in the way of the others; no field of the key is touched."""
    sid, token, standby = NAMES[style]
    key, old = world.emulator.standard_key, world.account.auth_token
    beside = {"api_key": key.sid, "api_secret": key.secret, "key_type": "standard", "other": "x"}
    bao.put({sid: world.account.sid, token: old, **beside})

    journal = world.begin(world.look())
    assert len(world.carry_out(journal, overlap=Overlap())) == 1
    between = bao.read()
    assert {name: between[name] for name in beside} == beside
    assert between[token] == old
    assert world.account.secondary_auth_token in between.values()

    assert world.carry_out(journal) == ()
    after = bao.read()
    assert {name: after[name] for name in beside} == beside
    assert after[token] == world.account.auth_token != old
    assert after.keys() - between.keys() == set()
    assert [name for name, value in after.items() if value == ""] == list(
        between.keys() - beside.keys() - {sid, token}
    )
    if style in {"snake", "snake, of webhooks"}:
        assert standby in after
    assert world.alive() == {world.account.auth_token}


def test_a_vault_that_is_sealed_in_the_middle(
    world: TokenWorld, bao: Bao, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not reached for a while: nothing is lost, and the same command goes on."""
    old = world.account.auth_token
    bao.put({"account_sid": world.account.sid, "auth_token": old})
    journal = world.begin(world.look())
    world.carry_out(journal, overlap=Overlap())
    seen = world.look()
    monkeypatch.setenv("VAULT_ADDR", "http://127.0.0.1:9")
    with pytest.raises(Exception, match="ST3"):
        world.carry_out(journal, seen)
    monkeypatch.setenv("VAULT_ADDR", bao.url)
    assert world.carry_out(journal) == ()
    assert bao.read(PATH)["auth_token"] == world.account.auth_token != old
