"""While an Auth Token is rotated, what verifies webhooks accepts all that Twilio signs."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from token_world import TokenWorld, token_world

from safetwilio.errors import WebhookError
from safetwilio.integrations.receiver import Receiver
from safetwilio.rotation.overlap import Overlap
from safetwilio.testing.webhooks import sign_request

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PUBLIC = "https://example.com"
FORM = {"Body": "Hello", "From": "+15005550006"}


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TokenWorld]:
    monkeypatch.setenv("TWILIO_WEBHOOK_PUBLIC_URL", PUBLIC)
    with token_world(tmp_path, monkeypatch) as found:
        yield found


def accepts(receiver: Receiver, token: str | None) -> bool:
    """Return whether *receiver* accepts what is signed with *token*."""
    assert token is not None
    signed = sign_request(f"{PUBLIC}/sms", params=FORM, auth_token=token)
    names = {f"HTTP_{k.upper().replace('-', '_')}": v for k, v in signed.headers.items()}
    environ: dict[str, Any] = {
        "wsgi.url_scheme": "http", "RAW_URI": "/sms", "PATH_INFO": "/sms", "QUERY_STRING": "",
        "HTTP_HOST": "10.0.0.7", "REMOTE_ADDR": "10.0.0.1", **names,
    }  # fmt: skip
    try:
        return receiver.verify_wsgi(environ, params=FORM)
    except WebhookError:
        return False


@pytest.mark.parametrize("name", ["AUTH_TOKEN", "WEBHOOK_AUTH_TOKEN"])
@pytest.mark.parametrize("standby", [False, True])
def test_both_tokens_are_accepted_from_the_standby_on(
    world: TokenWorld, name: str, *, standby: bool
) -> None:
    """One receiver looks after each step, another only when all is over: both lose nothing."""
    old = world.account.auth_token
    world.put(**{name: old})
    quick, slow = Receiver(), Receiver()
    assert accepts(quick, old)
    assert accepts(slow, old)

    journal = world.begin(world.look(), standby=standby)
    assert len(world.carry_out(journal, overlap=Overlap())) == 1
    new = world.account.secondary_auth_token
    assert accepts(quick, old)  # before it has looked
    assert quick.refresh()
    assert accepts(quick, old)
    assert accepts(quick, new)
    assert slow.refresh()

    with world.opened(journal, world.look()) as run:
        run._run.perform("promote", run._rotation.promote)
    assert world.account.auth_token == new
    for receiver in (quick, slow):
        assert accepts(receiver, new)
        assert accepts(receiver, old)  # signed before, and on its way

    assert world.carry_out(journal) == ()
    assert quick.refresh()
    assert accepts(quick, new)
    assert accepts(quick, old)  # within its grace
    assert accepts(slow, new)
    assert accepts(slow, old)
    assert slow.refresh()
    assert accepts(slow, new)

    for receiver in (quick, slow):
        receiver.refresh(drop_previous=True)
        assert not accepts(receiver, old)
        assert accepts(receiver, new)
        if standby:
            assert accepts(receiver, world.account.secondary_auth_token)


def test_what_looks_only_after_the_promotion_still_accepts_the_old_token_in_its_grace(
    world: TokenWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was told --moved too early: what is on its way is accepted, and the new ones from now."""
    old = world.account.auth_token
    world.put(AUTH_TOKEN=old)
    receiver = Receiver(grace=60)
    assert accepts(receiver, old)
    world.rotate()
    assert not accepts(receiver, world.account.auth_token)  # this is what --overlap is for
    assert receiver.refresh()
    assert accepts(receiver, world.account.auth_token)
    assert accepts(receiver, old)
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + 61)
    assert not accepts(receiver, old)
    assert accepts(receiver, world.account.auth_token)


def test_a_receiver_that_starts_in_the_middle_knows_both(world: TokenWorld) -> None:
    """Before the promotion, and after it while the place holds both still."""
    old = world.account.auth_token
    world.put(AUTH_TOKEN=old)
    journal = world.begin(world.look())
    world.carry_out(journal, overlap=Overlap())
    new = world.account.secondary_auth_token
    before = Receiver()
    assert accepts(before, old)
    assert accepts(before, new)
    with world.opened(journal, world.look()) as run:
        run._run.perform("promote", run._rotation.promote)
    after = Receiver()
    assert accepts(after, old)
    assert accepts(after, new)
    assert world.carry_out(journal) == ()
    last = Receiver()
    assert accepts(last, new)
    assert not accepts(last, old)


def test_what_was_taken_back_is_accepted_no_more(world: TokenWorld) -> None:
    old = world.account.auth_token
    world.put(AUTH_TOKEN=old)
    journal = world.begin(world.look())
    world.carry_out(journal, overlap=Overlap())
    gone = world.account.secondary_auth_token
    receiver = Receiver()
    with world.opened(journal, world.look()) as run:
        run.take_back()
    receiver.refresh(drop_previous=True)
    assert accepts(receiver, old)
    assert not accepts(receiver, gone)
