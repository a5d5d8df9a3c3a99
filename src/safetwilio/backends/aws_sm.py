"""``aws-sm://name-or-arn?region=&stage=&version=&role=&endpoint=#field``: AWS Secrets Manager.

Login is boto3's own (environment, profile, SSO, container, instance), with ``role=`` a role taken
on top of it. A stage is always named, AWSCURRENT unless the reference says otherwise. Every load
has a session and a client of its own, so nothing is carried over a fork.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any, NamedTuple

from safetwilio.backends import payload
from safetwilio.backends.addresses import is_safe
from safetwilio.backends.aws_errors import explain, is_absent, may_pass
from safetwilio.backends.deadline import OPTION as TIMEOUT
from safetwilio.backends.deadline import Deadline, Outcome, deadline_of, run
from safetwilio.backends.failures import Failures, silent
from safetwilio.backends.interface import Absent
from safetwilio.backends.locate import require_options, unreadable
from safetwilio.extras import need
from safetwilio.problems import Attempt

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pydantic import SecretStr

    from safetwilio.backends.interface import Found
    from safetwilio.backends.locate import Reference

SERVICE = "AWS Secrets Manager"
CURRENT = "AWSCURRENT"
_ASIDE = "SAFETWILIO"  # where a new version waits: AWSPENDING belongs to AWS's own rotation
_OPTIONS = ("region", "stage", "version", "role", "endpoint", TIMEOUT)
_SESSION_NAME = "safetwilio"
_ARN_PARTS = 7


class _Secret(NamedTuple):
    """One version of the secret as AWS gave it."""

    payload: bytes | str
    version: str


class AwsBackend:
    """Reads and writes one secret."""

    def __init__(self, reference: Reference) -> None:
        """Take name, stage and the rest from *reference*."""
        require_options(reference, *_OPTIONS, field=True)
        self._name = reference.path
        if not self._name:
            raise unreadable(reference, "Name the secret, as in aws-sm://prod/twilio")
        self._options = reference.options
        self._reference = reference
        self._endpoint = reference.options.get("endpoint")
        if self._endpoint is not None and not is_safe(self._endpoint):
            raise Failures(reference, SERVICE).plain_http(where="its option endpoint")

    @silent
    def load(self, account: str | None) -> Found | Absent:
        """Return the record in the secret.

        Raises :class:`safetwilio.errors.BackendError` (ST33x) and
        :class:`safetwilio.errors.MissingExtra` (ST901).
        """
        secret = self._get(deadline_of(self._reference))
        if secret is None:
            return Absent((Attempt("aws-sm", self._name, "no such secret"),))
        document = payload.read(
            secret.payload, self._failures(), account=account, version=secret.version
        )
        return document.answer(account)

    @silent
    def require_writable(self) -> None:
        """Raise (ST3xx) if the secret cannot be looked at; only a write shows more."""
        if "version" in self._options:
            raise unreadable(self._reference, "Leave version= out to write: it makes a new one.")
        secret = self._get(deadline_of(self._reference))
        payload.merge(  # understood now, rather than after a key was made
            secret and secret.payload, {}, self._failures(), account=None, style="camel"
        )

    @silent
    def save(
        self,
        fields: Mapping[str, SecretStr],
        *,
        account: str | None,
        replaces: str | None = None,
    ) -> str:
        """Keep *fields* as a new version, and move the stage to it if it is where it was.

        AWS's managed schema names new fields; what else the JSON holds stays.
        Raises :class:`safetwilio.errors.BackendError` (ST33x, ST338, ST340).
        """
        deadline = deadline_of(self._reference)
        before = self._get(deadline)
        found = before.version if before else ""
        if replaces is not None and replaces != found:
            raise self._failures().changed_meanwhile(expected=replaces, found=found)
        text = payload.merge(
            before and before.payload, fields, self._failures(), account=account, style="camel"
        )
        if before is None:
            self._ask(deadline, lambda client: self._create(client, text), verb="create")
        else:
            self._ask(deadline, lambda client: self._replace(client, text, found), verb="write")
        return str(self._reference)

    def _create(self, client: Any, text: str) -> None:
        client.create_secret(
            Name=self._name, SecretString=text, ClientRequestToken=str(uuid.uuid4())
        )

    def _replace(self, client: Any, text: str, old: str) -> None:
        """Put the new version aside, then move the stage: AWS refuses if *old* has it no more."""
        stage = self._options.get("stage", CURRENT)
        new = client.put_secret_value(
            SecretId=self._name,
            SecretString=text,
            ClientRequestToken=str(uuid.uuid4()),
            VersionStages=[_ASIDE],
        )["VersionId"]
        client.update_secret_version_stage(
            SecretId=self._name, VersionStage=stage, MoveToVersionId=new, RemoveFromVersionId=old
        )

    def _get(self, deadline: Deadline) -> _Secret | None:
        """Return the version that the reference means, ``None`` if there is no such secret."""
        wanted = {"SecretId": self._name}
        if "version" in self._options:
            wanted["VersionId"] = self._options["version"]
        if "stage" in self._options or "version" not in self._options:
            wanted["VersionStage"] = self._options.get("stage", CURRENT)
        outcome, who = self._try(deadline, lambda client: client.get_secret_value(**wanted))
        if self._is_gone(deadline, outcome.error):
            return None
        answer = self._settle(outcome, who, deadline, "read")
        text = answer.get("SecretString")
        return _Secret(answer["SecretBinary"] if text is None else text, answer["VersionId"])

    def _ask(self, deadline: Deadline, call: Callable[[Any], Any], *, verb: str) -> Any:
        """Return what *call* returns for a client, or raise ST33x."""
        # never again: what was written, though the answer was lost, would look like another's
        return self._settle(*self._try(deadline, call, again=lambda _: False), deadline, verb)

    def _settle(self, outcome: Outcome[Any], who: _Who, deadline: Deadline, verb: str) -> Any:
        """Return the answer of *outcome*, or raise what its error means."""
        if outcome.error is None:
            return outcome.answer
        raise explain(
            outcome.error,
            self._failures(who.name),
            secret=self._name,
            verb=verb,
            seconds=deadline.seconds,
            role=who.taking,
        )

    def _is_gone(self, deadline: Deadline, error: Exception | None) -> bool:
        """Return whether *error* says that there is no secret of that name.

        With a stage or version of the reference's own it may be that which is missing, and the
        chain must not go on past a pinned secret: then AWS is asked about the secret itself.
        """
        if error is None or not is_absent(error):
            return False
        if not self._options.keys() & {"stage", "version"}:
            return True
        outcome, _ = self._try(deadline, lambda c: c.describe_secret(SecretId=self._name))
        return outcome.error is not None and is_absent(outcome.error)

    def _try(
        self,
        deadline: Deadline,
        call: Callable[[Any], Any],
        again: Callable[[Exception], bool] = may_pass,
    ) -> tuple[Outcome[Any], _Who]:
        boto3 = need("boto3", extra="aws", purpose="aws-sm:")
        config = need("botocore.config", extra="aws", purpose="aws-sm:").Config(
            connect_timeout=deadline.seconds,
            read_timeout=deadline.seconds,
            retries={"total_max_attempts": 1, "mode": "standard"},
        )
        who = _Who()
        return run(deadline, lambda: call(self._client(boto3, config, who)), again=again), who

    def _client(self, boto3: Any, config: Any, who: _Who) -> Any:
        """Return a client of this load alone; *who* is told whose login it has."""
        session = boto3.session.Session(region_name=self._region())
        credentials = session.get_credentials()
        who.name = f"AWS credentials from {credentials.method}" if credentials else ""
        login: dict[str, str] = {}
        role = self._options.get("role")
        if role:
            who.taking = role
            sts = session.client("sts", config=config)
            taken = sts.assume_role(RoleArn=role, RoleSessionName=_SESSION_NAME)["Credentials"]
            who.name, who.taking = role, None
            login = {
                "aws_access_key_id": taken["AccessKeyId"],
                "aws_secret_access_key": taken["SecretAccessKey"],
                "aws_session_token": taken["SessionToken"],
            }
        return session.client("secretsmanager", config=config, endpoint_url=self._endpoint, **login)

    def _region(self) -> str | None:
        """Return the region of the reference: its option, or the one in its ARN."""
        parts = self._name.split(":")
        arn = parts[3] if len(parts) >= _ARN_PARTS and parts[0] == "arn" else None
        return self._options.get("region") or arn

    def _failures(self, identity: str | None = None) -> Failures:
        return Failures(self._reference, SERVICE, identity or None)


class _Who:
    """Whose login is in use, as far as the call got; *taking* is the role that it stopped at."""

    name = ""
    taking: str | None = None
