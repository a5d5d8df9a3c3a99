"""``safetwilio webhook check``: why a captured webhook is refused, offline."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from safetwilio.cli.output import say, say_text, say_wrapped, show_json

if TYPE_CHECKING:
    import argparse

    from safetwilio.webhook_check import Outcome
    from safetwilio.webhook_settings import WebhookSettings
    from safetwilio.webhooks.captured import Captured

_FINDINGS = 10
_STDIN = "-"

_DESCRIPTION = "What concerns Twilio's requests to your server."
_CHECK = """\
Say why a webhook is refused: which scheme, host, path or secret Twilio has signed it with, and
which setting lets it in. Nothing is sent, and the secrets are those that your application loads.

CAPTURE is one HTTP request as it reached your application, headers and body, as the inspector of
ngrok, a proxy's log or tcpdump shows it; - reads it from standard input. Without a capture, say
what is known of it with --header and --data.
"""
_EPILOG = """\
exit codes:
  0   the request is right
  1   the secrets or the settings are not: safetwilio doctor --webhooks
  2   wrong usage, or that is no request
  10  it is refused; the report says why

examples:
  safetwilio webhook check request.txt
  safetwilio webhook check --url https://example.com/sms \\
      --header 'X-Twilio-Signature: ...' --data 'Body=Hello&From=%2B15005550006'
  safetwilio webhook check request.txt --ask --json
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``webhook`` with its own commands to *commands*."""
    group = commands.add_parser(
        "webhook", help="say why a webhook is refused", description=_DESCRIPTION
    )
    inner = group.add_subparsers(title="commands", metavar="COMMAND")
    parser = inner.add_parser(
        "check",
        help="say why a captured request is refused",
        description=_CHECK,
        epilog=_EPILOG,
    )
    parser.add_argument("capture", metavar="CAPTURE", nargs="?", help="a file, or -")
    parser.add_argument("--url", metavar="URL", help="the URL that your application makes of it")
    parser.add_argument(
        "--header", metavar="'NAME: VALUE'", action="append", default=[], help="one of its headers"
    )
    parser.add_argument("--data", metavar="BODY", help="its body, or @FILE")
    parser.add_argument("--public-url", metavar="URL", help="try this public URL")
    parser.add_argument(
        "--ask", action="store_true", help="ask for the Auth Token, instead of loading it"
    )
    parser.add_argument(
        "--token-stdin", action="store_true", help="read the Auth Token from standard input"
    )
    parser.add_argument(
        "--account", metavar="NAME", help="use TWILIO_NAME_WEBHOOK_AUTH_TOKEN and its like"
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON on stdout")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Check, print, and return 0 if the request is right, 10 if it is not."""
    from safetwilio.webhook_check import check

    request = _request(arguments)
    outcome = check(request, _settings(arguments), url=arguments.url)
    if arguments.json:
        show_json(outcome.as_dict())
    else:
        _describe(request, outcome)
    return 0 if outcome.ok else _FINDINGS


def _settings(arguments: argparse.Namespace) -> WebhookSettings:
    from safetwilio.cli.prompts import ask_for_token
    from safetwilio.webhook_settings import WebhookSettings

    token = None
    if arguments.ask or arguments.token_stdin:
        token = ask_for_token(from_stdin=arguments.token_stdin)
    return WebhookSettings(
        auth_token=token, public_url=arguments.public_url, _account=arguments.account
    )


def _request(arguments: argparse.Namespace) -> Captured:
    from safetwilio.errors import UsageError
    from safetwilio.webhooks.captured import captured

    if arguments.capture == _STDIN and arguments.token_stdin:
        raise UsageError(
            "Standard input is either the capture or the Auth Token: put the capture into a file.",
            code="ST911",
        )
    if arguments.capture and (arguments.header or arguments.data is not None):
        raise UsageError(
            "The capture has the headers and the body: give it alone, or --header and --data.",
            code="ST911",
        )
    if arguments.capture:
        return captured(_read(arguments.capture))
    if not arguments.header:
        raise UsageError(
            "There is nothing to look at: name a file with the captured request, or give its "
            "--header 'X-Twilio-Signature: ...' with --url and --data.",
            code="ST911",
        )
    return captured(_as_message(arguments))


def _as_message(arguments: argparse.Namespace) -> bytes:
    """Return the message that the options describe; a body without a type is a form."""
    data = arguments.data
    body = b"" if data is None else _read(data[1:]) if data.startswith("@") else data.encode()
    lines = list(arguments.header)
    if data is not None and not any(line.lower().startswith("content-type:") for line in lines):
        lines.append("Content-Type: application/x-www-form-urlencoded")
    first = f"{'GET' if data is None else 'POST'} / HTTP/1.1"
    return "\r\n".join([first, *lines, "", ""]).encode() + body


def _read(name: str) -> bytes:
    """Return what the file *name* holds, as far as it can be a request."""
    from safetwilio.errors import UsageError
    from safetwilio.webhooks.captured import LARGEST

    reason = ""
    try:
        if name == _STDIN:
            return sys.stdin.buffer.read(LARGEST + 1)
        with Path(name).open("rb") as file:
            return file.read(LARGEST + 1)
    except OSError as error:
        reason = error.strerror or type(error).__name__
    raise UsageError(f"The capture cannot be read: {reason}.", code="ST911")


def _describe(request: Captured, outcome: Outcome) -> None:
    kind = "a form" if request.is_form else f"{len(request.body)} bytes" if request.body else "-"
    say(f"request            {request.method}, {kind}")
    say(f"your application   {outcome.url}")
    if outcome.ok:
        say_text("\nThe request is right: Twilio has signed it.")
        return
    say(f"Twilio signed      {outcome.signed or 'unknown'}")
    for finding in outcome.findings:
        say("")
        say_wrapped(f"[{finding.what}] {finding.sentence}")
    if outcome.settings:
        say_text("\nTo let it in:")
        for setting in outcome.settings:
            say_wrapped(f"  {setting}")
