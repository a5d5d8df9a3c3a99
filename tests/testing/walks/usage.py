"""Through usage: its triggers, for every kind of credentials."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asking import Ask, pair_of, paths, token_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from safetwilio.testing.exchange import EmulatedResponse


def walk(ask: Ask) -> Iterator[EmulatedResponse]:
    emulator = ask.emulator
    triggers = paths(emulator.account)["messages"].replace("Messages", "Usage/Triggers")
    keys = pair_of(emulator.main_key), pair_of(emulator.standard_key)
    for caller in (token_of(emulator.account), *keys, None):
        yield ask("GET", triggers, caller)
