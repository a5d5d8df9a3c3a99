"""What the programs with a secret store share: a model of the document, a filter, the client."""

# ruff: noqa: INP001 - a script

from __future__ import annotations

import logging
import re

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict
from twilio.rest import Client


class TwilioSettings(BaseSettings):
    """The fields of the document; the environment may add region and edge."""

    model_config = SettingsConfigDict(env_prefix="TWILIO_", extra="ignore")

    account_sid: str = Field(pattern=r"^AC[0-9a-f]{32}$")
    api_key: str = Field(pattern=r"^SK[0-9a-f]{32}$")
    api_secret: SecretStr
    region: str | None = None
    edge: str | None = None


class RedactTwilio(logging.Filter):
    """Masks the secret and everything that looks like a SID."""

    def __init__(self, secret: str) -> None:
        """Look for *secret*."""
        super().__init__()
        self._secrets = re.compile(rf"{re.escape(secret)}|\b(?:AC|SK)[0-9a-f]{{32}}\b")

    def filter(self, record: logging.LogRecord) -> bool:
        """Replace the message by its redacted text."""
        record.msg = self._secrets.sub("[redacted]", record.getMessage())
        record.args = ()
        return True


def make_client(settings: TwilioSettings) -> Client:
    """Return Twilio's client, with the filter in place."""
    handler = logging.StreamHandler()
    handler.addFilter(RedactTwilio(settings.api_secret.get_secret_value()))
    logging.getLogger().addHandler(handler)
    return Client(  # type: ignore[no-untyped-call]
        settings.api_key,
        settings.api_secret.get_secret_value(),
        settings.account_sid,
        region=settings.region,
        edge=settings.edge,
    )
