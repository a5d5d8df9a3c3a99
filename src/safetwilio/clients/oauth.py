"""OAuth apps of Twilio's library, with three of its habits turned off.

Read in twilio 9.13.0: ``TokenAuthStrategy.__init__`` calls ``logging.basicConfig(INFO)`` for the
whole process, the token managers build a ``Client()`` of their own, which sends the account's Auth
Token from the environment to the token endpoint, and a bearer is fetched when the last one has
ended, by whoever asks first: under asyncio the event loop stands still for that.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import jwt
from twilio.auth_strategy.token_auth_strategy import TokenAuthStrategy

from safetwilio.policy import emulator_url
from safetwilio.redaction.registry import SHORTEST, register, retire

if TYPE_CHECKING:
    from collections.abc import Iterator

_log = logging.getLogger("safetwilio.clients")
_AHEAD = 60.0  # seconds before its end a bearer is renewed, if it lives at least ten times as long
_UNKNOWN_LIFE = 60.0  # of a bearer that does not say when it ends
_SHORTEST_USE = 5.0  # of any, also where the clocks differ
_STILL_VALID = 2  # bearers to hide: the present one, and the one before it


def close_traps(provider: Any) -> None:
    """Give Twilio's *provider* a token manager without the master token; spare root logging.

    A provider that was handed its own ``token_manager`` keeps it; if that is Twilio's, the client
    in it is replaced.
    """
    if not all(hasattr(provider, name) for name in ("token_manager", "client_id", "grant_type")):
        return
    if len(provider.client_secret) >= SHORTEST:
        register(provider.client_secret, "secret")
    if provider.token_manager is None:
        provider.token_manager = _token_manager(provider)
    elif isinstance(provider.token_manager, _kinds()):
        provider.token_manager.client = _anonymous_client()
    with _root_logging_untouched():
        theirs = provider.to_auth_strategy()
    if type(theirs) is TokenAuthStrategy:
        provider.auth_strategy = Bearers(provider.token_manager, theirs.token)


async def renew(provider: Any) -> None:
    """Let *provider* have a bearer that is still good for a while, without stopping the loop.

    Raises what fetching one raises: :class:`safetwilio.clients.TransportError` (ST601, ST602) or
    Twilio's own exceptions. A provider that does it in its own way is left alone.
    """
    strategy = getattr(provider, "auth_strategy", None)
    if isinstance(strategy, Bearers):
        await strategy.renew()


class Bearers(TokenAuthStrategy):
    """Bearers from Twilio's *token_manager*, hidden in logs, renewed ahead of their end, once."""

    def __init__(self, token_manager: Any, bearer: str | None = None) -> None:
        """Begin with *bearer*, if there is one already."""
        with _root_logging_untouched():
            super().__init__(token_manager)
        self.token: Any
        self._due = self._end = 0.0
        self._hidden: deque[str] = deque(maxlen=_STILL_VALID)
        self._flights: dict[asyncio.AbstractEventLoop, asyncio.Task[None]] = {}
        if bearer:
            self._take(bearer)

    def fetch_token(self) -> None:
        """Fetch a bearer if it is time; of many threads one does, and the others wait for it."""
        if self._is_due():
            with self.lock:
                if self._is_due():
                    self._fetch()

    async def renew(self) -> None:
        """Do the same in a thread; of many tasks of a loop one does, and the others wait for it."""
        if not self._is_due():
            return
        loop = asyncio.get_running_loop()
        flight = self._flights.get(loop)
        if flight is None:
            flight = self._flights[loop] = loop.create_task(asyncio.to_thread(self.fetch_token))
            flight.add_done_callback(self._landed)
        await asyncio.shield(flight)  # who gives up waiting takes nothing from the others

    def _landed(self, flight: asyncio.Task[None]) -> None:
        del self._flights[flight.get_loop()]
        if not flight.cancelled():
            flight.exception()  # whoever waits raises it; if nobody does any more, it is no news

    def _is_due(self) -> bool:
        return not self.token or time.time() >= self._due

    def _fetch(self) -> None:
        try:
            fetch: Any = self.token_manager.fetch_access_token  # declared with an argument too many
            self._take(fetch())
        except Exception as error:
            if not self.token or time.time() >= self._end:
                raise
            self._due = time.time() + _SHORTEST_USE
            _log.warning(
                "No new OAuth access token could be fetched (%s); the present one is used while "
                "it lasts.",
                type(error).__name__,
            )

    def _take(self, bearer: str) -> None:
        now = time.time()
        self._end = _end(bearer, now)
        ahead = min(_AHEAD, (self._end - now) / 10)
        self._due = max(self._end - ahead, now + _SHORTEST_USE)
        if isinstance(bearer, str) and len(bearer) >= SHORTEST and bearer not in self._hidden:
            register(bearer, "secret")
            if len(self._hidden) == _STILL_VALID:
                retire(self._hidden[0])
            self._hidden.append(bearer)
        self.token = bearer


def _end(bearer: str, now: float) -> float:
    """Return when *bearer* ends, in seconds since 1970; it is a JWT that nobody here can check."""
    try:
        return float(jwt.decode(bearer, options={"verify_signature": False})["exp"])
    except (jwt.PyJWTError, KeyError, TypeError, ValueError):
        return now + _UNKNOWN_LIFE


def _kinds() -> tuple[type[Any], type[Any]]:
    from twilio.http.client_token_manager import ClientTokenManager
    from twilio.http.orgs_token_manager import OrgTokenManager

    return ClientTokenManager, OrgTokenManager


def _token_manager(provider: Any) -> Any:
    from twilio.credential.orgs_credential_provider import OrgsCredentialProvider

    for_clients, for_organizations = _kinds()
    organization = isinstance(provider, OrgsCredentialProvider)
    kind = _quiet(for_organizations if organization else for_clients)
    manager: Any = kind.__new__(kind)  # its __init__ would build a Client() from the environment
    for name in ("code", "redirect_uri", "audience", "refreshToken", "scope"):
        setattr(manager, name, None)
    manager.grant_type = provider.grant_type
    manager.client_id = provider.client_id
    manager.client_secret = provider.client_secret
    manager.client = _anonymous_client()
    return manager


def _quiet(kind: Any) -> Any:
    """Return *kind* whose errors show no frame of the request: they all hold the app's secret."""

    class Quiet(kind):  # type: ignore[misc]
        def fetch_access_token(self) -> Any:
            handled = sys.exception()
            try:
                return super().fetch_access_token()
            except BaseException as error:  # noqa: BLE001 - raised again below
                from safetwilio.clients.errors import without_frames

                failure = without_frames(error, handled)
            raise failure

    return Quiet


def _anonymous_client() -> Any:
    from twilio.rest import Client

    from safetwilio.clients.transport import Transport

    transport = Transport(emulator=emulator_url())
    return Client(environment={"TWILIO_AUTH_TOKEN": ""}, http_client=transport)


@contextmanager
def _root_logging_untouched() -> Iterator[None]:
    """Keep ``logging.basicConfig`` from doing anything: it acts only on a root without handlers."""
    occupied = logging.NullHandler()
    logging.getLogger().addHandler(occupied)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(occupied)
