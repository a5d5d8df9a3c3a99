"""No value anywhere: whatever stands in whatever wrong place, an error shows nothing of it.

Hypothesis puts random SIDs, secrets and tokens into every variable, file and reference; each error
is then looked at as a console, a log, ``pickle``, a traceback with locals and Sentry's SDK see it.
"""

from __future__ import annotations

import base64
import json
import os
import pickle
import random
import string
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import sentry_sdk
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sentry_sdk.transport import Transport

import safetwilio
from safetwilio import TwilioSettings
from safetwilio.errors import ConfigurationError, SafeTwilioError
from support import (
    ALPHANUMERIC,
    OURS,
    Opaque,
    assert_silent,
    auth_token,
    caught,
    key_secret,
    key_sid,
    leaks,
    new_key,
    write,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sentry_sdk.envelope import Envelope

VARIABLES = (
    "TWILIO_ACCOUNT_SID",
    "TWILIO_API_KEY",
    "TWILIO_API_KEY_SID",
    "TWILIO_API_SECRET",
    "TWILIO_API_KEY_SECRET",
    "TWILIO_AUTH_TOKEN",
    "TWILIO_REGION",
    "TWILIO_EDGE",
    "TWILIO_API_KEY_FILE",
    "TWILIO_API_SECRET_FILE",
)
ARGUMENTS = ("account_sid", "api_key", "api_secret", "region", "edge", "key_type", "validation_url")
FORMS = (
    "{}",
    " {}\n",
    '"{}"',
    "encrypted:{}",
    "{} # comment",
    "SK0:{}",
    "https://user:{}@api.twilio.com/",
    "${{{}}}",
    "your_{}_here",
    "\udcff{}",
    "{}\u200b",
)


class Value:
    """A random credential of some kind, in some disguise; what must not be shown is *core*."""

    def __init__(self, kind: str, seed: int, form: str) -> None:  # noqa: D107
        chance = random.Random(seed)  # noqa: S311 - fake
        digits = "".join(chance.choices("0123456789abcdef", k=32))
        secret = "".join(chance.choices(ALPHANUMERIC, k=32))
        cores = {
            "account": f"AC{digits}",
            "key": f"SK{digits}",
            "token": digits,
            "secret": secret,
            "short": secret[:12],
            "base64": base64.b64encode(f"SK{digits}:{secret}".encode()).decode(),
        }
        self.core = cores[kind]
        self.text = form.format(self.core)

    def __repr__(self) -> str:
        return "<Value>"


values = st.builds(
    Value,
    st.sampled_from(["account", "key", "token", "secret", "short", "base64"]),
    st.integers(0, 2**64),
    st.sampled_from(FORMS),
)
environments = st.dictionaries(st.sampled_from(VARIABLES), values, max_size=len(VARIABLES))
PLACES = ("env", "dotenv", "broken lines", "files")


@contextmanager
def situation(place: str, found: dict[str, Value]) -> Iterator[None]:
    """Put *found* where *place* says."""
    pairs = {name: value.text for name, value in found.items()}
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(OURS)]:
            patch.delenv(name)
        for file in Path().rglob("*"):
            if file.is_file():
                file.unlink()
        if place == "env":
            for name, text in pairs.items():
                patch.setenv(name, text)
        elif place == "files":
            patch.setenv("SAFETWILIO_BACKEND", "files:.")
            for name, text in pairs.items():
                write(Path(name), text.encode("utf-8", "surrogateescape"))
        else:
            between = "=" if place == "dotenv" else ": "
            lines = "".join(f"{name}{between}{text}\n" for name, text in pairs.items())
            write(Path(".env"), lines.encode("utf-8", "surrogateescape"))
        yield


class Collect(Transport):
    """Keeps what Sentry's SDK would send."""

    def __init__(self) -> None:  # noqa: D107
        super().__init__()
        self.sent: list[bytes] = []

    def capture_envelope(self, envelope: Envelope) -> None:
        """Keep the bytes of *envelope*."""
        self.sent.append(envelope.serialize())


@pytest.fixture(scope="module")
def sentry() -> Iterator[Collect]:
    """Initialise the real SDK, as an application would, with nothing of ours in its way."""
    transport = Collect()
    sentry_sdk.init(dsn="http://key@127.0.0.1:9/1", transport=transport, default_integrations=False)
    yield transport
    sentry_sdk.get_client().close()
    sentry_sdk.get_global_scope().set_client(None)


def assert_silent_everywhere(
    error: BaseException | None, found: dict[str, Value], sentry: Collect
) -> None:
    """Check *error*, if there is one, in every form in which it may leave the process."""
    if error is None:
        return
    assert isinstance(error, SafeTwilioError), type(error)
    cores = [value.core for value in found.values()]
    assert_silent(error, cores)
    sentry.sent.clear()
    sentry_sdk.capture_exception(error)
    sent = b"\n".join(sentry.sent).decode("utf-8", "replace")
    assert type(error).__name__ in sent
    assert '"vars"' in sent  # locals were recorded at all
    assert leaks(sent, cores) == []


