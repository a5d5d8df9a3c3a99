"""``safetwilio init``: from the Account SID and Auth Token to a key in a backend."""

from __future__ import annotations

import argparse
import getpass
import json
import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import SecretStr

from safetwilio.errors import BackendError, UsageError
from safetwilio.problems import Problem

if TYPE_CHECKING:
    from safetwilio.backends.interface import WritableBackend
    from safetwilio.backends.locate import Reference
    from safetwilio.provisioning import Provisioned

_DESCRIPTION = """\
Make an API key for this program and keep it where the program will look.

Asks for the Account SID and the Auth Token (first page of https://console.twilio.com), makes a
labelled Standard key with them, writes the key to the backend (mode 0600, added to .gitignore),
proves it against Twilio, and prints fingerprints only. The Auth Token is used once and never
stored; it is not taken from the command line, where other users of the machine can read it.
"""
_EPILOG = """\
examples:
  safetwilio init
  safetwilio init --account-sid AC… --token-stdin < token-file
  safetwilio init --backend dotenv:/etc/myapp/twilio.env --service billing
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``init`` to *commands*."""
    parser = commands.add_parser(
        "init",
        help="make an API key and keep it in .env",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--account-sid", metavar="AC…", help="default: ask")
    parser.add_argument(
        "--token-stdin", action="store_true", help="read the Auth Token from standard input"
    )
    parser.add_argument(
        "--backend",
        default="dotenv:.env",
        metavar="REFERENCE",
        help="where to keep the key (default: %(default)s)",
    )
    parser.add_argument(
        "--service", metavar="NAME", help="goes into the key's name (default: this directory's)"
    )
    parser.add_argument(
        "--account", metavar="NAME", help="for get_client(NAME): writes TWILIO_NAME_… instead"
    )
    parser.add_argument(
        "--replace", action="store_true", help="replace a key that the backend holds already"
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON on stdout")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Make, keep and prove a key."""
    from safetwilio.backends.locate import parse
    from safetwilio.provisioning import provision, service_of
    from safetwilio.redaction import install
    from safetwilio.settings import require_account_name

    # The audit line of break_glass is for programs; here the words below say the same.
    logging.getLogger("safetwilio").addHandler(logging.NullHandler())
    install()
    account = require_account_name(arguments.account) if arguments.account else None
    (reference,) = parse(arguments.backend, place="--backend")[:1]
    backend = _writable(reference)
    path = Path(reference.location or ".env") if reference.scheme == "dotenv" else None
    _require_untracked(path)
    if not arguments.replace and _holds_a_key(backend, account):
        _say(
            f"{reference} holds an API key already; nothing was changed. To make a new one: "
            "safetwilio init --replace"
        )
        if arguments.json:
            print(json.dumps({"changed": []}))
        return 0
    done = provision(
        _account_sid(arguments),
        _token(arguments),
        backend,
        service=arguments.service or service_of(),
        account=account,
        say=lambda step: _say(f"… {step}"),
    )
    _report(done, _ignored(path), as_json=arguments.json)
    return 0


def _writable(reference: Reference) -> WritableBackend:
    from safetwilio.backends.interface import WritableBackend
    from safetwilio.backends.locate import open_backend

    backend = open_backend(reference)
    if isinstance(backend, WritableBackend):
        return backend
    raise UsageError(
        f"The backend {reference} cannot be written by safetwilio. Use dotenv:PATH, and move the "
        "key to where the backend gets its secrets from.",
        code="ST907",
    )


def _require_untracked(path: Path | None) -> None:
    from safetwilio import worktree

    if path is not None and worktree.is_tracked(path.absolute()):
        raise BackendError(
            [
                Problem(
                    code="ST309",
                    summary="git tracks the .env file; a secret written there would be published.",
                    found_in=(str(path),),
                    fix=f"git rm --cached {path}, commit, then run safetwilio init again.",
                )
            ]
        )


def _holds_a_key(backend: WritableBackend, account: str | None) -> bool:
    from safetwilio.backends.interface import Found

    load = getattr(backend, "load", None)
    return load is not None and isinstance(load(account), Found)


def _account_sid(arguments: argparse.Namespace) -> str:
    given = arguments.account_sid or os.environ.get("TWILIO_ACCOUNT_SID", "")
    if given:
        return str(given).strip()
    if not sys.stdin.isatty():
        raise UsageError(
            "There is no terminal to ask at: give --account-sid AC… and --token-stdin.",
            code="ST908",
        )
    print("Account SID: ", end="", file=sys.stderr, flush=True)
    return input().strip()


def _token(arguments: argparse.Namespace) -> SecretStr:
    if arguments.token_stdin:
        return SecretStr(sys.stdin.readline().strip())
    if not sys.stdin.isatty():
        raise UsageError(
            "There is no terminal to ask for the Auth Token at: pipe it in with --token-stdin.",
            code="ST908",
        )
    return SecretStr(getpass.getpass("Auth Token (not shown, not stored): ").strip())


def _ignored(path: Path | None) -> bool:
    from safetwilio import worktree

    return path is not None and worktree.ignore(path.absolute())


def _report(done: Provisioned, ignored: bool, *, as_json: bool) -> None:  # noqa: FBT001
    if as_json:
        print(
            json.dumps(
                {
                    "changed": ["key", *(["gitignore"] if ignored else [])],
                    "account": done.account,
                    "key": done.key,
                    "name": done.name,
                    "place": done.place,
                    "kind": done.kind,
                    "leftovers": [key.name for key in done.leftovers],
                }
            )
        )
    _say(f"The API key works: {done.key}, kind {done.kind or 'unknown'}, called {done.name}")
    _say(f"  account  {done.account}")
    _say(f"  kept in  {done.place}" + (", which .gitignore now lists" if ignored else ""))
    if done.leftovers:
        _say("  Earlier keys of this service; delete in the Console those that nothing uses:")
        for key in done.leftovers:
            _say(f"    {key.name}")
    _say('Next: python -c "from safetwilio import client; print(client)"')


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
