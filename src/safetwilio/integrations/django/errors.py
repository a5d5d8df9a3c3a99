"""Our errors that are Django's as well, so that whatever handles Django's handles these."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.exceptions import ImproperlyConfigured, SuspiciousOperation

from safetwilio.errors import ConfigurationError, UsageError, WebhookError
from safetwilio.problems import render

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_JOINED: dict[type[ConfigurationError], type[ConfigurationError]] = {}
_CHECK = "python manage.py check"


class SuspiciousWebhook(WebhookError, SuspiciousOperation):
    """A webhook is refused (ST4xx); Django answers 400 where nobody catches it, and logs it."""


class Misused(UsageError, ImproperlyConfigured):
    """A view is not written as it has to be (ST9xx)."""


class NoWebhooks(Misused):
    """A view is for webhooks, and the settings say nothing about webhooks (ST941)."""

    code = "ST941"


def improperly_configured(*errors: ConfigurationError) -> ConfigurationError:
    """Return *errors* as one that is also Django's ``ImproperlyConfigured``.

    It is of the first one's class, and has the problems of all.
    """
    first = errors[0]
    problems = tuple(dict.fromkeys(p for error in errors for p in error.problems))
    kind = _joined(type(first))
    return kind(problems, account=first.account, is_running=first.is_running)


def _joined(kind: type[ConfigurationError]) -> type[ConfigurationError]:
    """Return the class that is *kind* and ``ImproperlyConfigured``."""
    if issubclass(kind, ImproperlyConfigured):
        return kind
    if kind not in _JOINED:
        _JOINED[kind] = _made(kind)
    return _JOINED[kind]


def _made(kind: type[ConfigurationError]) -> type[ConfigurationError]:
    own: dict[str, Any] = {
        "__doc__": kind.__doc__,
        "__init__": _init,
        "__module__": __name__,
        "__reduce__": _reduce,
        "plain": kind,
    }
    return type(kind.__name__, (kind, ImproperlyConfigured), own)


def _init(error: Any, problems: Sequence[Any], **more: Any) -> None:
    error.plain.__init__(error, problems, **more)
    verdict = "keeps the key it has" if error.is_running else None
    # The command knows the settings; ``safetwilio doctor`` alone does not.
    error.args = (render(error.problems, check=_CHECK, verdict=verdict),)


def _reduce(error: Any) -> tuple[Callable[..., ConfigurationError], tuple[object, ...]]:
    plain = error.plain(error.problems, account=error.account, is_running=error.is_running)
    return improperly_configured, (plain,)
