"""``TwilioClient``: Twilio's client with a scoped key, and the secret nowhere on the object."""

from __future__ import annotations

import asyncio
import copy
import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any, NoReturn

from requests.auth import HTTPBasicAuth
from twilio.rest import Client

from safetwilio import shapes
from safetwilio.clients.adoption import hosted, is_ours
from safetwilio.clients.auth import LastMomentAuth
from safetwilio.clients.transport import Transport
from safetwilio.credentials import HIDDEN, ApiKey, AuthToken, Hidden, refuse_pickle
from safetwilio.errors import (
    ConfigurationError,
    InvalidCredentials,
    MasterTokenInUse,
    MissingCredentials,
    RefusedBeforeSending,
)
from safetwilio.policy import broken_glass, emulator_url, require_twilio_host
from safetwilio.problems import Problem
from safetwilio.redaction.registry import register

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from twilio.credential.credential_provider import CredentialProvider
    from twilio.http import HttpClient
    from twilio.http.response import Response

    from safetwilio.clients.async_transport import AsyncTransport
    from safetwilio.policy import BrokenGlass

_ASYNC_TRANSPORT = "safetwilio.clients.async_transport"
_REFUSED = frozenset({401, 403})
_AUTH_ARGUMENT = 3  # of request(), after method and uri


