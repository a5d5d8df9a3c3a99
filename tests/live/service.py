"""The Twilio that is asked, or the emulator in its place; and what may not be asked of it.

Only variables that begin with ``SAFETWILIO_LIVE_`` are read, so that nobody's credentials are used
by accident. Secrets are in ``Pair`` alone, which does not show them; bodies of answers, which may
hold some, are never printed.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import requests

from safetwilio.shapes import (
    ACCOUNT_PREFIX,
    EMULATOR_ACCOUNT_PREFIX,
    EMULATOR_KEY_PREFIX,
    KEY_PREFIX,
    is_sid,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PREFIX = "SAFETWILIO_LIVE_"
SWITCH = "throw-away"
LONGEST_WAIT = 90  # seconds
_LOOPBACK = re.compile(r"http://127\.0\.0\.1:\d+")
_TIMEOUT = 30

Scope = Literal["reader", "main", "owner", "test", "subaccount"]
NEEDS: dict[Scope, str] = {
    "reader": f"{PREFIX}API_KEY and {PREFIX}API_SECRET, a Standard key",
    "main": f"{PREFIX}MAIN_KEY and {PREFIX}MAIN_SECRET, a Main key",
    "owner": f"{PREFIX}AUTH_TOKEN, the account's Auth Token, to read only",
    "test": f"{PREFIX}TEST_ACCOUNT_SID and {PREFIX}TEST_AUTH_TOKEN, the test credentials",
    "subaccount": f"{PREFIX}AUTH_TOKEN and {PREFIX}SUBACCOUNT={SWITCH}",
}


class NotObservedError(Exception):
    """A probe cannot tell here; says why, and holds no secret."""


class WouldChangeError(Exception):
    """A probe was about to change what is not its own: a mistake in the probe."""


@dataclass(frozen=True)
class Pair:
    """Credentials of one *scope*; a write needs those of ``test`` or of ``subaccount``."""

    scope: Scope
    sid: str
    secret: str = field(repr=False)


@dataclass(frozen=True)
class Reply:
    """What came back: *status*, and the *document*, empty if there was none."""

    status: int
    document: dict[str, Any] = field(repr=False)

    @property
    def code(self) -> int | None:
        """Twilio's error code."""
        code = self.document.get("code")
        return code if isinstance(code, int) else None

    @property
    def ok(self) -> bool:
        """Whether it succeeded."""
        return self.status < 400

    def __str__(self) -> str:
        return f"{self.status}/{self.code}" if self.code else str(self.status)


