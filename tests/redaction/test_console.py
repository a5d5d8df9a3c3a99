"""``install(streams=True)``: what a real process prints, in every way."""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING

import pytest

from safetwilio import redaction
from safetwilio.redaction.sinks import console
from support import auth_token, leaks, run_python

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM = """
import atexit, multiprocessing, os, sys, threading, traceback, warnings
from safetwilio import redaction
secret = os.environ["FAKE"]
def fail(*_):
    raise RuntimeError(secret)
def main():
    redaction.register(secret, "token")
    if sys.argv[1] == "on":
        redaction.install(strict=True, streams=True)
    print("printed", secret)
    sys.stdout.buffer.write(f"bytes {secret}\\n".encode())
    sys.stdout.write("pieces " + secret[:9])
    sys.stdout.flush()
    sys.stdout.write(secret[9:] + "\\n")
    print("Prompt: ", end="", flush=True)
    try:
        fail()
    except RuntimeError:
        traceback.print_exc()
        sys.excepthook = lambda *e: sys.stderr.write(f"own hook {e[1]}\\n")
    warnings.warn(f"warned {secret}")
    thread = threading.Thread(target=fail); thread.start(); thread.join()
    if hasattr(os, "fork"):
        child = multiprocessing.get_context("fork").Process(target=fail)
        child.start(); child.join()
    atexit.register(print, "at exit", secret, end="")
    sys.exit(f"exit {secret}")
main()
"""


@pytest.mark.parametrize("switch", ["on", "off"])
def test_everything_printed_by_a_process(tmp_path: Path, switch: str) -> None:
    secret = auth_token()
    done = run_python("-c", PROGRAM, switch, cwd=tmp_path, environment={"FAKE": secret})
    assert bool(leaks(done.stdout, [secret])) == (switch == "off")
    assert bool(leaks(done.stderr, [secret])) == (switch == "off")
    shown = redaction.redact(secret) if switch == "off" else f"[TWILIO:token:{label(secret)}]"
    assert f"printed {shown}\nbytes {shown}\npieces {shown}\nPrompt: at exit {shown}" in done.stdout
    for text in ("RuntimeError: ", "warned ", "exit "):
        assert f"{text}{shown}" in done.stderr
    assert done.returncode == 1


def label(secret: str) -> str:
    return redaction.fingerprint(secret)


def state() -> str:
    return next(h.state for h in redaction.health() if h.name == "streams")


def test_only_on_request_and_restored(monkeypatch: pytest.MonkeyPatch, token: str) -> None:
    out, err = io.StringIO(), io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    redaction.install(strict=True)
    assert (state(), sys.stdout) == ("off", out)
    redaction.install(strict=True, streams=True)
    wrapped = sys.stdout
    redaction.install(strict=True, streams=True)
    redaction.install(strict=True)  # as boot() does
    assert sys.stdout is wrapped
    assert state() == "active"
    print("a", token, end="")  # noqa: T201
    redaction.uninstall()
    assert (sys.stdout, sys.stderr, state()) == (out, err, "off")
    assert out.getvalue() == f"a {redaction.redact(token)}"


def test_the_self_test_needs_the_stream_to_be_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    monkeypatch.setattr(sys, "stderr", None)
    console.install()
    assert console.check()
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    assert not console.check()
    console.install()
    assert console.check()
    console.uninstall()
