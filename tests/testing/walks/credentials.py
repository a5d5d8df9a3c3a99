"""Through what credentials are made of: keys of both versions, accounts, the secondary token."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from asking import Ask, pair_of, paths, token_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from safetwilio.testing.exchange import EmulatedResponse

ACCOUNTS = "/2010-04-01/Accounts.json"
SECONDARY, PROMOTE = "/v1/AuthTokens/Secondary", "/v1/AuthTokens/Promote"


def walk(ask: Ask) -> Iterator[EmulatedResponse]:
    for way in (_keys, _iam_keys, _accounts, _tokens):
        yield from way(ask)


def _keys(ask: Ask) -> Iterator[EmulatedResponse]:
    at, token = paths(ask.emulator.account), token_of(ask.emulator.account)
    main = pair_of(ask.emulator.main_key)
    yield (created := ask("POST", at["keys"], main, FriendlyName="web"))
    path = at["key"].format(created.json()["sid"])
    yield ask("GET", at["keys"], main)
    yield ask("GET", path, main)
    yield ask("POST", path, token, FriendlyName="worker")
    yield ask("DELETE", path, token)


def _iam_keys(ask: Ask) -> Iterator[EmulatedResponse]:
    token, main = token_of(ask.emulator.account), pair_of(ask.emulator.main_key)
    owner = {"AccountSid": ask.emulator.account.sid}
    allow = ["/twilio/messaging/messages/create", "/twilio/iam/api-keys/read"]
    policy = json.dumps({"allow": allow})
    yield ask("POST", "/v1/Keys", token, **owner)
    yield (created := ask("POST", "/v1/Keys", token, **owner, KeyType="restricted", Policy=policy))
    restricted = f"/v1/Keys/{created.json()['sid']}"
    for size in ("1", "50"):
        yield ask("GET", "/v1/Keys", token, query=(*owner.items(), ("PageSize", size)))
    for path in (restricted, f"/v1/Keys/{ask.emulator.standard_key.sid}"):
        yield ask("GET", path, main)
        yield ask("POST", path, main, FriendlyName="b", Policy=policy)
    yield ask("GET", restricted, (created.json()["sid"], created.json()["secret"]))
    yield ask("DELETE", restricted, main)


def _accounts(ask: Ask) -> Iterator[EmulatedResponse]:
    emulator = ask.emulator
    token = token_of(emulator.account)
    yield (child := ask("POST", ACCOUNTS, token))
    path = f"/2010-04-01/Accounts/{child.json()['sid']}.json"
    for caller in (token, pair_of(emulator.main_key), pair_of(emulator.standard_key), None):
        yield ask("GET", ACCOUNTS, caller)
        yield ask("GET", path, caller)
        yield ask("POST", path, caller, Status="suspended")


def _tokens(ask: Ask) -> Iterator[EmulatedResponse]:
    account = ask.emulator.account
    yield ask("POST", SECONDARY, token_of(account))
    yield ask("DELETE", SECONDARY, token_of(account))
    yield ask("POST", SECONDARY, token_of(account))
    yield ask("POST", PROMOTE, token_of(account))
    yield ask("POST", PROMOTE, token_of(account))
