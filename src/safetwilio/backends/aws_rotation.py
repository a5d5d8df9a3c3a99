"""The versions of a secret while AWS Secrets Manager rotates it.

A version is called by the token of its rotation. Its value is given once: who comes second with
another one is refused, so two that do the same at once cannot both have written.
"""

from __future__ import annotations

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
    """Whether the secret *is_rotated* by AWS, and the stages *of* each version that has one."""

    is_rotated: bool
    of: Mapping[str, frozenset[str]]

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
        )

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
