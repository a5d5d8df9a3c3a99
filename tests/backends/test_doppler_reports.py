"""Must show: every report on the page of the Doppler backend is what a program says today."""

from __future__ import annotations

import re

import doppler_reports
import pytest
from doppler_reports import Report

from support import leaks

CODES = {
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


@pytest.fixture(scope="module")
def reports() -> tuple[Report, ...]:
    return doppler_reports.all_reports()


@pytest.mark.timeout(300)
def test_the_page_shows_what_the_program_says(reports: tuple[Report, ...]) -> None:
    text = doppler_reports.PAGE.read_text(encoding="utf-8")
    _, mark, shown = text.partition(doppler_reports.MARK)
    assert mark
    assert shown == f"\n{doppler_reports.section(reports)}"


def test_each_names_its_code_and_a_fix(reports: tuple[Report, ...]) -> None:
    found = {r.name: re.findall(r"^\[(ST\d{3})\]", r.text, re.MULTILINE) for r in reports}
    assert {name: codes[0] for name, codes in found.items()} == CODES
    assert all("\n  Fix: " in report.text for report in reports)


def test_none_shows_a_value(reports: tuple[Report, ...]) -> None:
    for report in reports:
        assert leaks(report.text, report.values) == [], report.name
