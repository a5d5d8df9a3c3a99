"""The rotations of Auth Tokens that the crash matrix goes through."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

from crash_scenarios import SETTLED, Scenario, World

from safetwilio.testing.records import new_auth_token

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from safetwilio.testing.state import Account

    Look = Callable[[], Mapping[str, str]]

ROTATE = ("rotate", "token", "--yes")
AT_ONCE = (*ROTATE, "--moved")
TOKEN, WEBHOOKS, STANDBY = "auth_token", "webhook_auth_token", "webhook_secondary_auth_token"


class Remembered(dict[str, "tuple[str, ...]"]):
    """The Auth Tokens that count, and the *secrets* of all that ever did."""

    def __init__(self, tokens: Mapping[str, tuple[str, ...]], secrets: set[str]) -> None:
        """Begin with *tokens*."""
        super().__init__(tokens)
        self._secrets = secrets

    def __setitem__(self, sid: str, tokens: tuple[str, ...]) -> None:
        self._secrets |= set(tokens)
        super().__setitem__(sid, tokens)


class TokensReplaced:
    """All *places* hold the new primary token, and nothing else lives but a standby of theirs."""

    def __init__(
        self,
        world: World,
        *places: tuple[str, Look],
        standby: bool = False,
        below: tuple[Account, ...] = (),
    ) -> None:
        """Remember which tokens there are now; each place is the token's name there and a look."""
        self._world = world
        self._account = world.emulator.account
        self._places = places
        self._standby = standby
        self._old = {each.sid: each.auth_token for each in (self._account, *below)}
        self._below = below
        within = world.emulator._world.in_force
        within.tokens = Remembered(within.tokens, world.secrets)

    def between(self) -> Iterator[str]:
        """Whatever was killed, one of the tokens in each place works."""
        alive = self._alive(self._account)
        for number, (name, look) in enumerate(self._places):
            held = look()
            if not alive & {held.get(name, ""), held.get(STANDBY, "")}:
                yield f"place {number} holds no token that Twilio accepts"

    def after(self) -> Iterator[str]:
        """Complain about the end, when every change counts."""
        self._world.emulator.advance(SETTLED)
        yield from self.between()
        account = self._account
        secondary = account.secondary_auth_token if self._standby else None
        for number, (name, look) in enumerate(self._places):
            held = look()
            if held.get(name) != account.auth_token:
                yield f"place {number} does not hold the primary token"
            if (held.get(STANDBY) or None) != secondary:
                yield f"the standby of place {number} is not the secondary token"
        if self._standby and secondary is None:
            yield "there is no standby"
        for each in (account, *self._below):
            allowed = {each.auth_token} | ({secondary} if each is account and secondary else set())
            if self._old[each.sid] == each.auth_token:
                yield f"the token of {each.sid} was not replaced"
            if self._alive(each) != allowed:
                yield f"{each.sid} has {len(self._alive(each))} tokens, not {len(allowed)}"
        yield from self._left_behind()

    def _alive(self, account: Account) -> set[str]:
        within = self._world.emulator._world.in_force
        within.settle()
        return set(within.tokens[account.sid])

    def _left_behind(self) -> Iterator[str]:
        """Complain about what works, and was left by a killed process, and stands nowhere else."""
        held = {text for _, look in self._places for text in look().values()}
        alive = self._world.emulator.secrets() - held
        for path in self._world.folder.glob("*.safetwilio-*"):
            if any(secret in path.read_text(encoding="utf-8") for secret in alive):
                yield f"a secret that works was left in {path.name}"
            if stat.S_IMODE(path.stat().st_mode) & (stat.S_IRWXG | stat.S_IRWXO):
                yield f"others can read {path.name}"


def look_into(path: Path) -> Look:
    """Return how to read the ``.env`` file at *path*, without safetwilio's help."""

    def look() -> Mapping[str, str]:
        lines = path.read_text(encoding="utf-8").splitlines()
        found = dict(line.split("=", 1) for line in lines)
        assert found["OTHER"] == "stays"
        return {name.removeprefix("TWILIO_").lower(): value for name, value in found.items()}

    return look


def in_dotenv(
    *, deployed: bool = False, unread: bool = False, standby: bool = False, below: int = 0
) -> Callable[[World], TokensReplaced]:
    """Return how to prepare a token in ``.env``, which is its own identity."""

    def prepare(world: World) -> TokensReplaced:
        account = world.emulator.account
        world.environment["SAFETWILIO_ADMIN_BACKEND"] = ""
        more = {}
        if deployed or unread:
            account.secondary_auth_token = new_auth_token()
        if deployed:
            more = {STANDBY: str(account.secondary_auth_token)}
        path = world.write(".env", account_sid=account.sid, auth_token=account.auth_token, **more)
        accounts = tuple(world.emulator.create_account(account) for _ in range(below))
        place = (TOKEN, look_into(path))
        return TokensReplaced(world, place, standby=standby, below=accounts)

    return prepare


def two_places(world: World) -> TokensReplaced:
    """Prepare one for webhooks, under a name of its own, and one for operations."""
    account = world.emulator.account
    hooks = world.write("hooks.env", account_sid=account.sid, webhook_auth_token=account.auth_token)
    admin = world.write("admin.env", account_sid=account.sid, auth_token=account.auth_token)
    world.environment["SAFETWILIO_WEBHOOK_BACKEND"] = "dotenv:hooks.env"
    places = ((WEBHOOKS, look_into(hooks)), (TOKEN, look_into(admin)))
    return TokensReplaced(world, *places, standby=True)


def main_key(world: World) -> TokensReplaced:
    """Let a Main key change the account."""
    account = world.emulator.account
    world.write_key("admin.env", world.emulator.main_key)
    path = world.write(".env", account_sid=account.sid, auth_token=account.auth_token)
    return TokensReplaced(world, (TOKEN, look_into(path)))


def in_vault(world: World) -> TokensReplaced:
    """Prepare a JSON document in a KV engine of version 2, with an API key that stays."""
    bao, account = world.services.bao, world.emulator.account
    assert bao is not None
    name, key = world.services.name(), world.emulator.standard_key
    path = f"secret/data/{name}"
    pair = {"api_key": key.sid, "api_secret": key.secret}
    bao.put({"account_sid": account.sid, TOKEN: account.auth_token, **pair}, path)
    world.environment |= {
        "VAULT_ADDR": bao.url,
        "VAULT_TOKEN": bao.root,
        "SAFETWILIO_ADMIN_BACKEND": "",
        "SAFETWILIO_BACKEND": f"vault://secret/{name}?timeout=15",
    }

    def look() -> Mapping[str, str]:
        found = bao.read(path)
        assert pair.items() <= found.items()
        return found

    return TokensReplaced(world, (TOKEN, look))


SCENARIOS = (
    Scenario("token: one place", in_dotenv(), AT_ONCE),
    Scenario("token: moved later", in_dotenv(), ROTATE),
    Scenario("token: unread secondary", in_dotenv(unread=True), AT_ONCE),
    Scenario("token: deployed", in_dotenv(deployed=True, standby=True), (*ROTATE, "--standby")),
    Scenario("token: two places", two_places, (*AT_ONCE, "--standby")),
    # If it needs the token, a Main key is refused whatever happens: test_token_run.py.
    Scenario("token: Main key", main_key, AT_ONCE, assumptions={"token_rotation_needs": "main"}),
    Scenario("token: subaccounts", in_dotenv(below=2), (*AT_ONCE, "--subaccounts")),
    Scenario("token: vault", in_vault, AT_ONCE, needs="vault"),
)
