"""The pytest plugin: fixtures, a mark, and an ini option for tests that import a client at once.

Loading it imports nothing heavy; the emulator comes with the first fixture, or with
``safetwilio = emulator`` in the ini file. Reports of tests are redacted (also local variables,
captured output, and what becomes of them in JUnit's XML) once a test has imported safetwilio's
redaction, and a sink that fails its self-test raises, unless ``SAFETWILIO_REDACT`` says otherwise.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from safetwilio.testing.assumptions import Choice
    from safetwilio.testing.emulator import Emulator
    from safetwilio.testing.journal import Outbox
    from safetwilio.testing.server import EmulatorServer
    from safetwilio.testing.webhooks import SignedRequest
    from safetwilio.webhooks.canonical import Params

INI = "safetwilio"
SWITCH = "SAFETWILIO_REDACT"
MARK = "safetwilio_every_assumption"
_STARTED = pytest.StashKey[bool]()

# Whatever else could name or alter the default account's credentials gives way to the emulator's.
_PAIR = ("ACCOUNT_SID", "API_KEY", "API_KEY_SID", "API_SECRET", "API_KEY_SECRET", "AUTH_TOKEN")
_WEBHOOKS = ("AUTH_TOKEN", "SECONDARY_AUTH_TOKEN", "SHARED_KEYS", "PUBLIC_URL")
_NAMES = (*_PAIR, "REGION", "EDGE", *(f"WEBHOOK_{name}" for name in _WEBHOOKS))
_OUT_OF_THE_WAY = (
    *(f"TWILIO_{name}{suffix}" for name in _NAMES for suffix in ("", "_FILE")),
    "SAFETWILIO_ADMIN_BACKEND",
    "SAFETWILIO_BACKEND",
    "SAFETWILIO_BOOT",
    "SAFETWILIO_WEBHOOK_BACKEND",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the ini option."""
    parser.addini(
        INI,
        "'emulator': fake Twilio credentials and a loopback emulator from the start, so that test"
        " modules may import safetwilio.client at module level. Empty (default): nothing.",
        default="",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Declare the mark, and start an emulator for the session if the ini file asks for it."""
    config.addinivalue_line(
        "markers", f"{MARK}: run the test once for each thing that nobody knows about Twilio"
    )
    if SWITCH not in os.environ:
        os.environ[SWITCH] = "strict"
        config.add_cleanup(_forget_the_switch)
    _start(config)


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Generator[None, Any, Any]:
    """Start before pytest-django, which lets Django boot at this moment, and before conftests."""
    _start(early_config)
    return (yield)


def _start(config: pytest.Config) -> None:
    """Start an emulator for the session if the ini file asks for one and there is none yet."""
    chosen = str(config.getini(INI)).strip()
    if not chosen or config.stash.get(_STARTED, False):
        return
    if chosen != "emulator":
        raise pytest.UsageError(f"ini option {INI} is 'emulator' or empty, not {chosen!r}")
    from safetwilio.testing.server import EmulatorServer

    config.stash[_STARTED] = True
    server, environment = EmulatorServer().start(), pytest.MonkeyPatch()
    for undo in (_reset, server.stop, environment.undo):  # run from the last to the first
        config.add_cleanup(undo)
    point_to(server, environment)
    _reset()  # of what something booted before


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport() -> Generator[None, Any, Any]:
    """Redact the report of a test before anybody sees it."""
    return _redacted((yield))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_make_collect_report() -> Generator[None, Any, Any]:
    """Redact the report of a collection, which has the error of a module that did not import."""
    return _redacted((yield))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_logreport(report: Any) -> None:
    """Redact what has been added to the *report* since, as subtests do."""
    _redacted(report)


@pytest.hookimpl(tryfirst=True)
def pytest_warning_recorded(warning_message: Any) -> None:
    """Redact a warning for the summary."""
    if _redacts():
        from safetwilio.redaction.sinks.warnings import clean

        clean(warning_message)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Let a marked test run under every choice of the assumptions."""
    if metafunc.definition.get_closest_marker(MARK) is None:
        return
    if "safetwilio_assumptions" not in metafunc.fixturenames:
        pytest.fail(f"{MARK} needs a test that uses safetwilio_emulator", pytrace=False)
    from safetwilio.testing.assumptions import every_choice

    choices = every_choice()
    ids = [" ".join(f"{name}={value}" for name, value in each.items()) for each in choices]
    metafunc.parametrize(
        "safetwilio_assumptions", choices, indirect=True, ids=[each or "defaults" for each in ids]
    )


@pytest.fixture
def safetwilio_assumptions(request: pytest.FixtureRequest) -> dict[str, Choice]:
    """Give the emulator its assumptions by name: the defaults, unless parametrized indirectly."""
    return dict(getattr(request, "param", {}))


@pytest.fixture
def safetwilio_emulator(
    safetwilio_assumptions: dict[str, Choice], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Emulator]:
    """Give the test a fresh emulator, and safetwilio its seeded account and Standard key.

    The server's URL is ``os.environ["SAFETWILIO_EMULATOR"]``; it stops with the test.
    """
    from safetwilio.testing.emulator import Emulator
    from safetwilio.testing.server import EmulatorServer

    with EmulatorServer(Emulator(assumptions=safetwilio_assumptions)) as server:
        point_to(server, monkeypatch)
        _reset()
        yield server.emulator
        _reset()


@pytest.fixture
def safetwilio_outbox(safetwilio_emulator: Emulator) -> Outbox:
    """Give the test the messages it sends: objects with to, from_, body, sid, key_sid."""
    return safetwilio_emulator.messages


@pytest.fixture
def safetwilio_sign(safetwilio_emulator: Emulator) -> Callable[..., SignedRequest]:
    """Sign requests as Twilio would sign the webhooks of the emulator's account.

    ``safetwilio_sign(url, params=form)``, or ``body=`` for what is no form, or neither for a GET.
    Send it to the ``url`` of what is returned, with its ``headers``.
    """
    from safetwilio.testing.webhooks import sign_request

    account = safetwilio_emulator.account

    def sign(url: str, *, params: Params | None = None, body: bytes | None = None) -> SignedRequest:
        return sign_request(url, params=params, body=body, auth_token=account.auth_token)

    return sign


def point_to(server: EmulatorServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the environment so that safetwilio talks to *server* as its seeded account."""
    for name in _OUT_OF_THE_WAY:
        monkeypatch.delenv(name, raising=False)
    emulator = server.emulator
    monkeypatch.setenv("SAFETWILIO_BACKEND", "env")
    monkeypatch.setenv("SAFETWILIO_EMULATOR", server.url)
    monkeypatch.setenv("TWILIO_ACCOUNT_SID", emulator.account.sid)
    monkeypatch.setenv("TWILIO_API_KEY", emulator.standard_key.sid)
    monkeypatch.setenv("TWILIO_API_SECRET", emulator.standard_key.secret)
    monkeypatch.setenv("TWILIO_WEBHOOK_AUTH_TOKEN", emulator.account.auth_token)


def _forget_the_switch() -> None:
    os.environ.pop(SWITCH, None)


def _redacts() -> bool:
    """Return whether any secret can be known here, and hiding it is not switched off."""
    switched_off = os.environ.get(SWITCH, "").strip().lower() == "off"
    return "safetwilio.redaction" in sys.modules and not switched_off


def _redacted(report: Any) -> Any:
    """Redact *report* in place; the name of a test is its identity and stays."""
    if _redacts():
        from safetwilio.redaction.sinks._objects import cleaned

        for name in ("longrepr", "sections", "user_properties"):
            value = getattr(report, name, None)
            clean = cleaned(value, "_pytest.")
            if clean is not value:
                setattr(report, name, clean)
    return report


def _reset() -> None:
    """Let safetwilio forget the credentials it booted with, and what webhooks are signed with."""
    import safetwilio

    safetwilio.reset()
    if (receiver := sys.modules.get("safetwilio.integrations.receiver")) is not None:
        receiver.reset_all()
