"""Who may do what: every kind of credential against every kind of resource."""

from __future__ import annotations

import pytest
from asking import RECIPIENT, SENDER, Ask, pair_of, paths, token_of

from safetwilio.testing import Emulator
from safetwilio.testing.assumptions import every_choice
from safetwilio.testing.exchange import EmulatedRequest, EmulatedResponse

OK = 200
DENIED = (401, 20003)


def outcome(response: EmulatedResponse) -> int | tuple[int, int]:
    """Return the status of a success, or status and code of a refusal."""
    return response.status if response.status < 400 else (response.status, response.json()["code"])


@pytest.mark.parametrize(
    ("who", "expected"),
    [
        ("token", {"account": OK, "keys": OK, "messages": OK}),
        ("main", {"account": OK, "keys": OK, "messages": OK}),
        ("standard", {"account": DENIED, "keys": DENIED, "messages": OK}),
        ("wrong token", {"account": DENIED, "keys": DENIED, "messages": DENIED}),
        ("wrong secret", {"account": DENIED, "keys": DENIED, "messages": DENIED}),
        ("deleted key", {"account": DENIED, "keys": DENIED, "messages": DENIED}),
        ("unknown key", {"account": DENIED, "keys": DENIED, "messages": DENIED}),
        ("stranger's key", {"account": DENIED, "keys": DENIED, "messages": DENIED}),
        ("stranger's token", {"account": DENIED, "keys": DENIED, "messages": DENIED}),
        ("key sid with token", {"account": DENIED, "keys": DENIED, "messages": DENIED}),
        ("nobody", {"account": DENIED, "keys": DENIED, "messages": DENIED}),
    ],
)
def test_reading(emulator: Emulator, ask: Ask, who: str, expected: dict[str, object]) -> None:
    account, stranger = emulator.account, emulator.create_account()
    deleted = account.create_key()
    account.delete_key(deleted.sid)
    credentials = {
        "token": token_of(account),
        "main": pair_of(emulator.main_key),
        "standard": pair_of(emulator.standard_key),
        "wrong token": (account.sid, stranger.auth_token),
        "wrong secret": (emulator.main_key.sid, emulator.standard_key.secret),
        "deleted key": pair_of(deleted),
        "unknown key": ("SK5afe0000" + 24 * "a", "x" * 32),
        "stranger's key": pair_of(stranger.create_key("main")),
        "stranger's token": token_of(stranger),
        "key sid with token": (emulator.standard_key.sid, account.auth_token),
        "nobody": None,
    }[who]
    answers = {name: outcome(ask("GET", paths(account)[name], credentials)) for name in expected}
    assert answers == expected


@pytest.mark.parametrize("header", ["", "Basic", "Basic ###", "Basic /w==", "Bearer abc", "basic "])
def test_an_unreadable_header_is_no_authentication(emulator: Emulator, header: str) -> None:
    path = paths(emulator.account)["messages"]
    request = EmulatedRequest("GET", "api.twilio.com", path, headers={"authorization": header})
    assert outcome(emulator.handle(request)) == DENIED


def test_the_error_body_of_a_refusal(emulator: Emulator, ask: Ask) -> None:
    response = ask("GET", paths(emulator.account)["messages"], None)
    assert response.json() == {
        "code": 20003,
        "message": "Authenticate",
        "more_info": "https://www.twilio.com/docs/errors/20003",
        "status": 401,
    }


def test_a_parents_token_acts_on_its_subaccount_and_not_the_other_way_round(
    emulator: Emulator, ask: Ask
) -> None:
    child = emulator.create_account(emulator.account)
    for name in ("account", "keys", "messages"):
        assert outcome(ask("GET", paths(child)[name], token_of(emulator.account))) == OK
        assert outcome(ask("GET", paths(emulator.account)[name], token_of(child))) == DENIED
    assert ask("GET", paths(child)["account"], token_of(emulator.account)).json()["auth_token"]


