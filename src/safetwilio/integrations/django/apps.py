"""The application for ``INSTALLED_APPS``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.apps import AppConfig

from safetwilio.integrations.django import checks, commands
from safetwilio.integrations.django.starting import Start

if TYPE_CHECKING:
    from types import ModuleType


class SafetwilioConfig(AppConfig):
    """Loads the Twilio credentials when Django starts, or stops it with the boot report."""

    name = "safetwilio.integrations.django"
    label = "safetwilio"
    verbose_name = "Twilio credentials"

    def __init__(self, app_name: str, app_module: ModuleType | None) -> None:
        """Read the settings, before any model is imported.

        :raises ConfigurationError: ST940, also an ``ImproperlyConfigured``, if they are not right.
        """
        super().__init__(app_name, app_module)
        self.start = Start(commands.running())
        self.start.prepare()

    def ready(self) -> None:
        """Register the system checks, and load what the settings ask for.

        :raises ConfigurationError: ST1xx to ST5xx, also an ``ImproperlyConfigured``, with every
            problem at once.
        """
        checks.register_all()
        self.start.run()
