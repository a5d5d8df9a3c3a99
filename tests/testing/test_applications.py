"""TwiML applications: made, changed, found, deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from asking import Ask, pair_of, paths
from twilio.base.exceptions import TwilioRestException

from safetwilio.testing import Emulator, EmulatorServer

if TYPE_CHECKING:
    from collections.abc import Callable

    from twilio.rest import Client

HOOK = "https://example.com/voice"


def test_an_application_from_birth_to_death(connect: Callable[..., Client]) -> None:
    with EmulatorServer() as server:
        client = connect(server)
        nameless = client.applications.create()
        assert (nameless.friendly_name, nameless.voice_url, nameless.voice_method) == (
            None,
            None,
            "POST",
        )
        made = client.applications.create(friendly_name="ivr", voice_url=HOOK)
        assert [each.sid for each in client.applications.list()] == [made.sid, nameless.sid]
        assert [each.sid for each in client.applications.list(friendly_name="ivr")] == [made.sid]
        changed = made.update(sms_url=HOOK, voice_method="GET", friendly_name="menu")
        assert (changed.voice_url, changed.sms_url) == (HOOK, HOOK)
        assert (changed.voice_method, changed.friendly_name) == ("GET", "menu")
        assert made.update(voice_url="").voice_url is None
        assert client.applications(made.sid).fetch().friendly_name == "menu"
        assert made.delete()
        with pytest.raises(TwilioRestException) as refused:
            made.fetch()
        assert (refused.value.status, refused.value.code) == (404, 20404)


@pytest.mark.parametrize(
    "form",
    [
        {"VoiceUrl": "example.com"},
        {"VoiceMethod": "PUT"},
        {"ApiVersion": "2011-01-01"},
        {"PublicApplicationConnectEnabled": "yes"},
        {"FriendlyName": "x" * 65},
    ],
)
def test_what_is_refused(emulator: Emulator, ask: Ask, form: dict[str, str]) -> None:
    path = paths(emulator.account)["messages"].replace("Messages", "Applications")
    key = pair_of(emulator.standard_key)
    refused = ask("POST", path, key, **form)
    assert (refused.status, refused.json()["code"]) == (400, 20001)
    assert ask("GET", path, key).json()["applications"] == []


def test_a_restricted_key_needs_the_permission_of_the_verb(emulator: Emulator, ask: Ask) -> None:
    path = paths(emulator.account)["messages"].replace("Messages", "Applications")
    allow = ["/twilio/voice/twiml.apps/create"]
    key = pair_of(emulator.account.create_key("restricted", allow=allow))
    assert ask("POST", path, key).status == 201
    assert ask("GET", path, key).json()["code"] == 70051
