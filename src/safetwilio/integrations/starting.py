"""What every framework does at its start, and says of it to a readiness probe."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from safetwilio._boot import boot, health, is_switched_off
from safetwilio.backends.locate import (
    BACKEND_VARIABLE,
    WEBHOOK_BACKEND_VARIABLE,
    backend_variable,
)
from safetwilio.errors import ConfigurationError, combined

if TYPE_CHECKING:
    from collections.abc import Callable

    from safetwilio.integrations.options import Options

READY, NOT_READY = 200, 503
NOT_KEPT = {"Cache-Control": "no-store"}
"""The headers of an answer to a probe."""


def name_backends(options: Options) -> None:
    """Put the backends of *options* where everything looks for them, also the command line."""
    if options.backend is not None:
        os.environ[BACKEND_VARIABLE] = options.backend
    if options.webhooks is not None and options.webhooks.backend is not None:
        name = backend_variable(options.webhooks.account, WEBHOOK_BACKEND_VARIABLE)
        os.environ[name] = options.webhooks.backend


def load(*steps: Callable[[], object] | None) -> None:
    """Take all *steps* that there are, and raise every problem at once.

    With ``SAFETWILIO_BOOT=off`` none is taken, and the log says so.

    :raises ConfigurationError: of the class of the first step that failed.
    """
    if is_switched_off():
        boot()  # says so in the log
        return
    errors = [error for step in steps if step is not None and (error := failure(step))]
    if errors:
        raise errors[0] if len(errors) == 1 else combined(errors)


def failure(step: Callable[[], object]) -> ConfigurationError | None:
    """Return what *step* raises, without its frames, or ``None``."""
    try:
        step()
    except ConfigurationError as error:
        return error.with_traceback(None)
    return None


def readiness(*, client: bool | None = None) -> tuple[bool, dict[str, Any]]:
    """Return whether this process is ready, and :func:`safetwilio.health` as plain JSON types.

    It is ready when redaction is sound, nothing is stale and an API key is loaded. Without a
    *client* it needs no key; where that is not said, neither does one that has loaded what
    webhooks are signed with.
    """
    state = health()
    needs_key = not state.webhooks if client is None else client
    ok = state.is_sound and not state.is_stale and (state.booted or not needs_key)
    return ok, {**state.as_dict(), "ok": ok}
