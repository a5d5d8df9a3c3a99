"""Which keys ``safetwilio rotate key`` is about, and in which runs: unfinished ones, or a new one.

Loaded when the command runs, for it needs all that a rotation does.
"""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from safetwilio.backends.locate import parse, references
from safetwilio.cli.running import begun
from safetwilio.credentials import mask
from safetwilio.errors import UsageError
from safetwilio.processes import service_of
from safetwilio.rotation.places import Target, spot, spot_of
from safetwilio.rotation.service_keys import (
    VERB,
    age_of,
    steps_of,
    subject_of,
    subjects_of,
)
from safetwilio.runbook.runs import new_run_id
from safetwilio.services import FILE, Service, chosen, is_service_name, read_services
from safetwilio.settings import require_account_name

if TYPE_CHECKING:
    import argparse
    from collections.abc import Collection, Iterator, Sequence

    from safetwilio.rotation.keys import Subject
    from safetwilio.rotation.service_keys import Seen
    from safetwilio.runbook.journal import Entry


class Chosen(NamedTuple):
    """What is done in one run: *subjects*, as they were *seen*, in the *run* that is gone on with.

    A new run has no path yet.
    """

    seen: tuple[Seen, ...]
    subjects: tuple[Subject, ...]
    run: Path | None


class _Begun(NamedTuple):
    """An unfinished run: its journal is at *path*."""

    path: Path
    subjects: tuple[Subject, ...]
    entries: tuple[Entry, ...]
    directory: str


def targets_of(arguments: argparse.Namespace) -> tuple[Target, ...]:
    """Return what the command line names: services of the file, or the one of this directory.

    Raises :class:`UsageError` (ST906, ST907, ST955, ST956) and
    :class:`safetwilio.errors.BackendError` (ST302).
    """
    if arguments.config and (arguments.backend or arguments.account):
        raise UsageError("--backend and --account go without --config.", code="ST907")
    path = Path(arguments.config or FILE)
    if arguments.config or (path.exists() and not (arguments.backend or arguments.account)):
        services = chosen(read_services(path), arguments.service)
    else:
        services = (_service_here(arguments),)
    return _targets(services)


def known_targets(
    arguments: argparse.Namespace, targets: Sequence[Target]
) -> tuple[tuple[Target, ...], str | None]:
    """Return *targets* and all services of the file, and its name if there is one.

    They are known whatever the command line names: each may hold the key that is to be deleted.
    Raises :class:`UsageError` (ST955).
    """
    path = Path(arguments.config or FILE)
    if not arguments.config and not path.exists():
        return tuple(targets), None
    listed = _targets(read_services(path))
    return (*targets, *(each for each in listed if each not in targets)), str(path)


def parts_of(
    arguments: argparse.Namespace, seen: Sequence[Seen], known: Sequence[Target]
) -> tuple[Chosen, ...]:
    """Return the unfinished runs that are about some of *seen*, and a new one for the others.

    A new one is about the keys that are old enough; to take back there is one run, or none.
    Raises :class:`UsageError` (ST907) for a key that is in the hands of a run begun elsewhere.
    """
    runs = tuple(_begun(arguments))
    found: list[Chosen] = []
    left = list(seen)
    for whatever in (False, True) if arguments.roll_back else (False,):
        for run in runs:
            part = _part(run, left, whatever=whatever)
            if part is None:
                continue
            if arguments.roll_back:
                return (part,)
            found.append(part)
            left = [one for one in left if all(one is not other for other in part.seen)]
    if arguments.roll_back:
        _require_free(seen, runs, known)
        return ()
    fresh = _fresh(arguments, left)
    if fresh is not None:
        _require_free(fresh.seen, runs, known)
        found.append(fresh)
    return tuple(found)


def require_apart(seen: Sequence[Seen]) -> None:
    """Raise ST955 for services with one place: the second would find the first one's new key."""
    names: dict[object, str] = {}
    for one in seen:
        first = names.setdefault(one.place.identity, str(one.target))
        if first != str(one.target):
            raise UsageError(
                f"{first} and {one.target} keep their key in the same place, {one.place}. Let one "
                "service stand for both; it is rotated once.",
                code="ST955",
            )


def _targets(services: Sequence[Service]) -> tuple[Target, ...]:
    return tuple(Target(service, account) for service in services for account in service.accounts)


