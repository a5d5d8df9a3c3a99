"""Accounts, keys and tokens: what each verb does and answers."""

from __future__ import annotations

import pytest
from asking import RECIPIENT, SENDER, Ask, pair_of, paths, token_of

from safetwilio.shapes import is_auth_token, is_emulated, is_key_secret, is_placeholder, is_sid
from safetwilio.testing import Emulator

SECONDARY, PROMOTE = "/v1/AuthTokens/Secondary", "/v1/AuthTokens/Promote"


def test_the_forms_of_sids_and_secrets(emulator: Emulator) -> None:
    account, key = emulator.account, emulator.standard_key
    assert is_sid(account.sid, "AC")
    assert is_sid(key.sid, "SK")
    assert is_emulated(account.sid)
    assert is_emulated(key.sid)
    assert is_auth_token(account.auth_token)
    assert is_key_secret(key.secret)
    assert len(key.secret) == 32
    assert not any(map(is_placeholder, (account.sid, key.sid, account.auth_token, key.secret)))


def test_no_repr_shows_a_secret(emulator: Emulator, ask: Ask) -> None:
    created = ask("POST", paths(emulator.account)["keys"], token_of(emulator.account))
    shown = repr([vars(emulator), emulator.account, emulator.main_key, created, emulator])
    secrets = [emulator.account.auth_token, emulator.main_key.secret, created.json()["secret"]]
    assert not [secret for secret in secrets if secret in shown]


def test_a_key_from_birth_to_death(emulator: Emulator, ask: Ask) -> None:
    at, token = paths(emulator.account), token_of(emulator.account)
    created = ask("POST", at["keys"], token, FriendlyName="web")
    assert created.status == 201
    key = created.json()
    pair = key["sid"], key["secret"]
    assert ask("GET", at["messages"], pair).status == 200
    path = at["key"].format(key["sid"])
    assert "secret" not in ask("GET", path, token).json()
    assert ask("POST", path, token, FriendlyName="worker").json()["friendly_name"] == "worker"
    listed = ask("GET", at["keys"], token).json()["keys"]
    assert [each["friendly_name"] for each in listed] == ["worker", "seeded", "seeded"]
    deleted = ask("DELETE", path, token)
    assert (deleted.status, deleted.body) == (204, b"")
    assert ask("GET", at["messages"], pair).json()["code"] == 20003
    assert ask("GET", path, token).json()["code"] == 20404
    assert ask("DELETE", path, token).status == 404


def test_a_key_made_over_http_is_a_standard_one(emulator: Emulator, ask: Ask) -> None:
    at = paths(emulator.account)
    created = ask("POST", at["keys"], token_of(emulator.account), KeyType="restricted").json()
    assert ask("GET", at["keys"], (created["sid"], created["secret"])).json()["code"] == 20003


def test_a_keys_name_has_at_most_64_characters(emulator: Emulator, ask: Ask) -> None:
    keys, token = paths(emulator.account)["keys"], token_of(emulator.account)
    assert ask("POST", keys, token, FriendlyName="x" * 64).status == 201
    refused = ask("POST", keys, token, FriendlyName="x" * 65)
    assert (refused.status, refused.json()["code"]) == (400, 70001)


def test_rotation_of_the_token(emulator: Emulator, ask: Ask) -> None:
    account, messages = emulator.account, paths(emulator.account)["messages"]
    old = token_of(account)
    created = ask("POST", SECONDARY, old)
    new = account.sid, created.json()["secondary_auth_token"]
    assert created.status == 201
    assert {ask("GET", messages, each).status for each in (old, new)} == {200}
    assert ask("POST", PROMOTE, old).json()["auth_token"] == new[1]
    assert ask("GET", messages, old).status == 401
    assert ask("GET", messages, new).status == 200
    assert ask("POST", PROMOTE, new).status == 404, "nothing is left to promote"


def test_a_deleted_secondary_token_is_refused(emulator: Emulator, ask: Ask) -> None:
    account = emulator.account
    token = token_of(account)
    secondary = ask("POST", SECONDARY, token).json()["secondary_auth_token"]
    assert ask("DELETE", SECONDARY, token).status == 204
    assert ask("GET", paths(account)["messages"], (account.sid, secondary)).status == 401
    assert ask("DELETE", SECONDARY, token).status == 404


@pytest.mark.parametrize(("choice", "status"), [("refused", 400), ("replaced", 201)])
def test_a_second_secondary_token(choice: str, status: int) -> None:
    emulator = Emulator(assumptions={"second_secondary": choice})
    ask, token = Ask(emulator), token_of(emulator.account)
    ask("POST", SECONDARY, token)
    assert ask("POST", SECONDARY, token).status == status


