"""Policies of Restricted keys: which permissions there are, and that requests are held to them."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest
from asking import Ask, pair_of, paths, token_of

from safetwilio.testing import Emulator
from safetwilio.testing.identity import Area
from safetwilio.testing.permissions import known_permissions
from safetwilio.testing.routes import ROUTES

if TYPE_CHECKING:
    from safetwilio.testing.exchange import EmulatedResponse
    from safetwilio.testing.route import Route

SEND, LIST = "/twilio/messaging/messages/create", "/twilio/messaging/messages/list"
UNKNOWN = "/twilio/messaging/messages/shout"
NO_SUCH_SID = "XX" + 32 * "0"
GUARDED = [each for each in ROUTES if each.permission]


def name(route: Route) -> str:
    return f"{route.method} {route.product}{route.path}"


def use(emulator: Emulator, route: Route, *allow: str) -> tuple[int, int | None]:
    """Take *route* with a Restricted key that may *allow*; return status and code."""
    account = emulator.account
    key = account.create_key("restricted", allow=allow)
    other = account.create_key()
    sid = {Area.ACCOUNTS: account.sid, Area.IAM_KEYS: other.sid}.get(route.area, NO_SUCH_SID)
    sids = {"AccountSid": account.sid, "Sid": sid}
    path = re.sub(r"\{(\w+)\}", lambda found: sids.get(found[1], NO_SUCH_SID), route.path)
    query = (("AccountSid", account.sid),) if route.method == "GET" else ()
    form = {} if query else {"AccountSid": account.sid}
    host = f"{route.product}.twilio.com"
    response = Ask(emulator)(route.method, path, pair_of(key), host=host, query=query, **form)
    return response.status, response.json().get("code") if response.status >= 400 else None


def create(emulator: Emulator, *allow: str) -> EmulatedResponse:
    form = {"AccountSid": emulator.account.sid, "KeyType": "restricted"}
    policy = json.dumps({"allow": allow})
    return Ask(emulator)("POST", "/v1/Keys", token_of(emulator.account), **form, Policy=policy)


def test_the_list_of_permissions() -> None:
    """Both sources are in it, each permission has the documented form, and there is no other."""
    known = known_permissions()
    assert len(known) == 373 + 189
    form = re.compile(r"/twilio/[a-z-]+/[a-z0-9.-]+/(create|read|list|update|delete|\*)")
    assert [each for each in known if not form.fullmatch(each)] == []
    assert {SEND, LIST, "/twilio/iam/api-keys/*", "/twilio/billing/usage/read"} <= known


@pytest.mark.parametrize("route", GUARDED, ids=name)
def test_the_permission_of_each_route_is_known(route: Route) -> None:
    assert route.permission in known_permissions()


@pytest.mark.parametrize("route", GUARDED, ids=name)
def test_each_route_takes_its_permission_and_no_other(route: Route) -> None:
    assert route.permission
    every = f"{route.permission.rpartition('/')[0]}/*"
    others = known_permissions() - {route.permission, every}
    assert use(Emulator(), route, *others) == (403, 70051)
    for allow in (route.permission, every):
        assert use(Emulator(), route, allow)[1] not in {70051, 20003}


@pytest.mark.parametrize("route", [each for each in ROUTES if each.permission is None], ids=name)
def test_a_route_without_a_permission_is_closed_to_restricted_keys(route: Route) -> None:
    assert use(Emulator(), route, *known_permissions()) == (403, 70051)


def test_a_key_without_its_secret_is_no_key(emulator: Emulator) -> None:
    """A missing permission (70051) and a wrong secret (20003) are not the same answer."""
    key = emulator.account.create_key("restricted", allow=[SEND])
    path = paths(emulator.account)["messages"]
    assert Ask(emulator)("GET", path, pair_of(key)).json()["code"] == 70051
    assert Ask(emulator)("GET", path, (key.sid, "wrong")).json()["code"] == 20003


@pytest.mark.parametrize(("choice", "status"), [("refused", 400), ("accepted", 201)])
def test_a_permission_that_nobody_published(choice: str, status: int) -> None:
    emulator = Emulator(assumptions={"unknown_permission": choice})
    response = create(emulator, SEND, UNKNOWN)
    assert response.status == status
    if status == 400:
        assert response.json()["code"] == 70002
        assert UNKNOWN in response.json()["message"]
    else:
        assert response.json()["policy"] == {"allow": [SEND, UNKNOWN]}
        key = response.json()["sid"], response.json()["secret"]
        assert Ask(emulator)("GET", paths(emulator.account)["messages"], key).status == 403


@pytest.mark.parametrize("choice", ["refused", "accepted"])
def test_what_is_no_permission_at_all_is_never_accepted(choice: str) -> None:
    emulator = Emulator(assumptions={"unknown_permission": choice})
    assert create(emulator, "messages").json()["code"] == 70002
    assert create(emulator).json()["code"] == 70002


@pytest.mark.parametrize("allow", [SEND, {SEND: 1}, [[SEND]], None])
def test_allow_is_a_list_of_permissions(emulator: Emulator, allow: object) -> None:
    form = {"AccountSid": emulator.account.sid, "KeyType": "restricted"}
    policy = json.dumps({"allow": allow})
    response = Ask(emulator)("POST", "/v1/Keys", token_of(emulator.account), **form, Policy=policy)
    assert (response.status, response.json()["code"]) == (400, 70002)


@pytest.mark.parametrize(("count", "status"), [(100, 201), (101, 400)])
def test_a_policy_has_at_most_a_hundred_permissions(
    emulator: Emulator, count: int, status: int
) -> None:
    assert create(emulator, *sorted(known_permissions())[:count]).status == status


def test_an_update_replaces_the_whole_policy(emulator: Emulator) -> None:
    sid = create(emulator, SEND, LIST).json()["sid"]
    ask, path, token = Ask(emulator), f"/v1/Keys/{sid}", token_of(emulator.account)
    for policy, expected in (
        (json.dumps({"allow": [LIST]}), [LIST]),
        (json.dumps({"allow": [UNKNOWN]}), [LIST]),
        ("[" * 100_000, [LIST]),
        (json.dumps({"allow": ["/twilio/messaging/messages/*"]}), ["/twilio/messaging/messages/*"]),
    ):
        ask("POST", path, token, Policy=policy)
        assert ask("GET", path, token).json()["policy"] == {"allow": expected}


@pytest.mark.parametrize("kind", ["main", "Main", "MAIN", "standard"])
def test_main_keys_are_made_in_the_console_only(emulator: Emulator, kind: str) -> None:
    """The one API refuses the type, the other does not know the parameter: facts, section 6."""
    ask, token = Ask(emulator), token_of(emulator.account)
    form = {"AccountSid": emulator.account.sid, "KeyType": kind}
    assert ask("POST", "/v1/Keys", token, **form).json()["code"] == 70001
    policy = json.dumps({"allow": [SEND]})
    at = paths(emulator.account)
    made = ask("POST", at["keys"], token, KeyType=kind, Policy=policy).json()
    standard = made["sid"], made["secret"]
    assert ask("GET", at["messages"], standard).status == 200, "the policy was ignored"
    assert ask("GET", at["keys"], standard).json()["code"] == 20003, "it is a Standard key"
