"""Vault or OpenBao by hand, KV version 2: hvac, the model, Twilio's client."""

# ruff: noqa: INP001 - a script

from __future__ import annotations

import os

import hvac  # type: ignore[import-untyped]
from from_document import TwilioSettings, make_client

vault = hvac.Client(timeout=5)
if "APP_ROLE_ID" in os.environ:
    vault.auth.approle.login(
        os.environ["APP_ROLE_ID"], os.environ["APP_SECRET_ID"], mount_point=os.environ["APP_MOUNT"]
    )
found = vault.secrets.kv.v2.read_secret_version(
    "app/twilio", mount_point="secret", raise_on_deleted_version=True
)
client = make_client(TwilioSettings(**found["data"]["data"]))
