"""Plug-ins of other packages: found by their entry point, and never heard in their own words."""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

from safetwilio import TwilioSettings
from safetwilio.backends.chain import load
from safetwilio.backends.interface import Absent, Found, WritableBackend
from safetwilio.backends.locate import open_backend, parse
from safetwilio.cli.main import main
from safetwilio.errors import BackendDenied, BackendError
from safetwilio.redaction import redact
from support import Key, assert_silent, caught, codes, leaks, refused, write

if TYPE_CHECKING:
    from pathlib import Path

    from safetwilio.backends.locate import Reference

# Whatever fails, fails with the secret in its text, its cause, and the locals of its frames.
PLUGIN = """
import signal
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from safetwilio.backends.interface import Absent, Found, Record, Value
from safetwilio.errors import BackendDenied
from safetwilio.problems import Problem

SECRET = Path(__file__).with_name("secret").read_text()


@dataclass
class Backend:
    reference: object
    password: str = SECRET

    def load(self, account):
        return Absent(())

    def _fail(self):
        held = SECRET
        raise ValueError(held)


class Fails(Backend):
    def load(self, account):
        self._fail()


class FailsWhenMade(Backend):
    def __init__(self, reference):
        self._fail()


class NoBackend:
    def __init__(self, reference):
        self.password = SECRET


class Denied(Backend):
    def load(self, account):
        try:
            self._fail()
        except ValueError as error:
            raise BackendDenied(
                [Problem(code="ST390", summary="No.", fix="Ask for leave.")]
            ) from error


class SaysNothing(Backend):
    def load(self, account):
        return None


class Unsealed(Backend):
    def load(self, account):
        return Found(Record("corp", {"secret": SECRET}))


class Bytes(Backend):
    def load(self, account):
        return Found(Record("corp", {"secret": Value(SecretStr(SECRET.encode()), "corp")}))


class Holds(Backend):
    def load(self, account):
        return Found(Record("corp", {"secret": Value(SecretStr(SECRET), "corp")}))


class OnlyWrites:
    def __init__(self, reference):
        pass

    def require_writable(self):
        pass

    def save(self, fields, *, account, replaces=None):
        held = fields["secret"].get_secret_value()
        raise OSError(held)


class KnowsNoReplaces(OnlyWrites):
    def save(self, fields, *, account):
        return "here"


class TakesAnything(OnlyWrites):
    def save(self, *arguments, **options):
        return f"here, for {sorted(options)} {options['replaces']}"


class CannotWrite(OnlyWrites):
    def require_writable(self):
        raise OSError(SECRET)


class Leaves(Backend):
    def load(self, account):
        raise KeyboardInterrupt


class IsSlow(Backend):
    def load(self, account):
        signal.raise_signal(signal.SIGINT)
"""
SCHEMES = {
    "corp": "Backend",
    "fails": "Fails",
    "failswhenmade": "FailsWhenMade",
    "nobackend": "NoBackend",
    "denied": "Denied",
    "saysnothing": "SaysNothing",
    "unsealed": "Unsealed",
    "bytes": "Bytes",
    "holds": "Holds",
    "onlywrites": "OnlyWrites",
    "cannotwrite": "CannotWrite",
    "knowsnoreplaces": "KnowsNoReplaces",
    "takesanything": "TakesAnything",
    "leaves": "Leaves",
    "isslow": "IsSlow",
    "gone": "Gone",
}


@pytest.fixture(autouse=True)
def secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: Key) -> str:
    """Install a distribution with plug-ins that know a secret; return that."""
    points = [f"{scheme} = corp_vault_plugin:{name}\n" for scheme, name in SCHEMES.items()]
    write(tmp_path / "corp_vault_plugin.py", PLUGIN)
    write(tmp_path / "secret", key.secret)
    info = tmp_path / "corp_vault-1.dist-info"
    write(info / "METADATA", "Metadata-Version: 2.1\nName: corp-vault\nVersion: 1\n")
    write(
        info / "entry_points.txt",
        f"[safetwilio.backends]\n{''.join(points)}bad = corp_vault_missing:Backend\n",
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "corp_vault_plugin", raising=False)
    return key.secret


def one(text: str) -> Reference:
    (reference,) = parse(text, place="the test")
    return reference


def test_a_good_one_answers() -> None:
    assert load([one("corp:x")], None) == Absent(())
    assert not isinstance(open_backend(one("corp:x")), WritableBackend)


@pytest.mark.parametrize(
    ("scheme", "reason"), [("gone", "AttributeError"), ("bad", "ModuleNotFoundError")]
)
def test_one_that_does_not_load(scheme: str, reason: str) -> None:
    error = refused(lambda: open_backend(one(f"{scheme}:x")))

    assert codes(error) == ["ST310"]
    assert reason in error.problems[0].found_in[0]
    assert_silent(error, [])


