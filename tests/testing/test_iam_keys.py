"""Keys at iam.twilio.com: policies, and whose keys they are."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from asking import RECIPIENT, SENDER, Ask, pair_of, paths, token_of

from safetwilio.testing import Emulator, EmulatorServer

if TYPE_CHECKING:
    from collections.abc import Callable

    from twilio.rest import Client

SEND = "/twilio/messaging/messages/create"
LIST = "/twilio/messaging/messages/list"
MESSAGE = {"To": RECIPIENT, "From": SENDER, "Body": "hi"}


def policy(*allow: str) -> str:
    return json.dumps({"allow": allow})


def test_a_restricted_key_through_twilios_library(
    server: EmulatorServer, connect: Callable[..., Client]
) -> None:
    """Created with a policy, listed without, changed as a whole, refused when deleted."""
    emulator = server.emulator
    ask, at = Ask(emulator), paths(emulator.account)
    main_sid, standard_sid = emulator.main_key.sid, emulator.standard_key.sid
    owner = (("AccountSid", emulator.account.sid),)
    iam = connect(server, pair_of(emulator.main_key)).iam.v1
    created = iam.new_api_key.create(
        account_sid=emulator.account.sid,
        friendly_name="web",
        key_type="restricted",
        policy={"allow": [SEND]},
    )
    pair = created.sid, created.secret
    assert created.policy == {"allow": [SEND]}
    assert ask("POST", at["messages"], pair, **MESSAGE).status == 201
    assert ask("GET", at["messages"], pair).json()["code"] == 70051
    changed = iam.api_key(created.sid).update(policy={"allow": [LIST]})
    assert (changed.policy, changed.friendly_name) == ({"allow": [LIST]}, "web")
    assert ask("POST", at["messages"], pair, **MESSAGE).json()["code"] == 70051
    assert ask("GET", at["messages"], pair).status == 200
    listed = iam.get_api_keys.list(account_sid=emulator.account.sid, page_size=1)
    assert {each.sid for each in listed} == {created.sid, main_sid, standard_sid}
    shown = ask("GET", "/v1/Keys", pair_of(emulator.main_key), query=owner).json()["keys"]
    # Over HTTP: Twilio's library has no attribute for the flags before 9.7.2.
    assert {each["sid"]: each["flags"] for each in shown} == {
        created.sid: ["rest_api"],
        main_sid: ["rest_api", "signing"],
        standard_sid: ["rest_api", "signing"],
    }
    assert iam.api_key(created.sid).delete()
    assert ask("GET", at["messages"], pair).json()["code"] == 20003


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ({"KeyType": "main"}, 70001),
        ({"KeyType": "restricted"}, 70001),
        ({"Policy": policy(SEND)}, 70001),
        ({"FriendlyName": "x" * 65}, 70001),
        ({"KeyType": "restricted", "Policy": "{"}, 70002),
        ({"KeyType": "restricted", "Policy": "[]"}, 70002),
        ({"KeyType": "restricted", "Policy": "{}"}, 70002),
        ({"KeyType": "restricted", "Policy": policy()}, 70002),
        ({"KeyType": "restricted", "Policy": policy("messages")}, 70002),
        ({"KeyType": "restricted", "Policy": policy(*[SEND] * 101)}, 70002),
        ({"KeyType": "restricted", "Policy": '{"allow": [1]}'}, 70002),
        ({"AccountSid": ""}, 20001),
    ],
)
def test_what_is_refused(emulator: Emulator, ask: Ask, form: dict[str, str], code: int) -> None:
    form = {"AccountSid": emulator.account.sid, **form}
    response = ask("POST", "/v1/Keys", token_of(emulator.account), **form)
    assert (response.status, response.json()["code"]) == (400, code)


@pytest.mark.parametrize(("choice", "status"), [("refused", 400), ("restricts", 200)])
def test_a_policy_for_a_standard_key(choice: str, status: int) -> None:
    emulator = Emulator(assumptions={"policy_on_standard_key": choice})
    ask, key = Ask(emulator), emulator.standard_key
    path, token = f"/v1/Keys/{key.sid}", token_of(emulator.account)
    assert ask("POST", path, token, Policy=policy(SEND)).status == status
    restricted = ask("GET", paths(emulator.account)["messages"], pair_of(key)).status != 200
    assert restricted is (choice == "restricts")


def test_a_standard_key_has_no_access(emulator: Emulator, ask: Ask) -> None:
    key = pair_of(emulator.standard_key)
    query = (("AccountSid", emulator.account.sid),)
    assert ask("GET", "/v1/Keys", key, query=query).json()["code"] == 20003
    assert ask("DELETE", f"/v1/Keys/{key[0]}", key).json()["code"] == 20003


def test_a_strangers_key_is_not_found(emulator: Emulator, ask: Ask) -> None:
    stranger = emulator.create_account().create_key()
    path, token = f"/v1/Keys/{stranger.sid}", token_of(emulator.account)
    assert ask("GET", path, token).json()["code"] == 20404
    assert ask("GET", "/v1/Keys/SK" + 32 * "a", token).json()["code"] == 20404


@pytest.mark.parametrize("reaches", [False, True])
def test_a_subaccounts_keys(reaches: bool) -> None:  # noqa: FBT001
    emulator = Emulator(assumptions={"iam_reaches_subaccounts": reaches})
    ask, child = Ask(emulator), emulator.create_account(emulator.account)
    query, token = (("AccountSid", child.sid),), token_of(emulator.account)
    answers = [
        ask("GET", "/v1/Keys", token, query=query),
        ask("GET", f"/v1/Keys/{child.create_key().sid}", token),
    ]
    assert {each.status for each in answers} == {200 if reaches else 401}
    assert ask("GET", "/v1/Keys", token_of(child), query=query).status == 200