class TwilioClient(Client):
    """A :class:`twilio.rest.Client` that holds an API key and hides its secret.

    The constructor is Twilio's. The user name must be an API key SID (``SK…``) with its secret
    and ``account_sid``; a pair with the Auth Token is refused (ST506) outside
    ``safetwilio.break_glass``. Usually nobody makes one: ``from safetwilio import client``.
    """

    account_sid: Any = None  # the repr of a refused client must not fail in an error report

    def __init__(  # noqa: PLR0913, PLR0917 - Twilio's own signature
        self,
        username: str | None = None,
        password: str | None = None,
        account_sid: str | None = None,
        region: str | None = None,
        http_client: HttpClient | None = None,
        environment: Mapping[str, str] | None = None,
        edge: str | None = None,
        user_agent_extensions: list[str] | None = None,
        credential_provider: CredentialProvider | None = None,
    ) -> None:
        """Take Twilio's own arguments, by position or by name.

        Raises :class:`MissingCredentials` (ST104, ST101, ST103) for a part that is missing and
        :class:`MasterTokenInUse` (ST506) for a pair that is no API key.
        """
        surroundings = environment or os.environ
        glass = broken_glass()
        if glass is not None and credential_provider is None and environment:
            # Twilio's own reading of a mapping. The process's environment is none: nobody named it.
            username = username or environment.get("TWILIO_ACCOUNT_SID")
            password = password or environment.get("TWILIO_AUTH_TOKEN")
        region = region or surroundings.get("TWILIO_REGION")
        edge = edge or surroundings.get("TWILIO_EDGE")
        checked: ApiKey | AuthToken | ConfigurationError | None = None
        del surroundings, environment  # no frame of an error shows them
        if credential_provider is None:
            checked = _checked(username, password, account_sid, glass)
        del password
        if isinstance(checked, ConfigurationError):
            raise checked
        credential = checked
        self._glass: BrokenGlass | None = None if isinstance(credential, ApiKey) else glass
        self._start(
            None if credential is None else lambda: credential,
            username=username,
            account_sid=account_sid,
            region=region,
            edge=edge,
            http_client=http_client,
            user_agent_extensions=user_agent_extensions,
            credential_provider=credential_provider,
        )

    @classmethod
    def from_store(
        cls,
        current: Callable[[], ApiKey],
        *,
        region: str | None = None,
        edge: str | None = None,
        http_client: HttpClient | None = None,
    ) -> TwilioClient:
        """Return a client that asks *current* for the key at every request.

        The account stays that of the first key: a key of another account is never used.
        """
        made = cls.__new__(cls)
        made._glass = None  # noqa: SLF001 - our own
        first = current()
        account_sid = first.account_sid

        def own() -> ApiKey:
            key = current()
            if key.account_sid != account_sid:
                raise RefusedBeforeSending(
                    "The key loaded last belongs to another account than this client; nothing was "
                    "sent. Put a key of the same account in its place, or start again."
                )
            return key

        made._start(  # noqa: SLF001
            own,
            username=first.sid,
            account_sid=account_sid,
            region=region,
            edge=edge,
            http_client=http_client,
        )
        return made

    def _start(  # noqa: PLR0913 - Twilio's own signature
        self,
        credential: Callable[[], ApiKey | AuthToken] | None,
        *,
        username: str | None,
        account_sid: str | None,
        region: str | None,
        edge: str | None,
        http_client: HttpClient | None,
        user_agent_extensions: list[str] | None = None,
        credential_provider: CredentialProvider | None = None,
    ) -> None:
        self._emulator = emulator = emulator_url()
        self._credential = credential
        if credential_provider is not None:
            from safetwilio.clients.oauth import close_traps

            close_traps(credential_provider)
        # The mapping is not empty, so Twilio reads nothing from os.environ behind our back.
        super().__init__(
            username,
            None if credential is None else HIDDEN,
            account_sid,
            region,
            Transport(emulator=emulator) if http_client is None else http_client,
            {"TWILIO_AUTH_TOKEN": ""},
            edge,
            user_agent_extensions,
            credential_provider,
        )
        if credential is not None:
            self.password: Any = Hidden(lambda: credential().reveal())
        self.auth: Any = (
            None
            if credential is None
            else LastMomentAuth(credential, emulator=emulator, glass=self._glass)
        )

    def get_auth(self, auth: Any) -> Any:
        """Return what the HTTP client needs to authenticate: *auth* if given, else the key.

        A pair in *auth*, or put into ``client.auth``, is checked like the constructor's. An HTTP
        client that is not ours gets the plain pair it expects.
        """
        if self._glass is not None:
            self._glass.require_open()
        credential = self._credential
        if not auth and not isinstance(self.auth, LastMomentAuth):
            auth = self.auth  # somebody put it there
        if isinstance(auth, HTTPBasicAuth):
            auth = (auth.username, auth.password)
        if isinstance(auth, tuple) and auth:
            username, secret = auth
            given = _checked(username, secret, self.account_sid, broken_glass())
            del auth, secret
            if isinstance(given, ConfigurationError):
                raise given
            return self._for_http_client(lambda: given)
        if auth or credential is None:
            return auth
        return self._for_http_client(credential)

    def _for_http_client(self, credential: Callable[[], ApiKey | AuthToken]) -> Any:
        if is_ours(self.http_client):
            if credential is self._credential:
                return self.auth
            return LastMomentAuth(credential, emulator=self._emulator, glass=broken_glass())
        current = credential()
        return (current.username, current.reveal())

    def request(self, method: str, uri: str, *args: Any, **kwargs: Any) -> Response:
        """Make a request as Twilio's client does; a refusal is explained in plain words."""
        self._prepare_for(uri, kwargs)
        answer = super().request(method, uri, *args, **kwargs)
        return self._in_plain_words(answer, uri, args, kwargs)

    async def request_async(self, method: str, uri: str, *args: Any, **kwargs: Any) -> Response:
        """Make a request under asyncio; the HTTP client need not be an asynchronous one.

        Beside our own :class:`Transport` an asynchronous one with the same options is made when it
        is first needed, so that one client serves both kinds of code.
        """
        self._prepare_for(uri, kwargs)
        if self.credential_provider is not None:
            from safetwilio.clients.oauth import renew

            await renew(self.credential_provider)
        asking: Any = self
        if type(self.http_client) is Transport:
            # To load aiohttp takes as long as a request; a module that is being loaded lacks it.
            if not hasattr(sys.modules.get(_ASYNC_TRANSPORT), "AsyncTransport"):
                await asyncio.to_thread(import_module, _ASYNC_TRANSPORT)
            asking = _With(self.http_client.for_asyncio(), self)
        answer = await Client.request_async(asking, method, uri, *args, **kwargs)
        return self._in_plain_words(answer, uri, args, kwargs)

    def _prepare_for(self, uri: str, kwargs: dict[str, Any]) -> None:
        """Seal a pair given for this request; keep the plain pair from a host that is not Twilio's.

        Our own transport looks at each address itself, another HTTP client would not.
        """
        if not is_ours(self.http_client):
            require_twilio_host(uri)
        elif kwargs.get("auth") is not None:
            kwargs["auth"] = self.get_auth(kwargs.pop("auth"))

    def _in_plain_words(
        self, answer: Response, uri: str, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Response:
        if answer.status_code not in _REFUSED or self._credential is None:
            return answer
        other = kwargs.get("auth") or any(args[_AUTH_ARGUMENT : _AUTH_ARGUMENT + 1])
        if other or not isinstance(self.auth, LastMomentAuth):
            return answer  # it was not this key that was refused
        from safetwilio.clients.explain import explained

        return explained(answer, self._credential(), uri, self.region)

    async def aclose(self) -> None:
        """Close the connections of the running event loop; the next request makes new ones.

        A loop that ends in the usual way (``asyncio.run``, an ASGI server) closes them itself.
        """
        if isinstance(self.http_client, Transport):
            await self.http_client.for_asyncio().close()

    if not TYPE_CHECKING:  # a checker would take every misspelt attribute for one that may be set

        def __setattr__(self, name: str, value: Any) -> None:
            """Set an attribute; an HTTP client is taken in as the constructor's is."""
            if name == "http_client" and value is not vars(self).get(name):
                value = hosted(value, vars(self).get("_emulator"))
            super().__setattr__(name, value)

    def __copy__(self) -> TwilioClient:
        """Return a client with the same parts, as Twilio's client does."""
        made = self.__class__.__new__(self.__class__)
        made.__dict__.update(vars(self))
        return made

    def __deepcopy__(self, memo: dict[int, Any]) -> TwilioClient:
        """Return a client of its own that shares the credential, which is never copied."""
        made = self.__class__.__new__(self.__class__)
        memo[id(self)] = made
        shared = {"_credential", "_glass", "auth"}
        made.__dict__.update(
            {
                name: value if name in shared else copy.deepcopy(value, memo)
                for name, value in vars(self).items()
            }
        )
        return made

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        """Refuse to be pickled (ST803)."""
        refuse_pickle("A Twilio client")


class _With:
    """A client with another HTTP client in place of its own, for the length of a request."""

    __slots__ = ("_client", "http_client")

    def __init__(self, http_client: AsyncTransport, client: TwilioClient) -> None:
        self.http_client = http_client
        self._client = client

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)


