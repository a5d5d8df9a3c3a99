"""Must show: every report on the page of the Doppler backend is what a program says today."""

from __future__ import annotations

from typing import ClassVar

from doppler_reports import PAGE
from test_reports import ReportsOf


class TestReports(ReportsOf):
    """With the code that each names first."""

    page = PAGE
    codes: ClassVar = {
        "Denied": "ST330",
        "Expired login": "ST331",
        "No login": "ST331",
        "No config named": "ST302",
        "Half a pair": "ST101",
        "Missing": "ST104",
        "No such config": "ST104",
        "Malformed": "ST333",
        "Too many requests": "ST332",
        "Something else answers": "ST332",
        "Refused port": "ST332",
        "Black hole": "ST332",
    }
