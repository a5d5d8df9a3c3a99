"""What Twilio answers: documents, refusals, and how both write dates and errors.

Error bodies have ``code``, ``message``, ``more_info`` and ``status`` (facts: twilio.md, section 5;
twilio-python reads them in ``twilio/base/version.py``). Messages follow what Twilio was seen to
send, or the title of the code's page where nobody published an answer; only codes and statuses are
meant to be relied upon.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

_DIGITS = 9


@dataclass(frozen=True)
class Answer:
    """A status and the document that goes with it; 204 has none.

    *changes* is what an event tells instead of the document; if empty, nothing happened.
    """

    status: int
    document: dict[str, Any] | None = field(default=None, repr=False)
    changes: dict[str, Any] | None = field(default=None, repr=False)


class Refused(Exception):
    """The request ends here, with Twilio's error *code*, HTTP *status* and *message*."""

    def __init__(self, status: int, code: int, message: str) -> None:
        """Refuse with *status*, *code* and *message*."""
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message

    def answer(self) -> Answer:
        """Return the error as Twilio writes it."""
        return Answer(
            self.status,
            {
                "code": self.code,
                "message": self.message,
                "more_info": f"https://www.twilio.com/docs/errors/{self.code}",
                "status": self.status,
            },
        )


class BadParameter(Refused):
    """A parameter's value is refused; the emulator's assumption decides on the code."""


def not_authenticated() -> Refused:
    """Return 401/20003, the answer to every wrong, deleted, too weak or foreign credential.

    https://www.twilio.com/docs/api/errors/20003: "incorrect, expired, deleted, scoped to the wrong
    account, or not valid for the resource"; the body is in github.com/twilio/twilio-php/issues/380.
    """
    return Refused(401, 20003, "Authenticate")


def not_found(path: str) -> Refused:
    """Return 404/20404 about *path*.

    https://www.twilio.com/docs/api/errors/20404 names unknown and deleted SIDs, unknown paths and
    the wrong product; the body is in github.com/demisto/content/pull/28986.
    """
    return Refused(404, 20404, f"The requested resource {path} was not found")


def method_not_allowed() -> Refused:
    """Return 405/20004.

    https://www.twilio.com/docs/api/errors/20004: the resource is valid, the method is not supported
    for it. The page gives no status; its title is what HTTP calls 405, and so does a third-party
    copy of the docs, https://twilio-api-docs-ixpj.readme.io/reference/common-errors.
    """
    return Refused(405, 20004, "Method not allowed")


def bad_parameter(name: str, why: str) -> BadParameter:
    """Return the error about the value of the parameter *name*, where no code of its own is known.

    Its code is assumed: ``assumptions.requests.BAD_PARAMETER_CODE``.
    """
    return BadParameter(400, 20001, f"Invalid parameter {name}: {why}")


def whole_number(text: str) -> int | None:
    """Return the number that *text* writes in digits, ``None`` if it is none or of no use."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _DIGITS else None


def utc(text: str) -> datetime:
    """Return the moment that *text* means in ISO 8601, in UTC; raises ``ValueError`` if none."""
    moment = datetime.fromisoformat(text)
    try:
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except OverflowError:  # the first or the last day that there is
        raise ValueError(text) from None


def rfc2822(moment: datetime | None) -> str | None:
    """Return *moment* as v2010 resources write it: ``Thu, 24 Aug 2023 05:01:45 +0000``."""
    return None if moment is None else format_datetime(moment)


def iso8601(moment: datetime) -> str:
    """Return *moment* as v1 resources write it: ``2023-08-24T05:01:45Z``."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
