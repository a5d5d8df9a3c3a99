"""``safetwilio rotate token``: another Auth Token, in its places before it counts."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, NamedTuple

from safetwilio.cli.confirming import stopped
from safetwilio.cli.durations import duration
from safetwilio.cli.output import say, say_lines, say_wrapped, show_json
from safetwilio.cli.running import (
    PARTIAL,
    add_how,
    begin,
    begun,
    carry_out,
    say_nothing_to_take_back,
)
from safetwilio.errors import UsageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
    from pathlib import Path

    from safetwilio.rotation.overlap import Overlap, Waiting
    from safetwilio.rotation.token_run import SeenToken, TokenSubject
    from safetwilio.runbook.runs import Run

_DESCRIPTION = """\
Replace the master Auth Token of an account. A secondary token is made and put
beside the old one in all its places; when what verifies webhooks has both, it
is promoted, which kills the old one; then its places hold the new one alone. A
standby that is in all its places already is promoted at once.

Its places are those that SAFETWILIO_WEBHOOK_BACKEND, SAFETWILIO_BACKEND and
SAFETWILIO_ADMIN_BACKEND name, as far as they hold the Auth Token. It is read
there, and not asked for: there is no --token-stdin.

API keys go on working. A run that was interrupted or killed is gone on with by
the same command, with the same --standby and --subaccounts.
"""
_EPILOG = """\
when a token made now is promoted: what verifies webhooks must have it first, so
give one of these
  --overlap 15m  so long after it is in its places; programs with safetwilio
                 look every 5 minutes
  --moved        at once: everything has it, or nothing verifies webhooks
Without any, the command ends with 4 once the standby is in its places. Run it
again with one. If another process waits with this run (ST951), end that with
Ctrl-C first.

exit codes:
  0  done, and after a plan
  1  failed; a token that works is in its places, and the report says what to do
  2  wrong usage, or not the answer that was asked for; nothing was changed
  3  --roll-back, and there is no run to take back
  4  the standby is in its places, and waits to be promoted

examples:
  safetwilio rotate token
  safetwilio rotate token --yes --overlap 15m --standby
  safetwilio rotate token --yes --moved --reason "ticket 4711: it was in a log"
