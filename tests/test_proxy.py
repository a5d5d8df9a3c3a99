"""The stable object behind ``from safetwilio import client``, as tools and frameworks use it."""

from __future__ import annotations

import copy
import importlib
import inspect
import pickle
import pydoc
import threading
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from twilio.rest import Client

import safetwilio
from safetwilio.clients import TwilioClient
from safetwilio.errors import ConfigurationError, MissingCredentials, RefusedBeforeSending
from support import OUR_PLUGIN, Key, assert_silent, leaks, new_key, refused, run_python, write

pytestmark = pytest.mark.usefixtures("configured")


@pytest.fixture
def client(configured: Key) -> TwilioClient:
    assert configured
    return safetwilio.client


def test_is_a_twilio_client_to_everybody_who_asks(client: TwilioClient, configured: Key) -> None:
    assert isinstance(client, TwilioClient)
    assert isinstance(client, Client)
    assert client.__class__ is TwilioClient
    assert client.account_sid == configured.account
    assert client.messages is client.messages
    assert callable(client.request)


def test_stays_the_same_object_across_reset(
    client: TwilioClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = new_key()
    safetwilio.reset()
    for name, value in other.environment().items():
        monkeypatch.setenv(name, value)

    assert safetwilio.client is client
    assert client.account_sid == other.account
    assert client.password == other.secret


def test_stands_for_itself_only(client: TwilioClient) -> None:
    assert client == client  # noqa: PLR0124
    assert client != object()
    assert {client: 1}[client] == 1
    assert client


def test_repr_tells_the_account_and_nothing_else(client: TwilioClient, configured: Key) -> None:
    safetwilio.configure(safetwilio.TwilioSettings(), account="marketing")

    assert repr(client) == "<safetwilio client of account 'default'>"
    assert repr(safetwilio.get_client("marketing")) == "<safetwilio client of account 'marketing'>"
    assert leaks(f"{client} {client!r}", configured) == []


def test_sets_and_deletes_reach_the_client(client: TwilioClient) -> None:
    client.user_agent_extensions = ["x/1"]
    assert client.user_agent_extensions == ["x/1"]
    client.mine = 1  # type: ignore[attr-defined]
    assert client.mine == 1  # type: ignore[attr-defined]
    del client.mine  # type: ignore[attr-defined]
    assert not hasattr(client, "mine")


@pytest.mark.parametrize("name", ["_credential", "_mock_name", "_is_coroutine", "_ClientProxy__x"])
def test_names_with_an_underscore_are_refused(client: TwilioClient, name: str) -> None:
    assert not hasattr(client, name)
    with pytest.raises(AttributeError, match="stay inside"):
        setattr(client, name, 1)
    with pytest.raises(AttributeError, match="stay inside"):
        delattr(client, name)


@pytest.mark.parametrize(
    "name", ["__wrapped__", "__test__", "__bases__", "__name__", "__dict__", "__len__", "__call__"]
)
def test_protocols_that_are_not_its_own_are_not_there(client: TwilioClient, name: str) -> None:
    """pytest, mock and inspect probe for them; none may boot or reach into the client."""
    safetwilio.reset()

    assert not hasattr(client, name)
    assert not safetwilio.health().booted


def test_unknown_names_are_attribute_errors(client: TwilioClient) -> None:
    assert not hasattr(client, "mesages")
    with pytest.raises(AttributeError):
        _ = client.mesages  # type: ignore[attr-defined]


def test_looking_around_does_not_boot(client: TwilioClient) -> None:
    safetwilio.reset()
    listing = dir(client)

    assert {"messages", "calls", "request"} <= set(listing)
    assert not [name for name in listing if name.startswith("_")]
    assert repr(client)
    assert isinstance(client, TwilioClient)
    with pytest.raises(TypeError):
        vars(client)
    assert not safetwilio.health().booted


def test_copies_are_itself(client: TwilioClient) -> None:
    assert copy.copy(client) is client
    assert copy.deepcopy(client) is client
    assert copy.deepcopy({"client": [client]})["client"][0] is client


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickle_is_refused(client: TwilioClient, protocol: int) -> None:
    with pytest.raises(RefusedBeforeSending, match=r"safetwilio\.client is not pickled") as error:
        pickle.dumps({"x": client}, protocol)
    assert error.value.code == "ST803"


def test_documentation_tools(client: TwilioClient, configured: Key) -> None:
    text = pydoc.render_doc(safetwilio) + pydoc.render_doc(client)

    assert "safetwilio" in text
    assert leaks(text, configured) == []
    assert inspect.getdoc(client)
    assert not inspect.isroutine(client)
    assert not inspect.isclass(client)
    assert inspect.getattr_static(client, "request", None) is None


def test_pydoc_of_the_package_does_not_boot() -> None:
    pydoc.render_doc(safetwilio)

    assert not safetwilio.health().booted


@pytest.fixture
def _without_assistants(monkeypatch: pytest.MonkeyPatch) -> None:
    """In twilio 9.4 this attribute alone raises a TypeError, on Twilio's own client too."""
    monkeypatch.setattr(Client, "assistants", None, raising=False)


@pytest.mark.usefixtures("_without_assistants")
def test_getmembers_shows_no_secret(client: TwilioClient, configured: Key) -> None:
    members = dict(inspect.getmembers(client))

    assert "messages" in members
    assert leaks(repr(members), [configured.secret]) == []


def test_mock_patch_of_the_module_attribute(client: TwilioClient) -> None:
    with mock.patch("safetwilio.client") as fake:
        assert safetwilio.client is fake
        from safetwilio import client as imported

        assert imported is fake
    assert safetwilio.client is client
    assert "client" not in vars(safetwilio)


def test_mock_patch_without_a_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    """Patching looks at what it replaces; SAFETWILIO_BOOT=off is for tests without credentials."""
    monkeypatch.delenv("TWILIO_API_KEY")
    monkeypatch.setenv("SAFETWILIO_BOOT", "off")
    with mock.patch("safetwilio.client") as fake:
        assert safetwilio.client is fake


def test_mock_patch_of_what_cannot_boot_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    assert unconfigured(mock.patch("safetwilio.client").start, monkeypatch).code == "ST101"


def test_mock_patch_object(client: TwilioClient) -> None:
    before = client.http_client
    with mock.patch.object(client, "http_client") as fake:
        assert client.http_client is fake
    assert client.http_client is before
    with mock.patch.object(client, "request", return_value=1):
        assert client.request("GET", "https://api.twilio.com") == 1  # type: ignore[comparison-overlap]
    assert "request" not in vars(safetwilio._boot.get_account(None).client)  # type: ignore[attr-defined]


@pytest.mark.usefixtures("_without_assistants")
def test_autospec_knows_what_the_client_has(client: TwilioClient) -> None:
    fake = mock.create_autospec(client)
    fake.request("GET", "https://api.twilio.com")
    with pytest.raises(AttributeError):
        _ = fake.mesages
    with pytest.raises(TypeError):
        fake.request()


def test_threads_that_ask_at_once_get_one_object() -> None:
    barrier, seen = threading.Barrier(16), set()

    def ask() -> None:
        barrier.wait()
        seen.add(id(safetwilio.client))
        seen.add(id(safetwilio.get_client()))

    threads = [threading.Thread(target=ask) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(seen) == 1


def unconfigured(ask: Any, monkeypatch: pytest.MonkeyPatch) -> ConfigurationError:
    monkeypatch.delenv("TWILIO_API_SECRET")
    return refused(ask)


@pytest.mark.parametrize(
    "ask",
    [
        lambda: safetwilio.client,
        lambda: hasattr(safetwilio, "client"),
        safetwilio.get_client,
        lambda: importlib.import_module("safetwilio").client,
    ],
    ids=["attribute", "hasattr", "get_client", "module"],
)
def test_without_a_configuration_the_report_comes_out(
    ask: Any, configured: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = unconfigured(ask, monkeypatch)

    assert type(error) is MissingCredentials
    assert_silent(error, configured)


def test_report_is_not_turned_into_cannot_import_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def ask() -> None:
        from safetwilio import client  # noqa: F401

    assert unconfigured(ask, monkeypatch).code == "ST101"


def test_report_comes_without_our_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    """The way to it inside this package says nothing to its reader."""
    error = unconfigured(lambda: safetwilio.client, monkeypatch)
    names, trace = [], error.__traceback__
    while trace is not None:
        names.append(Path(trace.tb_frame.f_code.co_filename).name)
        trace = trace.tb_next

    assert names[2:] == ["__init__.py", "_proxy.py", "_proxy.py"]


COLLECTED = "from safetwilio import client\n\ndef test_it():\n    assert client\n"


def test_pytest_shows_the_report_when_it_collects(tmp_path: Path) -> None:
    write(tmp_path / "test_app.py", COLLECTED)
    done = run_python("-m", "pytest", "-q", cwd=tmp_path, environment=OUR_PLUGIN)

    assert done.returncode == 2
    assert "safetwilio cannot start: 2 problems" in done.stdout
    assert "Fix: Put the API key's SID and secret" in done.stdout
    assert "cannot import name" not in done.stdout


@pytest.mark.parametrize("environment", ["key", "off"])
def test_pytest_collects_a_module_that_imports_the_client(
    tmp_path: Path, configured: Key, environment: str
) -> None:
    """It asks the object for ``_mock_name``, ``__wrapped__``, ``__test__`` and ``__bases__``."""
    write(tmp_path / "test_app.py", COLLECTED)
    given = configured.environment() if environment == "key" else {"SAFETWILIO_BOOT": "off"}
    done = run_python("-m", "pytest", "-q", cwd=tmp_path, environment=OUR_PLUGIN | given)

    assert done.returncode == 0, done.stdout
    assert "1 passed" in done.stdout
