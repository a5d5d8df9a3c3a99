"""The start in one process: what is loaded for which command, and what becomes of the faults."""

from __future__ import annotations

import json
import logging
import os
from typing import TYPE_CHECKING, Any

import django
import pytest
from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, ManagementUtility, call_command
from django.test import RequestFactory, override_settings
from django.utils.autoreload import DJANGO_AUTORELOAD_ENV
from rest_framework.parsers import FormParser
from rest_framework.request import Request

import safetwilio
from integrations.django.django_requests import posted
from safetwilio.errors import ConfigurationError, MissingCredentials
from safetwilio.integrations import options as shared
from safetwilio.integrations.django import checks, commands, health, options, receiver
from safetwilio.integrations.django.management.commands.safetwilio import Command
from safetwilio.integrations.django.starting import Start
from support import auth_token, caught, codes, leaks, refused, write

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from support import Key

    Change = Callable[[Any], None]

APP = "safetwilio.integrations.django"


@pytest.fixture(autouse=True)
def _nothing_is_left(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Give back the variables that a start sets."""
    for name in ("SAFETWILIO_BOOT", "SAFETWILIO_BACKEND", "SAFETWILIO_WEBHOOK_BACKEND"):
        monkeypatch.setenv(name, "")
    yield
    receiver.reset()


@pytest.fixture
def installed(key: Key, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Install the application in this process, as a server does, with webhooks and a key."""
    for name, value in key.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("TWILIO_WEBHOOK_AUTH_TOKEN", auth_token())
    if not apps.ready:
        django.setup(set_prefix=False)
    with override_settings(SAFETWILIO={"WEBHOOKS": {}}, INSTALLED_APPS=[APP]):
        yield apps.get_app_config("safetwilio").start


class Utility(ManagementUtility):  # type: ignore[misc]
    """Django's command line, which only asks which command it is."""

    def execute(self) -> None:
        """Ask from inside."""
        self.said = self.asked()

    def asked(self) -> tuple[str, ...]:
        """Ask a few frames away, as an application does."""
        return commands.running()


def utility(*words: str) -> tuple[str, ...]:
    asker = Utility(["manage.py", *words])
    asker.execute()
    said: tuple[str, ...] = asker.said
    return said


def test_the_command_is_known_from_djangos_own_frames() -> None:
    assert utility("check", "--deploy") == ("check", "--deploy")
    assert utility() == ("help",)
    assert commands.running() == ()


@pytest.mark.parametrize("command", sorted(commands.SKIPPED))
def test_these_commands_load_nothing(
    command: str, project: Change, configured: Key, caplog: pytest.LogCaptureFixture
) -> None:
    del configured
    project({"WEBHOOKS": {}})
    start = Start((command,))
    with caplog.at_level(logging.INFO, "safetwilio"):
        start.prepare()
        start.run()
    assert os.environ["SAFETWILIO_BOOT"] == "off"
    assert not start.has_loaded
    assert not safetwilio.health().booted
    assert ("as with SAFETWILIO_BOOT=off" in caplog.text) == (
        command not in {"check", "safetwilio"}
    )


@pytest.mark.usefixtures("configured")
@pytest.mark.parametrize(
    ("command", "main", "is_loaded"),
    [
        ((), "", True),
        (("shell",), "", True),
        (("test",), "", False),
        (("runserver",), "", False),
        (("runserver",), "true", True),
        (("runserver", "--noreload"), "", True),
    ],
)
def test_others_load_at_once_or_at_the_first_use(
    command: tuple[str, ...],
    main: str,
    is_loaded: bool,  # noqa: FBT001
    project: Change,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(DJANGO_AUTORELOAD_ENV, main)
    project({})
    start = Start(command)
    start.prepare()
    start.run()
    assert (start.has_loaded, safetwilio.health().booted) == (is_loaded, is_loaded)


def test_the_switch_loads_nothing_and_is_no_fault(
    project: Change, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAFETWILIO_BOOT", "off")
    project({"WEBHOOKS": {}})
    start = Start(())
    start.prepare()
    start.run()
    assert not start.has_loaded


def test_everything_that_is_wrong_is_raised_at_once(project: Change) -> None:
    project({"WEBHOOKS": {}})
    start = Start(())
    start.prepare()
    error = refused(start.run)
    assert isinstance(error, (MissingCredentials, ImproperlyConfigured))
    assert codes(error) == ["ST104", "ST103", "ST410"]


def test_djangos_reloader_ends_instead_of_waiting(
    project: Change, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(DJANGO_AUTORELOAD_ENV, "true")
    project({})
    error = caught(Start(("runserver",)).run)
    assert isinstance(error, SystemExit)
    assert "[ST104]" in str(error.code)


def test_the_backends_of_the_settings_are_those_of_everything(
    project: Change, key: Key, tmp_path: Path
) -> None:
    write(tmp_path / "a.env", key.dotenv())
    write(tmp_path / "b.env", f"TWILIO_WEBHOOK_AUTH_TOKEN={auth_token()}\n")
    backends = [f"dotenv:{tmp_path / name}" for name in ("a.env", "b.env")]
    project({"BACKEND": backends[0], "WEBHOOKS": {"BACKEND": backends[1]}})
    start = Start(())
    start.prepare()
    start.run()
    assert safetwilio.health().accounts[0].source == backends[0]
    assert receiver.load().source == backends[1]


def test_a_setting_that_is_wrong_stops_all_but_the_check(
    project: Change, monkeypatch: pytest.MonkeyPatch
) -> None:
    project({"BAKEND": "env"})
    assert refused(Start(("migrate",)).prepare).code == "ST940"
    monkeypatch.setattr(options, "_is_tolerated", False)  # given back after the test
    start = Start(("check",))
    start.prepare()
    start.run()
    assert options.require_webhooks() == shared.Webhooks()


def test_the_application_loads_when_it_is_installed(installed: Start) -> None:
    assert installed.has_loaded
    assert safetwilio.health().booted
    assert checks.check_credentials() == []
    assert checks.check_credentials(app_configs=[]) == []
    [warning] = checks.check_public_url()
    assert warning.id == "safetwilio.W004"


def test_the_check_loads_in_spite_of_its_command(
    installed: Start, project: Change, monkeypatch: pytest.MonkeyPatch
) -> None:
    del installed
    safetwilio.reset()
    receiver.reset()
    for name in ("TWILIO_API_SECRET", "TWILIO_WEBHOOK_AUTH_TOKEN"):
        monkeypatch.delenv(name)
    config = apps.get_app_config("safetwilio")
    config.start = Start(("check",))
    config.start.prepare()
    found = checks.check_credentials()
    assert [message.id for message in found] == ["safetwilio.E001", "safetwilio.E002"]
    assert [message.msg[:7] for message in found] == ["[ST101]", "[ST410]"]
    assert all(message.hint for message in found)
    assert checks.check_public_url() == []  # it is said already
    assert os.environ["SAFETWILIO_BOOT"] == "off"

    project({"BOOT": False})
    assert checks.check_credentials() == []
    project({"BAKEND": 1})
    assert [message.id for message in checks.check_credentials()] == ["safetwilio.E003"]
    assert checks.check_public_url() == []


def test_the_check_says_when_everything_is_switched_off(
    installed: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    del installed
    monkeypatch.setenv("SAFETWILIO_BOOT", "off")
    config = apps.get_app_config("safetwilio")
    config.start = Start(("check",))
    config.start.prepare()
    assert [message.id for message in checks.check_credentials()] == ["safetwilio.I001"]
    assert checks.check_public_url() == []


def test_warnings_of_the_boot_are_warnings_of_the_check(
    installed: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = os.environ["TWILIO_WEBHOOK_AUTH_TOKEN"]
    monkeypatch.setenv("TWILIO_AUTH_TOKEN", token)
    safetwilio.reset()
    installed.run()
    found = checks.check_credentials()
    assert [message.id for message in found] == ["safetwilio.W001"]
    assert found[0].hint
    assert leaks(str(found), [token]) == []


@pytest.mark.usefixtures("installed")
def test_the_command_can_be_called(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("safetwilio", "doctor", "--json")
    assert json.loads(capsys.readouterr().out)["ok"] is True
    error = caught(lambda: call_command("safetwilio", "doctor", "--nonsense"))
    assert isinstance(error, CommandError)
    assert error.returncode == 2


@pytest.mark.usefixtures("installed")
def test_the_command_ends_with_the_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    for words, code in (
        (("doctor", "--settings", "x", "--json"), 0),
        (("doctor", "--nonsense"), 2),
        (("--help",), 0),
        ((), 2),
    ):
        run = Command().run_from_argv
        error = caught(lambda run=run, words=words: run(["manage.py", "safetwilio", *words]))
        assert isinstance(error, SystemExit)
        assert error.code == code
    assert "safetwilio" in capsys.readouterr().err


def test_health_is_a_page_for_probes(installed: Start, project: Change) -> None:
    del installed
    request = RequestFactory().get("/health")
    answer = health(request)
    assert (answer.status_code, json.loads(answer.content)["ok"]) == (200, True)
    assert "no-store" in answer["Cache-Control"]
    assert not health.login_required
    safetwilio.reset()
    assert health(request).status_code == 503
    project({"CLIENT": False})
    assert health(request).status_code == 200


def test_a_permission_leaves_the_form_to_the_framework(
    project: Change, monkeypatch: pytest.MonkeyPatch
) -> None:

    token = auth_token()
    monkeypatch.setenv("TWILIO_WEBHOOK_AUTH_TOKEN", token)
    project({"WEBHOOKS": {"PUBLIC_URL": "https://example.com"}})
    # Importing it needs the setting.
    from safetwilio.integrations.django.rest_framework import IsFromTwilio, Refused

    request = Request(posted(token), parsers=[FormParser()])
    assert IsFromTwilio().has_permission(request, None)
    assert request.data["Body"] == "Hello"
    other = Request(posted(auth_token()), parsers=[FormParser()])
    error = caught(lambda: IsFromTwilio().has_permission(other, None))
    assert isinstance(error, Refused)
    assert (error.status_code, error.detail) == (403, {})
    assert not isinstance(error, ConfigurationError)
