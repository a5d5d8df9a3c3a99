"""What an account's log holds: events (what was changed) and alerts (what went wrong)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypedDict

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

Source = Literal["api", "web", "twilio"]
Level = Literal["error", "warning", "notice", "debug"]


class EventDetails(TypedDict, total=False):
    """What an event may tell besides its type and time."""

    resource_sid: str | None
    actor_sid: str | None
    actor_type: str | None
    source: Source
    source_ip_address: str | None
    properties: Mapping[str, Any] | None


class AlertDetails(TypedDict, total=False):
    """What an alert may tell besides its code and time."""

    level: Level
    text: str
    resource_sid: str | None
    request_method: str | None
    request_url: str | None
    request_variables: str | None


@dataclass(frozen=True)
class Event:
    """Something that was changed.

    *actor_type* is ``account``, ``user`` or ``twilio-admin`` (docs/usage/monitor-events).
    *properties* may hold what users wrote and do not show in the repr.
    """

    sid: str
    account_sid: str
    event_type: str
    at: datetime
    resource_sid: str | None = None
    actor_sid: str | None = None
    actor_type: str | None = None
    source: Source = "api"
    source_ip_address: str | None = None
    properties: Mapping[str, Any] | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Alert:
    """Something that went wrong, as Twilio's debugger lists it; URL and text stay out of the repr.

    *level* is ``error``, ``warning``, ``notice`` or ``debug`` (OpenAPI: log_level).
    """

    sid: str
    account_sid: str
    error_code: str
    at: datetime
    level: Level = "error"
    text: str = field(default="", repr=False)
    resource_sid: str | None = None
    request_method: str | None = None
    request_url: str | None = field(default=None, repr=False)
    request_variables: str | None = field(default=None, repr=False)
