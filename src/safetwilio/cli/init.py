"""``safetwilio init``: from the Account SID and Auth Token to a key in a backend."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from safetwilio.cli.output import say, say_problems, say_text, say_wrapped, show_json
from safetwilio.errors import BackendDenied, BackendError, ConfigurationError, UsageError
from safetwilio.problems import Problem, command, faults
from safetwilio.shapes import AUTH_TOKEN_LENGTH, is_key_secret

if TYPE_CHECKING:
    import argparse

    from safetwilio.backends.interface import Absent, Found, WritableBackend
    from safetwilio.backends.locate import Reference
    from safetwilio.provisioning import Provisioned

_PARTIAL = 4
# A secret with one of these faults is none, and may be written over.
_WORTHLESS = frozenset({"ST105", "ST206", "ST207", "ST208"})

_DESCRIPTION = """\
Make an API key for this program and keep it where the program will look.

Asks for the Account SID and the Auth Token (first page of https://console.twilio.com), makes a
labelled Standard key with them, writes the key to the backend (a .env of mode 0600 that is in
.gitignore, or any other place that can be written: aws-sm:, vault:, gcp-sm:, a plug-in), proves
it against Twilio, and prints fingerprints only. The Auth Token is used once and never stored; it
is not taken from the command line, where other users of the machine can read it. A key that is
there already is left alone, also one that somebody else puts there meanwhile.
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
  safetwilio init --backend vault://secret/myapp
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


class _Seen(NamedTuple):
    """What was there before: the *holder* of a key, or the *version* of what gives way to it.

    An empty version is that of nothing; ``None`` is whatever is there.
    """

    holder: Reference | None
    version: str | None


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``init`` to *commands*."""
    parser = commands.add_parser(
        "init",
        help="make an API key and keep it where the program looks",
        description=_DESCRIPTION,
        epilog=_EPILOG,
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
    from safetwilio.processes import service_of
    from safetwilio.provisioning import provision

    _require_name(arguments.service)
    target = _target(arguments.backend, account)
    _require_untracked(target.path)
    seen = _look(target, account, whatever=arguments.replace)
    if seen.holder is not None:
        say_wrapped(
            f"{seen.holder} holds an API key already; nothing was changed. Check it with "
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
        replaces=seen.version,
        prepare=lambda: changed.extend(["gitignore"] if _ignore(target.path) else []),
        say=lambda step: say(f"... {step}"),
    )
    problems = _seen_by_the_program(done, account) if target.looked_in else ()
    if arguments.json:
        show_json(_as_dict(done, changed, problems))
    _report(done, target, problems, account=account, ignored="gitignore" in changed)
    return _PARTIAL if faults(problems) else 0


def _require_name(service: str | None) -> None:
    """Raise ST906 for what looks like a secret: the key's name is shown in the Console."""
    if service is not None and len(service) == AUTH_TOKEN_LENGTH and is_key_secret(service):
        raise UsageError(
            f"--service has the form of a secret ({AUTH_TOKEN_LENGTH} letters and digits), and "
            "would be shown in the Console as a part of the key's name. Give the service's name. "
            "If it was a secret, your shell has it in its history now: replace it.",
            code="ST906",
        )


def _target(text: str | None, account: str | None) -> _Target:
    from safetwilio.backends.interface import WritableBackend
    from safetwilio.backends.locate import open_backend, parse, references

    chain = references(account, os.environ)
    named = chain if text is None else parse(text, place="--backend")
    if text is not None and len(named) > 1:
        raise UsageError("--backend takes one reference, such as dotenv:.env.", code="ST907")
    hints = ""
    for position, reference in enumerate(named):
        backend = open_backend(reference)
        hints += getattr(backend, "how_to_write", "")
        if isinstance(backend, WritableBackend):
            is_file = reference.scheme == "dotenv"
            path = Path(reference.location or ".env") if is_file else None
            looked_in = any(_names_the_same(reference, other) for other in chain)
            return _Target(backend, reference, path, looked_in, named[:position])
    places = ", ".join(map(str, named))
    raise UsageError(
        f"safetwilio cannot write to {places}. {hints}Name another place with --backend: a file "
        "(dotenv:PATH), from which you move the key to where the program gets its secrets, or a "
        "store that takes it (aws-sm:, vault:, gcp-sm:).",
        code="ST907",
    )


def _names_the_same(one: Reference, other: Reference) -> bool:
    """Return whether both lead to the same document; how they are shown leaves options out."""
    return one[:4] == other[:4]


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


def _look(target: _Target, account: str | None, *, whatever: bool) -> _Seen:
    """Return what the places hold for *account*: of the target, and of those before it.

    With *whatever* only the version matters, of what will be written over.
    """
    from safetwilio.backends.locate import open_backend

    for reference in () if whatever else target.before:
        if _is_a_key(_load(open_backend(reference), account)):
            return _Seen(reference, None)
    try:
        answer = _load(target.backend, account)
    except ConfigurationError:
        if not whatever:
            raise
        return _Seen(None, None)  # what cannot be read has no version to compare with
    if not whatever and _is_a_key(answer):
        return _Seen(target.reference, None)
    return _Seen(None, _version(answer))


def _load(backend: object, account: str | None) -> Found | Absent | None:
    load = getattr(backend, "load", None)
    # a plug-in may only know how to write
    return load(account) if load is not None and getattr(backend, "reads", True) else None


def _is_a_key(answer: Found | Absent | None) -> bool:
    """Return whether *answer* has a secret that may be worth something, whole pair or not."""
    from safetwilio.backends.interface import Found
    from safetwilio.rules import check_secret

    secret = answer.record.fields.get("secret") if isinstance(answer, Found) else None
    if secret is None:
        return False
    problem = check_secret(secret.reveal(), secret.place)
    return problem is None or problem.code not in _WORTHLESS


def _version(answer: Found | Absent | None) -> str | None:
    """Return what the new key may replace: this version, nothing (""), or whatever is there."""
    from safetwilio.backends.interface import Found

    if answer is None:
        return None
    return answer.record.version if isinstance(answer, Found) else answer.version or ""


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
        say_text(f"\nThe program would {verdict}:\n")
        say_problems(problems)
    elif target.looked_in:
        say(f'Next: python -c "{_program(account)}"')
    else:
        reference = target.reference
        options = ", with the same options" if reference.options or reference.field else ""
        say(
            "The program looks there if its environment says "
            f"{backend_variable(account)}={reference}{options}"
        )


def _program(account: str | None) -> str:
    if account is None:
        return "from safetwilio import client; print(client)"
    return f"from safetwilio import get_client; print(get_client('{account}'))"
