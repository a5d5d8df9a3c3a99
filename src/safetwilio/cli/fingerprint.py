"""``safetwilio fingerprint``: which mask a secret has, and which secret a mask means."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from safetwilio.cli.output import say, show_json

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from safetwilio.redaction import Kind

_NOT_KNOWN = 3
_LONGEST = 512  # characters of one secret
_ONE_VALUE = re.compile(r"[^\s=\x00-\x1f\x7f]+")
_MASK = re.compile(r"\[?(?:TWILIO:)?(?:([a-z]+):)?([A-Z2-7]{8})\]?")

_IN_WORDS = {
    "account": "The Account SID",
    "key": "The SID of the API key",
    "secret": "The secret of the API key",
}

_DESCRIPTION = """\
Say which mask a secret has in logs, or which of the credentials configured here a mask means.
The secret is asked for, or read from standard input; it is not taken from the command line, where
other users of the machine can read it. Nothing is sent anywhere.
Masks of programs with a SAFETWILIO_FINGERPRINT_KEY need the same one here.
"""
_EPILOG = """\
exit codes:
  0  done
  1  the value is too short for a fingerprint, or the configured key cannot be loaded
  2  wrong usage, or there is nobody to ask
  3  no credential configured here has that mask

examples:
  safetwilio fingerprint
  safetwilio fingerprint --stdin < secret-file
  safetwilio fingerprint --mask '[TWILIO:secret:7J4HRQRE]' --account marketing
"""


class _Named(NamedTuple):
    """One configured credential: its *kind*, its *fingerprint*, and where it came from."""

    kind: Kind
    fingerprint: str
    source: str


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``fingerprint`` to *commands*."""
    parser = commands.add_parser(
        "fingerprint",
        help="say which mask a secret has, or which secret a mask means",
        description=_DESCRIPTION,
        epilog=_EPILOG,
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--stdin", action="store_true", help="read the secret from standard input")
    what.add_argument("--mask", metavar="MASK", help="a mask from a log, or its fingerprint")
    parser.add_argument(
        "--account", metavar="NAME", help="look at what get_client(NAME) would load instead"
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON on stdout")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Answer, and return 0; 3 if no configured credential has the mask that was asked for."""
    if arguments.mask is None:
        return _show_mask_of_value(arguments)
    return _show_meaning_of_mask(arguments)


def _show_mask_of_value(arguments: argparse.Namespace) -> int:
    from safetwilio.cli.prompts import ask_for_secret
    from safetwilio.errors import UsageError
    from safetwilio.redaction import fingerprint

    secret = ask_for_secret(from_stdin=arguments.stdin).get_secret_value()
    if len(secret) > _LONGEST or not _ONE_VALUE.fullmatch(secret):
        raise UsageError(
            "That is not one secret: it has a space, a line break, an equals sign or something "
            f"invisible in it, or more than {_LONGEST} characters. Give the value alone, without "
            "its name; a wrong answer would be worse than none.",
            code="ST909",
        )
    label = fingerprint(secret)
    kind = _kind(secret)
    mask = f"[TWILIO:{kind}:{label}]"
    if arguments.json:
        show_json({"fingerprint": label, "kind": kind, "mask": mask})
    else:
        say(f"It has the mask {mask}")
    return 0


def _kind(value: str) -> Kind:
    """Return what kind of secret *value* is by its form."""
    from safetwilio import shapes

    if shapes.is_sid(value, shapes.ACCOUNT_PREFIX):
        return "account"
    if shapes.is_sid(value, shapes.KEY_PREFIX):
        return "key"
    return "token" if shapes.is_auth_token(value) else "secret"


def _show_meaning_of_mask(arguments: argparse.Namespace) -> int:
    from safetwilio.errors import UsageError

    asked = _MASK.fullmatch(arguments.mask.strip())
    if not asked:
        raise UsageError(
            "That is no mask: it looks like [TWILIO:secret:7J4HRQRE]. To learn the mask of a "
            "secret, leave --mask out.",
            code="ST909",
        )
    kind, label = asked.groups()
    found = [
        c
        for c in _configured(arguments.account)
        if c.fingerprint == label and kind in {None, c.kind}
    ]
    if arguments.json:
        show_json({"fingerprint": label, "found": [c._asdict() for c in found]})
    for named in found:
        say(f"{_IN_WORDS[named.kind]} from {named.source}: [TWILIO:{named.kind}:{label}]")
    if not found:
        say("None of the credentials configured here has that mask.")
    return 0 if found else _NOT_KNOWN


def _configured(account: str | None) -> Iterator[_Named]:
    """Yield the fingerprints of what the app would load."""
    from safetwilio.redaction.fingerprints import fingerprint, has_fingerprint
    from safetwilio.settings import TwilioSettings, require_account_name

    name = None if account is None else require_account_name(account)
    settings = TwilioSettings(_account=name)
    key = settings.credentials()
    values: tuple[tuple[Kind, str], ...] = (
        ("account", key.account_sid),
        ("key", key.sid),
        ("secret", key.reveal()),
    )
    for kind, value in values:
        if has_fingerprint(value):
            yield _Named(kind, fingerprint(value), key.origin)
