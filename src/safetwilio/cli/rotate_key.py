"""``safetwilio rotate key``: from the plan to the deletion of the old key, or as far as it goes."""

from __future__ import annotations

import argparse
import os
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from safetwilio.cli.confirming import Identities, confirmed
from safetwilio.cli.durations import duration
from safetwilio.cli.output import say, say_lines, say_wrapped, show_json
from safetwilio.cli.running import add_how, journals
from safetwilio.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from safetwilio.rotation.keys import Subject
    from safetwilio.rotation.overlap import Overlap, Waiting
    from safetwilio.rotation.places import Target
    from safetwilio.rotation.service_keys import Seen
    from safetwilio.runbook.keeping import Sealed
    from safetwilio.runbook.runs import Run
    from safetwilio.services import Service

_PARTIAL = 4
_DAY = 86400.0
_LONGEST_WAIT = 3600.0

_DESCRIPTION = """\
Make another API key for each service, put it in the place of the one in use, prove it, and delete
the old one when all its users have moved. Standard and Restricted keys stay what they are.

The services are those of safetwilio.toml in this directory. Without that file there is one: this
directory's, with the key that the program would load here.

What may change the account (a Main key, a Restricted key that may, the Auth Token) is read from
SAFETWILIO_ADMIN_BACKEND; without it the Auth Token is asked for, or piped in with --token-stdin.

A run that was interrupted or killed is gone on with by the same command: nothing is made twice.
"""
_EPILOG = """\
when the old key is deleted: Twilio keeps no time of last use, so give one or more of these
  --overlap 15m     so long after the new key is in its place; programs with safetwilio look every
                    5 minutes (SAFETWILIO_REFRESH_AGE)
  --heartbeats DIR  when the processes that write there (SAFETWILIO_HEARTBEAT) use the new key
  --moved           now: you know that everything uses the new key
Without any, the command ends with 4 once the new key is in its place; both keys work then. Run it
again with one of them.

exit codes:
  0  done, also when there was nothing to do ("changed": []), and after a plan
  1  failed; the old key works on, and the report says how to go on
  2  wrong usage, or there is nobody to ask
  4  the new keys are in their places, and an old one waits to be deleted

examples:
  safetwilio rotate key
  safetwilio rotate key --yes --overlap 15m
  safetwilio rotate key --service billing --older-than 90d --yes --heartbeats /run/safetwilio
"""


class _Chosen(NamedTuple):
    """What is to be rotated: *targets*, or those of the *run* that is gone on with."""

    seen: tuple[Seen, ...]
    subjects: tuple[Subject, ...]
    run: Path | None


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``key`` to *commands*."""
    parser = commands.add_parser(
        "key",
        help="make another API key and delete the old one when nobody uses it",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    what = parser.add_argument_group("what")
    what.add_argument(
        "--service", metavar="NAME", action="append", default=[], help="only this one; repeatable"
    )
    what.add_argument(
        "--config", metavar="FILE", help="the services (default: safetwilio.toml, if it is there)"
    )
    what.add_argument("--backend", metavar="REFERENCE", help="the place of one key, without a file")
    what.add_argument("--account", metavar="NAME", help="of get_client(NAME), without a file")
    what.add_argument(
        "--older-than", metavar="AGE", type=duration, help="leave younger keys alone (90d, 12h)"
    )
    when = parser.add_argument_group("when the old key goes")
    when.add_argument("--overlap", metavar="TIME", type=duration, help="such as 15m or 1d")
    when.add_argument(
        "--heartbeats", metavar="DIR", help="default: SAFETWILIO_HEARTBEAT, if it is set"
    )
    when.add_argument("--moved", action="store_true", help="everything uses the new key already")
    when.add_argument("--no-wait", action="store_true", help="end with 4 rather than wait")
    parser.add_argument(
        "--token-stdin", action="store_true", help="read the Auth Token from standard input"
    )
    add_how(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Show the plan, and carry it out if that is wanted."""
    from safetwilio.redaction import install
    from safetwilio.rotation.service_keys import look
    from safetwilio.runbook.runs import resume

    install()
    _require_sense(arguments)
    targets = _targets(arguments)
    identities = Identities(from_stdin=arguments.token_stdin)
    seen = tuple(look(target, identities.of) for target in targets)
    _require_apart(seen)
    with ExitStack() as stack:
        stack.enter_context(identities.opened(f"safetwilio rotate key {arguments.reason or ''}"))
        chosen = _chosen(arguments, seen)
        if not chosen.seen:
            say("Nothing to rotate.")
            _show(arguments, [], chosen)
            return 0
        before = resume(chosen.run) if chosen.run else None
        if before is not None:
            stack.callback(before.close)
        if not _is_wanted(arguments, chosen, before):
            _show(arguments, [], chosen)
            return 0
        current = before or _begin(arguments, chosen)
        stack.callback(current.close)
        return _carry_out(arguments, chosen, current, targets)


