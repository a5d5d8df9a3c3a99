"""Who we are to a Vault: a login that the process keeps, renews when it is used, and does anew.

Only the token is kept, never a connection, so a child of a fork may go on with it: a wrapping token
or a secret ID for one use would not be good for a second login.
"""

from __future__ import annotations

import http
import os
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from safetwilio.backends.vault_grant import LONGEST_LEASE, given, granted_by, plain
from safetwilio.backends.vault_methods import METHODS, ROLE_ID
from safetwilio.errors import BackendError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from safetwilio.backends.vault_grant import Given, Granted, Way
    from safetwilio.backends.vault_http import Answer, Connection

_RENEW_BELOW = 1 / 3  # of a lease
_REFUSED = frozenset({http.HTTPStatus.UNAUTHORIZED, http.HTTPStatus.FORBIDDEN})


class _Kept:
    """One login of this process, and the lock that lets one thread at a time log in."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.granted: Granted | None = None
        self.ends: float | None = None
        self.is_known = False  # whether the server was asked how long it is good

    def keep(self, granted: Granted) -> None:
        self.granted = granted
        self.ends = time.monotonic() + granted.lease if granted.lease else None
        self.is_known = bool(granted.lease)

    def left(self) -> float:
        """Return which part of the lease is left: 1.0 of one without an end."""
        if self.granted is None or self.ends is None:
            return 1.0
        return (self.ends - time.monotonic()) / self.granted.lease


_kept: dict[tuple[object, ...], _Kept] = {}


def forget() -> None:
    """Forget every login of this process; the next load logs in anew."""
    _kept.clear()


def _after_fork() -> None:
    """Take new locks in a child: the old ones may be held by threads that are gone."""
    for kept in _kept.copy().values():
        kept.lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


class Login:
    """The login of one *way* over one *connection*; nothing is asked before the first request."""

    def __init__(self, connection: Connection, way: Way) -> None:
        """Find the login that this process keeps, if it does."""
        self._connection = connection
        self._way = way
        names = ("namespace", "role", "auth_path", "file", "wrapped")
        options = [way.option(name) for name in names]
        key = (connection.server, way.method, *options, os.environ.get(ROLE_ID))
        self._kept = _kept.setdefault(key, _Kept())
        self._granted: Granted | None = None
        self._is_fresh = False

    @property
    def identity(self) -> str | None:
        """Who we are, in words, as soon as it is known."""
        return self._granted.identity if self._granted else None

    def ask(
        self,
        method: str,
        path: str,
        *,
        data: Mapping[str, object] | None = None,
        version: int | None = None,
        fix: str = "",
    ) -> Answer:
        """Ask as who we are; if a login of before is refused, log in once more and ask again.

        Raises as :meth:`Connection.ask`, and ST331 or ST337 if there is no login to be had.
        """
        granted = self._granted or self._begin()
        answer = self._connection.ask(
            method, path, token=granted.token, data=data, version=version, fix=fix
        )
        # "preflight": the login is good, but may not ask how a place is mounted.
        if answer.status not in _REFUSED or self._is_fresh or answer.says("preflight"):
            return answer
        again = self._anew(granted)
        if again is None:
            return answer
        return self._connection.ask(
            method, path, token=again.token, data=data, version=version, fix=fix
        )

    def refused(self, *, answer: Answer, grant: str, verb: str = "read") -> BackendError:
        """Return ST330 if the login is good and *answer* is about what it may do, else ST331."""
        granted = self._granted or self._begin()
        own = self._connection.ask("get", "auth/token/lookup-self", token=granted.token)
        identity = granted.identity
        if own.status == http.HTTPStatus.OK:
            identity += _described(own)
        elif not _is_about_a_policy(answer):
            return self._connection.failures._replace(identity=identity).unauthenticated(
                why="the token is expired, revoked, of another Vault or namespace, or none",
                fix=_HOW_TO_RENEW.get(self._way.method, "Log in anew: start the program again."),
            )
        return self._connection.failures._replace(identity=identity).denied(grant=grant, verb=verb)

    def learn(self) -> None:
        """Ask how long a token that was given to us is good, once, and renew it if it is not long.

        It comes after the read, so that a token for a few uses is not used up before it. A token
        that may not ask is used as it is.
        """
        with self._alone():
            granted = self._kept.granted
            if self._kept.is_known or granted is None or self._way.method != "token":
                return
            self._kept.is_known = True
            answer = self._quietly("get", "auth/token/lookup-self", granted)
            ttl = _seconds(answer, "data", "ttl")
            if not ttl:
                return
            lease = max(ttl, _seconds(answer, "data", "period", "creation_ttl"))
            renewable = answer is not None and answer.get("data", "renewable") is True
            self._kept.granted = granted._replace(lease=lease, renewable=renewable)
            self._kept.ends = time.monotonic() + ttl
            if self._kept.left() < _RENEW_BELOW and renewable:
                self._renew(self._kept.granted)

    def _begin(self) -> Granted:
        with self._alone():
            self._granted = self._still_good() or self._log_in()
            return self._granted

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Let one thread log in: what is for one use must not be used by two of them."""
        lock = self._kept.lock
        if not lock.acquire(timeout=self._connection.deadline.remaining()):
            raise self._connection.failures.unreachable(
                where=f"auth={self._way.method}", why="another thread has been logging in all along"
            )
        try:
            yield
        finally:
            lock.release()

    def _still_good(self) -> Granted | None:
        """Return the login that is kept, renewed if it ends soon, or ``None``."""
        granted = self._kept.granted
        if granted is None or self._is_replaced(granted):
            return None
        if self._kept.left() >= _RENEW_BELOW:
            return granted
        if granted.renewable and self._kept.left() > 0:
            self._renew(granted)
        if self._kept.left() >= _RENEW_BELOW or granted.mark:
            return self._kept.granted  # with a mark: there is no other to be had
        return None

    def _is_replaced(self, granted: Granted) -> bool:
        """Return whether another token than that of *granted* is where ours came from."""
        if self._way.method != "token":
            return False
        found = self._given()
        return found is None or found.mark != granted.mark

    def _renew(self, granted: Granted) -> None:
        answer = self._quietly("post", "auth/token/renew-self", granted)
        if answer is None or answer.get("auth") is None:
            return
        renewed = granted_by(self._connection, answer, granted.identity)
        if renewed.lease:
            # Near its longest life Vault renews for less and less: a third of the first lease
            # is still the measure, so that a new login comes in time.
            self._kept.granted = granted._replace(renewable=renewed.renewable)
            self._kept.ends = time.monotonic() + renewed.lease

    def _quietly(self, method: str, path: str, granted: Granted) -> Answer | None:
        """Return an answer that we can do without: the next request will say what is wrong."""
        try:
            answer = self._connection.ask(method, path, token=granted.token, data=_nothing(method))
        except BackendError:
            return None
        return answer if answer.status == http.HTTPStatus.OK else None

    def _log_in(self) -> Granted:
        before = self._kept.granted
        granted = METHODS[self._way.method].log_in(self._connection, self._way)
        self._is_fresh = before is None or granted.token != before.token
        self._kept.keep(granted)
        return granted

    def _anew(self, refused: Granted) -> Granted | None:
        """Return another login than the *refused* one, ``None`` if there is no other to be had."""
        with self._alone():
            now = self._kept.granted
            if now is not None and now.token != refused.token:
                self._granted = now  # another thread was quicker
                return now
            if refused.mark and self._is_spent(refused):
                return None
            self._granted = self._log_in()
            self._is_fresh = True
            return self._granted

    def _is_spent(self, refused: Granted) -> bool:
        """Return whether what *refused* was got for is still all there is."""
        found = self._given()
        return found is None or found.mark == refused.mark

    def _given(self) -> Given | None:
        method = METHODS[self._way.method]
        return given(self._connection, self._way, method.secret, method.default)


