"""``TwilioClient``: Twilio's client with a scoped key, and the secret nowhere on the object."""

from __future__ import annotations

import copy
import os
from typing import TYPE_CHECKING, Any, NoReturn, cast

from safetwilio.clients.adoption import hosted
from safetwilio.clients.auth import LastMomentAuth
from safetwilio.clients.keyed import KeyedClient
from safetwilio.clients.pairs import checked
from safetwilio.clients.transport import Transport
from safetwilio.credentials import HIDDEN, ApiKey, AuthToken, Hidden, refuse_pickle
from safetwilio.errors import ConfigurationError
from safetwilio.policy import broken_glass, emulator_url
from safetwilio.store import CredentialStore

if TYPE_CHECKING:
    from collections.abc import Mapping

    from twilio.credential.credential_provider import CredentialProvider
    from twilio.http import HttpClient


class TwilioClient(KeyedClient):
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
        credential: ApiKey | AuthToken | ConfigurationError | None = None
        del surroundings, environment  # no frame of an error shows them
        if credential_provider is None:
            credential = checked(username, password, account_sid, glass)
        del password
        if isinstance(credential, ConfigurationError):
            raise credential
        self._glass = None if isinstance(credential, ApiKey) else glass
        self._start(
            # Under break-glass it is the token, which nothing loads anew.
            None if credential is None else CredentialStore(cast("ApiKey", credential)),
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
        store: CredentialStore,
        *,
        region: str | None = None,
        edge: str | None = None,
        http_client: HttpClient | None = None,
    ) -> TwilioClient:
        """Return a client that takes its key from *store*, at every request."""
        made = cls.__new__(cls)
        made._glass = None  # noqa: SLF001 - our own
        key = store.current()
        made._start(  # noqa: SLF001
            store,
            username=key.username,
            account_sid=key.account_sid,
            region=region,
            edge=edge,
            http_client=http_client,
        )
        return made

    def _start(  # noqa: PLR0913 - Twilio's own signature
        self,
        store: CredentialStore | None,
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
        self._store = store
        if credential_provider is not None:
            from safetwilio.clients.oauth import close_traps

            close_traps(credential_provider)
        # The mapping is not empty, so Twilio reads nothing from os.environ behind our back.
        super().__init__(
            username,
            None if store is None else HIDDEN,
            account_sid,
            region,
            Transport(emulator=emulator) if http_client is None else http_client,
            {"TWILIO_AUTH_TOKEN": ""},
            edge,
            user_agent_extensions,
            credential_provider,
        )
        if store is not None:
            self.password: Any = Hidden(lambda: store.current().reveal())
        self._own_auth = (
            None
            if store is None
            else LastMomentAuth(store.current, emulator=emulator, glass=self._glass)
        )
        self.auth: Any = self._own_auth

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
        shared = {"_glass", "_own_auth", "_store", "auth"}
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