@pytest.mark.parametrize("overrides", every_choice(), ids=str)
def test_what_holds_for_subaccounts_under_every_choice(overrides: dict[str, object]) -> None:
    """No key ever sees a subaccount's token, and a Standard key reaches no subaccount."""
    emulator = Emulator(assumptions=overrides)
    ask, child = Ask(emulator), emulator.create_account(emulator.account)
    main, standard = pair_of(emulator.main_key), pair_of(emulator.standard_key)
    assert ask("GET", paths(child)["account"], main).json()["auth_token"] is None
    listed = ask("GET", "/2010-04-01/Accounts.json", main).json()["accounts"]
    assert {each["sid"] for each in listed} == {child.sid, emulator.account.sid}
    assert [each["auth_token"] for each in listed if each["sid"] == child.sid] == [None]
    own = [each["auth_token"] for each in listed if each["sid"] != child.sid] != [None]
    assert own is emulator.assumptions["main_key_reveals_own_token"]
    assert outcome(ask("GET", paths(child)["messages"], standard)) == DENIED
    reached = outcome(ask("GET", paths(child)["messages"], main)) == OK
    assert reached is emulator.assumptions["main_key_reaches_subaccounts"]


@pytest.mark.parametrize("status", [401, 403])
def test_a_restricted_key_does_what_its_policy_says(status: int) -> None:
    emulator = Emulator(assumptions={"restricted_denied_status": status})
    ask, at = Ask(emulator), paths(emulator.account)
    allow = ["/twilio/messaging/messages/create", "/twilio/iam/api-keys/*"]
    key = pair_of(emulator.account.create_key("restricted", allow=allow))
    sent = ask("POST", at["messages"], key, To=RECIPIENT, From=SENDER, Body="hi")
    assert sent.status == 201
    lacking = (status, 70051)
    assert outcome(ask("GET", at["messages"], key)) == lacking
    assert outcome(ask("GET", at["message"].format(sent.json()["sid"]), key)) == lacking
    assert outcome(ask("GET", at["keys"], key)) == OK
    assert outcome(ask("GET", at["account"], key)) == lacking
    assert outcome(ask("POST", "/v1/AuthTokens/Secondary", key)) == lacking
    stranger = paths(emulator.create_account())
    assert outcome(ask("GET", stranger["messages"], key)) == DENIED


@pytest.mark.parametrize(("status", "answer"), [(401, DENIED), (403, (403, 20403))])
def test_a_suspended_accounts_credentials_are_refused(status: int, answer: object) -> None:
    emulator = Emulator(assumptions={"suspended_status": status})
    ask, child = Ask(emulator), emulator.create_account(emulator.account)
    key, at = child.create_key("main"), paths(child)
    parent = token_of(emulator.account)
    assert ask("POST", at["account"], parent, Status="suspended").json()["status"] == "suspended"
    assert outcome(ask("GET", at["messages"], pair_of(key))) == answer
    assert outcome(ask("GET", at["account"], token_of(child))) == answer
    message = {"To": RECIPIENT, "From": SENDER, "Body": "hi"}
    assert outcome(ask("POST", at["messages"], parent, **message)) == answer
    assert ask("POST", at["account"], parent, Status="active").json()["status"] == "active"
    assert outcome(ask("GET", at["messages"], pair_of(key))) == OK


@pytest.mark.parametrize("readable", [True, False])
def test_what_a_parent_sees_of_a_suspended_subaccount(readable: bool) -> None:  # noqa: FBT001
    emulator = Emulator(assumptions={"suspended_readable_by_parent": readable})
    child = emulator.create_account(emulator.account)
    child.suspend()
    answer = Ask(emulator)("GET", paths(child)["keys"], token_of(emulator.account))
    assert (answer.status == OK) is readable
    child.reactivate()
    assert Ask(emulator)("GET", paths(child)["keys"], token_of(child)).status == OK