def _nothing(method: str) -> dict[str, object] | None:
    return {} if method == "post" else None


def _is_about_a_policy(answer: Answer) -> bool:
    """Return whether *answer* refuses what a good token wants; a bad one gets no "1 error"."""
    return answer.says("1 error occurred") or answer.says("preflight")


def _described(own: Answer) -> str:
    accessor = plain(own.get("data", "accessor"))
    found = own.get("data", "policies")
    policies = [plain(name) for name in found] if isinstance(found, list) else []
    parts = [f"accessor {accessor}"] if accessor else []
    parts += [f"policies {', '.join(filter(None, policies))}"] if any(policies) else []
    return f" ({'; '.join(parts)})" if parts else ""


def _seconds(answer: Answer | None, first: str, *names: str) -> float:
    found = [answer.get(first, name) for name in names] if answer is not None else []
    return max(
        (float(n) for n in found if isinstance(n, int) and 0 < n < LONGEST_LEASE), default=0.0
    )


_HOW_TO_RENEW = {
    "token": "Log in again (vault login), or give the program a new token: "
    "vault token create -policy=NAME",
    "agent": "Look at the agent's log: its own login fails, or it has no api_proxy with "
    "use_auto_auth_token.",
    "wrapped": "A login that came wrapped cannot be done anew: give the program a new wrapping "
    "token, or let it log in by itself (auth=approle, auth=kubernetes …).",
}
