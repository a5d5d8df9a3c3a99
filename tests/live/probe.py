"""A probe: how one assumption shows itself, with which credentials, and what it asks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from live.service import NotObservedError, Reply, Scope, Service

if TYPE_CHECKING:
    from collections.abc import Callable

    from safetwilio.testing.assumptions import Assumption, Choice

Observe = "Callable[[Service], Choice | str]"
PROBES: dict[str, Probe] = {}


@dataclass(frozen=True)
class Probe:
    """Asks for what *assumption* says; *asks* tells people what, *needs* with which credentials."""

    assumption: Assumption
    needs: tuple[Scope, ...]
    asks: str
    observe: Callable[[Service], Choice | str]

    def run(self, service: Service) -> Choice | str:
        """Return what was seen, which may be none of the choices; or raise NotObservedError."""
        missing = service.lacks(self.needs)
        if missing:
            raise NotObservedError(missing)
        return self.observe(service)


def probe(assumption: Assumption, asks: str, *needs: Scope) -> Callable[..., Observe]:
    """Register what it decorates as the probe of *assumption*."""

    def register(observe: Callable[[Service], Choice | str]) -> Callable[..., Choice | str]:
        PROBES[assumption.name] = Probe(assumption, needs or ("reader",), asks, observe)
        return observe

    return register


def choose(reply: Reply, **choices: Choice) -> Choice | str:
    """Return the choice named after the status or code of *reply*: ``s400=…``, ``c20001=…``."""
    for name in (f"c{reply.code}", f"s{reply.status}", "ok" if reply.ok else "refused"):
        if name in choices:
            return choices[name]
    return str(reply)


def code_of(reply: Reply) -> Choice | str:
    """Return the error code of *reply*."""
    return reply.code if reply.code is not None else f"no code, status {reply.status}"


def succeeded(reply: Reply, what: str) -> Reply:
    """Return *reply*, or say that *what*, which only prepares, failed."""
    if not reply.ok:
        raise NotObservedError(f"{what} failed: {reply}")
    return reply
