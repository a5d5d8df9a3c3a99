"""``safetwilio init``: from the Account SID and Auth Token to a key in a backend."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from safetwilio.cli.output import say, say_problems, say_wrapped, show_json
from safetwilio.errors import BackendDenied, BackendError, ConfigurationError, UsageError
from safetwilio.problems import Problem, command, faults

if TYPE_CHECKING:
    from safetwilio.backends.interface import WritableBackend
    from safetwilio.backends.locate import Reference
    from safetwilio.provisioning import Provisioned

_PARTIAL = 4
# A secret with one of these faults is none, and may be written over.
_WORTHLESS = frozenset({"ST105", "ST206", "ST207", "ST208"})

_DESCRIPTION = """\
Make an API key for this program and keep it where the program will look.

Asks for the Account SID and the Auth Token (first page of https://console.twilio.com), makes a
labelled Standard key with them, writes the key to the backend (a .env of mode 0600 that is in
.gitignore), proves it against Twilio, and prints fingerprints only. The Auth Token is used once
and never stored; it is not taken from the command line, where other users of the machine can
read it. A key that is there already is left alone.
"""
_EPILOG = """\
exit codes:
  0  done, also when there was a key already ("changed": [])
  1  failed; no key is left behind unless the report says so
  2  wrong usage, or there is nobody to ask
  4  the key is made and kept, but the program would not start with it; the report says why

examples:
  safetwilio init
  safetwilio init --account-sid "$ACCOUNT_SID" --token-stdin < token-file
  safetwilio init --backend dotenv:/etc/myapp/twilio.env --service billing
"""


class _Target(NamedTuple):
    """Where the key goes: the *backend*, its *reference*, and the *path* if it is a file.

    *looked_in* is whether the program will look there as its environment stands; *before* are the
    places where it looks first.
    """

    backend: WritableBackend
    reference: Reference
    path: Path | None
    looked_in: bool
    before: tuple[Reference, ...]


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``init`` to *commands*."""
    parser = commands.add_parser(
        "init",
        help="make an API key and keep it in .env",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--account-sid", metavar="SID", help="default: TWILIO_ACCOUNT_SID, or else ask"
    )
    parser.add_argument(
        "--token-stdin", action="store_true", help="read the Auth Token from standard input"
    )
    parser.add_argument(
        "--backend",
        metavar="REFERENCE",
        help="where to keep the key (default: the first place of SAFETWILIO_BACKEND that can be "
        "written, or else dotenv:.env)",
    )
    parser.add_argument(
        "--service", metavar="NAME", help="goes into the key's name (default: this directory's)"
    )
    parser.add_argument(
        "--account", metavar="NAME", help="for get_client(NAME): writes TWILIO_NAME_... instead"
    )
    parser.add_argument(
        "--replace", action="store_true", help="replace a key that the backend holds already"
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON on stdout")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Make, keep and prove a key."""
    from safetwilio.redaction import install
    from safetwilio.settings import require_account_name

    install()
    account = None if arguments.account is None else require_account_name(arguments.account)
    try:
        return _make(arguments, account)
    except ConfigurationError as error:
        failure = error.of_account(account)
    raise failure


def _make(arguments: argparse.Namespace, account: str | None) -> int:
    from safetwilio.cli.prompts import ask_for_account_sid, ask_for_token
    from safetwilio.provisioning import provision, service_of

    target = _target(arguments.backend, account)
    _require_untracked(target.path)
    holder = None if arguments.replace else _holder(target, account)
    if holder is not None:
        say_wrapped(
            f"{holder} holds an API key already; nothing was changed. Check it with "
            f"{command('doctor --verify', account)}, or make a new one with "
            f"{command('init --replace', account)}."
        )
        if arguments.json:
            show_json({"changed": []})
        return 0
    target.backend.require_writable()  # before anything is asked for
    account_sid = ask_for_account_sid(arguments.account_sid, account)
    changed = ["key"]
    done = provision(
        account_sid,
        ask_for_token(from_stdin=arguments.token_stdin),
        target.backend,
        service=arguments.service or service_of(),
        account=account,
        prepare=lambda: changed.extend(["gitignore"] if _ignore(target.path) else []),
        say=lambda step: say(f"... {step}"),
    )
    problems = _seen_by_the_program(done, account) if target.looked_in else ()
    if arguments.json:
        show_json(_as_dict(done, changed, problems))
    _report(done, target, problems, account=account, ignored="gitignore" in changed)
    return _PARTIAL if faults(problems) else 0


def _target(text: str | None, account: str | None) -> _Target:
    from safetwilio.backends.interface import WritableBackend
    from safetwilio.backends.locate import open_backend, parse, references

    chain = references(account, os.environ)
    named = chain if text is None else parse(text, place="--backend")
    if text is not None and len(named) > 1:
        raise UsageError("--backend takes one reference, such as dotenv:.env.", code="ST907")
    for position, reference in enumerate(named):
        backend = open_backend(reference)
        if isinstance(backend, WritableBackend):
            is_file = reference.scheme == "dotenv"
            path = Path(reference.location or ".env") if is_file else None
            looked_in = str(reference) in map(str, chain)
            return _Target(backend, reference, path, looked_in, named[:position])
    places = ", ".join(map(str, named))
    raise UsageError(
        f"safetwilio cannot write to {places}. Name a file with --backend dotenv:PATH and move the "
        "key from there to where the program gets its secrets.",
        code="ST907",
    )


def _require_untracked(path: Path | None) -> None:
    from safetwilio import worktree

    if path is not None and worktree.is_tracked(path):
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


def _holder(target: _Target, account: str | None) -> Reference | None:
    """Return the first place that holds a key for *account*, of the target and those before it."""
    from safetwilio.backends.locate import open_backend

    for reference in target.before:
        if _holds_a_key(open_backend(reference), account):
            return reference
    return target.reference if _holds_a_key(target.backend, account) else None


def _holds_a_key(backend: object, account: str | None) -> bool:
    """Return whether *backend* holds a secret that may be worth something, whole pair or not."""
    from safetwilio.backends.interface import Found
    from safetwilio.rules import check_secret

    load = getattr(backend, "load", None)  # a plug-in may only know how to write
    answer = load(account) if load is not None else None
    secret = answer.record.fields.get("secret") if isinstance(answer, Found) else None
    if secret is None:
        return False
    problem = check_secret(secret.reveal(), secret.place)
    return problem is None or problem.code not in _WORTHLESS


def _ignore(path: Path | None) -> bool:
    from safetwilio import worktree

    reason = ""
    try:
        return path is not None and worktree.ignore(path)
    except OSError as error:
        reason = error.strerror or type(error).__name__
    raise BackendDenied(
        [
            Problem(
                code="ST307",
                summary="The .gitignore beside the .env cannot be written.",
                found_in=(f"beside {path} ({reason})",),
                fix="Make it writable for this user, or add the .env to it yourself.",
            )
        ]
    )


def _seen_by_the_program(done: Provisioned, account: str | None) -> tuple[Problem, ...]:
    """Return what the boot of the program would say now: the key is only half of it."""
    from safetwilio.credentials import mask
    from safetwilio.settings import TwilioSettings

    try:
        settings = TwilioSettings(_account=account)
    except ConfigurationError as error:
        return error.problems
    if mask("key", settings.api_key) == done.key:
        return settings.warnings
    return _another_key(settings.source, done.place)


def _another_key(used: str, kept: str) -> tuple[Problem, ...]:
    return (
        Problem(
            code="ST211",
            summary="The program will use another API key than the new one.",
            found_in=(used, kept),
            fix="The first place wins. Remove the API key from it.",
        ),
    )


def _as_dict(
    done: Provisioned, changed: list[str], problems: tuple[Problem, ...]
) -> dict[str, object]:
    return {
        "changed": changed,
        "account": done.account,
        "key": done.key,
        "name": done.name,
        "place": done.place,
        "kind": done.kind,
        "leftovers": [key.name for key in done.leftovers],
        "problems": [problem.as_dict() for problem in problems],
    }


def _report(
    done: Provisioned,
    target: _Target,
    problems: tuple[Problem, ...],
    *,
    account: str | None,
    ignored: bool,
) -> None:
    from safetwilio.backends.locate import backend_variable

    say("")
    say(f"The API key works: {done.key}, kind {done.kind or 'unknown'}")
    say(f"  called   {done.name}")
    say(f"  account  {done.account}")
    say(f"  kept in  {done.place}" + (", which .gitignore now lists" if ignored else ""))
    if done.leftovers:
        say("Earlier keys of this service; delete in the Console those that nothing uses:")
        for key in done.leftovers:
            say(f"  {key.name}")
    if problems:
        verdict = "not start with it yet" if faults(problems) else "see more than the new key"
        say(f"\nThe program would {verdict}:\n")
        say_problems(problems)
    elif target.looked_in:
        say(f'Next: python -c "{_program(account)}"')
    else:
        say(
            "The program looks there if its environment says "
            f"{backend_variable(account)}={target.reference}"
        )


def _program(account: str | None) -> str:
    if account is None:
        return "from safetwilio import client; print(client)"
    return f"from safetwilio import get_client; print(get_client('{account}'))"
