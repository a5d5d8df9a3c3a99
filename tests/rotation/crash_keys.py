"""The rotations of keys that the crash matrix goes through."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from crash_scenarios import (
    Kept,
    KeysReplaced,
    Pair,
    Scenario,
    World,
    in_document,
    look_into,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from safetwilio.testing.records import Key
    from safetwilio.testing.state import Account

ROTATE = ("rotate", "key", "--yes")
AT_ONCE = (*ROTATE, "--moved")
SERVICES = (
    '[services.shop]\nbackend = "dotenv:shop.env"\n[services.bill]\nbackend = "dotenv:bill.env"\n'
)
_ALLOWED = ("/twilio/messaging/messages/create", "/twilio/messaging/messages/list")


def main_key(world: World) -> None:
    """Let a Main key change the account."""
    world.write_key("admin.env", world.emulator.main_key)


def auth_token(world: World) -> None:
    """Let the Auth Token change the account and those below it."""
    account = world.emulator.account
    world.write("admin.env", account_sid=account.sid, auth_token=account.auth_token)


def in_dotenv(
    kind: str = "standard",
    identity: Callable[[World], None] = main_key,
    owner: Callable[[World], Account] = lambda world: world.emulator.account,
) -> Callable[[World], KeysReplaced]:
    """Return how to prepare one key of *kind* in ``.env``."""

    def prepare(world: World) -> KeysReplaced:
        identity(world)
        account = owner(world)
        key = _make(account, kind)
        path = world.write_key(".env", key)
        return KeysReplaced(world, Kept(account, key, look_into(path)))

    return prepare


def two_services(world: World) -> KeysReplaced:
    """Give each of two services a key of its own."""
    return _services(world, _make(world.emulator.account), _make(world.emulator.account))


def one_key_for_two(world: World) -> KeysReplaced:
    """Give two services the same key."""
    key = _make(world.emulator.account)
    return _services(world, key, key)


def named_account(world: World) -> KeysReplaced:
    """Keep the key of ``get_client("marketing")`` in a file with that of the default account."""
    account = world.emulator.create_account()
    main, key = account.create_key("main"), _make(account)
    world.write_key("admin.env", main, account="MARKETING")
    world.environment["SAFETWILIO_ADMIN_BACKEND_MARKETING"] = "dotenv:admin.env"
    path = world.write_key(".env", key, account="MARKETING")
    other = _make(world.emulator.account)
    text = path.read_text(encoding="utf-8")
    path.write_text(text + world.write_key("other.env", other).read_text(encoding="utf-8"))
    kept = Kept(account, key, look_into(path, "MARKETING"))
    return _Beside(
        world, kept, Pair(account_sid=other.account_sid, sid=other.sid, secret=other.secret)
    )


class _Beside(KeysReplaced):
    """As that, and another key in the same file stays what it was."""

    def __init__(self, world: World, kept: Kept, beside: Pair) -> None:
        super().__init__(world, kept)
        self._look = look_into(world.folder / ".env")
        self._beside = beside

    def between(self) -> Iterator[str]:
        """Look at the other key, too."""
        yield from super().between()
        if self._look() != self._beside:
            yield "another account's key in the same file was changed"


def in_vault(world: World) -> KeysReplaced:
    """Keep a Standard key in a KV engine of version 2."""
    main_key(world)
    bao = world.services.bao
    assert bao is not None
    key, name = _make(world.emulator.account), world.services.name()
    path = f"secret/data/{name}"
    fields = {"account_sid": key.account_sid, "api_key": key.sid, "api_secret": key.secret}
    bao.put(fields, path)
    world.environment |= {
        "VAULT_ADDR": bao.url,
        "VAULT_TOKEN": bao.root,
        "SAFETWILIO_BACKEND": f"vault://secret/{name}?timeout=15",
    }
    return KeysReplaced(
        world, Kept(world.emulator.account, key, in_document(lambda: bao.read(path), *fields))
    )


def in_aws(world: World) -> KeysReplaced:
    """Keep a Standard key in AWS Secrets Manager."""
    main_key(world)
    aws = world.services.aws
    assert aws is not None
    key, name = _make(world.emulator.account), world.services.name()
    names = ("accountSid", "apiKeySid", "apiKeySecret")
    aws.put(dict(zip(names, (key.account_sid, key.sid, key.secret), strict=True)), name)
    reference = f"aws-sm://{name}?timeout=15"
    world.environment |= {**aws.environment, "SAFETWILIO_BACKEND": reference}
    read = in_document(lambda: json.loads(aws.current(name)["SecretString"]), *names)
    return KeysReplaced(world, Kept(world.emulator.account, key, read))


def _services(world: World, *keys: Key) -> KeysReplaced:
    main_key(world)
    (world.folder / "safetwilio.toml").write_text(SERVICES, encoding="utf-8")
    paths = [
        world.write_key(name, key) for name, key in zip(("shop.env", "bill.env"), keys, strict=True)
    ]
    account = world.emulator.account
    return KeysReplaced(
        world,
        *(Kept(account, key, look_into(path)) for key, path in zip(keys, paths, strict=True)),
    )


def _make(account: Account, kind: str = "standard") -> Key:
    if kind == "restricted":
        return account.create_key("restricted", friendly_name="old", allow=_ALLOWED)
    return account.create_key("standard", friendly_name="old")


def _below(world: World) -> Account:
    return world.emulator.create_account(world.emulator.account)


SCENARIOS = (
    Scenario("standard key", in_dotenv(), AT_ONCE),
    Scenario("standard key, moved later", in_dotenv(), ROTATE),
    Scenario("auth token", in_dotenv(identity=auth_token), AT_ONCE),
    Scenario("restricted key", in_dotenv("restricted"), AT_ONCE),
    Scenario("restricted key, auth token", in_dotenv("restricted", auth_token), AT_ONCE),
    Scenario("subaccount, auth token", in_dotenv("standard", auth_token, _below), AT_ONCE),
    Scenario(
        "restricted key of a subaccount",
        in_dotenv("restricted", auth_token, _below),
        AT_ONCE,
        assumptions={"iam_reaches_subaccounts": True},
    ),
    Scenario("two services", two_services, AT_ONCE),
    Scenario("two services, one key", one_key_for_two, AT_ONCE),
    Scenario("named account", named_account, (*AT_ONCE, "--account", "marketing")),
    Scenario("vault", in_vault, AT_ONCE, needs="vault"),
    Scenario("aws", in_aws, AT_ONCE, needs="aws"),
)
