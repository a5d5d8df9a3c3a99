"""``safetwilio doctor``: the boot report without starting the app."""

from __future__ import annotations

import argparse
import json
import sys

_DESCRIPTION = """\
Check what the app would load, without starting it: every problem at once, where each value comes
from, whether git tracks the .env, and whether redaction passes its self-test.
Run it in the app's directory, with the app's environment.
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``doctor`` to *commands*."""
    parser = commands.add_parser(
        "doctor",
        help="check what the app would load, without starting it",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--verify", action="store_true", help="also ask Twilio whether the key works"
    )
    parser.add_argument("--account", metavar="NAME", help="look at get_client(NAME) instead")
    parser.add_argument("--json", action="store_true", help="print the report as JSON on stdout")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Examine, print, and return 0 if the app would start, else 1."""
    from safetwilio.doctor import examine
    from safetwilio.problems import render
    from safetwilio.settings import require_account_name

    account = require_account_name(arguments.account) if arguments.account else None
    report = examine(account=account, verify=arguments.verify)
    if arguments.json:
        print(json.dumps(report.as_dict(), indent=2))
        return 0 if report.ok else 1
    if report.key:
        kind = f", kind {report.kind}" if report.kind else ""
        version = f", version {report.version}" if report.version else ""
        _say(f"key      {report.key}{kind}")
        _say(f"account  {report.account}")
        _say(f"source   {report.source}{version}")
    for name, state, detail in report.sinks:
        _say(f"hidden   {name}: {state} ({detail})")
    _say("")
    _say(render(report.problems))
    return 0 if report.ok else 1


def _say(text: str) -> None:
    print(text, file=sys.stderr)
