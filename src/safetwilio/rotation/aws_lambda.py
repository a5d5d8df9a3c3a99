"""A function for AWS Lambda that rotates the Twilio API key in a secret of AWS Secrets Manager.

Secrets Manager calls it four times for a rotation, and again for a step that failed. A version's
value can be given once, so of two calls for one step, one key gets there; the other is deleted by
who made it. The key that gave way lives until a rotation that ends an hour later, for its users
may not have looked yet; with ``SAFETWILIO_PREVIOUS_KEY=delete`` it goes at once. When it gave way
is told by Secrets Manager, not by the age of the key that came: that may have been made hours
before. Where Secrets Manager cannot tell, no key is deleted.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from typing_extensions import override

from safetwilio.admin.identity import acting_as
from safetwilio.admin.keys import list_keys
from safetwilio.backends.announced import aws_secret, is_of_aws
from safetwilio.backends.aws_rotation import PENDING, PREVIOUS, AwsVersions
from safetwilio.backends.aws_sm import CURRENT
from safetwilio.backends.locate import parse
from safetwilio.credentials import mask
from safetwilio.errors import AccountOperationError, BackendError
from safetwilio.redaction import install
from safetwilio.rotation.keys import require_known
from safetwilio.rotation.places import Held, Place, held_in
from safetwilio.rotation.service_keys import look_into, subject_of
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
    say,
    target_of,
)
from safetwilio.runbook.keeping import Clock
from safetwilio.shapes import KEY_PREFIX, is_sid

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from pydantic import SecretStr

    from safetwilio.admin.keys import KeySummary
    from safetwilio.backends.announced import AwsSecret
    from safetwilio.backends.aws_rotation import Stages
    from safetwilio.backends.locate import Reference

_ENDPOINT = "SECRETS_MANAGER_ENDPOINT"  # of the functions that AWS's console makes
_CREATE, _SET, _TEST, _FINISH = "createSecret", "setSecret", "testSecret", "finishSecret"
_TOKEN = re.compile(r"[A-Za-z0-9-]{32,64}")
_SECRET = re.compile(
    r"arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:[A-Za-z0-9/_+=.@-]{1,519}"
)
_STILL_REFUSED, _UNREADABLE = "ST624", "ST333"
_OF_A_VERSION = ("stage", "version")
_REGION = ("AWS_DEFAULT_REGION", "AWS_REGION")  # as the backend asks for them; Lambda sets both
_FUNCTION = re.compile(r"arn:aws[a-z-]*:lambda:[a-z0-9-]+:([0-9]{12}):function:.+")
_ROLE = re.compile(r"arn:aws[a-z-]*:iam::([0-9]{12}):role/.+")


class _Asked(NamedTuple):
    """One step of the rotation of *secret* to the version *token*."""

    step: str
    secret: str
    token: str


class _PendingPlace(Place):
    """The secret as it is going to be: what is pending, and before that what is current."""

    def __init__(self, current: Place, versions: AwsVersions, token: str) -> None:
        super().__init__(current.target, current.reference, versions)
        self._versions = versions
        self._token = token

    def pending(self) -> Held | None:
        """Return what the pending version holds, ``None`` as long as it has no value."""
        record = self._versions.record_of(self._token, self.target.account)
        return held_in(record, self.target) if record is not None else None

    @override
    def held(self) -> Held:
        return self.pending() or super().held()

    @override
    def keep(self, fields: Mapping[str, SecretStr], replaces: str | None) -> str:
        self._versions.put_pending(
            fields, self._token, account=self.target.account, replaces=replaces or ""
        )
        return str(self)


def handler(event: Mapping[str, Any], context: object = None) -> None:
    """Do the step of a rotation that AWS Secrets Manager asks for in *event*.

    *context* is what Lambda hands over. A secret that ``SAFETWILIO_BACKEND`` names without an ARN
    is one of the account of the function, which the context tells, or of ``role=``, and of the
    function's region, unless the reference has another.

    Raises :class:`AccountOperationError` (ST636 for an event that asks for nothing that can be
    done, ST637 for a secret that ``SAFETWILIO_BACKEND`` does not name, ST638 if the pending version
    holds no key that works or one of another account, ST639, and ST6xx of Twilio's answers), and
    :class:`safetwilio.errors.ConfigurationError` (ST2xx, ST3xx). The key that is current works on
    in any case.
    """
    install()
    asked = _asked(event)
    gives_way_at_once = deletes_previous()
    reference = _reference(asked.secret, context)
    versions = AwsVersions(reference)
    stages = versions.stages()
    rotation = _Rotation(asked, reference, versions, gives_way_at_once=gives_way_at_once)
    if _is_done(asked, stages):
        log.info("%s: the version is current already", asked.step)
        if asked.step == _FINISH:
            rotation.retire(stages)
        return
    if asked.step == _CREATE:
        rotation.create()
    elif asked.step == _SET:  # other services are told a new password here
        log.info("%s: nothing to do, for Twilio has made the key itself and knows it", asked.step)
    elif asked.step == _TEST:
        rotation.test()
    else:
        rotation.finish(stages)


class _Rotation:
    """The rotation of one secret, as far as it is."""

    def __init__(
        self,
        asked: _Asked,
        reference: Reference,
        versions: AwsVersions,
        *,
        gives_way_at_once: bool,
    ) -> None:
        self._asked = asked
        self._versions = versions
        self._gives_way_at_once = gives_way_at_once
        self._clock = Clock()
        label = aws_secret(asked.secret, None, None).bare_name
        self._name = RunName("aws", label, asked.secret, asked.token)
        self._current = Place(target_of(label, reference), reference, versions)
        self._place = _PendingPlace(self._current, versions, asked.token)

    def create(self) -> None:
        """Give the pending version a new key, unless it has one."""
        is_made = self._place.pending() is not None
        seen = look_into(self._current, identity_for)
        with acting_as([seen.identity], REASON):
            admin = seen.admin()
            if is_made:
                log.info("%s: the pending version has its key already", self._asked.step)
            else:
                subject = subject_of(seen, self._name.run)
                SharedRotation(subject, self._place, admin, LoggedRun(), say=say).replace()
            # What has a value keeps it, so no other key of this name gets there any more.
            kept = {self._pending().key.sid, seen.held.key.sid}
            left = orphans(admin, self._name.key_name, kept, age=timedelta())
            discard(admin, left, say=say, clock=self._clock)

    def test(self) -> None:
        """Prove the key in the pending version."""
        self._require_works()
        log.info("%s: Twilio accepts the pending key", self._asked.step)

    def finish(self, stages: Stages) -> None:
        """Make the pending version the current one.

        The key that is deleted is that of the version before *stages* change: a step that is done
        again would find another one there.
        """
        current = stages.version_with(CURRENT)
        if current is None:
            raise no_event(f"no version of the secret is {CURRENT}")
        self._require_works()
        before = stages.version_with(PREVIOUS)
        self._delete(stages, {before} if before else set())
        failure: BackendError | None = None
        try:
            self._versions.make_current(self._asked.token, replaces=current)
        except BackendError as error:
            failure = error
        now = self._versions.stages()
        if CURRENT not in now.of.get(self._asked.token, ()):
            raise failure or no_event("the stage was moved away again")
        log.info("%s: the new key is current", self._asked.step)
        self.retire(now)

    def retire(self, stages: Stages) -> None:
        """Delete the key that gave way, if it is to go at once."""
        before = stages.version_with(PREVIOUS)
        if self._gives_way_at_once and before:
            self._delete(stages, {before})

    def _delete(self, stages: Stages, versions: Iterable[str]) -> None:
        """Delete the keys of those *versions* that nothing but the stage of the one before keeps.

        Also those that earlier rotations of this secret made and no version holds. Unless all that
        gave way goes at once, a key stays while its users may not have looked yet.
        """
        leaving = {each for each in versions if stages.is_only_previous(each)}
        staged = [version for version, its in stages.of.items() if its]  # AWS shows no others
        sids = {version: self._sid_in(version) for version in staged}
        if any(sid is None for version, sid in sids.items() if version not in leaving):
            log.warning("No key is deleted: a version with a stage holds none that can be read")
            return
        in_use = {sid for version, sid in sids.items() if sid and version not in leaving}
        going = {sid for version, sid in sids.items() if sid and version in leaving} - in_use
        seen = look_into(self._current, identity_for)
        in_use |= {seen.held.key.sid, seen.identity.username}
        with acting_as([seen.identity], REASON):
            admin = seen.admin()
            kept = in_use | {sid for sid in sids.values() if sid}
            if self._gives_way_at_once:
                going |= orphans(admin, self._name.prefix, kept)
            else:
                keys = list_keys(admin)
                since = self._versions.handed_over(stages)
                old = outlived(keys, dict.fromkeys(going, since), since, self._name.prefix)
                self._show_left(going - old - in_use, keys)
                going = (going & old) | (old - kept)
            discard(admin, going - in_use, say=say, clock=self._clock)

    def _show_left(self, sids: Collection[str], keys: Iterable[KeySummary]) -> None:
        """Log that the keys *sids* stay though no version with a stage will hold them."""
        for key in keys:
            if key.sid not in sids:
                continue
            say(
                f"{mask('key', key.sid)} stays: as far as AWS tells, what took its place has not "
                "been there for an hour"
            )
            if not key.name.startswith(self._name.prefix):
                log.warning(
                    "%s was not made by this function, which will not find it again. Delete it "
                    "when nobody uses it.",
                    mask("key", key.sid),
                )

    def _sid_in(self, version: str) -> str | None:
        failure: BackendError | None = None
        try:
            record = self._versions.record_of(version, None)
        except BackendError as error:
            failure = error
        if failure is not None:
            if failure.code == _UNREADABLE:  # it was made before the secret had this form
                return None
            raise failure
        field = record.fields.get("key_sid") if record else None
        return field.reveal() if field and is_sid(field.reveal(), KEY_PREFIX) else None

    def _pending(self) -> Held:
        held = self._place.pending()
        if held is None:
            raise self._useless(f"the version with the stage {PENDING} has no value")
        return held

    def _require_works(self) -> None:
        """Raise ST638 unless the pending key works, and is of the account of the current one.

        A running program takes no key of another account (ST224), and a new one would work there.
        """
        held = self._pending()
        ours = self._current.held().key.account_sid
        if held.key.account_sid != ours:
            raise self._useless(
                f"the version with the stage {PENDING} belongs to the account "
                f"{mask('account', held.key.account_sid)}, and the current one to "
                f"{mask('account', ours)}"
            )
        refused = False
        try:
            require_known(held.key, held, self._clock)
        except AccountOperationError as error:
            if error.code != _STILL_REFUSED:
                raise
            refused = True
        if refused:
            raise self._useless(
                f"Twilio refuses {mask('key', held.key.sid)}, the key in the version with the "
                f"stage {PENDING}"
            )

    def _useless(self, why: str) -> AccountOperationError:
        return AccountOperationError(
            f"The rotation cannot go on: {why}. What is current was not changed, and works. If "
            "createSecret does not mend it, begin anew: aws secretsmanager "
            f"update-secret-version-stage --version-stage {PENDING} --remove-from-version-id "
            f"{self._asked.token} --secret-id {self._place.reference.shown_path}, then aws "
            "secretsmanager rotate-secret",
            code="ST638",
        )


def _asked(event: Mapping[str, Any]) -> _Asked:
    step, secret, token = (_said(event, n) for n in ("Step", "SecretId", "ClientRequestToken"))
    if not isinstance(step, str) or step not in {_CREATE, _SET, _TEST, _FINISH}:
        raise no_event("its Step is none of Secrets Manager's")
    if not isinstance(secret, str) or not _SECRET.fullmatch(secret):
        raise no_event("its SecretId is no ARN of a secret")
    if not isinstance(token, str) or not _TOKEN.fullmatch(token):
        raise no_event("its ClientRequestToken is none")
    return _Asked(step, secret, token)


def _said(event: object, name: str) -> object:
    """Return what *event* says under *name*, nothing if that cannot be read."""
    try:
        return event.get(name) if isinstance(event, Mapping) else None
    except Exception:  # noqa: BLE001 - what came may be anything, also an object that raises
        return None


def _reference(secret: str, context: object) -> Reference:
    """Return the reference of *secret*: as ``SAFETWILIO_BACKEND`` has it, else the secret alone."""
    said = aws_secret(secret, None, None)
    configured = chosen(lambda reference: _is_meant(reference, said, context))
    (bare,) = parse(f"aws-sm://{secret}", place="the event's SecretId")
    found = configured or bare
    options = {k: v for k, v in found.options.items() if k not in _OF_A_VERSION}
    endpoint = os.environ.get(_ENDPOINT, "").strip()
    if endpoint:
        options.setdefault("endpoint", endpoint)
    return found._replace(location=bare.location, shown=bare.shown, options=options)


def _is_meant(reference: Reference, said: AwsSecret, context: object) -> bool:
    """Return whether *reference* means the secret *said*, as this function would read it."""
    region = next(filter(None, (os.environ.get(name) for name in _REGION)), "")
    role = _ROLE.fullmatch(reference.options.get("role", ""))
    arn = getattr(context, "invoked_function_arn", None)
    function = _FUNCTION.fullmatch(arn) if isinstance(arn, str) else None
    owner = role or function
    return is_of_aws(reference, said, region=region, owner=owner[1] if owner else None)


def _is_done(asked: _Asked, stages: Stages) -> bool:
    """Return whether the version is current already; raise ST636 if its rotation is not open."""
    if not stages.is_rotated:
        raise no_event("the secret is not set up for rotation")
    if asked.token not in stages.of:
        raise no_event("the secret has no version with its ClientRequestToken")
    if CURRENT in stages.of[asked.token]:
        return True
    if PENDING not in stages.of[asked.token]:
        raise no_event(f"the version with its ClientRequestToken is not {PENDING}")
    return False