def _service_here(arguments: argparse.Namespace) -> Service:
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


def _begun(arguments: argparse.Namespace) -> Iterator[_Begun]:
    for path, facts, entries in begun(arguments, VERB):
        yield _Begun(path, subjects_of(facts), entries, str(facts.get("begun_in", "")))


def _part(run: _Begun, seen: Sequence[Seen], *, whatever: bool) -> Chosen | None:
    """Return what is left of *run* for some of *seen*, ``None`` if it is about none of them."""
    mine = {subject.target: subject for subject in run.subjects}
    about = tuple(
        one for one in seen if _is_about(run, mine.get(str(one.target)), one, whatever=whatever)
    )
    subjects = tuple(mine[str(one.target)] for one in about)
    return Chosen(about, subjects, run.path) if about else None


def _fresh(arguments: argparse.Namespace, seen: Sequence[Seen]) -> Chosen | None:
    """Return a new run for those of *seen* that are old enough, ``None`` if none is."""
    name = new_run_id()
    fresh = [(one, subject_of(one, name)) for one in seen]
    if arguments.older_than is not None:
        least = timedelta(seconds=arguments.older_than)
        ages = [age_of(subject) for _, subject in fresh]
        fresh = [each for each, age in zip(fresh, ages, strict=True) if age is None or age >= least]
    if not fresh:
        return None
    return Chosen(tuple(one for one, _ in fresh), tuple(subject for _, subject in fresh), None)


def _is_about(run: _Begun, subject: Subject | None, one: Seen, *, whatever: bool) -> bool:
    """Return whether *run* goes on with the key that was seen.

    It is the old one, or one that the run has made. If that got to the place already, its part is
    left to do also when another key is there by now; and *whatever* is there, it is taken back.
    """
    if subject is None or subject.account_sid != one.held.key.account_sid:
        return False
    if not _is_of(subject, one.target):  # another project's, of the same name
        return False
    noted = [e for e in run.entries if e.facts.get("target") == subject.target]
    is_kept = any(e.event == "kept" for e in noted)
    if whatever or one.held.key.sid == subject.old:
        return whatever or not is_kept  # after that somebody has put the old one back
    return is_kept or any(e.facts.get("sid") == one.held.key.sid for e in noted)


def _require_free(seen: Sequence[Seen], runs: Sequence[_Begun], known: Sequence[Target]) -> None:
    """Raise ST907 if an unfinished run that was begun elsewhere has one of the keys *seen*.

    Each of the two would make a key, and the first old one would live on. A key that is shared by
    two known services is another matter: both are asked before it is deleted.
    """
    for one in seen:
        here = one.place.spot
        for run in runs:
            for subject in run.subjects:
                is_shared = spot(subject.place, subject.directory) != here and any(
                    _is_of(subject, target) for target in known
                )
                if is_shared or _is_of(subject, one.target):
                    continue
                if one.held.key.sid in _keys_of(run, subject):
                    raise _elsewhere(run, subject, one)


def _keys_of(run: _Begun, subject: Subject) -> Collection[str]:
    """Return the SIDs of the keys of *subject*, old and new, unless *run* is done with them."""
    if {e.facts.get("step") for e in run.entries if e.event == "done"}.issuperset(
        steps_of(subject.target)
    ):
        return ()
    noted = [e.facts for e in run.entries if e.facts.get("target") == subject.target]
    return {subject.old, *(facts["sid"] for facts in noted if "sid" in facts)}


def _is_of(subject: Subject, target: Target) -> bool:
    """Return whether *subject* is the key of *target*, in a place that it has today."""
    spots = map(spot_of, target.service.places)
    return subject.target == str(target) and spot(subject.place, subject.directory) in spots


def _elsewhere(run: _Begun, subject: Subject, one: Seen) -> UsageError:
    directory = subject.directory or run.directory
    where = f" in the directory {directory}" if directory else ""
    return UsageError(
        f"The key {mask('key', one.held.key.sid)} of {one.target} in {one.place} is in the hands "
        f"of the unfinished run {run.path.stem}, begun for {subject.target} in {subject.place}"
        f"{where}. Nothing was changed. Go on with that run there, by the command that began it; "
        f"or close it: safetwilio rotate runs --close {run.path.stem}",
        code="ST907",
    )
