"""What a secret store says of itself: a secret was replaced, so it is looked for at once.

For programs that receive such events anyway; the others find a new one by its age. An event is not
trusted: the worst that a forged one does is one look.
"""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING, Any

from safetwilio._boot import DEFAULT, booted_accounts, get_account, refresh
from safetwilio.backends.announced import (
    aws_secret,
    from_json,
    google_message,
    is_of_aws,
    is_of_google,
)
from safetwilio.errors import SafeTwilioError
from safetwilio.process_state import receivers
from safetwilio.settings import references_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from safetwilio.backends.announced import AwsSecret, GoogleSecret
    from safetwilio.backends.locate import Reference
    from safetwilio.process_state import WebhookReceiver

_log = logging.getLogger("safetwilio")

_AWS_SOURCE = "secretsmanager.amazonaws.com"
_AWS_EVENTS = frozenset(
    {
        "PutSecretValue",
        "UpdateSecretVersionStage",
        "UpdateSecret",
        "RotateSecret",
        "RotationSucceeded",
    }
)
_AWS_PARTS = ("requestParameters", "responseElements", "additionalEventData", "serviceEventDetails")
_AWS_IDS = frozenset({"secretid", "arn"})  # before 2024 some events said aRN
_ENVELOPES = ("Records", "Messages")
_LETTERS = ("body", "Body", "Sns", "Message")
_DEEPEST = 8
_MOST = 1000
_GOOGLE_EVENTS = frozenset({"SECRET_VERSION_ADD", "SECRET_VERSION_ENABLE"})


def on_aws_event(event: object) -> bool:
    """Look for all that comes from the secret that *event* is about; return if something does.

    That is the keys of accounts, and what webhooks are signed with.

    *event* is what EventBridge says of AWS Secrets Manager: a call to PutSecretValue, UpdateSecret,
    UpdateSecretVersionStage or RotateSecret, or that a rotation succeeded. It is a ``dict`` or its
    JSON, alone or in messages of SQS or SNS. One look is made for each account, and for each
    receiver of webhooks, here and now: under asyncio call this in a thread. If that fails, a
    warning says so and what is there stays in use; what has not been loaded yet needs no look.
    Whatever else *event* is, the answer is ``False``; nothing is raised.

    The calls are as AWS's user guide has them under "Match AWS Secrets Manager events with Amazon
    EventBridge" and "AWS CloudTrail entries for Secrets Manager": ``detail.requestParameters``
    holds a ``secretId``, by name or ARN, ``detail.responseElements`` an ``arn`` (before February
    2024 also ``aRN``). For RotationSucceeded those pages give no whole event; events that others
    have published have the ARN in ``detail.additionalEventData.SecretId``, some in
    ``detail.serviceEventDetails.secretId``, and both are read.
    """
    return _safely(lambda: _look_for(_aws_secrets(event), is_of_aws))


def on_google_message(message: object) -> bool:
    """Look for all that comes from the secret that *message* is about; return if something does.

    *message* is what Pub/Sub brings of Google Secret Manager: an object with ``attributes``, or
    what is pushed, ``{"message": {"attributes": …}}``, a ``dict`` or its JSON. ``eventType`` is
    SECRET_VERSION_ADD or SECRET_VERSION_ENABLE. All else is as with :func:`on_aws_event`.

    The attributes are as in Google's "Set up notifications on a secret", where ``secretId`` is
    ``projects/p/secrets/my-secret``. Whether *p* is the project's number or its id is not said
    there, so projects are compared only where both are one or the other. That the name of a
    regional secret has ``/locations/…`` in it is how Google's API names them.
    """
    return _safely(lambda: _look_for(_google_secrets(message), is_of_google))


def _safely(look: Callable[[], bool]) -> bool:
    try:
        return look()
    except Exception as error:  # noqa: BLE001 - what came may be anything, also an object that raises
        kind = type(error).__name__
    _log.debug("A notification could not be read: %s", kind)
    return False


def _look_for(said: Iterator[Any], is_of: Callable[[Reference, Any], bool]) -> bool:
    """Look for what is loaded from a reference to one of those *said*: keys, webhooks' secrets."""
    secrets = list(said)
    if not secrets:
        _log.debug("A notification says of no secret that it was replaced")
        return False

    def are_concerned(references: Callable[[], tuple[Reference, ...]]) -> bool:
        return any(is_of(each, secret) for each in _read(references) for secret in secrets)

    keys = [name for name in booted_accounts() if are_concerned(partial(_references, name))]
    webhooks = [each for each in receivers() if are_concerned(each.references)]
    for name in keys:
        if code := _failure(partial(refresh, _alias(name))):
            _warn(f"the key of the account {name}", code)
    for each in webhooks:
        if code := _failure(each.refresh):
            _warn(f"what the webhooks of the account {_name(each)} are signed with", code)
    return bool(keys or webhooks)


def _references(name: str) -> tuple[Reference, ...]:
    return references_of(get_account(_alias(name)).settings)


def _read(references: Callable[[], tuple[Reference, ...]]) -> tuple[Reference, ...]:
    try:
        return references()
    except SafeTwilioError:  # it was refused meanwhile, or the environment has changed
        return ()


def _name(receiver: WebhookReceiver) -> str:
    health = receiver.health()
    return DEFAULT if health is None else health.name


def _failure(look: Callable[[], object]) -> str | None:
    try:
        look()
    except SafeTwilioError as error:
        return error.code
    return None


def _warn(what: str, code: str) -> None:
    _log.warning(
        "A notification said that %s was replaced, but it could not be looked for (%s): the one "
        "that is there stays in use",
        what,
        code,
    )


def _alias(name: str) -> str | None:
    return None if name == DEFAULT else name


def _aws_secrets(event: object) -> Iterator[AwsSecret]:
    """Yield the secrets that the events in *event* are about."""
    for each in _unpacked(event):
        detail = each["detail"]
        is_ours = detail.get("eventSource") == _AWS_SOURCE
        if not is_ours or _text(detail.get("eventName")) not in _AWS_EVENTS:
            continue
        if detail.get("errorCode"):  # the call was refused
            continue
        region, owner = detail.get("awsRegion"), detail.get("recipientAccountId")
        for part in _AWS_PARTS:
            said = detail.get(part)
            for key, value in said.items() if isinstance(said, dict) else ():
                if isinstance(key, str) and key.lower() in _AWS_IDS and isinstance(value, str):
                    yield aws_secret(value, _text(region), _text(owner))


def _unpacked(event: object) -> Iterator[dict[str, Any]]:
    """Yield the events in the envelopes of SQS, SNS and Lambda, however they are put together."""
    left: list[tuple[object, int]] = [(event, 0)]
    for _ in range(_MOST):
        if not left:
            return
        here, depth = left.pop()
        here = from_json(here)
        inner: list[object] = []
        if isinstance(here, list):
            inner = here
        elif isinstance(here, dict) and isinstance(here.get("detail"), dict):
            yield here
        elif isinstance(here, dict):
            inner = [here[name] for name in (*_ENVELOPES, *_LETTERS) if name in here]
        if depth < _DEEPEST:
            left += [(each, depth + 1) for each in inner[:_MOST]]


def _google_secrets(message: object) -> Iterator[GoogleSecret]:
    """Yield the secret that *message* is about."""
    said = google_message(message)
    if said is not None and said.event in _GOOGLE_EVENTS:
        yield said.secret


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
