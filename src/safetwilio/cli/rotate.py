"""``safetwilio rotate``: another key or Auth Token takes the place of the one in use."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING

from safetwilio.cli import rotate_key, rotate_token
from safetwilio.cli.output import say, say_lines, say_wrapped, show_json
from safetwilio.cli.running import NOTHING, add_journal, journals
from safetwilio.errors import UsageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from pathlib import Path
    from typing import Any

    from safetwilio.runbook.journal import Entry

_DESCRIPTION = """\
Replace a secret that is in use, so that nobody notices: the new one is in its place and proven
before the old one goes. Without --yes, or a confirmation typed at the terminal, nothing is changed
and the plan is printed.
"""


_RUNS = """\
List the runs that are not finished: when each began, and where; its services and their places; and
what is next.
"""
_RUNS_EPILOG = """\
exit codes:
  0  there are some
  1  a journal cannot be read; the report says why
  2  wrong usage, or there is no such run to close
  3  nothing is unfinished
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``rotate`` to *commands*."""
    parser = commands.add_parser(
        "rotate",
        help="replace a key or the Auth Token that is in use",
        description=_DESCRIPTION,
    )
    secrets = parser.add_subparsers(title="what to rotate", metavar="WHAT")
    rotate_key.add_parser(secrets)
    rotate_token.add_parser(secrets)
    _add_runs(secrets)


def _add_runs(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "runs",
        help="list the runs that are not finished",
        description=_RUNS,
        epilog=_RUNS_EPILOG,
    )
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
        _close(arguments.close, dict(unfinished(directory)))
    found = [_described(path, entries) for path, entries in unfinished(directory)]
    if arguments.json:
        show_json({"directory": str(directory), "runs": found})
    for run in found:
        _say_run(run)
    if not found:
        say(f"No run in {directory} is unfinished.")
        return NOTHING
    say("To forget one: --close RUN")
    return 0


def _close(name: str, entries: Mapping[Path, Sequence[Entry]]) -> None:
    """Finish the run *name*, one of *entries*, without doing anything: somebody else took over."""
    from safetwilio.runbook.runs import resume

    path = next((path for path in entries if path.stem == name), None)
    if path is None:
        raise UsageError("There is no unfinished run of that name.", code="ST956")
    run = resume(path)
    try:
        run.finish(closed=True)
    finally:
        run.close()
    say(f"Closed {name}. Nothing was changed.")
    for line in _left(entries[path]):
        say_wrapped(line)


def _left(entries: Sequence[Entry]) -> Iterator[str]:
    """Yield what the run of *entries* leaves to somebody with the Console."""
    from safetwilio.credentials import mask
    from safetwilio.rotation.service_keys import steps_of
    from safetwilio.rotation.token_run import VERB

    if entries[0].facts.get("verb") == VERB:
        yield "Look in the Console whether it has left a secondary Auth Token."
        return
    for subject in entries[0].facts.get("subjects", ()):
        target, old = str(subject.get("target", "?")), str(subject.get("old", ""))
        noted = [e for e in entries if e.facts.get("target") == target]
        done = {e.facts.get("step") for e in entries if e.event == "done"}
        if steps_of(target)[1] in done:
            continue
        if any(e.event == "kept" for e in noted):
            yield (
                f"{target}: the new key is in its place, and the old one, {mask('key', old)}, "
                "works still. Delete it in the Console when nothing uses it."
            )
        else:
            name = subject.get("name", "?")
            yield f"{target}: look in the Console for keys called {name}, which it may have made."


def _say_run(run: Mapping[str, Any]) -> None:
    where = f" in {run['directory']}" if run["directory"] else ""
    began = f", begun {run['began']}" if run["began"] else ""
    say(f"{run['run']}  {run['verb']}{began}{where}")
    for target, places in zip(run["targets"], run["places"], strict=True):
        say(f"  {target}: {', '.join(places)}")
    say_lines([f"  Next: {run['next']}"])


def _described(path: Path, entries: Sequence[Entry]) -> dict[str, Any]:
    facts = entries[0].facts
    subjects = tuple(facts.get("subjects", ()))
    done = {entry.facts.get("step") for entry in entries if entry.event == "done"}
    directories = (facts.get("begun_in"), *(each.get("directory") for each in subjects))
    return {
        "run": path.stem,
        "verb": str(facts.get("verb", "?")),
        "began": _began(path.stem),
        "directory": next((str(each) for each in directories if each), None),
        "targets": [str(each.get("target", "?")) for each in subjects],
        "places": [_places(each) for each in subjects],
        "next": _next(str(facts.get("verb", "?")), subjects, done),
    }


def _began(run: str) -> str | None:
    """Return the moment in the name of *run*, in ISO 8601; ``None`` if it is called otherwise."""
    with suppress(ValueError):
        return datetime.strptime(run.partition("-")[0], "%Y%m%dT%H%M%S%z").isoformat()
    return None


def _places(subject: Mapping[str, Any]) -> list[str]:
    return [str(each) for each in subject.get("places", (subject.get("place", "?"),))]


def _next(verb: str, subjects: Sequence[Mapping[str, Any]], done: Collection[str | None]) -> str:
    """Return what somebody is to do about a run of *verb* whose steps *done* are done."""
    from safetwilio.rotation.service_keys import steps_of
    from safetwilio.rotation.token_run import VERB

    if verb == VERB:
        if "stand by" in done and "promote" not in done:
            return (
                f"safetwilio {verb} as it was begun, with --moved once everything has the standby"
            )
    elif all(steps_of(str(each.get("target")))[0] in done for each in subjects):
        return f"safetwilio {verb} as it was begun, with --moved once nothing uses the old key"
    return (
        f"safetwilio {verb} as it was begun, which goes on with it; with --roll-back if somebody "
        "has put another one there since"
    )
