"""What each management command loads, what stops it, and what the system checks say."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from integrations.served import ended, served
from safetwilio.testing import EmulatorServer
from support import auth_token, key_secret, leaks, new_key, run_python, write

if TYPE_CHECKING:
    import subprocess

    from support import Key

HERE = Path(__file__).parent
LOADED = "Twilio credentials loaded"
RECEIVES = "Webhooks are verified with"


def manage(
    *words: str, cwd: Path, options: dict[str, Any] | None = None, **env: str
) -> subprocess.CompletedProcess[str]:
    """Run ``manage.py`` with *words* and ``SAFETWILIO = options``."""
    return run_python(
        str(HERE / "site_manage.py"), *words, cwd=cwd, environment=environment(options, **env)
    )


def environment(options: dict[str, Any] | None = None, **env: str) -> dict[str, str]:
    chosen = {} if options is None else {"SITE_SAFETWILIO": json.dumps(options)}
    return {"PYTHONPATH": str(HERE), **chosen, **env}


def shell(
    code: str, cwd: Path, options: dict[str, Any], **env: str
) -> subprocess.CompletedProcess[str]:
    """Run *code* in a process that boots as a server does."""
    program = f"import django; django.setup(); {code}"
    env = {"DJANGO_SETTINGS_MODULE": "site_settings", **env}
    return run_python("-c", program, cwd=cwd, environment=environment(options, **env))


@pytest.mark.parametrize(
    "words",
    [
        ("collectstatic", "--noinput", "--dry-run"),
        ("makemigrations", "--check", "--dry-run"),
        ("migrate", "--plan"),
        ("help",),
        ("--version",),
        (),
    ],
    ids=" ".join,
)
def test_an_image_build_needs_no_secret(words: tuple[str, ...], tmp_path: Path) -> None:
    """Not even with models and URLs that import the client, which would boot."""
    done = manage(*words, cwd=tmp_path, SITE_APPS="site_app")
    assert done.returncode == 0, done.stderr
    assert LOADED not in done.stderr


def test_a_command_of_the_project_can_be_added_to_those(tmp_path: Path) -> None:
    words = ("sendtestemail", "a@example.com")
    assert manage(*words, cwd=tmp_path).returncode == 1
    options = {"SKIP_COMMANDS": ["sendtestemail"], "WEBHOOKS": {}}
    done = manage(*words, cwd=tmp_path, options=options)
    assert done.returncode == 0, done.stderr


def test_other_commands_load_what_a_server_loads(key: Key, tmp_path: Path) -> None:
    token = auth_token()
    env = {**key.environment(), "TWILIO_WEBHOOK_AUTH_TOKEN": token}
    done = manage("shell", "-c", "pass", cwd=tmp_path, **env)
    assert done.returncode == 0, done.stderr
    assert LOADED in done.stderr
    assert RECEIVES in done.stderr
    assert leaks(done.stderr, [key.secret, key.sid, key.account, token]) == []


TESTS = """
from django.test import SimpleTestCase

class Test(SimpleTestCase):
    def test(self):
        from safetwilio import client
        assert client.account_sid
