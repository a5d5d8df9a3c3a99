"""Ways through the emulator's routes: together they meet every route and kind of document.

Each file walks through one resource, ``walk(ask)`` yielding the answers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from walks import calls, credentials, events, geo, messages, numbers, services, usage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from asking import Ask

    from safetwilio.testing.exchange import EmulatedResponse

WALKS: tuple[Callable[[Ask], Iterator[EmulatedResponse]], ...] = (
    messages.walk,
    credentials.walk,
    usage.walk,
    events.walk,
    geo.walk,
    numbers.walk,
    services.walk,
    calls.walk,
)


def everything(ask: Ask) -> Iterator[EmulatedResponse]:
    """Walk every way, one after the other."""
    for walk in WALKS:
        yield from walk(ask)
