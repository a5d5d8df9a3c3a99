"""A function for Google Cloud that rotates the Twilio API key in a secret of Secret Manager.

Secret Manager publishes when a secret should be rotated, and Pub/Sub delivers that at least once.
The name of the new key comes from the message, so a second delivery finds what the first one did. A
message is not trusted: it can rotate what ``SAFETWILIO_BACKEND`` names, and nothing else.

The key that gave way lives until a rotation an hour later or more, for its users may not have
looked yet; with ``SAFETWILIO_PREVIOUS_KEY=delete`` it goes at once. Keys in older versions are
deleted, once what took their place has been there for an hour: messages that are forged or come
close together must take no key from its users. When a version came is told by Google, not by the
age of the key in it, so the function has to be allowed to list versions; otherwise it deletes none.
The versions stay as they are, for nobody needs to be allowed more than to read and to add them.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from safetwilio.admin.identity import acting_as
from safetwilio.admin.keys import list_keys
from safetwilio.backends.announced import google_message, is_of_google
from safetwilio.backends.gcp_rotation import TO_LIST, GoogleVersions
from safetwilio.backends.interface import Found
from safetwilio.backends.locate import open_backend
from safetwilio.errors import BackendDenied, BackendError, BackendUnavailable
from safetwilio.redaction import install
from safetwilio.rotation.service_keys import look, subject_of
from safetwilio.rotation.shared_keys import SharedRotation, discard, orphans, outlived
from safetwilio.rotation.unattended import (
    REASON,
    LoggedRun,
    RunName,
    chosen,
    deletes_previous,
    identity_for,
    log,
    no_event,
    not_ours,
    say,
    target_of,
)
from safetwilio.runbook.keeping import Clock
from safetwilio.shapes import KEY_PREFIX, is_sid

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from safetwilio.backends.announced import GoogleMessage
    from safetwilio.backends.locate import Reference
    from safetwilio.rotation.keys import Subject
    from safetwilio.rotation.service_keys import Seen

_ROTATE = "SECRET_ROTATE"
_SWITCHED_OFF = "ST335"
RECENT = timedelta(minutes=10)
"""A key that is younger is the answer to a message that does not say when it was published."""
_LOOKED_BACK = 10  # versions; two belong to a rotation of which something else came in between


class _History(NamedTuple):
    """When the place was *left*, by SID, as far as it is known; and *since* when all of it is."""

    left: dict[str, datetime | None]
    since: datetime | None


def handle(message: object) -> bool:
    """Rotate the key in the secret that *message* is about; return whether that was asked for.

    *message* is what Pub/Sub brings of Secret Manager: an object with ``attributes``, a CloudEvent,
    or what is pushed, as a ``dict`` or JSON. For another event than SECRET_ROTATE nothing is done.

    Raises :class:`safetwilio.errors.AccountOperationError` (ST636 without an id of the message,
    ST637 for a secret that ``SAFETWILIO_BACKEND`` does not name, ST639, and ST6xx of Twilio's
    answers), and :class:`safetwilio.errors.ConfigurationError` (ST2xx, ST3xx). Let the message come
    again then.
    """
    install()
    said = google_message(message)
    if said is None or said.event != _ROTATE:
        log.info("Nothing to do: the message is no %s of Secret Manager", _ROTATE)
        return False
    at_once = deletes_previous()
    reference = chosen(lambda reference: is_of_google(reference, said.secret))
    if reference is None:
        raise not_ours("it is not set")
    if "version" in reference.options:
        raise not_ours("the newest version is meant, and another one is named")
    if said.id is None:
        raise no_event("the message has no id")
    label = said.secret.name
    # as we name it: the message's project may be a number or an id
    where = f"{reference.path} {said.secret.location}"
    name = RunName("gcp", label, where, said.id)
    seen = look(target_of(label, reference), identity_for)
    with acting_as([seen.identity], REASON):
        _rotate(seen, name, said, at_once=at_once)
    return True


def _rotate(seen: Seen, name: RunName, said: GoogleMessage, *, at_once: bool) -> None:
    subject = subject_of(seen, name.run)
    if _is_fulfilled(subject, said) and not _is_of_run(seen, name):
        log.info("%s: its key is newer than the message", subject.target)
        return
    rotation = SharedRotation(subject, seen.place, seen.admin(), LoggedRun(), say=say)
    rotation.replace()
    _clear_up(seen, name, at_once=at_once)
    log.info("%s: rotated", subject.target)


def _is_fulfilled(subject: Subject, said: GoogleMessage) -> bool:
    """Return whether the key is younger than the message, which then came a second time."""
    if subject.created is None:
        return False
    published = said.published or datetime.now(UTC) - RECENT
    return datetime.fromisoformat(subject.created) > published


def _is_of_run(seen: Seen, name: RunName) -> bool:
    """Return whether this message made the key: then it may be that the old ones are there."""
    held = seen.held.key.sid
    return any(key.sid == held and key.name == name.key_name for key in list_keys(seen.admin()))


def _clear_up(seen: Seen, name: RunName, *, at_once: bool) -> None:
    """Delete the keys in older versions but for the one before, and what earlier runs left behind.

    By now nobody can tell which of them a rotation has deleted already, so all are. Unless all that
    gave way goes at once, a key stays while its users may not have looked yet.
    """
    admin = seen.admin()
    held = seen.place.held()
    versions = list(_versions(seen, int(held.version or 0)))
    sids = [sid for _, sid in versions if sid is not None]
    keys = list_keys(admin)
    names = {key.sid: key.name for key in keys}
    kept = {sid for sid, each in names.items() if each == name.key_name}
    kept |= {held.key.sid, seen.identity.username}
    if at_once:
        going = {sid for sid in sids if sid in names} | orphans(admin, name.prefix, sids)
    else:
        going = outlived(keys, *_history(versions, _made(seen)), name.prefix)
        before = next((sid for sid in sids if sid in names and sid not in kept), None)
        if before is not None:
            kept |= _of_one_run(names, names[before], name)
            kept.add(before)
    discard(admin, going - kept, say=say, clock=Clock())


def _made(seen: Seen) -> Mapping[int, datetime]:
    """Return when the versions were made, of none of them if we may not look."""
    with suppress(BackendDenied):
        return GoogleVersions(seen.place.reference).made()
    log.warning(
        "No key is deleted, for nobody knows when it gave way: grant this function %s on the "
        "secret, as in roles/secretmanager.viewer",
        TO_LIST,
    )
    return {}


def _history(versions: Iterable[tuple[int, str | None]], made: Mapping[int, datetime]) -> _History:
    """Return when the keys in *versions*, the newest first, gave way: each to the next one above.

    What a version without a readable key held is not known, nor did its users find another there:
    it counts for none. So of what came before it, it is only known that another key is above it.
    """
    left: dict[str, datetime | None] = {}
    since = above = None
    is_whole = True
    for number, sid in versions:
        if sid is None:
            is_whole = False
            continue
        left.setdefault(sid, above)
        above = made.get(number)
        since = above if is_whole else since
    return _History(left, since)


def _of_one_run(names: Mapping[str, str], one: str, name: RunName) -> set[str]:
    """Return the keys that are called *one*: of a run of ours there may be two for a while."""
    return {sid for sid, each in names.items() if each == one and one.startswith(name.prefix)}


def _versions(seen: Seen, newest: int) -> Iterator[tuple[int, str | None]]:
    """Yield the versions from *newest* on with the SID in each, ``None`` if none can be read."""
    place = seen.place
    for number in range(newest, max(newest - _LOOKED_BACK, 0), -1):
        options = {**place.reference.options, "version": str(number)}
        yield number, _sid_in(place.reference._replace(options=options))


def _sid_in(reference: Reference) -> str | None:
    """Return the SID in one version, ``None`` if it has none or nobody can read it any more."""
    failure: BackendError | None = None
    try:
        answer = open_backend(reference).load(None)
    except BackendError as error:
        failure = error
    if failure is not None:
        is_passing = isinstance(failure, BackendUnavailable | BackendDenied)
        if is_passing and failure.code != _SWITCHED_OFF:
            raise failure
        return None
    if not isinstance(answer, Found) or "key_sid" not in answer.record.fields:
        return None
    sid = answer.record.fields["key_sid"].reveal()
    return sid if is_sid(sid, KEY_PREFIX) else None
