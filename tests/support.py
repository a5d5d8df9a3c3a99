"""Fake credentials, made at run time, and ways to look for them where they must not be."""

from __future__ import annotations

import base64
import json
import os
import pickle
import secrets
import string
import subprocess
import sys
import traceback
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from safetwilio.errors import ConfigurationError

ALPHANUMERIC = string.ascii_letters + string.digits
OURS = ("TWILIO_", "SAFETWILIO_")
FRAGMENT = 8  # so many characters of a secret in a row are a leak

# What other programs' variables are called; pydantic-settings would take them for ours.
STRANGERS = {
    "API_KEY": "sk_live_of_another_service",
    "API_SECRET": "another secret",
    "ACCOUNT_SID": "another account",
    "REGION": "eu-west-1",
    "EDGE": "cloudfront",
    "KEY_TYPE": "ssh-ed25519",
    "VALIDATION_URL": "https://elsewhere.example",
    "EMULATOR": "http://127.0.0.1:1",
}


def account_sid() -> str:
    return "AC" + secrets.token_hex(16)


def key_sid() -> str:
    return "SK" + secrets.token_hex(16)


def auth_token() -> str:
    return secrets.token_hex(16)


def key_secret(length: int = 32) -> str:
    return "".join(secrets.choice(ALPHANUMERIC) for _ in range(length))


class Key(NamedTuple):
    """A fake API key; *account*, *sid* and *secret* as Twilio would give them."""

    account: str
    sid: str
    secret: str

    def environment(self, name: str | None = None) -> dict[str, str]:
        """Return the variables of the default account, or of the account *name*."""
        infix = f"{name.upper()}_" if name else ""
        return {
            f"TWILIO_{infix}ACCOUNT_SID": self.account,
            f"TWILIO_{infix}API_KEY": self.sid,
            f"TWILIO_{infix}API_SECRET": self.secret,
        }

    def dotenv(self, name: str | None = None) -> str:
        """Return the same as the text of a ``.env`` file."""
        return "".join(f"{k}={v}\n" for k, v in self.environment(name).items())


def new_key(*, emulated: bool = False) -> Key:
    """Return a fake API key; an *emulated* one may go to a loopback address and nowhere else."""
    if emulated:
        tail = secrets.token_hex(12)
        return Key(f"AC5afe0000{tail}", f"SK5afe0000{tail}", key_secret())
    return Key(account_sid(), key_sid(), key_secret())


def write(path: Path, content: str | bytes, mode: int = 0o600) -> Path:
    """Write a file as a careful person would: readable by its owner only."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    path.chmod(mode)
    return path


class Opaque:
    """Holds *value* where a frame's locals are shown; its ``repr`` tells nothing."""

    def __init__(self, value: Any) -> None:  # noqa: D107
        self.value = value

    def __repr__(self) -> str:
        return "<Opaque>"


def caught(call: Callable[[], object]) -> BaseException | None:
    """Return what *call* raises; this frame, the outermost of its traceback, holds no secret."""
    try:
        call()
    except BaseException as error:  # noqa: BLE001 - whatever comes is looked at
        return error
    return None


def refused(call: Callable[[], object]) -> ConfigurationError:
    """Return the :class:`ConfigurationError` that *call* must raise."""
    from safetwilio.errors import ConfigurationError

    error = caught(call)
    assert isinstance(error, ConfigurationError), error
    return error


def codes(error: ConfigurationError) -> list[str]:
    return [problem.code for problem in error.problems]


def shown(error: BaseException) -> str:
    """Return everything that logs, consoles and error trackers may show of *error*."""
    trace = traceback.TracebackException.from_exception(error, capture_locals=True)
    parts = [
        str(error),
        repr(error),
        repr(error.args),
        repr(vars(error)),
        repr(error.__cause__),
        repr(error.__context__),
        "".join(trace.format()),
        pickle.dumps(error).decode("latin-1"),
    ]
    problems = getattr(error, "problems", ())
    parts += [json.dumps(problem.as_dict()) for problem in problems]
    return "\n".join(parts)


def leaks(text: str, values: Iterable[str]) -> list[str]:
    """Return which *values* stand in *text*: whole, in part, or in base64."""
    found = []
    for value in values:
        raw = value.encode("utf-8", "surrogateescape")
        forms = [value, base64.b64encode(raw).decode().rstrip("=")]
        # base64 of "SK…:secret" holds the secret shifted by one or two bytes
        forms += [base64.b64encode(b"x" * n + raw).decode()[4 : -4 or None] for n in (1, 2)]
        windows = {f[i : i + FRAGMENT] for f in forms for i in range(len(f) - FRAGMENT + 1)}
        found += sorted(window for window in windows if window in text)
    return found


def assert_silent(error: BaseException, values: Iterable[str]) -> None:
    """Check that *error* shows none of *values*, and drags no other error along."""
    assert error.__cause__ is None
    assert error.__context__ is None
    assert leaks(shown(error), values) == []


def clean_environment(**more: str) -> dict[str, str]:
    """Return this process's environment without our names, and with *more*."""
    return {k: v for k, v in os.environ.items() if not k.startswith(OURS)} | more


# For a pytest session with our plugin and none of the others that are installed here, whose import
# takes longer than the tests.
OUR_PLUGIN = {
    "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    "PYTEST_PLUGINS": "safetwilio.testing.plugin",
}


def run_python(
    *arguments: str, cwd: Path, environment: Mapping[str, str], seconds: float = 60
) -> subprocess.CompletedProcess[str]:
    """Run this Python with *arguments* and nothing of ours in the environment but what is given."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env=clean_environment(**environment),
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
        stdin=subprocess.DEVNULL,
    )
