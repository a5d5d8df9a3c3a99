"""OAuth apps of Twilio's library, with two of its habits turned off.

Read in twilio 9.13.0: ``TokenAuthStrategy.__init__`` calls ``logging.basicConfig(INFO)`` for the
whole process, and the token managers build a ``Client()`` of their own, which sends the account's
Auth Token from the environment to the token endpoint.
"""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from safetwilio.policy import emulator_url

if TYPE_CHECKING:
    from collections.abc import Iterator


def close_traps(provider: Any) -> None:
    """Give Twilio's *provider* a token manager without the master token; spare root logging.

    A provider that was handed its own ``token_manager`` keeps it.
    """
    if not all(hasattr(provider, name) for name in ("token_manager", "client_id", "grant_type")):
        return
    if provider.token_manager is None:
        provider.token_manager = _token_manager(provider)
    with _root_logging_untouched():
        provider.to_auth_strategy()


def _token_manager(provider: Any) -> Any:
    from twilio.credential.orgs_credential_provider import OrgsCredentialProvider
    from twilio.http.client_token_manager import ClientTokenManager
    from twilio.http.orgs_token_manager import OrgTokenManager
    from twilio.rest import Client

    from safetwilio.clients.transport import Transport

    kind = OrgTokenManager if isinstance(provider, OrgsCredentialProvider) else ClientTokenManager
    manager: Any = kind.__new__(kind)  # its __init__ would build a Client() from the environment
    for name in ("code", "redirect_uri", "audience", "refreshToken", "scope"):
        setattr(manager, name, None)
    manager.grant_type = provider.grant_type
    manager.client_id = provider.client_id
    manager.client_secret = provider.client_secret
    manager.client = Client(
        environment={"TWILIO_AUTH_TOKEN": ""}, http_client=Transport(emulator=emulator_url())
    )
    return manager


@contextmanager
def _root_logging_untouched() -> Iterator[None]:
    """Keep ``logging.basicConfig`` from doing anything: it acts only on a root without handlers."""
    occupied = logging.NullHandler()
    logging.getLogger().addHandler(occupied)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(occupied)
