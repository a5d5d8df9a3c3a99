"""Must show: every report on the page of Google's backend is what safetwilio says today."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import gcp_reports
import pytest
from gcp_reports import Report, Writer
from gcp_server import servers

from support import leaks

if TYPE_CHECKING:
    from pathlib import Path

CODES = {
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


@pytest.fixture(scope="module")
def reports() -> tuple[Report, ...]:
    return gcp_reports.all_reports()


@pytest.mark.timeout(300)
def test_the_page_shows_what_safetwilio_says(reports: tuple[Report, ...]) -> None:
    _, mark, shown = gcp_reports.PAGE.read_text(encoding="utf-8").partition(gcp_reports.MARK)
    assert mark
    assert shown == f"\n{gcp_reports.section(reports)}"


def test_each_names_its_code_and_a_fix(reports: tuple[Report, ...]) -> None:
    found = {r.name: re.findall(r"^\[(ST\d{3})\]", r.text, re.MULTILINE) for r in reports}
    assert {name: codes[0] for name, codes in found.items()} == CODES
    assert all("\n  Fix: " in report.text for report in reports)


def test_none_shows_a_value(reports: tuple[Report, ...]) -> None:
    for report in reports:
        assert leaks(report.text, report.values) == [], report.name


def test_a_process_of_its_own_says_the_same(tmp_path: Path) -> None:
    """So the reports that are made in one process stand for a program's."""
    with servers(tmp_path) as gcp:
        writer = Writer(gcp, tmp_path)
        writer.boot("here", "")
        writer.run("there", "")
    here, there = writer.reports
    assert here.text == there.text
    assert here.text.startswith("safetwilio.errors.")
