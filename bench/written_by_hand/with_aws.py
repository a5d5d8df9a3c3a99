"""AWS Secrets Manager by hand: boto3, the model, Twilio's client."""

# ruff: noqa: INP001 - a script

from __future__ import annotations

import json

import boto3  # type: ignore[import-untyped]
from botocore.config import Config  # type: ignore[import-untyped]
from from_document import TwilioSettings, make_client

found = boto3.client(
    "secretsmanager", config=Config(connect_timeout=5, read_timeout=5)
).get_secret_value(SecretId="prod/twilio", VersionStage="AWSCURRENT")
client = make_client(TwilioSettings(**json.loads(found["SecretString"])))
