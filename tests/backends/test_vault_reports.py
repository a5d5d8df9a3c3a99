"""Must show: every report on the page of the Vault backend is what a program says today."""

from __future__ import annotations

from typing import ClassVar

from test_reports import ReportsOf
from vault_reports import PAGE


class TestReports(ReportsOf):
    """With the code that each names first."""

    page = PAGE
    codes: ClassVar = {
        "Denied": "ST330",
        "Expired login": "ST331",
        "No login": "ST331",
        "AppRole refused": "ST331",
        "A wrapped login that somebody opened": "ST337",
        "Half a pair": "ST101",
        "Malformed": "ST333",
        "Deleted": "ST335",
        "Missing": "ST104",
        "Refused port": "ST332",
        "Black hole": "ST332",
        "Plain HTTP": "ST339",
        "Sealed": "ST335",
    }