def _checked(  # noqa: PLR0911 - one for each thing that can be wrong
    username: str | None, secret: str | None, account_sid: str | None, glass: BrokenGlass | None
) -> ApiKey | AuthToken | ConfigurationError:
    """Return the pair as a credential, or what is wrong: nothing is filled in from elsewhere.

    The error is raised by the caller, so that no frame of it holds the secret.
    """
    if not username and not secret:
        return MissingCredentials([_no_credentials()])
    if not isinstance(username, str | None) or not isinstance(secret, str | None):
        return InvalidCredentials([_no_text()])
    if not username or not secret:
        missing = "API key secret" if username else "API key SID"
        return MissingCredentials([_no_part("ST101" if username else "ST102", missing)])
    if not username.startswith(shapes.KEY_PREFIX):
        if len(secret) >= shapes.AUTH_TOKEN_LENGTH:
            register(secret, "token")
        return AuthToken(username, secret) if glass else MasterTokenInUse([_master_pair()])
    if shapes.is_key_secret(secret):
        register(secret, "secret")
    if glass is None and shapes.is_auth_token(secret):
        return MasterTokenInUse([_master_pair()])
    if glass is None and not account_sid:
        return MissingCredentials([_no_part("ST103", "account_sid")])
    # Without an account SID the user name stands for it, as Twilio's own client has it.
    return ApiKey(account_sid or username, username, secret, source="arguments")


def _no_credentials() -> Problem:
    return Problem(
        code="ST104",
        summary="TwilioClient was made without credentials.",
        fix="Import the ready one, which loads and checks its key: from safetwilio import client",
    )


def _no_text() -> Problem:
    return Problem(
        code="ST205",
        summary="TwilioClient was made with a secret that is not a text.",
        fix="It takes what Twilio's own client does, a str: a SecretStr gives it with "
        ".get_secret_value(). Or import the ready client: from safetwilio import client",
    )


def _no_part(code: str, part: str) -> Problem:
    return Problem(
        code=code,
        summary=f"TwilioClient was made without the {part}.",
        fix="Give all three, TwilioClient(key_sid, secret, account_sid), or import the ready "
        "client: from safetwilio import client\n"
        "Nothing is filled in from the environment, where it could be the Auth Token.",
    )


def _master_pair() -> Problem:
    return Problem(
        code="ST506",
        summary="TwilioClient was given the master Auth Token (a pair that is no API key).",
        fix='Use an API key, whose SID starts with "SK": safetwilio init\n'
        "For the rare operation that needs the token: "
        'with safetwilio.break_glass(reason="…"): …',
    )
