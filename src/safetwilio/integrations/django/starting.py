"""What happens when Django starts: the settings are read, and what they ask for is loaded."""

from __future__ import annotations

import logging
import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from safetwilio._boot import SWITCH, boot, is_switched_off
from safetwilio.errors import ConfigurationError
from safetwilio.integrations.django import commands
from safetwilio.integrations.django.errors import improperly_configured
from safetwilio.integrations.django.options import read, tolerate
from safetwilio.integrations.django.webhooks import receiver
from safetwilio.integrations.options import Options
from safetwilio.integrations.starting import failure, name_backends

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_log = logging.getLogger("safetwilio")


class Start:
    """The start of one process: :meth:`prepare` before any model is imported, :meth:`run` after."""

    def __init__(self, command: tuple[str, ...]) -> None:
        """Start the process of the management *command*, or a server if that is empty."""
        self.command = command
        self.is_checking = command[:1] == (commands.CHECK,)
        self.has_loaded = False
        self._has_switched_off = False

    def prepare(self) -> None:
        """Let imports of the client find the backend of the settings, or load nothing.

        A module that is imported before ``ready()`` may say ``from safetwilio import client``.
        """
        options = self._options()
        name_backends(options)
        if commands.needs_nothing(self.command, options.skip_commands) and not is_switched_off():
            os.environ[SWITCH] = "off"
            self._has_switched_off = True
            if self.command[0] not in {commands.CHECK, commands.OURS}:  # these look by themselves
                _log.info("%s loads no Twilio credentials, as with %s=off", self.command[0], SWITCH)

    def run(self) -> None:
        """Load what the settings ask for, or leave it to the first use."""
        options = self._options()
        if self._has_switched_off or not options.boot or commands.loads_later(self.command):
            return
        error = load(options)
        if error is None:
            self.has_loaded = not is_switched_off()
            return
        if commands.is_reloaded(self.command):
            # Django would go on and wait for a change of the code, which is not what is wrong.
            sys.exit(f"\n{error}")
        raise error

    @contextmanager
    def switched_on(self) -> Iterator[None]:
        """Let things be loaded in the block although the command is one that loads nothing."""
        if self._has_switched_off:
            os.environ.pop(SWITCH, None)
        try:
            yield
        finally:
            if self._has_switched_off:
                os.environ[SWITCH] = "off"

    def _options(self) -> Options:
        if not self.is_checking:
            return read()
        try:
            return read()
        except ConfigurationError:  # the system check reports it
            tolerate()
            return Options()


def load(options: Options) -> ConfigurationError | None:
    """Load what *options* ask for, and return everything that is wrong with it as one error."""
    errors = [error for _, error in problems_of(options)]
    return improperly_configured(*errors) if errors else None


def problems_of(options: Options) -> Iterator[tuple[str, ConfigurationError]]:
    """Load the API key and what webhooks are signed with, and yield what each could not."""
    steps: dict[str, Callable[[], Any]] = {}
    if options.client:
        require: Any = options.require
        steps["client"] = lambda: boot(verify=options.verify, require=require)
    if options.webhooks is not None and not is_switched_off():
        steps["webhooks"] = receiver.load
    for name, step in steps.items():
        error = failure(step)
        if error is not None:
            yield name, error
