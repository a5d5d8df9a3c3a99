"""Asking an emulator, in process and through Twilio's own HTTP client."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

from twilio.http.http_client import TwilioHttpClient

from safetwilio.testing.exchange import EmulatedRequest, EmulatedResponse

if TYPE_CHECKING:
    from safetwilio.testing import Emulator

Credentials = tuple[str, str]
SENDER, RECIPIENT = "+15005550006", "+15551230001"


def basic(credentials: Credentials) -> dict[str, str]:
    """Return the header that carries *credentials*."""
    return {"authorization": "Basic " + base64.b64encode(":".join(credentials).encode()).decode()}


class Ask:
    """Asks an emulator in process: ``ask(METHOD, path, credentials, **parameters)``."""

    def __init__(self, emulator: Emulator) -> None:
        """Ask *emulator*."""
        self.emulator = emulator

    def __call__(
        self,
        method: str,
        path: str,
        credentials: Credentials | None,
        *,
        host: str = "api.twilio.com",
        query: tuple[tuple[str, str], ...] = (),
        **form: Any,
    ) -> EmulatedResponse:
        """Return the answer."""
        if path.startswith("/v1/AuthTokens"):
            host = "accounts.twilio.com"
        if path.startswith("/v1/Keys"):
            host = "iam.twilio.com"
        if path.startswith("/v1/Services"):
            host = "messaging.twilio.com"
        return self.emulator.handle(
            EmulatedRequest(
                method=method,
                host=host,
                path=path,
                query=query,
                headers=basic(credentials) if credentials else {},
                body=urlencode(form, doseq=True).encode(),
            )
        )


def token_of(account: Any) -> Credentials:
    return account.sid, account.auth_token


def pair_of(key: Any) -> Credentials:
    return key.sid, key.secret


def paths(account: Any) -> dict[str, str]:
    """Return the paths of *account*'s resources by name."""
    base = f"/2010-04-01/Accounts/{account.sid}"
    return {
        "account": f"{base}.json",
        "keys": f"{base}/Keys.json",
        "messages": f"{base}/Messages.json",
        "key": f"{base}/Keys/{{}}.json",
        "message": f"{base}/Messages/{{}}.json",
    }


class ToEmulator(TwilioHttpClient):
    """Twilio's own HTTP client, sent to *url* with the real host in the Host header."""

    def __init__(self, url: str) -> None:
        """Send to *url*."""
        super().__init__(timeout=30)
        self._url = url

    def request(self, method: str, url: str, *args: Any, **kwargs: Any) -> Any:
        """Send the request to the emulator."""
        parts = urlsplit(url)
        kwargs["headers"] = {**kwargs["headers"], "Host": parts.netloc}
        address = self._url + parts.path + (f"?{parts.query}" if parts.query else "")
        return super().request(method, address, *args, **kwargs)
