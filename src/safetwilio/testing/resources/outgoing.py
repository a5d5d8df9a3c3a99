"""Checking a message before it is accepted.

Each code has a page, https://www.twilio.com/docs/api/errors/<code>; the magic numbers that test
credentials take, and their codes, are the two tables (From, To) of
https://www.twilio.com/docs/iam/test-credentials#test-sms-messages.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from safetwilio.shapes import is_sid
from safetwilio.testing.answers import Refused, utc
from safetwilio.testing.assumptions import messages as assumed
from safetwilio.testing.assumptions import numbers as assumed_of_numbers
from safetwilio.testing.assumptions import services as assumed_of_services
from safetwilio.testing.records import Message, new_sid
from safetwilio.testing.resources import numbers, services
from safetwilio.testing.resources.messaging_geo import may_send

if TYPE_CHECKING:
    from safetwilio.testing.call import Call

LONGEST_BODY = 1600  # OpenAPI: Body, up to 1,600 characters; errors/21617
SOONEST, LATEST = timedelta(minutes=15), timedelta(days=35)  # errors/35114
MAGIC_SENDER = "+15005550006"
_NO_CONTENT = 21619
_TOO_LONG = {  # the titles of their pages
    21617: "The concatenated message body exceeds the 1600 character limit.",
    21658: "Parameter exceeded character limit",
}

_E164 = re.compile(r"\+[1-9]\d{1,14}")
# OpenAPI: From is a number, an alphanumeric sender ID, a short code, a SIM or a channel address
_CHANNEL = re.compile(r"[a-z]+:.+")
_SENDER = re.compile(r"\+[1-9]\d{1,14}|\d{3,8}|[A-Za-z0-9 +\-_&]{1,11}|DE[0-9a-fA-F]{32}|[a-z]+:.+")
# body and status: github.com/sfreiberg/gotwilio/issues/17, github.com/appwrite/appwrite/issues/3859
_NO_PERMISSION = (
    "Permission to send an SMS has not been enabled for the region indicated by the 'To' number:"
    " {}."
)
_MAGIC_TO = {
    "+15005550001": (21211, "The 'To' number {} is not a valid phone number."),
    "+15005550002": (21612, "The 'To' phone number {} is not reachable via SMS."),
    "+15005550003": (21408, _NO_PERMISSION),
    "+15005550004": (21610, "The message From/To pair violates a blacklist rule."),
    "+15005550009": (21614, "'To' number {} is not a valid mobile number."),
}
_MAGIC_FROM = {
    "+15005550001": (21212, "The 'From' number {} is not a valid phone number."),
    "+15005550008": (
        21611,
        "This 'From' number {} has exceeded the maximum number of queued messages.",
    ),
}
_GSM7 = set(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡"
    "ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_GSM7_TWO_UNITS = set("^{}\\[~]|€\f")


def accept(call: Call) -> Message:
    """Return the message that *call* asks for, or raise what Twilio answers instead."""
    to, sender, service = call.get("To"), call.get("From"), call.get("MessagingServiceSid")
    _check_addresses(to, sender, service)
    if call.account.test:
        _check_magic(to, sender)
    else:
        _check_service(call, service)
        _check_sender(call, sender)
        _check_region(call, to)
    _check_content(call)
    media = tuple(call.form.get("MediaUrl", ()))
    now = call.world.now()
    key = call.caller.key
    return Message(
        sid=new_sid("MM" if media else "SM"),
        account_sid=call.account.sid,
        key_sid=key.sid if key else None,
        to=to,
        from_=sender or None,
        body=call.get("Body"),
        created=now,
        updated=now,
        due=_due(call, now, service),
        media_urls=media,
        messaging_service_sid=service or None,
        pool_sender=services.pool_sender(call.account, service, to) if service else None,
    )


def segments(body: str) -> int:
    """Return how many SMS segments *body* takes.

    160 GSM-7 units or 70 UCS-2 units in one, 153 or 67 in each of several (OpenAPI: num_segments
    and Body). Segments are counted by length alone: a character of two units may span two here.
    """
    if set(body) <= _GSM7 | _GSM7_TWO_UNITS:
        length, single, several = (
            len(body) + sum(each in _GSM7_TWO_UNITS for each in body),
            160,
            153,
        )
    else:
        length, single, several = _utf16_units(body), 70, 67
    return 1 if length <= single else -(-length // several)


def _check_addresses(to: str, sender: str, service: str) -> None:
    if not to:
        raise Refused(400, 21604, "A 'To' phone number is required.")
    if not sender and not service:
        raise Refused(400, 21603, "A 'From' phone number is required.")
    if not (_E164.fullmatch(to) or _CHANNEL.fullmatch(to)):
        raise Refused(400, 21211, f"The 'To' number {to} is not a valid phone number.")
    if sender and not _SENDER.fullmatch(sender):
        raise Refused(400, 21212, f"The 'From' number {sender} is not a valid phone number.")
    if service and not is_sid(service, "MG"):
        raise Refused(400, 21705, "The Messaging Service Sid is invalid.")


def _check_service(call: Call, service: str) -> None:
    """Refuse a messaging service that cannot send; 21703 is assumed."""
    if not service:
        return
    known = call.account.shelf(services.Service).get(service) is not None
    if not known and call.assumed(assumed_of_services.UNKNOWN_SERVICE) == "refused":
        raise Refused(400, 21701, "The Messaging Service does not exist.")
    if not known or call.assumed(assumed_of_services.EMPTY_POOL) == "accepted":
        return
    if not services.pool(call.account, service):
        raise Refused(400, 21703, "The Messaging Service has no phone number to send from.")


def _check_sender(call: Call, sender: str) -> None:
    """Refuse a phone number that the account does not have, if that is assumed.

    https://www.twilio.com/docs/api/errors/21660 names a number of another account, 21659 a number
    that is not Twilio's. Senders of other kinds are not looked at.
    """
    if call.assumed(assumed_of_numbers.SENDER_OWNERSHIP) != "enforced":
        return
    if not _E164.fullmatch(sender) or numbers.held(call.account, sender):
        return
    if numbers.is_held(call.world, sender):
        raise Refused(400, 21660, "Mismatch between the 'From' number and the account")
    raise Refused(400, 21659, f"'From' {sender} is not a Twilio phone number")


def _check_magic(to: str, sender: str) -> None:
    if sender in _MAGIC_FROM:
        code, message = _MAGIC_FROM[sender]
        raise Refused(400, code, message.format(sender))
    if sender != MAGIC_SENDER:
        raise Refused(
            400,
            21606,
            f"The From phone number {sender} is not a valid, SMS-capable inbound phone number"
            " or short code for your account.",
        )
    if to in _MAGIC_TO:
        code, message = _MAGIC_TO[to]
        raise Refused(400, code, message.format(to))


def _check_region(call: Call, to: str) -> None:
    """Refuse what the account's geo permissions do, with 400/21408.

    https://www.twilio.com/docs/api/errors/21408 also names WhatsApp and RCS recipients whose
    numbers begin with +98; nothing else to a channel address is a matter of geo permissions.
    """
    channel, _, number = to.rpartition(":")
    if channel:
        permitted = channel not in {"whatsapp", "rcs"} or not number.startswith("+98")
    else:
        permitted = may_send(call.world.assumptions, call.account, number)
    if not permitted:
        raise Refused(400, 21408, _NO_PERMISSION.format(to))


def _check_content(call: Call) -> None:
    if not any(call.get(name) for name in ("Body", "MediaUrl", "ContentSid")):
        raise _missing_body(call)
    unit = call.assumed(assumed.BODY_LENGTH_UNIT)
    body = call.get("Body")
    length = len(body.encode()) if unit == "utf-8" else _utf16_units(body)
    if length > LONGEST_BODY:
        code = int(call.assumed(assumed.LONG_BODY_CODE))
        raise Refused(400, code, _TOO_LONG[code])


def _missing_body(call: Call) -> Refused:
    """Return the refusal of a message without content.

    With a messaging service it is 21619 (https://www.twilio.com/docs/api/errors/21619), and from a
    WhatsApp sender (body and status: github.com/twilio/twilio-php/issues/810).
    """
    if call.get("MessagingServiceSid") or _CHANNEL.fullmatch(call.get("From")):
        code = _NO_CONTENT
    else:
        code = int(call.assumed(assumed.MISSING_BODY_CODE))
    if code == _NO_CONTENT:
        return Refused(400, code, "A text message body or media urls must be specified.")
    return Refused(400, code, "Message body is required.")


def _utf16_units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def _due(call: Call, now: datetime, service: str) -> datetime:
    """Return when the message is to be sent.

    Without a messaging service the scheduling parameters are dropped and the message is sent at
    once (support.twilio.com, Message Scheduling FAQs); the window is that of errors/35114.
    """
    if not service or call.get("ScheduleType") != "fixed":
        return now
    try:
        due = utc(call.get("SendAt"))
    except ValueError:
        raise Refused(400, 35114, "SendAt is not an ISO 8601 timestamp") from None
    if not SOONEST <= due - now <= LATEST:
        raise Refused(400, 35114, "SendAt is not 15 minutes to 35 days ahead")
    return due
