"""``safetwilio.toml``: what is right, and each fault, of which no text of the file is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from safetwilio.errors import BackendError, SafeTwilioError, UsageError
from safetwilio.services import Service, chosen, is_service_name, read_services
from support import auth_token, caught, key_secret, leaks, write

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "safetwilio.toml"


def refused(path: Path) -> UsageError:
    error = caught(lambda: read_services(path))
    assert isinstance(error, UsageError), error
    assert error.code == "ST955"
    assert error.__context__ is None
    return error


def test_everything_that_there_is(path: Path) -> None:
    write(
        path,
        """
        [services.billing]
        backend = "env,dotenv:.env"
        policy = ["/twilio/messaging/messages/create", "/twilio/messaging/messages/*"]
        label = "billing.v2"
        accounts = ["EU", "us"]

        [services."Web_1.x-y"]
        backend = "aws-sm:twilio#web"
        """,
    )
    billing, web = read_services(path)
    assert billing.name == "billing"
    assert [str(place) for place in billing.places] == ["env", "dotenv:.env"]
    assert billing.policy == ("/twilio/messaging/messages/create", "/twilio/messaging/messages/*")
    assert billing.label == "billing.v2"
    assert billing.accounts == ("eu", "us")
    assert web == Service("Web_1.x-y", web.places, "Web_1.x-y", None, (None,))
    assert web.places[0].field == "web"


def test_the_default_account_has_a_name_here(path: Path) -> None:
    """It is the one of a service without accounts, and may stand beside others."""
    write(path, "[services.a]\nbackend = 'env'\naccounts = ['default', 'Marketing']")
    (service,) = read_services(path)
    assert service.accounts == (None, "marketing")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "tables [services.NAME] and nothing else"),
        ("services = 1", "tables [services.NAME] and nothing else"),
        ("[services]", "tables [services.NAME] and nothing else"),
        ("x = 1\n[services.a]\nbackend='env'", "tables [services.NAME] and nothing else"),
        ("[services.a\n", "it is not TOML (at line 1"),
        ("[services.a]\nbackend = 'env'\nbackend = 'env'", "it is not TOML"),
        ("[services]\na = 1", "services.a is no table"),
        ("[services.a]", "services.a has no backend"),
        ("[services.a]\nbackend = ' '", "services.a has no backend"),
        ("[services.a]\nbackend = ['env']", "services.a has no backend"),
        ("[services.a]\nbackend='env'\nx=1", "has a key that nothing reads; there are backend,"),
        ("[services.'a b']\nbackend='env'", "a service's name is up to 40 letters"),
        ("[services.'']\nbackend='env'", "a service's name"),
        ("[services.'-a']\nbackend='env'", "a service's name"),
        ("[services.'a/b']\nbackend='env'", "a service's name"),
        ("[services.'a@b']\nbackend='env'", "a service's name"),
        ("[services.'ä']\nbackend='env'", "a service's name"),
        (f"[services.{'a' * 41}]\nbackend='env'", "a service's name"),
        ("[services.a]\nbackend='env'\nlabel=''", "the label of services.a is no name"),
        ("[services.a]\nbackend='env'\nlabel=1", "the label of services.a is no name"),
        ("[services.a]\nbackend='env'\nlabel='a/b'", "the label of services.a is no name"),
        ("[services.a]\nbackend='env'\npolicy='/twilio/x'", "the policy of services.a is no list"),
        ("[services.a]\nbackend='env'\npolicy=[]", "the policy of services.a is no list"),
        ("[services.a]\nbackend='env'\npolicy=[1]", "the policy of services.a is no list"),
        ("[services.a]\nbackend='env'\npolicy=['/other/x']", "the policy of services.a"),
        ("[services.a]\nbackend='env'\npolicy=[\"/twilio/x\\n\"]", "the policy of services.a"),
        (f"[services.a]\nbackend='env'\npolicy={['/twilio/x'] * 101}", "1 to 100 permissions"),
        ("[services.a]\nbackend='env'\naccounts='eu'", "accounts of services.a is no list"),
        ("[services.a]\nbackend='env'\naccounts=[]", "accounts of services.a is no list"),
        ("[services.a]\nbackend='env'\naccounts=[1]", "accounts of services.a is no list"),
        ("[services.a]\nbackend='env'\naccounts=[None]", "it is not TOML"),
        ("[services.a]\nbackend='env'\naccounts=['']", '"default" is the account of get_client()'),
        ("[services.a]\nbackend='env'\naccounts=['a b']", "accounts of services.a is no list"),
        ("[services.a]\nbackend='env'\naccounts=['m', 'M']", "services.a has a name twice"),
        ("[services.a]\nbackend='env'\naccounts=['default', 'Default']", "has a name twice"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(path: Path, text: str, why: str) -> None:
    error = refused(write(path, text))
    assert str(error).startswith(f"[ST955] {path} cannot be used: ")
    assert why in str(error)


@pytest.mark.parametrize(
    ("begins", "character", "times", "why"),
    [
        ("a = ", "[", 100_000, "it is not TOML that anybody means"),
        ("a = ", "1", 5000, "it is not TOML that anybody means"),
        ("[services.a]\nbackend = 'env'\n", "#", 1 << 20, "it is larger than 1 MiB"),
    ],
)
def test_what_has_no_end(path: Path, begins: str, character: str, times: int, why: str) -> None:
    assert why in str(refused(write(path, begins + character * times)))


@pytest.mark.parametrize(
    ("content", "why"),
    [(b"\xff\xfe", "it is not a text in UTF-8"), (None, "No such file"), ("d", "Is a directory")],
)
def test_what_is_no_text(path: Path, content: bytes | str | None, why: str) -> None:
    if isinstance(content, bytes):
        write(path, content)
    elif content:
        path.mkdir()
    assert why in str(refused(path))


def test_a_path_that_cannot_be_one(path: Path) -> None:
    refused(path.with_name("a\0b"))


@pytest.mark.parametrize(
    "backend", ["https://x", "dotenv:.env?a=1&a=2", "env,", "no scheme", "A:b", "env,,env"]
)
def test_a_reference_that_cannot_be_read_is_said_with_its_place(path: Path, backend: str) -> None:
    write(path, f"[services.a]\nbackend = '{backend}'")
    error = caught(lambda: read_services(path))
    if backend == "https://x":
        assert error is None  # it is a reference; that nothing is called so is said by who opens it
        return
    assert isinstance(error, BackendError)
    assert [problem.code for problem in error.problems] == ["ST302"]
    assert "services.a.backend" in str(error)


SPOTS = [
    "x = '{}'",
    "{} = 1",
    "[services.{}]",
    "[services.'{}']\nbackend = 'env'",
    "[services.a]\nbackend = 'env'\n{} = 1",
    "[services.a]\nbackend = 'env'\nlabel = '{}'",
    "[services.a]\nbackend = 'env'\nlabel = '{} '",
    "[services.a]\nbackend = 'env'\npolicy = ['{}']",
    "[services.a]\nbackend = 'env'\naccounts = ['{} ']",
    "[services.a]\nbackend = '{}'",
    "[services.a]\nbackend = 'dotenv:.env?{}=1&{}=2'",
    "[services.a]\nbackend = '{}\n",
    "{}",
]


@pytest.mark.parametrize("spot", SPOTS)
@pytest.mark.parametrize("make", [auth_token, key_secret])
def test_a_secret_in_it_is_never_shown(path: Path, spot: str, make: object) -> None:
    assert callable(make)
    secret = make()
    write(path, spot.replace("{}", secret))
    error = caught(lambda: read_services(path))
    assert isinstance(error, SafeTwilioError), error
    assert leaks(f"{error} {error!r}", [secret]) == []
    assert leaks(str([str(p) for p in getattr(error, "problems", ())]), [secret]) == []


def test_a_name_with_the_form_of_a_secret_is_none() -> None:
    """It would be shown in the Console, as a part of the key's name."""
    assert is_service_name("billing")
    assert is_service_name("a" * 31)
    assert not is_service_name(key_secret())
    assert not is_service_name(auth_token())


