"""Secrets as the events of AWS and Google name them, and whether a reference means such a one."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from safetwilio.backends.locate import Reference

LARGEST = 2 * 1024 * 1024  # bytes of an event
_ARN = re.compile(r"arn:aws[a-z-]*:secretsmanager:([a-z0-9-]+):([0-9]{12}):secret:(.+)")
_SUFFIX = re.compile(r"-[A-Za-z0-9]{6}")
_SUFFIX_LENGTH = 7
_GOOGLE_NAME = re.compile(r"projects/([!-.0-~]+)(?:/locations/([!-.0-~]+))?/secrets/([!-.0-~]+)")


class AwsSecret(NamedTuple):
    """One secret of AWS, as far as it is known: of *region* and *owner*, with a *name*.

    Of an ARN the name *has_suffix*, six characters that AWS has put behind it.
    """

    region: str | None
    owner: str | None
    name: str
    has_suffix: bool

    @property
    def bare_name(self) -> str:
        """The name without the characters that AWS has put behind it."""
        return self.name[:-_SUFFIX_LENGTH] if self.has_suffix else self.name


class GoogleSecret(NamedTuple):
    """One secret of Google: in *project*, by id or number, of a *location* if it is regional."""

    project: str
    location: str | None
    name: str


class GoogleMessage(NamedTuple):
    """What Pub/Sub brings of Google Secret Manager: the *event* of a *secret*, *id* and time."""

    event: str
    secret: GoogleSecret
    id: str | None
    published: datetime | None


def from_json(said: object) -> object:
    """Return what the text *said* means, nothing if it means nothing, and all else as it is."""
    if not isinstance(said, (str, bytes)):
        return said
    if len(said) > LARGEST:
        return None
    try:
        return json.loads(said)
    except (ValueError, RecursionError):
        return None


def aws_secret(text: str, region: str | None, owner: str | None) -> AwsSecret:
    """Return the secret that *text* names, by ARN or within *region* and *owner* by its name."""
    arn = _ARN.fullmatch(text)
    if arn:
        name = arn[3]
        has_suffix = _SUFFIX.fullmatch(name[-_SUFFIX_LENGTH:]) is not None
        return AwsSecret(arn[1], arn[2], name, has_suffix)
    return AwsSecret(region, owner, text, has_suffix=False)


def is_of_aws(
    reference: Reference, said: AwsSecret, *, region: str | None = None, owner: str | None = None
) -> bool:
    """Return whether *reference* may mean the secret *said*: what is not known may be anything.

    A name is one of *region* and *owner*, unless the reference has a region of its own.
    """
    if reference.scheme != "aws-sm":
        return False
    ours = aws_secret(reference.path, reference.options.get("region", region), owner)
    if not _agree(ours.region, said.region) or not _agree(ours.owner, said.owner):
        return False
    if ours.name == said.name:
        return True
    return _is_before_suffix(ours.name, said) or _is_before_suffix(said.name, ours)


def google_message(message: object) -> GoogleMessage | None:
    """Return what *message* says, ``None`` if it is none of Google Secret Manager.

    It is an object with ``attributes``, or what is pushed, ``{"message": {"attributes": …}}``: a
    ``dict``, its JSON, or the data of a CloudEvent. Whatever else it is, nothing is raised.
    """
    try:
        return _google_message(message)
    except Exception:  # noqa: BLE001 - what came may be anything, also an object that raises
        return None


def is_of_google(reference: Reference, said: GoogleSecret) -> bool:
    """Return whether *reference* may mean the secret *said*.

    Projects are compared only where both are numbers or both are ids.
    """
    if reference.scheme != "gcp-sm":
        return False
    project, _, name = reference.path.rpartition("/")
    if name != said.name or reference.options.get("location") != said.location:
        return False
    return project == said.project or project.isdecimal() != said.project.isdecimal()


def _google_message(message: object) -> GoogleMessage | None:
    message = from_json(message)
    if not isinstance(message, dict) and not hasattr(message, "attributes"):
        message = from_json(getattr(message, "data", None))
    if isinstance(message, dict):
        inner = message.get("message", message)
        if not isinstance(inner, dict):
            return None
        attributes = inner.get("attributes")
        name = inner.get("messageId", inner.get("message_id"))
        published = inner.get("publishTime", inner.get("publish_time"))
    else:
        attributes = getattr(message, "attributes", None)
        name = getattr(message, "message_id", None)
        published = getattr(message, "publish_time", None)
    if not isinstance(attributes, Mapping):
        return None
    if isinstance(name, str) and not name.isascii():  # Google's are numbers
        return None
    event, secret = attributes.get("eventType"), _google_secret(attributes)
    if not isinstance(event, str) or secret is None:
        return None
    is_named = isinstance(name, str) and name
    return GoogleMessage(event, secret, name if is_named else None, _moment(published))


def _google_secret(attributes: Mapping[str, object]) -> GoogleSecret | None:
    text = attributes.get("secretId")
    found = _GOOGLE_NAME.fullmatch(text) if isinstance(text, str) else None
    return GoogleSecret(found[1], found[2], found[3]) if found else None


def _moment(said: object) -> datetime | None:
    """Return the time that *said* is, if it says of which zone."""
    found = said if isinstance(said, datetime) else None
    try:
        found = datetime.fromisoformat(said) if isinstance(said, str) else found
    except ValueError:
        return None
    return found if found is not None and found.tzinfo is not None else None


def _is_before_suffix(name: str, other: AwsSecret) -> bool:
    return other.has_suffix and other.bare_name == name


def _agree(one: str | None, other: str | None) -> bool:
    return one is None or other is None or one == other
