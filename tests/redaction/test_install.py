"""Installing, uninstalling, failing and waiting for an import."""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from safetwilio import redaction
from safetwilio.errors import RedactionError
from safetwilio.redaction.sinks import stdlib_logging
from safetwilio.redaction.sinks._on_import import OnImport

if TYPE_CHECKING:
    from pathlib import Path

ORIGINALS = (
    (logging.Logger, "callHandlers"),
    (logging.Handler, "format"),
    (logging.Handler, "handleError"),
)


def state(name: str) -> str:
    return next(h.state for h in redaction.health() if h.name == name)


def test_installing_twice_is_harmless_and_uninstalling_restores_exactly() -> None:
    before = [vars(owner)[name] for owner, name in ORIGINALS]
    finders = list(sys.meta_path)
    assert state("logging") == "off"
    redaction.install(strict=True)
    once = [vars(owner)[name] for owner, name in ORIGINALS]
    assert not set(map(id, once)) & set(map(id, before))
    redaction.install(strict=True)
    assert [vars(owner)[name] for owner, name in ORIGINALS] == once
    assert state("logging") == "active"
    redaction.uninstall()
    assert [vars(owner)[name] for owner, name in ORIGINALS] == before
    assert sys.meta_path == finders
    assert state("logging") == "off"
    redaction.uninstall()


def test_health_is_frozen() -> None:
    with pytest.raises(AttributeError):
        redaction.health()[0].state = "active"  # type: ignore[misc]


def test_the_switch_installs_nothing_and_warns_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    before = logging.Logger.callHandlers
    monkeypatch.setenv("SAFETWILIO_REDACT", "off")
    redaction.install(strict=True)
    health = redaction.install()
    assert {h.state for h in health} == {"off"}
    assert logging.Logger.callHandlers is before
    assert [(r.levelname, r.getMessage()[:7]) for r in caplog.records] == [("WARNING", "[ST704]")]


@pytest.mark.parametrize("how", ["says no", "raises"])
def test_a_failed_self_test_falls_back_and_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, how: str, token: str
) -> None:
    def check() -> bool:
        if how == "raises":
            raise TypeError(token)
        return False

    monkeypatch.setattr(stdlib_logging, "check", check)
    redaction.install()
    assert state("logging") == "fallback"
    (record,) = caplog.records
    assert record.levelname == "ERROR"
    assert "[ST701] Redaction of logging does not work" in record.getMessage()
    logging.getLogger("x").error("a %s", token)
    assert token not in caplog.text
    with pytest.raises(RedactionError, match="public hooks") as caught:
        redaction.install(strict=True)
    assert caught.value.code == "ST701"


def test_a_sink_without_a_fallback_has_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise OSError

    monkeypatch.setattr(stdlib_logging, "install", broken)
    monkeypatch.setattr(stdlib_logging, "fall_back", broken)
    redaction.install()
    assert state("logging") == "failed"


def test_a_blocked_import_of_sentry_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sentry_sdk", None)
    redaction.install(strict=True)
    assert state("sentry") == "waiting"
    redaction.uninstall()


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    name = "safetwilio_tests_late"
    (tmp_path / f"{name}.py").write_text("VALUE = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, name, raising=False)
    return name


def test_waiting_for_an_import(module: str) -> None:
    seen: list[int] = []
    waiting = OnImport(module, lambda: seen.append(sys.modules[module].VALUE))
    waiting.wait()
    waiting.wait()
    assert sys.meta_path.count(waiting) == 1
    imported = importlib.import_module(module)
    assert seen == [1]
    assert waiting not in sys.meta_path
    assert type(imported.__loader__).__name__ == "SourceFileLoader"
    assert imported.__spec__ is not None
    assert imported.__spec__.loader is imported.__loader__
    importlib.reload(imported)
    assert seen == [1]
    assert waiting.stop() is False
    del sys.modules[module]


def test_looking_for_a_module_is_not_importing_it(module: str) -> None:
    seen: list[int] = []
    waiting = OnImport(module, lambda: seen.append(1))
    waiting.wait()
    spec = importlib.util.find_spec(module)
    assert spec is not None
    assert spec.loader is not None
    assert spec.loader.get_source(module) == "VALUE = 1\n"  # type: ignore[attr-defined]
    assert seen == []
    assert waiting.stop()
    assert importlib.util.find_spec("safetwilio_tests_nowhere") is None


def test_waiting_for_a_module_that_does_not_exist() -> None:
    waiting = OnImport("safetwilio_tests_nowhere", lambda: None)
    waiting.wait()
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("safetwilio_tests_nowhere")
    assert waiting.stop()


THREADS = """
import sys, threading
from safetwilio import redaction
redaction.install(strict=True)
assert "sentry_sdk" not in sys.modules
start = threading.Barrier(4)
def use():
    start.wait()
    import sentry_sdk
    redaction.install(strict=True)
threads = [threading.Thread(target=use, daemon=True) for _ in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join(60)
assert not any(t.is_alive() for t in threads)
assert [h.state for h in redaction.health()][:2] == ["active", "active"], redaction.health()
import sentry_sdk.envelope
assert sentry_sdk.envelope.Envelope.serialize_into.__wrapped__
assert "wrapped" not in repr(vars(sentry_sdk.envelope.Envelope.serialize_into.__wrapped__))
redaction.uninstall()
assert not hasattr(sentry_sdk.envelope.Envelope.serialize_into, "__wrapped__")
"""


def test_installing_and_importing_sentry_from_many_threads() -> None:
    subprocess.run([sys.executable, "-c", THREADS], check=True, timeout=120)


FORK = """
import os, sys, threading
from safetwilio import redaction
held, done = threading.Event(), threading.Event()
def hold():
    with redaction._lock:
        held.set()
        done.wait()
threading.Thread(target=hold).start()
held.wait()
child = os.fork()
if not child:
    os._exit(redaction.install(strict=True)[0].state != "active")
status = os.waitpid(child, 0)[1]
done.set()
sys.exit(os.waitstatus_to_exitcode(status))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
def test_a_child_forked_while_another_thread_installs_can_install() -> None:
    # In a group of its own, so that a child that hangs ends with it.
    with subprocess.Popen([sys.executable, "-c", FORK], start_new_session=True) as process:
        try:
            assert process.wait(30) == 0
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