"""


class _Chosen(NamedTuple):
    """What is to be done, in the *run* that is gone on with, or in a new one."""

    seen: SeenToken
    subject: TokenSubject
    run: Path | None


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``token`` to *commands*."""
    parser = commands.add_parser(
        "token",
        help="replace the master Auth Token",
        description=_DESCRIPTION,
        epilog=_EPILOG,
    )
    what = parser.add_argument_group("what")
    what.add_argument(
        "--backend", metavar="REFERENCES", help="the places of the token, with commas"
    )
    what.add_argument("--account", metavar="NAME", help="of get_client(NAME)")
    what.add_argument(
        "--standby", action="store_true", help="make the standby for the next time at the end"
    )
    what.add_argument(
        "--subaccounts", action="store_true", help="replace those of the active subaccounts, too"
    )
    when = parser.add_argument_group("when it is promoted")
    when.add_argument("--overlap", metavar="TIME", type=duration, help="such as 15m or 1d")
    when.add_argument("--moved", action="store_true", help="everything has the standby already")
    when.add_argument("--no-wait", action="store_true", help="end with 4 rather than wait")
    add_how(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Show the plan, and carry it out if that is wanted."""
    from safetwilio.admin.identity import find_identity
    from safetwilio.policy import break_glass
    from safetwilio.redaction import install
    from safetwilio.rotation.overlap import OF_A_TOKEN, Overlap, announced
    from safetwilio.rotation.token_run import VERB, look, plan
    from safetwilio.runbook.runs import new_run_id, resume
    from safetwilio.settings import require_account_name

    install()
    account = None if arguments.account is None else require_account_name(arguments.account)
    overlap = Overlap(arguments.overlap, said=arguments.moved)
    seen = look(account, arguments.backend, find_identity(account))
    with ExitStack() as stack:
        reason = arguments.reason or "replace the Auth Token"
        stack.enter_context(break_glass(reason=f"safetwilio rotate token: {reason}"))
        chosen = _chosen(arguments, account, seen)
        if arguments.roll_back and chosen.run is None:
            _show(arguments, chosen, (), None)
            return say_nothing_to_take_back()
        before = resume(chosen.run) if chosen.run else None
        if before is not None:
            stack.callback(before.close)
        if arguments.roll_back:
            say(f"Plan: take back what run {before.id if before else '(none)'} has made")
        else:
            say_lines(plan(chosen.subject, seen, before).lines())
            if before is None or "promote" not in before.done:
                say_lines(announced(overlap, OF_A_TOKEN))
        place = chosen.subject.places[0]
        code = stopped(seen.account_sid, place, yes=arguments.yes, is_json=arguments.json)
        if code is not None:
            _show(arguments, chosen, (), None)
            return code
        current = before or begin(arguments, new_run_id(), VERB, [chosen.subject])
        stack.callback(current.close)
        return _carry_out(arguments, account, chosen, current, overlap)


def _chosen(arguments: argparse.Namespace, account: str | None, seen: SeenToken) -> _Chosen:
    """Return the unfinished run about the same account, or what a new one is to do."""
    from safetwilio.rotation.token_run import VERB, subject_in

    for path, facts, _ in begun(arguments, VERB):
        subject = subject_in(facts)
        if subject.account_sid != seen.account_sid:
            continue
        if subject.spots != {place.spot for place in seen.places}:
            raise _elsewhere(subject, seen, path)
        if not arguments.roll_back:
            _require_same_options(arguments, subject, path)
        return _Chosen(seen, subject, path)
    subject = seen.subject(account, standby=arguments.standby, subaccounts=arguments.subaccounts)
    return _Chosen(seen, subject, None)


def _elsewhere(subject: TokenSubject, seen: SeenToken, path: Path) -> UsageError:
    """Return the error (ST907) that the run at *path* is about a token in other places."""
    where = f" of the directory {subject.directory}" if subject.directory else ""
    return UsageError(
        f"The unfinished run {path.stem} is about the token in {', '.join(subject.places)}{where}, "
        f"not in {', '.join(map(str, seen.places))} of this one: one of them would be left with a "
        "dead token. Nothing was changed. Give the command there, or name its places with "
        f"--backend; or close it: safetwilio rotate runs --close {path.stem}",
        code="ST907",
    )


def _require_same_options(arguments: argparse.Namespace, subject: TokenSubject, path: Path) -> None:
    """Raise ST907 if the run at *path* was begun to do something else than is asked for now."""
    begun = {"--standby": subject.standby, "--subaccounts": subject.subaccounts}
    given = {"--standby": arguments.standby, "--subaccounts": arguments.subaccounts}
    if begun == given:
        return
    words = " and ".join(
        f"{'with' if is_wanted else 'without'} {option}" for option, is_wanted in begun.items()
    )
    raise UsageError(
        f"The unfinished run {path.stem} was begun {words}. Nothing was changed. Finish it with "
        "the options that it was begun with; what else you want is another run after it. Or close "
        f"it: safetwilio rotate runs --close {path.stem}",
        code="ST907",
    )


def _carry_out(
    arguments: argparse.Namespace,
    account: str | None,
    chosen: _Chosen,
    current: Run,
    overlap: Overlap,
) -> int:
    from safetwilio.admin.identity import address_of
    from safetwilio.cli.sealing import FileSealed
    from safetwilio.rotation.token_run import TokenRun

    token = TokenRun(
        current,
        chosen.seen,
        overlap,
        say=lambda text: say(f"... {text}"),
        address=address_of(account),
        sealed=FileSealed(current.path, "token", recipient=arguments.seal_to),
    )
    waiting = carry_out(arguments, token, current)
    _show(arguments, chosen, waiting, current)
    for each in waiting:
        say_wrapped(f"The standby is in its places; waiting for {each.why}.")
        say("Both tokens work. Run the same command again, with --moved once everything has it.")
    if not waiting:
        say(f"{'Taken back' if arguments.roll_back else 'Done'}. Journal: {current.path}")
    return PARTIAL if waiting else 0


def _show(
    arguments: argparse.Namespace,
    chosen: _Chosen,
    waiting: Sequence[Waiting],
    current: Run | None,
) -> None:
    if not arguments.json:
        return
    from safetwilio.credentials import mask

    document: dict[str, Any] = {
        "changed": list(chosen.subject.places) if current else [],
        "run": current.id if current else None,
        "journal": str(current.path) if current else None,
        "account": mask("account", chosen.seen.account_sid),
        "places": list(chosen.subject.places),
        "done": sorted(current.done) if current else [],
        "waiting_for": waiting[0].why if waiting else None,
    }
    show_json(document)
