"""A whole application with Sentry in a process of its own, as users have it."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from leaks import Spotter
from wires import Wire, answer, dead_port, hang, reset

from support import write

if TYPE_CHECKING:
    from pathlib import Path

    from wires import Behaviour

    from support import Key

APPLICATION = """
import os, pathlib
import sentry_sdk
from sentry_sdk.transport import Transport

class Keeping(Transport):
    def capture_envelope(self, envelope):
        with open(os.environ["KEPT"], "ab") as file:
            file.write(envelope.serialize() + b"\\n")

sentry_sdk.init(
    dsn="http://public@127.0.0.1:9/1", transport=Keeping, traces_sample_rate=1.0,
    include_local_variables=True, enable_logs=True, max_value_length=1_000_000,
)
from safetwilio.clients import Transport, TwilioClient

def work():
    client = TwilioClient(os.environ["KEY"], pathlib.Path(os.environ["SECRET_FILE"]).read_text(),
                          os.environ["ACCOUNT"],
                          http_client=Transport(emulator=os.environ["SAFETWILIO_EMULATOR"],
                                                timeout=0.3, max_retries=0))
    client.messages.create(to="+15550100", from_="+15550101", body="hello")

with sentry_sdk.start_transaction(name="work"):
    try:
        work()
    except Exception as error:
        sentry_sdk.capture_exception(error)
work()  # and once more as an unhandled error
"""


@pytest.mark.parametrize(
    "behave", [lambda _: hang, lambda _: reset, None], ids=["hang", "reset", "dead"]
)
@pytest.mark.usefixtures("connect")  # the key is one of the emulator's
def test_whole_sentry_in_a_process_of_its_own(
    key: Key, tmp_path: Path, behave: Behaviour | None
) -> None:
    """Every default integration is on, tracing too, and no redaction of ours."""
    with Wire(behave or (lambda _: answer())) as wire:
        environment = {
            **os.environ,
            "SAFETWILIO_EMULATOR": wire.url if behave else f"http://127.0.0.1:{dead_port()}",
            "KEY": key.sid,
            "ACCOUNT": key.account,
            "KEPT": str(tmp_path / "kept"),
            "SECRET_FILE": str(write(tmp_path / "secret", key.secret)),
        }
        done = subprocess.run(
            [sys.executable, "-c", APPLICATION],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
    assert done.returncode == 1
    kept = (tmp_path / "kept").read_text("utf-8")
    assert "ST60" in done.stderr, done.stderr
    assert kept.count('"mechanism":{"type":"generic","handled":true}') == 1
    assert kept.count('"mechanism":{"type":"excepthook","handled":false}') == 1
    assert '"vars"' in kept
    assert Spotter(key.secret).count(kept) == 0
    assert Spotter(key.secret).count(done.stderr) == 0