@pytest.mark.parametrize("status", [404, 400])
def test_no_secondary_token(status: int) -> None:
    emulator = Emulator(assumptions={"no_secondary_status": status})
    ask, token = Ask(emulator), token_of(emulator.account)
    assert ask("DELETE", SECONDARY, token).status == status
    assert ask("POST", PROMOTE, token).status == status


def test_subaccounts(emulator: Emulator, ask: Ask) -> None:
    token = token_of(emulator.account)
    created = ask("POST", "/2010-04-01/Accounts.json", token, FriendlyName="child")
    child = created.json()
    assert created.status == 201
    assert child["owner_account_sid"] == emulator.account.sid
    own = child["sid"], child["auth_token"]
    assert ask("POST", "/2010-04-01/Accounts.json", own).status == 400
    query = (("FriendlyName", "child"), ("Status", "active"))
    found = ask("GET", "/2010-04-01/Accounts.json", token, query=query).json()["accounts"]
    assert [each["sid"] for each in found] == [child["sid"]]
    only = ask("GET", "/2010-04-01/Accounts.json", own).json()["accounts"]
    assert [each["sid"] for each in only] == [child["sid"]]
    with pytest.raises(ValueError, match="one level"):
        emulator.create_account(emulator.create_account(emulator.account))


def test_closing_a_subaccount_is_for_ever(emulator: Emulator, ask: Ask) -> None:
    child, token = emulator.create_account(emulator.account), token_of(emulator.account)
    path = paths(child)["account"]
    assert ask("POST", path, token, Status="asleep").status == 400
    assert ask("POST", path, token, FriendlyName="x" * 65).status == 400
    assert ask("POST", path, token, FriendlyName="a").json()["friendly_name"] == "a"
    assert ask("POST", path, token, FriendlyName="b", Status="closed").json()["status"] == "closed"
    assert ask("POST", path, token, Status="active").status == 400


@pytest.mark.parametrize(("allowed", "status"), [(False, 400), (True, 200)])
def test_suspending_the_main_account(allowed: bool, status: int) -> None:  # noqa: FBT001
    emulator = Emulator(assumptions={"suspend_main_account": allowed})
    path, token = paths(emulator.account)["account"], token_of(emulator.account)
    assert Ask(emulator)("POST", path, token, Status="suspended").status == status
    assert Ask(emulator)("GET", path, token).status == (401 if allowed else 200)


def test_paths_and_methods_that_do_not_exist(emulator: Emulator, ask: Ask) -> None:
    at, token = paths(emulator.account), token_of(emulator.account)
    missing = ask("GET", "/2010-04-01/Nothing.json", token).json()
    assert (missing["status"], missing["code"]) == (404, 20404)
    assert "/2010-04-01/Nothing.json" in missing["message"]
    wrong = ask("DELETE", at["messages"], token)
    assert (wrong.status, wrong.json()["code"]) == (405, 20004)
    elsewhere = ask("GET", at["messages"], token, host="verify.twilio.com")
    assert elsewhere.json()["code"] == 20404
    assert ask("GET", at["messages"], token, host="evil.example").status == 404


@pytest.mark.parametrize("host", ["api.twilio.com:443", "api.dublin.ie1.twilio.com", "127.0.0.1:8"])
def test_hosts_that_count_as_the_api(emulator: Emulator, ask: Ask, host: str) -> None:
    messages, token = paths(emulator.account)["messages"], token_of(emulator.account)
    assert ask("GET", messages, token, host=host).status == 200


def test_the_journal_has_every_request_and_no_secret(emulator: Emulator, ask: Ask) -> None:
    at, account = paths(emulator.account), emulator.account
    form = {"To": RECIPIENT, "From": SENDER, "Body": "hi"}
    ask("POST", at["messages"], pair_of(emulator.standard_key), **form)
    ask("GET", at["keys"], token_of(account))
    # swapped: the username is a secret, and so is what Twilio's library puts into the path
    swapped = at["keys"].replace(account.sid, account.auth_token)
    ask("GET", swapped, (account.auth_token, account.sid), query=(("a", account.auth_token),))
    ask("GET", at["keys"], None)
    entries = emulator.requests
    assert [each.username for each in entries] == [
        emulator.standard_key.sid,
        account.sid,
        None,
        None,
    ]
    assert [each.status for each in entries] == [201, 200, 401, 401]
    assert entries[0].path == at["messages"]
    assert account.auth_token not in repr(entries)
    assert emulator.standard_key.secret not in repr(entries)


def test_an_unknown_assumption_or_choice_is_an_error() -> None:
    with pytest.raises(ValueError, match="no assumption is called 'gravity'"):
        Emulator(assumptions={"gravity": False})
    with pytest.raises(ValueError, match="suspended_status is one of"):
        Emulator(assumptions={"suspended_status": 418})
