"""A clean process for each test: no credentials around, an empty directory, nothing booted."""

from __future__ import annotations

import os
import re
import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from support import OURS, Key, new_key

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator


# One environment is enough for these, whatever the version of Python or of a library: they prove
# the emulator against documents, backends against real servers, or what a killed process leaves.
ONCE = (
    "testing/test_[!s]*.py",  # but for the server
    "testing/test_scripts.py",
    "testing/test_seeding.py",
    "testing/test_services.py",
    "live/*.py",
    "backends/test_*_*.py",  # but for the first file of each
    "backends/test_p*.py",
    "broken/test_pages.py",
    "cli/test_cli_[!m]*.py",  # but for the parser
    "clients/test_*_leaks.py",
    "clients/test_client_interrupted.py",
    "clients/test_client_sentry.py",
    "examples/*.py",
    "integrations/test_examples.py",
    "integrations/test_hostile.py",
    "integrations/celery/*.py",
    "integrations/*/test_*_docs.py",
    "integrations/*/test_*_example.py",
    "integrations/*/test_*_servers.py",
    "integrations/django/test_django_error_pages.py",
    "rotation/test_[!k]*.py",  # but for the keys: what makes them differs between Twilio's
    "rotation/test_killed_functions.py",
    "runbook/*.py",
    "redaction/test_[acefjlmpr]*.py",  # but for the sinks: the engine is plain Python
    "test_access_tokens.py",
    "test_docs.py",
    "test_portability.py",
    "test_provisioning.py",
    "test_silence.py",
)
# ... and for these, which repeat one thing very often.
ONCE_NAMES = re.compile("rotation|never_mixed|a_mixed_pair|ten_thousand|never_cross|is_ever_shown")

# Few tests that take long, for each starts processes: begun last, they would let the others wait.
SLOW = (
    "backends/test_*_reports.py",
    "backends/test_aws*.py",
    "backends/test_prefork.py",
    "backends/test_vault*.py",
    "broken/test_pages.py",
    "cli/test_cli_i*.py",
    "clients/test_*_leaks.py",
    "clients/test_client_*.py",
    "examples/*.py",
    "integrations/test_examples.py",
    "integrations/*/*.py",
    "live/*.py",
    "redaction/test_leaks.py",
    "redaction/test_pytest_reports.py",
    "redaction/test_sentry.py",
    "rotation/test_crash_*.py",
    "rotation/test_killed_functions.py",
    "test_docs.py",
    "rotation/test_end_to_end_*.py",
    "testing/test_backend_contract.py",
    "testing/test_plugin*.py",
    "testing/test_random_walk.py",
)

# What a test starts is not measured: that would double its time, and shows few lines that no test
# of this process runs. pytest-xdist's own processes are.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.pop("COVERAGE_PROCESS_CONFIG", None)

# How long an example takes says more about the machine than about the code.
settings.register_profile("safetwilio", deadline=None)
settings.load_profile("safetwilio")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Generator[None]:
    """Mark what one environment is enough for; noxfile.py leaves it out of the others.

    The marks are there before pytest chooses by them. What takes long comes first, in whatever
    order it was put.
    """
    for item in items:
        if _is_in(item, ONCE) or ONCE_NAMES.search(item.name):
            item.add_marker("once")
    yield
    items.sort(key=lambda item: not _is_in(item, SLOW))


def _is_in(item: pytest.Item, patterns: tuple[str, ...]) -> bool:
    return any(item.path.match(f"tests/{pattern}") for pattern in patterns)


@pytest.fixture(autouse=True)
def _nothing_configured(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    """Take our variables away, change into an empty directory, and forget what was booted."""
    for name in _ours():
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path_factory.mktemp("cwd"))
    _reset()
    yield
    _reset()
    for name in _ours():  # integrations put the backend of their settings there
        del os.environ[name]


def _ours() -> list[str]:
    return [name for name in os.environ if name.startswith(OURS)]


@pytest.fixture
def key() -> Key:
    """Return a fake API key."""
    return new_key()


@pytest.fixture
def configured(key: Key, monkeypatch: pytest.MonkeyPatch) -> Key:
    """Put a fake API key into the environment."""
    for name, value in key.environment().items():
        monkeypatch.setenv(name, value)
    return key


def _reset() -> None:
    if "safetwilio._boot" in sys.modules:
        sys.modules["safetwilio._boot"].reset()
    if "safetwilio.integrations.receiver" in sys.modules:
        sys.modules["safetwilio.integrations.receiver"].reset_all()
    if "safetwilio.redaction" in sys.modules:
        sys.modules["safetwilio.redaction"].uninstall()
    if "safetwilio.redaction.registry" in sys.modules:
        # Each secret makes the first text after it dearer, and thousands of tests make thousands.
        sys.modules["safetwilio.redaction.registry"].registry._change(lambda _: {})