def _require_sense(arguments: argparse.Namespace) -> None:
    if arguments.config and (arguments.backend or arguments.account):
        raise UsageError("--backend and --account go without --config.", code="ST907")


def _require_apart(seen: Sequence[Seen]) -> None:
    """Raise ST955 for services with one place: the second would find the first one's new key."""
    known: dict[object, str] = {}
    for one in seen:
        first = known.setdefault(one.place.identity, str(one.target))
        if first != str(one.target):
            raise UsageError(
                f"{first} and {one.target} keep their key in the same place, {one.place}. Let one "
                "service stand for both; it is rotated once.",
                code="ST955",
            )


def _targets(arguments: argparse.Namespace) -> tuple[Target, ...]:
    """Return what the command line names: services of the file, or the one of this directory."""
    from safetwilio.rotation.places import Target
    from safetwilio.services import FILE, chosen, read_services

    path = Path(arguments.config or FILE)
    if arguments.config or (path.exists() and not (arguments.backend or arguments.account)):
        services = chosen(read_services(path), arguments.service)
    else:
        services = (_service_here(arguments),)
    return tuple(Target(service, account) for service in services for account in service.accounts)


def _service_here(arguments: argparse.Namespace) -> Service:
    from safetwilio.backends.locate import parse, references
    from safetwilio.processes import service_of
    from safetwilio.services import Service, is_service_name
    from safetwilio.settings import require_account_name

    account = None if arguments.account is None else require_account_name(arguments.account)
    if arguments.backend:
        places = parse(arguments.backend, place="--backend")
    else:
        places = references(account, os.environ)
    if len(arguments.service) > 1 or not all(map(is_service_name, arguments.service)):
        raise UsageError(
            "Without safetwilio.toml there is one service, and --service names it: up to 40 "
            "letters, digits and ._-, and no secret (the key's name is shown in the Console).",
            code="ST906",
        )
    name = arguments.service[0] if arguments.service else service_of()
    return Service(name, places, name, None, (account,))


def _chosen(arguments: argparse.Namespace, seen: Sequence[Seen]) -> _Chosen:
    """Return the unfinished run that is about some of *seen*, or the keys that are old enough."""
    from safetwilio.rotation.service_keys import age_of, subject_of, subjects_of
    from safetwilio.runbook.runs import new_run_id, unfinished

    begun = tuple(unfinished(journals(arguments)))
    for whatever in (False, True) if arguments.roll_back else (False,):
        for path, facts in begun:
            subjects = subjects_of(facts) if facts.get("verb") == "rotate key" else ()
            mine = {s.target: s for s in subjects}
            about = tuple(
                one
                for one in seen
                if _is_about(path, mine.get(str(one.target)), one, whatever=whatever)
            )
            if about:
                return _Chosen(about, tuple(mine[str(one.target)] for one in about), path)
    if arguments.roll_back:
        return _Chosen((), (), None)
    name = new_run_id()
    fresh = [(one, subject_of(one, name)) for one in seen]
    if arguments.older_than is not None:
        days = arguments.older_than / _DAY
        ages = [age_of(subject) for _, subject in fresh]
        fresh = [each for each, age in zip(fresh, ages, strict=True) if age is None or age >= days]
    return _Chosen(tuple(one for one, _ in fresh), tuple(subject for _, subject in fresh), None)


def _is_about(path: Path, subject: Subject | None, one: Seen, *, whatever: bool) -> bool:
    """Return whether the run with the journal at *path* goes on with the key that was seen.

    It is the old one, or one that the run has made. If that got to the place already, its part is
    left to do also when another key is there by now; and *whatever* is there, it is taken back.
    """
    from safetwilio.runbook.journal import read

    if subject is None or subject.account_sid != one.held.key.account_sid:
        return False
    if subject.directory != one.place.directory:  # another project's, of the same name
        return False
    noted = [e for e in read(path) if e.facts.get("target") == subject.target]
    is_kept = any(e.event == "kept" for e in noted)
    if whatever or one.held.key.sid == subject.old:
        return whatever or not is_kept  # after that somebody has put the old one back
    return is_kept or any(e.facts.get("sid") == one.held.key.sid for e in noted)


