"""``safetwilio rotate``: another key or Auth Token takes the place of the one in use."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from safetwilio.cli import rotate_key, rotate_token
from safetwilio.cli.output import say, show_json
from safetwilio.cli.running import add_journal, journals
from safetwilio.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from typing import Any

_NOTHING = 3

_DESCRIPTION = """\
Replace a secret that is in use, so that nobody notices: the new one is in its place and proven
before the old one goes. Without --yes, or a confirmation typed at the terminal, nothing is changed
and the plan is printed.
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``rotate`` to *commands*."""
    parser = commands.add_parser(
        "rotate",
        help="replace a key or the Auth Token that is in use",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=lambda _: _help(parser))
    secrets = parser.add_subparsers(title="what to rotate", metavar="WHAT")
    rotate_key.add_parser(secrets)
    rotate_token.add_parser(secrets)
    _add_runs(secrets)
    for inner in secrets.choices.values():
        inner.set_defaults(parser=inner)


def _help(parser: argparse.ArgumentParser) -> int:
    say(parser.format_help().rstrip())
    return 2


def _add_runs(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("runs", help="list the runs that are not finished")
    add_journal(parser)
    parser.add_argument(
        "--close", metavar="RUN", help="leave this one as it is, and list it no more"
    )
    parser.add_argument("--json", action="store_true", help="print the list as JSON on stdout")
    parser.set_defaults(run=_list_runs)


def _list_runs(arguments: argparse.Namespace) -> int:
    """List what is unfinished; return 3 if nothing is."""
    from safetwilio.runbook.runs import unfinished

    directory = journals(arguments)
    if arguments.close is not None:
        _close(arguments.close, [path for path, _ in unfinished(directory)])
    found = [_described(path.stem, facts) for path, facts in unfinished(directory)]
    if arguments.json:
        show_json({"directory": str(directory), "runs": found})
    for run in found:
        say(f"{run['run']}  {run['verb']}  {', '.join(run['targets'])}")
    if not found:
        say(f"No run in {directory} is unfinished.")
        return _NOTHING
    say("To go on with one: the same command that began it. To forget one: --close RUN")
    return 0


def _close(name: str, paths: Sequence[Path]) -> None:
    """Finish the run *name*, one of *paths*, without doing anything: somebody else took over."""
    from safetwilio.runbook.runs import resume

    path = next((path for path in paths if path.stem == name), None)
    if path is None:
        raise UsageError("There is no unfinished run of that name.", code="ST956")
    run = resume(path)
    try:
        run.finish(closed=True)
    finally:
        run.close()
    say(f"Closed {name}. Nothing was changed; look in the Console for keys that it has made.")


def _described(run: str, facts: Mapping[str, Any]) -> dict[str, Any]:
    targets = [subject["target"] for subject in facts.get("subjects", ())]
    return {"run": run, "verb": str(facts.get("verb", "?")), "targets": targets}
