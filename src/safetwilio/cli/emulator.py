"""``safetwilio emulator``: an emulated Twilio on this machine, until it is interrupted."""

from __future__ import annotations

import json
import signal
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from safetwilio.cli.output import say
from safetwilio.errors import UsageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from safetwilio.testing import EmulatorServer
    from safetwilio.testing.assumptions import Choice

REMEMBERED = 10_000
LAST_PORT = 65535

_DESCRIPTION = """\
Run an emulated Twilio on 127.0.0.1 until Ctrl-C. Nothing is sent and nothing costs anything.

Account and keys are made at the start, and forgotten at the end. Their secrets are not printed:
--credentials writes them to a file that only its owner can read. Only this machine can reach it;
no option changes that. It remembers the last 10,000 requests and sent messages.
"""
_EPILOG = """\
exit codes:
  0  it ran, and was interrupted
  1  it cannot run; the report says why
  2  wrong usage, or a mistake in the fault script

examples:
  safetwilio emulator --credentials emulator.json
  safetwilio emulator --port 8010 --json --credentials emulator.json > emulator.url
  safetwilio emulator --assume suspended_status=403 --faults faults.toml
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``emulator`` to *commands*."""
    parser = commands.add_parser(
        "emulator",
        help="run an emulated Twilio on this machine",
        description=_DESCRIPTION,
        epilog=_EPILOG,
    )
    parser.add_argument("--port", type=int, default=0, help="default: a free one")
    parser.add_argument(
        "--credentials",
        type=Path,
        metavar="PATH",
        help="write URL, SIDs and secrets there as JSON; without it nobody learns the secrets",
    )
    parser.add_argument(
        "--seed",
        type=int,
        metavar="N",
        help="start with a history of 30 days: messages, calls, numbers, keys; the same for"
        " the same number",
    )
    parser.add_argument(
        "--faults", type=Path, metavar="FILE", help="trouble to make, in TOML or JSON"
    )
    parser.add_argument(
        "--assume",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="what to assume where the real Twilio is not known; may be repeated",
    )
    parser.add_argument("--json", action="store_true", help="print URL and SIDs as a line of JSON")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Serve until interrupted, and return 0."""
    from safetwilio.testing.emulator import Emulator
    from safetwilio.testing.scripts import read
    from safetwilio.testing.server import EmulatorServer

    if not 0 <= arguments.port <= LAST_PORT:
        raise UsageError(f"--port is a number from 0 to {LAST_PORT}.", code="ST920")
    steps = read(arguments.faults) if arguments.faults else []
    emulator = Emulator(
        assumptions=_assumptions(arguments.assume), remember=REMEMBERED, seed=arguments.seed
    )

    def plan(emulator: Emulator) -> None:
        for step in steps:
            step.plan(emulator.faults)

    server = EmulatorServer(emulator, port=arguments.port, prepare=plan)
    with _interrupted() as interrupted:
        try:
            _start(server, arguments)
            while not interrupted.wait(1):  # Windows interrupts a wait between two, not within one
                pass
        finally:
            server.stop()
    return 0


def _assumptions(words: list[str]) -> dict[str, Choice]:
    from safetwilio.testing.assumptions import overrides_in

    problem = ""
    try:
        return overrides_in(words)
    except ValueError as error:
        problem = str(error)
    raise UsageError(f"--assume: {problem}.", code="ST920")


@contextmanager
def _interrupted() -> Iterator[threading.Event]:
    """Give the sign that somebody wants it to end, in place of ``KeyboardInterrupt``."""
    event = threading.Event()
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, lambda *_: event.set()) for number in numbers]
    try:
        yield event
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def _start(server: EmulatorServer, arguments: argparse.Namespace) -> None:
    """Start *server*, write the credentials and say where it is, or raise ST923."""
    from safetwilio.errors import SafeTwilioError
    from safetwilio.testing.server import write_credentials

    step, problem = f"port {arguments.port} cannot be served", ""
    try:
        server.start()
        step = f"{arguments.credentials} cannot be written"
        if arguments.credentials:
            write_credentials(server, arguments.credentials)
        if arguments.json:  # without it nobody knows where the emulator is
            step = "standard output cannot be written"
            print(json.dumps(_document(server)), flush=True)
    except OSError as error:
        problem = error.strerror or type(error).__name__
    if problem:
        raise SafeTwilioError(f"The emulator does not run: {step}: {problem}.", code="ST923")
    _describe(server, arguments.credentials)


def _document(server: EmulatorServer) -> dict[str, str]:
    emulator = server.emulator
    return {
        "url": server.url,
        "account_sid": emulator.account.sid,
        "standard_key_sid": emulator.standard_key.sid,
        "main_key_sid": emulator.main_key.sid,
    }


def _describe(server: EmulatorServer, credentials: Path | None) -> None:
    url = server.url
    place = f"in {credentials}" if credentials else "kept secret; --credentials PATH writes them"
    say(f"An emulated Twilio runs at {url}. Nothing is sent.")
    say(f"Account and keys  {place}")
    say(f"With safetwilio   SAFETWILIO_EMULATOR={url}, and TWILIO_ACCOUNT_SID,")
    say("                  TWILIO_API_KEY and TWILIO_API_SECRET as ever; its auth_token is")
    say("                  TWILIO_WEBHOOK_AUTH_TOKEN, which signs the callbacks it sends")
    say(f"Other clients     {url} in place of https://api.twilio.com;")
    say("                  for other products also their name as Host: iam.twilio.com")
    say(f"From your tests   curl -H 'Safetwilio-Emulator: control' {url}/_emulator/outbox")
    say("Stop it with Ctrl-C.")
