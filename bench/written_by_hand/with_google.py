"""Google Secret Manager by hand: its library over REST, the model, Twilio's client."""

# ruff: noqa: INP001 - a script

from __future__ import annotations

import json

from from_document import TwilioSettings, make_client
from google_client import over_rest

found = over_rest().access_secret_version(
    name="projects/my-project/secrets/twilio/versions/latest", timeout=5
)
client = make_client(TwilioSettings(**json.loads(found.payload.data)))
