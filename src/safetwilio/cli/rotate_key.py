"""``safetwilio rotate key``: from the plan to the deletion of the old key, or as far as it goes."""

from __future__ import annotations

import os
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from safetwilio.cli.confirming import Identities, stopped
from safetwilio.cli.durations import duration
from safetwilio.cli.output import say, say_lines, say_wrapped, show_json
from safetwilio.cli.running import (
    PARTIAL,
    add_how,
    begin,
    carry_out,
    say_nothing_to_take_back,
)
from safetwilio.errors import AccountOperationError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Mapping, Sequence

    from safetwilio.cli.choosing import Chosen
    from safetwilio.rotation.keys import Subject
    from safetwilio.rotation.overlap import Overlap, Waiting
    from safetwilio.rotation.places import Target
    from safetwilio.rotation.service_keys import KeysRun
    from safetwilio.runbook.runs import Run

_HELD = "ST626"

_DESCRIPTION = """\
Make another API key for each service, put it in the place of the one in use, prove it, and delete
the old one when all its users have moved. Standard and Restricted keys stay what they are.

The services are those of safetwilio.toml in this directory. Without that file there is one: this
directory's, with the key that the program would load here.

What may change the account (a Main key, a Restricted key that may, the Auth Token) is read from
SAFETWILIO_ADMIN_BACKEND (of get_client("marketing"): SAFETWILIO_ADMIN_BACKEND_MARKETING); without
it the Auth Token is asked for, or piped in with --token-stdin: once for each account, a line for
each in the order of the services.

A run that was interrupted or killed is gone on with by the same command, in the same directory:
nothing is made twice. The services that it is not about get a new run.
"""
_EPILOG = """\
when the old key is deleted: Twilio keeps no time of last use, so give one or more of these
  --overlap 15m     so long after the new key is in its place; programs with safetwilio look every
                    5 minutes (SAFETWILIO_REFRESH_AGE)
  --heartbeats DIR  when the processes that write there (SAFETWILIO_HEARTBEAT) use the new key
  --moved           now: you know that everything uses the new key
Without any, the command ends with 4 once the new key is in its place; both keys work then. Run it
again with one of them. If another process waits with this run (ST951), end that with Ctrl-C first.

exit codes:
  0  done, also when there was nothing to do ("changed": []), and after a plan
  1  failed; the old key works on, and the report says how to go on
  2  wrong usage, nobody to ask, or not the answer that was asked for; nothing was changed
  3  --roll-back, and there is no run to take back
  4  the new keys are in their places, and an old one waits to be deleted

examples:
  safetwilio rotate key
  safetwilio rotate key --yes --overlap 15m
  safetwilio rotate key --service billing --older-than 90d --yes --heartbeats /run/safetwilio
"""


