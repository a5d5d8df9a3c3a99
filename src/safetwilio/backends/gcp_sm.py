"""``gcp-sm://project/name?version=&location=&transport=&endpoint=#field``: Google Secret Manager.

Login is Google's own (application default credentials). Its library speaks REST, which starts
faster, unless ``transport=grpc``; its retries are off, for no timeout bounds them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from safetwilio.backends import payload
from safetwilio.backends.addresses import is_safe
from safetwilio.backends.bodies import TooLongError
from safetwilio.backends.deadline import OPTION as TIMEOUT
from safetwilio.backends.deadline import Deadline, Outcome, deadline_of, run_noting
from safetwilio.backends.failures import Failures, silent
from safetwilio.backends.gcp_client import (
    Place,
    Version,
    Who,
    access,
    client_for,
    crc32c,
    number_of,
    sdk,
)
from safetwilio.backends.gcp_errors import (
    Asked,
    explain,
    is_absent,
    is_stale,
    is_taken,
    may_pass,
)
from safetwilio.backends.interface import Absent
from safetwilio.backends.locate import require_options, unreadable
from safetwilio.errors import BackendError
from safetwilio.problems import Attempt

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pydantic import SecretStr

    from safetwilio.backends.interface import Found
    from safetwilio.backends.locate import Reference

SERVICE = "Google Secret Manager"
LATEST = "latest"
_OPTIONS = ("version", "location", "transport", "endpoint", TIMEOUT)
_TRANSPORTS = ("rest", "grpc")
_PATH = re.compile(
    r"((?:[a-z0-9.-]{1,253}:)?[a-z0-9][a-z0-9-]{1,62})/([A-Za-z0-9_-]{1,255})", re.ASCII
)
_NUMBER = re.compile(r"[1-9][0-9]{0,9}", re.ASCII)
_ALIAS = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,62}", re.ASCII)
_LOCATION = re.compile(r"[a-z][a-z0-9-]{1,31}", re.ASCII)
_TO_ADD = ("secretmanager.versions.access", "secretmanager.versions.add")
_TO_MOVE = ("secretmanager.secrets.get", "secretmanager.secrets.update")


class GoogleBackend:
    """Reads and writes one secret."""

    def __init__(self, reference: Reference) -> None:
        """Take project, name and the rest from *reference*."""
        require_options(reference, *_OPTIONS, field=True)
        self._reference = reference
        self._require_readable()
        options = reference.options
        project, _, name = reference.path.rpartition("/")
        self._wanted = options.get("version", LATEST)
        self._place = Place(
            project,
            name,
            options.get("location"),
            options.get("endpoint"),
            options.get("transport", "rest"),
        )
        endpoint = self._place.endpoint
        if endpoint is not None and not is_safe(endpoint):
            raise Failures(reference, SERVICE).plain_http(where="its option endpoint")

    def _require_readable(self) -> None:
        """Raise ST302 for what Google would refuse, or take for something else."""
        options = self._reference.options
        version = options.get("version", LATEST)
        fix = ""
        if not _PATH.fullmatch(self._reference.path):
            fix = "Name project and secret, as in gcp-sm://my-project/twilio."
        elif not (_NUMBER.fullmatch(version) or _ALIAS.fullmatch(version)):
            fix = "Its option version is a number, an alias, or latest."
        elif not _LOCATION.fullmatch(options.get("location", "somewhere")):
            fix = "Its option location is a region, as in location=europe-west3."
        elif options.get("transport", "rest") not in _TRANSPORTS:
            fix = "Its option transport is rest (if left out) or grpc."
        elif not _is_origin(options.get("endpoint")):
            fix = "Its option endpoint is https:// and a host, with a port or without, and no path."
        if fix:
            raise unreadable(self._reference, fix)

    @silent
    def load(self, account: str | None) -> Found | Absent:
        """Return the record in the secret.

        Raises :class:`safetwilio.errors.BackendError` (ST33x) and
        :class:`safetwilio.errors.MissingExtra` (ST901).
        """
        version = self._get(deadline_of(self._reference))
        if version is None:
            shown = f"{self._place.project}/{self._place.name}"
            return Absent((Attempt("gcp-sm", shown, "no such secret, or no version of it"),))
        document = payload.read(
            version.data, self._failures(), account=account, version=str(version.number)
        )
        return document.answer(account)

    @silent
    def require_writable(self) -> None:
        """Raise (ST3xx) if the secret cannot be read, or Google says that we may not add to it."""
        self._require_movable()
        deadline = deadline_of(self._reference)
        before = self._get(deadline)
        payload.merge(  # understood now, rather than after a key was made
            before and before.data, {}, self._failures(), account=None, style="snake"
        )
        if before is not None:
            self._require_permission(deadline)

    @silent
    def save(
        self,
        fields: Mapping[str, SecretStr],
        *,
        account: str | None,
        replaces: str | None = None,
    ) -> str:
        """Keep *fields* as a new version; with an alias, move that if nobody else did.

        Google has no compare-and-set for ``latest``: that somebody came in between is seen by the
        number of the new version, and then what they wrote is put back on top.
        Raises :class:`safetwilio.errors.BackendError` (ST33x, ST338, ST340).
        """
        self._require_movable()
        deadline = deadline_of(self._reference)
        secret = self._secret_with_alias(deadline) if self._wanted != LATEST else None
        before = self._get(deadline)
        found = str(before.number) if before else ""
        if replaces is not None and replaces != found:
            raise self._failures().changed_meanwhile(expected=replaces, found=found)
        text = payload.merge(
            before and before.data, fields, self._failures(), account=account, style="snake"
        )
        number = self._add_or_create(deadline, text.encode())
        expected = before.number + 1 if before else 1
        if secret is not None:
            self._move_alias(deadline, secret, number, found)
        elif replaces is not None and number != expected:
            raise self._take_back(number, found)
        return str(self._reference)

    def _require_movable(self) -> None:
        if _NUMBER.fullmatch(self._wanted):
            raise unreadable(
                self._reference, "Leave version= out to write: it makes a new version."
            )

    def _require_permission(self, deadline: Deadline) -> None:
        """Raise ST330 if Google says that we may not write; that it does not say is no fault."""
        wanted = _TO_ADD if self._wanted == LATEST else (*_TO_ADD, *_TO_MOVE)
        request = {"resource": self._place.secret, "permissions": list(wanted)}
        outcome, who = self._try(
            deadline,
            lambda client, how: [*client.test_iam_permissions(request=request, **how).permissions],
        )
        if outcome.answer is None:
            return
        missing = [each for each in wanted if each not in outcome.answer]
        if missing:
            role = "admin" if set(missing) & set(_TO_MOVE) else "secretVersionManager"
            raise self._failures(who).denied(
                verb="write",
                grant=f"Grant {' and '.join(missing)} on it, as in roles/secretmanager.{role}.",
            )

    def _get(self, deadline: Deadline) -> Version | None:
        """Return the version that the reference means, ``None`` if there is no such secret."""
        name = self._place.version(self._wanted)
        outcome, who = self._try(
            deadline,
            lambda client, how: access(client, name, how["timeout"]),
            again=may_pass,
        )
        if is_absent(outcome.error) and not self._is_pinned_and_there(deadline):
            return None
        found: Version = self._settle(outcome, who, deadline, "read")
        return found

    def _is_pinned_and_there(self, deadline: Deadline) -> bool:
        """Return whether there is a secret without the version that the reference pins.

        The chain must not go on past it. Who may not look is believed what Google said first.
        """
        if self._wanted == LATEST:
            return False
        return self._describe(deadline)[0].error is None

    def _describe(self, deadline: Deadline) -> tuple[Outcome[Any], Who]:
        name = self._place.secret
        return self._try(
            deadline, lambda client, how: client.get_secret(request={"name": name}, **how)
        )

    def _secret_with_alias(self, deadline: Deadline) -> Any:
        """Return the secret as it is before anything else is read, its etag above all."""
        outcome, who = self._describe(deadline)
        if is_absent(outcome.error):
            raise unreadable(
                self._reference,
                "There is no such secret. To have it made, leave version= out: an alias is of a "
                "version that is there.",
            )
        secret = self._settle(outcome, who, deadline, "look up")
        if self._wanted not in secret.version_aliases:
            raise self._failures(who).no_such_version(
                what=f"it has no alias {self._wanted}",
                fix=f"gcloud secrets update {self._place.name} --project={self._place.project} "
                f"--update-version-aliases={self._wanted}=NUMBER",
            )
        return secret

    def _add_or_create(self, deadline: Deadline, data: bytes) -> int:
        """Return the number of the new version that holds *data*."""
        outcome, who = self._add(deadline, data)
        if self._wanted == LATEST and is_absent(outcome.error):
            self._create(deadline)
            outcome, who = self._add(deadline, data)
        return int(self._settle(outcome, who, deadline, "write"))

    def _add(self, deadline: Deadline, data: bytes) -> tuple[Outcome[int], Who]:
        request = {
            "parent": self._place.secret,
            "payload": {"data": data, "data_crc32c": crc32c(data)},
        }
        # never again: what was written, though the answer was lost, would be there twice
        return self._try(
            deadline,
            lambda client, how: number_of(client.add_secret_version(request=request, **how).name),
        )

    def _create(self, deadline: Deadline) -> None:
        secret: dict[str, Any] = {} if self._place.location else {"replication": {"automatic": {}}}
        request = {
            "parent": self._place.parent,
            "secret_id": self._place.name,
            "secret": secret,
        }
        outcome, who = self._try(
            deadline, lambda client, how: client.create_secret(request=request, **how)
        )
        if not is_taken(outcome.error):  # by somebody else just now: the number will tell
            self._settle(outcome, who, deadline, "create")

    def _move_alias(self, deadline: Deadline, secret: Any, number: int, found: str) -> None:
        """Move the alias to *number* if the *secret* is as it was: Google compares the etag."""
        aliases = {**secret.version_aliases, self._wanted: number}
        request = {
            "secret": {"name": secret.name, "etag": secret.etag, "version_aliases": aliases},
            "update_mask": {"paths": ["version_aliases"]},
        }
        outcome, who = self._try(
            deadline, lambda client, how: client.update_secret(request=request, **how)
        )
        if outcome.error is None:
            return
        self._disable(deadline_of(self._reference), number)  # whatever becomes of that
        if is_stale(outcome.error):
            raise self._failures(who).changed_meanwhile(
                expected=f"the alias {self._wanted} at version {found}",
                found="that the secret was changed",
                fix="The alias was not moved. Look at what is there now, and try again.",
            )
        self._settle(outcome, who, deadline, "move the alias of")

    def _take_back(self, mine: int, found: str) -> BackendError:
        """Return ST338, having put what somebody else wrote on top of version *mine*.

        Not just disabled: as the newest it is ``latest``, which would then open for nobody.
        """
        deadline = deadline_of(self._reference)
        done = ""
        try:
            newest = self._access(deadline, LATEST)
            if newest.number == mine:
                theirs = self._access(deadline, str(mine - 1))
                outcome, who = self._add(deadline, theirs.data)
                back = self._settle(outcome, who, deadline, "write")
                done = f"version {mine - 1}, which is there again as version {back}"
            else:
                done = f"version {newest.number}"
        except BackendError:  # it is said below what that means
            pass
        if done:
            self._disable(deadline, mine)
        return self._failures().changed_meanwhile(
            expected=f"version {found}" if found else "",
            found=done or f"a version before ours, {mine}",
            fix=f"Ours, version {mine}, was taken back. Look at what is there now, and try again."
            if done
            else f"Ours, version {mine}, could not be taken back and may be the newest: look at "
            f"both, and add the right one again before you disable {mine}.",
        )

    def _access(self, deadline: Deadline, version: str) -> Version:
        name = self._place.version(version)
        outcome, who = self._try(deadline, lambda client, how: access(client, name, how["timeout"]))
        found: Version = self._settle(outcome, who, deadline, "read")
        return found

    def _disable(self, deadline: Deadline, number: int) -> None:
        request = {"name": self._place.version(number)}
        self._try(
            deadline, lambda client, how: client.disable_secret_version(request=request, **how)
        )

    def _settle(self, outcome: Outcome[Any], who: Who, deadline: Deadline, verb: str) -> Any:
        """Return the answer of *outcome*, or raise what its error means."""
        if outcome.error is None:
            return outcome.answer
        if isinstance(outcome.error, TooLongError):
            where = self._place.at
            raise self._failures(who).unreachable(where=where, why=str(outcome.error))
        raise explain(
            outcome.error, self._failures(), Asked(verb, self._place, who, deadline.seconds)
        )

    def _try(
        self,
        deadline: Deadline,
        call: Callable[[Any, dict[str, Any]], Any],
        again: Callable[[Exception], bool] = lambda _: False,
    ) -> tuple[Outcome[Any], Who]:
        """Do *call*, which is given a client and what bounds a call of it."""
        sdk()

        def ask(who: Who) -> Any:
            # never 0, which requests refuses and gRPC takes for too late
            seconds = max(deadline.remaining(), 0.05)
            with client_for(self._place, who, seconds) as client:
                return call(client, {"retry": None, "timeout": seconds})

        return run_noting(deadline, Who, ask, again=again)

    def _failures(self, who: Who | None = None) -> Failures:
        return Failures(self._reference, SERVICE, who.name if who else None)


def _is_origin(endpoint: str | None) -> bool:
    """Return whether *endpoint* has nothing after its host and port."""
    if endpoint is None:
        return True
    try:
        parts = urlsplit(endpoint)
        return bool(parts.hostname) and not (parts.path or parts.query or parts.fragment)
    except ValueError:
        return False
