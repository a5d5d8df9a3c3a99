"""Django's settings for tests inside this process, and what they must not leave behind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from django.conf import settings
from django.test import override_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

if not settings.configured:
    settings.configure()


@pytest.fixture
def project() -> Iterator[Callable[[Any], None]]:
    """Return what sets ``settings.SAFETWILIO`` for the rest of the test."""
    changes: list[override_settings] = []

    def change(value: Any) -> None:
        changes.append(override_settings(SAFETWILIO=value))
        changes[-1].enable()

    yield change
    for each in reversed(changes):
        each.disable()
