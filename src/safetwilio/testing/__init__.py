"""Twilio on your own machine: an emulator, its HTTP server, and a pytest plugin.

Importing this package loads nothing else; each name is loaded when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from safetwilio.testing.emulator import Emulator
    from safetwilio.testing.server import EmulatorServer

__all__ = ["Emulator", "EmulatorServer"]

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name == "Emulator":
            from safetwilio.testing.emulator import Emulator

            return Emulator
        if name == "EmulatorServer":
            from safetwilio.testing.server import EmulatorServer

            return EmulatorServer
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