def test_unknown_backend_names_installed_plug_ins_too() -> None:
    with pytest.raises(BackendError, match="bad, bytes, cannotwrite, corp, denied, doppler"):
        open_backend(one("vualt:x"))


@pytest.mark.parametrize(
    ("scheme", "what"),
    [
        ("fails", "load() raised ValueError"),
        ("failswhenmade", "making it raised ValueError"),
        ("nobackend", "making it raised TypeError"),
        ("saysnothing", "load() raised TypeError"),
        ("unsealed", "load() raised AttributeError"),
        ("bytes", "load() raised TypeError"),
    ],
)
def test_what_it_raises_is_named_by_its_class_alone(secret: str, scheme: str, what: str) -> None:
    """Every one of them had the secret in its text or in its frames."""
    error = refused(lambda: load([one(f"{scheme}://user:pass@host/x")], None))

    assert type(error) is BackendError
    assert codes(error) == ["ST311"]
    assert error.problems[0].found_in == (f"the test: the reference {scheme}://host/x", what)
    assert_silent(error, [secret])


def test_what_a_signal_raises_meanwhile_is_no_error_of_its() -> None:
    class SoftLimit(Exception):
        pass

    def limit(*_: object) -> None:
        raise SoftLimit

    before = signal.signal(signal.SIGINT, limit)
    try:
        with pytest.raises(SoftLimit):
            load([one("isslow:x")], None)
    finally:
        signal.signal(signal.SIGINT, before)


def test_our_own_errors_pass_without_what_caused_them(secret: str) -> None:
    error = refused(lambda: load([one("denied:x")], None))

    assert type(error) is BackendDenied
    assert codes(error) == ["ST390"]
    assert_silent(error, [secret])


def test_the_boot_reports_it_like_any_broken_backend(secret: str) -> None:
    error = refused(lambda: TwilioSettings(_backend="fails:x"))

    assert codes(error) == ["ST311"]
    assert_silent(error, [secret])


def test_an_interruption_is_not_the_plug_ins() -> None:
    assert isinstance(caught(lambda: load([one("leaves:x")], None)), KeyboardInterrupt)


def test_what_it_returns_is_known_to_redaction(secret: str) -> None:
    """Also when the plug-in did not seal it."""
    answer = load([one("holds:x")], None)

    assert isinstance(answer, Found)
    assert leaks(redact(f"x{secret}x"), [secret]) == []


def test_one_that_only_writes_holds_nothing(secret: str) -> None:
    backend = open_backend(one("onlywrites:x"))
    answer = backend.load(None)

    assert isinstance(backend, WritableBackend)
    assert isinstance(answer, Absent)
    assert answer.attempts == (("onlywrites", "onlywrites:x", "cannot be read"),)
    assert leaks(repr(vars(backend)), [secret]) == []


def test_a_failure_to_keep_the_key_does_not_show_it(secret: str) -> None:
    backend = open_backend(one("onlywrites:x"))
    fields = {"secret": SecretStr(secret)}
    error = refused(lambda: backend.save(fields, account=None))  # type: ignore[attr-defined]

    assert error.problems[0].found_in[-1] == "save() raised OSError"
    assert_silent(error, [secret])


def test_init_says_which_plug_in_failed(secret: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", "--backend", "cannotwrite:x"]) == 1

    printed = "".join(capsys.readouterr())
    assert '[ST311] The backend plug-in "cannotwrite" failed.' in printed
    assert leaks(printed, [secret]) == []


def test_what_may_be_replaced_is_passed_on() -> None:
    save = open_backend(one("takesanything:x")).save  # type: ignore[attr-defined]

    assert save({}, account=None, replaces="v1") == "here, for ['account', 'replaces'] v1"


@pytest.mark.parametrize("method", ["require_writable", "save"])
def test_one_that_cannot_compare_and_set_is_refused_before_a_key_is_made(method: str) -> None:
    backend = open_backend(one("knowsnoreplaces:x"))
    error = refused(getattr(backend, method))

    assert isinstance(backend, WritableBackend)
    assert codes(error) == ["ST311"]
    assert "its save() takes no argument replaces" in str(error)
    assert_silent(error, [])


def test_whether_it_reads_is_known() -> None:
    """One that only writes is asked for no version."""
    assert open_backend(one("corp:x")).reads  # type: ignore[attr-defined]
    assert not open_backend(one("onlywrites:x")).reads  # type: ignore[attr-defined]