class Service:
    """Twilio, or the emulator at *stand_in*, with the credentials that *environment* gives."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        """Read the variables; raises ``NotObservedError`` if they are not enough or do not fit."""
        self._given = {
            n.removeprefix(PREFIX): v for n, v in environment.items() if n[:16] == PREFIX
        }
        self.account_sid = self._given.get("ACCOUNT_SID", "")
        self.stand_in = self._given.get("EMULATOR")
        self.pairs: dict[Scope, Pair] = {}
        self._pair("reader", "API_KEY", "API_SECRET")
        self._pair("main", "MAIN_KEY", "MAIN_SECRET")
        self._pair("test", "TEST_ACCOUNT_SID", "TEST_AUTH_TOKEN")
        if "AUTH_TOKEN" in self._given:
            self.pairs["owner"] = Pair("owner", self.account_sid, self._given["AUTH_TOKEN"])
        self._check()
        self.may_create = self._given.get("SUBACCOUNT") == SWITCH and "owner" in self.pairs
        self.subaccount: Pair | None = None
        self._session = requests.Session()
        self._session.trust_env = self.stand_in is None

    def __repr__(self) -> str:
        return f"<Service {self.stand_in or 'twilio.com'}>"

    def _pair(self, scope: Scope, sid: str, secret: str) -> None:
        if self._given.get(sid) and self._given.get(secret):
            self.pairs[scope] = Pair(scope, self._given[sid], self._given[secret])

    def _check(self) -> None:
        if not is_sid(self.account_sid, ACCOUNT_PREFIX) or "reader" not in self.pairs:
            raise NotObservedError(
                f"Nothing is asked of Twilio without {PREFIX}ACCOUNT_SID, {NEEDS['reader']}."
            )
        if not all(is_sid(each.sid, each.sid[:2]) for each in self.pairs.values()):
            raise NotObservedError(f"A SID among {PREFIX}… has not the form of one.")
        if not all(each.sid[:2] in {ACCOUNT_PREFIX, KEY_PREFIX} for each in self.pairs.values()):
            raise NotObservedError(f"A SID among {PREFIX}… is neither an account's nor a key's.")
        emulated = (EMULATOR_ACCOUNT_PREFIX, EMULATOR_KEY_PREFIX)
        sids = [self.account_sid, *(each.sid for each in self.pairs.values())]
        if any(sid.startswith(emulated) is (self.stand_in is None) for sid in sids):
            raise NotObservedError("Emulated credentials go to the emulator, real ones to Twilio.")
        if self.stand_in is not None and not _LOOPBACK.fullmatch(self.stand_in):
            raise NotObservedError(f"{PREFIX}EMULATOR is a URL such as http://127.0.0.1:8010.")

    def lacks(self, needs: tuple[Scope, ...]) -> str | None:
        """Return what is missing of *needs*, ``None`` if all is there."""
        there = {*self.pairs, *(("subaccount",) if self.may_create else ())}
        missing = [NEEDS[each] for each in needs if each not in there]
        return f"needs {'; '.join(missing)}" if missing else None

    def ask(
        self,
        who: Pair | None,
        method: str,
        path: str,
        *,
        product: str = "api",
        query: Mapping[str, str] | None = None,
        **form: str,
    ) -> Reply:
        """Send one request, and return the answer."""
        if method != "GET" and not self._may_change(who, method, path):
            raise WouldChangeError(f"{method} {product} with the credentials of {who}")
        host = f"{product}.twilio.com"
        response = self._session.request(
            method,
            f"{self.stand_in or f'https://{host}'}{path}",
            params=dict(query or {}),
            data=form or None,
            auth=(who.sid, who.secret) if who else None,
            headers={"Host": host},
            timeout=_TIMEOUT,
            allow_redirects=False,
        )
        try:
            document = response.json()
        except ValueError:
            document = {}
        return Reply(response.status_code, document if isinstance(document, dict) else {})

    def _may_change(self, who: Pair | None, method: str, path: str) -> bool:
        """Return whether *path* is of the throw-away subaccount, or nothing can happen to it."""
        if who is None or who.scope in {"test", "subaccount"}:
            return who is not None
        if who.scope != "owner" or not self.may_create:
            return False
        if self.subaccount is None:
            return (method, path) == ("POST", "/2010-04-01/Accounts.json")
        return path.startswith(f"/2010-04-01/Accounts/{self.subaccount.sid}")

    def wait(self, seconds: int = 1) -> None:
        """Let *seconds* pass: here, or by the emulator's clock."""
        if self.stand_in is None:
            time.sleep(seconds)
            return
        self._session.post(
            f"{self.stand_in}/_emulator/advance",
            json={"seconds": seconds},
            headers={"Safetwilio-Emulator": "control"},
            timeout=_TIMEOUT,
        ).raise_for_status()

    def seconds_until(self, true: Callable[[], bool], what: str) -> int:
        """Wait until *true* and return for how many seconds."""
        for waited in range(LONGEST_WAIT):
            if true():
                return waited
            self.wait()
        raise NotObservedError(f"{what} took more than {LONGEST_WAIT} seconds")

    def throw_away(self) -> Pair:
        """Return the subaccount that is there for this run only, made at the first call."""
        if self.subaccount is None:
            made = self.ask(
                self.pairs["owner"],
                "POST",
                "/2010-04-01/Accounts.json",
                FriendlyName="safetwilio live suite, throw away",
            )
            if not made.ok or not made.document.get("auth_token"):
                raise NotObservedError(f"no subaccount could be made: {made}")
            sid, token = made.document["sid"], made.document["auth_token"]
            self.subaccount = Pair("subaccount", sid, token)
        return self.subaccount

    def close(self) -> str | None:
        """Close the subaccount, for ever; return what is left to do by hand, if anything."""
        try:
            if self.subaccount is None:
                return None
            sid = self.subaccount.sid
            path = f"/2010-04-01/Accounts/{sid}.json"
            closed = self.ask(self.pairs["owner"], "POST", path, Status="closed")
            return None if closed.ok else f"Close the subaccount {sid} in the Console: {closed}."
        finally:
            self._session.close()
