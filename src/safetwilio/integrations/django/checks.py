"""The boot report as system checks, for ``manage.py check``, which loads nothing at its start."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.core import checks
from django.core.checks import CheckMessage, Tags, register

from safetwilio._boot import SWITCH, health, is_switched_off
from safetwilio.errors import ConfigurationError
from safetwilio.integrations.django.options import read
from safetwilio.integrations.django.starting import problems_of
from safetwilio.integrations.django.webhooks import receiver
from safetwilio.problems import render_one

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from safetwilio.integrations.django.starting import Start
    from safetwilio.integrations.options import Options
    from safetwilio.problems import Problem

TAG = "safetwilio"
_LABEL = "safetwilio"
_NUMBERS = {"client": 1, "webhooks": 2, "setting": 3}


def register_all() -> None:
    """Let Django run the checks."""
    register(check_credentials, TAG)
    register(check_public_url, TAG, Tags.security, deploy=True)


def check_credentials(app_configs: Sequence[Any] | None = None, **_: object) -> list[CheckMessage]:
    """Return each problem of the start as one message, with its fix as the hint."""
    if not _is_meant(app_configs):
        return []
    options = _options()
    if isinstance(options, ConfigurationError):
        return _messages("setting", options.problems)
    start = _start()
    if not options.boot:  # so is nothing at the start
        return []
    found: list[CheckMessage] = []
    if start.is_checking:
        with start.switched_on():
            if is_switched_off():
                return [_SWITCHED_OFF]
            for step, error in problems_of(options):
                found += _messages(step, error.problems)
            return found + _warnings(options, {message.id for message in found})
    return _warnings(options, set()) if start.has_loaded else []


def check_public_url(app_configs: Sequence[Any] | None = None, **_: object) -> list[CheckMessage]:
    """Return a warning if the ``Host`` header decides which URL Twilio has signed."""
    options = _options()
    if not _is_meant(app_configs) or isinstance(options, ConfigurationError):
        return []
    with _start().switched_on():
        if options.webhooks is None or is_switched_off():
            return []
        try:
            loaded = receiver.load()
        except ConfigurationError:  # check_credentials has said so
            return []
    return [] if loaded.public_url else [_NO_PUBLIC_URL]


def _is_meant(app_configs: Sequence[Any] | None) -> bool:
    return app_configs is None or any(each.label == _LABEL for each in app_configs)


def _start() -> Start:
    start: Start = apps.get_app_config(_LABEL).start
    return start


def _options() -> Options | ConfigurationError:
    try:
        return read()
    except ConfigurationError as error:
        return error


def _warnings(options: Options, faulty: set[str]) -> list[CheckMessage]:
    """Return what is not wrong enough to stop a start that went well."""
    found: list[CheckMessage] = []
    if options.client and _id("E", "client") not in faulty:
        for account in health().accounts:
            found += _messages("client", account.warnings)
    if options.webhooks is not None and _id("E", "webhooks") not in faulty:
        found += _messages("webhooks", receiver.load().warnings)
    return found


def _messages(step: str, problems: Iterable[Problem]) -> list[CheckMessage]:
    return [_message(step, problem) for problem in dict.fromkeys(problems)]


def _message(step: str, problem: Problem) -> CheckMessage:
    is_fault = problem.severity == "fault"
    kind = checks.Error if is_fault else checks.Warning
    text = render_one(problem._replace(fix=""))
    return kind(text, hint=problem.fix, id=_id("E" if is_fault else "W", step))


def _id(level: str, step: str) -> str:
    return f"{TAG}.{level}{_NUMBERS[step]:03}"


_SWITCHED_OFF = checks.Info(
    f"{SWITCH}=off: the Twilio credentials were not looked at.",
    hint="Unset the variable to check them.",
    id="safetwilio.I001",
)
_NO_PUBLIC_URL = checks.Warning(
    "The Host header decides which URL Twilio is taken to have signed.",
    hint='Set "PUBLIC_URL" in SAFETWILIO["WEBHOOKS"] (or TWILIO_WEBHOOK_PUBLIC_URL) to what your '
    "URLs at Twilio begin with. Otherwise a request that Twilio signed for another server of yours "
    "can be sent to this one.",
    id="safetwilio.W004",
)