class _Part(NamedTuple):
    """What became of what was *chosen*: in which *run*, and what it is *waiting* for."""

    chosen: Chosen
    run: Run | None = None
    waiting: tuple[Waiting, ...] = ()


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``key`` to *commands*."""
    parser = commands.add_parser(
        "key",
        help="make another API key and delete the old one when nobody uses it",
        description=_DESCRIPTION,
        epilog=_EPILOG,
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
    from safetwilio.cli.choosing import known_targets, parts_of, require_apart, targets_of
    from safetwilio.redaction import install
    from safetwilio.rotation.overlap import OF_A_KEY, announced
    from safetwilio.rotation.service_keys import look

    install()
    targets = targets_of(arguments)
    known, file = known_targets(arguments, targets)
    overlap = _overlap(arguments)
    identities = Identities(from_stdin=arguments.token_stdin)
    seen = tuple(look(target, identities.of) for target in targets)
    require_apart(seen)
    with ExitStack() as stack:
        stack.enter_context(identities.opened(f"safetwilio rotate key {arguments.reason or ''}"))
        parts = parts_of(arguments, seen, known)
        if not parts:
            return _nothing(arguments)
        begun = [_Part(chosen, _resumed(chosen, stack)) for chosen in parts]
        lines = () if arguments.roll_back else (*announced(overlap, OF_A_KEY), _asked(known, file))
        code = _stopped(arguments, begun, lines)
        if code is not None:
            _show(arguments, [_Part(chosen) for chosen in parts])
            return code
        done = _carry_out_all(arguments, begun, partial(_keys_run, arguments, targets, overlap))
    _show(arguments, done)
    _report(done, rolled_back=arguments.roll_back)
    return PARTIAL if any(part.waiting for part in done) else 0


def _nothing(arguments: argparse.Namespace) -> int:
    _show(arguments, [])
    if arguments.roll_back:
        return say_nothing_to_take_back()
    say("Nothing to rotate.")
    return 0


def _resumed(chosen: Chosen, stack: ExitStack) -> Run | None:
    """Return the run that is gone on with; *stack* closes it."""
    from safetwilio.runbook.runs import resume

    if chosen.run is None:
        return None
    before = resume(chosen.run)
    stack.callback(before.close)
    return before


def _asked(known: Sequence[Target], file: str | None) -> str:
    """Return whose places are looked at before an old key is deleted, as a line of the plan."""
    if file is None:
        others = "No safetwilio.toml is here: other services that may hold it are not known."
    else:
        others = f"Those of {file} are among them."
    names = ", ".join(
        f"{target} ({', '.join(map(str, target.service.places))})" for target in known
    )
    accounts = sorted({target.account for target in known if target.account})
    under = (
        f" The names of the default account and of {', '.join(accounts)} are looked for in each."
    )
    return (
        f"  An old key is deleted if none of these holds it: {names}. {others}"
        f"{under if accounts else ''}"
    )


def _stopped(
    arguments: argparse.Namespace, parts: Sequence[_Part], lines: Sequence[str]
) -> int | None:
    """Show the plan, with *lines*; return the exit code to stop with, ``None`` to carry it out."""
    from safetwilio.rotation.service_keys import plan

    for chosen, before, _ in parts:
        if arguments.roll_back:
            assert before is not None  # noqa: S101 - there is one, or nothing is taken back
            say_lines(_taken_back(before, chosen))
        else:
            identities = [one.identity for one in chosen.seen]
            say_lines(plan(chosen.subjects, identities, before).lines())
    say_lines(lines)
    first = parts[0].chosen.subjects[0]
    return stopped(first.account_sid, first.place, yes=arguments.yes, is_json=arguments.json)


def _taken_back(before: Run, chosen: Chosen) -> Sequence[str]:
    """Return the plan to take back the run *before*; raises what keeps it from that (ST627)."""
    from safetwilio.credentials import mask
    from safetwilio.rotation.service_keys import to_take_back

    lines = [f"Plan: take back what run {before.id} has made"]
    for target, sids in to_take_back(before, chosen.seen):
        keys = ", ".join(mask("key", sid) for sid in sids)
        does = f"delete the new key {keys}, which is in no place" if keys else ""
        lines.append(f"  {target}: {does or 'there is no new key to delete'}")
    return lines


def _begin(arguments: argparse.Namespace, chosen: Chosen) -> Run:
    from safetwilio.rotation.service_keys import VERB

    name = chosen.subjects[0].name.rpartition("/")[2]
    return begin(arguments, name, VERB, chosen.subjects)


def _carry_out_all(
    arguments: argparse.Namespace,
    parts: Sequence[_Part],
    keys_run: Callable[[Chosen, Run], KeysRun],
) -> list[_Part]:
    """Carry out *parts*, one after the other; raise what the first one that fails raises.

    One whose old key is still held by a service (ST626) is tried again at the end: the service may
    be one of a later part.
    """
    done: list[_Part] = []
    again: list[_Part] = []
    with ExitStack() as stack:
        for chosen, before, _ in parts:
            current = before or _begin(arguments, chosen)
            stack.callback(current.close)
            part = _Part(chosen, current)
            try:
                done.append(_carry_out(arguments, part, keys_run))
            except AccountOperationError as error:
                if error.code != _HELD or chosen is parts[-1].chosen:
                    raise
                again.append(part)
        done += [_carry_out(arguments, part, keys_run) for part in again]
    return done


def _carry_out(
    arguments: argparse.Namespace, part: _Part, keys_run: Callable[[Chosen, Run], KeysRun]
) -> _Part:
    chosen, current, _ = part
    assert current is not None  # noqa: S101 - it was begun
    waiting = carry_out(arguments, keys_run(chosen, current), current)
    return _Part(chosen, current, tuple(waiting))


def _keys_run(
    arguments: argparse.Namespace,
    targets: Sequence[Target],
    overlap: Overlap,
    chosen: Chosen,
    current: Run,
) -> KeysRun:
    from safetwilio.cli.choosing import known_targets
    from safetwilio.cli.sealing import FileSealed
    from safetwilio.rotation.service_keys import KeysRun

    return KeysRun(
        current,
        chosen.seen,
        overlap,
        say=lambda text: say(f"... {text}"),
        known=lambda: known_targets(arguments, targets)[0],  # as the file is by then
        sealed=lambda target: FileSealed(current.path, target, recipient=arguments.seal_to),
    )


def _overlap(arguments: argparse.Namespace) -> Overlap:
    """Return when the old keys may go.

    Raises :class:`UsageError` (ST957) for heartbeats that cannot be listed: now, rather than when
    the new keys are in their places.
    """
    from safetwilio.heartbeat import VARIABLE, read_heartbeats
    from safetwilio.rotation.overlap import Overlap

    directory = arguments.heartbeats
    if not directory and not (arguments.moved or arguments.roll_back):
        directory = os.environ.get(VARIABLE, "").strip()
    if directory:
        read_heartbeats(directory)
    return Overlap(arguments.overlap, Path(directory) if directory else None, said=arguments.moved)


def _show(arguments: argparse.Namespace, parts: Sequence[_Part]) -> None:
    if arguments.json:
        show_json(_as_dict(parts))


def _as_dict(parts: Sequence[_Part]) -> Mapping[str, Any]:
    """Return what became of *parts*; ``run`` and ``journal`` are those of the last one."""
    from safetwilio.credentials import mask

    def state(part: _Part, subject: Subject) -> dict[str, Any]:
        current = part.run
        kept = current.noted("kept", target=subject.target) if current else ()
        return {
            "service": subject.target,
            "place": subject.place,
            "old": mask("key", subject.old),
            "new": mask("key", kept[-1].facts["sid"]) if kept else None,
            "waiting_for": next((w.why for w in part.waiting if w.target == subject.target), None),
            "run": current.id if current else None,
        }

    all_of = [(part, subject) for part in parts for subject in part.chosen.subjects]
    last = parts[-1].run if parts else None
    return {
        "changed": [subject.target for part, subject in all_of if part.run],
        "left": [
            subject.target
            for part, subject in all_of
            if not part.run or any(each.target == subject.target for each in part.waiting)
        ],
        "run": last.id if last else None,
        "journal": str(last.path) if last else None,
        "keys": [state(part, subject) for part, subject in all_of],
    }


def _report(parts: Sequence[_Part], *, rolled_back: bool) -> None:
    for _, current, waiting in parts:
        path = current.path if current else ""
        if rolled_back:
            say(f"Taken back. The old keys are what they were. Journal: {path}")
        elif not waiting:
            say(f"Done. Journal: {path}")
        for each in waiting:
            say_wrapped(f"{each.target}: the new key is in its place; waiting for {each.why}.")
    if any(part.waiting for part in parts):
        say("Both keys work. Run the same command again, with --moved once nobody has the old one.")
