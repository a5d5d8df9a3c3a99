"""What a request goes with: the key of this moment, and another one if Twilio refuses that."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from importlib import import_module
from typing import TYPE_CHECKING, Any

from requests.auth import HTTPBasicAuth
from twilio.rest import Client

from safetwilio.clients.adoption import is_ours
from safetwilio.clients.auth import LastMomentAuth
from safetwilio.clients.pairs import checked
from safetwilio.clients.transport import Transport
from safetwilio.errors import ConfigurationError
from safetwilio.policy import broken_glass, require_twilio_host

if TYPE_CHECKING:
    from twilio.http.response import Response

    from safetwilio.clients.async_transport import AsyncTransport
    from safetwilio.credentials import ApiKey, AuthToken
    from safetwilio.policy import BrokenGlass
    from safetwilio.store import CredentialStore

_ASYNC_TRANSPORT = "safetwilio.clients.async_transport"
_UNAUTHORIZED, _AUTHENTICATE = 401, 20003
_REFUSED = frozenset({_UNAUTHORIZED, 403})
_FIRST_ERROR = 400
_DATA_ARGUMENT, _AUTH_ARGUMENT = 1, 3  # of request(), after method and uri


class KeyedClient(Client):
    """A client whose requests take their key from a store, whole, when they begin."""

    auth: Any
    _own_auth: LastMomentAuth | None
    _emulator: str | None
    _glass: BrokenGlass | None
    _store: CredentialStore | None

    def request(self, method: str, uri: str, *args: Any, **kwargs: Any) -> Response:
        """Make a request as Twilio's client does; a refusal is explained in plain words.

        A key that is old is looked for anew before. One that Twilio refuses (401, 20003) is looked
        for, with a wait of some seconds where that may help, and with another key the request is
        sent once more, unless its *data* can be read only once. Raises
        :class:`safetwilio.errors.BackendUnavailable` (ST341) if the key could not be looked for too
        long.
        """
        self._prepare_for(uri, kwargs)
        store = self._store_for(args, kwargs)
        if store is None:
            return super().request(method, uri, *args, **kwargs)
        key, sought, began = store.fresh(), 0.0, time.monotonic()
        args, kwargs = self._with(key, args, kwargs)
        answer = super().request(method, uri, *args, **kwargs)
        if _is_refusal(answer, store, began):
            is_repeatable = _is_repeatable(args, kwargs)
            may_wait = is_repeatable and _may_be_rotated(uri)
            other, sought = store.instead_of(key, may_wait=may_wait)
            if other is not None and is_repeatable:
                key = other
                args, kwargs = self._with(key, args, kwargs)
                del answer  # what it may echo is in no frame of a failure
                answer = super().request(method, uri, *args, **kwargs)
        return self._in_plain_words(answer, key, uri, sought)

    async def request_async(self, method: str, uri: str, *args: Any, **kwargs: Any) -> Response:
        """Make a request under asyncio; the HTTP client need not be an asynchronous one.

        Beside our own :class:`Transport` an asynchronous one with the same options is made when it
        is first needed, so that one client serves both kinds of code. All else is as with
        :meth:`request`; the event loop waits for nothing.
        """
        self._prepare_for(uri, kwargs)
        asking = await self._for_asyncio()
        store = self._store_for(args, kwargs)
        if store is None:
            return await Client.request_async(asking, method, uri, *args, **kwargs)
        key, sought, began = await store.fresh_async(), 0.0, time.monotonic()
        args, kwargs = self._with(key, args, kwargs)
        answer = await Client.request_async(asking, method, uri, *args, **kwargs)
        if _is_refusal(answer, store, began):
            is_repeatable = _is_repeatable(args, kwargs)
            may_wait = is_repeatable and _may_be_rotated(uri)
            other, sought = await store.instead_of_async(key, may_wait=may_wait)
            if other is not None and is_repeatable:
                key = other
                args, kwargs = self._with(key, args, kwargs)
                del answer
                answer = await Client.request_async(asking, method, uri, *args, **kwargs)
        return self._in_plain_words(answer, key, uri, sought)

    def get_auth(self, auth: Any) -> Any:
        """Return what the HTTP client needs to authenticate: *auth* if given, else the key.

        A pair in *auth*, or put into ``client.auth``, is checked like the constructor's. An HTTP
        client that is not ours gets the plain pair it expects.
        """
        if self._glass is not None:
            self._glass.require_open()
        if not auth and not isinstance(self.auth, LastMomentAuth):
            auth = self.auth  # somebody put it there
        if isinstance(auth, HTTPBasicAuth):
            auth = (auth.username, auth.password)
        if isinstance(auth, LastMomentAuth) and not is_ours(self.http_client):
            credential = auth.credential()
            return (credential.username, credential.reveal())
        if isinstance(auth, tuple) and auth:
            username, secret = auth
            given = checked(username, secret, self.account_sid, broken_glass())
            del auth, secret
            if isinstance(given, ConfigurationError):
                raise given
            sealed = self._sealed(given, broken_glass())
            return sealed if is_ours(self.http_client) else self.get_auth(sealed)
        if auth or self._store is None:
            return auth
        # Ours asks the store when it is used.
        return self.auth if is_ours(self.http_client) else self.get_auth(self.auth)

    def _sealed(self, credential: ApiKey | AuthToken, glass: BrokenGlass | None) -> LastMomentAuth:
        """Return this one *credential* as our own HTTP clients take it; no frame shows it."""
        return LastMomentAuth(lambda: credential, emulator=self._emulator, glass=glass)

    def _store_for(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> CredentialStore | None:
        """Return where the key of a request is from, unless it brings a credential of its own."""
        own = kwargs.get("auth") or any(args[_AUTH_ARGUMENT : _AUTH_ARGUMENT + 1])
        return None if own or self.auth is not self._own_auth else self._store

    def _with(
        self, key: ApiKey | AuthToken, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the arguments of a request with *key*."""
        auth = self._sealed(key, self._glass)
        if len(args) <= _AUTH_ARGUMENT:
            return args, {**kwargs, "auth": auth}
        return (*args[:_AUTH_ARGUMENT], auth, *args[_AUTH_ARGUMENT + 1 :]), kwargs

    def _prepare_for(self, uri: str, kwargs: dict[str, Any]) -> None:
        """Seal a pair given for this request; keep the plain pair from a host that is not Twilio's.

        Our own transport looks at each address itself, another HTTP client would not.
        """
        if not is_ours(self.http_client):
            require_twilio_host(uri)
        elif kwargs.get("auth") is not None:
            kwargs["auth"] = self.get_auth(kwargs.pop("auth"))

    async def _for_asyncio(self) -> Any:
        """Return what asks with an HTTP client for asyncio."""
        if self.credential_provider is not None:
            from safetwilio.clients.oauth import renew

            await renew(self.credential_provider)
        if type(self.http_client) is not Transport:
            return self
        # To load aiohttp takes as long as a request; a module that is being loaded lacks it.
        if not hasattr(sys.modules.get(_ASYNC_TRANSPORT), "AsyncTransport"):
            await asyncio.to_thread(import_module, _ASYNC_TRANSPORT)
        return _With(self.http_client.for_asyncio(), self)

    def _in_plain_words(
        self, answer: Response, key: ApiKey | AuthToken, uri: str, sought: float
    ) -> Response:
        if answer.status_code not in _REFUSED:
            return answer
        from safetwilio.clients.explain import explained

        return explained(answer, key, uri, self.region, sought)


class _With:
    """A client with another HTTP client in place of its own, for the length of a request."""

    __slots__ = ("_client", "http_client")

    def __init__(self, http_client: AsyncTransport, client: KeyedClient) -> None:
        self.http_client = http_client
        self._client = client

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)


def _is_repeatable(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Return whether the body can be sent again: a file and a generator have been read."""
    data = args[_DATA_ARGUMENT] if len(args) > _DATA_ARGUMENT else kwargs.get("data")
    return data is None or isinstance(data, (dict, list, tuple, str, bytes))


def _may_be_rotated(uri: str) -> bool:
    from safetwilio.clients.explain import may_be_rotated

    return may_be_rotated(uri)


def _is_refusal(answer: Response, store: CredentialStore, began: float) -> bool:
    """Return whether Twilio refused the key; *store* takes note if it did not."""
    if answer.status_code < _FIRST_ERROR:
        store.accepted(began)
    if answer.status_code != _UNAUTHORIZED:
        return False
    try:
        payload = json.loads(answer.text)
    except ValueError:  # a proxy's page
        return False
    return isinstance(payload, dict) and payload.get("code") == _AUTHENTICATE
