"""Doppler by hand: requests, the model, Twilio's client."""

# ruff: noqa: INP001 - a script

from __future__ import annotations

import os

import requests
from from_document import TwilioSettings, make_client

response = requests.get(
    f"{os.environ['APP_DOPPLER']}/v3/configs/config/secrets/download",
    params={"format": "json", "include_dynamic_secrets": "false"},
    headers={"Authorization": f"Bearer {os.environ['DOPPLER_TOKEN']}"},
    timeout=5,
)
response.raise_for_status()
found = {name.removeprefix("TWILIO_").lower(): value for name, value in response.json().items()}
client = make_client(TwilioSettings(**found))