def test_test_credentials_reach_nothing_but_the_sending_of_messages(
    emulator: Emulator, ask: Ask
) -> None:
    account = emulator.create_account(test=True)
    at, token = paths(account), token_of(account)
    refused = (403, 20008)
    assert outcome(ask("GET", at["keys"], token)) == refused
    assert outcome(ask("GET", at["account"], token)) == refused
    assert outcome(ask("GET", at["messages"], token)) == refused
    assert outcome(ask("POST", "/v1/AuthTokens/Secondary", token)) == refused
    accepted = ask("POST", at["messages"], token, To=RECIPIENT, From=SENDER, Body="hi")
    assert accepted.status == 201
    assert not emulator.messages, "nothing is sent"
    with pytest.raises(ValueError, match="Auth Token pair only"):
        account.create_key()


@pytest.mark.parametrize("needs", ["token", "main", "standard"])
def test_who_may_rotate_the_token(needs: str) -> None:
    emulator = Emulator(assumptions={"token_rotation_needs": needs})
    ask, order = Ask(emulator), ["standard", "main", "token"]
    credentials = [
        pair_of(emulator.standard_key),
        pair_of(emulator.main_key),
        token_of(emulator.account),
    ]
    for strength, pair in zip(order, credentials, strict=True):
        created = ask("POST", "/v1/AuthTokens/Secondary", pair).status == 201
        assert created is (order.index(strength) >= order.index(needs))
        emulator.account.secondary_auth_token = None


def test_paths_without_an_account_of_ones_own(emulator: Emulator, ask: Ask) -> None:
    """An unknown account is refused like a stranger's; what is no SID is not found."""
    token = token_of(emulator.account)
    unknown = f"/2010-04-01/Accounts/AC{32 * 'b'}/Messages.json"
    assert outcome(ask("GET", unknown, token)) == DENIED
    for wrong in ("null", "None", "", "\t" + emulator.account.sid):
        path = f"/2010-04-01/Accounts/{wrong}/Messages.json"
        assert outcome(ask("GET", path, token)) == (404, 20404)


@pytest.mark.parametrize("code", [90002, 21470])
def test_a_key_in_place_of_the_account(code: int) -> None:
    """What ``twilio.rest.Client(key, secret)`` asks for when no account is given."""
    emulator = Emulator(assumptions={"key_as_account_code": code})
    ask, key = Ask(emulator), pair_of(emulator.main_key)
    base = f"/2010-04-01/Accounts/{key[0]}"
    for path in (f"{base}/Messages.json", f"{base}.json"):
        refused = ask("GET", path, key)
        assert outcome(refused) == (400, code)
        assert refused.json()["message"] == f"AccountSid {key[0]} is invalid"
        assert outcome(ask("GET", path, (key[0], "wrong"))) == DENIED


@pytest.mark.parametrize(("status", "answer"), [(401, DENIED), (404, (404, 20404))])
def test_an_unknown_path_without_credentials(status: int, answer: object) -> None:
    emulator = Emulator(assumptions={"unknown_path_status": status})
    ask = Ask(emulator)
    assert outcome(ask("GET", "/2010-04-01/Nothing.json", None)) == answer
    assert outcome(ask("GET", paths(emulator.account)["messages"], None)) == DENIED


@pytest.mark.parametrize(("choice", "answer"), [(70051, (403, 70051)), (20003, DENIED)])
def test_a_restricted_key_on_accounts(choice: int, answer: object) -> None:
    emulator = Emulator(assumptions={"restricted_on_accounts": choice})
    ask, at = Ask(emulator), paths(emulator.account)
    key = pair_of(emulator.account.create_key("restricted", allow=["/twilio/iam/accounts/list"]))
    assert outcome(ask("GET", at["account"], key)) == answer
    assert outcome(ask("GET", "/2010-04-01/Accounts.json", key)) == OK
    refused = ask("GET", at["messages"], key)
    assert outcome(refused) == (403, 70051)
    assert refused.json()["message"] == "Authorization Failed"
