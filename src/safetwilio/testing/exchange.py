"""One request to the emulator and one response from it, without sockets."""

from __future__ import annotations

import enum
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import threading
    from collections.abc import Mapping


class Delivery(enum.Enum):
    """How a response reaches the client."""

    WHOLE = "whole"
    SLOW = "slow"  # the head and half of the body, a pause, the rest
    DROPPED = "dropped"  # the connection is closed without an answer
    RESET = "reset"  # the connection is reset (TCP RST) without an answer


@dataclass(frozen=True)
class EmulatedRequest:
    """A request to *host* (``api.twilio.com``, ``iam.twilio.com``, ``api.dublin.ie1.twilio.com``).

    *query* keeps order and repetitions, *headers* have lower-case names, *address* is where it
    comes from.
    What may hold a secret (headers, body) does not show in the repr.
    """

    method: str
    host: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)
    address: str = "127.0.0.1"


@dataclass(frozen=True)
class EmulatedResponse:
    """A response; whoever carries it to the client waits *delay* seconds, then does *delivery*.

    Before that they wait for *held*, if any; when they are done, they set what *releases* has.
    The body may hold a key's secret and does not show in the repr.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    delay: float = 0.0
    delivery: Delivery = Delivery.WHOLE
    held: threading.Event | None = field(default=None, repr=False)
    releases: tuple[threading.Event, ...] = field(default=(), repr=False)

    def json(self) -> Any:
        """Return the decoded body."""
        return json.loads(self.body)
