"""Google Secret Manager with pydantic-settings' own source, and Twilio's client.

The source knows one secret for each field; as one field with a model of its own, the document is
one read. It builds a gRPC client, which is what it is given here, unless ``APP_TRANSPORT=rest``.
"""

# ruff: noqa: INP001 - a script

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import from_document
import google_client
from pydantic_settings import BaseSettings, GoogleSecretManagerSettingsSource

if TYPE_CHECKING:
    from pydantic_settings import PydanticBaseSettingsSource


class Settings(BaseSettings):
    """What the project holds: one secret, called ``twilio``."""

    twilio: from_document.TwilioSettings

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Put Google after the environment."""
        del dotenv_settings, file_secret_settings
        rest = os.environ.get("APP_TRANSPORT") == "rest"
        google = GoogleSecretManagerSettingsSource(
            settings_cls,
            project_id="my-project",
            secret_client=google_client.over_rest() if rest else google_client.over_grpc(),
        )
        return init_settings, env_settings, google


client = from_document.make_client(Settings().twilio)  # type: ignore[call-arg]