"""


def test_tests_load_when_they_use_it(key: Key, tmp_path: Path) -> None:
    write(tmp_path / "test_twilio.py", TESTS)
    no_views = {"SITE_URLS": "site_app.urls"}
    done = manage("test", cwd=tmp_path, **no_views, **key.environment())
    assert done.returncode == 0, done.stderr
    done = manage("test", cwd=tmp_path, **no_views)
    assert done.returncode == 1
    assert "[ST104]" in done.stderr
    assert "Ran 1 test" in done.stderr


def test_the_switch_is_for_all_commands(tmp_path: Path) -> None:
    done = manage("shell", "-c", "import site_urls", cwd=tmp_path, SAFETWILIO_BOOT="off")
    assert done.returncode == 0, done.stderr
    assert "SAFETWILIO_BOOT=off: nothing was loaded" in done.stderr


def test_without_boot_the_first_use_loads(key: Key, tmp_path: Path) -> None:
    options = {"BOOT": False, "BACKEND": "dotenv:twilio.env"}
    write(tmp_path / "twilio.env", key.dotenv())
    done = shell("print(1)", tmp_path, options)
    assert (done.returncode, LOADED in done.stderr) == (0, False), done.stderr
    done = shell("from safetwilio import client; client.account_sid", tmp_path, options)
    assert (done.returncode, LOADED in done.stderr) == (0, True), done.stderr


def test_the_backend_of_the_settings_wins_also_for_models(tmp_path: Path) -> None:
    """They are imported before ready(), and may boot."""
    ours, other = new_key(), new_key()
    token = auth_token()
    write(tmp_path / "twilio.env", ours.dotenv() + f"TWILIO_WEBHOOK_AUTH_TOKEN={token}\n")
    write(tmp_path / "other.env", other.dotenv())
    code = f"from safetwilio import client; assert client.account_sid == {ours.account!r}"
    options = {"BACKEND": "dotenv:twilio.env", "WEBHOOKS": {}}
    env = {"SITE_APPS": "site_app", "SAFETWILIO_BACKEND": "dotenv:other.env"}
    done = shell(code, tmp_path, options, **env)
    assert done.returncode == 0, done.stderr
    assert "from dotenv:twilio.env" in done.stderr
    assert done.stderr.count(LOADED) == 1


def test_webhooks_may_have_an_account_and_a_backend_of_their_own(tmp_path: Path) -> None:
    write(tmp_path / "twilio.env", new_key().dotenv())
    name = "TWILIO_MARKETING_WEBHOOK_AUTH_TOKEN"
    write(tmp_path / "webhooks.env", f"{name}={auth_token()}\n")
    webhooks = {"BACKEND": "dotenv:webhooks.env", "ACCOUNT": "marketing"}
    done = shell("pass", tmp_path, {"BACKEND": "dotenv:twilio.env", "WEBHOOKS": webhooks})
    assert done.returncode == 0, done.stderr
    assert "from dotenv:twilio.env" in done.stderr
    assert "from dotenv:webhooks.env" in done.stderr


def test_a_project_that_only_receives_needs_no_key(tmp_path: Path) -> None:
    options = {"CLIENT": False, "WEBHOOKS": {}}
    code = (
        "from django.test import RequestFactory; "
        "from safetwilio.integrations.django import health; "
        "print(health(RequestFactory().get('/')).status_code)"
    )
    done = shell(code, tmp_path, options, TWILIO_WEBHOOK_AUTH_TOKEN=auth_token())
    assert (done.returncode, done.stdout) == (0, "200\n"), done.stderr
    assert LOADED not in done.stderr


def test_the_permission_cannot_be_imported_without_webhooks(tmp_path: Path) -> None:
    """Or a view with it would answer nobody, and nobody would know why."""
    code = "import safetwilio.integrations.django.rest_framework"
    done = shell(code, tmp_path, {"BOOT": False})
    assert done.returncode == 1
    assert "[ST941]" in done.stderr


def test_health_is_503_before_anything_is_loaded(tmp_path: Path) -> None:
    code = (
        "from django.test import RequestFactory; "
        "from safetwilio.integrations.django import health; "
        "print(health(RequestFactory().get('/')).status_code)"
    )
    done = shell(code, tmp_path, {"BOOT": False})
    assert (done.returncode, done.stdout) == (0, "503\n"), done.stderr


def test_the_error_of_the_boot_is_djangos_as_well(tmp_path: Path) -> None:
    program = (
        "import django\n"
        "from django.core.exceptions import ImproperlyConfigured\n"
        "from safetwilio.errors import MissingCredentials\n"
        "try:\n    django.setup()\n"
        "except ImproperlyConfigured as error:\n"
        "    assert isinstance(error, MissingCredentials)\n"
        "    assert error.__context__ is None\n"
        "    print(*(p.code for p in error.problems))\n"
    )
    env = environment({"WEBHOOKS": {}}, DJANGO_SETTINGS_MODULE="site_settings")
    done = run_python("-c", program, cwd=tmp_path, environment=env)
    assert (done.returncode, done.stdout) == (0, "ST104 ST103 ST410\n"), done.stderr


def test_twilio_is_asked_if_the_settings_say_so(tmp_path: Path) -> None:
    with EmulatorServer() as server:
        account = server.emulator.account
        for kind, code in (("restricted", 0), ("standard", 1)):
            key = account.create_key(kind)
            env = {
                "SAFETWILIO_EMULATOR": server.url,
                "TWILIO_ACCOUNT_SID": account.sid,
                "TWILIO_API_KEY": key.sid,
                "TWILIO_API_SECRET": key.secret,
            }
            done = shell("pass", tmp_path, {"VERIFY": True}, **env)
            assert done.returncode == 0, done.stderr
            done = shell("pass", tmp_path, {"REQUIRE": "restricted"}, **env)
            assert done.returncode == code, done.stderr
            assert ("[ST504]" in done.stderr) == bool(code)
        env["TWILIO_API_SECRET"] = key_secret()
        done = shell("pass", tmp_path, {"VERIFY": True}, **env)
        assert (done.returncode, "[ST320]" in done.stderr) == (1, True), done.stderr
        assert leaks(done.stderr, [env["TWILIO_API_SECRET"], account.sid]) == []


@pytest.mark.parametrize("words", [("check",), ("migrate", "--plan"), ("shell", "-c", "pass")])
def test_a_misspelt_setting_stops_every_command(words: tuple[str, ...], tmp_path: Path) -> None:
    done = manage(*words, cwd=tmp_path, options={"BAKEND": "env"})
    assert done.returncode == 1
    assert "[ST940]" in done.stderr
    assert 'Did you mean "BACKEND"?' in done.stderr
    assert ("(safetwilio.E003)" in done.stderr) == (words == ("check",))


def test_check_says_each_problem_with_its_fix(tmp_path: Path) -> None:
    done = manage("check", cwd=tmp_path, SITE_APPS="site_app")
    assert done.returncode == 1
    assert "(safetwilio.E001) [ST104] There is no Twilio API key." in done.stderr
    assert "(safetwilio.E001) [ST103] The account SID is missing." in done.stderr
    assert "(safetwilio.E002) [ST410] There is no secret" in done.stderr
    assert done.stderr.count("HINT: ") == 3
    assert "3 issues" in done.stderr
    assert "Traceback" not in done.stderr


def test_check_passes_where_the_server_would_start(key: Key, tmp_path: Path) -> None:
    env = {**key.environment(), "TWILIO_WEBHOOK_AUTH_TOKEN": auth_token()}
    done = manage("check", "--tag", "safetwilio", "--deploy", cwd=tmp_path, **env)
    assert done.returncode == 0, done.stderr
    assert "no issues" in done.stdout


def test_check_has_warnings_too(key: Key, tmp_path: Path) -> None:
    """An Auth Token beside the key is one of the boot's own."""
    env = {**key.environment(), "TWILIO_AUTH_TOKEN": auth_token()}
    done = manage(
        "check", "--tag", "safetwilio", "--deploy", cwd=tmp_path, options={"WEBHOOKS": {}}, **env
    )
    assert done.returncode == 0, done.stderr
    assert "(safetwilio.W004) The Host header decides" in done.stderr
    assert leaks(done.stderr, [env["TWILIO_AUTH_TOKEN"], key.secret]) == []


