"""Probes with Twilio's test credentials and magic numbers, which send and buy nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from live.probe import choose, code_of, probe
from safetwilio.testing.assumptions import calls, messages, numbers

if TYPE_CHECKING:
    from live.service import Reply, Service
    from safetwilio.testing.assumptions import Choice

MAGIC = "+15005550006"
NOBODY = "+14155550100"  # 555-0100 belongs to nobody; with test credentials nothing is sent anyway
LONGEST = 1600


def post(service: Service, name: str, **form: str) -> Reply:
    """Create a *name* with the test credentials."""
    test = service.pairs["test"]
    return service.ask(test, "POST", f"/2010-04-01/Accounts/{test.sid}/{name}.json", **form)


def send(service: Service, **form: str) -> Reply:
    """Send a message from the magic number with the test credentials."""
    return post(service, "Messages", To=NOBODY, From=MAGIC, **form)


@probe(messages.MISSING_BODY_CODE, "POST Messages.json without Body, as a test", "test")
def missing_body_code(service: Service) -> Choice | str:
    return code_of(send(service))


@probe(messages.LONG_BODY_CODE, "POST Messages.json with 1601 characters, as a test", "test")
def long_body_code(service: Service) -> Choice | str:
    return code_of(send(service, Body="x" * (LONGEST + 1)))


@probe(messages.BODY_LENGTH_UNIT, "POST Messages.json with 1600 times é, as a test", "test")
def body_length_unit(service: Service) -> Choice | str:
    return choose(send(service, Body="é" * LONGEST), ok="utf-16", s400="utf-8")


@probe(numbers.OTHER_TEST_NUMBER_CODE, "POST IncomingPhoneNumbers.json, as a test", "test")
def other_test_number_code(service: Service) -> Choice | str:
    return code_of(post(service, "IncomingPhoneNumbers", PhoneNumber=NOBODY))


@probe(calls.MISSING_INSTRUCTIONS_CODE, "POST Calls.json without Url, as a test", "test")
def missing_instructions_code(service: Service) -> Choice | str:
    return code_of(post(service, "Calls", To=NOBODY, From=MAGIC))
