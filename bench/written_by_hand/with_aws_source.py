"""AWS Secrets Manager with pydantic-settings' own source, and Twilio's client."""

# ruff: noqa: INP001 - a script

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import from_document
from pydantic_settings import AWSSecretsManagerSettingsSource

if TYPE_CHECKING:
    from pydantic_settings import BaseSettings, PydanticBaseSettingsSource


class TwilioSettings(from_document.TwilioSettings):
    """The same model, filled by the source."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Put AWS after the environment."""
        del dotenv_settings, file_secret_settings
        aws = AWSSecretsManagerSettingsSource(
            settings_cls,
            "prod/twilio",
            region_name=os.environ["AWS_DEFAULT_REGION"],
            endpoint_url=os.environ["AWS_ENDPOINT_URL"],
            env_prefix="",
        )
        return init_settings, env_settings, aws


client = from_document.make_client(TwilioSettings())  # type: ignore[call-arg]
