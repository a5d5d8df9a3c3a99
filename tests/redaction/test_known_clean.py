"""What was found clean is not searched twice, unless there may now be a secret in it."""

from __future__ import annotations

import io
import logging
import secrets
from typing import Any

import pytest

sentry_sdk = pytest.importorskip("sentry_sdk")

from sentry_sdk.envelope import Envelope, Item, PayloadRef  # noqa: E402
from sentry_sdk.transport import Transport  # noqa: E402

from safetwilio import redaction  # noqa: E402
from safetwilio.redaction.engine import current  # noqa: E402


class Registering(logging.Handler):
    """A handler that makes a secret of each message before it writes it."""

    def __init__(self) -> None:  # noqa: D107
        super().__init__()
        self.written: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Write *record* before and after."""
        self.written.append(self.format(record))
        redaction.register(record.getMessage(), "token")
        self.written.append(self.format(record))


@pytest.mark.usefixtures("installed")
def test_a_message_that_becomes_secret_between_two_formatters() -> None:
    handler = Registering()
    logger = logging.Logger("alone")  # noqa: LOG001
    logger.addHandler(handler)
    value = secrets.token_hex(16)
    logger.info(value)
    assert handler.written == [value, redaction.redact(value)]


class Text(str):
    """A text that claims to be the same as any other."""

    __slots__ = ()
    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        return True

    def __str__(self) -> str:
        return self


@pytest.mark.usefixtures("installed")
def test_a_message_that_lies_about_being_another(token: str) -> None:
    out = io.StringIO()
    logger = logging.Logger("alone")  # noqa: LOG001
    handler = logging.StreamHandler(out)
    handler.setFormatter(logging.Formatter(f"%(message)s {token}"))
    logger.addHandler(handler)
    logger.info(Text("nothing"))
    assert token not in out.getvalue()
    assert "nothing" in out.getvalue()


class Serializing(Transport):
    """A transport of the user's own, which serializes what it is handed, twice."""

    def __init__(self, secret: str = "") -> None:  # noqa: D107
        super().__init__()
        self.secret = secret
        self.written: list[bytes] = []

    def capture_envelope(self, envelope: Any) -> None:
        """Serialize *envelope*, with another secret between."""
        self.written.append(envelope.serialize())
        if self.secret:
            redaction.register(self.secret, "token")
        self.written.append(envelope.serialize())


def send(transport: Transport, *payloads: bytes | dict[str, str], **headers: str) -> None:
    redaction.install(strict=True)
    client = sentry_sdk.Client(
        dsn="http://public@127.0.0.1:9/1", transport=transport, default_integrations=False
    )
    for payload in payloads:
        body = payload if isinstance(payload, bytes) else PayloadRef(json=payload)
        transport.capture_envelope(Envelope(items=[Item(body, headers=dict(headers))]))
    client.close(timeout=1)


def test_a_payload_that_becomes_secret_before_it_is_serialized() -> None:
    value = secrets.token_hex(16)
    transport = Serializing(value)
    send(transport, {"message": value})
    before, after = transport.written
    assert value.encode() in before
    assert value.encode() not in after


def test_headers_are_searched_whatever_is_known_of_the_payload(token: str) -> None:
    transport = Serializing()
    send(transport, b"nothing", filename=token)
    made = Envelope(items=[Item(b"nothing")])
    transport.capture_envelope(made)
    made.items[0].headers["filename"] = token
    made.headers["trace"] = token
    assert made.items[0].get_bytes() is current().known.payload
    assert token.encode() not in b"".join((*transport.written, made.serialize()))


def test_a_known_payload_may_be_the_end_of_a_secret_one() -> None:
    digits = secrets.token_hex(16).encode()  # an MD5, but for what is before it
    transport = Serializing()
    send(transport, digits, b"auth_token=" + digits)
    clean, _, dirty, again = transport.written
    assert digits in clean
    assert digits not in dirty + again