def test_check_with_everything_switched_off_says_so(tmp_path: Path) -> None:
    done = manage("check", "--tag", "safetwilio", cwd=tmp_path, SAFETWILIO_BOOT="off")
    assert done.returncode == 0, done.stderr
    done = manage("check", "--fail-level", "INFO", cwd=tmp_path, SAFETWILIO_BOOT="off")
    assert "(safetwilio.I001)" in done.stderr


def test_the_command_line_has_the_backend_of_the_settings(key: Key, tmp_path: Path) -> None:
    write(tmp_path / "twilio.env", key.dotenv())
    options = {"BACKEND": "dotenv:twilio.env"}
    done = manage(
        "safetwilio", "doctor", "--json", cwd=tmp_path, options=options, SITE_APPS="site_app"
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["source"] == "dotenv:twilio.env"
    assert leaks(done.stdout + done.stderr, [key.secret]) == []


def test_the_command_line_reports_what_stops_the_server(tmp_path: Path) -> None:
    done = manage(
        "safetwilio", "doctor", "--settings", "site_settings", cwd=tmp_path, SITE_APPS="site_app"
    )
    assert done.returncode == 1
    assert "[ST104]" in done.stderr
    assert "Traceback" not in done.stderr
    assert manage("safetwilio", "doctor", "--colour", cwd=tmp_path).returncode == 2


def test_the_command_can_be_called(key: Key, tmp_path: Path) -> None:
    code = (
        "from django.core.management import CommandError, call_command\n"
        "call_command('safetwilio', 'doctor', '--json')\n"
        "try:\n    call_command('safetwilio', 'doctor', '--nonsense')\n"
        "except CommandError as error:\n    assert error.returncode == 2\n"
        "else:\n    raise AssertionError\n"
    )
    env = environment({}, DJANGO_SETTINGS_MODULE="site_settings", **key.environment())
    done = run_python("-c", f"import django; django.setup()\n{code}", cwd=tmp_path, environment=env)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["ok"] is True


def runserver(*more: str) -> list[str]:
    return [sys.executable, str(HERE / "site_manage.py"), "runserver", *more, "{port}"]


@pytest.mark.parametrize("more", [(), ("--noreload",)], ids=["reloader", "noreload"])
def test_a_failed_boot_stops_runserver(more: tuple[str, ...], tmp_path: Path) -> None:
    """Django's reloader would wait for the code to change, which is not what is wrong."""
    done = ended(runserver(*more), env=environment(), cwd=tmp_path)
    assert done.code == 1
    assert done.output.count("safetwilio cannot start: 3 problems") == 1


def test_runserver_loads_in_the_process_that_serves(key: Key, tmp_path: Path) -> None:
    env = environment(TWILIO_WEBHOOK_AUTH_TOKEN=auth_token(), **key.environment())
    with served(runserver(), "/health", env=env, cwd=tmp_path) as server:
        assert server.output().count(LOADED) == 1


def test_a_server_called_like_a_command_is_none(tmp_path: Path) -> None:
    """What counts is who calls django.setup(), not the words of the command line."""
    write(tmp_path / "manage.py", "import django\ndjango.setup()\n")
    env = environment({}, DJANGO_SETTINGS_MODULE="site_settings")
    done = run_python("manage.py", "check", cwd=tmp_path, environment=env)
    assert done.returncode == 1
    assert "[ST104]" in done.stderr
    assert os.sep in done.stderr
