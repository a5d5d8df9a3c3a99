"""Which mask a secret has, and which of the configured credentials a mask means."""

from __future__ import annotations

import getpass
import io
import json
import sys
from typing import TYPE_CHECKING

import pytest

from safetwilio.cli.main import main
from safetwilio.redaction import fingerprint
from support import account_sid, auth_token, key_secret, key_sid, new_key

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> object:
    """Return a key in the environment of an app in an empty directory."""
    key = new_key()
    monkeypatch.chdir(tmp_path)
    for name, value in key.environment().items():
        monkeypatch.setenv(name, value)
    return key


@pytest.mark.parametrize(
    ("kind", "make"),
    [("token", auth_token), ("secret", key_secret), ("account", account_sid), ("key", key_sid)],
)
def test_the_mask_of_a_secret_from_a_pipe(
    kind: str, make: object, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    value = make()  # type: ignore[operator]
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{value}\n"))
    assert main(["fingerprint", "--stdin", "--json"]) == 0
    said = capsys.readouterr()
    label = fingerprint(value)
    assert json.loads(said.out) == {
        "fingerprint": label,
        "kind": kind,
        "mask": f"[TWILIO:{kind}:{label}]",
    }
    assert value not in said.out + said.err


def test_the_mask_of_a_secret_typed_at_the_prompt(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    secret = key_secret()
    asked: list[str] = []
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    monkeypatch.setattr(getpass, "getpass", lambda prompt: asked.append(prompt) or secret)
    assert main(["fingerprint"]) == 0
    said = capsys.readouterr()
    assert said.err == f"It has the mask [TWILIO:secret:{fingerprint(secret)}]\n"
    assert asked == ["Secret (not shown, not stored): "]


@pytest.mark.parametrize(("typed", "code"), [("", 2), ("short", 1)])
def test_no_or_too_short_a_secret(
    typed: str, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
    assert main(["fingerprint", "--stdin"]) == code
    assert capsys.readouterr().out == ""


def test_nobody_to_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(key_secret()))
    assert main(["fingerprint"]) == 2


@pytest.mark.parametrize("write", ["[TWILIO:{}:{}]", "{}:{}"])
def test_what_a_mask_means(write: str, key: object, capsys: pytest.CaptureFixture[str]) -> None:
    values = {"account": key.account, "key": key.sid, "secret": key.secret}  # type: ignore[attr-defined]
    for kind, value in values.items():
        mask = write.format(kind, fingerprint(value))
        assert main(["fingerprint", "--mask", mask, "--json"]) == 0
        said = capsys.readouterr()
        (found,) = json.loads(said.out)["found"]
        assert found == {"kind": kind, "fingerprint": fingerprint(value), "source": "env"}
        assert f"from env: [TWILIO:{kind}:" in said.err
        assert not any(v in said.out + said.err for v in values.values())


def test_a_mask_of_something_else(key: object, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fingerprint", "--mask", fingerprint(key_secret()), "--json"]) == 3
    assert json.loads(capsys.readouterr().out)["found"] == []
    kind_of_another = f"[TWILIO:token:{fingerprint(key.secret)}]"  # type: ignore[attr-defined]
    assert main(["fingerprint", "--mask", kind_of_another]) == 3


def test_what_is_no_mask(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fingerprint", "--mask", "[TWILIO:redaction-failed]"]) == 2
    assert "That is no mask" in capsys.readouterr().err
    assert main(["fingerprint", "--mask", auth_token()]) == 2


def test_a_secret_is_not_taken_from_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    secret = key_secret()
    with pytest.raises(SystemExit) as ended:
        main(["fingerprint", secret])
    assert ended.value.code == 2
    said = capsys.readouterr()
    assert secret not in said.out + said.err
