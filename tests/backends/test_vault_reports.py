"""Must show: every report on the page of the Vault backend is what a program says today."""

from __future__ import annotations

import re

import pytest
import vault_reports
from vault_reports import Report

from support import leaks

CODES = {
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


@pytest.fixture(scope="module")
def reports() -> tuple[Report, ...]:
    return vault_reports.all_reports()


@pytest.mark.timeout(300)
def test_the_page_shows_what_the_program_says(reports: tuple[Report, ...]) -> None:
    _, mark, shown = vault_reports.PAGE.read_text(encoding="utf-8").partition(vault_reports.MARK)

    assert mark
    assert shown == f"\n{vault_reports.section(reports)}"


def test_each_names_its_code_and_a_fix(reports: tuple[Report, ...]) -> None:
    found = {r.name: re.findall(r"^\[(ST\d{3})\]", r.text, re.MULTILINE) for r in reports}

    assert {name: codes[0] for name, codes in found.items()} == CODES
    assert all("\n  Fix: " in report.text for report in reports)


def test_none_shows_a_value(reports: tuple[Report, ...]) -> None:
    for report in reports:
        assert leaks(report.text, report.values) == [], report.name
