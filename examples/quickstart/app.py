"""The whole application: send one message, and log what must never be logged."""

import logging
from pathlib import Path

from safetwilio import client

logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(message)s")
log = logging.getLogger("app")

message = client.messages.create(
    to="+15005550010", from_="+15005550006", body="Hello from safetwilio"
)
print(f"sent {message.sid}, status {message.status}")

# Two mistakes that everybody makes once. Fingerprints stand where the account and the key were.
log.warning("debugging: account=%s secret=%s", client.account_sid, client.password)
log.warning("debugging: configuration=%r", Path(".env").read_text(encoding="utf-8"))