every_example = settings(
    max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.mark.parametrize("place", PLACES)
@every_example
@given(found=environments)
def test_any_value_in_any_place(place: str, found: dict[str, Value], sentry: Collect) -> None:
    with situation(place, found):
        assert_silent_everywhere(caught(TwilioSettings), found, sentry)


@every_example
@given(found=environments)
def test_the_import_itself(found: dict[str, Value], sentry: Collect) -> None:
    """The same for ``from safetwilio import client``, with redaction switched off."""
    with situation("env", found), pytest.MonkeyPatch.context() as patch:
        patch.setenv("SAFETWILIO_REDACT", "off")
        safetwilio.reset()
        error = caught(import_client)
        assert_silent_everywhere(error, found, sentry)
        safetwilio.reset()


def import_client() -> None:
    from safetwilio import client  # noqa: F401


@every_example
@given(found=st.dictionaries(st.sampled_from(ARGUMENTS), values, min_size=1))
def test_any_value_as_any_argument(found: dict[str, Value], sentry: Collect) -> None:
    given_values = Opaque({name: value.text for name, value in found.items()})
    with situation("env", {}):
        error = caught(lambda: TwilioSettings(**given_values.value))
        assert_silent_everywhere(error, found, sentry)


@pytest.mark.parametrize(
    "template",
    [
        "vault://user:{}@host/path",
        "vault://{}@host/x?token={}#{}",
        "{}",
        "dotenv:.env,{}",
        "nope:x?key={}",
    ],
)
@pytest.mark.parametrize("where", ["environment", "argument"])
def test_references(template: str, where: str, sentry: Collect) -> None:
    """Userinfo, options and what is no reference at all."""
    value = Value("secret", random.Random().getrandbits(64), "{}")  # noqa: S311
    reference = Opaque(template.replace("{}", value.core))
    with situation("env", {}), pytest.MonkeyPatch.context() as patch:
        if where == "environment":
            patch.setenv("SAFETWILIO_BACKEND", reference.value)
            error = caught(TwilioSettings)
        else:
            error = caught(lambda: TwilioSettings(_backend=reference.value))
    assert isinstance(error, ConfigurationError)
    assert_silent_everywhere(error, {"x": value}, sentry)


@pytest.mark.parametrize("form", ["http://user:{}@127.0.0.1:1", "{}", "http://127.0.0.1:1/{}"])
def test_emulator_address(form: str, sentry: Collect, monkeypatch: pytest.MonkeyPatch) -> None:
    value = Value("secret", random.Random().getrandbits(64), "{}")  # noqa: S311
    monkeypatch.setenv("SAFETWILIO_EMULATOR", form.format(value.core))
    error = caught(TwilioSettings)

    assert isinstance(error, ConfigurationError)
    assert_silent_everywhere(error, {"x": value}, sentry)


class Own(TwilioSettings):
    """An application's settings whose own fields go wrong."""

    missing: str
    number: int
    mapping: dict[str, int]


@every_example
@given(number=values, mapping=values, quote=st.booleans())
def test_own_fields_of_a_sound_configuration(
    number: Value,
    mapping: Value,
    quote: bool,  # noqa: FBT001
    sentry: Collect,
) -> None:
    """Here the pair is whole, so the frames hold it when pydantic refuses the other fields."""
    key = new_key()
    found = {f"pair {part}": Value("secret", 0, "{}") for part in ("account", "sid", "secret")}
    for value, text in zip(found.values(), key, strict=True):
        value.core = value.text = text
    with situation("env", {}), pytest.MonkeyPatch.context() as patch:
        for name, text in key.environment().items():
            patch.setenv(name, text)
        patch.setenv("NUMBER", number.text)
        patch.setenv("MAPPING", json.dumps({mapping.text: "x"}) if quote else mapping.text)
        error = caught(Own)
    assert isinstance(error, ConfigurationError)
    assert_silent_everywhere(error, {"number": number, "mapping": mapping, **found}, sentry)


@given(st.text(string.printable, max_size=200))
@example("=")
@example('TWILIO_API_SECRET="')
@example("export")
def test_any_text_as_a_dotenv_file(text: str) -> None:
    """Whatever the file says, it is absent, found, or our report."""
    with situation("env", {}):
        write(Path(".env"), text.encode())
        error = caught(TwilioSettings)
    assert isinstance(error, ConfigurationError)
    assert error.__context__ is None
    assert pickle.loads(pickle.dumps(error)).problems == error.problems  # noqa: S301


def leaking_error() -> None:
    value = key_secret()
    raise SafeTwilioError(f"It is not {value[:4]}") from ValueError(value)


@pytest.mark.parametrize("make", [key_secret, auth_token, key_sid])
def test_the_checks_see_a_leak(make: Any, sentry: Collect) -> None:
    """A test of the tests: a value in a frame, a cause, base64 or a fragment is found."""
    value = make()
    encoded = base64.b64encode(f"SK{'0' * 32}:{value}".encode()).decode()

    assert leaks(f"x{value[3:11]}y", [value])
    assert leaks(encoded, [value])
    assert not leaks(f"-{value[3:10]}-", [value])
    error = caught(leaking_error)
    with pytest.raises(AssertionError):
        assert_silent(error, [value])  # type: ignore[arg-type]
    sentry.sent.clear()
    sentry_sdk.capture_exception(error)
    assert b'"value":"' in sentry.sent[0].replace(b'"value": "', b'"value":"')
    assert isinstance(error, SafeTwilioError)
    assert isinstance(error.__cause__, ValueError)
    assert leaks(sentry.sent[0].decode(), [str(error.__cause__)])
