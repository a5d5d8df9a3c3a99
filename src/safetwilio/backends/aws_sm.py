"""``aws-sm://name-or-arn?region=&stage=&version=&role=&endpoint=#field``: AWS Secrets Manager.

Login is that of botocore, the core of boto3 (environment, profile, SSO, container, instance), with
``role=`` a role taken on top of it. A stage is always named, AWSCURRENT unless the reference says
otherwise. Every load has a session and a client of its own, so nothing is carried over a fork.
"""

from __future__ import annotations

import os
import re
import uuid
from contextlib import closing
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.request import getproxies

from safetwilio.backends import payload
from safetwilio.backends.addresses import is_safe, origin
from safetwilio.backends.aws_errors import (
    NoLogin,
    NoRegion,
    UnsafeEndpoint,
    Who,
    explain,
    has_no_value,
    is_absent,
    may_pass,
)
from safetwilio.backends.bodies import Bounded, TooLongError
from safetwilio.backends.deadline import OPTION as TIMEOUT
from safetwilio.backends.deadline import Deadline, Outcome, deadline_of, run_noting
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
ASIDE = "SAFETWILIO"  # where a new version waits: AWSPENDING belongs to AWS's own rotation
_OPTIONS = ("region", "stage", "version", "role", "endpoint", TIMEOUT)
_SESSION_NAME = "safetwilio"
_NAME = re.compile(r"[A-Za-z0-9/_+=.@-]{1,512}")
_ARN = re.compile(
    r"arn:aws[a-z-]*:secretsmanager:([a-z0-9-]+):[0-9]{12}:secret:[A-Za-z0-9/_+=.@-]{1,519}"
)
_ROLE = re.compile(r"arn:aws[a-z-]*:iam::[0-9]{12}:role/[A-Za-z0-9_+=,.@/-]{1,576}")


class _Secret(NamedTuple):
    """One version of the secret as AWS gave it."""

    payload: bytes | str | None
    version: str


# A secret without a value, as Terraform and CloudFormation make it.
_EMPTY = _Secret(None, "")


