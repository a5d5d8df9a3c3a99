"""``safetwilio doctor``: the boot report without starting the app."""

from __future__ import annotations

from typing import TYPE_CHECKING

from safetwilio.cli.output import say, say_text, show_json

if TYPE_CHECKING:
    import argparse

    from safetwilio.doctor import Report, Sources, Tried

_DESCRIPTION = """\
Check what the app would load, without starting it: every problem at once, where the key comes
from, whether git tracks the .env, and whether redaction passes its self-test.
Run it in the app's directory, with the app's environment. Nothing is changed.
"""
_EPILOG = """\
exit codes:
  0  the app would start; there may be warnings
  1  it would not, or a secret is in danger; the report says what to do

examples:
  safetwilio doctor
  safetwilio doctor --verify --account marketing
  safetwilio doctor --sources
  safetwilio doctor --webhooks
  safetwilio doctor --json
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``doctor`` to *commands*."""
    parser = commands.add_parser(
        "doctor",
        help="check what the app would load, without starting it",
        description=_DESCRIPTION,
        epilog=_EPILOG,
    )
    parser.add_argument(
        "--verify", action="store_true", help="also ask Twilio whether the key works"
    )
    parser.add_argument(
        "--account", metavar="NAME", help="look at what get_client(NAME) would load instead"
    )
    parser.add_argument(
        "--sources",
        action="store_true",
        help="also say which place each field came from, and what was tried",
    )
    parser.add_argument(
        "--webhooks",
        action="store_true",
        help="look at what webhooks are verified with instead of the key",
    )
    parser.add_argument("--json", action="store_true", help="print the report as JSON on stdout")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Examine, print, and return 0 if the app would start, else 1."""
    from safetwilio.doctor import examine, examine_webhooks
    from safetwilio.errors import UsageError
    from safetwilio.settings import require_account_name

    account = None if arguments.account is None else require_account_name(arguments.account)
    if arguments.webhooks and (arguments.verify or arguments.sources):
        raise UsageError("--verify and --sources are about the key, not --webhooks.", code="ST911")
    if arguments.webhooks:
        report = examine_webhooks(account=account)
    else:
        report = examine(account=account, verify=arguments.verify, sources=arguments.sources)
    if arguments.json:
        show_json(report.as_dict())
    else:
        _describe(report)
    return 0 if report.ok else 1


def _describe(report: Report) -> None:
    from safetwilio.problems import render

    if report.key:
        kind = f", kind {report.kind}" if report.kind else ""
        version = f", version {report.version}" if report.version else ""
        say(f"key        {report.key}{kind}{', accepted by Twilio' if report.verified else ''}")
        say(f"account    {report.account}")
        say(f"source     {report.source}{version}")
    if report.webhooks:
        tokens, keys, public_url = report.webhooks
        version = f", version {report.version}" if report.version else ""
        say(f"webhooks   {tokens} Auth Token(s), {keys} SharedKey(s)")
        say(f"source     {report.source}{version}")
        say(f"public URL {public_url or 'unknown: that of the Host header is believed'}")
    if report.emulator:
        say(f"emulator   {report.emulator}")
    states = dict.fromkeys((state, detail) for _, state, detail in report.sinks)
    for state, detail in states:
        names = ", ".join(name for name, *rest in report.sinks if rest == [state, detail])
        say(f"redaction  {names}: {state} ({detail})")
    if report.sources:
        _describe_sources(report.sources)
    say("")
    # With a key the program does start; what is wrong then is all that only the doctor asks.
    verdict = "can start, but should not as it is" if report.key and not report.ok else None
    say_text(render(report.problems, check="", verdict=verdict))


def _describe_sources(sources: Sources) -> None:
    say_text("\nEach field and its source:")
    width = max(len(source.field) for source in sources.fields)
    for source in sources.fields:
        version = f" (version {source.version})" if source.version else ""
        say(f"  {source.field:<{width}}  {source.place or 'nowhere'}{version}")
    say_text("\nTried, in this order:" if sources.tried else "\nNothing was tried.")
    width = max((len(tried.reference) for tried in sources.tried), default=0)
    for tried in sources.tried:
        say(f"  {tried.reference:<{width}}  {_outcome(tried)}")
        for attempt in tried.attempts:
            say(f"  {'':<{width}}    {attempt.name}: {attempt.outcome}")


def _outcome(tried: Tried) -> str:
    version = f", version {tried.version}" if tried.version else ""
    codes = f": {', '.join(tried.codes)}, see below" if tried.codes else ""
    return f"{tried.outcome}{version}{codes} (named by {tried.named})"
