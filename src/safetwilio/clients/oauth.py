"""OAuth apps of Twilio's library, with two of its habits turned off.

Read in twilio 9.13.0: ``TokenAuthStrategy.__init__`` calls ``logging.basicConfig(INFO)`` for the
whole process, and the token managers build a ``Client()`` of their own, which sends the account's
Auth Token from the environment to the token endpoint.
"""

from __future__ import annotations

import logging
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from safetwilio.policy import emulator_url
from safetwilio.redaction.registry import SHORTEST, register

if TYPE_CHECKING:
    from collections.abc import Iterator


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
        provider.to_auth_strategy()


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
