"""Must show: every report on the page of the AWS backend is what a program says today."""

from __future__ import annotations

import re

import aws_reports
import pytest
from aws_reports import Report

from support import leaks

CODES = {
    "Denied": "ST330",
    "Denied the role": "ST330",
    "Wrong login": "ST331",
    "Expired login": "ST331",
    "No login": "ST331",
    "Denied the KMS key": "ST330",
    "Missing": "ST104",
    "Half a pair": "ST101",
    "Malformed": "ST333",
    "No such version": "ST336",
    "Marked for deletion": "ST335",
    "Not decrypted": "ST334",
    "A managed Main key": "ST503",
    "A managed Auth Token": "ST501",
    "Refused port": "ST332",
    "Black hole": "ST332",
    "Plain HTTP": "ST339",
    "No region": "ST302",
}


@pytest.fixture(scope="module")
def reports() -> tuple[Report, ...]:
    return aws_reports.all_reports()


@pytest.mark.timeout(300)
def test_the_page_shows_what_the_program_says(reports: tuple[Report, ...]) -> None:
    _, mark, shown = aws_reports.PAGE.read_text(encoding="utf-8").partition(aws_reports.MARK)

    assert mark
    assert shown == f"\n{aws_reports.section(reports)}"


@pytest.mark.timeout(300)
def test_each_names_its_code_and_a_fix(reports: tuple[Report, ...]) -> None:
    found = {r.name: re.findall(r"^\[(ST\d{3})\]", r.text, re.MULTILINE) for r in reports}

    assert {name: codes[0] for name, codes in found.items()} == CODES
    assert all("\n  Fix: " in report.text for report in reports)


@pytest.mark.timeout(300)
def test_none_shows_a_value(reports: tuple[Report, ...]) -> None:
    for report in reports:
        assert leaks(report.text, report.values) == [], report.name
