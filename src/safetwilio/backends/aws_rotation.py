"""The versions of a secret while AWS Secrets Manager rotates it.

A version is called by the token of its rotation. Its value is given once: who comes second with
another one is refused, so two that do the same at once cannot both have written.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from safetwilio.backends import payload
from safetwilio.backends.aws_errors import is_absent
from safetwilio.backends.aws_sm import ASIDE, CURRENT, AwsBackend
from safetwilio.backends.deadline import deadline_of
from safetwilio.backends.failures import silent
from safetwilio.backends.interface import Found
from safetwilio.backends.locate import unreadable
from safetwilio.errors import BackendError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import SecretStr

    from safetwilio.backends.interface import Record

PENDING = "AWSPENDING"
PREVIOUS = "AWSPREVIOUS"
_NO_SUCH_VERSION = "ST336"


class Stages(NamedTuple):
    """Whether the secret *is_rotated* by AWS, and the stages *of* each version that has one.

    *last* is when the last rotation was over: it is said of SecretListEntry's LastRotatedDate that
    it is "the most recent date and time that the Secrets Manager rotation process was successfully
    completed", so all that the rotation did was done by then.
    """

    is_rotated: bool
    of: Mapping[str, frozenset[str]]
    last: datetime | None

    def version_with(self, stage: str) -> str | None:
        """Return the version that has *stage*."""
        return next((version for version, stages in self.of.items() if stage in stages), None)

    def is_only_previous(self, version: str) -> bool:
        """Return whether *version* has the stage of the one before, and nobody else's."""
        return self.of[version] - {ASIDE} == {PREVIOUS}


class AwsVersions(AwsBackend):
    """Reads the versions of one secret, and writes the one that is pending."""

    @silent
    def stages(self) -> Stages:
        """Return the stages of the secret's versions as they are at one moment.

        Raises :class:`safetwilio.errors.BackendError` (ST33x).
        """
        deadline = deadline_of(self._reference)
        outcome, who = self._describe(deadline)
        if outcome.error is not None and is_absent(outcome.error):
            raise unreadable(self._reference, "There is no such secret: correct its ARN.")
        found = self._settle(outcome, who, deadline, "look up")
        versions = found.get("VersionIdsToStages") or {}
        return Stages(
            bool(found.get("RotationEnabled")),
            {version: frozenset(stages) for version, stages in versions.items()},
            _moment(found.get("LastRotatedDate")),
        )

    @silent
    def handed_over(self, stages: Stages) -> datetime | None:
        """Return when at the latest the current version took the place of the previous one.

        AWS keeps no time of a stage. Its answer is when the last rotation was over, and only if the
        current version is what that rotation left: made before then, and after the previous one
        (GetSecretValue's CreatedDate: "the date and time that this version of the secret was
        created"). Of one that somebody put there, or put back, nobody knows when: ``None``.

        LastChangedDate would show a stage that was moved by hand, but is "the last date and time
        that this secret was modified in any way": by now the rotation under way has modified it.
        So a stage that was moved by hand there and back again is not seen.
        Raises :class:`safetwilio.errors.BackendError` (ST33x).
        """
        current, previous = (stages.version_with(stage) for stage in (CURRENT, PREVIOUS))
        if stages.last is None or current is None or previous is None:
            return None
        ours, theirs = self._made(current), self._made(previous)
        if ours is None or theirs is None or not theirs < ours <= stages.last:
            return None
        return stages.last

    def _made(self, version: str) -> datetime | None:
        """Return when *version* was made, ``None`` if it has no value or AWS does not say it."""
        deadline = deadline_of(self._reference)
        asked = {"SecretId": self._name, "VersionId": version}
        outcome, who = self._try(
            deadline, lambda client: client.get_secret_value(**asked).get("CreatedDate")
        )
        failure: BackendError
        try:
            return _moment(self._settle(outcome, who, deadline, "read"))
        except BackendError as error:
            failure = error
        if failure.code == _NO_SUCH_VERSION:
            return None
        raise failure

    def record_of(self, version: str, account: str | None) -> Record | None:
        """Return what *version* holds for *account*, ``None`` if it has no key or no value.

        Raises :class:`safetwilio.errors.BackendError` (ST33x).
        """
        options = {**self._reference.options, "version": version}
        failure: BackendError
        try:
            answer = AwsBackend(self._reference._replace(options=options)).load(account)
        except BackendError as error:
            failure = error
        else:
            return answer.record if isinstance(answer, Found) else None
        if failure.code == _NO_SUCH_VERSION:
            return None
        raise failure

    @silent
    def put_pending(
        self, fields: Mapping[str, SecretStr], token: str, *, account: str | None, replaces: str
    ) -> None:
        """Give the pending version of *token* its value: what is current, with *fields* in it.

        The current one has to be the version *replaces*. Raises
        :class:`safetwilio.errors.BackendError` (ST33x, ST338 also if it has another value, ST340).
        """
        deadline = deadline_of(self._reference)
        before = self._get(deadline)
        found = before.version if before else ""
        if replaces != found:
            raise self._failures().changed_meanwhile(expected=replaces, found=found)
        text = payload.merge(
            before and before.payload, fields, self._failures(), account=account, style="camel"
        )
        self._ask(
            deadline,
            lambda client: client.put_secret_value(
                SecretId=self._name,
                SecretString=text,
                ClientRequestToken=token,
                VersionStages=[PENDING],
            ),
            verb="write",
        )

    @silent
    def make_current(self, version: str, *, replaces: str) -> None:
        """Move the stage of the current version from *replaces* to *version*.

        Raises :class:`safetwilio.errors.BackendError` (ST33x; ST338 if *replaces* has it no more).
        """
        self._ask(
            deadline_of(self._reference),
            lambda client: client.update_secret_version_stage(
                SecretId=self._name,
                VersionStage=CURRENT,
                MoveToVersionId=version,
                RemoveFromVersionId=replaces,
            ),
            verb="write",
        )


def _moment(said: object) -> datetime | None:
    """Return the time that *said* is, if it says of which zone."""
    return said if isinstance(said, datetime) and said.tzinfo is not None else None
