"""``.env.vault`` by hand: cryptography, the model, Twilio's client."""

# ruff: noqa: INP001 - a script

from __future__ import annotations

import base64
import os
from io import StringIO
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from dotenv import dotenv_values
from from_document import TwilioSettings, make_client

key = bytes.fromhex((urlsplit(os.environ["DOTENV_KEY"]).password or "")[-64:])
sealed = base64.b64decode(dotenv_values(".env.vault")["DOTENV_VAULT_PRODUCTION"] or "")
opened = AESGCM(key).decrypt(sealed[:12], sealed[12:], None).decode()
names = dotenv_values(stream=StringIO(opened))
found = {name.removeprefix("TWILIO_").lower(): value for name, value in names.items()}
client = make_client(TwilioSettings(**found))  # type: ignore[arg-type]