class AwsBackend:
    """Reads and writes one secret."""

    def __init__(self, reference: Reference) -> None:
        """Take name, stage and the rest from *reference*."""
        require_options(reference, *_OPTIONS, field=True)
        self._reference = reference
        self._options = reference.options
        self._name = reference.path
        self._arn = _ARN.fullmatch(self._name)
        self._require_readable()
        # what stands before an @ is never shown, though in a name it is no password
        self._shown = reference.shown_path
        self._endpoint = reference.options.get("endpoint")
        if self._endpoint is not None and not is_safe(self._endpoint):
            raise Failures(reference, SERVICE).plain_http(where="its option endpoint")

    def _require_readable(self) -> None:
        """Raise ST302 for what AWS would refuse, or take for something else."""
        options = self._options
        empty = next((name for name in _OPTIONS if options.get(name) == ""), None)
        fix = ""
        if not (self._arn or _NAME.fullmatch(self._name)):
            fix = "Name the secret, as in aws-sm://prod/twilio, or give its whole ARN."
        elif empty is not None:
            fix = f"Its option {empty} is empty: give a value, or leave it out."
        elif "role" in options and not _ROLE.fullmatch(options["role"]):
            fix = "Its option role is a role's ARN, as in arn:aws:iam::123456789012:role/app."
        elif self._arn and options.get("region", self._arn[1]) != self._arn[1]:
            fix = "Its option region is not the region in the ARN: leave it out."
        if fix:
            raise unreadable(self._reference, fix)

    @silent
    def load(self, account: str | None) -> Found | Absent:
        """Return the record in the secret.

        Raises :class:`safetwilio.errors.BackendError` (ST33x) and
        :class:`safetwilio.errors.MissingExtra` (ST901).
        """
        secret = self._get(deadline_of(self._reference))
        if secret is None or secret.payload is None:
            why = "no such secret" if secret is None else "the secret has no value yet"
            return Absent((Attempt("aws-sm", self._shown, why),))
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
        if before is None and not self._exists(deadline):
            self._require_name()
            self._ask(deadline, lambda client: self._create(client, text), verb="create")
        else:
            self._ask(deadline, lambda client: self._replace(client, text, found), verb="write")
        return str(self._reference)

    def _require_name(self) -> None:
        if self._arn or self._options.get("stage", CURRENT) != CURRENT:
            raise unreadable(
                self._reference,
                "There is no such secret. To have it made, give its name instead of an ARN, and "
                f"leave stage= out: a new secret's version has the stage {CURRENT}.",
            )

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
            VersionStages=[ASIDE],
        )
        if stage in new["VersionStages"]:  # it is the secret's first, which AWS makes the current
            return
        client.update_secret_version_stage(
            SecretId=self._name,
            VersionStage=stage,
            MoveToVersionId=new["VersionId"],
            **({"RemoveFromVersionId": old} if old else {}),
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
        if outcome.error and has_no_value(outcome.error) and not self._is_pinned():
            return _EMPTY
        answer = self._settle(outcome, who, deadline, "read")
        found = answer.get("SecretString", answer.get("SecretBinary"))
        version = answer.get("VersionId")
        if not isinstance(found, (str, bytes)) or not isinstance(version, str):
            raise self._failures(who.name).malformed(
                what="an answer without a text or its version",
                fix="Something else than AWS answered: check endpoint= and AWS_ENDPOINT_URL.",
            )
        return _Secret(found, version)

    def _ask(self, deadline: Deadline, call: Callable[[Any], Any], *, verb: str) -> Any:
        """Return what *call* returns for a client, or raise ST33x."""
        # never again: what was written, though the answer was lost, would look like another's
        return self._settle(*self._try(deadline, call, again=lambda _: False), deadline, verb)

    def _settle(self, outcome: Outcome[Any], who: Who, deadline: Deadline, verb: str) -> Any:
        """Return the answer of *outcome*, or raise what its error means."""
        if outcome.error is None:
            return outcome.answer
        failures = self._failures(who.name)
        if isinstance(outcome.error, TooLongError):
            raise failures.unreachable(where=who.at, why=str(outcome.error))
        raise explain(
            outcome.error,
            failures,
            secret=self._shown,
            verb=verb,
            seconds=deadline.seconds,
            who=who,
        )

    def _is_pinned(self) -> bool:
        return bool(self._options.keys() & {"stage", "version"})

    def _is_gone(self, deadline: Deadline, error: Exception | None) -> bool:
        """Return whether *error* says that there is no secret of that name.

        With a stage or version of the reference's own it may be that which is missing, and the
        chain must not go on past a pinned secret: then AWS is asked about the secret itself.
        """
        if error is None or not is_absent(error):
            return False
        if not self._is_pinned():
            return True
        outcome, _ = self._describe(deadline)
        return outcome.error is not None and is_absent(outcome.error)

    def _exists(self, deadline: Deadline) -> bool:
        """Return whether AWS knows the secret, by whatever words it said that it has no value."""
        outcome, _ = self._describe(deadline)
        return outcome.error is None

    def _describe(self, deadline: Deadline) -> tuple[Outcome[Any], Who]:
        return self._try(deadline, lambda client: client.describe_secret(SecretId=self._name))

    def _try(
        self,
        deadline: Deadline,
        call: Callable[[Any], Any],
        again: Callable[[Exception], bool] = may_pass,
    ) -> tuple[Outcome[Any], Who]:
        config = need("botocore.config", extra="aws", purpose="aws-sm:").Config(
            connect_timeout=deadline.seconds,
            read_timeout=deadline.seconds,
            retries={"total_max_attempts": 1, "mode": "standard"},
        )
        session = self._session()

        def ask(who: Who) -> Any:
            with closing(self._client(session, config, who)) as client:
                return call(client)

        return run_noting(deadline, Who, ask, again=again)

    def _session(self) -> Any:
        """Return a session of its own, with what botocore knows of the services read from disk.

        That is most of a client's cost and takes no network, so it is done before the deadline.
        """
        loader = need("botocore.loaders", extra="aws", purpose="aws-sm:").create_loader(
            os.environ.get("AWS_DATA_PATH")
        )
        loader.load_data("endpoints")
        for service in ("secretsmanager", *(["sts"] if "role" in self._options else [])):
            for kind in ("service-2", "endpoint-rule-set-1"):
                loader.load_service_model(service, kind)
        session = need("botocore.session", extra="aws", purpose="aws-sm:").Session()
        session.register_component("data_loader", loader)
        return session

    def _client(self, session: Any, config: Any, who: Who) -> Any:
        """Return a client of this load alone; *who* is told whose login it has."""
        who.at = "looking for AWS credentials"
        # every SDK but Python's reads AWS_REGION, and some platforms set no other
        region = (
            self._region() or session.get_config_variable("region") or os.environ.get("AWS_REGION")
        )
        if not region:  # an empty one, which botocore would take
            raise NoRegion
        config = config.merge(type(config)(region_name=region))
        credentials = session.get_credentials()
        if credentials is None:  # said now: botocore would look for some again
            raise NoLogin
        who.name = f"AWS credentials from {_origin(credentials.method, session.profile)}"
        login: dict[str, str] = {}
        role = self._options.get("role")
        if role:
            who.taking = role
            with closing(_open(session, "sts", config, who)) as sts:
                taken = sts.assume_role(RoleArn=role, RoleSessionName=_SESSION_NAME)["Credentials"]
            who.name, who.taking = role, None
            login = {
                "aws_access_key_id": taken["AccessKeyId"],
                "aws_secret_access_key": taken["SecretAccessKey"],
                "aws_session_token": taken["SessionToken"],
            }
        return _open(session, "secretsmanager", config, who, endpoint_url=self._endpoint, **login)

    def _region(self) -> str | None:
        """Return the region of the reference: its option, or the one in its ARN."""
        return self._options.get("region") or (self._arn[1] if self._arn else None)

    def _failures(self, identity: str | None = None) -> Failures:
        return Failures(self._reference, SERVICE, identity or None)


def _origin(method: str, profile: str | None) -> str:
    """Return where botocore found a login: its *method*, and the *profile* if one was chosen."""
    is_told = method != "env" and profile not in {None, "default"}
    return f"{method}, profile {profile}" if is_told else method


def _open(session: Any, service: str, config: Any, who: Who, **how: Any) -> Any:
    """Return a client for *service*; its address, from wherever it came, is looked at first."""
    client = session.create_client(service, config=config, **how)
    address = client.meta.endpoint_url
    who.at = origin(address)
    if not is_safe(address):
        client.close()
        raise UnsafeEndpoint(who.at)
    if address.startswith("http:") and "http" in getproxies() and config.proxies is None:
        # botocore would send even this machine's own addresses to the proxy, in the clear
        client.close()
        return _open(session, service, config.merge(type(config)(proxies={})), who, **how)
    endpoint = getattr(client, "_endpoint", None)  # there is no other way to what sends
    if endpoint is not None:
        endpoint.http_session = _Sender(endpoint.http_session, config.read_timeout)
    return client


class _Sender:
    """botocore's own way to send, but for the length of an answer, to which it has no bound."""

    def __init__(self, session: Any, seconds: float) -> None:
        self._session = session
        self._seconds = seconds

    def send(self, request: Any) -> Any:
        """Return the response to *request*, read; raises what :class:`Bounded` does."""
        request.stream_output = True  # so that it is read here
        response = self._session.send(request)
        response.raw = Bounded(response.raw, self._seconds)
        try:
            response.content  # noqa: B018 - reads it
        except (TooLongError, TimeoutError):
            raise
        except Exception as error:
            # as botocore does, where it reads it
            broken = need("botocore.exceptions", extra="aws", purpose="aws-sm:")
            if type(error).__name__ == "ReadTimeoutError":
                raise broken.ReadTimeoutError(endpoint_url=request.url, error=error) from error
            raise broken.ConnectionClosedError(
                error=error, request=request, endpoint_url=request.url
            ) from error
        return response

    def close(self) -> None:
        """Close its idle connections."""
        self._session.close()
