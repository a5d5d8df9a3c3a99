"""Must show: every report on the page of Google's backend is what safetwilio says today."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from gcp_reports import PAGE, Writer
from gcp_server import servers
from test_reports import ReportsOf

if TYPE_CHECKING:
    from pathlib import Path


class TestReports(ReportsOf):
    """With the code that each names first."""

    page = PAGE
    codes: ClassVar = {
        "Denied": "ST330",
        "The API is off": "ST330",
        "Deleted login": "ST331",
        "Expired login": "ST331",
        "No login": "ST331",
        "A machine without a service account": "ST331",
        "Half a pair": "ST101",
        "Malformed": "ST333",
        "Corrupted": "ST333",
        "Disabled": "ST335",
        "Destroyed": "ST335",
        "No such version": "ST336",
        "Missing": "ST104",
        "Refused port": "ST332",
        "Black hole": "ST332",
        "Plain HTTP": "ST339",
    }


def test_a_process_of_its_own_says_the_same(tmp_path: Path) -> None:
    """So the reports that are made in one process stand for a program's."""
    with servers(tmp_path) as gcp:
        writer = Writer(gcp, tmp_path)
        writer.boot("here", "")
        writer.run("there", "")
    here, there = writer.reports
    assert here.text == there.text
    assert here.text.startswith("safetwilio.errors.")