NAMES = st.text("ab._-@/ '\"é\n", max_size=6)
VALUES = st.one_of(
    st.text(max_size=12).map(repr),
    st.sampled_from(["'env'", "'dotenv:.env'", "1", "[]", "['eu']", "{}", "1979-13-01", "nan", ""]),
    st.integers(max_value=10**30).map(str),
    st.lists(st.sampled_from(["'/twilio/x'", "1", "'eu'"]), max_size=3).map(
        lambda parts: f"[{', '.join(parts)}]"
    ),
)
LINES = st.one_of(
    NAMES.map(lambda name: f"[services.{name}]"),
    NAMES.map(lambda name: f"[services.'{name}']"),
    st.builds(
        "{} = {}".format,
        st.sampled_from(["backend", "policy", "label", "accounts"]) | NAMES,
        VALUES,
    ),
    st.text(max_size=20),
)


@given(st.lists(LINES, max_size=8).map("\n".join) | st.text())
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_nothing_else_is_raised_whatever_is_in_it(tmp_path: Path, text: str) -> None:
    path = write(tmp_path / "safetwilio.toml", text.encode("utf-8", "surrogatepass"))
    error = caught(lambda: read_services(path))
    if error is None:
        assert all(isinstance(service, Service) for service in read_services(path))
    elif isinstance(error, BackendError):
        assert {problem.code for problem in error.problems} == {"ST302"}
    else:
        assert isinstance(error, UsageError)
        assert error.code == "ST955"


def test_services_are_chosen_by_name(path: Path) -> None:
    write(path, "".join(f"[services.{name}]\nbackend = 'env'\n" for name in "abc"))
    services = read_services(path)
    assert chosen(services, []) == services
    assert [service.name for service in chosen(services, ["c", "a", "c"])] == ["c", "a"]


def test_a_name_that_no_service_has_is_not_repeated(path: Path) -> None:
    secret = key_secret()
    write(path, "[services.a]\nbackend = 'env'\n[services.b]\nbackend = 'env'")
    services = read_services(path)
    error = caught(lambda: chosen(services, ["a", secret]))
    assert isinstance(error, UsageError)
    assert error.code == "ST956"
    assert "It has: a, b." in str(error)
    assert leaks(str(error), [secret]) == []
