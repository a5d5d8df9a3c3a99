"""The pytest plugin, run in pytest sessions of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from importlib import import_module

import pytest

from safetwilio.testing.assumptions import every_choice
from support import OUR_PLUGIN, new_key

pytest_plugins = ["pytester"]


@pytest.fixture
def clean(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """Return a session whose environment has a developer's settings, which tests must not use."""
    for name in [name for name in os.environ if name.startswith(("TWILIO_", "SAFETWILIO_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("TWILIO_AUTH_TOKEN", "the developer's own")
    monkeypatch.setenv("SAFETWILIO_BACKEND", "vault://the/developers/own")
    monkeypatch.setenv("TWILIO_PHONE_NUMBER", "+15005550006")
    for name, value in OUR_PLUGIN.items():
        monkeypatch.setenv(name, value)
    return pytester


def test_pytest_finds_it_by_itself(clean: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in OUR_PLUGIN:
        monkeypatch.delenv(name)
    clean.makepyfile("def test_it(safetwilio_emulator):\n    assert safetwilio_emulator.account")
    clean.runpytest_subprocess().assert_outcomes(passed=1)


def test_loading_the_plugin_imports_nothing_and_changes_nothing() -> None:
    program = """
import json, os, sys
import pytest
before, modules = dict(os.environ), set(sys.modules)
import safetwilio.testing.plugin
new = sorted(set(sys.modules) - modules)
print(json.dumps([before == dict(os.environ), new]))
"""
    command = [sys.executable, "-c", program]
    unchanged, new = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    assert unchanged
    assert not [name for name in new if name.partition(".")[0] in {"twilio", "requests", "http"}]
    assert [name for name in new if name.startswith("safetwilio")] == [
        "safetwilio",
        "safetwilio.testing",
        "safetwilio.testing.plugin",
    ]


def test_without_the_ini_option_a_session_is_as_ever(clean: pytest.Pytester) -> None:
    clean.makepyfile(
        """
        import os, sys, threading

        def test_environment():
            assert os.environ["TWILIO_AUTH_TOKEN"] == "the developer's own"
            assert "SAFETWILIO_EMULATOR" not in os.environ
            assert "safetwilio.testing.server" not in sys.modules
            assert [t for t in threading.enumerate() if "safetwilio" in t.name] == []
        """
    )
    clean.runpytest_subprocess().assert_outcomes(passed=1)


def test_the_fixture_points_the_environment_to_the_emulator(clean: pytest.Pytester) -> None:
    clean.makepyfile(
        """
        import os

        def test_environment(safetwilio_emulator):
            emulator = safetwilio_emulator
            assert os.environ["TWILIO_ACCOUNT_SID"] == emulator.account.sid
            assert os.environ["TWILIO_API_KEY"] == emulator.standard_key.sid
            assert os.environ["TWILIO_API_SECRET"] == emulator.standard_key.secret
            assert os.environ["SAFETWILIO_EMULATOR"].startswith("http://127.0.0.1:")
            assert os.environ["SAFETWILIO_BACKEND"] == "env"
            assert "TWILIO_AUTH_TOKEN" not in os.environ
            assert os.environ["TWILIO_PHONE_NUMBER"] == "+15005550006"
        """
    )
    clean.runpytest_subprocess().assert_outcomes(passed=1)


def test_each_test_has_a_fresh_emulator_that_stops_with_it(clean: pytest.Pytester) -> None:
    clean.makepyfile(
        """
        import os, socket, threading
        import pytest

        seen = []

        @pytest.mark.parametrize("turn", [1, 2])
        def test_fresh(safetwilio_emulator, safetwilio_outbox, turn):
            assert len(safetwilio_outbox) == 0
            assert safetwilio_emulator.account.sid not in [sid for sid, _ in seen]
            seen.append((safetwilio_emulator.account.sid, os.environ["SAFETWILIO_EMULATOR"]))

        def test_gone():
            assert os.environ["TWILIO_AUTH_TOKEN"] == "the developer's own"
            assert os.environ["SAFETWILIO_BACKEND"] == "vault://the/developers/own"
            assert "TWILIO_ACCOUNT_SID" not in os.environ
            assert len(seen) == 2
            for _, url in seen:
                with pytest.raises(ConnectionRefusedError):
                    socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])))
            assert [t for t in threading.enumerate() if "safetwilio" in t.name] == []
        """
    )
    clean.runpytest_subprocess("-p", "no:randomly").assert_outcomes(passed=3)


def test_the_outbox_shows_what_the_test_sent(clean: pytest.Pytester) -> None:
    clean.makepyfile(
        """
        def test_sending(safetwilio_emulator, safetwilio_outbox):
            from safetwilio import client
            sent = client.messages.create(to="+15551230001", from_="+15005550006", body="hi")
            [message] = safetwilio_outbox
            assert (message.to, message.from_, message.body) == (
                "+15551230001", "+15005550006", "hi"
            )
            assert message.sid == sent.sid
            assert message.account_sid == safetwilio_emulator.account.sid
            assert message.key_sid == safetwilio_emulator.standard_key.sid
        """
    )
    clean.runpytest_subprocess().assert_outcomes(passed=1)


MODULE_LEVEL = """
    import os
    from safetwilio import client

    def send():
        return client.messages.create(to="+15551230001", from_="+15005550006", body="hi").sid

    def test_without_a_fixture():
        assert send().startswith("SM")
        assert "TWILIO_AUTH_TOKEN" not in os.environ

    def test_with_the_fixture(safetwilio_outbox):
        sid = send()
        assert [message.sid for message in safetwilio_outbox] == [sid]
"""


def test_the_ini_option_lets_modules_import_a_client(clean: pytest.Pytester) -> None:
    clean.makeini("[pytest]\nsafetwilio = emulator\n")
    clean.makepyfile(MODULE_LEVEL)
    clean.runpytest_subprocess().assert_outcomes(passed=2)


def test_without_the_ini_option_such_a_module_is_not_collected(clean: pytest.Pytester) -> None:
    clean.makepyfile(MODULE_LEVEL)
    clean.runpytest_subprocess().assert_outcomes(errors=1)


def environment() -> dict[str, str]:
    """Return the environment but for the name of the running test, which pytest keeps there."""
    return {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}


def test_the_ini_option_gives_the_environment_back(clean: pytest.Pytester) -> None:
    """In this very process: what the inner session changed is undone when it ends."""
    clean.makeini("[pytest]\nsafetwilio = emulator\n")
    clean.makepyfile(
        """
        import os, threading

        def test_environment():
            assert os.environ["TWILIO_ACCOUNT_SID"].startswith("AC5afe0000")
            assert [t for t in threading.enumerate() if t.name == "safetwilio-emulator"]
        """
    )
    before = environment()
    import_module("safetwilio._boot")  # or pytester would take out again what it brings along
    clean.runpytest_inprocess("-p", "no:randomly").assert_outcomes(passed=1)
    assert environment() == before
    assert not [each for each in threading.enumerate() if each.name == "safetwilio-emulator"]


def test_another_value_of_the_ini_option_is_a_usage_error(clean: pytest.Pytester) -> None:
    clean.makeini("[pytest]\nsafetwilio = on\n")
    result = clean.runpytest_subprocess()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*ini option safetwilio is 'emulator' or empty, not 'on'*"])


def test_a_marked_test_runs_under_every_choice(clean: pytest.Pytester) -> None:
    clean.makepyfile(
        """
        import pytest
        seen = []

        @pytest.mark.safetwilio_every_assumption
        def test_it(safetwilio_emulator, safetwilio_outbox):
            from safetwilio import client
            assert client.messages.list() == list(safetwilio_outbox)
            seen.append(safetwilio_emulator.assumptions)

        def test_all_were_there():
            from safetwilio.testing import Emulator
            from safetwilio.testing.assumptions import ASSUMPTIONS, every_choice
            assert seen == [Emulator(assumptions=each).assumptions for each in every_choice()]
            assert seen[0] == {each.name: each.default for each in ASSUMPTIONS}
        """
    )
    result = clean.runpytest_subprocess("-p", "no:randomly", "--strict-markers", "-v")
    result.assert_outcomes(passed=len(every_choice()) + 1)
    result.stdout.fnmatch_lines(["*::test_it?defaults? PASSED*"])
    result.stdout.fnmatch_lines(["*::test_it?suspended_status=403? PASSED*"])


def test_a_marked_class_and_a_marked_module_too(clean: pytest.Pytester) -> None:
    clean.makepyfile(
        test_class="""
        import pytest

        @pytest.mark.safetwilio_every_assumption
        class TestIt:
            def test_it(self, safetwilio_outbox):
                pass
        """,
        test_module="""
        import pytest
        pytestmark = pytest.mark.safetwilio_every_assumption

        def test_it(safetwilio_emulator):
            pass
        """,
    )
    clean.runpytest_subprocess().assert_outcomes(passed=2 * len(every_choice()))


def test_a_marked_test_without_an_emulator_is_an_error(clean: pytest.Pytester) -> None:
    clean.makepyfile(
        """
        import pytest

        @pytest.mark.safetwilio_every_assumption
        def test_it():
            pass
        """
    )
    result = clean.runpytest_subprocess()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*needs a test that uses safetwilio_emulator*"])


def test_one_choice_may_be_made_for_a_test(clean: pytest.Pytester) -> None:
    clean.makepyfile(
        """
        import pytest

        @pytest.mark.parametrize("safetwilio_assumptions", [{"suspended_status": 403}])
        def test_one(safetwilio_emulator):
            assert safetwilio_emulator.assumptions["suspended_status"] == 403

        def test_none(safetwilio_emulator):
            assert safetwilio_emulator.assumptions["suspended_status"] == 401
        """
    )
    clean.runpytest_subprocess().assert_outcomes(passed=2)


def test_the_mark_is_declared(clean: pytest.Pytester) -> None:
    result = clean.runpytest_subprocess("--markers")
    result.stdout.fnmatch_lines(["@pytest.mark.safetwilio_every_assumption: *"])


@pytest.mark.parametrize(
    "plugins", ["early,safetwilio.testing.plugin", "safetwilio.testing.plugin,early"]
)
def test_what_boots_before_the_tests_are_collected_has_the_emulator(
    clean: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, plugins: str
) -> None:
    """pytest-django lets Django start at this moment; a real ``.env`` must not reach the tests."""
    real = new_key()
    clean.makeini("[pytest]\nsafetwilio = emulator\n")
    clean.path.joinpath(".env").write_text(real.dotenv())
    monkeypatch.delenv("SAFETWILIO_BACKEND")
    monkeypatch.setenv("PYTEST_PLUGINS", plugins)
    monkeypatch.setenv("PYTHONPATH", str(clean.path))
    clean.makepyfile(
        early="""
        import pytest

        @pytest.hookimpl(tryfirst=True)
        def pytest_load_initial_conftests():
            from safetwilio import client

            client.account_sid
        """,
        test_it="""
        from safetwilio import client

        def test_it():
            assert client.account_sid.startswith("AC5afe0000")
        """,
    )
    clean.runpytest_subprocess().assert_outcomes(passed=1)