def _is_wanted(arguments: argparse.Namespace, chosen: _Chosen, before: Run | None) -> bool:
    """Show the plan, and return whether it is to be carried out."""
    from safetwilio.rotation.service_keys import plan

    if arguments.roll_back:
        say(f"Plan: take back what run {before.id if before else '?'} has made")
    else:
        shown = plan(chosen.subjects, [one.identity for one in chosen.seen], before)
        say_lines(shown.lines())
    account = chosen.subjects[0].account_sid
    return confirmed(account, yes=arguments.yes, is_json=arguments.json)


def _begin(arguments: argparse.Namespace, chosen: _Chosen) -> Run:
    from safetwilio.rotation.service_keys import VERB
    from safetwilio.runbook.runs import start

    name = chosen.subjects[0].name.rpartition("/")[2]
    subjects = [subject._asdict() for subject in chosen.subjects]
    return start(journals(arguments), name, verb=VERB, subjects=subjects)


def _carry_out(
    arguments: argparse.Namespace, chosen: _Chosen, current: Run, targets: Sequence[Target]
) -> int:
    from safetwilio.rotation.service_keys import KeysRun

    keys = KeysRun(
        current,
        chosen.seen,
        _overlap(arguments),
        say=lambda text: say(f"... {text}"),
        others=partial(_held_elsewhere, arguments, targets),
        sealed=_sealing(arguments, current),
    )
    try:
        if arguments.roll_back:
            keys.take_back()
            waiting: tuple[Waiting, ...] = ()
        else:
            waiting = keys.carry_out(0.0 if arguments.no_wait else _LONGEST_WAIT)
    except KeyboardInterrupt:
        say(f"Stopped half-way; the same command goes on with run {current.id}.")
        raise
    _show(arguments, waiting, chosen, current)
    _report(waiting, current, rolled_back=arguments.roll_back)
    return _PARTIAL if waiting else 0


def _overlap(arguments: argparse.Namespace) -> Overlap:
    from safetwilio.heartbeat import VARIABLE
    from safetwilio.rotation.overlap import Overlap

    directory = arguments.heartbeats or os.environ.get(VARIABLE, "").strip()
    return Overlap(arguments.overlap, Path(directory) if directory else None, said=arguments.moved)


def _sealing(arguments: argparse.Namespace, current: Run) -> Callable[[str], Sealed]:
    from safetwilio.cli.sealing import FileSealed

    return lambda target: FileSealed(current.path, target, recipient=arguments.seal_to)


def _held_elsewhere(arguments: argparse.Namespace, targets: Sequence[Target]) -> set[str]:
    """Return the SIDs of the keys of all known services; a key may be shared."""
    from safetwilio.rotation.places import Target, key_in_use
    from safetwilio.services import FILE, read_services

    path = Path(arguments.config or FILE)
    if not (arguments.backend or arguments.account) and path.exists():
        targets = [Target(s, account) for s in read_services(path) for account in s.accounts]
    return {sid for target in targets if (sid := key_in_use(target)) is not None}


def _show(
    arguments: argparse.Namespace,
    waiting: Sequence[Waiting],
    chosen: _Chosen,
    current: Run | None = None,
) -> None:
    if arguments.json:
        show_json(_as_dict(waiting, chosen, current))


def _as_dict(waiting: Sequence[Waiting], chosen: _Chosen, current: Run | None) -> Mapping[str, Any]:
    from safetwilio.credentials import mask

    def state(subject: Subject) -> dict[str, Any]:
        kept = current.noted("kept", target=subject.target) if current else ()
        return {
            "service": subject.target,
            "place": subject.place,
            "old": mask("key", subject.old),
            "new": mask("key", kept[-1].facts["sid"]) if kept else None,
            "waiting_for": next((w.why for w in waiting if w.target == subject.target), None),
        }

    return {
        "changed": [s.target for s in chosen.subjects] if current else [],
        "run": current.id if current else None,
        "journal": str(current.path) if current else None,
        "keys": [state(subject) for subject in chosen.subjects],
    }


def _report(waiting: Sequence[Waiting], current: Run, *, rolled_back: bool) -> None:
    if rolled_back:
        say(f"Taken back. The old keys are what they were. Journal: {current.path}")
        return
    if not waiting:
        say(f"Done. Journal: {current.path}")
        return
    for each in waiting:
        say_wrapped(f"{each.target}: the new key is in its place; waiting for {each.why}.")
    say("Both keys work. Run the same command again, with --moved once nothing uses the old key.")
