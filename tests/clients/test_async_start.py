"""The first request under asyncio: what it waits for keeps no other task of the loop waiting."""

from __future__ import annotations

import types
from typing import TYPE_CHECKING

import pytest
from wires import CERTIFICATE, Wire

from safetwilio.clients import async_transport
from support import new_key, run_python

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM = """
import asyncio, os, sys, threading
from safetwilio.clients import Transport, TwilioClient
client = TwilioClient(os.environ["KEY"], os.environ["SECRET"], os.environ["ACCOUNT"],
                      http_client=Transport(timeout=10))
assert "aiohttp" not in sys.modules
loops = set()
def note(event, arguments):
    if event == "import" and arguments[0].partition(".")[0] == "aiohttp":
        loops.add(threading.current_thread() is threading.main_thread())
import ssl
made, create = [], ssl.create_default_context
def noted(*arguments, **named):
    made.append(threading.current_thread() is threading.main_thread())
    return create(*arguments, **named)
ssl.create_default_context = noted
async def main():
    answers = await asyncio.gather(*(client.request_async("GET", "https://api.twilio.com/x")
                                     for _ in range(20)))
    print({each.status_code for each in answers})
sys.addaudithook(note)
asyncio.run(main())
ours = [each for each in made]
print("imported in the loop:", any(loops), "- at all:", bool(loops))
print("TLS contexts:", len(ours), "- made in the loop:", any(ours[-1:]))
client.http_client.session.close()
"""

OLD = """
import aiohttp
aiohttp.__version__ = "3.10.11"
import asyncio, os
from safetwilio.clients import TwilioClient
from safetwilio.errors import MissingExtra
client = TwilioClient(os.environ["KEY"], os.environ["SECRET"], os.environ["ACCOUNT"])
try:
    asyncio.run(client.request_async("GET", "https://api.twilio.com/x"))
except MissingExtra as error:
    print(error.code, isinstance(error, ImportError))
    print(error)
"""


def environment() -> dict[str, str]:
    key = new_key()
    return {"KEY": key.sid, "SECRET": key.secret, "ACCOUNT": key.account}


def test_the_loop_waits_neither_for_aiohttp_nor_for_certificates(tmp_path: Path) -> None:
    with Wire() as wire:
        proxy = {"HTTPS_PROXY": wire.url, "REQUESTS_CA_BUNDLE": str(CERTIFICATE)}
        done = run_python("-c", PROGRAM, cwd=tmp_path, environment={**environment(), **proxy})
    assert done.stderr == ""
    assert done.stdout.splitlines()[:2] == ["{200}", "imported in the loop: False - at all: True"]
    assert done.stdout.splitlines()[2].endswith("made in the loop: False")


def test_an_aiohttp_that_is_too_old_is_named_with_its_remedy(tmp_path: Path) -> None:
    """Twilio's library is content with 3.8.4; pip may have left that where it was."""
    done = run_python("-c", OLD, cwd=tmp_path, environment=environment())
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("ST901 True\n")
    assert "aiohttp 3.10.11" in done.stdout
    assert 'python -m pip install "aiohttp>=3.11"' in done.stdout


@pytest.mark.parametrize("known", [True, False])
def test_an_aiohttp_without_the_switch_is_used_as_it_is(*, known: bool) -> None:
    """It is a private attribute, so a release may lack it; then it is not invented."""
    session = types.SimpleNamespace(**({"_retry_connection": True} if known else {}))
    async_transport._send_once(session)
    assert vars(session) == ({"_retry_connection": False} if known else {})
