"""pytest plugin for a run of Twilio's own tests: write down each outcome and every request.

With ``SUITE_SWAPPED`` in the environment the tests find our client where they import Twilio's, and
break-glass is open around each: Twilio's examples all use the Auth Token. Nothing is ever sent.
"""

from __future__ import annotations

import functools
import json
import os
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests
import twilio.rest
from requests.adapters import HTTPAdapter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SWAPPED = "SUITE_SWAPPED" in os.environ
if SWAPPED:
    from safetwilio import break_glass
    from safetwilio.clients.rest import TwilioClient

    twilio.rest.Client = TwilioClient


class Record:
    """What each test did, by its node id."""

    def __init__(self) -> None:
        """Start with no test running."""
        self.tests: dict[str, dict[str, Any]] = {}
        self.running: dict[str, Any] = {"requests": []}

    def start(self, test: str) -> None:
        """Put down what follows as that of *test*."""
        self.running = self.tests[test] = {"outcome": "passed", "requests": []}

    def observed(self, request: Callable[..., Any]) -> Callable[..., Any]:
        """Return the method *request*, with its arguments put down at every call."""

        @functools.wraps(request)
        def observing(this: object, *args: Any, **kwargs: Any) -> Any:
            self.running["requests"].append([args, kwargs])
            return request(this, *args, **kwargs)

        return observing


record = Record()


def answer_offline(_: HTTPAdapter, request: requests.PreparedRequest, **__: Any) -> Any:
    """Answer 200 with an empty object, where ``requests`` would open a connection."""
    sent = {name: getattr(request, name) for name in ("method", "url", "body")}
    record.running["requests"].append({**sent, "headers": dict(request.headers)})
    response = requests.Response()
    response.status_code, response._content = 200, b"{}"
    response.url, response.request = request.url, request
    return response


HTTPAdapter.send = answer_offline  # type: ignore[assignment, method-assign]


def pytest_sessionstart() -> None:
    """Listen at Twilio's fake HTTP client; ``tests`` is its suite, not ours."""
    from tests.holodeck import Holodeck

    Holodeck.request = record.observed(Holodeck.request)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Open the glass around set-up, test and tear-down."""
    record.start(item.nodeid)
    with break_glass(reason="Twilio's own tests") if SWAPPED else nullcontext():
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(call: pytest.CallInfo[None]) -> Iterator[None]:
    """Put down what a test ended with, if not with success."""
    report: Any = yield
    if report.outcome != "passed" and call.excinfo:
        record.running["outcome"] = f"{report.outcome} in {report.when}: {call.excinfo.typename}"
    return report


def pytest_sessionfinish() -> None:
    """Write the record, and whose client the tests imported."""
    result = {"client": twilio.rest.Client.__module__, "tests": record.tests}
    Path(os.environ["SUITE_RESULT"]).write_text(json.dumps(result, default=str), "utf-8")
