"""A history for an account: messages over a span of days, and all that goes with them.

The same *random_state* makes the same history, relative to the emulator's time, apart from the
keys: their SIDs and secrets are random, like all secrets here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING

from safetwilio.shapes import SID_LENGTH
from safetwilio.testing.records import Message
from safetwilio.testing.resources import caller_ids, usage
from safetwilio.testing.resources.applications import Application
from safetwilio.testing.resources.calls import PhoneCall
from safetwilio.testing.resources.numbers import Number, fictional, is_held
from safetwilio.testing.resources.services import Service, pool_sender
from safetwilio.testing.resources.settings import formatted

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from safetwilio.testing.emulator import Emulator
    from safetwilio.testing.records import Key, KeyKind
    from safetwilio.testing.resources.caller_ids import CallerId
    from safetwilio.testing.state import Account, World

MESSAGES, DAYS = 500, 30
_DAY = 86_400  # seconds
_NUMBERS, _POOLED = 3, 2
_MESSAGES_A_RECIPIENT, _MESSAGES_A_CALL = 5, 25
_FROM_THE_SERVICE = 0.7  # of all messages
_AREAS = ("212", "415", "808")
_CITIES = ("206", "212", "303", "312", "404", "415", "512", "602", "617", "702", "713", "808")
_BRITISH = 0.1  # of all people
_HOOK = "https://example.com/twilio/{}"
# name, kind, permissions, age in days: from forgotten to fresh
_SEND = "/twilio/messaging/messages/create"
_KEYS: tuple[tuple[str, KeyKind, tuple[str, ...], int], ...] = (
    ("forgotten", "standard", (), 800),
    ("web", "standard", (), 200),
    ("worker", "restricted", (_SEND, "/twilio/messaging/messages/read"), 80),
    ("trial", "restricted", (_SEND,), 5),
)
_BODIES = (
    "Your code is {code}. Do not share it.",
    "Your order {code} is on its way.",
    "Reminder: your appointment is tomorrow. Reply C to cancel.",
    "Спасибо! Ваш заказ {code} принят.",
    "Thanks for your visit. How was it? " + "Tell us on https://example.com/{code} " * 4,
)


@dataclass(frozen=True)
class Seeded:
    """What was made, each the oldest first; *keys* come from no random state."""

    numbers: tuple[Number, ...]
    application: Application
    service: Service
    caller_id: CallerId
    keys: tuple[Key, ...]
    messages: tuple[Message, ...]
    calls: tuple[PhoneCall, ...]


def seed(
    emulator: Emulator, *, messages: int = MESSAGES, days: int = DAYS, random_state: int = 0
) -> Seeded:
    """Fill the seeded account of *emulator*: see ``Emulator.seed``."""
    return emulator.seed(messages=messages, days=days, random_state=random_state)


def fill(world: World, account: Account, *, messages: int, days: int, random_state: int) -> Seeded:
    """Give *account* of *world* a history; the caller holds the lock."""
    if messages < 0 or days < 1:
        raise ValueError("messages is at least 0, and days at least 1")
    history = _History(world, account, days, Random(random_state))  # noqa: S311 - not for secrets
    keys = history.keys()
    service, numbers = history.service(), history.numbers()
    numbers = history.attach(numbers, service)
    made = Seeded(
        numbers=numbers,
        application=history.application(),
        service=service,
        caller_id=history.caller_id(),
        keys=keys,
        messages=history.messages(messages, numbers, service, keys),
        calls=history.calls(messages // _MESSAGES_A_CALL, numbers, keys),
    )
    account.created = min(account.created, history.beginning, *(key.created for key in keys))
    account.keys.sort(lambda key: key.created)
    account.shelf(Message).sort(lambda message: message.created)
    account.shelf(PhoneCall).sort(lambda call: call.created)
    return made


class _History:
    """Makes what *account* did in the last *days*; *rng* decides on all that varies."""

    def __init__(self, world: World, account: Account, days: int, rng: Random) -> None:
        self._world = world
        self._account = account
        self._days = days
        self._rng = rng
        self._now = world.now()
        self.beginning = self._now - timedelta(days=days)

    def keys(self) -> tuple[Key, ...]:
        """Make keys of various ages."""
        made = []
        for name, kind, allow, age in _KEYS:
            key = self._account.create_key(kind, friendly_name=name, allow=allow)
            moment = self._now - timedelta(days=age)
            key = replace(key, created=moment, updated=moment)
            self._account.keys.put(key.sid, key)
            made.append(key)
        return tuple(made)

    def numbers(self) -> tuple[Number, ...]:
        """Buy a number in each of a few areas, or the next that is free."""
        made = []
        for area in _AREAS[:_NUMBERS]:
            free = (each for each in fictional(area) if not is_held(self._world, each))
            phone_number = next(free, None)
            if phone_number is None:
                raise ValueError(f"no number of the area {area} is left; make a new emulator")
            number = Number(
                sid=self._sid("PN"),
                account_sid=self._account.sid,
                phone_number=phone_number,
                friendly_name=formatted(phone_number),
                created=self.beginning,
                updated=self.beginning,
                settings={"sms_url": _HOOK.format("sms"), "voice_url": _HOOK.format("voice")},
            )
            self._account.shelf(Number).put(number.sid, number)
            made.append(number)
        return tuple(made)

    def attach(self, numbers: Sequence[Number], service: Service) -> tuple[Number, ...]:
        """Put some of *numbers* into the pool of *service*."""
        pooled = [
            replace(number, service_sid=service.sid, attached=self.beginning)
            for number in numbers[:_POOLED]
        ]
        for number in pooled:
            self._account.shelf(Number).put(number.sid, number)
        return (*pooled, *numbers[_POOLED:])

    def application(self) -> Application:
        """Make an application."""
        application = Application(
            sid=self._sid("AP"),
            account_sid=self._account.sid,
            friendly_name="switchboard",
            created=self.beginning,
            updated=self.beginning,
            settings={"voice_url": _HOOK.format("voice")},
        )
        self._account.shelf(Application).put(application.sid, application)
        return application

    def service(self) -> Service:
        """Make a messaging service."""
        on = ("area_code_geomatch", "mms_converter", "smart_encoding", "sticky_sender")
        service = Service(
            sid=self._sid("MG"),
            account_sid=self._account.sid,
            friendly_name="notifications",
            created=self.beginning,
            updated=self.beginning,
            settings={**dict.fromkeys(on, True), "status_callback": _HOOK.format("status")},
        )
        self._account.shelf(Service).put(service.sid, service)
        return service

    def caller_id(self) -> CallerId:
        """Verify a number that is not Twilio's."""
        number, sid = f"+1303555{self._rng.randrange(100, 200):04}", self._sid("PN")
        return caller_ids.add(self._account, number, created=self.beginning, sid=sid)

    def messages(
        self, count: int, numbers: Sequence[Number], service: Service, keys: Sequence[Key]
    ) -> tuple[Message, ...]:
        """Send *count* messages, most of them through *service*, to people who get several."""
        people = [self._person() for _ in range(count // _MESSAGES_A_RECIPIENT + 1)]
        made = []
        for moment in self._moments(count):
            to = self._rng.choice(people)
            served = self._rng.random() < _FROM_THE_SERVICE
            message = Message(
                sid=self._sid("SM"),
                account_sid=self._account.sid,
                key_sid=self._key_at(moment, keys).sid,
                to=to,
                from_=None if served else self._rng.choice(numbers).phone_number,
                body=self._rng.choice(_BODIES).format(code=self._rng.randrange(10**5, 10**6)),
                created=moment,
                updated=moment,
                due=moment,
                messaging_service_sid=service.sid if served else None,
                pool_sender=pool_sender(self._account, service.sid, to) if served else None,
            )
            self._account.shelf(Message).put(message.sid, message)
            usage.meter(self._world, message)
            made.append(message)
        return tuple(made)

    def calls(
        self, count: int, numbers: Sequence[Number], keys: Sequence[Key]
    ) -> tuple[PhoneCall, ...]:
        """Make *count* calls, which have ended if there was the time."""
        made = []
        for moment in self._moments(count):
            number = self._rng.choice(numbers)
            call = PhoneCall(
                sid=self._sid("CA"),
                account_sid=self._account.sid,
                key_sid=self._key_at(moment, keys).sid,
                to=self._person(),
                from_=number.phone_number,
                created=moment,
                updated=moment,
                number_sid=number.sid,
            )
            self._account.shelf(PhoneCall).put(call.sid, call)
            made.append(call)
        return tuple(made)

    def _moments(self, count: int) -> list[datetime]:
        """Return *count* moments of the span, the oldest first."""
        span = self._days * _DAY
        seconds = (self._rng.randrange(span) for _ in range(count))
        return sorted(self._now - timedelta(seconds=each) for each in seconds)

    def _key_at(self, moment: datetime, keys: Sequence[Key]) -> Key:
        """Return one of the *keys* that existed at *moment* and are in use: not the oldest."""
        return self._rng.choice([key for key in keys[1:] if key.created <= moment] or keys[:1])

    def _person(self) -> str:
        """Return a number that belongs to nobody, a British one now and then."""
        if self._rng.random() < _BRITISH:
            return f"+447700900{self._rng.randrange(1000):03}"
        return f"+1{self._rng.choice(_CITIES)}555{self._rng.randrange(100, 200):04}"

    def _sid(self, prefix: str) -> str:
        return prefix + f"{self._rng.getrandbits(128):032x}"[: SID_LENGTH - len(prefix)]
